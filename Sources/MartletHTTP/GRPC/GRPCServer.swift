internal import HTTPTypes
public import Logging
public import MartletBase

/// Serves gRPC over HTTP/2 (nghttp2): over TLS with ALPN `h2`, or in the clear with prior knowledge.
///
/// What a connection brings in one read is handled together, and what becomes ready meanwhile leaves in one write.
/// Requests of HTTP/1.1 on the same port go to a handler of their own, as etcd serves `/health` and `/metrics`.
///
/// Dropping the server stops it at once, as ``shutdown(grace:)`` with no grace would.
public final class GRPCServer: Sendable {
    private let core: ServerCore

    private init(core: ServerCore) { self.core = core }

    deinit { core.cutAll() }

    /// Starts serving on `endpoint`.
    /// - Parameters:
    ///   - world: where it runs.
    ///   - tls: nil for plain text; else offer `h2`, and `http/1.1` when there is a `web`.
    ///   - web: answers requests of HTTP/1.1; without it they are refused with 400.
    /// - Throws: ``NetworkError`` when the endpoint cannot be listened on.
    public static func start(
        on endpoint: Endpoint, in world: any World, tls: TLSServer? = nil, limits: GRPCServerLimits = .init(),
        logger: Logger, service: any GRPCService, web: (any RequestHandler)? = nil
    ) async throws -> GRPCServer {
        let listener = try await world.listen(on: endpoint)
        var http = HTTPServerLimits()
        http.connections = limits.connections
        http.headTimeout = limits.handshakeTimeout
        http.idleTimeout = limits.idleTimeout
        let core = ServerCore(
            listener: listener, world: world, tls: tls, limits: http, logger: logger, handler: web ?? NoWeb(),
            grpc: GRPCServing(service: service, limits: limits))
        world.spawn { await core.accept() }
        return GRPCServer(core: core)
    }

    /// What is really listened on.
    public var endpoint: Endpoint { core.listener.endpoint }

    /// Stops accepting, tells clients that no further calls are taken (GOAWAY), lets calls in flight end for at most
    /// `grace`, then closes every connection.
    public func shutdown(grace: Duration) async {
        await core.shutdown(grace: grace)
    }
}

/// What the gRPC connections of one server share.
struct GRPCServing: Sendable {
    let service: any GRPCService
    let limits: GRPCServerLimits

    /// How an HTTP/2 connection begins (RFC 9113, 3.4), as far as HTTP/1.1 never does.
    static let preface = Array("PRI * HTTP/2.0".utf8)

    /// Serves one connection of either protocol.
    func serve(_ stream: any ByteStream, peer: Peer, record: ServerRecord, core: ServerCore) async {
        var first: [UInt8] = []
        while first.count < Self.preface.count && Self.preface.starts(with: first) {
            guard let more = try? await stream.read(atMost: HTTPBounds.read), !more.isEmpty else {
                return stream.close()
            }
            first += more
        }
        if first.starts(with: Self.preface) {
            let link = GRPCServerLink(self, in: core.world, peer: peer, record: record, isStopping: core.isStopping)
            await link.run(stream, first: first)
        } else {
            await ServerConnection(stream, first: first, peer: peer, record: record, core: core).run()
        }
    }
}

/// Refuses requests of HTTP/1.1.
private struct NoWeb: RequestHandler {
    func handle(_ request: Request) async -> Response {
        Response(
            status: .badRequest, contentType: "text/plain; charset=utf-8",
            bytes: Array("this port serves gRPC, which needs HTTP/2\n".utf8))
    }
}
