public import MartletBase

/// A network device, as far as a pod network cares.
public struct NetworkLink: Sendable, Hashable {
    /// The kernel's number of it.
    public var index: Int32
    /// As `eth0`.
    public var name: String
    /// The largest packet.
    public var mtu: UInt32
    /// Whether it is set up.
    public var isUp: Bool
    /// Its hardware address, where it has one.
    public var hardwareAddress: HardwareAddress?
    /// The number of the bridge that it hangs on; 0 for none.
    public var master: Int32
    /// `vxlan`, `bridge`, `veth`, ...; empty for hardware.
    public var kind: String
    /// What a VXLAN device is set to.
    public var vxlan: VXLANSettings?

    /// A device from its parts.
    public init(
        index: Int32, name: String, mtu: UInt32, isUp: Bool, hardwareAddress: HardwareAddress?, master: Int32,
        kind: String, vxlan: VXLANSettings?
    ) {
        self.index = index
        self.name = name
        self.mtu = mtu
        self.isUp = isUp
        self.hardwareAddress = hardwareAddress
        self.master = master
        self.kind = kind
        self.vxlan = vxlan
    }
}

/// What a VXLAN device is set to (RFC 7348).
public struct VXLANSettings: Sendable, Hashable {
    /// The number of the network (VNI).
    public var id: UInt32
    /// The UDP port.
    public var port: UInt16
    /// The address that its packets come from.
    public var local: IPAddress?
    /// Whether it learns from packets where hardware addresses are.
    public var isLearning: Bool
    /// The number of the device that its packets leave by; 0: as routes say.
    public var uplink: Int32

    /// Settings from their parts.
    public init(id: UInt32, port: UInt16, local: IPAddress?, isLearning: Bool, uplink: Int32) {
        self.id = id
        self.port = port
        self.local = local
        self.isLearning = isLearning
        self.uplink = uplink
    }
}

/// An Ethernet address.
public struct HardwareAddress: Sendable, Hashable, CustomStringConvertible {
    /// Its six bytes, as the lower bits of a number.
    private let number: UInt64

    /// Six bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        number = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads `02:00:00:00:00:01`; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part in
            (1...2).contains(part.utf8.count) && part.allSatisfy(\.isHexDigit) ? UInt8(part, radix: 16) : nil
        }
        guard parts.count == 6, bytes.count == 6 else { return nil }
        self.init(bytes: bytes)
    }

    /// One of our own making that follows from a text: locally administered, for one device.
    public init(from text: String) {
        // FNV-1a, 64 bits.
        let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        number = (hash ^ hash >> 48) & 0xFCFF_FFFF_FFFF | 0x0200_0000_0000
    }

    /// The six bytes.
    public var bytes: [UInt8] { stride(from: 40, through: 0, by: -8).map { UInt8(number >> UInt64($0) & 255) } }

    /// Whether it is one device's: neither a group's nor all zeros.
    var isUnicast: Bool { number != 0 && number >> 40 & 1 == 0 }

    /// As `02:00:00:00:00:01`.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

/// An address of a device, with the length of its network.
public struct LinkAddress: Sendable, Hashable {
    /// The device's number.
    public var link: Int32
    /// The address.
    public var address: IPAddress
    /// How many bits name the network.
    public var length: Int

    /// An address from its parts.
    public init(link: Int32, address: IPAddress, length: Int) {
        self.link = link
        self.address = address
        self.length = length
    }
}

/// A route of the main table.
public struct NetworkRoute: Sendable, Hashable {
    /// Marks routes as made by us; a number that no known program uses (see /etc/iproute2/rt_protos).
    public static let ourProtocol: UInt8 = 77

    /// Where it leads.
    public var destination: IPRange
    /// Who passes packets on; nil when the destination is on the link.
    public var gateway: IPAddress?
    /// The device's number.
    public var link: Int32
    /// Whether the gateway is taken to be on the link, whatever addresses say.
    public var isOnLink: Bool
    /// Who made it.
    public var origin: UInt8

    /// A route of ours.
    public init(destination: IPRange, gateway: IPAddress?, link: Int32, isOnLink: Bool) {
        self.destination = destination
        self.gateway = gateway
        self.link = link
        self.isOnLink = isOnLink
        origin = Self.ourProtocol
    }
}

/// Which hardware address belongs to an IP address (a neighbour), or behind which IP address a hardware address is to
/// be found (an entry of a VXLAN device's forwarding database).
public struct NetworkNeighbour: Sendable, Hashable {
    /// The device's number.
    public var link: Int32
    /// The IP address.
    public var address: IPAddress
    /// The hardware address.
    public var hardwareAddress: HardwareAddress
    /// Whether it never expires.
    public var isPermanent: Bool

    /// A permanent entry.
    public init(link: Int32, address: IPAddress, hardwareAddress: HardwareAddress) {
        self.link = link
        self.address = address
        self.hardwareAddress = hardwareAddress
        isPermanent = true
    }
}
