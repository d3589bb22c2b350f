public import HTTPTypes
public import MartletBase

/// What a server hands to its handler.
public struct Request: Sendable {
    /// Method, path (with its query, as sent) and header fields. The scheme and authority are filled in.
    public var head: HTTPRequest
    /// The body, bounded by the server's limit.
    public var body: RequestBody
    /// Who asks.
    public var peer: Peer
    /// What came behind the body; nil for one without. HTTP/1.1's are not kept.
    public var trailers: Trailers?
    /// The exchange with a backend that has begun for it; nil for most.
    public var begun: BegunExchange?

    /// A request, as a test or an in-process client makes it.
    public init(head: HTTPRequest, body: RequestBody = .bytes([]), peer: Peer = Peer()) {
        self.head = head
        self.body = body
        self.peer = peer
    }
}

/// Gives the fields behind a body, once that was read to its end; nil when there are none.
public typealias Trailers = @Sendable () -> HTTPFields?

/// Who is at the other end of a request.
public struct Peer: Sendable {
    /// The address, as far as known.
    public var endpoint: Endpoint?
    /// The client certificate's subject, when one was sent and a trusted authority signed it.
    public var certificate: CertificateSubject?
    /// Whether one was sent that is no good: expired, or of another authority.
    public var showedBadCertificate = false
    /// Whether the request came over TLS.
    public var isSecure: Bool
    /// The TLS server name (SNI) that the client named.
    public var serverName: String?
    /// `TLSv1.2` or `TLSv1.3`; nil without TLS.
    public var tlsVersion: String?
    /// Whether the address is what a load balancer says (PROXY protocol): nobody in between is believed for it.
    public var isBehindBalancer = false
    /// Whether it speaks HTTP/2.
    public var isHTTP2 = false

    /// A peer; by default one of which nothing is known.
    public init(
        endpoint: Endpoint? = nil, certificate: CertificateSubject? = nil, isSecure: Bool = false,
        serverName: String? = nil
    ) {
        self.endpoint = endpoint
        self.certificate = certificate
        self.isSecure = isSecure
        self.serverName = serverName
    }
}

/// The verified subject of a client certificate. Kubernetes reads CN as the user and each O as a group.
public struct CertificateSubject: Sendable, Hashable {
    /// CN.
    public var commonName: String
    /// Each O, in order.
    public var organizations: [String]

    /// A subject from its parts.
    public init(commonName: String, organizations: [String]) {
        self.commonName = commonName
        self.organizations = organizations
    }
}

/// A request's body.
public enum RequestBody: Sendable {
    /// All of it is here.
    case bytes([UInt8])
    /// It is still coming: call for the next piece until it returns nil.
    case stream(@Sendable () async throws -> [UInt8]?)

    /// All of the body.
    /// - Throws: ``HTTPError/bodyTooLarge(limit:)`` above `limit`, or what the stream throws.
    public func collect(limit: Int) async throws -> [UInt8] {
        switch self {
        case .bytes(let bytes):
            if bytes.count > limit { throw HTTPError.bodyTooLarge(limit: limit) }
            return bytes
        case .stream(let next):
            var all: [UInt8] = []
            while let piece = try await next() {
                if all.count + piece.count > limit { throw HTTPError.bodyTooLarge(limit: limit) }
                all += piece
            }
            return all
        }
    }
}

/// What a handler answers.
public struct Response: Sendable {
    /// Status and header fields. `content-length`, `transfer-encoding`, `date` and `connection` are the server's own.
    public var head: HTTPResponse
    /// The body.
    public var body: ResponseBody
    /// What goes behind the body, asked for when that has been sent. HTTP/1.1 has no room for it here.
    public var trailers: Trailers?

    /// An answer from its parts.
    public init(head: HTTPResponse, body: ResponseBody = .bytes([])) {
        self.head = head
        self.body = body
    }

    /// An answer whose body is all here.
    public init(status: HTTPResponse.Status, contentType: String, bytes: [UInt8]) {
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = contentType
        self.init(head: head, body: .bytes(bytes))
    }
}

/// An answer's body.
public enum ResponseBody: Sendable {
    /// All of it is here; sent with `content-length`.
    case bytes([UInt8])
    /// Written piece by piece; sent chunked (or with the `content-length` that the head names) and flushed at each
    /// write. The body ends when the closure returns; when it throws, the connection is cut so that the client sees
    /// that something is missing. The closure's task is cancelled when the client goes away.
    case stream(@Sendable (any BodyWriter) async throws -> Void)
    /// After the head (101, say) the connection's bytes belong to the closure. HTTP/2 does without: the client is told
    /// to come by HTTP/1.1.
    case upgrade(@Sendable (any ByteStream) async -> Void)
}

/// Takes the pieces of a streamed body.
public protocol BodyWriter: Sendable {
    /// Sends a piece; returns when the connection has taken it, so a slow client slows its producer down.
    /// - Throws: ``NetworkError`` when the client has gone.
    func write(_ bytes: [UInt8]) async throws
    /// Sends pieces together, as one. Those that others hold too are copied no more often than one alone.
    /// - Throws: ``NetworkError`` when the client has gone.
    func write(joining pieces: [[UInt8]]) async throws
}

extension BodyWriter {
    /// Copies them into one.
    public func write(joining pieces: [[UInt8]]) async throws {
        try await write(pieces.count == 1 ? pieces[0] : Array(pieces.joined()))
    }
}

/// Answers requests: the gateway, the node agent's API, the edge.
public protocol RequestHandler: Sendable {
    /// Answers one request. Never throws: a failure is an answer, too.
    func handle(_ request: Request) async -> Response

    /// What the server says when it refuses a request itself (no HTTP, too large, too slow), after which the
    /// connection ends. By default a line of text.
    /// - Parameters:
    ///   - status: what is answered.
    ///   - text: why, for people.
    func refusal(_ status: HTTPResponse.Status, _ text: String) -> (contentType: String, body: [UInt8])

    /// A short cut for the plain requests of a connection that has just been made; nil, by default, for none.
    func plainWay(for peer: Peer) -> (any PlainWay)?
}

extension RequestHandler {
    /// None.
    public func plainWay(for peer: Peer) -> (any PlainWay)? { nil }

    /// A line of text.
    public func refusal(_ status: HTTPResponse.Status, _ text: String) -> (contentType: String, body: [UInt8]) {
        ("text/plain; charset=utf-8", Array((text + "\n").utf8))
    }
}

/// Why an HTTP exchange failed.
public enum HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The peer's bytes are not HTTP, or not safe to understand (request smuggling); says what is wrong.
    case malformed(String)
    /// The body is over the limit, in bytes.
    case bodyTooLarge(limit: Int)
    /// The head is over the limit, in bytes.
    case headTooLarge(limit: Int)
    /// The connection ended in the middle of a message.
    case unexpectedEnd

    /// One line for people.
    public var description: String {
        switch self {
        case .malformed(let what): "malformed HTTP: \(what)"
        case .bodyTooLarge(let limit): "the body is over the limit of \(limit) bytes"
        case .headTooLarge(let limit): "the head is over the limit of \(limit) bytes"
        case .unexpectedEnd: "the connection ended in the middle of a message"
        }
    }
}
