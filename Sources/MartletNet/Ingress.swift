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
    /// Nil until all there is has been read once.
    let table = Mutex<RouteTable?>(nil)
    let router: Router
    private let following: Following
    /// Writes on the Node.
    private let node: Client
    private let secrets: SecretReading
    let world: any World
    private let logger: Logger
    let trusted: Mutex<TrustedEdges>
    private let nodeName: String
    let traffic: Traffic
    private let parts = Mutex<(server: HTTPServer?, announcer: Task<Void, Never>?)>((nil, nil))

    /// Starts an ingress.
    /// - Parameters:
    ///   - endpoint: where it listens, in plain HTTP; edges find it there.
    ///   - nodeName: the Node that is told the port, so that edges can find it.
    ///   - ownAddresses: the machine's, whose edge's `X-Forwarded` fields are believed, as those of masters' edges are.
    ///   - balancers: load balancers: their connections begin with a PROXY header. Edges' never do.
    ///   - log: where each request is told of; nil for nowhere.
    ///   - client: reads what routes say.
    ///   - node: a client that may write on the Node.
    ///   - secrets: which ones `client` may read.
    /// - Throws: `NetworkError` when the endpoint cannot be listened on.
    public static func start(
        on endpoint: Endpoint, nodeName: String, ownAddresses: Set<String>, balancers: [IPRange] = [],
        log: AccessLog? = nil, client: Client, node: Client, secrets: SecretReading = .all, in world: any World,
        logger: Logger
    ) async throws -> Ingress {
        let ingress = try Ingress(ownAddresses, nodeName, log, (client, node), secrets, world, logger)
        let preface: @Sendable (IPAddress) -> Bool = { ingress.expectsPreface(of: $0, balancers) }
        let server = try await HTTPServer.start(
            on: endpoint, in: world, limits: .ingress, preface: balancers.isEmpty ? nil : preface, logger: logger,
            handler: ingress)
        ingress.parts.withLock { $0.server = server }
        world.spawn { await ingress.run() }
        if case .ip(_, let port) = server.endpoint { ingress.announce(port) }
        return ingress
    }

    private init(
        _ own: Set<String>, _ nodeName: String, _ log: AccessLog?, _ clients: (routes: Client, node: Client),
        _ secrets: SecretReading, _ world: any World, _ logger: Logger
    ) throws {
        traffic = Traffic(.ingress, log, in: world)
        self.nodeName = nodeName
        trusted = Mutex(TrustedEdges(own: own.compactMap { IPAddress($0) }))
        self.secrets = secrets
        node = clients.node
        self.world = world
        self.logger = logger
        router = try Router(in: world, logger: logger)
        following = Following(
            secrets.kinds(of: RouteBuilder.kinds), client: clients.routes, world: world, logger: logger)
    }

    /// Where it really listens; nil once it has stopped.
    public var endpoint: Endpoint? { parts.withLock { $0.server?.endpoint } }

    private func run() async {
        var builder = RouteBuilder()
        while let (snapshot, changed) = await following.nextChanges() {
            trust(changed, snapshot)
            builder.take(changed, from: snapshot)
            // Connections are encrypted up to the edge: certificates are none of an ingress' business.
            let names = secrets == .named ? builder.takeSecrets(certificates: false) : nil
            guard await following.follow(secrets: names) else { continue }
            let routes = builder.table
            table.withLock { $0 = routes }
            router.forwarder.keep(only: routes.endpoints)
        }
    }

    private func trust(_ changed: Set<ObjectKey>, _ snapshot: Snapshot) {
        let slices = changed.filter { $0.kind == .endpointSlice }
        if slices.isEmpty { return }
        let now = world.now()
        trusted.withLock { trusted in
            for key in slices {
                if let slice = snapshot.get(key) { trusted.put(slice, at: now) } else { trusted.remove(key, at: now) }
            }
        }
    }

    /// Keeps the port written on the Node, also when the Node is made anew.
    private func announce(_ port: UInt16) {
        let (client, logger, nodeName) = (node, self.logger, self.nodeName)
        let announcer = world.spawn {
            // Not before it can serve.
            _ = await Arriving.known(in: self.world) { self.table.withLock { $0 } }
            let nodes = client.follow(.node, fieldSelector: "metadata.name=\(nodeName)", logger: logger)
            for await change in nodes {
                guard case .put(let node) = change, node.name == nodeName else { continue }
                if node.annotations[EdgeTable.portAnnotation] == String(port) { continue }
                await self.write(port)
            }
        }
        parts.withLock { $0.announcer = announcer }
    }

    /// Tries until it is written, or there is no such Node any more.
    private func write(_ port: UInt16) async {
        let patch: JSON = ["metadata": ["annotations": [EdgeTable.portAnnotation: .string(String(port))]]]
        while !Task.isCancelled {
            do {
                _ = try await node.patch(.node, name: nodeName, type: .merge, patch)
                return
            } catch let error as APIError where error.isNotFound {
                return
            } catch {
                logger.debug("the node was not told its ingress", metadata: ["error": "\(error)"])
                try? await world.sleep(for: .seconds(1))
            }
        }
    }

    /// Takes the port from the Node, so that edges look for it no longer. Without an API they find out by themselves.
    private func withdraw() async {
        let patch: JSON = ["metadata": ["annotations": [EdgeTable.portAnnotation: .null]]]
        do {
            try await world.limited(to: Leaving.farewell, "the node's answer") { [node, nodeName] in
                _ = try await node.patch(.node, name: nodeName, type: .merge, patch)
            }
        } catch {
            logger.debug("edges are not told that the ingress ends", metadata: ["error": "\(error)"])
        }
    }

    /// Passes one request on.
    public func handle(_ request: Request) async -> Response {
        if request.head.authority == WorkerHealth.host { return health }
        var trace = traffic.begin(request)
        let answer = await answer(request, &trace)
        return traffic.end(trace, answer)
    }

    /// The short cut.
    public func plainWay(for peer: Peer) -> (any PlainWay)? { IngressLane(of: peer, through: self) }

    /// What edges are told that ask whether it serves. They are no visitors: nothing is told of them.
    private var health: Response {
        table.withLock { $0 } == nil
            ? .unavailable("the routes are not known yet") : .plain(.ok, "the ingress answers")
    }

    private func expectsPreface(of address: IPAddress, _ balancers: [IPRange]) -> Bool {
        let now = world.now()
        return balancers.contains { $0.contains(address) } && !trusted.withLock { $0.contains(address, at: now) }
    }

    /// Metrics of what it passes on, in Prometheus' text format.
    public var metrics: String {
        var gauges = TrafficCounts.Gauges()
        gauges.connections = parts.withLock { $0.server?.connections } ?? 0
        gauges.ejected = router.forwarder.ejected
        return traffic.text(gauges)
    }

    private func answer(_ request: Request, _ trace: inout Trace) async -> Response {
        guard let table = await Arriving.known(in: world, atMost: Arriving.patience, { table.withLock { $0 } }) else {
            return .unavailable("the routes are not known yet")
        }
        let now = world.now()
        let visitor = Visitor(request) { address in trusted.withLock { $0.contains(address, at: now) } }
        trace.entry.client = visitor.address
        guard
            let match = table.route(
                host: request.head.authority ?? "", target: request.head.path ?? "/", isSecure: visitor.isSecure,
                RoutedHead(head: request.head))
        else { return .plain(.notFound, "no ingress rule covers this host and path") }
        let passage = Passage(request: request, visitor: visitor, match: match)
        trace.entry.route = match.route.origin
        return await router.answer(passage, table, &trace)
    }

    /// Tells edges to go elsewhere, serves those that have not heard it for a moment, lets what is in flight end, and
    /// stops.
    public func stop() async {
        let (server, announcer) = parts.withLock { $0 }
        announcer?.cancel()
        await announcer?.value
        await withdraw()
        await server?.drain(settle: Leaving.settle, grace: Leaving.grace)
        await following.stop()
        // The server holds its handler, this ingress: without this they would keep each other.
        parts.withLock { $0 = (nil, nil) }
        router.close()
    }
}

/// Names for requests that come without one.
enum RequestID {
    /// 32 hexadecimal digits.
    static func make(_ world: any World) -> String {
        let words = (world.random(), world.random())
        return String(unsafeUninitializedCapacity: 32) { digits in
            for at in 0..<32 { digits[at] = digit(at, of: words) }
            return 32
        }
    }

    /// Adds one to a message.
    static func write(_ world: any World, to out: inout [UInt8]) {
        let words = (world.random(), world.random())
        for at in 0..<32 { out.append(digit(at, of: words)) }
    }

    private static func digit(_ at: Int, of words: (UInt64, UInt64)) -> UInt8 {
        digit((at < 16 ? words.0 : words.1) >> UInt64(60 - at % 16 * 4))
    }

    /// The digit of the last four bits.
    private static func digit(_ bits: UInt64) -> UInt8 {
        let value = UInt8(bits & 15)
        return value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}

extension HTTPServerLimits {
    /// Bounds that suit a proxy: bodies stream through and are bounded by what a backend takes.
    static var proxy: HTTPServerLimits {
        var limits = HTTPServerLimits()
        limits.body = 1 << 30
        limits.connections = 16_384
        limits.http2 = HTTP2Limits()
        return limits
    }

    /// Bounds that suit an ingress: an edge brings many clients' requests over one connection, and what one of them
    /// gives up must not end the others'.
    static var ingress: HTTPServerLimits {
        var limits = proxy
        limits.http2?.streams = 1024
        limits.http2?.connectionWindow = 16 * 1024 * 1024
        limits.http2?.resets = 10_000
        limits.http2?.resetsPerSecond = 10_000
        limits.http2?.controls = 10_000
        limits.http2?.controlsPerSecond = 10_000
        return limits
    }
}
