internal import MartletBase
internal import Synchronization

/// Gives up exchanges in which nothing has moved for too long. One task looks after all of them, so that an exchange
/// costs no timer; the price is that one may last a quarter longer than its limit.
final class Patience: Sendable {
    private struct State {
        var nextID: UInt64 = 0
        var exchanges: [UInt64: Exchange] = [:]
        var isLooking = false
    }
    private let state = Mutex(State())
    private let world: any World
    private let limit: Duration

    init(_ limit: Duration, in world: any World) {
        self.limit = limit
        self.world = world
    }

    /// Does `work`, which says by ``Exchange/moved()`` that it gets on.
    /// - Throws: ``NetworkError/timedOut(_:)``, or what `work` throws.
    func wait<Value: Sendable>(
        _ what: String, for work: @escaping @Sendable (Exchange) async throws -> Value
    ) async throws -> Value {
        let exchange = Exchange(in: world)
        let outcome = Outcome<Value>()
        let task = world.spawn {
            do { outcome.set(.success(try await work(exchange))) } catch { outcome.set(.failure(error)) }
        }
        exchange.setTask(task)
        let id = add(exchange)
        await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        state.withLock { $0.exchanges[id] = nil }
        guard let result = outcome.value else { throw CancellationError() }
        if exchange.isGivenUp, case .failure = result { throw NetworkError.timedOut(what) }
        return try result.get()
    }

    private func add(_ exchange: Exchange) -> UInt64 {
        let (id, starts) = state.withLock { state in
            state.nextID += 1
            state.exchanges[state.nextID] = exchange
            defer { state.isLooking = true }
            return (state.nextID, !state.isLooking)
        }
        if starts { world.spawn { await self.look() } }
        return id
    }

    private func look() async {
        while let exchanges = current() {
            let now = world.now()
            for exchange in exchanges { exchange.giveUp(ifStillFor: limit, at: now) }
            guard (try? await world.sleep(for: limit / 4)) != nil else { return }
        }
    }

    private func current() -> [Exchange]? {
        state.withLock {
            if $0.exchanges.isEmpty { $0.isLooking = false }
            return $0.isLooking ? Array($0.exchanges.values) : nil
        }
    }
}

/// One exchange that somebody waits for.
final class Exchange: Sendable {
    private struct State {
        var lastMoved: MonotonicTime
        var task: Task<Void, Never>?
        var isGivenUp = false
    }
    private let state: Mutex<State>
    private let world: any World

    init(in world: any World) {
        self.world = world
        state = Mutex(State(lastMoved: world.now()))
    }

    /// A part of it has gone through: the wait begins anew.
    func moved() {
        let now = world.now()
        state.withLock { $0.lastMoved = now }
    }

    var isGivenUp: Bool { state.withLock { $0.isGivenUp } }

    fileprivate func setTask(_ task: Task<Void, Never>) { state.withLock { $0.task = task } }

    fileprivate func giveUp(ifStillFor limit: Duration, at now: MonotonicTime) {
        let task = state.withLock { state in
            if state.lastMoved + limit < now { state.isGivenUp = true }
            return state.isGivenUp ? state.task : nil
        }
        task?.cancel()
    }
}

/// Where a task leaves what came out of it.
private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    var value: Result<Value, any Error>? { result.withLock { $0 } }
    func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }
}
