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
    /// Written to the status of the Ingresses it serves, beside those of other edges: the addresses that clients reach.
    public var publishedAddresses: [String]
    /// The machine's name, by which other edges know this one.
    public var machine = "edge"
    /// The port of HTTPS that redirects name, where another one than the edge's own reaches it (address translation);
    /// nil for the one it listens on.
    public var publishedPort: UInt16?
    /// Where each request is told of; nil for nowhere.
    public var log: AccessLog?
    /// Load balancers: their connections begin with a PROXY header.
    public var balancers: [IPRange] = []
    /// Whether it goes to pods itself where it reaches them (``Edge/setReach(_:)``), past the workers' ingresses.
    public var goesToPods = false

    /// An edge that listens on `secure`.
    public init(secure: Endpoint, plain: Endpoint?, fallback: TLSIdentity, publishedAddresses: [String]) {
        self.secure = secure
        self.plain = plain
        self.fallback = fallback
        self.publishedAddresses = publishedAddresses
    }
}

/// A master's edge: ends TLS with the certificate of the name the client asked for, and passes requests to the
/// ingress of a worker, or to pods themselves.
public final class Edge: RequestHandler {
    private struct Parts {
        /// Nil until all there is has been read once.
        var workers: [Endpoint]?
        var table = RouteTable()
        var plan = ForwardPlan(toIngressesAllowing: RouteTimeouts())
        var answers = ACMEAnswers()
        var servers: [HTTPServer] = []
        var materials: [String: TLSMaterial] = [:]
        /// What hosts are shown.
        var identities: [String: TLSIdentity] = [:]
        var read: [TLSMaterial: TLSIdentity] = [:]
        var fallback: TLSIdentity
        var presence: Task<Void, Never>?
        /// Of pods.
        var reach: [IPRange] = []
    }
    private let parts: Mutex<Parts>
    private let configuration: EdgeConfiguration
    private let tls: TLSServer
    /// To ingresses.
    private let forwarder: Forwarder
    /// To pods; nil where all goes through ingresses.
    private let router: Router?
    private let following: Following
    private let secrets: SecretReading
    /// Nil for an edge that publishes no address.
    private let presence: EdgePresence?
    private let status: IngressStatus?
    private let asking: EdgeAsking
    private let workers: WorkerAsking
    private let problems: IngressProblems
    private let gateways: GatewayStatus
    let traffic: Traffic
    let world: any World
    private let logger: Logger

    /// Starts an edge.
    /// - Parameter secrets: which ones `client` may read.
    /// - Throws: `NetworkError` when an endpoint cannot be listened on, `TLSError` when the fallback is no identity.
    public static func start(
        _ configuration: EdgeConfiguration, client: Client, secrets: SecretReading = .all, in world: any World,
        logger: Logger
    ) async throws -> Edge {
        let edge = try Edge(configuration, client, secrets, world, logger)
        let secure = try await HTTPServer.start(
            on: configuration.secure, in: world, tls: edge.tls, limits: .proxy,
            preface: configuration.balancers.preface, logger: logger, handler: edge)
        var servers = [secure]
        if let plain = configuration.plain {
            do {
                servers.append(
                    try await HTTPServer.start(
                        on: plain, in: world, limits: .proxy, preface: configuration.balancers.preface, logger: logger,
                        handler: PlainDoor(
                            redirect: SecureRedirect(port: configuration.publishedPort ?? secure.endpoint.port),
                            edge: edge)))
            } catch {
                await secure.shutdown(grace: .zero)
                throw error
            }
        }
        let started = servers
        edge.parts.withLock { $0.servers = started }
        world.spawn { await edge.run() }
        if let status = edge.status { world.spawn { await status.run() } }
        if let presence = edge.presence {
            let (following, status) = (edge.following, edge.status)
            let task = world.spawn {
                await presence.run {
                    await following.lookAgain()
                    await status?.lookAgain()
                }
            }
            edge.parts.withLock { $0.presence = task }
        }
        return edge
    }

    private init(
        _ configuration: EdgeConfiguration, _ client: Client, _ secrets: SecretReading, _ world: any World,
        _ logger: Logger
    ) throws {
        self.configuration = configuration
        self.secrets = secrets
        self.world = world
        self.logger = logger
        tls = try TLSServer(identity: configuration.fallback, alpn: ["h2", "http/1.1"])
        parts = Mutex(Parts(fallback: configuration.fallback))
        asking = try EdgeAsking(in: world, balancers: configuration.balancers)
        workers = WorkerAsking(in: world, logger: logger)
        traffic = Traffic(.edge, configuration.log, in: world)
        forwarder = try Forwarder(world: world, logger: logger)
        router = configuration.goesToPods ? try Router(in: world, isDirect: true, logger: logger) : nil
        following = Following(
            secrets.kinds(of: RouteBuilder.kinds + [.node]), client: client, world: world, logger: logger)
        problems = IngressProblems(client: client, in: world, logger: logger)
        gateways = GatewayStatus(client: client, in: world, logger: logger)
        let addresses = configuration.publishedAddresses
        let presence: EdgePresence? =
            addresses.isEmpty
            ? nil
            : EdgePresence(of: configuration.machine, addresses: addresses, client: client, in: world, logger: logger)
        status = presence.map { presence in
            IngressStatus(addresses: { presence.published }, client: client, in: world, logger: logger)
        }
        self.presence = presence
    }

    /// Asks each of its listeners as a client would, and returns when all have answered. The caller sets the limit.
    /// - Throws: what a client would meet; `NetworkError` when it listens no more, or knows no workers yet.
    public func ask() async throws {
        try await asking.ask(endpoints)
        if parts.withLock({ $0.workers == nil }) { throw NetworkError.protocolViolation("it knows no workers yet") }
    }

    /// Where it really listens: HTTPS first. None once it has stopped.
    public var endpoints: [Endpoint] { parts.withLock { $0.servers.map(\.endpoint) } }

    private func run() async {
        var builder = RouteBuilder()
        var before: [String]?
        while let (snapshot, changed) = await following.nextChanges() {
            builder.take(changed, from: snapshot)
            let names = secrets == .named ? builder.takeSecrets(certificates: true) : nil
            guard await following.follow(secrets: names?.union([ACMEAnswers.key])) else { continue }
            let table = EdgeTable(from: snapshot)
            forwarder.keep(only: Set(table.workers))
            workers.keep(only: Set(table.workers))
            let answers = ACMEAnswers(snapshot.get(ACMEAnswers.key))
            parts.withLock {
                $0.workers = table.workers
                $0.answers = answers
            }
            var routes = builder.table
            if let router {
                routes.setReach(parts.withLock { $0.reach })
                router.forwarder.keep(only: Set(routes.backends.filter(\.isWithinReach).flatMap(\.endpoints)))
            }
            let (chosen, plan) = (routes, ForwardPlan(toIngressesAllowing: builder.longestPauses))
            parts.withLock { ($0.table, $0.plan) = (chosen, plan) }
            install(builder.certificates)
            // One edge speaks for all. Who begins to write, or has other addresses to write, says all there is to say.
            let addresses: [String]? = if let presence { presence.published } else { [] }
            if addresses != nil { await problems.tell(builder.problems) }
            let news = builder.takeStatusWishes()
            await gateways.tell(addresses == before ? news : builder.statusWishes, addresses: addresses)
            before = addresses
        }
    }

    /// Where the table of certificates has the one that is for all hosts: a Gateway's listener without a host name.
    private static let everyHost = ""

    /// Reads new certificates and puts all of them in place at once. One that cannot be read leaves the one before.
    private func install(_ materials: [String: TLSMaterial]) {
        let (before, known, read) = parts.withLock { ($0.materials, $0.identities, $0.read) }
        if before == materials { return }
        var identities: [String: TLSIdentity] = [:]
        // Hosts of one Secret share what is read from it.
        var used: [TLSMaterial: TLSIdentity] = [:]
        for (host, material) in materials {
            do {
                let identity =
                    try used[material] ?? read[material]
                    ?? TLSIdentity(
                        certificateChainPEM: material.certificatePEM, privateKeyPEM: material.privateKeyPEM)
                (identities[host], used[material]) = (identity, identity)
            } catch {
                identities[host] = known[host]
                if before[host] == material { continue }
                logger.warning(
                    "the TLS secret of a host cannot be used", metadata: ["host": "\(host)", "error": "\(error)"])
            }
        }
        let (installed, all) = (identities, used)
        parts.withLock {
            $0.materials = materials
            $0.identities = installed
            $0.read = all
            tls.setIdentities(installed, fallback: installed[Self.everyHost] ?? $0.fallback)
        }
    }

    /// Shows another certificate from now on to clients whose host name has none of its own.
    public func setFallback(_ identity: TLSIdentity) {
        parts.withLock {
            $0.fallback = identity
            tls.setIdentities($0.identities, fallback: $0.identities[Self.everyHost] ?? identity)
        }
    }

    /// Pods with addresses of these ranges can be connected to from here, and no others.
    public func setReach(_ ranges: [IPRange]) async {
        parts.withLock { $0.reach = ranges }
        await following.lookAgain()
    }

    /// Keeps sessions of TLS under these keys from now on, as `TLSServer.setTicketKeys(_:)` takes them: edges with the
    /// same keys resume each other's sessions.
    public func setTicketKeys(_ keys: [[UInt8]]) { tls.setTicketKeys(keys) }

    /// Whether a request that came without TLS is passed on so: by a route that says it may be.
    func servesPlain(_ request: Request) -> Bool {
        let table = parts.withLock { $0.table }
        let match = table.route(
            host: request.head.authority ?? "", target: request.head.path ?? "/", isSecure: false,
            RoutedHead(head: request.head))
        return match.map { !$0.route.policy.redirectsToSecure } ?? false
    }

    /// What a certificate authority is answered that looks whether a host is ours (RFC 8555, 8.3); nil for all other
    /// requests.
    func proof(for request: Request) -> Response? {
        guard request.head.method == .get || request.head.method == .head, let path = request.head.path,
            path.hasPrefix(ACMEAnswers.path), let bytes = parts.withLock({ $0.answers.answer(to: path) })
        else { return nil }
        return Response(status: .ok, contentType: "application/octet-stream", bytes: bytes)
    }

    /// The short cut. Over HTTP/2 there is none.
    public func plainWay(for peer: Peer) -> (any PlainWay)? { EdgeLane(of: peer, through: self) }

    /// The host that the edge asks itself for.
    var ownHost: String { asking.name }

    /// Which pod or worker gets a plain request; nil for one that is to be handled.
    func plainChoice(for request: PlainRequest, isSecure: Bool) -> PlainChoice? {
        if let router {
            switch way(of: request, isSecure) {
            case .pods(let route, let backend):
                return router.forwarder.plainChoice(
                    of: backend.endpoints, named: backend.service, route.policy.timeouts, route)
            case .worker: break
            case .unclear: return nil
            }
        }
        guard workers.unwell.isEmpty else { return nil }
        let (workers, plan) = parts.withLock { ($0.workers, $0.plan) }
        return forwarder.plainChoice(of: workers ?? [], named: plan.name, plan.timeouts, self)
    }

    /// The way of a plain request, where there are two.
    private enum Way {
        case pods(WebRoute, Backend)
        case worker
        /// Its route does more than passing on, and may be carried out here.
        case unclear
    }

    private func way(of request: PlainRequest, _ isSecure: Bool) -> Way {
        let head = PlainHead(request: request)
        return request.withPlace { host, target in
            parts.withLock { parts in
                let found = parts.table.plainBackend(
                    host: host, target: target, isSecure: isSecure, head, draw: world.random())
                if let (route, backend) = found { return backend.isWithinReach ? .pods(route, backend) : .worker }
                let route = parts.table.route(host: host, target: target, isSecure: isSecure, head)?.route
                return route?.needsIngress ?? true ? .worker : .unclear
            }
        }
    }

    /// Passes one request on to a pod within reach, or to a worker.
    public func handle(_ request: Request) async -> Response {
        if request.head.authority == asking.name { return .plain(.ok, "the edge answers") }
        return await told(request) { await answer(request, &$0) }
    }

    /// An answer that metrics and the access log tell of, unless the edge asks itself.
    func told(_ request: Request, _ answer: (inout Trace) async -> Response) async -> Response {
        var trace = traffic.begin(request)
        let answer = await answer(&trace)
        return request.head.authority == asking.name ? answer : traffic.end(trace, answer)
    }

    /// Metrics of what it passes on, in Prometheus' text format.
    public var metrics: String {
        var gauges = TrafficCounts.Gauges()
        gauges.connections = parts.withLock { $0.servers }.reduce(0) { $0 + $1.connections }
        gauges.ejected = forwarder.ejected + (router?.forwarder.ejected ?? 0)
        gauges.workers = workers.health
        return traffic.text(gauges)
    }

    private func answer(_ request: Request, _ trace: inout Trace) async -> Response {
        if isMisdirected(request) { return .plain(.misdirectedRequest, "this connection is for another host") }
        let known = await Arriving.known(in: world, atMost: Arriving.patience) {
            parts.withLock { parts in parts.workers.map { (workers: $0, plan: parts.plan) } }
        }
        guard let (workers, plain) = known else { return .unavailable("no worker is ready") }
        // A worker that a short cut has asked already is not left.
        if let router, request.begun.map({ workers.contains($0.endpoint) }) != true,
            let answer = await direct(request, router, &trace)
        {
            return answer
        }
        if workers.isEmpty { return .unavailable("no worker is ready") }
        let head = ProxyHeaders.onward(request, isTrusted: false, requestID: RequestID.make(world))
        trace.entry.requestID = head.headerFields[ProxyHeaders.requestID]
        var plan = plain
        // HTTP/1.1 has no room for trailers here, and gRPC lives by them.
        if ProxyHeaders.wantsTrailers(request) { plan.speaks = .h2c }
        plan.last = self.workers.unwell
        let answer = await forwarder.forward(head, request, to: workers, plan)
        trace.passed(answer)
        return answer.response
    }

    /// The answer of a pod within reach; nil where there is none, and a worker is asked.
    private func direct(_ request: Request, _ router: Router, _ trace: inout Trace) async -> Response? {
        let table = parts.withLock { $0.table }
        let visitor = Visitor(request) { _ in false }
        guard
            let match = table.route(
                host: request.head.authority ?? "", target: request.head.path ?? "/", isSecure: visitor.isSecure,
                RoutedHead(head: request.head))
        else { return nil }
        let passage = Passage(request: request, visitor: visitor, match: match)
        guard let answer = await router.answerWithinReach(passage, table, &trace) else { return nil }
        trace.entry.route = match.route.origin
        return answer
    }

    /// Whether a client asks for a host over a connection whose certificate is not good for it (RFC 9110, 15.5.20).
    /// Browsers share connections of HTTP/2 among all hosts that a certificate names (RFC 9113, 9.1.1).
    private func isMisdirected(_ request: Request) -> Bool {
        guard request.peer.isHTTP2, request.peer.isSecure, let name = request.peer.serverName else { return false }
        let host = RequestHost(request.head.authority ?? "").name
        return name != host && !tls.showsIdentity(to: name, for: host)
    }

    /// Each connection that is open now ends with its next answer: for a machine that holds an address no longer.
    public func retireConnections() {
        for server in parts.withLock({ $0.servers }) { server.retireConnections() }
    }

    /// Lets connections end with their next answers, takes no new ones, lets what is in flight end, and stops.
    public func stop() async {
        let task = parts.withLock { $0.presence.take() }
        task?.cancel()
        await task?.value
        await presence?.withdraw()
        await withTaskGroup { group in
            for server in parts.withLock({ $0.servers }) {
                group.addTask { await server.drain(settle: Leaving.settle, grace: Leaving.grace) }
            }
        }
        await following.stop()
        await status?.stop()
        // The servers hold their handler, this edge: without this they would keep each other.
        parts.withLock { $0.servers = [] }
        asking.close()
        workers.stop()
        forwarder.keep(only: [])
        router?.close()
    }
}

extension [IPRange] {
    /// Whether an address is in one of them, as servers ask; nil for none.
    fileprivate var preface: (@Sendable (IPAddress) -> Bool)? {
        if isEmpty { return nil }
        let ranges = self
        return { address in ranges.contains { $0.contains(address) } }
    }
}

extension Endpoint {
    /// The port of https when there is none of its own.
    fileprivate var port: UInt16 { if case .ip(_, let port) = self { port } else { 443 } }
}
