internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletGateway
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletPKI
internal import MartletReplica
internal import MartletStore
internal import Synchronization

/// The store and the REST gateway of one process.
final class Master: Sendable {
    let replica: Replica
    let gateway: Gateway
    let server: HTTPServer
    /// This master's part in virtual addresses, once it has one.
    let virtualIPs: VirtualIPSlot

    private init(_ replica: Replica, _ gateway: Gateway, _ server: HTTPServer, _ virtualIPs: VirtualIPSlot) {
        self.virtualIPs = virtualIPs
        self.replica = replica
        self.gateway = gateway
        self.server = server
    }

    static func start(
        _ configuration: ClusterConfiguration, _ data: DataDirectory, _ credentials: Credentials,
        _ told: TrafficTold, in world: any World
    ) async throws -> Master {
        let (logger, pki) = (configuration.logger, credentials.pki)
        let tls = try credentials.server("apiserver", clientsOf: "ca", required: false)
        var settings = GatewayConfiguration()
        settings.serviceCIDR = configuration.serviceCIDR
        settings.tokens = try tokens(configuration, pki)
        settings.furtherMetrics = { told.metrics }
        settings.allowsAnonymous = configuration.allowsAnonymous
        if let path = configuration.tokenFile {
            do {
                settings.tokenFile = try TokenFile(String(decoding: try Files.read(path), as: UTF8.self))
            } catch { throw ClusterError.unusable("--token-auth-file \(path): \(error)") }
        }
        let nodes = NodeClients(
            tls: try credentials.client("apiserver-kubelet-client", trusting: "ca"), world: world)
        settings.nodeClient = { try nodes.client(address: $0, port: $1) }
        settings.authorities = { (try? pki.trusted("ca")) ?? [] }
        settings.processUse = { System.use() }
        let door = DoorKeeper()
        settings.door = { await door.answer($0) }
        var peers = configuration.storePeers
        if peers?.security == nil, peers?.peerURLs.first?.hasPrefix("https://") == true {
            peers?.security = try peerSecurity(credentials)
        }
        let replica = try await Replica.open(
            ReplicaConfiguration(directory: data.store, peers: peers), in: world, logger: logger)
        do {
            let gateway = Gateway(replica: replica, configuration: settings, in: world, logger: logger)
            try await bootstrap(gateway, replica, in: world, logger)
            credentials.follow { [weak gateway] pki in gateway?.setTokens(try tokens(configuration, pki)) }
            let server = try await listening("REST gateway", configuration.apiEndpoint, "--api-address") {
                try await HTTPServer.start(
                    on: configuration.apiEndpoint, in: world, tls: tls, logger: logger, handler: gateway)
            }
            let master = Master(replica, gateway, server, VirtualIPSlot())
            let admin = master.client(as: "system:admin", groups: ["system:masters"], in: world)
            door.open(
                MasterDoor(
                    configuration: configuration, pki: pki, replica: replica, admin: admin,
                    rotations: RotationDoor(pki: pki, store: RotationStore(client: admin), world: world),
                    virtualIPs: master.virtualIPs))
            return master
        } catch {
            await replica.close()
            throw error
        }
    }

    /// Waits for a leader, and makes what every cluster has. Masters that start together wait for each other here.
    private static func bootstrap(
        _ gateway: Gateway, _ replica: Replica, in world: any World, _ logger: Logger
    ) async throws {
        var waited = 0
        while await replica.leader == nil {
            if waited % 100 == 10 {
                let voters = await replica.members.filter { !$0.isLearner }
                let names = voters.map { "\($0.name) (\($0.peerURLs.joined(separator: ",")))" }
                logger.notice(
                    """
                    waiting for a leader: \(voters.count / 2 + 1) of these masters must run and reach each other: \
                    \(names.joined(separator: ", "))
                    """)
            }
            waited += 1
            try await world.sleep(for: .milliseconds(100))
            if let reason = await replica.stopped { throw ClusterError.unusable("the store has stopped: \(reason)") }
        }
        while true {
            do { return try await gateway.bootstrap() } catch let error as GatewayUnavailable {
                logger.notice("the store takes no writes yet: \(error)")
                try await world.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Mutual TLS among the masters by the cluster's own certificates.
    private static func peerSecurity(_ credentials: Credentials) throws -> PeerSecurity {
        // The same authority signs certificates of the store's clients, which are no members.
        return PeerSecurity(
            server: try credentials.server("etcd/peer", clientsOf: "etcd/ca", required: true),
            client: try credentials.client("etcd/peer", trusting: "etcd/ca")
        ) { $0.commonName != ClusterPKI.storeClientName }
    }

    /// How service account tokens are signed: by the key that is named, else by the cluster's own.
    private static func tokens(_ configuration: ClusterConfiguration, _ pki: ClusterPKI) throws -> TokenSettings {
        func known(_ key: SigningKey) -> TokenSettings.Key {
            TokenSettings.Key(
                identifier: key.identifier, algorithm: key.algorithm, jwk: key.jwk.encoded(),
                verifies: { key.verifies($0, of: $1) })
        }
        let key: SigningKey
        var others: [SigningKey] = []
        if let path = configuration.serviceAccountKey {
            do { key = try SigningKey(pem: try Files.read(path)) } catch {
                throw ClusterError.unusable("--service-account-key-file \(path): \(error)")
            }
        } else {
            let keys = try pki.serviceAccountKeys()
            key = try SigningKey(pem: keys.privateKeyPEM)
            others = try keys.publicKeysPEM.dropFirst().map { try SigningKey(pem: $0) }
        }
        var settings = TokenSettings(key: known(key), sign: { try key.sign($0) })
        settings.keys += others.map(known)
        if let issuer = configuration.serviceAccountIssuer { settings.issuer = issuer }
        return settings
    }

    /// A client inside this process that acts as `user`.
    func client(as user: String, groups: [String], in world: any World) -> Client {
        let identity = Identity(user: user, groups: groups + ["system:authenticated"])
        let gateway = self.gateway
        return Client(
            transport: InProcessTransport(in: world) { await gateway.serve($0, as: identity) }, in: world)
    }

    /// Makes a service account token of its claims.
    func signToken(_ claims: JSON) throws -> String { try gateway.signToken(claims) }

    /// Another master leads before this one stops answering: writes go on there, those too that come here meanwhile.
    func handOver() async { await replica.handOver() }

    func stop() async {
        await server.shutdown(grace: .seconds(2))
        await replica.close()
    }
}

/// Answers by the door as soon as there is one: it wants the gateway, which wants it.
private final class DoorKeeper: Sendable {
    private let door = Mutex<MasterDoor?>(nil)

    func open(_ door: MasterDoor) { self.door.withLock { $0 = door } }

    func answer(_ request: DoorRequest) async -> DoorAnswer {
        guard let door = door.withLock({ $0 }) else { return .refused(503, "this master is about to start; try again") }
        return await door.answer(request)
    }
}

/// Runs `start`, and names the role, the endpoint and the option in the error when the endpoint is taken.
func listening<Started>(
    _ role: String, _ endpoint: Endpoint, _ option: String, _ start: () async throws -> Started
) async throws -> Started {
    do { return try await start() } catch let error as NetworkError {
        let why = if case .system(_, let errno) = error { errno.description } else { error.description }
        throw ClusterError.endpoint(role: role, endpoint: endpoint.description, why: why, option: option)
    }
}

extension TLSIdentity {
    convenience init(_ pair: KeyPair) throws {
        try self.init(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
    }
}

/// The gateway's clients of node agents, one a node, kept for their connections.
final class NodeClients: Sendable {
    /// With more nodes than this all connections are dropped, and made anew as they are needed.
    static let limit = 1024

    private let clients = Mutex<[Endpoint: HTTPClient]>([:])
    private let tls: TLSClient
    private let world: any World

    init(tls: TLSClient, world: any World) {
        self.tls = tls
        self.world = world
    }

    func client(address: String, port: UInt16) throws -> HTTPClient {
        let endpoint = Endpoint.ip(address, port: port)
        return clients.withLock { clients in
            if let client = clients[endpoint] { return client }
            if clients.count >= Self.limit { clients.removeAll() }
            let client = HTTPClient(endpoint: endpoint, serverName: address, in: world, tls: tls)
            clients[endpoint] = client
            return client
        }
    }
}
