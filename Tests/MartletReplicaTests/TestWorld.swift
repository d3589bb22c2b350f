import Glibc
import MartletBase
import Synchronization

/// A world for these tests: one thread runs all tasks, and time stands still until a test moves it on.
final class TestWorld: World {
    private let queue = JobThread()
    private let clock = Mutex(Clock())

    private struct Clock {
        var now: UInt64 = 1
        var nextID = 0
        var random = SplitMix64(seed: 7)
        var sleepers: [Int: (deadline: UInt64, continuation: CheckedContinuation<Void, any Error>)] = [:]
    }

    var executor: any TaskExecutor { queue }
    func now() -> MonotonicTime { MonotonicTime(nanoseconds: clock.withLock { $0.now }) }
    func wallTime() -> WallTime { WallTime(nanoseconds: Int64(clock.withLock { $0.now })) }
    func random() -> UInt64 { clock.withLock { $0.random.next() } }
    func connect(to endpoint: Endpoint) async throws -> any ByteStream { throw NetworkError.closed }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener {
        guard let listener = listener.withLock({ $0 }) else { throw NetworkError.closed }
        return listener
    }
    /// What listens in this world.
    let listener = Mutex<(any StreamListener)?>(nil)

    func sleep(until deadline: MonotonicTime) async throws {
        let id = clock.withLock { clock in
            clock.nextID += 1
            return clock.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isOver = clock.withLock { clock in
                    if Task.isCancelled || clock.now >= deadline.nanoseconds { return true }
                    clock.sleepers[id] = (deadline.nanoseconds, continuation)
                    return false
                }
                if isOver {
                    if Task.isCancelled {
                        continuation.resume(throwing: CancellationError())
                    } else {
                        continuation.resume()
                    }
                }
            }
        } onCancel: {
            clock.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume(throwing: CancellationError())
        }
    }

    /// How many tasks sleep.
    var sleeperCount: Int { clock.withLock { $0.sleepers.count } }

    /// Moves time on and wakes those whose time has come.
    func advance(by duration: Duration) {
        let due = clock.withLock { clock in
            clock.now += UInt64(duration.nanoseconds)
            let due = clock.sleepers.filter { $0.value.deadline <= clock.now }
            for id in due.keys { clock.sleepers[id] = nil }
            return due
        }
        for (_, sleeper) in due.sorted(by: { $0.key < $1.key }) { sleeper.continuation.resume() }
    }

    /// Runs `body` as a task of this world and returns what it returns.
    func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await Task(executorPreference: executor) { try await body() }.value
    }

    deinit { queue.stop() }
}

/// One thread that runs jobs in the order of their arrival.
final class JobThread: TaskExecutor, @unchecked Sendable {
    // Protected by `mutex`: `jobs`, `stopping`.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let signal = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var stopping = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(signal, nil)
        var thread = pthread_t()
        let me = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<JobThread>.fromOpaque(argument).takeRetainedValue().loop()
                return nil
            }, me)
        precondition(status == 0, "no thread")
        pthread_detach(thread)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        pthread_mutex_lock(mutex)
        jobs.append(UnownedJob(job))
        pthread_cond_signal(signal)
        pthread_mutex_unlock(mutex)
    }

    func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_signal(signal)
        pthread_mutex_unlock(mutex)
    }

    private func loop() {
        let executor = asUnownedTaskExecutor()
        while true {
            pthread_mutex_lock(mutex)
            while jobs.isEmpty, !stopping { pthread_cond_wait(signal, mutex) }
            let batch = jobs
            jobs = []
            pthread_mutex_unlock(mutex)
            if batch.isEmpty { return }
            for job in batch { job.runSynchronously(on: executor) }
        }
    }
}
