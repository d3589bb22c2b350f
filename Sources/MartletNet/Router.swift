internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes

/// Carries out what routes say: lets a request in, chooses a pod for it and passes it on. An ingress has one, and an
/// edge that goes to pods itself.
final class Router: Sendable {
    let forwarder: Forwarder
    private let doors: Doors
    private let mirrors: Mirrors
    private let world: any World

    /// - Throws: `TLSError` when there is no TLS to be had.
    init(in world: any World, logger: Logger) throws {
        self.world = world
        doors = Doors(in: world, logger: logger)
        mirrors = Mirrors(in: world)
        forwarder = try Forwarder(world: world, logger: logger)
    }

    /// Answers a request by the route that it falls under.
    func answer(_ passage: Passage, _ table: RouteTable, _ trace: inout Trace) async -> Response {
        // As in nginx, limits come before passwords.
        await doors.counted(passage) {
            if let answer = await doors.answer(passage) { return answer }
            let choice = passage.choose(draw: world.random(), table)
            guard let backend = choice.backend else {
                return .plain(.internalServerError, "the route's backend does not exist")
            }
            return await send(passage, choice, to: backend, table, &trace).response
        }
    }

    /// Answers a request whose route any proxy may carry out and whose pods are within reach.
    /// - Returns: nil for all others, and where no pod took a connection: it may be sent elsewhere.
    func answerWithinReach(_ passage: Passage, _ table: RouteTable, _ trace: inout Trace) async -> Response? {
        if passage.policy.needsIngress { return nil }
        let choice = passage.choose(draw: world.random(), table)
        guard let backend = choice.backend, backend.isWithinReach, choice.filters.mirrors.isEmpty else { return nil }
        if let answer = await doors.answer(passage) { return answer }
        let sent = await send(passage, choice, to: backend, table, &trace)
        return sent.isUnconnected ? nil : sent.response
    }

    private func send(
        _ passage: Passage, _ choice: Passage.Choice, to backend: Backend, _ table: RouteTable, _ trace: inout Trace
    ) async -> (response: Response, isUnconnected: Bool) {
        if let redirect = choice.filters.redirect { return (passage.redirect(redirect), false) }
        let endpoints = passage.endpoints(choice)
        if endpoints.isEmpty { return (.unavailable("no ready endpoint"), false) }
        var request = passage.request
        let limit = BodyLimit(passage.policy.bodyLimit)
        request.body = limit.watch(request.body)
        let tooLarge = Response.plain(.contentTooLarge, "the request's body is too large")
        if limit.isExceeded { return (tooLarge, false) }
        guard let head = passage.onward(choice, requestID: RequestID.make(world)) else {
            return (.plain(.badRequest, "the request's path is too long for the route's expression"), false)
        }
        trace.entry.requestID = head.headerFields[ProxyHeaders.requestID]
        var plan = ForwardPlan(name: backend.service)
        plan.inTurn = choice.sticky == nil
        plan.speaks = passage.policy.backendProtocol ?? backend.protocolHint ?? .http
        plan.timeouts = passage.policy.timeouts
        plan.preface = passage.preface
        request.body = mirrors.copy(request, head, to: wanted(passage, choice, table), through: forwarder)
        let answer = await forwarder.forward(head, request, to: endpoints, plan)
        trace.passed(answer)
        if limit.isExceeded { return (tooLarge, false) }
        return (passage.finish(answer.response, choice, by: answer.endpoint, of: endpoints), answer.isUnconnected)
    }

    /// Who gets a copy of a request.
    private func wanted(_ passage: Passage, _ choice: Passage.Choice, _ table: RouteTable) -> [Mirrors.Target] {
        (passage.policy.filters.mirrors + choice.filters.mirrors).compactMap { mirror in
            guard mirror.takes(draw: world.random()) else { return nil }
            let backend = table.backends[mirror.slot]
            if backend.endpoints.isEmpty { return nil }
            return Mirrors.Target(
                name: backend.service, endpoints: backend.endpoints, speaks: backend.protocolHint ?? .http)
        }
    }

    /// Ends what it has begun, when nobody asks any more.
    func close() {
        doors.close()
        forwarder.keep(only: [])
    }
}

/// A plain request's head, as routes look at it.
struct PlainHead: RoutedRequest {
    let request: PlainRequest

    var method: String { request.method }
    var target: String { request.path }
    func field(_ name: String) -> String? { request.field(name) }
}
