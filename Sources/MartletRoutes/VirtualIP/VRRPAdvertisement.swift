public import MartletBase

/// The versions of VRRP.
public enum VRRPVersion: UInt8, Sendable, Hashable, CaseIterable {
    /// RFC 3768: IPv4 alone, intervals in seconds.
    case two = 2
    /// RFC 9568: both kinds of addresses, intervals in hundredths of a second.
    case three = 3
}

/// What the checksum of an IPv4 advertisement of version 3 covers. Both forms are taken from others; version 2 has the
/// message's alone, IPv6 the pseudo-header always.
public enum VRRPChecksum: String, Sendable, Hashable, CaseIterable {
    /// The message (RFC 9568, 5.2.8).
    case message
    /// The message behind a pseudo-header of both addresses, protocol and length, as keepalived has it.
    case pseudoHeader = "pseudo-header"
}

/// A message of IP protocol 112 as it came, with what the IP header said.
public struct VRRPPacket: Sendable, Hashable {
    /// Who sent it.
    public var source: IPAddress
    /// Whom it was sent to: the group, or one of our addresses.
    public var destination: IPAddress
    /// The IP header's TTL or hop limit: 255 when no router has passed it on.
    public var hopLimit: UInt8
    /// What came behind the IP header.
    public var bytes: [UInt8]

    /// A packet from its parts.
    public init(source: IPAddress, destination: IPAddress, hopLimit: UInt8, bytes: [UInt8]) {
        self.source = source
        self.destination = destination
        self.hopLimit = hopLimit
        self.bytes = bytes
    }
}

/// What the active router of a virtual router says: that it lives, and of which addresses (RFC 9568, 5; RFC 3768, 5).
public struct VRRPAdvertisement: Sendable, Hashable {
    /// The version it is written in.
    public var version: VRRPVersion
    /// The number of the virtual router on its link (VRID), 1 to 255.
    public var routerID: UInt8
    /// 1 to 254; 255 for who owns the addresses; 0 for who gives them up.
    public var priority: UInt8
    /// How often it is sent, in hundredths of a second: 1 to 4095, in version 2 whole seconds up to 255.
    public var centiseconds: Int
    /// The virtual addresses, all of one kind.
    public var addresses: [IPAddress]

    /// An advertisement from its parts.
    public init(
        version: VRRPVersion, routerID: UInt8, priority: UInt8, centiseconds: Int, addresses: [IPAddress]
    ) {
        self.version = version
        self.routerID = routerID
        self.priority = priority
        self.centiseconds = centiseconds
        self.addresses = addresses
    }

    /// The number of VRRP among IP's protocols.
    public static let protocolNumber: UInt8 = 112
    /// The TTL or hop limit that it is sent with, and must arrive with.
    public static let hopLimit: UInt8 = 255
    /// What Ethernet pads a shorter IPv4 payload to.
    private static let paddedBytes = 26
    /// Version 2 ends with so many bytes of authentication, which are zero.
    private static let authenticationBytes = 8

    /// Where all routers of a link hear it.
    public static func group(_ family: IPAddress.Family) -> IPAddress {
        let group = family == .ipv4 ? IPAddress(ipv4: 0xE000_0012) : IPAddress("ff02::12")
        return group ?? IPAddress(ipv4: 0xE000_0012)
    }

    /// The message as it is sent.
    public func encoded(
        from source: IPAddress, to destination: IPAddress, checksum form: VRRPChecksum = .message
    ) -> [UInt8] {
        var bytes: [UInt8] = [version.rawValue << 4 | 1, routerID, priority, UInt8(clamping: addresses.count)]
        switch version {
        case .two: bytes += [0, UInt8(clamping: centiseconds / 100)]
        case .three: bytes += [UInt8(centiseconds >> 8 & 15), UInt8(centiseconds & 255)]
        }
        bytes += [0, 0]
        for address in addresses.prefix(255) { bytes += address.bytes }
        if version == .two { bytes += [UInt8](repeating: 0, count: Self.authenticationBytes) }
        var sum = InternetChecksum()
        if source.family == .ipv6 || version == .three && form == .pseudoHeader {
            sum.addPseudoHeader(source, destination, Self.protocolNumber, count: bytes.count)
        }
        sum.add(bytes)
        bytes[6] = UInt8(sum.value >> 8)
        bytes[7] = UInt8(sum.value & 255)
        return bytes
    }

    /// Reads a packet.
    /// - Throws: ``VRRPRefusal`` with the first thing that is wrong, in the order of RFC 9568, 7.1.
    public init(_ packet: VRRPPacket) throws(VRRPRefusal) {
        let bytes = packet.bytes
        guard packet.hopLimit == Self.hopLimit else { throw .hopLimit(packet.hopLimit) }
        guard bytes.count >= 8 else { throw .short(bytes.count) }
        guard let version = VRRPVersion(rawValue: bytes[0] >> 4) else { throw .version(bytes[0] >> 4) }
        guard bytes[0] & 15 == 1 else { throw .type(bytes[0] & 15) }
        let family = packet.source.family
        guard packet.destination.family == family, version == .three || family == .ipv4 else {
            throw .version(version.rawValue)
        }
        let size = family.bits / 8
        let addressEnd = 8 + Int(bytes[3]) * size
        let end = addressEnd + (version == .two ? Self.authenticationBytes : 0)
        guard bytes.count >= end else { throw .short(bytes.count) }
        guard bytes.count == end || bytes.count <= Self.paddedBytes else { throw .long(bytes.count) }
        guard Self.isWhole(bytes[..<end], packet, version) else { throw .checksum }
        guard bytes[1] != 0 else { throw .routerID }
        guard bytes[3] != 0 else { throw .noAddresses }
        if version == .two, bytes[4] != 0 { throw .authentication(bytes[4]) }
        let interval = version == .two ? Int(bytes[5]) * 100 : Int(bytes[4] & 15) << 8 | Int(bytes[5])
        guard interval > 0 else { throw .interval(0) }
        self.init(
            version: version, routerID: bytes[1], priority: bytes[2], centiseconds: interval,
            addresses: stride(from: 8, to: addressEnd, by: size).compactMap { IPAddress(bytes: bytes[$0..<$0 + size]) })
    }

    /// Whether the checksum is right, in one of its forms.
    private static func isWhole(_ bytes: ArraySlice<UInt8>, _ packet: VRRPPacket, _ version: VRRPVersion) -> Bool {
        var message = InternetChecksum()
        message.add(bytes)
        if packet.source.family == .ipv4, message.value == 0 { return true }
        guard version == .three else { return false }
        message.addPseudoHeader(packet.source, packet.destination, protocolNumber, count: bytes.count)
        return message.value == 0
    }
}

/// Why a packet of VRRP is not obeyed.
public enum VRRPRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// A router has passed it on: who sent it is not on the link.
    case hopLimit(UInt8)
    /// A version that there is not, or that the virtual router does not speak.
    case version(UInt8)
    /// No advertisement.
    case type(UInt8)
    /// Fewer bytes than its own counts ask for.
    case short(Int)
    /// More bytes than Ethernet would have padded it to.
    case long(Int)
    /// The checksum is wrong in both of its forms.
    case checksum
    /// A virtual router without a number.
    case routerID
    /// It names no address.
    case noAddresses
    /// Version 2 with a password, which RFC 3768 has given up.
    case authentication(UInt8)
    /// Version 2, and its interval is not ours; or none at all. In hundredths of a second.
    case interval(Int)
    /// Its addresses are none of ours: somebody else uses the same number for a virtual router.
    case foreignAddresses([IPAddress])
    /// Its sender is none of the peers.
    case stranger
    /// Its sender has our own address.
    case ourAddress

    /// What is wrong, and what to do where it is somebody's mistake.
    public var description: String {
        switch self {
        case .hopLimit(let limit): "its hop limit is \(limit), so that it does not come from this link"
        case .version(let version): "it is of version \(version); set --vip-version alike everywhere"
        case .type(let type): "it is of type \(type), and not an advertisement"
        case .short(let count): "it is cut off after \(count) bytes"
        case .long(let count): "it has \(count) bytes, more than it tells of"
        case .checksum: "its checksum is wrong"
        case .routerID: "it has no router ID"
        case .noAddresses: "it names no address"
        case .authentication(let type): "it has authentication of type \(type): switch that off at its sender"
        case .interval(let interval): "its interval is \(interval * 10) ms; set --vip-interval alike everywhere"
        case .foreignAddresses(let addresses):
            "it is of other addresses (\(addresses.prefix(4).map(\.description).joined(separator: ", "))): somebody "
                + "else on this link uses our router ID, so give one of both another with --vip-router-id"
        case .stranger: "its sender is none of --vip-peers"
        case .ourAddress: "its sender has this machine's own address"
        }
    }

    /// A number for each kind, whatever it carries.
    var kind: Int {
        switch self {
        case .hopLimit: 0
        case .version: 1
        case .type: 2
        case .short: 3
        case .long: 4
        case .checksum: 5
        case .routerID: 6
        case .noAddresses: 7
        case .authentication: 8
        case .interval: 9
        case .foreignAddresses: 10
        case .stranger: 11
        case .ourAddress: 12
        }
    }
}

/// The checksum of IP's protocols (RFC 1071).
struct InternetChecksum {
    private var sum: UInt32 = 0

    /// Adds bytes that begin at an even place.
    mutating func add(_ bytes: some Sequence<UInt8>) {
        var isHigh = true
        for byte in bytes {
            sum += isHigh ? UInt32(byte) << 8 : UInt32(byte)
            isHigh.toggle()
            // Folded at once: no count of bytes makes it overflow.
            if isHigh { sum = sum & 0xFFFF + sum >> 16 }
        }
    }

    /// Adds what stands for the IP header (RFC 8200, 8.1; for IPv4 that of TCP and UDP).
    mutating func addPseudoHeader(_ source: IPAddress, _ destination: IPAddress, _ number: UInt8, count: Int) {
        add(source.bytes + destination.bytes)
        add([0, number, UInt8(count >> 8 & 255), UInt8(count & 255)])
    }

    /// The checksum: over a message that holds its own, 0.
    var value: UInt16 { ~UInt16(truncatingIfNeeded: (sum & 0xFFFF) + sum >> 16) }
}
