public import MartletBase
public import MartletClient
internal import MartletControllers
internal import MartletHTTP
internal import MartletIO
internal import MartletNet
internal import MartletPKI
internal import MartletReplica

/// A running cluster, or this process's part of one.
///
/// ```swift
/// let cluster = try await Cluster.start(.singleNode(dataDirectory: "/var/lib/martlet"))
/// let pods = try await cluster.client.list(.pod).items
/// await cluster.stop()
/// ```
public actor Cluster {
    /// The API inside this process, as the administrator `system:admin` of group `system:masters`.
    ///
    /// Without the gateway role: over HTTPS, as the node itself.
    public nonisolated let client: Client
    /// Where the REST gateway listens; without the gateway role: one of the masters.
    public nonisolated let apiEndpoint: Endpoint
    /// The file of a kubeconfig for the administrator; without the gateway role, where it would be.
    public nonisolated let adminKubeconfig: String
    /// Where the edge listens: HTTPS first; empty when this process is no edge.
    public nonisolated let edgeEndpoints: [Endpoint]
    /// The world that everything of this cluster runs in: `world.spawn` starts tasks beside it.
    public nonisolated let world: any World

    private let reactor: Reactor
    private let parts: Parts
    private let pki: ClusterPKI
    private var isStopped = false

    /// Starts what `configuration` names; returns when every role has begun its work (a node becomes Ready a little
    /// later). When a part cannot start, those that have are stopped again: pods of an earlier start run on, of this
    /// start nothing is left.
    /// - Throws: ``ClusterError``, or the error of the part that could not start. Each says what to do.
    public static func start(_ configuration: ClusterConfiguration) async throws -> Cluster {
        let reactor = try Reactor(name: "martlet")
        do {
            return try await withTaskExecutorPreference(reactor.executor) {
                try await assemble(configuration, reactor)
            }
        } catch {
            reactor.shutdown()
            guard (error as? Errno) == .noSpace else { throw error }
            throw ClusterError.unusable("\(configuration.dataDirectory): \(Errno.noSpace); make room on its disk")
        }
    }

    private init(_ reactor: Reactor, _ parts: Parts, _ pki: ClusterPKI, _ client: Client, kubeconfig: String) {
        self.reactor = reactor
        self.parts = parts
        self.pki = pki
        self.client = client
        world = reactor
        apiEndpoint = parts.master?.server.endpoint ?? parts.remote?.node.endpoints.first ?? .ip("0.0.0.0", port: 0)
        adminKubeconfig = kubeconfig
        edgeEndpoints = parts.edge?.endpoints ?? []
    }

    /// Ends everything, in the order in which nobody misses what has gone: virtual addresses, the lead among the
    /// masters, edge, ingress and node agent, control plane, gateway, store.
    /// - Parameter removesPods: whether the containers of this node end too and everything that was made for them
    ///   (mounts, bridge, cgroups, sockets) goes; otherwise they run on, and the next start takes them over.
    public func stop(removesPods: Bool = false) async {
        if isStopped { return }
        isStopped = true
        let (parts, reactor) = (self.parts, self.reactor)
        await withTaskExecutorPreference(reactor.executor) { await parts.stop(removesPods: removesPods) }
        reactor.shutdown()
    }

    /// Ends the pods of a machine that runs no part of a cluster now, and removes what was made for them and for its
    /// edge's way to others. No master is asked.
    /// - Throws: ``ClusterError``, or why the container runtime cannot be started.
    public static func removePods(_ configuration: ClusterConfiguration) async throws {
        let reactor = try Reactor(name: "martlet")
        defer { reactor.shutdown() }
        try await withTaskExecutorPreference(reactor.executor) {
            if configuration.roles.contains(.worker) {
                try await Worker.removePods(
                    configuration, try DataDirectory(preparing: configuration.dataDirectory), reactor)
            }
            try await EdgeReach.removeLeftovers(configuration)
        }
    }

    /// Whether this process's store leads the others.
    public var leads: Bool { get async { await parts.master?.replica.leads ?? false } }

    /// Cuts this process's part off the network, as a crash would: nothing is handed over and nobody is told. For
    /// tests, which stop it afterwards.
    func cutOff() { reactor.shutdown() }

    /// A client that goes the way of every other program: over HTTPS, with a client certificate of its own.
    /// - Parameters:
    ///   - user: the certificate's CN.
    ///   - groups: its O's; the group `system:masters` may do everything.
    /// - Throws: `PKIError` or `TLSError`.
    public func httpsClient(user: String = "kubernetes-admin", groups: [String] = ["system:masters"]) throws -> Client {
        var request = CertificateRequest(commonName: user)
        request.organizations = groups
        request.isClient = true
        let identity = try TLSIdentity(pki.authority("ca").issue(request, now: reactor.wallTime()))
        let tls = try TLSClient(authoritiesPEM: pki.trusted("ca"), identity: identity)
        let endpoint = Self.reachable(apiEndpoint)
        let address = if case .ip(let address, _) = endpoint { address } else { "localhost" }
        let http = HTTPClient(endpoint: endpoint, serverName: address, in: reactor, tls: tls)
        return Client(transport: HTTPSTransport(http), in: reactor)
    }

    /// What of a cluster runs in this process.
    private struct Parts: Sendable {
        var master: Master?
        var remote: RemoteAPI?
        var controlPlane: Leadership?
        var worker: Worker?
        var edge: Edge?
        var reach: EdgeReach?
        var tickets: Task<Void, Never>?
        var virtualIPs: VirtualIPs?
        var keeper: Task<Void, Never>?
        var log: AccessLog?

        func stop(removesPods: Bool) async {
            keeper?.cancel()
            virtualIPs?.giveUp()
            await master?.handOver()
            tickets?.cancel()
            await tickets?.value
            await edge?.stop()
            await reach?.stop()
            await worker?.stop(removesPods: removesPods)
            await controlPlane?.stop()
            await master?.stop()
            await virtualIPs?.stop()
            await remote?.stop()
            // Without a quorum it waits for an answer until those above are gone.
            await keeper?.value
            await log?.close()
        }
    }

    private static func assemble(_ configuration: ClusterConfiguration, _ reactor: Reactor) async throws -> Cluster {
        guard configuration.roles.contains(.gateway) else { return try await join(configuration, reactor) }
        guard let podCIDRs = PodCIDR.list(configuration.podCIDR) else {
            throw ClusterError.unusable(
                "\(configuration.podCIDR) is not a range for pods: write one as 10.244.0.0/16 (/8 to /24) or "
                    + "fd00:244::/48 (/48 to /64), or one of each with a comma between them")
        }
        try checkAddresses(configuration)
        try EdgeReach.check(configuration)
        try AddressPlan.check(podCIDR: configuration.podCIDR, serviceCIDR: configuration.serviceCIDR, routes: [])
        let data = try DataDirectory(preparing: configuration.dataDirectory)
        try checkAuthorities(configuration, data)
        let leaves = configuration.leafSubjects
        let pki = try ClusterPKI.ensure(
            directory: data.pki, nodeName: leaves.nodeName, names: leaves.names, addresses: leaves.addresses,
            lifetime: leaves.lifetime, begins: begins(configuration, data), now: reactor.wallTime())
        let credentials = Credentials(pki)
        let told = try traffic(configuration, reactor)
        let master = try await Master.start(configuration, data, credentials, told, in: reactor)
        var parts = Parts(master: master, log: told.log)
        do {
            let client = master.client(as: "system:admin", groups: ["system:masters"], in: reactor)
            if configuration.roles.contains(.controlPlane) {
                parts.controlPlane = try await startControlPlane(
                    configuration, podCIDRs, try pki.trusted("ca"), pki, master, reactor)
            } else if configuration.tendsObjects {
                parts.controlPlane = await startTending(configuration, try pki.trusted("ca"), pki, master, reactor)
            }
            let writeOut: @Sendable () throws -> Void = { [endpoint = master.server.endpoint] in
                try writeKubeconfig(configuration, data, pki, endpoint, reactor.wallTime())
            }
            try writeOut()
            if configuration.roles.contains(.worker) {
                parts.worker = try await Worker.start(
                    configuration, data, credentials, told, in: reactor,
                    clients: Worker.Clients(
                        node: master.client(
                            as: "system:node:\(configuration.nodeName)", groups: ["system:nodes"], in: reactor),
                        ingress: master.client(as: "system:martlet-ingress", groups: [], in: reactor),
                        secrets: .all,
                        proxy: master.client(as: "system:kube-proxy", groups: [], in: reactor),
                        policy: master.client(as: "system:martlet-network-policy", groups: [], in: reactor),
                        dns: master.client(as: "system:martlet-dns", groups: [], in: reactor),
                        administrator: client))
            }
            let reader = master.client(as: "system:martlet-edge", groups: [], in: reactor)
            if configuration.roles.contains(.edge) {
                parts.edge = try await startEdge(configuration, credentials, told, reader, .all, reactor) { pki in
                    try fallback(pki.authority("ca"), reactor.wallTime())
                }
                parts.tickets = parts.edge.map { edge in
                    SessionTickets.follow(
                        for: edge, credentials, client: client, in: reactor, logger: configuration.logger)
                }
            }
            parts.reach = try await EdgeReach.start(configuration, parts.edge, reader, in: reactor)
            parts.virtualIPs = try await startVirtualIPs(configuration, parts.edge, master, reactor)
            let keeper = CertificateKeeper.ofMaster(
                configuration, credentials, client, worker: parts.worker, rewrite: writeOut, in: reactor)
            parts.keeper = reactor.spawn { await keeper.run() }
            return Cluster(reactor, parts, pki, client, kubeconfig: data.adminKubeconfig)
        } catch {
            await parts.stop(removesPods: data.isNew)
            throw error
        }
    }

    /// The part of a machine without a gateway: worker, edge or both, over HTTPS.
    private static func join(_ configuration: ClusterConfiguration, _ reactor: Reactor) async throws -> Cluster {
        guard !configuration.roles.contains(.controlPlane) else {
            throw ClusterError.unusable(
                "the control plane runs where a store leads: add the role \"gateway\" to \"control-plane\"")
        }
        try checkAddresses(configuration)
        try EdgeReach.check(configuration)
        let data = try DataDirectory(preparing: configuration.dataDirectory)
        guard !configuration.masters.isEmpty, Files.exists(data.pki + "/ca.crt") else {
            throw ClusterError.unusable(
                "\(data.path) belongs to no cluster yet: martlet join ADDRESS --token TOKEN, with what "
                    + "martlet token create prints on a master")
        }
        let credentials = Credentials(ClusterPKI(directory: data.pki))
        let told = try traffic(configuration, reactor)
        let remote = try await RemoteAPI.start(configuration, data, credentials, in: reactor)
        var parts = Parts(remote: remote, log: told.log)
        do {
            let (node, others) = (
                Client(transport: remote.node, in: reactor), Client(transport: remote.parts, in: reactor)
            )
            if configuration.roles.contains(.worker) {
                parts.worker = try await Worker.start(
                    configuration, data, credentials, told, in: reactor,
                    clients: Worker.Clients(
                        node: node, ingress: others, secrets: .named, proxy: others, policy: others, dns: others,
                        administrator: nil))
            }
            if configuration.roles.contains(.edge) {
                parts.edge = try await startEdge(configuration, credentials, told, others, .named, reactor) { pki in
                    try pki.keyPair(Enrollment.server)
                }
            }
            parts.reach = try await EdgeReach.start(configuration, parts.edge, others, in: reactor)
            let keeper = CertificateKeeper.ofWorker(
                configuration, credentials, node: node, parts: others, worker: parts.worker, in: reactor)
            parts.keeper = reactor.spawn { await keeper.run() }
            return Cluster(reactor, parts, credentials.pki, node, kubeconfig: data.adminKubeconfig)
        } catch {
            await parts.stop(removesPods: false)
            throw error
        }
    }

    /// Whether authorities may be made here: where a cluster begins, or nobody shares in it.
    private static func begins(_ configuration: ClusterConfiguration, _ data: DataDirectory) -> Bool {
        switch configuration.storePeers?.bootstrap {
        case nil: true
        case .alone, .cluster: !Files.exists(data.store)
        case .join, .added, .existing: false
        }
    }

    /// Who enters a cluster works with its authorities and its key for service accounts, and makes none.
    private static func checkAuthorities(_ configuration: ClusterConfiguration, _ data: DataDirectory) throws {
        guard case .join? = configuration.storePeers?.bootstrap, !Files.exists(data.pki + "/ca.key") else { return }
        throw ClusterError.unusable(
            "\(data.path) has no authorities, and those of the cluster are not fetched here: copy the folder pki of a "
                + "running gateway's or master's data folder to \(data.pki), or enter with martlet join --role master")
    }

    /// The edge and the gateway look for a worker at its node's address: a worker must listen there.
    private static func checkAddresses(_ configuration: ClusterConfiguration) throws {
        guard configuration.roles.contains(.worker) else { return }
        let everywhere = ["0.0.0.0", "::", configuration.nodeAddress]
        let listened = [
            (configuration.ingressEndpoint, "--ingress-address"), (configuration.nodeEndpoint, "--node-listen"),
        ]
        for (endpoint, flag) in listened {
            guard case .ip(let address, let port) = endpoint, !everywhere.contains(address) else { continue }
            throw ClusterError.unusable(
                "\(flag) \(endpoint) is not where others look for this node, which is \(configuration.nodeAddress): "
                    + "use 0.0.0.0:\(port), or make \(address) the node's address with --node-address")
        }
    }

    /// What a gateway does for its objects where nothing schedules or runs them.
    private static func startTending(
        _ configuration: ClusterConfiguration, _ authority: [UInt8], _ pki: ClusterPKI, _ master: Master,
        _ world: any World
    ) async -> Leadership {
        let logger = configuration.logger
        let published = String(decoding: authority, as: UTF8.self)
        let leadership = Leadership(master.replica, in: world, logger: logger) {
            let admin = master.client(as: "system:kube-controller-manager", groups: ["system:masters"], in: world)
            let signer = CertificateSigner(
                pki: pki, lifetime: configuration.certificateLifetime, client: admin, replica: master.replica,
                nodeName: configuration.nodeName, world: world, logger: logger)
            let cleaner = BootstrapCleaner(client: admin, world: world, logger: logger)
            return ControlPlane(
                StandardControllers.ofObjects(authority: published, sign: { try master.signToken($0) }),
                schedules: false, client: { _ in admin }, world: world, logger: logger,
                companions: [{ await signer.run() }, { await cleaner.run() }])
        }
        await leadership.start()
        return leadership
    }

    private static func startControlPlane(
        _ configuration: ClusterConfiguration, _ podCIDRs: [PodCIDR], _ authority: [UInt8], _ pki: ClusterPKI,
        _ master: Master, _ world: any World
    ) async throws -> Leadership {
        let logger = configuration.logger
        let published = String(decoding: authority, as: UTF8.self)
        let own = Self.announced(master.server.endpoint, configuration)
        let acme = try configuration.acme.map { ($0, try ACMESession($0, in: world)) }
        let leadership = Leadership(master.replica, in: world, logger: logger) {
            let admin = master.client(as: "system:kube-controller-manager", groups: ["system:masters"], in: world)
            let announcer = MasterAnnouncer(
                replica: master.replica, own: own, client: admin, world: world, logger: logger)
            let signer = CertificateSigner(
                pki: pki, lifetime: configuration.certificateLifetime, client: admin, replica: master.replica,
                nodeName: configuration.nodeName, world: world, logger: logger)
            let conductor = RotationConductor(
                replica: master.replica, nodeName: configuration.nodeName, store: RotationStore(client: admin),
                pki: pki,
                server: "https://\(own)", world: world, logger: logger)
            let cleaner = BootstrapCleaner(client: admin, world: world, logger: logger)
            let labels = NodeLabels(client: admin, logger: logger)
            let tickets = TicketKeeper(client: admin, pki: pki, world: world, logger: logger)
            let issuer = acme.map { settings, session in
                ACMEIssuer(settings, session, client: admin, pki: pki, world: world, logger: logger)
            }
            return ControlPlane(
                StandardControllers.all(
                    podCIDRs: podCIDRs, authority: published, sign: { try master.signToken($0) }),
                schedules: true,
                client: { user in
                    // The scheduler has its role; the controllers, which play many, are one user here.
                    let groups = user == "system:kube-scheduler" ? [] : ["system:masters"]
                    return master.client(as: user, groups: groups, in: world)
                }, world: world, logger: logger,
                prepare: {
                    do { try await ControlPlane.makeIngressClass(admin) } catch {
                        logger.warning("the IngressClass martlet is not made", metadata: ["error": "\(error)"])
                    }
                },
                companions: [
                    { await announcer.run() }, { await signer.run() }, { await labels.run() },
                    { await conductor.run() }, { await tickets.run() }, { await issuer?.run() },
                    { await cleaner.run() },
                ])
        }
        await leadership.start()
        return leadership
    }

    /// Where others reach this master's API.
    private static func announced(_ endpoint: Endpoint, _ configuration: ClusterConfiguration) -> Endpoint {
        guard case .ip(let address, let port) = endpoint, ["0.0.0.0", "::"].contains(address) else { return endpoint }
        return .ip(configuration.nodeAddress, port: port)
    }

    private static func traffic(_ configuration: ClusterConfiguration, _ world: any World) throws -> TrafficTold {
        do {
            return TrafficTold(
                try configuration.accessLog.map { try AccessLog(path: $0, in: world, logger: configuration.logger) })
        } catch {
            throw ClusterError.unusable("--access-log \(configuration.accessLog ?? ""): \(error)")
        }
    }

    /// Shown for hosts without a certificate of their own; a browser says what it thinks of it.
    private static func fallback(_ authority: Authority, _ now: WallTime) throws -> KeyPair {
        var fallback = CertificateRequest(commonName: "Martlet edge, no certificate for this host")
        fallback.isServer = true
        return try authority.issue(fallback, now: now)
    }

    private static func startEdge(
        _ configuration: ClusterConfiguration, _ credentials: Credentials, _ told: TrafficTold, _ client: Client,
        _ secrets: SecretReading, _ world: any World,
        fallback: @escaping @Sendable (ClusterPKI) throws -> KeyPair
    ) async throws -> Edge {
        let virtual = configuration.virtualIP.plainAddresses
        var settings = EdgeConfiguration(
            secure: configuration.edgeEndpoint, plain: configuration.edgePlainEndpoint,
            fallback: try TLSIdentity(fallback(credentials.pki)),
            publishedAddresses: virtual.isEmpty ? [configuration.nodeAddress] : virtual)
        settings.machine = configuration.nodeName
        settings.log = told.log
        settings.balancers = configuration.balancers
        settings.goesToPods = configuration.edgeDirect
        let chosen = settings
        let edge = try await listening("edge", configuration.edgeEndpoint, "--edge-address") {
            try await Edge.start(
                chosen, client: client, secrets: secrets, in: world, logger: configuration.logger)
        }
        told.add(edge)
        credentials.follow { pki in edge.setFallback(try TLSIdentity(fallback(pki))) }
        return edge
    }

    private static func startVirtualIPs(
        _ configuration: ClusterConfiguration, _ edge: Edge?, _ master: Master, _ world: any World
    ) async throws -> VirtualIPs? {
        let settings = configuration.virtualIP
        if settings.addresses.isEmpty { return nil }
        guard let edge else {
            throw ClusterError.unusable(
                "--vip \(settings.addresses[0]) is held where an edge answers: add --role edge, or leave --vip out")
        }
        let ips = try await VirtualIPs.start(configuration, edge: edge, replica: master.replica, in: world)
        master.virtualIPs.value = ips
        return ips
    }

    private static func writeKubeconfig(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ pki: ClusterPKI, _ endpoint: Endpoint,
        _ now: WallTime
    ) throws {
        let text = try pki.kubeconfig(
            user: "kubernetes-admin", groups: ["system:masters"], server: "https://\(reachable(endpoint))",
            cluster: "martlet", lifetime: configuration.certificateLifetime, now: now)
        do { try Files.write(text, to: data.adminKubeconfig, mode: 0o600) } catch {
            // The one that is there is older, and works: a full disk is no reason to serve nobody.
            if error == .noSpace, Files.exists(data.adminKubeconfig) {
                return configuration.logger.warning("\(data.adminKubeconfig): not renewed: \(error)")
            }
            throw ClusterError.unusable("\(data.adminKubeconfig): \(error)")
        }
    }

    /// An endpoint as a client on this machine can use it: not the wildcard address.
    private static func reachable(_ endpoint: Endpoint) -> Endpoint {
        guard case .ip(let address, let port) = endpoint else { return endpoint }
        return .ip(address == "0.0.0.0" || address == "::" ? "127.0.0.1" : address, port: port)
    }
}
