public import MartletBase

/// A gRPC client over one HTTP/2 connection (nghttp2), opened at the first call and opened again after a loss.
/// Messages are opaque bytes: the caller encodes and decodes them.
public final class GRPCChannel: Sendable {
    /// A channel to `endpoint`: in the clear (prior knowledge, as over a UNIX socket) or over TLS with ALPN `h2`.
    public init(endpoint: Endpoint, authority: String, in world: any World, tls: TLSClient? = nil) {}

    /// One request, one answer. `path` is `/package.Service/Method`.
    /// - Throws: ``GRPCStatus`` for every outcome but OK.
    public func unary(_ path: String, _ message: [UInt8], timeout: Duration) async throws -> [UInt8] {
        throw GRPCStatus(code: 14, message: "not built yet")
    }

    /// One request, many answers; ends with nil, or throws ``GRPCStatus``.
    public func serverStream(_ path: String, _ message: [UInt8]) async throws -> @Sendable () async throws -> [UInt8]? {
        throw GRPCStatus(code: 14, message: "not built yet")
    }

    /// Closes the connection; calls in flight fail as unavailable.
    public func close() {}
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
