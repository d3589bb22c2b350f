internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import Synchronization

/// Passes requests on to one of several endpoints, over kept connections.
final class Forwarder: Sendable {
    /// How many endpoints one request is tried on before the client hears of it.
    static let attempts = 3
    /// How long an endpoint may take to answer a connection attempt and to begin its answer.
    static let answerTimeout = Duration.seconds(60)

    private struct State {
        var clients: [Endpoint: HTTPClient] = [:]
        var turn = 0
    }
    private let state = Mutex(State())
    private let world: any World
    private let logger: Logger

    init(world: any World, logger: Logger) {
        self.world = world
        self.logger = logger
    }

    /// Forgets the connections of endpoints that no route leads to any more.
    func keep(only endpoints: Set<Endpoint>) {
        let gone = state.withLock { state in
            let gone = state.clients.filter { !endpoints.contains($0.key) }.map(\.value)
            state.clients = state.clients.filter { endpoints.contains($0.key) }
            return gone
        }
        for client in gone { client.close() }
    }

    /// The endpoints in the order in which they are tried: each request begins one further on.
    private func order(_ endpoints: [Endpoint]) -> [(Endpoint, HTTPClient)] {
        state.withLock { state in
            state.turn &+= 1
            let start = state.turn
            return (0..<min(endpoints.count, Self.attempts)).map { step in
                let endpoint = endpoints[(start &+ step) % endpoints.count]
                if let client = state.clients[endpoint] { return (endpoint, client) }
                let client = HTTPClient(endpoint: endpoint, serverName: "", in: world)
                state.clients[endpoint] = client
                return (endpoint, client)
            }
        }
    }

    /// Sends the request on and brings the answer back. An endpoint that does not take the connection, or breaks
    /// before it answers a request that may be repeated, is followed by the next one.
    func forward(_ head: HTTPRequest, _ request: Request, to endpoints: [Endpoint]) async -> Response {
        var failure = ""
        for (endpoint, client) in order(endpoints) {
            do {
                let answer = try await send(head, request.body, client)
                return response(answer, method: head.method)
            } catch {
                failure = "\(endpoint): \(error)"
                logger.debug("proxied request failed", metadata: ["endpoint": "\(endpoint)", "error": "\(error)"])
                guard Self.isUnsent(error) || Self.mayRepeat(head, request.body) else { break }
            }
        }
        logger.info("no endpoint answered", metadata: ["path": "\(head.path ?? "")", "error": "\(failure)"])
        return .plain(.badGateway, "no endpoint answered")
    }

    /// Whether the failure came before a byte of the request left: nobody took the connection.
    private static func isUnsent(_ error: any Error) -> Bool {
        guard case .system(let operation, _) = error as? NetworkError else { return false }
        return operation.hasPrefix("connect")
    }

    private static func mayRepeat(_ head: HTTPRequest, _ body: RequestBody) -> Bool {
        guard case .bytes = body else { return false }
        return [.get, .head, .options, .put, .delete].contains(head.method)
    }

    private func send(_ head: HTTPRequest, _ body: RequestBody, _ client: HTTPClient) async throws -> ClientResponse {
        let world = self.world
        return try await withThrowingTaskGroup(of: ClientResponse.self) { group in
            group.addTask { try await client.send(head, body: body) }
            group.addTask {
                try await world.sleep(for: Self.answerTimeout)
                throw NetworkError.timedOut("the answer")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw NetworkError.closed }
            return first
        }
    }

    private func response(_ answer: ClientResponse, method: HTTPRequest.Method) -> Response {
        var head = answer.head
        if let stream = answer.upgraded {
            return Response(head: head, body: .upgrade { client in await Self.splice(client, stream) })
        }
        ProxyHeaders.strip(&head.headerFields)
        switch answer.body {
        case .bytes(let bytes): return Response(head: head, body: .bytes(bytes))
        case .stream(let next):
            return Response(
                head: head,
                body: .stream { writer in while let piece = try await next() { try await writer.write(piece) } })
        }
    }

    /// Carries bytes both ways until both sides have ended.
    static func splice(_ a: any ByteStream, _ b: any ByteStream) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await pump(from: a, to: b) }
            group.addTask { await pump(from: b, to: a) }
        }
        a.close()
        b.close()
    }

    private static func pump(from source: any ByteStream, to sink: any ByteStream) async {
        while let bytes = try? await source.read(atMost: 65_536), !bytes.isEmpty {
            do { try await sink.write(bytes) } catch {
                source.close()
                return
            }
        }
        await sink.closeWrite()
    }
}

extension Response {
    /// A short answer of the proxy's own.
    static func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, contentType: "text/plain; charset=utf-8", bytes: Array("\(status.code) \(text)\n".utf8))
    }
}
