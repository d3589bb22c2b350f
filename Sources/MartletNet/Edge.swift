internal import HTTPTypes
public import Logging
public import MartletBase
public import MartletClient
public import MartletHTTP
internal import MartletObject
internal import MartletRoutes
internal import Synchronization

/// Where an edge listens.
public struct EdgeConfiguration: Sendable {
    /// HTTPS.
    public var secure: Endpoint
    /// Plain HTTP, answered by a redirect to HTTPS; nil for none.
    public var plain: Endpoint?
    /// Shown to clients whose host name has no certificate of its own.
    public var fallback: TLSIdentity
    /// Written to the status of the Ingresses it serves: the address that clients reach.
    public var publishedAddress: String?

    /// An edge that listens on `secure`.
    public init(secure: Endpoint, plain: Endpoint?, fallback: TLSIdentity, publishedAddress: String?) {
        self.secure = secure
        self.plain = plain
        self.fallback = fallback
        self.publishedAddress = publishedAddress
    }
}

/// A master's edge: ends TLS with the certificate of the name the client asked for, and passes requests to the
/// ingress of a worker.
public final class Edge: RequestHandler {
    private struct Parts {
        var workers: [Endpoint] = []
        var servers: [HTTPServer] = []
        var materials: [String: TLSMaterial] = [:]
        var identities: [String: TLSIdentity] = [:]
        var published: Set<ObjectKey> = []
    }
    private let parts = Mutex(Parts())
    private let configuration: EdgeConfiguration
    private let tls: TLSServer
    private let forwarder: Forwarder
    private let following: Following
    private let client: Client
    private let world: any World
    private let logger: Logger

    /// Starts an edge.
    /// - Throws: `NetworkError` when an endpoint cannot be listened on, `TLSError` when the fallback is no identity.
    public static func start(
        _ configuration: EdgeConfiguration, client: Client, in world: any World, logger: Logger
    ) async throws -> Edge {
        let edge = try Edge(configuration, client, world, logger)
        var servers = [
            try await HTTPServer.start(
                on: configuration.secure, in: world, tls: edge.tls, limits: .proxy, logger: logger, handler: edge)
        ]
        if let plain = configuration.plain {
            do {
                servers.append(
                    try await HTTPServer.start(
                        on: plain, in: world, limits: .proxy, logger: logger, handler: SecureRedirect()))
            } catch {
                await servers[0].shutdown(grace: .zero)
                throw error
            }
        }
        let started = servers
        edge.parts.withLock { $0.servers = started }
        world.spawn { await edge.run() }
        return edge
    }

    private init(
        _ configuration: EdgeConfiguration, _ client: Client, _ world: any World, _ logger: Logger
    ) throws {
        self.configuration = configuration
        self.client = client
        self.world = world
        self.logger = logger
        tls = try TLSServer(identity: configuration.fallback)
        forwarder = Forwarder(world: world, logger: logger)
        following = Following(
            [.node, .ingress, .ingressClass, .secret, .service], client: client, world: world, logger: logger)
    }

    /// Where it really listens: HTTPS first.
    public var endpoints: [Endpoint] { parts.withLock { $0.servers.map(\.endpoint) } }

    private func run() async {
        while let snapshot = await following.next() {
            let table = EdgeTable(from: snapshot)
            forwarder.keep(only: Set(table.workers))
            parts.withLock { $0.workers = table.workers }
            let result = IngressBuilder.build(from: snapshot)
            install(result.certificates)
            await publish(result.served, snapshot)
        }
    }

    /// Reads new certificates and puts all of them in place at once. One that cannot be read leaves the one before.
    private func install(_ materials: [String: TLSMaterial]) {
        let (before, known) = parts.withLock { ($0.materials, $0.identities) }
        if before == materials { return }
        var identities: [String: TLSIdentity] = [:]
        for (host, material) in materials {
            if before[host] == material, let identity = known[host] {
                identities[host] = identity
                continue
            }
            do {
                identities[host] = try TLSIdentity(
                    certificateChainPEM: material.certificatePEM, privateKeyPEM: material.privateKeyPEM)
            } catch {
                logger.warning(
                    "the TLS secret of a host cannot be used", metadata: ["host": "\(host)", "error": "\(error)"])
                identities[host] = known[host]
            }
        }
        tls.setIdentities(identities, fallback: configuration.fallback)
        let installed = identities
        parts.withLock {
            $0.materials = materials
            $0.identities = installed
        }
    }

    /// Tells users at which address their Ingresses are served.
    private func publish(_ served: [ObjectKey], _ snapshot: Snapshot) async {
        guard let address = configuration.publishedAddress else { return }
        let wished: JSON = [["ip": .string(address)]]
        for key in served {
            guard let ingress = snapshot.get(key), ingress["status", "loadBalancer", "ingress"] != wished else {
                continue
            }
            let patch: JSON = ["status": ["loadBalancer": ["ingress": wished]]]
            do {
                _ = try await client.patch(
                    .ingress, namespace: key.namespace, name: key.name, subresource: "status", type: .merge, patch)
            } catch {
                logger.debug("an ingress status was not written", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Passes one request on to a worker.
    public func handle(_ request: Request) async -> Response {
        let workers = parts.withLock { $0.workers }
        if workers.isEmpty { return .plain(.serviceUnavailable, "no worker is ready") }
        let head = ProxyHeaders.onward(request, isTrusted: false, requestID: RequestID.make(world))
        return await forwarder.forward(head, request, to: workers)
    }

    /// Takes no new requests, lets those in flight end, and stops.
    public func stop() async {
        await following.stop()
        for server in parts.withLock({ $0.servers }) { await server.shutdown(grace: .seconds(5)) }
        forwarder.keep(only: [])
    }
}

/// Sends clients from http to https.
struct SecureRedirect: RequestHandler {
    func handle(_ request: Request) async -> Response {
        guard let authority = request.head.authority, !authority.isEmpty else {
            return .plain(.badRequest, "a Host field is needed")
        }
        let host = authority.split(separator: ":", maxSplits: 1).first.map(String.init) ?? authority
        var response = Response.plain(.permanentRedirect, "use https")
        response.head.headerFields[.location] = "https://\(host)\(request.head.path ?? "/")"
        return response
    }
}
