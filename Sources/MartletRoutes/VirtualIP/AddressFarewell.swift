public import MartletBase

/// How open connections outlive a planned move of virtual addresses: who gave them up keeps them for what is open,
/// and is silent about it on the link; who took them over hands packets on that are of no connection of its own.
public struct AddressFarewell: Sendable, Hashable {
    /// How long: connections that are open for longer end then.
    public static let lasts = Duration.seconds(600)

    /// The virtual addresses, all of one kind.
    public var addresses: [IPAddress]
    /// The number of the virtual router: its tables have it in their names.
    public var routerID: UInt8

    /// A farewell to these addresses.
    public init(addresses: [IPAddress], routerID: UInt8) {
        self.addresses = addresses
        self.routerID = routerID
    }

    private var table: String { "martlet-vip-\(routerID)" }
    private var isSix: Bool { addresses.first?.family == .ipv6 }
    private var family: NftFamily { isSix ? .ipv6 : .ipv4 }

    // MARK: Who gave them up

    /// Neither answers for the addresses nor names them when it asks for others; nil where the kernel sees to that
    /// itself (IPv6: the addresses are on another device).
    public func silence(own: IPAddress) -> NftTransaction? {
        if isSix { return nil }
        var heard: [NftRule] = []
        var said: [NftRule] = []
        for address in addresses {
            heard.append([
                .payload(.network, offset: ARP.target, length: 4), .compare(.first, .equal, address.bytes),
                .verdict(.drop),
            ])
            said.append([
                .payload(.network, offset: ARP.sender, length: 4), .compare(.first, .equal, address.bytes),
                .constant(own.bytes, into: .first), .write(offset: ARP.sender, length: 4, from: .first),
            ])
        }
        return NftTransaction(
            .arp, table: table,
            [
                .addTable, .removeTable, .addTable,
                .addChain(NftChain("heard", hook: NftHook(.filter, .arpInput, 0), heard)),
                .addChain(NftChain("said", hook: NftHook(.filter, .arpOutput, 0), said)),
            ])
    }

    /// Ends ``silence(own:)``.
    public var speech: NftTransaction? { isSix ? nil : .removal(.arp, table: table) }

    // MARK: Who took them over

    /// Hands on what is of no connection of this machine: a connection that it has not seen begin.
    /// - Parameters:
    ///   - other: the machine's own address who gave the addresses up.
    ///   - device: the number of the device that leads there.
    public func handOn(to other: IPAddress, device: Int32) -> NftTransaction {
        var rules: [NftRule] = []
        let neighbour = NftRegister(4)
        let link = NftRegister(8)
        for address in addresses {
            let isUnderWay = underWay(address)
            rules.append(isUnderWay + [.socketIsWildcard(), .compare(.first, .equal, [0]), .verdict(.accept)])
            rules.append(
                isUnderWay + [
                    .connectionState(), .bitwise(mask: Self.unknown, flip: [0, 0, 0, 0]),
                    .compare(.first, .unequal, [0, 0, 0, 0]), .constant(other.bytes, into: neighbour),
                    .constant(withUnsafeBytes(of: device) { Array($0) }, into: link),
                    .duplicate(to: neighbour, device: link), .verdict(.drop),
                ])
        }
        return NftTransaction(
            family, table: table,
            [
                .addTable, .removeTable, .addTable,
                .addChain(NftChain("handed-on", hook: NftHook(.filter, .prerouting, -150), rules)),
            ])
    }

    /// Ends ``handOn(to:device:)``.
    public var keepToItself: NftTransaction { .removal(family, table: table) }

    /// NF_CT_STATE_INVALID_BIT and that of new connections, in the machine's order.
    private static let unknown = withUnsafeBytes(of: UInt32(1 | 8)) { Array($0) }

    /// TCP for the address, but no first packet of a connection.
    private func underWay(_ address: IPAddress) -> NftRule {
        [
            .payload(.network, offset: isSix ? 24 : 16, length: address.bytes.count),
            .compare(.first, .equal, address.bytes), .meta(.protocolNumber), .compare(.first, .equal, [6]),
            .payload(.transport, offset: TCP.flags, length: 1),
            .bitwise(mask: [TCP.end | TCP.begin | TCP.reset | TCP.acknowledge], flip: [0]),
            .compare(.first, .unequal, [TCP.begin]),
        ]
    }

    /// Where things are in ARP for IPv4 over Ethernet (RFC 826).
    private enum ARP { static let sender = 14, target = 24 }
    /// RFC 9293, 3.1.
    private enum TCP {
        static let flags = 13
        static let end: UInt8 = 1, begin: UInt8 = 2, reset: UInt8 = 4, acknowledge: UInt8 = 16
    }
}
