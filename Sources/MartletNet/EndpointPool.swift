internal import MartletBase
internal import MartletHTTP
internal import Synchronization

/// The kept connections to all endpoints, and whose turn it is.
final class EndpointPool: Sendable {
    /// An endpoint that took no connection is tried after all others for so long.
    static let restTime = Duration.seconds(2)

    /// Idle connections kept to one endpoint: about as many requests may run at once without new connections.
    static let idleConnections = 64

    private struct State {
        var clients: [Endpoint: HTTPClient] = [:]
        /// By name, how many requests there were.
        var turns: [String: Int] = [:]
        var restUntil: [Endpoint: MonotonicTime] = [:]
    }
    private let state = Mutex(State())
    private let world: any World

    init(_ world: any World) { self.world = world }

    /// Forgets all other endpoints: this bounds what is kept by what the tables name.
    func keep(only known: Set<Endpoint>) {
        let gone = state.withLock { state in
            let gone = state.clients.filter { !known.contains($0.key) }.map(\.value)
            state.clients = state.clients.filter { known.contains($0.key) }
            state.restUntil = state.restUntil.filter { known.contains($0.key) }
            state.turns = [:]
            return gone
        }
        for client in gone { client.close() }
    }

    /// The endpoints in the order in which a request tries them: each request of a name begins one further on, and
    /// those that rest come last.
    /// - Parameter inTurn: false to begin with the first.
    func order(
        _ candidates: [Endpoint], of name: String, inTurn: Bool = true, atMost limit: Int
    ) -> [(Endpoint, HTTPClient)] {
        if candidates.isEmpty { return [] }
        let now = world.now()
        return state.withLock { state in
            let turn = inTurn ? state.turns[name, default: 0] : 0
            if inTurn { state.turns[name] = turn &+ 1 }
            let start = turn % candidates.count
            var order = Array(candidates[start...] + candidates[..<start])
            if !state.restUntil.isEmpty {
                state.restUntil = state.restUntil.filter { now < $0.value }
                let resting = state.restUntil
                order = order.filter { resting[$0] == nil } + order.filter { resting[$0] != nil }
            }
            return order.prefix(limit).map { ($0, client(for: $0, &state)) }
        }
    }

    private func client(for endpoint: Endpoint, _ state: inout State) -> HTTPClient {
        if let client = state.clients[endpoint] { return client }
        let client = HTTPClient(endpoint: endpoint, serverName: "", in: world, maxIdle: Self.idleConnections)
        state.clients[endpoint] = client
        return client
    }

    /// Lets an endpoint that took no connection rest.
    func rest(_ endpoint: Endpoint) {
        let until = world.now() + Self.restTime
        state.withLock { $0.restUntil[endpoint] = until }
    }
}
