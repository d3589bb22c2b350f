import MartletBase
import Synchronization

/// A world with one thread (the test's own) and a clock that jumps to the next sleeper when nothing else is to be
/// done: hours pass in milliseconds, always in the same order.
final class VirtualWorld: World {
    final class Queue: TaskExecutor {
        private let jobs = Mutex<[UnownedJob]>([])
        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            jobs.withLock { $0.append(job) }
        }
        /// Runs the oldest job; returns whether there was one.
        func runOne() -> Bool {
            guard let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
            job.runSynchronously(on: asUnownedTaskExecutor())
            return true
        }
    }
    struct Sleeper {
        var deadline: MonotonicTime
        var id: Int
        var continuation: CheckedContinuation<Void, any Error>
    }
    struct State {
        var now: UInt64 = 1_000_000_000
        var count = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int> = []
        var generator = SplitMix64(seed: 7)
    }
    struct Stuck: Error {}

    private let queue = Queue()
    private let state = Mutex(State())

    var executor: any TaskExecutor { queue }
    func now() -> MonotonicTime { MonotonicTime(nanoseconds: state.withLock { $0.now }) }
    func wallTime() -> WallTime {
        WallTime(nanoseconds: 1_780_000_000_000_000_000 + Int64(state.withLock { $0.now }))
    }
    /// Time passes while nothing runs, as for a process that is stopped.
    func stall(for duration: Duration) {
        state.withLock { $0.now = (MonotonicTime(nanoseconds: $0.now) + duration).nanoseconds }
    }
    func random() -> UInt64 { state.withLock { $0.generator.next() } }
    func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        throw NetworkError.system(operation: "connect", .connectionRefused)
    }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener { throw NetworkError.closed }

    func sleep(until deadline: MonotonicTime) async throws {
        let id = state.withLock { state in
            state.count += 1
            return state.count
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers.append(Sleeper(deadline: deadline, id: id, continuation: continuation))
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Runs `body`, and everything it starts, until `body` ends.
    func run(_ body: @escaping @Sendable () async throws -> Void) throws {
        let result = Mutex<Result<Void, any Error>?>(nil)
        Task(executorPreference: queue) {
            do {
                try await body()
                result.withLock { $0 = .success(()) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
        }
        while true {
            if let result = result.withLock({ $0 }) { return try result.get() }
            if queue.runOne() { continue }
            let next = state.withLock { state -> Sleeper? in
                let order = state.sleepers.indices.min {
                    (state.sleepers[$0].deadline, state.sleepers[$0].id)
                        < (state.sleepers[$1].deadline, state.sleepers[$1].id)
                }
                guard let order else { return nil }
                let sleeper = state.sleepers.remove(at: order)
                state.now = max(state.now, sleeper.deadline.nanoseconds)
                return sleeper
            }
            guard let next else { throw Stuck() }
            next.continuation.resume()
        }
    }
}
