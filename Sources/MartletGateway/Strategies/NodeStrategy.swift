internal import MartletObject

extension Strategy {
    /// A node holds its ranges of pod addresses: no two have the same, whoever hands them out.
    static let node = Strategy(
        keepsStatusOnCreate: true,
        holdings: { node in
            let ranges = node["spec", "podCIDRs"]?.array ?? node["spec", "podCIDR"].map { [$0] } ?? []
            return Set(ranges.compactMap(\.string).map { Keys.allocation("podcidrs", $0) })
        })
}
