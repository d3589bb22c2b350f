public import HTTPTypes
public import MartletBase

/// Sends HTTP/1.1 requests to one origin, keeping connections for the next request.
public final class HTTPClient: Sendable {
    /// A client of one origin.
    /// - Parameters:
    ///   - tls: nil for plain text; `serverName` is what the certificate must be for.
    ///   - maxIdle: idle connections kept.
    public init(
        endpoint: Endpoint, serverName: String, in world: any World, tls: TLSClient? = nil, maxIdle: Int = 8
    ) {}

    /// Sends one request; returns when the answer's head is there. The body of the answer is
    /// ``ClientResponse/body``. A request on a kept connection that the server closed before any answer is sent
    /// again on a new one when that is safe (no bytes of it were answered and its body is replayable).
    /// - Throws: ``NetworkError``, ``HTTPError``, ``TLSError`` or `CancellationError`.
    public func send(_ head: HTTPRequest, body: RequestBody = .bytes([])) async throws -> ClientResponse {
        throw NetworkError.closed
    }

    /// Closes the idle connections.
    public func close() {}
}

/// An answer as a client sees it.
public struct ClientResponse: Sendable {
    /// Status and header fields.
    public var head: HTTPResponse
    /// The body, still coming. Reading to its end, or dropping the answer, frees the connection.
    public var body: RequestBody
    /// For 101: the connection's bytes, with what was read ahead.
    public var upgraded: (any ByteStream)?

    /// An answer from its parts.
    public init(head: HTTPResponse, body: RequestBody, upgraded: (any ByteStream)? = nil) {
        self.head = head
        self.body = body
        self.upgraded = upgraded
    }
}
