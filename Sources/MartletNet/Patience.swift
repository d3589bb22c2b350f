internal import MartletBase
internal import MartletHTTP
internal import Synchronization

/// Gives up exchanges in which nothing has moved for too long, or that last too long altogether. One task looks after
/// all of them, so that an exchange costs no timer; the price is that a wait may last a quarter longer than its limit.
final class Patience: Sendable {
    private struct State {
        var nextID: UInt64 = 0
        var exchanges: [UInt64: Exchange] = [:]
        var looker: Task<Void, Never>?
        /// When the looker looks next.
        var looksAt = MonotonicTime(nanoseconds: 0)
    }
    private let state = Mutex(State())
    private let world: any World
    private let limit: Duration

    /// The shortest time between two looks.
    private static let shortest = Duration.milliseconds(5)

    /// - Parameter limit: of exchanges without a limit of their own.
    init(_ limit: Duration, in world: any World) {
        self.limit = limit
        self.world = world
    }

    /// Does `work`, which says by ``Exchange/moved()`` that it gets on.
    /// - Parameters:
    ///   - limit: how long nothing may move.
    ///   - deadline: until when all of it must be done.
    /// - Throws: ``NetworkError/timedOut(_:)``, or what `work` throws.
    func wait<Value: Sendable>(
        _ what: String, limit: Duration? = nil, until deadline: MonotonicTime? = nil,
        for work: @escaping @Sendable (Exchange) async throws -> Value
    ) async throws -> Value {
        try await attend(what, limit: limit, until: deadline) { exchange in
            let outcome = Outcome<Value>()
            let task = world.spawn {
                do { outcome.set(.success(try await work(exchange))) } catch { outcome.set(.failure(error)) }
            }
            exchange.breaker.arm { task.cancel() }
            await withTaskCancellationHandler {
                await task.value
            } onCancel: {
                task.cancel()
            }
            guard let result = outcome.value else { throw CancellationError() }
            return try result.get()
        }
    }

    /// As ``wait(_:limit:until:for:)``, but for `work` that arms the exchange's breaker itself and fails once that
    /// breaks: it needs no task of its own.
    func attend<Value: Sendable>(
        _ what: String, limit: Duration? = nil, until deadline: MonotonicTime? = nil,
        to work: (Exchange) async throws -> Value
    ) async throws -> Value {
        let exchange = Exchange(limit ?? self.limit, until: deadline, in: world)
        let id = add(exchange)
        defer { state.withLock { $0.exchanges[id] = nil } }
        do {
            return try await work(exchange)
        } catch {
            throw exchange.breaker.isBroken ? NetworkError.timedOut(what) : error
        }
    }

    private func add(_ exchange: Exchange) -> UInt64 {
        let now = world.now()
        let next = now + max(Self.shortest, exchange.pause(at: now))
        let (id, late): (UInt64, Task<Void, Never>?) = state.withLock { state in
            state.nextID += 1
            state.exchanges[state.nextID] = exchange
            guard state.looker == nil || next < state.looksAt else { return (state.nextID, nil) }
            let late = state.looker
            state.looksAt = next
            state.looker = world.spawn { await self.look(at: next) }
            return (state.nextID, late)
        }
        late?.cancel()
        return id
    }

    private func look(at first: MonotonicTime) async {
        var next = first
        while true {
            guard (try? await world.sleep(until: next)) != nil, !Task.isCancelled else { return }
            let now = world.now()
            let exchanges = state.withLock { Array($0.exchanges.values) }
            for exchange in exchanges { exchange.giveUp(at: now) }
            let due = state.withLock { state -> MonotonicTime? in
                // Another one looks already, and more often.
                if Task.isCancelled { return nil }
                guard let pause = state.exchanges.values.map({ $0.pause(at: now) }).min() else {
                    state.looker = nil
                    return nil
                }
                state.looksAt = now + max(Self.shortest, pause)
                return state.looksAt
            }
            guard let due else { return }
            next = due
        }
    }
}

/// One exchange that somebody waits for.
final class Exchange: Sendable {
    private struct State {
        var lastMoved: MonotonicTime
        var limit: Duration
    }
    private let state: Mutex<State>
    /// What giving up means.
    let breaker = Breaker()
    private let deadline: MonotonicTime?
    private let world: any World

    init(_ limit: Duration, until deadline: MonotonicTime?, in world: any World) {
        self.world = world
        self.deadline = deadline
        state = Mutex(State(lastMoved: world.now(), limit: limit))
    }

    /// A part of it has gone through: the wait begins anew.
    func moved() {
        let now = world.now()
        state.withLock { $0.lastMoved = now }
    }

    /// As ``moved()``; from now on nothing may move for so long.
    func moved(limit: Duration) {
        let now = world.now()
        state.withLock { state in
            state.lastMoved = now
            state.limit = limit
        }
    }

    /// How long it need not be looked at.
    fileprivate func pause(at now: MonotonicTime) -> Duration {
        let quarter = state.withLock { $0.limit } / 4
        guard let deadline else { return quarter }
        return deadline <= now ? .zero : min(quarter, deadline - now)
    }

    fileprivate func giveUp(at now: MonotonicTime) {
        let isOver = state.withLock { $0.lastMoved + $0.limit < now } || deadline.map { $0 <= now } == true
        if isOver { breaker.break() }
    }
}

/// Where a task leaves what came out of it.
private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    var value: Result<Value, any Error>? { result.withLock { $0 } }
    func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }
}
