/// Says how well a node suits a pod that could go there, from 0 to 100.
public typealias Score = @Sendable (PodRequest, NodeState) -> Int

/// The scores.
public enum Scores {
    /// All of them, with their weights.
    public static let standard: [(weight: Int, score: Score)] = [(1, leastAllocated), (2, ownerSpread)]

    /// Prefers nodes with more left: the mean over CPU and memory of the share that stays free
    /// (kube-scheduler's NodeResourcesFit with LeastAllocated).
    @Sendable public static func leastAllocated(_ pod: PodRequest, _ node: NodeState) -> Int {
        var total = 0
        for name in ["cpu", "memory"] {
            let capacity = node.allocatable.amounts[name] ?? 0
            guard capacity > 0 else { continue }
            // A pod that asks for nothing still needs something; upstream counts 100m and 200 MiB for it.
            let asked = pod.resources.amounts[name] ?? (name == "cpu" ? 100 : 200 << 20)
            let free = max(0, capacity - (node.used.amounts[name] ?? 0) - asked)
            total += Int(Double(free) / Double(capacity) * 100)
        }
        return total / 2
    }

    /// Prefers nodes with fewer pods of the same controller, so that one lost node takes few replicas with it.
    @Sendable public static func ownerSpread(_ pod: PodRequest, _ node: NodeState) -> Int {
        if pod.owner.isEmpty { return 100 }
        return 100 / (1 + (node.podsByOwner[pod.owner] ?? 0))
    }
}
