internal import MartletBase
public import MartletObject

/// Says of nodes that have gone silent that nobody knows how they are, and keeps pods off nodes that are not ready
/// (what kube-controller-manager's node lifecycle controller does, but for evicting pods after a time).
public struct NodeLifecycleController: Controller {
    /// `node-controller`
    public let name = "node-controller"
    /// Nodes and their Leases.
    public let kinds: [ResourceKind] = [.node, .lease]
    /// How long a Lease may go without renewal (`--node-monitor-grace-period`).
    static let graceSeconds: Int64 = 40
    static let leaseNamespace = "kube-node-lease"

    /// A controller; it holds nothing.
    public init() {}

    /// The node, or the node of the Lease.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        if kind == .lease && object.namespace != Self.leaseNamespace { return [] }
        return [ObjectKey(.node, namespace: "", name: object.name)]
    }

    /// Turns conditions to Unknown when the Lease has run out, and sets the taints that follow from Ready.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard let node = snapshot.get(key) else { return [] }
        let lease = snapshot.get(.lease, namespace: Self.leaseNamespace, name: key.name)
        let renewed =
            [lease?["spec", "renewTime"], node["metadata", "creationTimestamp"]].lazy
            .compactMap { $0?.string.flatMap(WallTime.init(rfc3339:)) }.first ?? context.now
        let left = renewed.seconds + Self.graceSeconds - context.now.seconds
        if left > 0 {
            let look = Intent.requeue(key, afterMilliseconds: Int(left) * 1000 + 500)
            return taint(node, key) + [look]
        }
        let silent = Self.silenced(node, context.now)
        var intents = taint(silent, key)
        if silent["status"] != node["status"] {
            intents.append(.updateStatus(.node, silent))
            intents.append(
                .event(
                    about: key, uid: node.uid, type: "Normal", reason: "NodeNotReady",
                    message: "Node \(node.name) status is now: NodeNotReady"))
        }
        return intents
    }

    private static func silenced(_ node: JSON, _ now: WallTime) -> JSON {
        var node = node
        let conditions = (node["status", "conditions"]?.array ?? []).map { condition -> JSON in
            guard condition["status"]?.string != "Unknown" else { return condition }
            var condition = condition
            condition["status"] = "Unknown"
            condition["reason"] = "NodeStatusUnknown"
            condition["message"] = "Kubelet stopped posting node status."
            condition["lastTransitionTime"] = .string(now.rfc3339)
            return condition
        }
        node["status", "conditions"] = .array(conditions)
        return node
    }

    /// `not-ready` and `unreachable` keep new pods away.
    private func taint(_ node: JSON, _ key: ObjectKey) -> [Intent] {
        let ready = PodFacts.condition("Ready", of: node)?["status"]?.string
        let managed = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        let wished = ready == "True" ? nil : ready == "Unknown" ? managed[1] : managed[0]
        let before = node["spec", "taints"]?.array ?? []
        var taints = before.filter { taint in
            guard taint["effect"]?.string == "NoSchedule", let name = taint["key"]?.string, managed.contains(name)
            else {
                return true
            }
            return name == wished
        }
        if let wished, !taints.contains(where: { $0["key"]?.string == wished && $0["effect"]?.string == "NoSchedule" })
        {
            taints.append(["key": .string(wished), "effect": "NoSchedule"])
        }
        guard taints != before else { return [] }
        var changed = node
        changed["spec", "taints"] = taints.isEmpty ? nil : .array(taints)
        return [.update(.node, changed)]
    }
}

/// An IPv4 range from which nodes get their own, as `10.244.0.0/16` in pieces of /24.
public struct PodCIDR: Sendable, Hashable {
    /// The first address.
    public var base: UInt32
    /// Length of the whole range's prefix.
    public var prefix: Int
    /// Length of one node's prefix.
    public var nodePrefix: Int

    /// Reads `10.244.0.0/16`; nil when it is no such range, or has no room for one node's piece.
    public init?(_ text: String, nodePrefix: Int = 24) {
        let halves = text.split(separator: "/")
        let octets = (halves.first ?? "").split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard halves.count == 2, octets.count == 4, !octets.contains(nil), let prefix = Int(halves[1]),
            (8...nodePrefix).contains(prefix), nodePrefix <= 30
        else { return nil }
        let address = octets.reduce(UInt32(0)) { $0 << 8 | UInt32($1 ?? 0) }
        base = address & (UInt32.max << UInt32(32 - prefix))
        self.prefix = prefix
        self.nodePrefix = nodePrefix
    }

    /// How many nodes it has room for.
    public var count: Int { 1 << (nodePrefix - prefix) }

    /// The range of node `index`, as `10.244.3.0/24`.
    public func range(_ index: Int) -> String {
        let address = base &+ UInt32(index) << UInt32(32 - nodePrefix)
        let octets = [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }
        return octets.joined(separator: ".") + "/\(nodePrefix)"
    }
}

/// Hands every node its range of pod addresses (kube-controller-manager's node IPAM controller, `RangeAllocator`).
public struct NodeRangeController: Controller {
    /// `node-ipam-controller`
    public let name = "node-ipam-controller"
    /// Nodes.
    public let kinds: [ResourceKind] = [.node]
    private let podCIDR: PodCIDR

    /// A controller that hands out pieces of `podCIDR`.
    public init(podCIDR: PodCIDR) { self.podCIDR = podCIDR }

    /// The node.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        [ObjectKey(.node, namespace: "", name: object.name)]
    }

    /// Gives the node the first piece that no other has.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var node = snapshot.get(key), node["spec", "podCIDR"]?.string?.isEmpty ?? true else { return [] }
        let taken = Set(snapshot.list(.node).compactMap { $0["spec", "podCIDR"]?.string })
        guard let free = (0..<podCIDR.count).lazy.map(podCIDR.range).first(where: { !taken.contains($0) }) else {
            return [
                .event(
                    about: key, uid: node.uid, type: "Warning", reason: "CIDRNotAvailable",
                    message: "Node \(key.name) status is now: CIDRNotAvailable")
            ]
        }
        node["spec", "podCIDR"] = .string(free)
        node["spec", "podCIDRs"] = [.string(free)]
        return [.update(.node, node)]
    }
}
