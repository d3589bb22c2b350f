public import MartletBase

/// What a router of a virtual router is set to; alike on all of its routers but for priority and own address.
public struct VirtualRouterSettings: Sendable, Hashable {
    /// The version it speaks.
    public var version = VRRPVersion.three
    /// The form of the checksum that it sends.
    public var checksum = VRRPChecksum.message
    /// The number of the virtual router (VRID).
    public var routerID: UInt8
    /// 1 to 254, or 255 for who owns the addresses.
    public var priority: UInt8
    /// How often it advertises, in hundredths of a second.
    public var centiseconds: Int
    /// The virtual addresses, all of one kind.
    public var addresses: [IPAddress]
    /// The address that it sends from: of the same kind, in IPv6 a link-local one.
    public var ownAddress: IPAddress
    /// The other routers, where no multicast is used.
    public var peers: [IPAddress] = []
    /// Whether it takes the addresses from an active router of lower priority.
    public var preempts = true
    /// How long it waits with that after it has begun, or has become fit.
    public var preemptDelay = Duration.zero

    /// Settings from what each router needs; the rest has defaults.
    public init(
        routerID: UInt8, priority: UInt8, centiseconds: Int, addresses: [IPAddress], ownAddress: IPAddress
    ) {
        self.routerID = routerID
        self.priority = priority
        self.centiseconds = centiseconds
        self.addresses = addresses
        self.ownAddress = ownAddress
    }

    /// The priority of a machine among others, by the order of their names: every one of them works out the same, and
    /// no two have the same while there are fewer than 25. High ones make short skews.
    public static func priority(of name: String, among names: [String]) -> UInt8 {
        let rank = names.sorted().firstIndex(of: name) ?? names.count
        return UInt8(clamping: max(10, 250 - 10 * rank))
    }

    /// The priority of a machine that has lost the majority of the others: those that have not go first, and among its
    /// likes the order stays. An owner's (255) stays as it is.
    public static func priorityAlone(_ priority: UInt8) -> UInt8 { priority == 255 ? 255 : max(1, priority / 2) }

    /// The kind of its addresses.
    public var family: IPAddress.Family { ownAddress.family }

    /// Whom it sends to.
    public var destinations: [IPAddress] { peers.isEmpty ? [VRRPAdvertisement.group(family)] : peers }

    /// The most virtual addresses of one virtual router: they are all in one message.
    public static let addressLimit = 20

    /// What is wrong with them; nil when nothing is.
    public var problem: String? {
        if routerID == 0 { return "a router ID is a number from 1 to 255" }
        if priority == 0 { return "a priority is a number from 1 to 255" }
        if addresses.isEmpty || addresses.count > Self.addressLimit {
            return "a virtual router has 1 to \(Self.addressLimit) addresses"
        }
        if addresses.contains(where: { $0.family != family }) { return "its addresses are of one kind" }
        if addresses.contains(ownAddress) { return "\(ownAddress) is the machine's own address" }
        if version == .two {
            if family == .ipv6 { return "version 2 has no IPv6" }
            if centiseconds % 100 != 0 || !(100...25_500).contains(centiseconds) {
                return "the interval of version 2 is 1 to 255 whole seconds"
            }
        } else if !(1...4_095).contains(centiseconds) {
            return "an interval is 10 ms to 40.95 s"
        }
        return nil
    }
}
