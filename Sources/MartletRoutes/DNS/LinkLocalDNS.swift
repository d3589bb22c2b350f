public import MartletBase

/// A DNS at a link-local address (169.254.0.0/16), which is the same on every node, as node-local-dns has it: the
/// address is that of a device of its own, and its packets are not tracked. A tracked question costs the kernel more
/// than its answer, fills the table of connections, and two questions from one port at one time may lose one another.
public struct LinkLocalDNS: Sendable, Hashable {
    /// The address.
    public var address: IPAddress
    /// The port.
    public var port: UInt16
    /// The device's name.
    public var device: String
    /// The name of the nftables table.
    public var table: String

    /// Kinds of devices that keep an address and need no cable, the usual one first. A kernel may lack it.
    public static let kinds = ["dummy", "bridge"]

    private static let range = IPRange(IPAddress(ipv4: 0xA9FE_0000), length: 16)
    /// The kernel's bound for names of devices.
    private static let longestName = 15

    /// Nil when the address is none of links: then it must be there already.
    /// - Parameter bridge: the bridge of this host's pods; names begin with it.
    public init?(address: String, port: UInt16, bridge: String) {
        guard let address = IPAddress(address), Self.range.contains(address) else { return nil }
        self.address = address
        self.port = port
        device = bridge.prefix(Self.longestName - 4) + "-dns"
        table = bridge + "-dns"
    }

    /// The next step to the device with its address; nil when all is there.
    public func step(
        _ link: NetworkLink?, _ addresses: [LinkAddress], kind: String
    ) -> NetlinkRequest? {
        guard let link else { return .addLink(device, kind: kind) }
        if !link.isUp { return .changeLink(link.index, isUp: true) }
        let own = LinkAddress(link: link.index, address: address, length: address.family.bits)
        return addresses.contains(own) ? nil : .addAddress(own)
    }

    /// The rules, in place of those that are there: before connections are tracked, questions and answers are taken
    /// out, on their way in and out.
    public var rules: NftTransaction {
        var transaction = NftTransaction.removal(.ipv4, table: table)
        let (to, from) = (OverlayRules.destination(IPRange(address)), OverlayRules.source(IPRange(address)))
        transaction.changes += [
            .addTable,
            .addChain(
                NftChain("prerouting", hook: NftHook(.filter, .prerouting, Self.beforeTracking), untracked(to, 2))),
            .addChain(
                NftChain(
                    "output", hook: NftHook(.filter, .output, Self.beforeTracking),
                    untracked(to, 2) + untracked(from, 0))),
        ]
        return transaction
    }

    private static let beforeTracking: Int32 = -300

    /// - Parameter offset: of the port in the transport's header.
    private func untracked(_ end: NftRule, _ offset: Int) -> [NftRule] {
        [17, 6].map { number in
            end + [
                .meta(.protocolNumber), .compare(.first, .equal, [number]),
                .payload(.transport, offset: offset, length: 2),
                .compare(.first, .equal, [UInt8(port >> 8), UInt8(port & 255)]), .untracked,
            ]
        }
    }
}
