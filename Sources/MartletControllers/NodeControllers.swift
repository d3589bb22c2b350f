public import MartletBase
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

/// A range from which nodes get their own, as `10.244.0.0/16` in pieces of /24, or `fd00:244::/48` in pieces of /64.
public struct PodCIDR: Sendable, Hashable {
    /// The most pieces of one range, as upstream.
    private static let longestPiece = 16

    /// The whole range.
    public var whole: IPRange
    /// Length of one node's prefix.
    public var nodePrefix: Int

    /// Reads a range; nil when it is none, has no room for one node's piece, or room for more than 65,536.
    public init?(_ text: String) {
        guard let whole = IPRange(text) else { return nil }
        self.whole = whole
        nodePrefix = whole.family == .ipv4 ? 24 : 64
        guard (0...Self.longestPiece).contains(nodePrefix - whole.length) else { return nil }
    }

    /// Reads one range, or one of each kind of addresses with a comma between them; nil for anything else.
    public static func list(_ text: String) -> [PodCIDR]? {
        let ranges = text.split(separator: ",", omittingEmptySubsequences: false).map { PodCIDR(String($0)) }
        let known = ranges.compactMap { $0 }
        return known.count == ranges.count && Set(known.map(\.whole.family)).count == known.count ? known : nil
    }

    /// How many nodes it has room for.
    public var count: Int { 1 << (nodePrefix - whole.length) }

    /// The range of node `index`, as `10.244.3.0/24`.
    public func range(_ index: Int) -> String { "\(whole.piece(index, length: nodePrefix))" }
}

/// Hands every node its range of pod addresses (kube-controller-manager's node IPAM controller, `RangeAllocator`).
public struct NodeRangeController: Controller {
    /// `node-ipam-controller`
    public let name = "node-ipam-controller"
    /// Nodes.
    public let kinds: [ResourceKind] = [.node]
    private let podCIDRs: [PodCIDR]

    /// A controller that hands out a piece of each range.
    public init(podCIDRs: [PodCIDR]) { self.podCIDRs = podCIDRs }

    /// The node.
    public func keys(for object: JSON, kind: ResourceKind, in snapshot: Snapshot) -> [ObjectKey] {
        [ObjectKey(.node, namespace: "", name: object.name)]
    }

    /// Gives the node the first pieces that no other has.
    public func reconcile(_ key: ObjectKey, in snapshot: Snapshot, _ context: inout ControllerContext) -> [Intent] {
        guard var node = snapshot.get(key), node["spec", "podCIDR"]?.string?.isEmpty ?? true else { return [] }
        let taken = Set(snapshot.list(.node).flatMap(Self.ranges))
        let free = podCIDRs.compactMap { whole in
            (0..<whole.count).lazy.map(whole.range).first { !taken.contains($0) }
        }
        guard let first = free.first, free.count == podCIDRs.count else {
            return [
                .event(
                    about: key, uid: node.uid, type: "Warning", reason: "CIDRNotAvailable",
                    message: "Node \(key.name) status is now: CIDRNotAvailable")
            ]
        }
        node["spec", "podCIDR"] = .string(first)
        node["spec", "podCIDRs"] = .array(free.map { .string($0) })
        return [.update(.node, node)]
    }

    private static func ranges(of node: JSON) -> [String] {
        let several = node["spec", "podCIDRs"]?.array?.compactMap(\.string) ?? []
        return several.isEmpty ? [node["spec", "podCIDR"]?.string].compactMap { $0 } : several
    }
}
