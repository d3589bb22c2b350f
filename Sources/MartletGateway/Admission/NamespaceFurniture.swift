internal import MartletObject

/// A new namespace has its service account `default` from the first moment, so that nobody's first pod is refused
/// because a controller has not come round yet. The controller sees to it that it stays.
struct NamespaceFurniture: AdmissionPlugin {
    let name = "NamespaceFurniture"

    func concerns(_ review: AdmissionReview) -> Bool {
        review.kind == .namespace && review.operation == .create && review.target.subresource.isEmpty
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        let namespace = review.object.name
        guard Route.isSafe(namespace) else { return }
        // What an earlier namespace of that name has left is on its way out with its controller's next look.
        if try await cluster.get(.serviceAccount, namespace: namespace, name: "default") != nil { return }
        let account: JSON = [
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": ["name": "default", "namespace": .string(namespace)],
        ]
        let key = Keys.object(.serviceAccount, namespace: namespace, name: "default")
        review.companions.append((key, cluster.stamped(account)))
    }
}
