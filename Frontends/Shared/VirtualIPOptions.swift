public import ArgumentParser
public import Martlet

extension VirtualIPSettings.Checksum: ExpressibleByArgument {}

/// The flags of virtual addresses that are alike on all masters of a cluster.
public struct VirtualIPTerms: ParsableArguments {
    @Option(
        name: .customLong("vip"),
        help: """
            A virtual address that the masters hold in turn, as 192.0.2.10/24; may be given more than once. (default: \
            none, or the cluster's)
            """, transform: Flags.virtualAddress)
    var addresses: [String] = []

    @Option(
        name: .customLong("vip-router-id"),
        help: "The number of the virtual router (VRID), 1 to 255: no other VRRP on the link may have it. (default: 51)",
        transform: Flags.routerID)
    var routerID: UInt8?

    @Option(
        name: .customLong("vip-interval"),
        help: """
            How often the holder of virtual addresses says that it lives: the others take over after a little more \
            than three times as long. (default: 100ms)
            """, transform: Flags.interval)
    var interval: Int?

    @Option(name: .customLong("vip-version"), help: "The version of VRRP: 2 or 3. (default: 3)", transform: Flags.vrrp)
    var version: UInt8?

    @Option(
        name: .customLong("vip-checksum"),
        help: "What the sent checksum of VRRP 3 covers over IPv4; either is understood. (default: message)")
    var checksum: VirtualIPSettings.Checksum?

    @Flag(
        name: .customLong("vip-preempt"), inversion: .prefixedNo,
        help: "Take virtual addresses from a holder of lower priority. (default: no: each move ends connections)")
    var preempts: Bool?

    /// As the command line gives them.
    public init() {}

    /// Sets what is told.
    public func apply(to settings: inout VirtualIPSettings) {
        if !addresses.isEmpty { settings.addresses = addresses }
        if let routerID { settings.routerID = routerID }
        if let version { settings.version = version }
        if let interval {
            settings.intervalMilliseconds = interval
        } else if version == 2 {
            // It counts in seconds.
            settings.intervalMilliseconds = 1_000
        }
        if let checksum { settings.checksum = checksum }
        if let preempts { settings.preempts = preempts }
    }
}

/// The flags of virtual addresses that are one machine's own.
public struct VirtualIPOptions: ParsableArguments {
    @Option(
        name: .customLong("vip-interface"),
        help: "The interface that holds virtual addresses. (default: that of the node's address)")
    var interface: String?

    @Option(
        name: .customLong("vip-priority"),
        help: "This master's priority among those that could hold virtual addresses, 1 to 255. (default: by its name)",
        transform: Flags.routerID)
    var priority: UInt8?

    @Option(
        name: .customLong("vip-peers"),
        help: """
            A master's address, where the network carries no multicast: VRRP goes to these alone, and is taken from no \
            other; given once for each master, this one included or not.
            """, transform: Flags.address)
    var peers: [String] = []

    /// As the command line gives them.
    public init() {}

    /// Sets what is told.
    public func apply(to settings: inout VirtualIPSettings) {
        settings.interface = interface ?? settings.interface
        settings.priority = priority ?? settings.priority
        if !peers.isEmpty { settings.peers = peers }
    }
}
