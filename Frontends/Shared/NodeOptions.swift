public import ArgumentParser
public import Martlet

extension ClusterConfiguration.Role: ExpressibleByArgument {}

/// The flags of `martletd` that say what of a cluster this machine is.
public struct NodeOptions: ParsableArguments {
    @Option(name: .customLong("role"), help: "A role to play; may be given more than once. (default: all)")
    var roles: [ClusterConfiguration.Role] = []

    @Option(
        help: """
            The range that nodes get their pod ranges from, or one of each kind of addresses with a comma between \
            them, as 10.244.0.0/16,fd00:244::/48. (default: 10.244.0.0/16, or the cluster's)
            """, transform: Flags.range)
    var podCIDR: String?

    @Option(
        name: .customLong("container-runtime-endpoint"),
        help: "Use the container runtime behind this CRI socket (unix:///...) and not a containerd of our own.")
    var runtimeEndpoint: String?

    @Flag(help: "Run pods as plain child processes, without root and without isolation.")
    var processRuntime = false

    @Option(help: "Where the node agent's API listens.", transform: Flags.endpoint)
    var nodeListen = Endpoint.ip("0.0.0.0", port: 10250)

    @Option(help: "Where the ingress listens.", transform: Flags.endpoint)
    var ingressAddress = Endpoint.ip("0.0.0.0", port: 31234)

    @Option(
        help: "Where the edge listens for HTTPS. (default: 0.0.0.0:443, or 0.0.0.0:8443 when not root)",
        transform: Flags.endpoint)
    var edgeAddress: Endpoint?

    @Option(
        help: """
            Where the edge listens for HTTP, to redirect it; "none" for nowhere. (default: 0.0.0.0:80, or 0.0.0.0:8080 \
            when not root)
            """, transform: Flags.endpointOrNone)
    var edgeHttpAddress: EndpointOrNone?

    @Option(
        help: """
            Get certificates from the certificate authority with this ACME directory (RFC 8555), an https URL, for \
            Ingresses and Gateways with the annotation kubernetes.io/tls-acme. It says that you agree to the \
            authority's terms of service. The same on all masters. (default: none)
            """, transform: Flags.acmeDirectory)
    var acmeDirectory: String?

    @Option(help: "Where the certificate authority may write to about its certificates.", transform: Flags.email)
    var acmeEmail: String?

    @Option(
        name: .customLong("acme-ca"),
        help: "A file (PEM) of who signs the certificate authority's own certificate. (default: the system's)")
    var acmeAuthorities: String?

    @Flag(
        inversion: .prefixedNo,
        help: """
            Let the edge go to pods itself, past the workers' ingresses, where they are within reach: on a worker all, \
            elsewhere those of hosts in this machine's subnets. (default: no)
            """)
    var edgeDirect: Bool?

    @Option(
        help: """
            The file that edge and ingress add a line of JSON to for each request; "-" for the standard output. \
            (default: none)
            """, transform: Flags.log)
    var accessLog: String?

    @Option(
        name: .customLong("proxy-protocol-from"),
        help: """
            A range of load balancers, as 192.0.2.7/32, whose connections to edge and ingress begin with a PROXY \
            header (version 1 or 2); may be given more than once.
            """, transform: Flags.range)
    var balancers: [String] = []

    @Option(help: "The cluster's domain. (default: cluster.local, or the cluster's)")
    var clusterDomain: String?

    @Option(
        help: """
            Where this node's DNS answers: one address of this machine, over UDP and TCP; on port 53, pods of this \
            node are told of it. (default: no DNS)
            """, transform: Flags.resolver)
    var dnsAddress: EndpointOrNone?

    @Option(
        name: .customLong("dns-upstream"),
        help: """
            A resolver that the DNS asks about names outside of the cluster; may be given more than once; "none" for \
            no other. (default: those of /etc/resolv.conf)
            """, transform: Flags.resolver)
    var dnsUpstreams: [EndpointOrNone] = []

    @Option(help: "The bridge that this machine's pods hang on.")
    var bridge = "martlet0"

    @Option(help: "How pods reach those of other hosts. (default: none, or the cluster's)")
    var overlay: ClusterConfiguration.Overlay?

    @Flag(
        inversion: .prefixedNo,
        help: "Make the addresses and node ports of Services work on this worker. (default: no, or as the cluster)")
    var serviceProxy: Bool?

    @Flag(
        inversion: .prefixedNo,
        help: "Enforce NetworkPolicies on this worker's pods. (default: no, or as the cluster)")
    var networkPolicy: Bool?

    @Option(
        name: .customLong("images"), help: "Import the image archives (*.tar) in this folder at the start.",
        transform: Flags.folder)
    var imageDirectory: String?

    @OptionGroup(title: "Virtual addresses") var virtualIPTerms: VirtualIPTerms
    @OptionGroup(title: "Virtual addresses") var virtualIP: VirtualIPOptions

    /// As the command line gives them.
    public init() {}

    /// What this machine plays: everything unless told otherwise.
    public var chosenRoles: Set<ClusterConfiguration.Role> {
        roles.isEmpty ? Set(ClusterConfiguration.Role.allCases) : Set(roles)
    }

    /// Sets what a configuration says to what the flags say.
    public func apply(to configuration: inout ClusterConfiguration) {
        if !roles.isEmpty { configuration.roles = Set(roles) }
        if let podCIDR { configuration.podCIDR = podCIDR }
        configuration.nodeEndpoint = nodeListen
        configuration.ingressEndpoint = ingressAddress
        configuration.edgeEndpoint = edgeAddress ?? .ip("0.0.0.0", port: Machine.isRoot ? 443 : 8443)
        let plain = Endpoint.ip("0.0.0.0", port: Machine.isRoot ? 80 : 8080)
        configuration.edgePlainEndpoint = edgeHttpAddress.map(\.endpoint) ?? plain
        if let acmeDirectory {
            var acme = ACMESettings(directory: acmeDirectory)
            acme.email = acmeEmail
            acme.authorityFile = acmeAuthorities
            configuration.acme = acme
        }
        if let edgeDirect { configuration.edgeDirect = edgeDirect }
        configuration.accessLog = accessLog
        configuration.balancers = balancers.flatMap { IPRange.list($0) ?? [] }
        if let clusterDomain { configuration.clusterDomain = clusterDomain }
        if let dnsAddress { configuration.dnsEndpoint = dnsAddress.endpoint }
        if !dnsUpstreams.isEmpty { configuration.dnsUpstreams = dnsUpstreams.compactMap(\.endpoint) }
        configuration.bridge = bridge
        if let overlay { configuration.overlay = overlay }
        if let serviceProxy { configuration.serviceProxy = serviceProxy }
        if let networkPolicy { configuration.networkPolicy = networkPolicy }
        configuration.imageDirectory = imageDirectory
        virtualIPTerms.apply(to: &configuration.virtualIP)
        virtualIP.apply(to: &configuration.virtualIP)
        if processRuntime { configuration.runtime = .processes }
        if let runtimeEndpoint { configuration.runtime = .endpoint(runtimeEndpoint) }
    }
}
