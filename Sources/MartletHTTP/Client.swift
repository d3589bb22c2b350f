public import HTTPTypes
public import MartletBase
internal import Synchronization

/// Sends requests to one origin.
public protocol HTTPSender: Sendable {
    /// Sends one request; returns when the answer's head is there.
    /// - Parameter trailers: what goes behind the body, where the protocol has room for it.
    /// - Throws: ``NetworkError``, ``HTTPError``, ``TLSError`` or `CancellationError`.
    func send(_ head: HTTPRequest, body: RequestBody, trailers: Trailers?) async throws -> ClientResponse
    /// Forgets the connections that nobody uses.
    func close()
}

/// Sends HTTP/1.1 requests to one origin, keeping connections for the next request.
///
/// A task that is cancelled while it sends, or while it reads an answer's body, closes its connection. Time limits
/// are the caller's: race `world.sleep` against the call and cancel it.
public final class HTTPClient: HTTPSender {
    private let endpoint: Endpoint
    private let serverName: String
    private let world: any World
    private let tls: TLSClient?
    private let pool: ConnectionPool

    /// A client of one origin.
    /// - Parameters:
    ///   - tls: nil for plain text; `serverName` is what the certificate must be for.
    ///   - maxIdle: idle connections kept.
    public init(
        endpoint: Endpoint, serverName: String, in world: any World, tls: TLSClient? = nil, maxIdle: Int = 8
    ) {
        self.endpoint = endpoint
        self.serverName = serverName
        self.world = world
        self.tls = tls
        pool = ConnectionPool(limit: maxIdle, world: world)
    }

    deinit { pool.end() }

    /// Sends one request; returns when the answer's head is there. The body of the answer is
    /// ``ClientResponse/body``. A request on a kept connection that the server closed before any answer is sent
    /// again on a new one when that is safe: its method is idempotent and its body replayable. The body goes out
    /// with the `content-length` that the head names, or chunked, when it is a stream.
    /// - Throws: ``NetworkError``, ``HTTPError``, ``TLSError`` or `CancellationError`.
    public func send(_ head: HTTPRequest, body: RequestBody = .bytes([])) async throws -> ClientResponse {
        if let kept = pool.take() {
            do {
                return try await exchange(on: kept, head, body)
            } catch let stale as StaleConnection {
                guard Self.isReplayable(head, body) else { throw stale.cause }
            }
        }
        return try await sendOnNew(head, body: body)
    }

    /// As ``send(_:body:)``, but never on a kept connection.
    public func sendOnNew(_ head: HTTPRequest, body: RequestBody) async throws -> ClientResponse {
        let fresh = try await connect()
        do {
            return try await exchange(on: fresh, head, body)
        } catch let stale as StaleConnection {
            throw stale.cause
        }
    }

    /// As ``send(_:body:)``; trailers are left out.
    public func send(_ head: HTTPRequest, body: RequestBody, trailers: Trailers?) async throws -> ClientResponse {
        try await send(head, body: body)
    }

    /// Closes the idle connections.
    public func close() { pool.closeAll() }

    private static func isReplayable(_ head: HTTPRequest, _ body: RequestBody) -> Bool {
        guard case .bytes = body else { return false }
        return [.get, .head, .options, .put, .delete].contains(head.method)
    }

    private func connect() async throws -> ClientConnection {
        let plain = try await world.connect(to: endpoint)
        guard let tls else { return ClientConnection(plain, in: world) }
        do {
            return ClientConnection(try await tls.connect(plain, serverName: serverName), in: world)
        } catch {
            plain.close()
            throw error
        }
    }

    /// As ``send(_:body:)``, but only on a kept connection that still lives; nil when there is none, or
    /// when its end was met and the request may be sent again: ``sendOnNew(_:body:)`` is next then.
    /// - Parameter breaker: ends the exchange from outside until the head of the answer is there. It fails with
    ///   ``NetworkError/closed`` then.
    public func sendOnKept(_ head: HTTPRequest, body: RequestBody, breaker: Breaker) async throws -> ClientResponse? {
        guard let kept = pool.take() else { return nil }
        breaker.arm { kept.close() }
        defer { breaker.disarm() }
        do {
            return try await exchange(on: kept, head, body)
        } catch let stale as StaleConnection {
            guard Self.isReplayable(head, body), !breaker.isBroken else { throw stale.cause }
            return nil
        }
    }

    /// Whether a connection is kept for the next request.
    public var hasKept: Bool { pool.count > 0 }

    /// A kept connection that is fresh; nil when there is none. It goes back by ``keep(_:)``.
    func takeKept() -> ClientConnection? { pool.take() }

    /// Keeps a connection whose exchange has ended.
    func keep(_ connection: ClientConnection) { pool.keep(connection) }

    /// The answer to a request that was sent already.
    func answer(on connection: ClientConnection, to method: HTTPRequest.Method) async throws -> ClientResponse {
        do {
            return try await exchange(on: connection, method) {}
        } catch let stale as StaleConnection {
            throw stale.cause
        }
    }

    private func exchange(
        on connection: ClientConnection, _ head: HTTPRequest, _ body: RequestBody
    ) async throws -> ClientResponse {
        try await exchange(on: connection, head.method) {
            try await connection.start(head, body, defaultHost: defaultHost)
        }
    }

    private func exchange(
        on connection: ClientConnection, _ method: HTTPRequest.Method, _ start: () async throws -> Void
    ) async throws -> ClientResponse {
        do {
            return try await withTaskCancellationHandler {
                try await start()
                return try await readAnswer(on: connection, to: method)
            } onCancel: {
                connection.close()
            }
        } catch {
            connection.close()
            if Task.isCancelled { throw CancellationError() }
            throw connection.uploadFailure ?? error
        }
    }

    private var defaultHost: String {
        serverName.utf8.contains(Characters.colon) ? "[\(serverName)]" : serverName
    }

    private func readAnswer(
        on connection: ClientConnection, to method: HTTPRequest.Method
    ) async throws -> ClientResponse {
        let head = try await connection.finalHead(to: method)
        let inbound = connection.inbound
        if head.response.status == .switchingProtocols {
            connection.stream.limitSilence(.zero)
            let stream = UpgradedStream(connection.stream, inbound, owner: connection)
            return ClientResponse(head: head.response, body: .bytes([]), upgraded: stream)
        }
        inbound.beginBody(head.framing, limit: .max)
        let pool = self.pool
        let reader = AnswerReader(connection) { if head.keepAlive { pool.keep(connection) } }
        if let bytes = try inbound.bodyAtHand() {
            reader.finish()
            return ClientResponse(head: head.response, body: .bytes(bytes))
        }
        return ClientResponse(head: head.response, body: .stream { try await reader.next() })
    }
}

/// Ends what somebody else waits for, without a task that could be cancelled.
public final class Breaker: Sendable {
    private struct State {
        var isBroken = false
        var action: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    /// One that breaks nothing yet.
    public init() {}

    /// Whether ``break()`` was called.
    public var isBroken: Bool { state.withLock { $0.isBroken } }

    /// Says how to end it: at once when it is broken already. Takes the place of what was said before.
    public func arm(_ action: @escaping @Sendable () -> Void) {
        let isBroken = state.withLock { state in
            if !state.isBroken { state.action = action }
            return state.isBroken
        }
        if isBroken { action() }
    }

    /// There is nothing to end any more.
    public func disarm() { state.withLock { $0.action = nil } }

    /// Ends it, once.
    public func `break`() {
        let action = state.withLock { state in
            state.isBroken = true
            return state.action.take()
        }
        action?()
    }
}

/// An answer as a client sees it.
public struct ClientResponse: Sendable {
    /// Status and header fields.
    public var head: HTTPResponse
    /// The body, still coming. Reading to its end, or dropping the answer, frees the connection.
    public var body: RequestBody
    /// What came behind the body; nil over HTTP/1.1, whose trailers are not kept.
    public var trailers: Trailers?
    /// For 101: the connection's bytes, with what was read ahead.
    public var upgraded: (any ByteStream)?

    /// An answer from its parts.
    public init(head: HTTPResponse, body: RequestBody, upgraded: (any ByteStream)? = nil) {
        self.head = head
        self.body = body
        self.upgraded = upgraded
    }
}
