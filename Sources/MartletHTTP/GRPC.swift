public import MartletBase
internal import Synchronization

/// A gRPC client over one HTTP/2 connection (nghttp2), opened at the first call and opened again after a loss.
/// Messages are opaque bytes: the caller encodes and decodes them.
///
/// It speaks HTTP/2 with prior knowledge, which is what containerd's CRI socket takes: nothing but the path of the
/// socket is needed, and any authority (`localhost`). A call in flight when the connection is lost fails with status
/// 14 (UNAVAILABLE) and is not sent again: only the caller knows whether it may be.
public final class GRPCChannel: Sendable {
    private let endpoint: Endpoint
    private let authority: String
    private let world: any World
    private let tls: TLSClient?

    private struct State: Sendable {
        var connection: GRPCConnection?
        var isClosed = false
    }
    private let state = Mutex(State())

    /// A channel to `endpoint`: in the clear (prior knowledge, as over a UNIX socket) or over TLS with ALPN `h2`.
    public init(endpoint: Endpoint, authority: String, in world: any World, tls: TLSClient? = nil) {
        self.endpoint = endpoint
        self.authority = authority
        self.world = world
        self.tls = tls
    }

    deinit { close() }

    /// One request, one answer. `path` is `/package.Service/Method`.
    /// - Throws: ``GRPCStatus`` for every outcome but OK (4 when the time is up), or `CancellationError`.
    public func unary(_ path: String, _ message: [UInt8], timeout: Duration) async throws -> [UInt8] {
        let call = try await begin(path, message, timeout: timeout)
        let timer = world.spawn { [world] in
            guard (try? await world.sleep(for: timeout)) != nil else { return }
            await call.end(GRPCStatus(code: 4, message: "\(path) took longer than \(timeout)"))
        }
        defer { timer.cancel() }
        guard let answer = try await call.next() else {
            throw GRPCStatus(code: 13, message: "\(path) ended without an answer")
        }
        guard try await call.next() == nil else {
            throw GRPCStatus(code: 13, message: "\(path) gave more than one answer")
        }
        return answer
    }

    /// One request, many answers; ends with nil, or throws ``GRPCStatus``. Dropping the function that is returned
    /// cancels the call.
    public func serverStream(_ path: String, _ message: [UInt8]) async throws -> @Sendable () async throws -> [UInt8]? {
        let call = try await begin(path, message, timeout: nil)
        return { try await call.next() }
    }

    /// Closes the connection; calls in flight fail as unavailable, and so does every later one.
    public func close() {
        let connection = state.withLock { state in
            state.isClosed = true
            defer { state.connection = nil }
            return state.connection
        }
        guard let connection else { return }
        world.spawn { await connection.fail("the channel is closed") }
    }

    private func begin(_ path: String, _ message: [UInt8], timeout: Duration?) async throws -> GRPCCall {
        guard message.count <= GRPCDeframer.limit else {
            throw GRPCStatus(code: 8, message: "a message of \(message.count) bytes is over the limit")
        }
        var fields: [(name: String, value: String)] = [
            (":method", "POST"), (":scheme", tls == nil ? "http" : "https"), (":path", path),
            (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"),
            ("user-agent", "martlet"),
        ]
        if let timeout { fields.append(("grpc-timeout", GRPCText.timeout(timeout))) }
        // Twice at most: the connection may turn out to be over between its choice and its use.
        for _ in 0..<2 {
            let connection = try current()
            if let id = try await connection.begin(fields, GRPCDeframer.frame(message)) {
                return GRPCCall(connection, id: id, world: world)
            }
            state.withLock { if $0.connection === connection { $0.connection = nil } }
        }
        throw GRPCStatus(code: 14, message: "\(endpoint) takes no calls")
    }

    private func current() throws(GRPCStatus) -> GRPCConnection {
        let (endpoint, authority, tls, world) = (endpoint, authority, tls, world)
        let connection: GRPCConnection? = state.withLock { state in
            if state.isClosed { return nil }
            if let connection = state.connection { return connection }
            let made = GRPCConnection(in: world, name: "\(endpoint)") {
                let plain = try await world.connect(to: endpoint)
                guard let tls else { return plain }
                let host = String(authority.split(separator: ":").first ?? "")
                let secure = try await tls.connect(plain, serverName: host)
                guard secure.applicationProtocol == "h2" else {
                    secure.close()
                    throw NetworkError.protocolViolation("the server does not agree on HTTP/2")
                }
                return secure
            }
            state.connection = made
            return made
        }
        guard let connection else { throw GRPCStatus(code: 14, message: "the channel is closed") }
        return connection
    }
}

/// One call. Dropped before its end, it is cancelled.
private final class GRPCCall: Sendable {
    private let connection: GRPCConnection
    private let id: UInt64
    private let world: any World

    init(_ connection: GRPCConnection, id: UInt64, world: any World) {
        self.connection = connection
        self.id = id
        self.world = world
    }

    deinit {
        let (connection, id) = (connection, id)
        world.spawn { await connection.forget(id) }
    }

    /// The next message; nil after the last one, when the outcome is OK.
    func next() async throws -> [UInt8]? {
        let (connection, id, world) = (connection, id, world)
        do {
            return try await withTaskCancellationHandler {
                try await connection.next(id)
            } onCancel: {
                world.spawn { await connection.end(id, GRPCStatus(code: 1, message: "cancelled")) }
            }
        } catch {
            throw Task.isCancelled ? CancellationError() : error
        }
    }

    func end(_ status: GRPCStatus) async { await connection.end(id, status) }
}

/// The outcome of a call, as gRPC numbers them (0 OK, 5 NOT_FOUND, 14 UNAVAILABLE, ...).
public struct GRPCStatus: Error, Sendable, Hashable, CustomStringConvertible {
    /// The code.
    public var code: Int
    /// The server's words.
    public var message: String
    /// An outcome.
    public init(code: Int, message: String) {
        self.code = code
        self.message = message
    }
    /// One line for people.
    public var description: String { "gRPC status \(code): \(message)" }
}
