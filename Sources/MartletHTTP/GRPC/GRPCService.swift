public import MartletBase

/// What a gRPC server offers: methods by their path.
public protocol GRPCService: Sendable {
    /// The method at `path` (`/package.Service/Method`); nil when there is none: the client is told so by status 12.
    ///
    /// A server asks once for each path that exists and keeps the answer, so a lookup may take its time, and a method
    /// should capture what it works on.
    func method(at path: String) -> GRPCMethod?
}

/// How a method is served. Messages are opaque bytes: the service decodes and encodes them.
///
/// Every function runs in a task of its own on the world's executor, which is cancelled when the client gives up, its
/// connection is lost, or the call's time is up. Returning means status 0. A thrown ``GRPCStatus`` is told to the
/// client as it is; `CancellationError` is status 1, and any other error is status 2 with its description.
public enum GRPCMethod: Sendable {
    /// One request, one answer. The function is called when the request is whole; it starts before the next bytes of
    /// the connection are read, so calls of one connection start in the order in which they came. One that returns
    /// without waiting is answered in the same write as its neighbours.
    case unary(@Sendable (_ request: [UInt8], _ context: GRPCContext) async throws -> [UInt8])
    /// Any number of messages each way. The function is called when the call's head is there.
    case stream(@Sendable (_ call: GRPCServerCall) async throws -> Void)
}

/// What is known of a call beside its messages.
public struct GRPCContext: Sendable {
    /// `/package.Service/Method`.
    public var path: String
    /// What the client sent along; without the fields that gRPC itself uses (`te`, `content-type`, `user-agent`,
    /// `grpc-...`).
    public var metadata: GRPCMetadata
    /// When the client stops waiting. The task is cancelled then.
    public var deadline: MonotonicTime?
    /// Who calls.
    public var peer: Peer { connection.peer }

    /// Shared by all calls of a connection, so that a call does not copy it.
    private let connection: ConnectionPeer

    /// A context, as a test makes it.
    public init(
        path: String, metadata: GRPCMetadata = [:], deadline: MonotonicTime? = nil, peer: Peer = Peer()
    ) {
        self.init(path: path, metadata: metadata, deadline: deadline, connection: ConnectionPeer(peer))
    }

    init(path: String, metadata: GRPCMetadata, deadline: MonotonicTime?, connection: ConnectionPeer) {
        self.path = path
        self.metadata = metadata
        self.deadline = deadline
        self.connection = connection
    }

    /// A peer behind a reference.
    final class ConnectionPeer: Sendable {
        let peer: Peer
        init(_ peer: Peer) { self.peer = peer }
    }
}

/// A call whose messages stream. One task may read while others send.
///
/// When the client resets the call or its connection is lost, the task that serves it is cancelled, and every function
/// here throws status 1.
public final class GRPCServerCall: Sendable {
    /// Path, metadata, deadline and peer.
    public let context: GRPCContext
    private let link: GRPCServerLink
    private let stream: GRPCServerStream

    init(_ link: GRPCServerLink, _ stream: GRPCServerStream, _ context: GRPCContext) {
        self.link = link
        self.stream = stream
        self.context = context
    }

    /// The client's next message; nil when it has ended its side. Waits until there is one. While messages are not
    /// taken, the client's window closes, so a call holds no more than ``GRPCServerLimits/queuedPerCall`` and one
    /// message of them.
    /// - Throws: ``GRPCStatus``: 1 when the call is over or the task is cancelled, 8 for an over-large message, 12 for
    ///   a compressed one.
    public func next() async throws(GRPCStatus) -> [UInt8]? { try await link.next(stream) }

    /// Sends a message; waits while more than ``GRPCServerLimits/queuedPerCall`` bytes wait for the client. `rest` are
    /// bytes at its end: what many messages have in common is kept once while they wait.
    /// - Throws: ``GRPCStatus``: 1 when the call is over or the task is cancelled.
    public func send(_ message: [UInt8], _ rest: [UInt8] = []) async throws(GRPCStatus) {
        try await link.send(stream, message, rest)
    }

    /// Sends a message without waiting. False, and nothing is sent, when more than
    /// ``GRPCServerLimits/queuedPerCall`` bytes wait for the client already, or the call is over. `rest` is as in
    /// ``send(_:_:)``.
    public func offer(_ message: [UInt8], _ rest: [UInt8] = []) -> Bool {
        link.offer(stream, message, rest) ?? false
    }

    /// Returns when the client has taken so much that ``offer(_:_:)`` would succeed.
    /// - Throws: ``GRPCStatus``: 1 when the call is over or the task is cancelled.
    public func ready() async throws(GRPCStatus) { try await link.ready(stream) }

    /// What goes along with the status at the call's end. Ignored when a name or value cannot stand in a header.
    public func setTrailers(_ trailers: GRPCMetadata) {
        guard trailers.isSendable else { return }
        link.locked { stream.trailers = trailers }
    }

    /// Whether the client has gone: nothing that is sent now reaches it.
    public var isOver: Bool { link.locked { stream.outcome != nil } }
}

/// Bounds of a gRPC server. What is over them is refused with a status that says so, or its connection is closed.
public struct GRPCServerLimits: Sendable {
    /// Bytes of a request message. Status 8 above.
    public var message = 4 * 1024 * 1024
    /// Bytes of a call's metadata, and of the names and values of all its fields together. Status 8 above.
    public var metadata = 16 * 1024
    /// Calls at one time on one connection; a client that respects the protocol waits with more.
    public var calls = 1024
    /// Connections at one time.
    public var connections = 4096
    /// Bytes of messages that wait for their reader, and as many that wait for the client, in one streaming call.
    public var queuedPerCall = 1024 * 1024
    /// Bytes that all calls of one connection hold: requests that are not taken and answers that are not sent. A call
    /// that would add more ends with status 8.
    public var queuedPerConnection = 64 * 1024 * 1024
    /// How long a connection may take for its handshake and its first bytes.
    public var handshakeTimeout: Duration = .seconds(30)
    /// How long a connection without calls may be silent.
    public var idleTimeout: Duration = .seconds(900)
    /// How long a client may take to accept what is written at one time; to give window for answers, or the rest of
    /// its requests, when no method runs.
    public var writeTimeout: Duration = .seconds(60)
    /// Calls that a client may give up at once; more end its connection (CVE-2023-44487).
    public var resets = 1000
    /// How many more it may give up each second.
    public var resetsPerSecond = 100

    /// The bounds that suit etcd's API.
    public init() {}
}
