internal import MartletObject

/// Gives pods their service account, and a volume with a token of it: upstream's plugin ServiceAccount.
struct ServiceAccountAdmission: AdmissionPlugin {
    let name = "ServiceAccount"
    /// Where containers find the token.
    static let mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// A token that lives so long was asked for by this plugin: it is good for longer than it says.
    static let tokenSeconds: Int64 = 3607
    private static let mirror = "kubernetes.io/config.mirror"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .pod && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        if review.object.annotations[Self.mirror] != nil { return try Self.checkMirror(review) }
        let asked = review.object["spec", "serviceAccountName"]?.string ?? ""
        let given = asked.isEmpty ? review.object["spec", "serviceAccount"]?.string ?? "" : asked
        let account = given.isEmpty ? "default" : given
        review.object["spec", "serviceAccountName"] = .string(account)
        review.object["spec", "serviceAccount"] = .string(account)
        let namespace = review.target.namespace
        guard let object = try await cluster.get(.serviceAccount, namespace: namespace, name: account) else {
            throw review.forbidden(
                "error looking up service account \(namespace)/\(account): serviceaccount \"\(account)\" not found")
        }
        if Self.mounts(review.object, object) {
            Self.addToken(&review.object, volume: "kube-api-access-\(ChanceName.suffix(cluster.random))")
        }
        if (review.object["spec", "imagePullSecrets"]?.array ?? []).isEmpty,
            let secrets = object["imagePullSecrets"]?.array, !secrets.isEmpty
        {
            review.object["spec", "imagePullSecrets"] = .array(secrets)
        }
    }

    /// Pods of a file on a node have no part of the API.
    private static func checkMirror(_ review: AdmissionReview) throws(APIError) {
        let spec = review.object["spec"] ?? [:]
        if !(spec["serviceAccountName"]?.string ?? "").isEmpty {
            throw review.forbidden("a mirror pod may not reference service accounts")
        }
        let items = NodeGraph.items(of: spec, podNamed: "", in: "")
        if items.contains(where: { $0.kind == .secret }) {
            throw review.forbidden("a mirror pod may not reference secrets")
        }
        for volume in spec["volumes"]?.array ?? [] {
            for source in volume["projected", "sources"]?.array ?? [] where source["serviceAccountToken"] != nil {
                throw review.forbidden("a mirror pod may not use ServiceAccountToken volume projections")
            }
        }
    }

    private static func mounts(_ pod: JSON, _ account: JSON) -> Bool {
        pod["spec", "automountServiceAccountToken"]?.bool ?? account["automountServiceAccountToken"]?.bool ?? true
    }

    /// Every container gets the volume that has none in its place.
    private static func addToken(_ pod: inout JSON, volume: String) {
        var isMounted = false
        for list in ["containers", "initContainers"] {
            pod.changeEach(at: ["spec", list]) { container in
                var mounts = container["volumeMounts"]?.array ?? []
                if mounts.contains(where: { $0["mountPath"]?.string == mountPath }) { return }
                mounts.append(["name": .string(volume), "readOnly": true, "mountPath": .string(mountPath)])
                container["volumeMounts"] = .array(mounts)
                isMounted = true
            }
        }
        guard isMounted else { return }
        let sources: JSON = [
            ["serviceAccountToken": ["expirationSeconds": .int(tokenSeconds), "path": "token"]],
            ["configMap": ["name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]]]],
            [
                "downwardAPI": [
                    "items": [
                        ["path": "namespace", "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"]]
                    ]
                ]
            ],
        ]
        let made: JSON = ["name": .string(volume), "projected": ["sources": sources, "defaultMode": 420]]
        pod["spec", "volumes"] = .array((pod["spec", "volumes"]?.array ?? []) + [made])
    }
}
