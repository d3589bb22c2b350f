internal import MartletObject

/// Works out a pod's priority from its class, and lets only one class be the default: upstream's plugin Priority.
struct PriorityAdmission: AdmissionPlugin {
    let name = "Priority"

    /// The classes that every cluster has.
    static let systemClasses: [JSON] = [
        systemClass(
            "system-cluster-critical", 2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
        ),
        systemClass(
            "system-node-critical", 2_000_001_000,
            "Used for system critical pods that must not be moved from their current node."),
    ]

    private static func systemClass(_ name: String, _ value: Int64, _ about: String) -> JSON {
        [
            "metadata": ["name": .string(name)], "value": .int(value), "description": .string(about),
            "preemptionPolicy": "PreemptLowerPriority",
        ]
    }

    func concerns(_ review: AdmissionReview) -> Bool {
        guard review.target.subresource.isEmpty else { return false }
        if review.kind == .pod { return review.operation == .create }
        return review.kind == .priorityClass && review.operation != .delete
    }

    func admit(_ review: inout AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        if review.kind == .priorityClass { return try await checkDefault(review, cluster) }
        var pod = review.object
        let asked = pod["spec", "priorityClassName"]?.string ?? ""
        let found: JSON?
        if asked.isEmpty {
            // Of several defaults, which an older state may hold, the lowest counts.
            found = try await Self.defaults(cluster).min { ($0["value"]?.int ?? 0) < ($1["value"]?.int ?? 0) }
        } else {
            found = try await cluster.get(.priorityClass, namespace: "", name: asked)
            if found == nil { throw review.forbidden("no PriorityClass with name \(asked) was found") }
        }
        if let found { pod["spec", "priorityClassName"] = .string(found.name) }
        let priority = Int64(found?["value"]?.int ?? 0)
        if let given = pod["spec", "priority"]?.int, given != priority {
            throw review.forbidden(
                "the integer value of priority (\(given)) must not be provided in pod spec; priority admission "
                    + "controller computed \(priority) from the given PriorityClass name")
        }
        let policy = found?["preemptionPolicy"]?.string ?? "PreemptLowerPriority"
        if let given = pod["spec", "preemptionPolicy"]?.string, given != policy {
            throw review.forbidden(
                "the string value of PreemptionPolicy (\(given)) must not be provided in pod spec; priority admission "
                    + "controller computed \(policy) from the given PriorityClass name")
        }
        pod["spec", "priority"] = .int(priority)
        pod["spec", "preemptionPolicy"] = .string(policy)
        review.object = pod
    }

    private static func defaults(_ cluster: any ClusterFacts) async throws(APIError) -> [JSON] {
        try await cluster.list(.priorityClass, namespace: "") { $0.value(at: ["globalDefault"]) == true }
    }

    private func checkDefault(_ review: AdmissionReview, _ cluster: any ClusterFacts) async throws(APIError) {
        guard review.object["globalDefault"]?.bool == true else { return }
        for other in try await Self.defaults(cluster) where other.name != review.object.name {
            throw review.forbidden(
                "PriorityClass \(other.name) is already marked as default. Only one default can exist")
        }
    }
}
