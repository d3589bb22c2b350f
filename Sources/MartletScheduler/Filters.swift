internal import MartletObject

/// Says why a pod cannot go to a node, in kube-scheduler's words, or nil when it can.
public typealias Filter = @Sendable (PodRequest, NodeState) -> String?

/// The filters, named as kube-scheduler's plugins.
public enum Filters {
    /// All of them, cheapest first.
    public static let standard: [Filter] = [
        nodeUnschedulable, taintToleration, nodeAffinity, nodePorts, nodeResourcesFit,
    ]

    /// A cordoned node takes only pods that tolerate it.
    @Sendable public static func nodeUnschedulable(_ pod: PodRequest, _ node: NodeState) -> String? {
        guard node.isUnschedulable else { return nil }
        var taint = Taint(.null)
        taint.key = "node.kubernetes.io/unschedulable"
        taint.effect = "NoSchedule"
        return pod.tolerations.contains { $0.tolerates(taint) } ? nil : "node(s) were unschedulable"
    }

    /// Taints that keep pods away.
    @Sendable public static func taintToleration(_ pod: PodRequest, _ node: NodeState) -> String? {
        for taint in node.taints where taint.effect == "NoSchedule" || taint.effect == "NoExecute" {
            if pod.tolerations.contains(where: { $0.tolerates(taint) }) { continue }
            return "node(s) had untolerated taint {\(taint.key): \(taint.value)}"
        }
        return nil
    }

    /// `nodeSelector`, and the required terms of node affinity, of which one must hold.
    @Sendable public static func nodeAffinity(_ pod: PodRequest, _ node: NodeState) -> String? {
        let refusal = "node(s) didn't match Pod's node affinity/selector"
        guard pod.nodeSelector.allSatisfy({ node.labels[$0.key] == $0.value }) else { return refusal }
        guard let terms = pod.affinityTerms else { return nil }
        return terms.contains { matches($0, node) } ? nil : refusal
    }

    private static func matches(_ term: JSON, _ node: NodeState) -> Bool {
        let labels = term["matchExpressions"]?.array ?? []
        let fields = term["matchFields"]?.array ?? []
        // A term without requirements selects nothing (core/v1 NodeSelectorTerm).
        if labels.isEmpty && fields.isEmpty { return false }
        return labels.allSatisfy { holds($0, node.labels) }
            && fields.allSatisfy { holds($0, ["metadata.name": node.name]) }
    }

    private static func holds(_ requirement: JSON, _ values: [String: String]) -> Bool {
        let wanted = (requirement["values"]?.array ?? []).compactMap(\.string)
        let actual = values[requirement["key"]?.string ?? ""]
        switch requirement["operator"]?.string {
        case "In": return actual.map(wanted.contains) ?? false
        case "NotIn": return actual.map { !wanted.contains($0) } ?? true
        case "Exists": return actual != nil
        case "DoesNotExist": return actual == nil
        case "Gt", "Lt":
            guard let a = actual.flatMap({ Int($0) }), let b = wanted.first.flatMap({ Int($0) }) else { return false }
            return requirement["operator"]?.string == "Gt" ? a > b : a < b
        default: return false
        }
    }

    /// Host ports that are taken.
    @Sendable public static func nodePorts(_ pod: PodRequest, _ node: NodeState) -> String? {
        pod.hostPorts.isDisjoint(with: node.hostPorts)
            ? nil : "node(s) didn't have free ports for the requested pod ports"
    }

    /// CPU, memory and everything else a pod asks for, and the number of pods.
    @Sendable public static func nodeResourcesFit(_ pod: PodRequest, _ node: NodeState) -> String? {
        if let limit = node.allocatable.amounts["pods"], Int64(node.podCount) >= limit { return "Too many pods" }
        for (name, amount) in pod.resources.amounts.sorted(by: { $0.key < $1.key }) where amount > 0 {
            let free = (node.allocatable.amounts[name] ?? 0) - (node.used.amounts[name] ?? 0)
            if amount > free { return "Insufficient \(name)" }
        }
        return nil
    }
}
