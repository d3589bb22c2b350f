internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// How a request is passed on.
struct ForwardPlan: Sendable {
    /// Whose endpoints they are; those of one name take turns.
    var name: String
    /// False to try the endpoints in their order, for clients that stay with one.
    var inTurn = true
    /// What they speak.
    var speaks = BackendProtocol.http
}

/// Passes requests on to one of several endpoints, over kept connections.
final class Forwarder: Sendable {
    /// How many endpoints one request is tried on before the client hears of it.
    static let attempts = 3
    /// How long an endpoint may take to take a connection.
    static let connectLimit = Duration.seconds(3)
    /// How long an endpoint may do nothing: neither take more of the request nor begin its answer.
    static let answerLimit = Duration.seconds(60)

    /// How long nothing of an answer that has begun may come from its endpoint, nor be taken by its client. Long enough
    /// for streams of events that are quiet at times.
    static let bodyLimit = Duration.seconds(300)

    private let endpoints: EndpointPool
    private let patience: Patience
    private let bodyPatience: Patience
    private let logger: Logger

    /// - Throws: `TLSError` when there is no TLS to be had.
    init(world: any World, logger: Logger) throws {
        endpoints = try EndpointPool(ConnectLimit(world: world, limit: Self.connectLimit))
        patience = Patience(Self.answerLimit, in: world)
        bodyPatience = Patience(Self.bodyLimit, in: world)
        self.logger = logger
    }

    /// Forgets the connections of endpoints that no route leads to any more. Requests in flight end as they will.
    func keep(only known: Set<Endpoint>) { endpoints.keep(only: known) }

    /// Sends the request on and brings the answer back. An endpoint that does not take the connection, or breaks
    /// before it answers a request that may be repeated, is followed by the next one.
    func forward(
        _ head: HTTPRequest, _ request: Request, to candidates: [Endpoint], _ plan: ForwardPlan
    ) async -> Response {
        let (head, speaks) = Self.fit(head, request, plan.speaks)
        var failure = "there is none"
        let upload = Upload()
        let order = endpoints.order(
            candidates, of: plan.name, speaking: speaks, inTurn: plan.inTurn, atMost: Self.attempts)
        for (endpoint, client) in order {
            do {
                return response(try await send(head, request, upload, client), to: head)
            } catch {
                // The client's own fault is not the endpoint's.
                if upload.isBroken { return .plain(.badRequest, "the request's body is not complete") }
                failure = "\(endpoint): \(error)"
                logger.debug("proxied request failed", metadata: ["endpoint": "\(endpoint)", "error": "\(error)"])
                if Task.isCancelled { break }
                // Who waited so long is not made to wait again.
                if case NetworkError.timedOut = error { return .plain(.gatewayTimeout, "no answer in time") }
                if error is NotConnected {
                    endpoints.rest(endpoint)
                } else if !Self.mayRepeat(head, request.body) {
                    break
                }
            }
        }
        logger.info("no endpoint answered", metadata: ["service": "\(plan.name)", "error": "\(failure)"])
        return .plain(.badGateway, "no endpoint answered")
    }

    /// The head as the endpoints' protocol wants it. Only HTTP/1.1 knows upgrades, and only HTTP/2 keeps trailers here.
    private static func fit(
        _ head: HTTPRequest, _ request: Request, _ wanted: BackendProtocol
    ) -> (HTTPRequest, BackendProtocol) {
        guard wanted.isHTTP2 else { return (head, wanted) }
        if head.headerFields.contains(.upgrade) { return (head, wanted.isSecure ? .https : .http) }
        guard ProxyHeaders.wantsTrailers(request) else { return (head, wanted) }
        var head = head
        head.headerFields[.te] = "trailers"
        return (head, wanted)
    }

    /// Whether a request that may have arrived can be sent once more (RFC 9110, section 9.2.2).
    private static func mayRepeat(_ head: HTTPRequest, _ body: RequestBody) -> Bool {
        guard case .bytes = body else { return false }
        return [.get, .head, .options, .put, .delete].contains(head.method)
    }

    private func send(
        _ head: HTTPRequest, _ request: Request, _ upload: Upload, _ client: any HTTPSender
    ) async throws -> ClientResponse {
        let trailers = request.trailers
        return try await patience.wait("the answer") { exchange in
            guard case .stream(let next) = request.body else {
                return try await client.send(head, body: request.body, trailers: trailers)
            }
            let watched = RequestBody.stream {
                exchange.moved()
                do {
                    let piece = try await next()
                    exchange.moved()
                    return piece
                } catch {
                    upload.break()
                    throw error
                }
            }
            return try await client.send(head, body: watched, trailers: trailers)
        }
    }

    private func response(_ answer: ClientResponse, to request: HTTPRequest) -> Response {
        var head = answer.head
        if let backend = answer.upgraded {
            guard request.headerFields.contains(.upgrade) else {
                backend.close()
                return .plain(.badGateway, "the endpoint changed the protocol unasked")
            }
            return Response(head: head, body: .upgrade { client in await Splice.run(client, backend) })
        }
        HopByHop.strip(&head.headerFields)
        var response = Response(head: head, body: body(of: answer, to: request))
        response.trailers = answer.trailers
        return response
    }

    private func body(of answer: ClientResponse, to request: HTTPRequest) -> ResponseBody {
        switch answer.body {
        case .bytes where request.method == .head && !answer.head.headerFields.contains(.contentLength):
            // How long the body would be is not known: a stream is not given a length on the way.
            return .stream { _ in }
        case .bytes(let bytes): return .bytes(bytes)
        case .stream(let next):
            let patience = bodyPatience
            return .stream { writer in
                try await patience.wait("the answer's body") { exchange in
                    while let piece = try await next() {
                        exchange.moved()
                        try await writer.write(piece)
                        exchange.moved()
                    }
                }
            }
        }
    }
}

extension Response {
    /// A short answer of the proxy's own.
    static func plain(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, contentType: "text/plain; charset=utf-8", bytes: Array("\(status.code) \(text)\n".utf8))
    }

    /// Nothing can answer just now; clients may try again in a second.
    static func unavailable(_ text: String) -> Response {
        var response = plain(.serviceUnavailable, text)
        response.head.headerFields[.retryAfter] = "1"
        return response
    }
}

/// Remembers whether a request's body broke off on the client's side while it was passed on.
private final class Upload: Sendable {
    private let broken = Mutex(false)

    var isBroken: Bool { broken.withLock { $0 } }

    func `break`() { broken.withLock { $0 = true } }
}
