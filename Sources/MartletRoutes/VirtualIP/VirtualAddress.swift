public import MartletBase

/// A virtual address with the length of its network, as `192.0.2.10/24`.
public struct VirtualAddress: Sendable, Hashable, CustomStringConvertible {
    /// The address.
    public var address: IPAddress
    /// How many bits of it name its network: 32 or 128 for none.
    public var length: Int

    /// Reads `192.0.2.10/24`, or an address alone; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { return nil }
            self.address = address
            length = address.family.bits
            return
        }
        guard let address = IPAddress(text[..<slash]), let range = IPRange(text), range.length > 0 else { return nil }
        self.address = address
        length = range.length
    }

    /// As it is written.
    public var description: String { "\(address)/\(length)" }
}

/// Where on a machine the virtual addresses of one kind are held.
public struct VirtualAddressPlace: Sendable, Hashable {
    /// The device.
    public var device: String
    /// Its number.
    public var link: Int32
    /// Its hardware address; nil where it needs none, and nothing is announced.
    public var hardware: HardwareAddress?
    /// The machine's own address on it, which advertisements come from.
    public var ownAddress: IPAddress

    /// Chooses it.
    /// - Parameters:
    ///   - interface: the device's name; nil for that of the node's address.
    ///   - node: the machine's own address.
    ///   - links: the machine's devices.
    ///   - present: their addresses.
    /// - Throws: ``VirtualAddressProblem`` that says what to do.
    public init(
        for addresses: [VirtualAddress], interface: String?, node: IPAddress?, links: [NetworkLink],
        present: [LinkAddress]
    ) throws(VirtualAddressProblem) {
        guard let family = addresses.first?.address.family else { throw .init("there is no virtual address") }
        let chosen =
            if let interface { links.first { $0.name == interface } } else {
                links.first { link in present.contains { $0.link == link.index && $0.address == node } }
            }
        guard let chosen else {
            throw .init(
                interface.map { "there is no interface \($0): name another one with --vip-interface" }
                    ?? "no interface has this node's address: name one with --vip-interface")
        }
        guard chosen.isUp else { throw .init("the interface \(chosen.name) is down: ip link set \(chosen.name) up") }
        let virtual = Set(addresses.map(\.address))
        let own = present.filter {
            $0.link == chosen.index && $0.address.family == family && !virtual.contains($0.address)
        }.map(\.address)
        // RFC 9568, 5.1.2.1: IPv6 advertises from the link-local address, which each device has.
        let source =
            family == .ipv6
            ? own.first { $0.isLinkLocal } : own.first { $0 == node } ?? own.first { !$0.isLinkLocal }
        guard let source else {
            throw .init(
                "the interface \(chosen.name) has no \(family == .ipv6 ? "link-local IPv6" : "IPv4") address of its "
                    + "own to advertise \(addresses[0]) from: give it one, or name another with --vip-interface")
        }
        device = chosen.name
        link = chosen.index
        hardware = chosen.hardwareAddress
        ownAddress = source
    }
}

/// Why virtual addresses cannot be held here, and what to do.
public struct VirtualAddressProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The words.
    public var description: String

    /// A problem in words.
    public init(_ description: String) { self.description = description }
}
