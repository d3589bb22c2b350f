public import MartletBase

/// Tells a link at which hardware address a virtual address is now, as Ethernet frames: switches and the tables of
/// neighbours follow.
public enum AddressAnnouncement {
    /// The frames of one announcement of one address.
    ///
    /// IPv4: gratuitous ARP as a request, as keepalived sends it, and as a reply (RFC 5227, 3: some heed only one of
    /// both). IPv6: an unsolicited neighbour advertisement that overrides (RFC 4861, 7.2.6).
    public static func frames(_ address: IPAddress, at hardware: HardwareAddress) -> [[UInt8]] {
        switch address.family {
        case .ipv4: [arp(1, address, hardware), arp(2, address, hardware)]
        case .ipv6: [neighbourAdvertisement(address, hardware)]
        }
    }

    private static let everyone = [UInt8](repeating: 0xFF, count: 6)

    private static func arp(_ operation: UInt8, _ address: IPAddress, _ hardware: HardwareAddress) -> [UInt8] {
        everyone + hardware.bytes + [0x08, 0x06]  // Ethernet
            + [0, 1, 0x08, 0, 6, 4, 0, operation]
            + hardware.bytes + address.bytes + everyone + address.bytes
    }

    private static func neighbourAdvertisement(_ address: IPAddress, _ hardware: HardwareAddress) -> [UInt8] {
        let allNodes: [UInt8] = [0xFF, 2] + [UInt8](repeating: 0, count: 13) + [1]
        // Not a router, not asked for, overrides; the option of the target's own hardware address.
        var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0] + address.bytes + [2, 1] + hardware.bytes
        var sum = InternetChecksum()
        sum.add(address.bytes + allNodes)
        sum.add([0, 58, 0, UInt8(message.count)])
        sum.add(message)
        message[2] = UInt8(sum.value >> 8)
        message[3] = UInt8(sum.value & 255)
        return [0x33, 0x33, 0, 0, 0, 1] + hardware.bytes + [0x86, 0xDD]
            + [0x60, 0, 0, 0, 0, UInt8(message.count), 58, 255] + address.bytes + allNodes + message
    }

    /// When addresses are announced after they have come: at once, then after ``again``, then every ``period``.
    public struct Schedule: Sendable, Hashable {
        /// Longer than the second for which Linux and others heed no second word of a neighbour.
        public static let again = Duration.milliseconds(1_100)
        /// For who has missed both.
        public static let period = Duration.seconds(30)

        /// When the next announcement is due.
        public private(set) var next: MonotonicTime

        /// A schedule whose first announcement is made now.
        public init(at now: MonotonicTime) { next = now + Self.again }

        /// Whether an announcement is due; then the next one is a period away.
        public mutating func take(at now: MonotonicTime) -> Bool {
            if now < next { return false }
            next = now + Self.period
            return true
        }
    }
}
