internal import Glibc
public import MartletBase

/// One thread for work that blocks: SQLite, opening a log. Pieces of work run one after the other, in the order of
/// their arrival, and the tasks that asked for them wait without holding up their world.
public final class BlockingWorker: Sendable {
    /// How many pieces of work may wait.
    public static let limit = 256

    /// Does a piece of work that others on this machine feel, then rests for three times as long as it took, but not
    /// longer than `limit`. Blocks: for a worker's thread.
    public static func gently<Value>(restingAtMost limit: Duration, _ body: () throws -> Value) rethrows -> Value {
        let start = Clocks.monotonic()
        let value = try body()
        let rest = min((Clocks.monotonic() - start) * 3, limit).nanoseconds
        var time = timespec(tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        nanosleep(&time, nil)
        return value
    }

    private let mailbox = Mailbox()
    /// Set in a simulated world, which has no other threads.
    private let gate: (@Sendable () async throws -> Void)?

    /// Starts the thread. `name` is what tools like top(1) show.
    /// - Throws: `Errno` of pthread_create(3).
    public init(name: String) throws(Errno) {
        gate = nil
        let mailbox = mailbox
        try Threads.start(name: name) { mailbox.loop() }
    }

    /// A worker without a thread, for simulated worlds: each piece of work is done by the task that asks for it, once
    /// `gate` has returned. A gate that throws refuses the work.
    public init(gate: @escaping @Sendable () async throws -> Void) { self.gate = gate }

    deinit { mailbox.stop() }

    /// Runs `work` on the thread and returns what it returns. Once asked for it is carried out, cancelled or not.
    /// - Throws: what `work` throws; `Errno` EAGAIN when ``limit`` pieces wait already, ECANCELED after ``stop()``.
    public func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        if let gate {
            try await gate()
            return try work()
        }
        return try await withCheckedThrowingContinuation { continuation in
            let refusal = mailbox.post { continuation.resume(with: Result { try work() }) }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// Hands `work` to the thread and returns at once; from any thread.
    /// - Throws: `Errno` EAGAIN when ``limit`` pieces wait already, ECANCELED after ``stop()``.
    public func post(_ work: @escaping @Sendable () -> Void) throws(Errno) {
        if let refusal = mailbox.post(work) { throw refusal }
    }

    /// Ends the thread when what waits is done.
    public func stop() { mailbox.stop() }
}

/// The queue between tasks and the thread.
// Unchecked: `work` and `isStopping` are touched only with `mutex` held.
private final class Mailbox: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let arrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var work: [@Sendable () -> Void] = []
    private var isStopping = false

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(arrived, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(arrived)
        unsafe pthread_mutex_destroy(mutex)
        unsafe arrived.deallocate()
        unsafe mutex.deallocate()
    }

    /// Queues a piece of work, or says why not.
    func post(_ piece: @escaping @Sendable () -> Void) -> Errno? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        if isStopping { return .cancelled }
        if work.count >= BlockingWorker.limit { return Errno(EAGAIN) }
        work.append(piece)
        unsafe pthread_cond_signal(arrived)
        return nil
    }

    func stop() {
        unsafe pthread_mutex_lock(mutex)
        isStopping = true
        unsafe pthread_cond_signal(arrived)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// The thread's life.
    func loop() {
        while true {
            unsafe pthread_mutex_lock(mutex)
            while work.isEmpty, !isStopping { unsafe pthread_cond_wait(arrived, mutex) }
            let batch = work
            work = []
            unsafe pthread_mutex_unlock(mutex)
            if batch.isEmpty { return }
            for piece in batch { piece() }
        }
    }
}
