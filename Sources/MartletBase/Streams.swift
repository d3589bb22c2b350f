/// A reliable, ordered stream of bytes to a peer: TCP, a UNIX socket, TLS over either, or a simulated link.
///
/// One task may read while another writes. Dropping the last reference closes the stream.
public protocol ByteStream: Sendable {
    /// Waits for bytes and returns what is there, at most `limit`; an empty array means that the peer has ended its
    /// side.
    /// - Throws: ``NetworkError``, or `CancellationError`.
    func read(atMost limit: Int) async throws -> [UInt8]

    /// Hands over all of `bytes`; returns when the kernel (or the simulated link) has taken them.
    /// - Throws: ``NetworkError``, or `CancellationError`.
    func write(_ bytes: [UInt8]) async throws

    /// Ends our side; the peer reads an end. What was written is still delivered.
    func closeWrite() async

    /// Closes both sides at once. Pending reads and writes fail with ``NetworkError/closed``. May be called twice.
    func close()

    /// Where the peer is, as far as known.
    var peer: Endpoint? { get }

    /// Lets the connection fail when the peer's machine acknowledges nothing of what was written for so long, or takes
    /// nothing, or has gone while nothing is written; zero takes the limit away. Where there is no such limit nothing
    /// changes.
    func limitSilence(_ limit: Duration)

    /// The stream, where its bytes are to be had without a task; nil, by default, where they are not.
    var direct: (any DirectStream)? { get }
}

extension ByteStream {
    /// None.
    public var direct: (any DirectStream)? { nil }

    /// Nothing: most streams have no machine at their other end.
    public func limitSilence(_ limit: Duration) {}
}

/// Accepts streams on one endpoint.
public protocol StreamListener: Sendable {
    /// The endpoint that is really listened on (the port is filled in).
    var endpoint: Endpoint { get }

    /// Waits for the next stream.
    /// - Throws: ``NetworkError/closed`` after ``close()``.
    func accept() async throws -> any ByteStream

    /// Stops listening and frees the endpoint. May be called twice.
    func close()
}

/// Where a stream leads.
public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// An IP address (text form, v4 or v6 without brackets) and a port.
    case ip(String, port: UInt16)
    /// A UNIX socket by path.
    case unix(String)

    /// `address:port`, `[address]:port` or `unix:path`.
    public var description: String {
        switch self {
        case .ip(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// Why a stream or listener failed.
public enum NetworkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Closed on our side.
    case closed
    /// The system's refusal: what was tried, and why it failed.
    case system(operation: String, Errno)
    /// The endpoint's text is not an address.
    case badAddress(String)
    /// The peer broke the protocol named in the text (TLS, HTTP, ...).
    case protocolViolation(String)
    /// It took longer than allowed.
    case timedOut(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .closed: "closed"
        case .system(let operation, let errno): "\(operation): \(errno)"
        case .badAddress(let text): "\(text) is not an IP address"
        case .protocolViolation(let text): text
        case .timedOut(let what): "\(what) timed out"
        }
    }
}
