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
    /// What it asks for, and what it still holds of what it asked for before.
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
        resources = Resources(pod: pod)
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

    /// What a pod needs of its node: its containers and sidecars together, or what an init container asks for beside
    /// the sidecars before it where that is more (KEP-753), plus overhead.
    ///
    /// A container that runs needs the most of what it asks for, what its node has set aside for it, and what it has:
    /// they differ while a resize is on its way. A resize that the node can never carry out counts for nothing
    /// (KEP-1287).
    public init(pod: JSON) {
        let isInfeasible = (pod["status", "conditions"]?.array ?? []).contains {
            $0["type"] == "PodResizePending" && $0["status"] == "True" && $0["reason"] == "Infeasible"
        }
        func needs(_ container: JSON, _ list: String) -> Resources {
            let asked = Resources(list: container["resources", "requests"])
            let statuses = pod["status", list]?.array ?? []
            guard let status = statuses.first(where: { $0["name"] == container["name"] }) else { return asked }
            var held = Resources(list: status["allocatedResources"])
            held.raise(to: Resources(list: status["resources", "requests"]))
            if isInfeasible && !held.amounts.isEmpty { return held }
            held.raise(to: asked)
            return held
        }
        var (sum, sidecars, peak) = (Resources(), Resources(), Resources())
        for container in pod["spec", "containers"]?.array ?? [] { sum.add(needs(container, "containerStatuses")) }
        for container in pod["spec", "initContainers"]?.array ?? [] {
            var one = needs(container, "initContainerStatuses")
            if container["restartPolicy"] == "Always" {
                sum.add(one)
                sidecars.add(one)
                one = Resources()
            }
            one.add(sidecars)
            peak.raise(to: one)
        }
        sum.raise(to: peak)
        sum.add(Resources(list: pod["spec", "overhead"]))
        self = sum
    }

    /// Raises each amount to what the other has, where that is more.
    mutating func raise(to other: Resources) { amounts.merge(other.amounts) { max($0, $1) } }

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
