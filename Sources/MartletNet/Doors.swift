internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
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
        var address: IPAddress
    }
    private let state = Mutex(State())
    private let passwords: PasswordChecks
    private let world: any World

    init(in world: any World, logger: Logger) {
        self.world = world
        passwords = PasswordChecks(logger: logger)
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
        if let rules = policy.authentication, await !passwords.admit(fields[.authorization], rules) {
            var response = Response.plain(.unauthorized, "a name and a password are needed")
            response.head.headerFields[.wwwAuthenticate] = rules.challenge
            return response
        }
        if let limit = policy.bodyLimit, let length = fields[.contentLength].flatMap({ Int($0) }), length > limit {
            return .plain(.contentTooLarge, "the request's body is too large")
        }
        if let root = policy.appRoot, passage.request.head.path == "/" {
            return passage.redirect(Redirect(path: .whole(root), status: 302))
        }
        return policy.filters.redirect.map { passage.redirect($0) }
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
        let guest = Guest(origin: passage.match.route.origin, address: address)
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

/// Checks names and passwords (RFC 7617), on a thread of its own: hashes are slow on purpose.
final class PasswordChecks: Sendable {
    /// So many good pairs of hash and password are remembered, so that a client pays for the hash once.
    static let memory = 4096

    private struct State {
        var worker: BlockingWorker?
        /// Digests of pairs that are good, with a key of this process.
        var good: Set<[UInt8]> = []
    }
    private let state = Mutex(State())
    private let key: [UInt8]
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
        var random = SystemRandomNumberGenerator()
        key = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    func admit(_ field: String?, _ rules: BasicAuthentication) async -> Bool {
        guard let (name, password) = BasicAuthentication.credentials(in: field) else { return false }
        // A name that there is not costs as little as it may: names are no secret here.
        guard let hash = rules.hashes[name] else { return false }
        let mark = Secrets.sign(Array("\(hash)\n\(password)".utf8), key: key)
        if state.withLock({ $0.good.contains(mark) }) { return true }
        let isGood: Bool?
        do {
            isGood = try await worker().run { PasswordHash.matches(password, hash) }
        } catch {
            logger.warning("a password was not checked", metadata: ["error": "\(error)"])
            return false
        }
        if isGood == nil { logger.warning("a password's hash has no known form", metadata: ["user": "\(name)"]) }
        guard isGood == true else { return false }
        state.withLock { state in
            if state.good.count >= Self.memory { state.good = [] }
            state.good.insert(mark)
        }
        return true
    }

    private func worker() throws -> BlockingWorker {
        try state.withLock { state in
            if let worker = state.worker { return worker }
            let worker = try BlockingWorker(name: "ingress-passwords")
            state.worker = worker
            return worker
        }
    }

    func close() {
        state.withLock {
            $0.worker?.stop()
            $0.worker = nil
        }
    }
}
