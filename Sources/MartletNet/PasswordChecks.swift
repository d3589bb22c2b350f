internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletRoutes
internal import Synchronization

/// Checks names and passwords (RFC 7617), on a thread of its own: hashes are slow on purpose.
final class PasswordChecks: Sendable {
    private struct State {
        var worker: BlockingWorker?
        var desk = PasswordDesk()
        var lastTicket = 0
        /// Those that wait for a word, by their tickets.
        var waiting: [Int: CheckedContinuation<PasswordDesk.Word, Never>] = [:]
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
    ) async -> PasswordVerdict {
        guard let (name, password) = BasicAuthentication.credentials(in: field) else { return .bad }
        // A name that there is not costs as little as it may: names are no secret here.
        guard let hash = rules.hashes[name] else { return .bad }
        let mark = Secrets.sign(Array("\(hash)\n\(password)".utf8), key: key)
        let now = world.now()
        let ticket: Int? = state.withLock { state in
            if state.desk.recall(mark, at: now) { return nil }
            state.lastTicket += 1
            return state.lastTicket
        }
        guard let ticket else { return .good }
        let word: PasswordDesk.Word = await withCheckedContinuation { continuation in
            tell { state in
                state.waiting[ticket] = continuation
                return state.desk.come(ticket, with: mark, of: client, to: route, at: now)
            }
        }
        if case .verdict(let verdict) = word { return verdict }
        let verdict = await look(at: password, hash, of: name)
        let then = world.now()
        tell { $0.desk.end(ticket, verdict, at: then) }
        return verdict
    }

    /// Changes the state, and tells those that wait what the desk says to them.
    private func tell(_ change: (inout State) -> [Int: PasswordDesk.Word]) {
        let told = state.withLock { state in
            change(&state).compactMap { ticket, word in
                state.waiting.removeValue(forKey: ticket).map { (waiting: $0, word: word) }
            }
        }
        for one in told { one.waiting.resume(returning: one.word) }
    }

    private func look(at password: String, _ hash: String, of name: String) async -> PasswordVerdict {
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
