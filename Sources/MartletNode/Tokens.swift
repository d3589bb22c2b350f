internal import MartletBase
internal import MartletObject
internal import MartletPods

/// A token of a pod's service account, and when a new one is due.
struct HeldToken: Sendable {
    var text: String
    var dueAt: MonotonicTime
}

extension NodeAgent {
    /// The token that a pod's volume is to hold: the one that was asked for before, until four fifths of its life, or
    /// a day, are over.
    func token(_ reference: TokenReference, of spec: PodSpec) async throws -> String {
        if let held = pods[spec.uid]?.tokens[reference], world.now() < held.dueAt { return held.text }
        var request: JSON = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": [
                "expirationSeconds": .int(reference.expirationSeconds),
                "boundObjectRef": [
                    "apiVersion": "v1", "kind": "Pod", "name": .string(spec.name), "uid": .string(spec.uid),
                ],
            ],
        ]
        if !reference.audience.isEmpty { request["spec", "audiences"] = [.string(reference.audience)] }
        let answer = try await api.requestToken(
            request, namespace: spec.namespace, account: spec.serviceAccountName)
        guard let text = answer["status", "token"]?.string, !text.isEmpty else {
            throw ConfigurationError("the API gave no token of service account \"\(spec.serviceAccountName)\"")
        }
        let life = min(reference.expirationSeconds / 5 * 4, 24 * 3600)
        pods[spec.uid]?.tokens[reference] = HeldToken(text: text, dueAt: world.now() + .seconds(life))
        return text
    }
}
