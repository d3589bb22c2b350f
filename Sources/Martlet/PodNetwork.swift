internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletHTTP
internal import MartletNet
internal import MartletRoutes

/// What joins a worker's pods with those of other hosts, makes Services work on it and enforces network policies: the
/// parts that were asked for, over the tables of a network namespace.
struct PodNetwork: Sendable {
    private let kernel: KernelNetwork
    private let bridge: BridgeKeeper
    private let overlay: OverlayAgent?
    private let proxy: ServiceProxy?
    private let policies: PolicyAgent?
    private let dnsAddress: LinkLocalAddress?
    private let settings: OverlaySettings

    /// Starts them; nil when none was asked for.
    /// - Parameter namespace: a path as `/run/netns/NAME`; nil for this process's own.
    /// - Throws: `ClusterError` when we are not root or a range is none.
    static func start(
        _ configuration: ClusterConfiguration, _ clients: Worker.Clients, namespace: String? = nil, in world: any World
    ) async throws -> PodNetwork? {
        let backend = OverlayBackend(rawValue: configuration.overlay.rawValue) ?? .none
        let dns = configuration.linkLocalDNS
        guard backend != .none || configuration.serviceProxy || configuration.networkPolicy || dns != nil else {
            return nil
        }
        guard Machine.isRoot else {
            throw ClusterError.unusable(
                "--overlay, --service-proxy, --network-policy and a link-local --dns-address "
                    + "change the kernel's tables: use sudo")
        }
        let pods = IPRange.list(configuration.podCIDR) ?? []
        let services = IPRange.list(configuration.serviceCIDR) ?? []
        for pod in pods {
            guard let service = services.first(where: pod.overlaps) else { continue }
            throw ClusterError.unusable(
                "--pod-cidr \(pod) and --service-cidr \(service) have addresses in common: "
                    + "give one of them another range")
        }
        let (name, logger) = (configuration.nodeName, configuration.logger)
        let kernel = try await KernelNetwork(namespace: namespace)
        // Named after the bridge: clusters beside each other have tables of their own.
        let settings = OverlaySettings(
            nodeName: name, backend: backend, clusterRanges: pods, table: "\(configuration.bridge)-overlay")
        var dnsAddress: LinkLocalAddress?
        if let dns {
            do {
                dnsAddress = try await LinkLocalAddress.start(dns, kernel: kernel, in: world, logger: logger)
            } catch {
                kernel.stop()
                throw ClusterError.unusable("--dns-address \(dns.address) cannot be made: \(error)")
            }
        }
        let bridge = await BridgeKeeper.start(
            configuration.bridge, cluster: pods, kernel: kernel, in: world, logger: logger)
        var overlay: OverlayAgent?
        if backend != .none {
            overlay = await OverlayAgent.start(
                settings, nodes: clients.proxy, own: clients.node, kernel: kernel, in: world, logger: logger)
        }
        var proxy: ServiceProxy?
        if configuration.serviceProxy {
            let wanted = ServiceSettings(
                nodeName: name, podRanges: pods, serviceRanges: services, table: "\(configuration.bridge)-services")
            proxy = await ServiceProxy.start(wanted, client: clients.proxy, kernel: kernel, in: world, logger: logger)
        }
        var policies: PolicyAgent?
        if configuration.networkPolicy {
            let wanted = PolicySettings(nodeName: name, table: "\(configuration.bridge)-policies")
            policies = await PolicyAgent.start(
                wanted, client: clients.policy, kernel: kernel, in: world, logger: logger)
        }
        return PodNetwork(
            kernel: kernel, bridge: bridge, overlay: overlay, proxy: proxy, policies: policies, dnsAddress: dnsAddress,
            settings: settings)
    }

    /// Removes what an earlier process has made for the parts that are asked for. No master is asked.
    /// - Throws: `ClusterError`.
    static func removeLeftovers(
        _ configuration: ClusterConfiguration, namespace: String? = nil, in world: any World
    ) async throws {
        guard Machine.isRoot else { return }
        let silence = InProcessTransport(in: world) { _ in
            Response(status: .serviceUnavailable, contentType: "text/plain", bytes: [])
        }
        let clients = Worker.Clients(all: Client(transport: silence, in: world))
        var configuration = configuration
        // That nobody answers is no news here.
        configuration.logger.logLevel = .error
        try await start(configuration, clients, namespace: namespace, in: world)?.stop(removing: true)
    }

    /// Whether packets that leave the cluster get the host's address here; else the bridge does it, for this host's
    /// pods alone.
    var masquerades: Bool { overlay != nil }

    /// This host's pods have addresses of these ranges from now on.
    func serve(_ ranges: [String]) async { await bridge.serve(ranges.compactMap { IPRange($0) }) }

    /// The largest packet of pods on this host; 0: as the kernel chooses.
    func podPacketBytes(_ addresses: [String]) async -> Int {
        guard overlay != nil else { return 0 }
        var least = 0
        for address in addresses {
            let bytes = try? await OverlayAgent.podPacketBytes(settings, address: address, kernel: kernel)
            if let bytes, least == 0 || bytes < least { least = bytes }
        }
        return least
    }

    /// Ends them.
    func stop(removing: Bool) async {
        await bridge.stop()
        await policies?.stop(removing: removing)
        await proxy?.stop(removing: removing)
        await overlay?.stop(removing: removing)
        await dnsAddress?.stop(removing: removing)
        kernel.stop()
    }
}

extension ClusterConfiguration {
    /// The DNS at a link-local address, when it is to have one: the address is made for it.
    fileprivate var linkLocalDNS: LinkLocalDNS? {
        guard case .ip(let address, let port)? = dnsEndpoint else { return nil }
        return LinkLocalDNS(address: address, port: port, bridge: bridge)
    }
}
