internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// What stands before a route's backends: who may come, how often, and what is answered without them.
final class Doors: Sendable {
    private struct State {
        var limiter = RateLimiter()
        /// Requests at once, by route and client.
        var inside: [Guest: Int] = [:]
    }
    private struct Guest: Hashable {
        var origin: RouteOrigin
        var client: IPAddress
    }
    private let state = Mutex(State())
    private let passwords: PasswordChecks
    private let world: any World

    init(in world: any World, logger: Logger) {
        self.world = world
        passwords = PasswordChecks(in: world, logger: logger)
    }

    /// The answer of the door itself; nil for a request that may pass.
    func answer(_ passage: Passage) async -> Response? {
        let (policy, fields) = (passage.policy, passage.request.head.headerFields)
        if let failure = policy.failure { return .plain(.init(code: failure.status), failure.text) }
        if let access = policy.access, !access.admits(passage.visitor.address) {
            return .plain(.forbidden, "this address may not come")
        }
        if isTooOften(passage) { return .unavailable("too many requests") }
        if let cors = policy.cors, passage.request.head.method == .options,
            fields[.accessControlRequestMethod] != nil
        {
            var response = Response(head: HTTPResponse(status: .noContent))
            let answer = cors.fields(for: fields[.origin], isPreflight: true)
            response.head.headerFields.change(FieldChanges(set: answer))
            return response
        }
        if let rules = policy.authentication, let refusal = await refusal(passage, rules) { return refusal }
        if let limit = policy.bodyLimit, let length = fields[.contentLength].flatMap({ Int($0) }), length > limit {
            return .plain(.contentTooLarge, "the request's body is too large")
        }
        if let root = policy.appRoot, passage.request.head.path == "/" {
            return passage.redirect(Redirect(path: .whole(root), status: 302))
        }
        return policy.filters.redirect.map { passage.redirect($0) }
    }

    private func refusal(_ passage: Passage, _ rules: BasicAuthentication) async -> Response? {
        let verdict = await passwords.judge(
            passage.request.head.headerFields[.authorization], rules, of: passage.visitor.address,
            to: passage.match.route.origin)
        switch verdict {
        case .good: return nil
        case .bad:
            var response = Response.plain(.unauthorized, "a name and a password are needed")
            response.head.headerFields[.wwwAuthenticate] = rules.challenge
            return response
        case .unknown(.full): return .unavailable("too many passwords are being checked")
        case .unknown(.tooManyOfOne):
            var response = Response.plain(.tooManyRequests, "too many passwords at once")
            response.head.headerFields[.retryAfter] = "1"
            return response
        }
    }

    private func isTooOften(_ passage: Passage) -> Bool {
        let limits = passage.policy.limits
        guard limits.perSecond > 0 || limits.perMinute > 0, let address = passage.visitor.address else { return false }
        let now = world.now()
        let origin = passage.match.route.origin
        return state.withLock { !$0.limiter.admits(address, to: origin, limits, now: now) }
    }

    // MARK: Requests at once

    /// Lets a request in where its client has not too many inside already, and counts it until its answer has ended.
    func counted(_ passage: Passage, _ answer: () async -> Response) async -> Response {
        let limits = passage.policy.limits
        guard limits.connections > 0, let address = passage.visitor.address,
            !limits.exempt.contains(where: { $0.contains(address) })
        else { return await answer() }
        let guest = Guest(origin: passage.match.route.origin, client: address.clientNetwork)
        guard let place = place(of: guest, limits.connections) else { return .unavailable("too many requests at once") }
        defer { withExtendedLifetime(place) {} }
        var response = await answer()
        switch response.body {
        case .bytes: break
        case .stream(let write):
            response.body = .stream { writer in
                try await write(writer)
                withExtendedLifetime(place) {}
            }
        case .upgrade(let run):
            response.body = .upgrade { stream in
                await run(stream)
                withExtendedLifetime(place) {}
            }
        }
        return response
    }

    private func place(of guest: Guest, _ limit: Int) -> Place? {
        let isIn = state.withLock { state in
            guard state.inside[guest, default: 0] < limit else { return false }
            state.inside[guest, default: 0] += 1
            return true
        }
        return isIn ? Place(doors: self, guest: guest) : nil
    }

    /// One request's place; given back when nobody holds it any more, also when an answer is never sent.
    private final class Place: Sendable {
        private let doors: Doors
        private let guest: Guest

        init(doors: Doors, guest: Guest) {
            self.doors = doors
            self.guest = guest
        }

        deinit {
            doors.state.withLock { [guest] state in
                let left = state.inside[guest, default: 1] - 1
                state.inside[guest] = left > 0 ? left : nil
            }
        }
    }

    /// Ends the thread that checks passwords.
    func close() { passwords.close() }
}
