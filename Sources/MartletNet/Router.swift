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

    /// How long a pod within reach may take to take a connection: it is a hop away, and there are workers to ask.
    static let nearLimit = Duration.milliseconds(500)

    /// - Parameter isDirect: whether there is another way to pods than this one's.
    /// - Throws: `TLSError` when there is no TLS to be had.
    init(in world: any World, isDirect: Bool = false, logger: Logger) throws {
        self.world = world
        doors = Doors(in: world, logger: logger)
        mirrors = Mirrors(in: world)
        forwarder = try Forwarder(world: world, logger: logger, connectLimit: isDirect ? Self.nearLimit : nil)
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
            return await send(passage, choice, to: backend, table, hasOtherWay: false, &trace)
                ?? .plain(.badGateway, "no endpoint answered")
        }
    }

    /// Answers a request whose route any proxy may carry out and whose pods are within reach.
    /// - Returns: nil for all others, and where a pod took no connection: it may be sent elsewhere.
    func answerWithinReach(_ passage: Passage, _ table: RouteTable, _ trace: inout Trace) async -> Response? {
        if passage.match.route.needsIngress { return nil }
        let choice = passage.choose(draw: world.random(), table)
        guard let backend = choice.backend, backend.isWithinReach, !forwarder.endpoints.allRest(backend.endpoints)
        else { return nil }
        if let answer = await doors.answer(passage) { return answer }
        return await send(passage, choice, to: backend, table, hasOtherWay: true, &trace)
    }

    /// - Returns: nil when the other way is to be gone.
    private func send(
        _ passage: Passage, _ choice: Passage.Choice, to backend: Backend, _ table: RouteTable, hasOtherWay: Bool,
        _ trace: inout Trace
    ) async -> Response? {
        if let redirect = choice.filters.redirect { return passage.redirect(redirect) }
        let endpoints = passage.endpoints(choice)
        if endpoints.isEmpty { return .unavailable("no ready endpoint") }
        var request = passage.request
        let limit = BodyLimit(passage.policy.bodyLimit)
        request.body = limit.watch(request.body)
        let tooLarge = Response.plain(.contentTooLarge, "the request's body is too large")
        if limit.isExceeded { return tooLarge }
        guard let head = passage.onward(choice, requestID: RequestID.make(world)) else {
            return .plain(.badRequest, "the request's path is too long for the route's expression")
        }
        trace.entry.requestID = head.headerFields[ProxyHeaders.requestID]
        var plan = ForwardPlan(name: backend.service)
        plan.inTurn = choice.sticky == nil
        plan.speaks = passage.policy.backendProtocol ?? backend.protocolHint ?? .http
        plan.timeouts = passage.policy.timeouts
        plan.preface = passage.preface
        plan.hasOtherWay = hasOtherWay
        request.body = mirrors.copy(request, head, to: wanted(passage, choice, table), through: forwarder)
        let answer = await forwarder.forward(head, request, to: endpoints, plan)
        trace.passed(answer)
        if answer.goesOtherWay { return nil }
        if limit.isExceeded { return tooLarge }
        return passage.finish(answer.response, choice, by: answer.endpoint, of: endpoints)
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
