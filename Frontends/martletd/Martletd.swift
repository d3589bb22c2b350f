import ArgumentParser
import Martlet
import MartletFrontend
import MartletPeerFlags

/// `martletd`: one machine's part of a cluster, by default all of it.
@main
struct Martletd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martletd",
        abstract: "Runs a Kubernetes-compatible cluster, or this machine's part of it.",
        discussion: """
            Without flags it plays every role: store, REST gateway, scheduler, controllers, node agent, ingress and \
            edge. It stops at SIGINT or SIGTERM; pods run on and are taken over at the next start, unless --ephemeral \
            is given.
            """)

    @OptionGroup var daemon: DaemonOptions
    @OptionGroup(title: "One master among several") var peers: PeerOptions

    @Option(
        name: .customLong("role"),
        help: "A role to play: gateway, control-plane, worker, edge; may be given more than once. (default: all)")
    var roles: [String] = []

    @Option(help: "The range that nodes get their pod ranges from. (default: 10.244.0.0/16, or the cluster's)")
    var podCIDR: String?

    @Option(
        name: .customLong("container-runtime-endpoint"),
        help: "Use the container runtime behind this CRI socket (unix:///...) and not a containerd of our own.")
    var runtimeEndpoint: String?

    @Flag(help: "Run pods as plain child processes, without root and without isolation.")
    var processRuntime = false

    @Option(help: "Where the node agent's API listens.")
    var nodeListen = "0.0.0.0:10250"

    @Option(help: "Where the ingress listens.")
    var ingressAddress = "0.0.0.0:31234"

    @Option(help: "Where the edge listens for HTTPS. (default: 0.0.0.0:443, or 0.0.0.0:8443 when not root)")
    var edgeAddress: String?

    @Option(
        help: """
            Where the edge listens for HTTP, to redirect it; "none" for nowhere. (default: 0.0.0.0:80, or 0.0.0.0:8080 \
            when not root)
            """)
    var edgeHttpAddress: String?

    @Option(help: "The cluster's domain.")
    var clusterDomain = "cluster.local"

    @Option(
        help: """
            Where this node's DNS answers: one address of this machine, over UDP and TCP; on port 53, pods of this \
            node are told of it. (default: no DNS)
            """)
    var dnsAddress: String?

    @Option(
        name: .customLong("dns-upstream"),
        help: """
            A resolver that the DNS asks about names outside of the cluster; may be given more than once; "none" for \
            no other. (default: those of /etc/resolv.conf)
            """)
    var dnsUpstreams: [String] = []

    @Option(help: "The bridge that this machine's pods hang on.")
    var bridge = "martlet0"

    @Option(help: "How pods reach those of other hosts: vxlan, host-gw, none.")
    var overlay = "none"

    @Flag(help: "Make the addresses and node ports of Services work on this worker.")
    var serviceProxy = false

    @Flag(help: "Enforce NetworkPolicies on this worker's pods.")
    var networkPolicy = false

    @Option(name: .customLong("images"), help: "Import the image archives (*.tar) in this folder at the start.")
    var imageDirectory: String?

    @Flag(help: "End all pods with the daemon, and remove everything that was made for them.")
    var ephemeral = false

    @Flag(help: ArgumentHelp("End all pods, remove what was made for them, and leave.", visibility: .hidden))
    var clean = false

    func run() async throws {
        var chosen = Set(ClusterConfiguration.Role.allCases)
        if !roles.isEmpty {
            chosen = Set(
                try roles.map { name in
                    guard let role = ClusterConfiguration.Role(rawValue: name) else {
                        throw ValidationError("--role \(name) is none of gateway, control-plane, worker, edge")
                    }
                    return role
                })
        }
        var configuration = try daemon.configuration(roles: chosen)
        if !roles.isEmpty { configuration.roles = chosen }
        if let podCIDR { configuration.podCIDR = podCIDR }
        configuration.nodeEndpoint = try Flags.endpoint(nodeListen, flag: "--node-listen")
        configuration.ingressEndpoint = try Flags.endpoint(ingressAddress, flag: "--ingress-address")
        let secure = edgeAddress ?? (Machine.isRoot ? "0.0.0.0:443" : "0.0.0.0:8443")
        let plain = edgeHttpAddress ?? (Machine.isRoot ? "0.0.0.0:80" : "0.0.0.0:8080")
        configuration.edgeEndpoint = try Flags.endpoint(secure, flag: "--edge-address")
        configuration.edgePlainEndpoint =
            plain == "none" ? nil : try Flags.endpoint(plain, flag: "--edge-http-address")
        configuration.clusterDomain = clusterDomain
        configuration.dnsEndpoint = try dnsAddress.map { try Flags.endpoint($0, flag: "--dns-address") }
        if !dnsUpstreams.isEmpty {
            configuration.dnsUpstreams =
                try dnsUpstreams == ["none"]
                ? [] : dnsUpstreams.map { try Flags.endpoint($0, flag: "--dns-upstream") }
        }
        configuration.bridge = bridge
        guard let overlay = ClusterConfiguration.Overlay(rawValue: overlay) else {
            throw ValidationError("--overlay \(overlay) is none of vxlan, host-gw, none")
        }
        configuration.overlay = overlay
        configuration.serviceProxy = serviceProxy
        configuration.networkPolicy = networkPolicy
        configuration.imageDirectory = imageDirectory
        if peers.asksForPeers {
            configuration.storePeers = try peers.configuration(
                name: configuration.nodeName, clientURLs: [configuration.apiURL], hasCertificates: true)
        }
        if processRuntime { configuration.runtime = .processes }
        if let runtimeEndpoint { configuration.runtime = .endpoint(runtimeEndpoint) }
        if clean { return try await Daemon.clean(configuration) }
        try await Daemon.run(configuration, removesPods: ephemeral)
    }
}
