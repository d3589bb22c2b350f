internal import MartletObject

/// What a node's requests may say inside: upstream's plugin NodeRestriction. Which requests it may send at all is in
/// ``NodeRules``.
struct NodeRestriction: AdmissionPlugin {
    let name = "NodeRestriction"
    private static let mirror = "kubernetes.io/config.mirror"

    func concerns(_ review: AdmissionReview) -> Bool { review.identity.node != nil }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        guard let node = review.identity.node else { return }
        if node.isEmpty {
            throw review.forbidden("could not determine node from user \"\(review.identity.user)\"")
        }
        switch review.kind {
        case .pod: try await checkPod(review, node, cluster)
        case .node: try checkNode(review, node)
        case .persistentVolumeClaim: try checkClaim(review, node)
        case .lease: try checkLease(review, node)
        case .csiNode where review.object.name != node:
            throw review.forbidden("can only access CSINode with the same name as the requesting node")
        default: return
        }
    }

    // MARK: Pods

    private func checkPod(
        _ review: AdmissionReview, _ node: String, _ cluster: any ClusterFacts
    ) async throws(APIError) {
        let host = (review.old ?? review.object)["spec", "nodeName"]?.string ?? ""
        switch (review.target.subresource, review.operation) {
        case ("", .create): try await checkNewPod(review, node, cluster)
        case ("", .delete), ("eviction", .delete):
            if host != node {
                throw review.forbidden("node \"\(node)\" can only delete pods with spec.nodeName set to itself")
            }
        case ("status", .update):
            if host != node {
                throw review.forbidden(
                    "node \"\(node)\" can only update pod status for pods with spec.nodeName set to itself")
            }
            if review.old?.labels != review.object.labels {
                throw review.forbidden("node \"\(node)\" cannot update labels through pod status")
            }
            let field = "resourceClaimStatuses"
            if review.old?["status", field] != review.object["status", field] {
                throw review.forbidden("node \"\(node)\" cannot update resource claim statues")
            }
        case ("", .update):
            throw review.forbidden(
                "unexpected operation \"UPDATE\", node \"\(node)\" can only create and delete mirror pods")
        default:
            throw review.forbidden(
                "unexpected pod subresource \"\(review.target.subresource)\", only 'status' and 'eviction' are allowed")
        }
    }

    /// A node makes pods only to show those that it runs out of files.
    private func checkNewPod(
        _ review: AdmissionReview, _ node: String, _ cluster: any ClusterFacts
    ) async throws(APIError) {
        let pod = review.object
        if pod.annotations[Self.mirror] == nil {
            throw review.forbidden(
                "pod does not have \"\(Self.mirror)\" annotation, node \"\(node)\" can only create mirror pods")
        }
        if pod["spec", "nodeName"]?.string != node {
            throw review.forbidden("node \"\(node)\" can only create pods with spec.nodeName set to itself")
        }
        let owners = pod["metadata", "ownerReferences"]?.array ?? []
        func owner(_ what: String) -> APIError {
            review.forbidden("node \"\(node)\" can only create pods with \(what) owner reference set to itself")
        }
        if owners.count > 1 { throw owner("a single") }
        guard let reference = owners.first, reference.apiVersion == "v1", reference.kind == "Node",
            reference["name"]?.string == node
        else { throw owner("an") }
        if reference["controller"]?.bool != true { throw owner("a controller") }
        if reference["blockOwnerDeletion"]?.bool == true {
            throw review.forbidden("node \"\(node)\" must not set blockOwnerDeletion on an owner reference")
        }
        guard let object = try await cluster.get(.node, namespace: "", name: node) else {
            throw .notFound(Subject(kind: .node, name: node))
        }
        let uid = reference["uid"]?.string ?? ""
        if uid != object.uid {
            throw review.forbidden("node \(node) UID mismatch: expected \(uid) got \(object.uid)")
        }
        let forbidden: [(NodeGraph.Item.Kind, String)] = [
            (.serviceAccount, "a service account"), (.secret, "secrets"), (.configMap, "configmaps"),
            (.claim, "persistentvolumeclaims"),
        ]
        // A node could have devices given away that were meant for others (CVE-2025-4563).
        if !(pod["spec", "resourceClaims"]?.array ?? []).isEmpty {
            throw review.forbidden("node \"\(node)\" can not create pods that reference resourceclaims")
        }
        let items = NodeGraph.items(of: pod["spec"] ?? [:], podNamed: "", in: "")
        for (kind, text) in forbidden where items.contains(where: { $0.kind == kind }) {
            throw review.forbidden("node \"\(node)\" can not create pods that reference \(text)")
        }
    }

    // MARK: The node itself

    private func checkNode(_ review: AdmissionReview, _ node: String) throws(APIError) {
        let name = review.target.name.isEmpty ? review.object.name : review.target.name
        if name != node {
            throw review.forbidden("node \"\(node)\" is not allowed to modify node \"\(name)\"")
        }
        if review.operation == .delete { return }
        if let old = review.old, old["spec", "taints"] ?? [] != review.object["spec", "taints"] ?? [] {
            throw review.forbidden("node \"\(node)\" is not allowed to modify taints")
        }
        let source = review.object["spec", "configSource"]
        if let old = review.old, let source, old["spec", "configSource"] != source {
            throw review.forbidden("node \"\(node)\" is not allowed to update configSource to a new non-nil value")
        }
        // An owner that is not there would have the node collected (CVE-2025-5187).
        let owners = review.object["metadata", "ownerReferences"] ?? []
        if let old = review.old, old["metadata", "ownerReferences"] ?? [] != owners {
            throw review.forbidden("node \"\(node)\" is not allowed to modify ownerReferences")
        }
        let labels = Self.forbidden(Self.changed(review.object.labels, review.old?.labels ?? [:]))
        if labels.isEmpty { return }
        let list = labels.sorted().joined(separator: ", ")
        throw review.forbidden(
            review.old == nil
                ? "node \"\(node)\" is not allowed to set the following labels: \(list)"
                : "is not allowed to modify labels: \(list)")
    }

    /// The labels that differ.
    private static func changed(_ labels: [String: String], _ old: [String: String]) -> Set<String> {
        Set(labels.keys).union(old.keys).filter { labels[$0] != old[$0] }
    }

    /// Of some labels those that steer pods, and that a node must not give itself.
    static func forbidden(_ labels: Set<String>) -> Set<String> {
        labels.filter { label in
            guard let slash = label.firstIndex(of: "/") else { return false }
            let domain = String(label[..<slash])
            func isIn(_ parent: String) -> Bool { domain == parent || domain.hasSuffix(".\(parent)") }
            if isIn("node-restriction.kubernetes.io") { return true }
            guard isIn("kubernetes.io") || isIn("k8s.io") else { return false }
            return !own.contains(label) && !isIn("kubelet.kubernetes.io") && !isIn("node.kubernetes.io")
        }
    }

    /// The labels that a node says of itself.
    private static let own: Set<String> = [
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type", "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
    ]

    // MARK: Claims, leases, tokens

    private func checkClaim(_ review: AdmissionReview, _ node: String) throws(APIError) {
        guard review.target.subresource == "status", let old = review.old else {
            throw review.forbidden("may only update PVC status")
        }
        func rest(_ claim: JSON) -> JSON {
            var claim = claim
            for field in ["resourceVersion", "managedFields"] { claim["metadata", field] = nil }
            for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
                claim["status", field] = nil
            }
            return claim
        }
        if rest(old) != rest(review.object) {
            throw review.forbidden(
                "node \"\(node)\" is not allowed to update fields other than status.capacity and status.conditions")
        }
    }

    private func checkLease(_ review: AdmissionReview, _ node: String) throws(APIError) {
        if review.target.namespace != "kube-node-lease" {
            throw review.forbidden("can only access leases in the \"kube-node-lease\" system namespace")
        }
        if review.object.name != node {
            throw review.forbidden("can only access node lease with the same name as the requesting node")
        }
    }

    /// A node asks for tokens of its pods only.
    static func checkToken(
        _ reference: JSON?, _ account: JSON, by identity: Identity, _ cluster: any ClusterFacts
    ) async throws(APIError) {
        guard let node = identity.node else { return }
        func forbidden(_ why: String) -> APIError {
            .forbidden(Subject(kind: .serviceAccount, name: account.name), why)
        }
        guard let reference, reference["apiVersion"] == "v1", reference["kind"] == "Pod",
            let name = reference["name"]?.string, !name.isEmpty
        else { throw forbidden("node requested token not bound to a pod") }
        guard let uid = reference["uid"]?.string, !uid.isEmpty else {
            throw forbidden("node requested token with a pod binding without a uid")
        }
        guard let pod = try await cluster.get(.pod, namespace: account.namespace, name: name) else {
            throw .notFound(Subject(kind: .pod, name: name))
        }
        if uid != pod.uid {
            throw forbidden(
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might "
                    + "have been deleted and then recreated")
        }
        if pod["spec", "nodeName"]?.string != node {
            throw forbidden("node requested token bound to a pod scheduled on a different node")
        }
    }
}
