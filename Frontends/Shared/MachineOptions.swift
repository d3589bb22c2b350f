public import ArgumentParser
public import Martlet

/// Where a machine's own state is.
public struct DataOptions: ParsableArguments {
    /// The folder.
    @Option(name: .customLong("data-dir"), help: "The folder of all state of this machine.")
    public var path = "/var/lib/martlet"

    /// As the command line gives them.
    public init() {}
}

/// The flags of `martlet init` and `martlet join` that say what this machine is.
public struct MachineOptions: ParsableArguments {
    /// A role beside that of a master or worker.
    public enum FurtherRole: String, CaseIterable, ExpressibleByArgument, Sendable {
        /// It runs pods.
        case worker
        /// It is a TLS edge.
        case edge

        var role: ClusterConfiguration.Role { self == .worker ? .worker : .edge }
    }

    @Option(help: "The name of this machine in the cluster. (default: the host name)", transform: Flags.nodeName)
    var nodeName: String?
    @Option(
        help: "The address at which other machines reach this one. (default: that of the default route)",
        transform: Flags.address)
    var nodeAddress: String?
    /// Where a master's API listens.
    @Option(help: "Where a master's API listens: its port.", transform: Flags.port) public var apiPort: UInt16 = 6443
    @Option(help: "Where a master's store listens for the other masters: its port.", transform: Flags.port)
    var peerPort: UInt16 = 2380
    @Option(help: "A further name or address in a master's certificate; may be given more than once.")
    var apiSan: [String] = []
    @Option(help: "A further role; may be given more than once.") var also: [FurtherRole] = []

    /// As the command line gives them.
    public init() {}

    /// What this machine is to be.
    public func machine(_ role: JoinToken.Role) throws -> MachineFile {
        var roles: Set<ClusterConfiguration.Role> = role == .master ? [.gateway, .controlPlane] : [.worker]
        for further in also { roles.insert(further.role) }
        let name = try nodeName ?? Flags.nodeName(Machine.nodeName)
        var machine = MachineFile(roles: roles, nodeName: name, nodeAddress: nodeAddress ?? Machine.address)
        machine.apiEndpoint = .ip(machine.nodeAddress.contains(":") ? "::" : "0.0.0.0", port: apiPort)
        machine.apiNames = apiSan
        machine.peerPort = role == .master ? peerPort : nil
        return machine
    }
}

/// The flags of `martlet init` that say what its cluster is.
public struct ClusterOptions: ParsableArguments {
    @Option(help: "The range that nodes get their pod ranges from.", transform: Flags.range)
    var podCIDR = "10.244.0.0/16"
    @Option(help: "The range that Services get their addresses from.", transform: Flags.range)
    var serviceCIDR = "10.96.0.0/16"
    @Option(help: "The domain of the cluster's names.") var clusterDomain = "cluster.local"
    @Option(help: "How pods reach those of other hosts.") var overlay = ClusterConfiguration.Overlay.vxlan
    @Flag(inversion: .prefixedNo, help: "Make the addresses and node ports of Services work on every worker.")
    var serviceProxy = true
    @Flag(inversion: .prefixedNo, help: "Enforce NetworkPolicies on every worker's pods.")
    var networkPolicy = true
    @Option(
        help: """
            Where each worker's DNS answers its pods: a link-local address, which every worker has for itself; "none" \
            for no DNS.
            """, transform: Flags.linkLocalOrNone)
    var dnsAddress = ClusterSettings.usualDNSAddress
    @OptionGroup var virtualIP: VirtualIPTerms

    /// As the command line gives them.
    public init() {}

    /// Makes the machine the first of such a cluster.
    public func apply(to machine: inout MachineFile) {
        machine.cluster.podCIDR = podCIDR
        machine.cluster.serviceCIDR = serviceCIDR
        machine.cluster.clusterDomain = clusterDomain
        machine.cluster.overlay = overlay
        machine.cluster.serviceProxy = serviceProxy
        machine.cluster.networkPolicy = networkPolicy
        machine.cluster.dnsAddress = dnsAddress == "none" ? nil : dnsAddress
        virtualIP.apply(to: &machine.cluster.virtualIP)
        machine.becomeEdgeForVirtualIPs()
    }
}
