internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletRoutes
internal import Synchronization

/// Checks names and passwords (RFC 7617), on a thread of its own: hashes are slow on purpose.
final class PasswordChecks: Sendable {
    /// So many good pairs of hash and password are remembered, so that a client pays for the hash once.
    static let memory = 4096
    /// How long a pair is remembered that nobody comes with.
    static let remembered = Duration.seconds(600)

    /// What is thought of a name and a password.
    enum Verdict: Sendable, Hashable {
        case good
        case bad
        /// Nobody looked at it: too many wait.
        case unknown(PasswordLine.Refusal)
    }
    /// A digest of a pair of hash and password, with a key of this process.
    fileprivate typealias Mark = [UInt8]

    fileprivate struct State {
        var worker: BlockingWorker?
        /// Pairs that are good, and when somebody last came with each.
        var good: [Mark: MonotonicTime] = [:]
        var line = PasswordLine()
        var lastTicket = 0
        /// Those that wait for their turn.
        var turns: [Int: CheckedContinuation<PasswordLine.Refusal?, Never>] = [:]
        /// Pairs that are looked at, and who came with the same pair meanwhile.
        var open: [Mark: [CheckedContinuation<Verdict?, Never>]] = [:]
    }
    private let state = Mutex(State())
    private let key: [UInt8]
    private let matches: @Sendable (_ password: String, _ hash: String) -> Bool?
    private let world: any World
    private let logger: Logger

    /// - Parameter matches: what is slow.
    init(
        in world: any World, logger: Logger,
        matches: @escaping @Sendable (_ password: String, _ hash: String) -> Bool? = PasswordHash.matches
    ) {
        self.world = world
        self.logger = logger
        self.matches = matches
        var random = SystemRandomNumberGenerator()
        key = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// Looks at what a client says in its Authorization field.
    func judge(
        _ field: String?, _ rules: BasicAuthentication, of client: IPAddress?, to route: RouteOrigin
    ) async -> Verdict {
        guard let (name, password) = BasicAuthentication.credentials(in: field) else { return .bad }
        // A name that there is not costs as little as it may: names are no secret here.
        guard let hash = rules.hashes[name] else { return .bad }
        let mark = Secrets.sign(Array("\(hash)\n\(password)".utf8), key: key)
        if let known = await known(mark) { return known }
        let verdict = await look(at: password, hash, of: name, client, route)
        let now = world.now()
        let others = state.withLock { state in
            if verdict == .good { state.remember(mark, now) }
            return state.open.removeValue(forKey: mark) ?? []
        }
        for other in others { other.resume(returning: verdict) }
        return verdict
    }

    /// What was found out about a pair before, or is just found out for somebody else: a page's many requests cost one
    /// hash. Nil for who has to look, and to tell the others.
    private func known(_ mark: Mark) async -> Verdict? {
        let now = world.now()
        if state.withLock({ $0.recall(mark, now) }) { return .good }
        return await withCheckedContinuation { continuation in
            let known: Verdict?? = state.withLock { state in
                if state.recall(mark, now) { return Verdict.good }
                if state.open[mark] == nil {
                    state.open[mark] = []
                    return .some(nil)
                }
                state.open[mark]?.append(continuation)
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    private func look(
        at password: String, _ hash: String, of name: String, _ client: IPAddress?, _ route: RouteOrigin
    ) async -> Verdict {
        if let refusal = await turn(client, route) { return .unknown(refusal) }
        defer { passOn() }
        do {
            let matches = matches
            let isGood = try await worker().run { matches(password, hash) }
            if isGood == nil { logger.warning("a password's hash has no known form", metadata: ["user": "\(name)"]) }
            return isGood == true ? .good : .bad
        } catch {
            logger.warning("a password was not checked", metadata: ["error": "\(error)"])
            return .unknown(.full)
        }
    }

    /// Waits for a turn; why there is none, where there is none.
    private func turn(_ client: IPAddress?, _ route: RouteOrigin) async -> PasswordLine.Refusal? {
        await withCheckedContinuation { continuation in
            typealias Waiting = CheckedContinuation<PasswordLine.Refusal?, Never>
            let (joined, dropped) = state.withLock { state -> (PasswordLine.Joined, Waiting?) in
                state.lastTicket += 1
                let joined = state.line.join(state.lastTicket, of: client, to: route)
                guard case .waits(let dropped) = joined else { return (joined, nil) }
                state.turns[state.lastTicket] = continuation
                return (joined, dropped.flatMap { state.turns.removeValue(forKey: $0) })
            }
            dropped?.resume(returning: .full)
            switch joined {
            case .turn: continuation.resume(returning: nil)
            case .waits: break
            case .refused(let refusal): continuation.resume(returning: refusal)
            }
        }
    }

    private func passOn() {
        let next = state.withLock { state in state.line.next().flatMap { state.turns.removeValue(forKey: $0) } }
        next?.resume(returning: nil)
    }

    private func worker() throws -> BlockingWorker {
        try state.withLock { state in
            if let worker = state.worker { return worker }
            let worker = try BlockingWorker(name: "ingress-passwords")
            state.worker = worker
            return worker
        }
    }

    /// Ends the thread.
    func close() { state.withLock { $0.worker }?.stop() }
}

extension PasswordChecks.State {
    /// Whether a pair is known to be good; if so, it is for a while more.
    mutating func recall(_ mark: PasswordChecks.Mark, _ now: MonotonicTime) -> Bool {
        guard let last = good[mark], now - last < PasswordChecks.remembered else { return false }
        good[mark] = now
        return true
    }

    /// Takes note of a good pair, in place of the one that nobody came with for the longest when there are many.
    mutating func remember(_ mark: PasswordChecks.Mark, _ now: MonotonicTime) {
        if good.count >= PasswordChecks.memory, let oldest = good.min(by: { $0.value < $1.value })?.key {
            good[oldest] = nil
        }
        good[mark] = now
    }
}
