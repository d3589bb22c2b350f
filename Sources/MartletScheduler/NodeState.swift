public import MartletObject

/// What the scheduler knows of a node: what it offers, and what the pods on it hold.
public struct NodeState: Sendable {
    /// The node's name.
    public var name: String
    /// `status.allocatable`
    public var allocatable: Resources
    /// `metadata.labels`
    public var labels: [String: String]
    /// `spec.taints`
    public var taints: [Taint]
    /// `spec.unschedulable`
    public var isUnschedulable: Bool
    /// What the pods on it ask for together.
    public private(set) var used = Resources()
    /// Host ports in use, as `TCP/8080`.
    public private(set) var hostPorts: Set<String> = []
    /// How many pods it holds.
    public private(set) var podCount = 0
    /// How many of them each controller owns, by the controller's uid.
    public private(set) var podsByOwner: [String: Int] = [:]

    /// Reads a node; it holds no pods yet.
    public init(_ node: JSON) {
        name = node.name
        allocatable = Resources(list: node["status", "allocatable"])
        labels = node.labels
        taints = (node["spec", "taints"]?.array ?? []).map(Taint.init)
        isUnschedulable = node["spec", "unschedulable"]?.bool ?? false
    }

    /// Takes over what another state of the same node holds.
    mutating func adopt(_ old: NodeState) {
        used = old.used
        hostPorts = old.hostPorts
        podCount = old.podCount
        podsByOwner = old.podsByOwner
    }

    mutating func add(_ pod: PodRequest) {
        used.add(pod.resources)
        hostPorts.formUnion(pod.hostPorts)
        podCount += 1
        podsByOwner[pod.owner, default: 0] += 1
    }

    mutating func remove(_ pod: PodRequest) {
        used.subtract(pod.resources)
        hostPorts.subtract(pod.hostPorts)
        podCount = max(0, podCount - 1)
        let left = (podsByOwner[pod.owner] ?? 1) - 1
        podsByOwner[pod.owner] = left > 0 ? left : nil
    }
}
