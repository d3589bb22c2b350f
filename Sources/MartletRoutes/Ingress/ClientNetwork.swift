public import MartletBase

extension IPAddress {
    /// How load balancers may write an address of IPv4 (RFC 4291, 2.5.5.2).
    private static let mapped = IPRange("::ffff:0:0/96")

    /// What counts as one client: an address of IPv4, and of IPv6 a network of 64 bits. Whoever has one of its
    /// addresses has all, and could come from another one each time.
    public var clientNetwork: IPAddress {
        family == .ipv4 || Self.mapped?.contains(self) == true ? self : masked(64)
    }
}
