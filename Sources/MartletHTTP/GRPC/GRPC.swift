public import MartletBase
internal import Synchronization

/// A gRPC client over one HTTP/2 connection (nghttp2), opened at the first call and opened again after a loss.
/// Messages are opaque bytes: the caller encodes and decodes them. Calls share the connection; those that are made
/// together leave in one write.
///
/// It speaks HTTP/2 with prior knowledge, which is what containerd's CRI socket takes: nothing but the path of the
/// socket is needed, and any authority (`localhost`). A call in flight when the connection is lost fails with status
/// 14 (UNAVAILABLE) and is not sent again: only the caller knows whether it may be. Only a unary call whose stream the
/// server has refused untouched is.
public final class GRPCChannel: Sendable {
    private let endpoint: Endpoint
    private let authority: String
    private let world: any World
    private let tls: TLSClient?

    private struct State: Sendable {
        var link: GRPCClientLink?
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
    public func unary(
        _ path: String, _ message: [UInt8], metadata: GRPCMetadata = [:], timeout: Duration
    ) async throws -> [UInt8] {
        let head = GRPCClientLink.Head(path: path, metadata: metadata, timeout: timeout)
        var triesLeft = Self.tries
        while true {
            let (link, call) = try begin(head, message: message)
            do {
                return try await link.answer(to: call)
            } catch {
                link.giveUp(call)
                if Task.isCancelled { throw CancellationError() }
                triesLeft -= 1
                // Before its settings have come, a client may open more streams than the server takes.
                if triesLeft > 0 && link.isUntouched(call) { continue }
                throw error
            }
        }
    }

    /// How often a unary call is made when the server refuses its stream untouched (RFC 9113, 8.7).
    private static let tries = 3

    /// One request, many answers; ends with nil, or throws ``GRPCStatus``. Dropping the function that is returned
    /// cancels the call.
    public func serverStream(
        _ path: String, _ message: [UInt8], metadata: GRPCMetadata = [:]
    ) async throws -> @Sendable () async throws -> [UInt8]? {
        let (link, call) = try begin(GRPCClientLink.Head(path: path, metadata: metadata), message: message)
        let stream = GRPCClientStream(link, call)
        return { try await stream.next() }
    }

    /// Any number of messages each way. Dropping the stream cancels the call.
    /// - Throws: ``GRPCStatus`` when no call can begin.
    public func stream(
        _ path: String, metadata: GRPCMetadata = [:], timeout: Duration? = nil
    ) throws(GRPCStatus) -> GRPCClientStream {
        let head = GRPCClientLink.Head(path: path, metadata: metadata, timeout: timeout)
        let (link, call) = try begin(head, message: nil)
        return GRPCClientStream(link, call)
    }

    /// Closes the connection; calls in flight fail as unavailable, and so does every later one.
    public func close() {
        let link = state.withLock { state in
            state.isClosed = true
            defer { state.link = nil }
            return state.link
        }
        link?.fail("the channel is closed")
    }

    private func begin(
        _ head: GRPCClientLink.Head, message: [UInt8]?
    ) throws(GRPCStatus) -> (GRPCClientLink, GRPCCall) {
        guard (message?.count ?? 0) <= GRPCDeframer.limit else {
            throw GRPCStatus(code: 8, message: "a message of \(message?.count ?? 0) bytes is over the limit")
        }
        guard head.metadata.isEmpty || head.metadata.isSendable else {
            throw GRPCStatus(code: 3, message: "a name or value of the metadata cannot stand in a header")
        }
        // Twice at most: the connection may turn out to be over between its choice and its use.
        for _ in 0..<2 {
            let link = try current()
            if let call = try link.begin(head, message: message) { return (link, call) }
            state.withLock { if $0.link === link { $0.link = nil } }
        }
        throw GRPCStatus(code: 14, message: "\(endpoint) takes no calls")
    }

    private func current() throws(GRPCStatus) -> GRPCClientLink {
        let link: GRPCClientLink? = state.withLock { state in
            if state.isClosed { return nil }
            if let link = state.link { return link }
            let made = makeLink()
            state.link = made
            return made
        }
        guard let link else { throw GRPCStatus(code: 14, message: "the channel is closed") }
        return link
    }

    private func makeLink() -> GRPCClientLink {
        let (endpoint, authority, tls, world) = (endpoint, authority, tls, world)
        return GRPCClientLink(in: world, name: "\(endpoint)", authority: authority, isSecure: tls != nil) {
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
    }
}

/// A call whose messages stream, on the client's side. One task may read while others send. Dropped before its end, it
/// is cancelled.
public final class GRPCClientStream: Sendable {
    private let link: GRPCClientLink
    private let call: GRPCCall

    init(_ link: GRPCClientLink, _ call: GRPCCall) {
        self.link = link
        self.call = call
    }

    deinit { link.giveUp(call) }

    /// Sends a message; waits while much waits for the server already.
    /// - Throws: ``GRPCStatus`` when the call is over, or `CancellationError`.
    public func send(_ message: [UInt8]) async throws {
        guard message.count <= GRPCDeframer.limit else {
            throw GRPCStatus(code: 8, message: "a message of \(message.count) bytes is over the limit")
        }
        do {
            try await link.send(call, message)
        } catch {
            throw Task.isCancelled ? CancellationError() : error
        }
    }

    /// Says that no message follows. The server may send on.
    public func closeSend() {
        link.locked { if call.outcome == nil && !call.outgoing.isEnded { link.endSending(call) } }
    }

    /// The server's next message; nil after its last one, when the outcome is OK.
    /// - Throws: ``GRPCStatus``, or `CancellationError`: the call is given up then.
    public func next() async throws -> [UInt8]? {
        do {
            return try await link.next(call)
        } catch {
            guard Task.isCancelled else { throw error }
            link.giveUp(call)
            throw CancellationError()
        }
    }

    /// Gives the call up.
    public func cancel() { link.giveUp(call) }

    /// What the server sent along so far, with its head and, after the end, with its status.
    public var metadata: GRPCMetadata { link.locked { call.metadata } }
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
