public import MartletBase
public import MartletRaft

/// How a member reaches the others. The real one is ``StreamPeerTransport``; a simulated one delays, drops, repeats
/// and reorders what it is given.
///
/// Messages may be lost. Answers of ``call(_:_:)`` are not: it returns the answer, or throws.
public protocol PeerTransport: Sendable {
    /// Begins: what comes in goes to `receiver`, which is kept until ``close()``.
    /// - Throws: ``NetworkError`` when the endpoint cannot be listened on.
    func start(_ receiver: any PeerReceiver) async throws

    /// Says who the peers are from now on, ordered by id, and where. Connections to others end; those whose addresses
    /// changed are made anew.
    func connect(to peers: [PeerAddress])

    /// Sends messages, each to its `to`, without waiting. What does not fit into a peer's queue is dropped.
    func send(_ messages: [RaftMessage])

    /// Asks a peer, and returns its answer.
    /// - Throws: ``PeerError``.
    func call(_ peer: MemberID, _ request: [UInt8]) async throws -> [UInt8]

    /// Ends all connections, and every call that waits.
    func close() async
}

/// What a transport gives to its member.
public protocol PeerReceiver: Sendable {
    /// Takes what came in, in order. The transport reads no further from that peer until this returns.
    func receive(_ events: [PeerEvent]) async

    /// Answers a peer's ``PeerTransport/call(_:_:)``. `peer` is nil for one that has no id yet.
    /// - Throws: ``PeerError/refused(_:)``, whose text the asker gets; any other error is told as its description.
    func answer(_ request: [UInt8], from peer: MemberID?) async throws -> [UInt8]
}

/// What comes in from the peers.
public enum PeerEvent: Sendable, Hashable {
    /// A message.
    case message(RaftMessage)
    /// The connection to or from that peer broke.
    case unreachable(MemberID)
}

/// A peer, and where it listens.
public struct PeerAddress: Sendable, Hashable {
    /// Who it is.
    public var member: MemberID
    /// Where it may be reached, tried in order.
    public var endpoints: [Endpoint]
    /// A peer and its addresses.
    public init(_ member: MemberID, _ endpoints: [Endpoint]) {
        self.member = member
        self.endpoints = endpoints
    }
}

/// Why a peer gave no answer.
public enum PeerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is no connection to it, or it broke before the answer. Whether the peer acted on it is not known.
    case unreachable(MemberID)
    /// No answer came in time.
    case timedOut(MemberID)
    /// So many calls wait for this peer that no more are taken.
    case overloaded(MemberID)
    /// The peer answered that it will not, and why.
    case refused(String)
    /// The transport was closed.
    case closed
    /// A peer's URL cannot be used; says why.
    case badURL(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .unreachable(let member): "member \(member) cannot be reached"
        case .timedOut(let member): "member \(member) did not answer in time"
        case .overloaded(let member): "too many calls wait for member \(member); try again"
        case .refused(let why): why
        case .closed: "the connections to peers are closed"
        case .badURL(let why): why
        }
    }
}
