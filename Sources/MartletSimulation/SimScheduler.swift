internal import DequeModule
public import MartletBase
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// How a simulated world's run went wrong by itself.
public enum SimulationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Nothing is ready and nothing sleeps, and what was to be run has not ended: somebody waits for nothing.
    case stuck(at: MonotonicTime)
    /// So many jobs were run that there must be a loop in which no time passes.
    case endless(jobs: Int)

    /// One line for people.
    public var description: String {
        switch self {
        case .stuck(let time): "deadlock at \(time.nanoseconds / 1_000_000) ms: nothing is ready and nothing sleeps"
        case .endless(let jobs): "still not over after \(jobs) jobs: something spins"
        }
    }
}

/// Where the jobs of one host of a simulated world go. A task executor and nothing else: no serial one.
final class HostExecutor: TaskExecutor {
    let host: Int
    private let scheduler: SimScheduler

    init(host: Int, scheduler: SimScheduler) {
        self.host = host
        self.scheduler = scheduler
    }

    func enqueue(_ job: consuming ExecutorJob) { scheduler.enqueue(UnownedJob(job), on: self) }
}

/// The one thread of a simulated world: it draws which ready job is run next, and moves the clock when none is.
final class SimScheduler: Sendable {
    /// The world begins one second after its clock's start, so that nobody takes 0 for "never".
    static let start: UInt64 = 1_000_000_000
    /// What a job costs in virtual time, so that a busy loop does not stop the clock.
    static let jobNanoseconds: UInt64 = 1_000
    /// How many jobs are run to wind a world down.
    static let drainLimit = 200_000

    private struct Ready {
        var job: UnownedJob
        var executor: HostExecutor
    }

    private enum Action {
        case wake(CheckedContinuation<Void, any Error>)
        case call(@Sendable () -> Void)
    }

    private struct State {
        var now = SimScheduler.start
        var ready: Deque<Ready> = []
        var timers = TimerHeap()
        var actions: [UInt64: Action] = [:]
        var nextID: UInt64 = 0
        var random: SplitMix64
        /// One in `shuffle` jobs is drawn from all that are ready; the others are the oldest. 0: none.
        var shuffle: UInt64
        /// The thread that runs this world, while one does.
        var thread: UInt?
        var jobs = 0
        var isOver = false
        var fingerprint: UInt64 = 0
        /// What hosts that are paused would have run.
        var backlogs: [Int: [Ready]] = [:]

        /// Takes a step into the fingerprint.
        mutating func mix(_ what: UInt64) {
            fingerprint = (fingerprint ^ what ^ now) &* 0x9E37_79B9_7F4A_7C15
            fingerprint ^= fingerprint >> 29
        }
    }

    private enum Step {
        case job(UnownedJob, HostExecutor)
        case action(Action)
        case nothing
    }

    private let state: Mutex<State>

    init(random: SplitMix64, shuffle: UInt64) { state = Mutex(State(random: random, shuffle: shuffle)) }

    private static var thisThread: UInt {
        #if canImport(Glibc)
        UInt(pthread_self())
        #else
        UInt(bitPattern: pthread_self())
        #endif
    }

    // MARK: Jobs

    func enqueue(_ job: UnownedJob, on executor: HostExecutor) {
        let isForeign = state.withLock { state in
            if let thread = state.thread, thread != Self.thisThread { return true }
            state.ready.append(Ready(job: job, executor: executor))
            return false
        }
        precondition(
            !isForeign, "a job of a simulated world came from another thread: something left the world's executor")
    }

    /// Stops running jobs of a host; they are kept.
    func pause(_ host: Int) { state.withLock { $0.backlogs[host] = $0.backlogs[host] ?? [] } }

    /// Runs them again.
    func resume(_ host: Int) {
        state.withLock { state in
            guard let backlog = state.backlogs.removeValue(forKey: host) else { return }
            state.ready.append(contentsOf: backlog)
        }
    }

    // MARK: Time

    var now: UInt64 { state.withLock { $0.now } }
    var jobs: Int { state.withLock { $0.jobs } }
    /// Follows from every draw and every step so far: equal on equal runs.
    var fingerprint: UInt64 { state.withLock { $0.fingerprint } }
    var isOver: Bool { state.withLock { $0.isOver } }

    /// Calls `action` on this world's thread, outside any task, after a while.
    func after(_ nanoseconds: UInt64, _ action: @escaping @Sendable () -> Void) {
        state.withLock { state in
            if state.isOver { return }
            state.nextID += 1
            let (deadline, overflow) = state.now.addingReportingOverflow(nanoseconds)
            state.timers.push(overflow ? .max : deadline, tie: state.random.next(), id: state.nextID)
            state.actions[state.nextID] = .call(action)
        }
    }

    func sleep(until deadline: UInt64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isCancelled = state.withLock { state in
                    if Task.isCancelled || state.isOver { return true }
                    // A time that is past still costs a turn: others come first.
                    state.timers.push(max(deadline, state.now), tie: state.random.next(), id: id)
                    state.actions[id] = .wake(continuation)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            if case .wake(let continuation) = state.withLock({ $0.actions.removeValue(forKey: id) }) {
                continuation.resume(throwing: CancellationError())
            }
        }
    }

    // MARK: The run

    /// Runs jobs and moves the clock until `isDone`.
    func run(jobLimit: Int, until isDone: () -> Bool) throws(SimulationError) {
        let before = state.withLock { state in
            defer { state.thread = Self.thisThread }
            return state.thread
        }
        defer { state.withLock { $0.thread = before } }
        var count = 0
        while !isDone() {
            guard step() else { throw .stuck(at: MonotonicTime(nanoseconds: now)) }
            count += 1
            if count > jobLimit { throw .endless(jobs: count) }
        }
    }

    /// Ends the world: sleepers are cancelled and later sleeps refused, and what can end does.
    func end() {
        let sleepers = state.withLock { state in
            state.isOver = true
            state.thread = Self.thisThread
            defer {
                state.actions = [:]
                state.timers = TimerHeap()
            }
            for host in state.backlogs.keys.sorted() { state.ready.append(contentsOf: state.backlogs[host] ?? []) }
            state.backlogs = [:]
            return state.actions.sorted { $0.key < $1.key }.map(\.value)
        }
        for case .wake(let continuation) in sleepers { continuation.resume(throwing: CancellationError()) }
        var left = Self.drainLimit
        while left > 0, step() { left -= 1 }
        state.withLock { $0.thread = nil }
    }

    /// One job, or one moment; false when there is neither.
    private func step() -> Bool {
        switch state.withLock({ Self.next(&$0) }) {
        case .job(let job, let executor): job.runSynchronously(on: executor.asUnownedTaskExecutor())
        case .action(.wake(let continuation)): continuation.resume()
        case .action(.call(let call)): call()
        case .nothing: return false
        }
        return true
    }

    private static func next(_ state: inout State) -> Step {
        while true {
            if let due = state.timers.first, due.deadline <= state.now || state.ready.isEmpty {
                state.timers.pop()
                guard let action = state.actions.removeValue(forKey: due.id) else { continue }
                state.now = max(state.now, due.deadline)
                state.mix(due.id)
                return .action(action)
            }
            guard !state.ready.isEmpty else { return .nothing }
            if state.shuffle > 0, state.ready.count > 1, state.random.next() % state.shuffle == 0 {
                state.ready.swapAt(0, Int(state.random.next() % UInt64(state.ready.count)))
            }
            let chosen = state.ready.removeFirst()
            if state.backlogs[chosen.executor.host]?.append(chosen) != nil { continue }
            state.now += jobNanoseconds
            state.jobs += 1
            state.mix(UInt64(chosen.executor.host))
            return .job(chosen.job, chosen.executor)
        }
    }
}

/// What is to happen when: the earliest first, draws among equals.
struct TimerHeap: Sendable {
    struct Entry: Sendable {
        var deadline: UInt64
        var tie: UInt64
        var id: UInt64

        static func < (a: Entry, b: Entry) -> Bool { (a.deadline, a.tie, a.id) < (b.deadline, b.tie, b.id) }
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func push(_ deadline: UInt64, tie: UInt64, id: UInt64) {
        entries.append(Entry(deadline: deadline, tie: tie, id: id))
        var place = entries.count - 1
        while place > 0, entries[place] < entries[(place - 1) / 2] {
            entries.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func pop() {
        guard !entries.isEmpty else { return }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < entries.count && entries[child] < entries[least] {
                least = child
            }
            if least == place { return }
            entries.swapAt(place, least)
            place = least
        }
    }
}
