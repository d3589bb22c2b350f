public import MartletBase
public import MartletObject

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
        let written = Set(snapshot.list(.node).flatMap(Self.ranges))
        // People may write a piece in other words, or take several: those are compared one by one.
        let own = Set(podCIDRs.map(\.nodePrefix))
        let foreign = written.compactMap(IPRange.init).filter { !own.contains($0.length) || !written.contains("\($0)") }
        let free = podCIDRs.compactMap { whole in
            (0..<whole.count).lazy.map(whole.range).first { text in
                guard !written.contains(text), let piece = IPRange(text) else { return false }
                return !foreign.contains(where: piece.overlaps)
            }
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
