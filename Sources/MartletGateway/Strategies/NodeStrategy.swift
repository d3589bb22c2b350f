internal import MartletObject

extension Strategy {
    /// A node holds its ranges of pod addresses: no two have the same, whoever hands them out.
    static let node = Strategy(
        keepsStatusOnCreate: true,
        prepareForCreate: { alignRanges(&$0) },
        prepareForUpdate: { node, _ in alignRanges(&node) },
        holdings: { node in
            let ranges = node["spec", "podCIDRs"]?.array ?? node["spec", "podCIDR"].map { [$0] } ?? []
            return Set(ranges.compactMap(\.string).map { Keys.allocation("podcidrs", $0) })
        })

    /// As upstream's two forms of a node: `podCIDR` is the first of `podCIDRs`, and counts where the two differ.
    private static func alignRanges(_ node: inout JSON) {
        let first = node["spec", "podCIDR"]?.string ?? ""
        let ranges = node["spec", "podCIDRs"]?.array ?? []
        if !first.isEmpty, ranges.first?.string != first {
            node["spec", "podCIDRs"] = [.string(first)]
        } else if first.isEmpty, let own = ranges.first {
            node["spec", "podCIDR"] = own
        }
    }
}
