internal import HTTPTypes
public import Logging
public import MartletBase
public import MartletClient
public import MartletHTTP
internal import MartletObject
internal import MartletRoutes
internal import Synchronization

/// A worker's ingress: reads the Host field of each request and passes it on to a pod.
public final class Ingress: RequestHandler {
    private let table = Mutex(IngressTable())
    private let forwarder: Forwarder
    private let following: Following
    private let client: Client
    private let world: any World
    private let logger: Logger
    private let trusted: Set<String>
    private let server = Mutex<HTTPServer?>(nil)

    /// Starts an ingress.
    /// - Parameters:
    ///   - endpoint: where it listens, in plain HTTP; edges find it there.
    ///   - nodeName: the Node that is told the port, so that edges can find it.
    ///   - edgeAddresses: whose `X-Forwarded` fields are believed.
    /// - Throws: `NetworkError` when the endpoint cannot be listened on.
    public static func start(
        on endpoint: Endpoint, nodeName: String, edgeAddresses: Set<String>, client: Client, in world: any World,
        logger: Logger
    ) async throws -> Ingress {
        let ingress = Ingress(edgeAddresses, client, world, logger)
        let server = try await HTTPServer.start(
            on: endpoint, in: world, limits: .proxy, logger: logger, handler: ingress)
        ingress.server.withLock { $0 = server }
        world.spawn { await ingress.run() }
        if case .ip(_, let port) = server.endpoint { ingress.announce(port, nodeName) }
        return ingress
    }

    private init(_ trusted: Set<String>, _ client: Client, _ world: any World, _ logger: Logger) {
        self.trusted = trusted
        self.client = client
        self.world = world
        self.logger = logger
        forwarder = Forwarder(world: world, logger: logger)
        following = Following(
            [.ingress, .ingressClass, .service, .endpointSlice], client: client, world: world, logger: logger)
    }

    /// Where it really listens.
    public var endpoint: Endpoint? { server.withLock { $0?.endpoint } }

    private func run() async {
        while let snapshot = await following.next() {
            let result = IngressBuilder.build(from: snapshot)
            forwarder.keep(only: result.table.endpoints)
            table.withLock { $0 = result.table }
        }
    }

    /// Writes the port to the Node, again and again until it is there.
    private func announce(_ port: UInt16, _ nodeName: String) {
        let (client, world, logger) = (self.client, self.world, self.logger)
        let patch: JSON = ["metadata": ["annotations": [EdgeTable.portAnnotation: .string(String(port))]]]
        world.spawn {
            while !Task.isCancelled {
                do {
                    _ = try await client.patch(.node, name: nodeName, type: .merge, patch)
                    return
                } catch {
                    logger.debug("the node does not know its ingress yet", metadata: ["error": "\(error)"])
                    try? await world.sleep(for: .milliseconds(200))
                }
            }
        }
    }

    /// Passes one request on.
    public func handle(_ request: Request) async -> Response {
        let table = table.withLock { $0 }
        guard let backend = table.route(host: request.head.authority ?? "", path: request.head.path ?? "/") else {
            return .plain(.notFound, "no ingress rule covers this host and path")
        }
        if backend.endpoints.isEmpty { return .plain(.serviceUnavailable, "no ready endpoint") }
        let isTrusted = if case .ip(let address, _) = request.peer.endpoint { trusted.contains(address) } else { false }
        let head = ProxyHeaders.onward(request, isTrusted: isTrusted, requestID: RequestID.make(world))
        return await forwarder.forward(head, request, to: backend.endpoints)
    }

    /// Takes no new requests, lets those in flight end, and stops.
    public func stop() async {
        await following.stop()
        await server.withLock { $0 }?.shutdown(grace: .seconds(5))
        forwarder.keep(only: [])
    }
}

/// Names for requests that come without one.
enum RequestID {
    /// 32 hexadecimal digits.
    static func make(_ world: any World) -> String {
        [world.random(), world.random()].map { bits in
            let text = String(bits, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }
}

extension HTTPServerLimits {
    /// Bounds that suit a proxy: bodies stream through and are bounded by what a backend takes.
    static var proxy: HTTPServerLimits {
        var limits = HTTPServerLimits()
        limits.body = 1 << 30
        limits.connections = 16_384
        return limits
    }
}
