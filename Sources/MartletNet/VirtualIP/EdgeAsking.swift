internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import Synchronization

/// Asks an edge's listeners whether they answer, over connections that are kept: its own word would not say that
/// anybody gets through to it.
final class EdgeAsking: Sendable {
    /// The host that is asked for. Nobody else knows it, and no request to it goes further than the edge.
    let name: String
    private let world: any World
    private let balancers: [IPRange]
    private let tls: TLSClient
    private let clients = Mutex<[Endpoint: HTTPClient]>([:])

    /// - Parameter balancers: from whose addresses the edge expects a PROXY header.
    init(in world: any World, balancers: [IPRange]) throws {
        self.world = world
        self.balancers = balancers
        name = RequestID.make(world) + ".invalid"
        tls = try TLSClient(trustingAnyone: ())
    }

    /// - Parameter endpoints: HTTPS first, then plain HTTP.
    func ask(_ endpoints: [Endpoint]) async throws {
        if endpoints.isEmpty { throw NetworkError.closed }
        for (index, endpoint) in endpoints.enumerated() {
            let client = clients.withLock { clients in
                if let client = clients[endpoint] { return client }
                let place = Self.reachable(endpoint)
                let client = HTTPClient(
                    endpoint: place, serverName: name, in: world(for: place), tls: index == 0 ? tls : nil, maxIdle: 1)
                clients[endpoint] = client
                return client
            }
            let answer = try await client.send(
                HTTPRequest(method: .get, scheme: index == 0 ? "https" : "http", authority: name, path: "/"))
            _ = try await answer.body.collect(limit: 4_096)
        }
    }

    /// Who asks a listener of this machine comes from the listener's own address, or from loopback's.
    private func world(for place: Endpoint) -> any World {
        guard case .ip(let text, _) = place, let address = IPAddress(text.hasPrefix("127.") ? "127.0.0.1" : text),
            balancers.contains(where: { $0.contains(address) })
        else { return world }
        return PrefacedWorld(world: world)
    }

    func close() {
        let all = clients.withLock { clients in
            defer { clients = [:] }
            return clients
        }
        for client in all.values { client.close() }
    }

    /// Not the wildcard address.
    private static func reachable(_ endpoint: Endpoint) -> Endpoint {
        guard case .ip(let address, let port) = endpoint else { return endpoint }
        return .ip(address == "0.0.0.0" ? "127.0.0.1" : address == "::" ? "::1" : address, port: port)
    }
}
