public import Logging
public import MartletBase

/// Bounds of an HTTP server. Above them a request is refused with 413, 431 or 503, or its connection closed.
public struct HTTPServerLimits: Sendable {
    /// Bytes of a request's head.
    public var head = 64 * 1024
    /// Bytes of a request's body.
    public var body = 3 * 1024 * 1024
    /// Connections at one time.
    public var connections = 4096
    /// How long a connection may take for a handshake or a head.
    public var headTimeout: Duration = .seconds(30)
    /// How long a connection may be idle between requests.
    public var idleTimeout: Duration = .seconds(120)

    /// The bounds that suit an API server.
    public init() {}
}

/// Serves HTTP/1.1 (keep-alive, chunked, 100-continue, upgrades), over TLS when given.
public final class HTTPServer: Sendable {
    /// Starts serving on `endpoint`.
    /// - Parameters:
    ///   - world: where it runs.
    ///   - tls: nil for plain text.
    /// - Throws: ``NetworkError`` when the endpoint cannot be listened on.
    public static func start(
        on endpoint: Endpoint, in world: any World, tls: TLSServer? = nil, limits: HTTPServerLimits = .init(),
        logger: Logger, handler: any RequestHandler
    ) async throws -> HTTPServer {
        throw NetworkError.closed
    }

    /// What is really listened on.
    public var endpoint: Endpoint { .unix("") }

    /// Stops accepting, lets requests in flight end for at most `grace`, then closes every connection.
    public func shutdown(grace: Duration) async {}
}
