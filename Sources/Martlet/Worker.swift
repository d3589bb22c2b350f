internal import Logging
internal import MartletBase
internal import MartletCNI
internal import MartletClient
internal import MartletHTTP
internal import MartletNet
internal import MartletNode
internal import MartletObject
internal import MartletPKI
internal import MartletRuntime

/// What runs pods on one machine: a container runtime, the node agent over it, and the ingress.
final class Worker: Sendable {
    private let containers: Containers
    private let agent: NodeAgent
    private let ingress: Ingress
    private let dns: DNSServer?
    private let network: Task<Void, Never>?
    private let podNetwork: PodNetwork?
    private let labeller: Task<Void, Never>?

    /// Who the parts of a worker are.
    struct Clients {
        var node: Client
        var ingress: Client
        /// Which Secrets the ingress may read.
        var secrets: SecretReading
        /// For the pod network: reads Nodes, Services and EndpointSlices.
        var proxy: Client
        /// For network policies: reads them, Pods and Namespaces.
        var policy: Client
        var dns: Client
        /// For what a node may not say of itself; nil where the masters say it.
        var administrator: Client?
    }

    private init(
        _ containers: Containers, _ agent: NodeAgent, _ ingress: Ingress, _ dns: DNSServer?,
        _ network: Task<Void, Never>?, _ labeller: Task<Void, Never>?, _ podNetwork: PodNetwork?
    ) {
        self.dns = dns
        self.podNetwork = podNetwork
        self.labeller = labeller
        self.containers = containers
        self.agent = agent
        self.ingress = ingress
        self.network = network
    }

    static func start(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ credentials: Credentials,
        _ told: TrafficTold, in world: any DatagramWorld, clients: Clients
    ) async throws -> Worker {
        let client = clients.node
        let logger = configuration.logger
        let containers = try await Containers.start(configuration, data, in: world)
        do {
            var settings = NodeAgentConfiguration(
                nodeName: configuration.nodeName, addresses: configuration.nodeAddresses, rootDirectory: data.node)
            settings.endpoint = configuration.nodeEndpoint
            settings.tls = try credentials.server(Enrollment.server, clientsOf: "ca", required: true)
            settings.clusterDomain = configuration.clusterDomain
            settings.clusterDNS = configuration.dnsAddressOfPods.map { [$0] } ?? []
            settings.metrics = { told.metrics }
            let runtime = containers.runtime
            let agentSettings = settings
            let agent = try await listening("node agent", configuration.nodeEndpoint, "--node-listen") {
                try await NodeAgent.start(agentSettings, client: client, runtime: runtime, in: world, logger: logger)
            }
            do {
                let ingress = try await listening("ingress", configuration.ingressEndpoint, "--ingress-address") {
                    try await Ingress.start(
                        on: configuration.ingressEndpoint, nodeName: configuration.nodeName,
                        ownAddresses: ["127.0.0.1", "::1", configuration.nodeAddress],
                        balancers: configuration.balancers, log: told.log, client: clients.ingress, node: clients.node,
                        secrets: clients.secrets, in: world, logger: logger)
                }
                told.add(ingress)
                // Before the DNS, whose address it may make.
                let podNetwork: PodNetwork?
                let dns: DNSServer?
                do { podNetwork = try await PodNetwork.start(configuration, clients, in: world) } catch {
                    await ingress.stop()
                    throw error
                }
                do { dns = try await startDNS(configuration, clients.dns, in: world) } catch {
                    await podNetwork?.stop(removing: data.isNew)
                    await ingress.stop()
                    throw error
                }
                let network = containers.makeNetwork(configuration, client, podNetwork, in: world)
                let labeller = clients.administrator.map {
                    keepRoles(labels(configuration), configuration, $0, in: world)
                }
                return Worker(containers, agent, ingress, dns, network, labeller, podNetwork)
            } catch {
                await agent.stop(teardown: data.isNew)
                throw error
            }
        } catch {
            await containers.stop(teardown: data.isNew)
            throw error
        }
    }

    private static func startDNS(
        _ configuration: ClusterConfiguration, _ client: Client, in world: any DatagramWorld
    ) async throws -> DNSServer? {
        guard let endpoint = configuration.dnsEndpoint else { return nil }
        var settings = DNSServerConfiguration(endpoint: endpoint)
        settings.domain = configuration.clusterDomain
        settings.upstreams =
            configuration.dnsUpstreams ?? HostResolver.nameServers().map { Endpoint.ip($0, port: 53) }
        let chosen = settings
        return try await listening("DNS", endpoint, "--dns-address") {
            try await DNSServer.start(chosen, client: client, in: world, logger: configuration.logger)
        }
    }

    private static func labels(_ configuration: ClusterConfiguration) -> [String: String] {
        var labels = ["node-role.kubernetes.io/worker": ""]
        if configuration.roles.contains(.controlPlane) { labels["node-role.kubernetes.io/control-plane"] = "" }
        return labels
    }

    /// Keeps the labels of the node's roles on it. A node may not give itself these: they steer pods.
    private static func keepRoles(
        _ labels: [String: String], _ configuration: ClusterConfiguration, _ client: Client, in world: any World
    ) -> Task<Void, Never> {
        let (name, logger) = (configuration.nodeName, configuration.logger)
        return world.spawn {
            for await change in client.follow(.node, fieldSelector: "metadata.name=\(name)", logger: logger) {
                guard case .put(let node) = change, labels.contains(where: { node.labels[$0.key] != $0.value }) else {
                    continue
                }
                do {
                    _ = try await client.patch(
                        .node, name: name, type: .merge, ["metadata": ["labels": JSON(labels)]])
                } catch {
                    logger.warning("the node's roles are not written on it", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Ends what an earlier process has left running, and removes what it has left in the kernel's tables.
    static func removePods(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ world: any World
    ) async throws {
        do {
            let containers = try await Containers.start(configuration, data, in: world)
            await containers.stop(teardown: true)
        } catch {
            // A containerd of our own that cannot be asked, as on a full disk, is done without.
            guard Machine.isRoot, case .containerd = configuration.runtime else { throw error }
            configuration.logger.warning("containerd cannot be asked to end the pods, they are killed: \(error)")
            await Containerd.removeLeftovers(of: Containers.settings(configuration, data), in: world)
        }
        try await PodNetwork.removeLeftovers(configuration, in: world)
    }

    /// Gives pods new tokens, and the authorities that are published now.
    func refreshPods() async { await agent.renewTokens() }

    func stop(removesPods: Bool) async {
        network?.cancel()
        labeller?.cancel()
        await dns?.stop()
        await ingress.stop()
        await agent.stop(teardown: removesPods)
        await containers.stop(teardown: removesPods)
        await podNetwork?.stop(removing: removesPods)
    }
}

extension Worker.Clients {
    /// One for all parts.
    init(all client: Client) {
        self.init(
            node: client, ingress: client, secrets: .named, proxy: client, policy: client, dns: client,
            administrator: nil)
    }
}

extension ClusterConfiguration {
    /// The DNS that pods are told of: a resolv.conf has no place for a port.
    fileprivate var dnsAddressOfPods: String? {
        if case .ip(let address, 53)? = dnsEndpoint { address } else { nil }
    }
}

/// The container runtime of a worker, in the make that was asked for.
private enum Containers {
    case own(Containerd)
    case foreign(CRIRuntime)
    case processes(ProcessRuntime)
    case custom(any ContainerRuntime)

    static func start(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, in world: any World
    ) async throws -> Containers {
        switch configuration.runtime {
        case .custom(let make): return .custom(make(world))
        case .processes: return .processes(try ProcessRuntime(directory: data.containers, in: world))
        case .endpoint(let text):
            guard text.hasPrefix("unix:///") else {
                throw ClusterError.unusable(
                    "--container-runtime-endpoint \(text) is not a UNIX socket: "
                        + "write unix:///run/containerd/containerd.sock"
                )
            }
            let runtime = CRIRuntime(socket: String(text.dropFirst("unix://".count)), in: world)
            do { _ = try await runtime.version() } catch {
                throw ClusterError.unusable("\(text): \(error); is the container runtime running?")
            }
            return .foreign(runtime)
        case .containerd:
            guard Machine.isRoot else {
                throw ClusterError.unusable(
                    "running containers needs root: use sudo, or --process-runtime for plain child processes")
            }
            let containerd = Containerd(settings(configuration, data), in: world)
            do { try await containerd.start() } catch {
                await containerd.stop(teardown: data.isNew)
                throw error
            }
            return .own(containerd)
        }
    }

    static func settings(_ configuration: ClusterConfiguration, _ data: DataDirectory) -> Containerd.Configuration {
        var settings = Containerd.Configuration(directory: data.containers)
        settings.imageDirectory = configuration.imageDirectory
        settings.plugin = configuration.networkPlugin
        settings.bridge = configuration.bridge
        return settings
    }

    var runtime: any ContainerRuntime {
        switch self {
        case .own(let containerd): containerd.runtime
        case .foreign(let runtime): runtime
        case .processes(let runtime): runtime
        case .custom(let runtime): runtime
        }
    }

    /// Waits until the node has its range of addresses, then tells the runtime; the node becomes Ready by that. A node
    /// that was deleted and registered anew may get another range, and the host's network another size of packets.
    func makeNetwork(
        _ configuration: ClusterConfiguration, _ client: Client, _ podNetwork: PodNetwork?, in world: any World
    ) -> Task<Void, Never>? {
        guard case .own(let containerd) = self else { return nil }
        let logger = configuration.logger
        let selector = "metadata.name=\(configuration.nodeName)"
        return world.spawn {
            var present: NetworkConfig?
            for await change in client.follow(.node, fieldSelector: selector, logger: logger) {
                guard case .put(let node) = change, let range = node["spec", "podCIDR"]?.string, !range.isEmpty else {
                    continue
                }
                let ranges = node["spec", "podCIDRs"]?.array?.compactMap(\.string) ?? [range]
                var network = NetworkConfig(
                    podCIDRs: ranges, dataDirectory: containerd.configuration.networkDataDirectory)
                network.bridge = configuration.bridge
                if let podNetwork {
                    await podNetwork.serve(ranges)
                    network.masquerade = !podNetwork.masquerades
                    network.mtu = await podNetwork.podPacketBytes(configuration.nodeAddresses)
                    // An uplink that has no address for a moment says nothing of its packets.
                    if network.mtu == 0 { network.mtu = present?.mtu ?? 0 }
                }
                if network == present { continue }
                if let present { tell(logger, of: network, after: present) }
                do {
                    try await containerd.setNetwork(network)
                    present = network
                } catch {
                    // The node's next report, seconds from now, brings it here again.
                    logger.error("the pod network cannot be set up", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func tell(_ logger: Logger, of network: NetworkConfig, after present: NetworkConfig) {
        if network.podCIDRs != present.podCIDRs {
            logger.warning(
                "this node has another range of addresses: pods made before are out of reach",
                metadata: ["before": "\(present.podCIDRs)", "now": "\(network.podCIDRs)"])
        }
        if network.mtu != present.mtu, present.mtu > 0 {
            logger.warning(
                "this host's network takes packets of another size: new pods get it, those made before keep theirs",
                metadata: ["before": "\(present.mtu)", "now": "\(network.mtu)"])
        }
    }

    func stop(teardown: Bool) async {
        switch self {
        case .own(let containerd): await containerd.stop(teardown: teardown)
        case .foreign(let runtime): runtime.close()
        case .processes(let runtime): await runtime.shutdown()
        case .custom: return
        }
    }
}
