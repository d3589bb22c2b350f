public import MartletObject

/// What the scheduler reads of a pod, parsed once.
public struct PodRequest: Sendable, Hashable {
    /// Where the pod is.
    public var key: ObjectKey
    /// Its uid.
    public var uid: String
    /// The node it is bound to; empty when it waits.
    public var nodeName: String
    /// `spec.priority`, 0 when absent.
    public var priority: Int
    /// What it asks for: the greater of the sum over its containers and the largest init container, plus overhead.
    public var resources: Resources
    /// `spec.nodeSelector`
    public var nodeSelector: [String: String]
    /// `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
    public var affinityTerms: [JSON]?
    /// `spec.tolerations`
    public var tolerations: [Toleration]
    /// Host ports it needs, as `TCP/8080`.
    public var hostPorts: Set<String>
    /// The uid of its controller: pods of one controller are spread over the nodes.
    public var owner: String
    /// Whether its containers have all ended, so that it holds nothing any more.
    public var isFinished: Bool

    /// Reads a pod.
    public init(_ pod: JSON) {
        key = ObjectKey(.pod, namespace: pod.namespace, name: pod.name)
        uid = pod.uid
        nodeName = pod["spec", "nodeName"]?.string ?? ""
        priority = pod["spec", "priority"]?.int ?? 0
        resources = Resources(podSpec: pod["spec"] ?? .null)
        nodeSelector = pod["spec", "nodeSelector"]?.stringMap ?? [:]
        affinityTerms =
            pod[
                "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                "nodeSelectorTerms"]?.array
        tolerations = (pod["spec", "tolerations"]?.array ?? []).map(Toleration.init)
        owner = pod.controllerReference?["uid"]?.string ?? ""
        isFinished = ["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "")
        hostPorts = []
        for container in pod["spec", "containers"]?.array ?? [] {
            for port in container["ports"]?.array ?? [] {
                guard let number = port["hostPort"]?.int, number > 0 else { continue }
                hostPorts.insert("\(port["protocol"]?.string ?? "TCP")/\(number)")
            }
        }
    }
}

/// Amounts of what a node has and pods ask for, by resource name. CPU in thousandths of a core, all else whole.
public struct Resources: Sendable, Hashable {
    /// Amount by name: `cpu` in millicores, `memory` in bytes, ...
    public var amounts: [String: Int64]

    /// Amounts by name.
    public init(_ amounts: [String: Int64] = [:]) { self.amounts = amounts }

    /// Reads a resource list (`requests`, `allocatable`).
    public init(list: JSON?) {
        amounts = [:]
        for (name, value) in list?.members ?? [] {
            guard let quantity = Quantity(value) else { continue }
            amounts[name] = name == "cpu" ? quantity.milli : quantity.whole
        }
    }

    /// What a pod asks for (KEP-753's rule without restartable init containers).
    public init(podSpec spec: JSON) {
        var sum = Resources()
        for container in spec["containers"]?.array ?? [] {
            sum.add(Resources(list: container["resources", "requests"]))
        }
        for container in spec["initContainers"]?.array ?? [] {
            let one = Resources(list: container["resources", "requests"])
            sum.amounts.merge(one.amounts) { max($0, $1) }
        }
        sum.add(Resources(list: spec["overhead"]))
        self = sum
    }

    /// Adds amount by amount, saturating.
    public mutating func add(_ other: Resources) {
        amounts.merge(other.amounts) { a, b in
            let (sum, overflow) = a.addingReportingOverflow(b)
            return overflow ? .max : sum
        }
    }

    /// Takes away amount by amount, never below zero.
    public mutating func subtract(_ other: Resources) {
        for (name, amount) in other.amounts {
            amounts[name] = max(0, (amounts[name] ?? 0) - amount)
        }
    }
}
