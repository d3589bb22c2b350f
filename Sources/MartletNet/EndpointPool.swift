internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// The kept connections to all endpoints, and whose turn it is.
final class EndpointPool: Sendable {
    /// An endpoint that took no connection is tried after all others for so long.
    static let restTime = Duration.seconds(2)

    /// Idle connections kept to one endpoint: about as many requests may run at once without new connections.
    static let idleConnections = 64

    /// An endpoint, and how it is spoken to.
    private struct Way: Hashable {
        var endpoint: Endpoint
        var isHTTP2: Bool
        var isSecure: Bool
        var connectLimit: Duration
    }
    private struct State {
        var clients: [Way: any HTTPSender] = [:]
        /// By name, how many requests there were.
        var turns: [String: Int] = [:]
        var restUntil: [Endpoint: MonotonicTime] = [:]
        var outliers = OutlierEjection()
    }
    private let state = Mutex(State())
    private let world: any World
    /// No endpoint is given more time to take a connection than this, whatever its route says; nil for no such bound.
    private let mostPatient: Duration?
    /// Backends' certificates are nobody's business here, as in ingress-nginx.
    private let tls: (http1: TLSClient, http2: TLSClient)

    /// - Throws: `TLSError` when there is no TLS to be had.
    init(_ world: any World, mostPatient: Duration? = nil) throws {
        self.world = world
        self.mostPatient = mostPatient
        tls = (try TLSClient(trustingAnyone: ()), try TLSClient(trustingAnyone: (), alpn: ["h2"]))
    }

    /// Forgets all other endpoints: this bounds what is kept by what the tables name.
    func keep(only known: Set<Endpoint>) {
        let gone = state.withLock { state in
            let gone = state.clients.filter { !known.contains($0.key.endpoint) }.map(\.value)
            state.clients = state.clients.filter { known.contains($0.key.endpoint) }
            state.restUntil = state.restUntil.filter { known.contains($0.key) }
            state.outliers.keep(only: known)
            state.turns = [:]
            return gone
        }
        for client in gone { client.close() }
    }

    /// The endpoints in the order in which a request tries them: each request of a name begins one further on, and
    /// those that rest, are ejected, or are to be the last come last.
    /// - Parameter speaking: what is spoken to them.
    func order(
        _ candidates: [Endpoint], _ plan: ForwardPlan, speaking: BackendProtocol, atMost limit: Int
    ) -> [(Endpoint, any HTTPSender)] {
        if candidates.isEmpty { return [] }
        let now = world.now()
        return state.withLock { state in
            let turn = plan.inTurn ? state.turns[plan.name, default: 0] : 0
            if plan.inTurn { state.turns[plan.name] = turn &+ 1 }
            let start = turn % candidates.count
            var order = Array(candidates[start...] + candidates[..<start])
            if !state.restUntil.isEmpty {
                state.restUntil = state.restUntil.filter { now < $0.value }
                let resting = state.restUntil
                order = order.filter { resting[$0] == nil } + order.filter { resting[$0] != nil }
            }
            if !state.outliers.isQuiet {
                let outliers = state.outliers
                order =
                    order.filter { !outliers.isEjected($0, at: now) } + order.filter { outliers.isEjected($0, at: now) }
            }
            if !plan.last.isEmpty {
                order = order.filter { !plan.last.contains($0) } + order.filter { plan.last.contains($0) }
            }
            let connectLimit = connectLimit(plan.timeouts.connect)
            return order.prefix(limit).map {
                let way = Way(
                    endpoint: $0, isHTTP2: speaking.isHTTP2, isSecure: speaking.isSecure, connectLimit: connectLimit)
                if let preface = plan.preface {
                    return ($0, makeClient(of: way, in: PrefacedWorld(world: world, preface: preface), maxIdle: 0))
                }
                return ($0, client(for: way, &state))
            }
        }
    }

    /// Whose turn it is, in HTTP/1.1 and by the usual limits; nil where that endpoint has failed or is left alone, or
    /// no connection is kept to it. Then it stays its turn, for ``order(_:_:speaking:atMost:)``.
    func next(of candidates: [Endpoint], named name: String) -> (endpoint: Endpoint, client: HTTPClient)? {
        if candidates.isEmpty { return nil }
        return state.withLock { state in
            let turn = state.turns[name, default: 0]
            let endpoint = candidates[turn % candidates.count]
            // Mostly nobody rests, and nobody has failed.
            guard state.restUntil.isEmpty || state.restUntil[endpoint] == nil,
                state.outliers.isQuiet || state.outliers.isQuiet(of: endpoint)
            else { return nil }
            let way = Way(
                endpoint: endpoint, isHTTP2: false, isSecure: false, connectLimit: connectLimit(nil))
            guard let client = state.clients[way] as? HTTPClient, client.hasKept else { return nil }
            state.turns[name] = turn &+ 1
            return (endpoint, client)
        }
    }

    /// How long an endpoint may take to take a connection.
    /// - Parameter wished: as its route says.
    private func connectLimit(_ wished: Duration?) -> Duration {
        let limit = wished ?? Forwarder.connectLimit
        return mostPatient.map { min($0, limit) } ?? limit
    }

    private func client(for way: Way, _ state: inout State) -> any HTTPSender {
        if let client = state.clients[way] { return client }
        let client = makeClient(of: way, in: world, maxIdle: Self.idleConnections)
        state.clients[way] = client
        return client
    }

    private func makeClient(of way: Way, in world: any World, maxIdle: Int) -> any HTTPSender {
        // Over HTTP/2 many requests share a connection, one of which may be slow for as long as it likes.
        let world = ConnectLimit(
            world: world, limit: way.connectLimit, silence: way.isHTTP2 ? nil : Forwarder.silenceLimit)
        if way.isHTTP2 {
            return HTTP2Client(
                endpoint: way.endpoint, serverName: way.endpoint.host, in: world, tls: way.isSecure ? tls.http2 : nil)
        }
        return HTTPClient(
            endpoint: way.endpoint, serverName: way.endpoint.host, in: world, tls: way.isSecure ? tls.http1 : nil,
            maxIdle: maxIdle)
    }

    /// An endpoint has answered a request, or has not. True when it is left alone for a while from now on.
    func judge(_ endpoint: Endpoint, among all: [Endpoint], hasFailed: Bool) -> Bool {
        let now = world.now()
        return state.withLock { state in
            if hasFailed { return state.outliers.failed(endpoint, among: all, at: now) }
            if !state.outliers.isQuiet { state.outliers.succeeded(endpoint, at: now) }
            return false
        }
    }

    /// How many endpoints are left alone now because they failed too often.
    var ejected: Int {
        let now = world.now()
        return state.withLock { $0.outliers.ejected(at: now) }
    }

    /// Whether none of them has taken a connection lately.
    func allRest(_ endpoints: [Endpoint]) -> Bool {
        let now = world.now()
        return state.withLock { state in
            !state.restUntil.isEmpty && endpoints.allSatisfy { state.restUntil[$0].map { now < $0 } ?? false }
        }
    }

    /// Lets an endpoint that took no connection rest.
    func rest(_ endpoint: Endpoint) {
        let until = world.now() + Self.restTime
        state.withLock { $0.restUntil[endpoint] = until }
    }
}

extension Endpoint {
    /// Its address.
    fileprivate var host: String { if case .ip(let address, _) = self { address } else { "localhost" } }
}
