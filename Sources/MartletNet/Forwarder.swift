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
    /// How long what may take.
    var timeouts = RouteTimeouts()
    /// Whether an endpoint is judged by its answers. Not by those that it only passes on.
    var judgesAnswers = true
    /// What connections to them begin with. Each request has one of its own then: they are one client's.
    var preface: (@Sendable (Endpoint) -> [UInt8])?
    /// Endpoints that are tried after all others.
    var last: Set<Endpoint> = []
    /// Whether somebody else is asked when an endpoint takes no connection, in place of the next one.
    var hasOtherWay = false

    init(name: String) { self.name = name }

    /// An edge's, to the ingresses. These know what each route says, and give up first: an edge waits a little longer
    /// than the most patient route.
    init(toIngressesAllowing longest: RouteTimeouts) {
        self.init(name: "workers")
        judgesAnswers = false
        let slack = Duration.seconds(5)
        if let send = longest.send, send >= Forwarder.answerLimit { timeouts.send = send + slack }
        if let read = longest.read, read >= Forwarder.answerLimit {
            timeouts.read = max(read, Forwarder.bodyLimit) + slack
        }
    }
}

/// What became of a request that was passed on.
struct Forwarded: Sendable {
    /// The endpoint's answer, or the proxy's own.
    var response: Response
    /// Who answered; nil for nobody.
    var endpoint: Endpoint?
    /// How many endpoints were tried.
    var tries = 0
    /// How long the last of them took until it answered or failed; nil when none was tried.
    var took: Duration?
    /// What went wrong on the way.
    var faults = UpstreamFaults()

    /// Whether the plan's other way is to be gone: the last endpoint took no connection, and what those before it had
    /// of the request may be repeated.
    var goesOtherWay = false
}

/// Passes requests on to one of several endpoints, over kept connections.
final class Forwarder: Sendable {
    /// How many endpoints one request is tried on before the client hears of it.
    static let attempts = 3
    /// How long an endpoint may take to take a connection, where its route does not say.
    static let connectLimit = Duration.milliseconds(1500)
    /// How long an endpoint's machine may acknowledge nothing of a request: one that has vanished is left then, and a
    /// request that may be repeated goes to the next endpoint.
    static let silenceLimit = Duration.seconds(2)
    /// How long an endpoint may do nothing: neither take more of the request nor begin its answer, where its route does
    /// not say.
    static let answerLimit = Duration.seconds(60)

    /// How long nothing of an answer that has begun may come from its endpoint, nor be taken by its client. Long enough
    /// for streams of events that are quiet at times.
    static let bodyLimit = Duration.seconds(300)

    let endpoints: EndpointPool
    private let patience: Patience
    private let bodyPatience: Patience
    private let world: any World
    private let logger: Logger

    /// - Parameter connectLimit: how long an endpoint may take to take a connection, where its route allows as much.
    /// - Throws: `TLSError` when there is no TLS to be had.
    init(world: any World, logger: Logger, connectLimit: Duration? = nil) throws {
        self.world = world
        endpoints = try EndpointPool(world, mostPatient: connectLimit)
        patience = Patience(Self.answerLimit, in: world)
        bodyPatience = Patience(Self.bodyLimit, in: world)
        self.logger = logger
    }

    /// Forgets the connections of endpoints that no route leads to any more. Requests in flight end as they will.
    func keep(only known: Set<Endpoint>) { endpoints.keep(only: known) }

    /// How many endpoints are left alone now because they failed too often.
    var ejected: Int { endpoints.ejected }

    /// Where a plain request goes, to one of several endpoints that take turns; nil where that takes thinking about.
    /// - Parameter origin: whose request it is.
    func plainChoice(
        of candidates: [Endpoint], named name: String, _ timeouts: RouteTimeouts, _ origin: any AnyObject & Sendable
    ) -> PlainChoice? {
        guard let (endpoint, client) = endpoints.next(of: candidates, named: name) else { return nil }
        return PlainChoice(
            endpoint: endpoint, client: client, answerLimit: timeouts.read ?? Self.answerLimit,
            bodyLimit: timeouts.read ?? Self.bodyLimit, origin: origin)
    }

    /// Sends the request on and brings the answer back. An endpoint that does not take the connection, or breaks
    /// before it answers a request that may be repeated, is followed by the next one.
    func forward(
        _ head: HTTPRequest, _ request: Request, to candidates: [Endpoint], _ plan: ForwardPlan
    ) async -> Forwarded {
        let (head, speaks) = Self.fit(head, request, plan.speaks)
        var failure = "there is none"
        var came = Forwarded(response: .plain(.badGateway, "no endpoint answered"))
        let upload = Upload()
        let deadline = plan.timeouts.request.map { world.now() + $0 }
        var order = endpoints.order(candidates, plan, speaking: speaks, atMost: Self.attempts)
        // What a short cut has begun is the first try.
        if let begun = request.begun, candidates.contains(begun.endpoint) {
            order.removeAll { $0.0 == begun.endpoint }
            order = [(begun.endpoint, begun)] + order.prefix(Self.attempts - 1)
        }
        for (endpoint, client) in order {
            let began = (client as? BegunExchange)?.began ?? world.now()
            let limits = TryLimits(plan.timeouts, until: deadline, now: began)
            came.tries += 1
            defer { came.took = world.now() - began }
            do {
                let answer = try await send(head, request, upload, client, limits)
                judge(endpoint, candidates, plan, hasFailed: answer.head.status.code >= 500)
                came.response = response(answer, to: head, limits)
                came.endpoint = endpoint
                came.took = world.now() - began
                return came
            } catch {
                // The client's own fault is not the endpoint's.
                if upload.isBroken {
                    came.response = .plain(.badRequest, "the request's body is not complete")
                    return came
                }
                failure = "\(endpoint): \(error)"
                logger.debug("proxied request failed", metadata: ["endpoint": "\(endpoint)", "error": "\(error)"])
                if Task.isCancelled { break }
                judge(endpoint, candidates, plan, hasFailed: true)
                came.faults.count(error)
                // Who waited so long is not made to wait again.
                if case NetworkError.timedOut = error {
                    came.response = .plain(.gatewayTimeout, "no answer in time")
                    return came
                }
                if error is NotConnected {
                    endpoints.rest(endpoint)
                    came.goesOtherWay = plan.hasOtherWay
                    if plan.hasOtherWay { break }
                } else if !Self.mayRepeat(head, request.body) {
                    break
                }
            }
        }
        logger.info("no endpoint answered", metadata: ["service": "\(plan.name)", "error": "\(failure)"])
        return came
    }

    private func judge(_ endpoint: Endpoint, _ all: [Endpoint], _ plan: ForwardPlan, hasFailed: Bool) {
        guard plan.judgesAnswers, endpoints.judge(endpoint, among: all, hasFailed: hasFailed) else { return }
        logger.info(
            "an endpoint failed too often in a row; others go first for a while",
            metadata: ["service": "\(plan.name)", "endpoint": "\(endpoint)"])
    }

    /// How long one try may take.
    private struct TryLimits: Sendable {
        var send: Duration
        var read: Duration
        var body: Duration
        var deadline: MonotonicTime?

        init(_ timeouts: RouteTimeouts, until deadline: MonotonicTime?, now: MonotonicTime) {
            send = timeouts.send ?? Forwarder.answerLimit
            read = timeouts.read ?? Forwarder.answerLimit
            body = timeouts.read ?? Forwarder.bodyLimit
            self.deadline = [deadline, timeouts.backendRequest.map { now + $0 }].compactMap(\.self).min()
        }
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
        _ head: HTTPRequest, _ request: Request, _ upload: Upload, _ client: any HTTPSender, _ limits: TryLimits
    ) async throws -> ClientResponse {
        let trailers = request.trailers
        guard case .stream(let next) = request.body else {
            if let client = client as? HTTPClient { return try await send(head, request.body, client, limits) }
            return try await patience.wait("the answer", limit: limits.read, until: limits.deadline) { _ in
                try await client.send(head, body: request.body, trailers: trailers)
            }
        }
        return try await patience.wait("the answer", limit: limits.send, until: limits.deadline) { exchange in
            let watched = RequestBody.stream {
                exchange.moved()
                do {
                    let piece = try await next()
                    if piece == nil { exchange.moved(limit: limits.read) } else { exchange.moved() }
                    return piece
                } catch {
                    upload.break()
                    throw error
                }
            }
            return try await client.send(head, body: watched, trailers: trailers)
        }
    }

    /// Sends what is whole: on a kept connection, which most requests find, without a task of its own.
    private func send(
        _ head: HTTPRequest, _ body: RequestBody, _ client: HTTPClient, _ limits: TryLimits
    ) async throws -> ClientResponse {
        let answer = try await patience.attend("the answer", limit: limits.read, until: limits.deadline) { exchange in
            try await client.sendOnKept(head, body: body, breaker: exchange.breaker)
        }
        if let answer { return answer }
        return try await patience.wait("the answer", limit: limits.read, until: limits.deadline) { _ in
            try await client.sendOnNew(head, body: body)
        }
    }

    private func response(
        _ answer: ClientResponse, to request: HTTPRequest, _ limits: TryLimits
    ) -> Response {
        var head = answer.head
        if let backend = answer.upgraded {
            guard request.headerFields.contains(.upgrade) else {
                backend.close()
                return .plain(.badGateway, "the endpoint changed the protocol unasked")
            }
            let world = world
            // As in nginx, what holds for silence holds for upgraded connections, too.
            return Response(
                head: head,
                body: .upgrade { client in
                    await Splice.run(
                        client, backend, idle: max(limits.body, limits.send), farewell: limits.send, in: world)
                })
        }
        HopByHop.strip(&head.headerFields)
        var response = Response(head: head, body: body(of: answer, to: request, limits))
        response.trailers = answer.trailers
        return response
    }

    private func body(
        of answer: ClientResponse, to request: HTTPRequest, _ limits: TryLimits
    ) -> ResponseBody {
        switch answer.body {
        case .bytes where request.method == .head && !answer.head.headerFields.contains(.contentLength):
            // How long the body would be is not known: a stream is not given a length on the way.
            return .stream { _ in }
        case .bytes(let bytes): return .bytes(bytes)
        case .stream(let next):
            let patience = bodyPatience
            return .stream { writer in
                try await patience.wait("the answer's body", limit: limits.body, until: limits.deadline) { exchange in
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

extension UpstreamFaults {
    fileprivate mutating func count(_ error: any Error) {
        if case NetworkError.timedOut = error {
            late += 1
        } else if error is NotConnected {
            unreachable += 1
        } else {
            broken += 1
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
