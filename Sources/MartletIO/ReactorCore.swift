internal import CMartlet
internal import DequeModule
internal import Glibc
internal import MartletBase
internal import Synchronization

/// What bounds a reactor, in one place.
enum ReactorLimits {
    /// Operations handed to the kernel in one go; more wait for the next turn.
    static let ringEntries: UInt32 = 512
    /// Completions taken in one turn; more are taken in the next.
    static let completionsPerTurn = 512
    /// Jobs run between two turns, so that a busy task cannot starve the sockets.
    static let jobsPerTurn = 512
    /// Buffers lent to the kernel for receives. When all are taken, a receive brings its own memory.
    static let receiveBuffers: UInt32 = 128
    /// Size of such a buffer, and the most that one read returns.
    static let receiveBytes: UInt32 = 16 * 1024
    /// Bytes that are taken from the kernel before anybody asks for them; then it is told to stop, and brings no more
    /// than the ring's buffers hold until it has. Also the most that is handed over at once.
    static let receivedAhead = 64 * 1024
    /// The most that one send hands to the kernel; longer writes go in pieces.
    static let sendBytes = 256 * 1024
    /// Connections accepted ahead of their `accept()`; then the listener pauses, and the kernel's backlog fills.
    static let acceptedAhead = 64
    /// The kernel's own queue of connections per listener.
    static let backlog: Int32 = 1024
    /// Batches of datagrams taken from one socket before others have their turn.
    static let datagramRounds = 8
    /// How long a listener waits when the process has no descriptors left.
    static let acceptPause = Duration.milliseconds(50)
}

/// The reactor's thread and what it owns.
///
/// `@unchecked Sendable`: every `var` is touched by the reactor's thread only (before it starts: by `init`). Other
/// threads reach it through `inbox`, which has its own lock, and through the wake-up of the ring.
final class ReactorCore: @unchecked Sendable {
    /// What other threads have left for the reactor's.
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var messages: [@Sendable () -> Void] = []
        /// The thread waits in the kernel, and the next to come must wake it.
        var sleeping = false
        /// The thread has ended; what comes now runs where it comes from and finds all closed.
        var ended = false

        /// Marks the thread as asleep unless something has come.
        mutating func sleepIfEmpty() -> Bool {
            sleeping = jobs.isEmpty && messages.isEmpty
            return sleeping
        }
    }

    let ring: OpaquePointer
    let hasBuffers: Bool
    private let inbox = Mutex(Inbox())
    private let inboxFilled = Atomic<Bool>(false)

    private weak var executor: ReactorExecutor?
    private var ready: Deque<UnownedJob> = []
    private var operations: [RingOperation?] = []
    private var generations: [UInt32] = []
    private var freeSlots: [Int] = []
    private(set) var inFlight = 0
    /// How often the ring has been visited.
    private(set) var turns: UInt64 = 1
    /// Cancels that the full ring did not take; sent in the next turn. An operation is in it twice at most.
    private var unsentCancels: [UInt64] = []
    private(set) var handles: [ObjectIdentifier: any ReactorHandle] = [:]
    private var completions: [cm_completion]
    var timers = TimerHeap()
    /// No new handles; those that were open are closed.
    private(set) var isShutDown = false
    /// Cleared when the kernel refuses multishot accepts.
    var acceptsMany = true
    /// Cleared when the kernel refuses multishot receives.
    var receivesMany = true

    init() throws(ReactorError) {
        var opened: OpaquePointer?
        let status = cm_ring_open(
            &opened, ReactorLimits.ringEntries, ReactorLimits.receiveBuffers, ReactorLimits.receiveBytes)
        guard status == 0, let opened else { throw ReactorError(ringError: Errno(-status)) }
        ring = opened
        hasBuffers = cm_ring_features(opened) & UInt32(CM_HAS_BUFFERS) != 0
        completions = Array(repeating: cm_completion(), count: ReactorLimits.completionsPerTurn)
    }

    deinit { cm_ring_close(ring) }

    /// Starts the thread. It ends when `executor`, which all tasks of the world hold, is gone.
    func start(executor: ReactorExecutor, name: String) throws(ReactorError) {
        self.executor = executor
        do {
            try Threads.start(name: name) { self.run() }
        } catch {
            throw ReactorError("cannot start the reactor's thread: \(error)")
        }
    }

    /// Whether the caller is on the reactor's thread.
    var isCurrent: Bool { cm_ring_is_mine(ring) }

    // MARK: The way in, from any thread

    func enqueue(_ job: UnownedJob) {
        if isCurrent {
            ready.append(job)
            return
        }
        post { $0.jobs.append(job) }
    }

    /// Runs `body` on the reactor's thread: at once when already there, else by message.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { return body() }
        let ended = post { inbox in
            if !inbox.ended { inbox.messages.append(body) }
        }
        if ended { body() }
    }

    /// Makes the thread look around once more; the message keeps it from going to sleep before it has.
    func wake() { post { $0.messages.append({}) } }

    @discardableResult
    private func post(_ change: (inout sending Inbox) -> Void) -> Bool {
        let (ended, sleeping) = inbox.withLock { inbox in
            change(&inbox)
            if inbox.ended { return (true, false) }
            inboxFilled.store(true, ordering: .releasing)
            defer { inbox.sleeping = false }
            return (false, inbox.sleeping)
        }
        // Not under the lock, which the thread that wakes takes first. The ring lives as long as its core.
        if sleeping { cm_ring_wake(ring) }
        return ended
    }

    // MARK: The loop

    private func run() {
        let status = cm_ring_adopt(ring)
        precondition(status == 0, "the kernel refused to enable a ring it has made: \(Errno(-status))")
        while serve() { turn() }
        end()
    }

    /// Does what can be done without waiting. False when nobody holds the executor any more: no task is left, and none
    /// can come. The executor is held in here only, so that its end is seen after each wait.
    private func serve() -> Bool {
        guard let executor else { return false }
        wakeSleepers()
        takeInbox()
        // Last, so that what has just come is served before the next turn, which costs a system call.
        runJobs(on: executor.asUnownedTaskExecutor())
        return true
    }

    private func runJobs(on executor: UnownedTaskExecutor) {
        var budget = ReactorLimits.jobsPerTurn
        while budget > 0, let job = ready.popFirst() {
            job.runSynchronously(on: executor)
            budget -= 1
        }
    }

    private func wakeSleepers() {
        guard !timers.isEmpty else { return }
        let now = Clocks.monotonic()
        while let timer = timers.popExpired(at: now) { timer.fire() }
    }

    private func takeInbox() {
        guard inboxFilled.exchange(false, ordering: .acquiring) else { return }
        let (jobs, messages) = inbox.withLock { inbox in
            defer {
                inbox.jobs.removeAll(keepingCapacity: true)
                inbox.messages.removeAll(keepingCapacity: true)
            }
            return (inbox.jobs, inbox.messages)
        }
        ready.append(contentsOf: jobs)
        for message in messages { message() }
    }

    /// Hands over what was queued and delivers what was completed; waits when there is nothing else to do.
    private func turn() {
        var wait: Int64 = 0
        if sendCancels() && ready.isEmpty && inbox.withLock({ $0.sleepIfEmpty() }) {
            wait = timers.next.map { max(0, ($0 - Clocks.monotonic()).nanoseconds) } ?? -1
        }
        harvest(wait)
        turns += 1
        inbox.withLock { $0.sleeping = false }
    }

    /// Queues the cancels that are left over. False when the ring is full again.
    private func sendCancels() -> Bool {
        while let token = unsentCancels.last, cm_ring_cancel(ring, token) == 0 { unsentCancels.removeLast() }
        return unsentCancels.isEmpty
    }

    private func harvest(_ wait: Int64) {
        let capacity = UInt32(completions.count)
        let count = completions.withUnsafeMutableBufferPointer { cm_ring_turn(ring, wait, $0.baseAddress, capacity) }
        precondition(count >= 0, "the kernel refuses to serve the ring: \(Errno(-count))")
        for at in 0..<Int(count) { deliver(completions[at]) }
    }

    private func deliver(_ completion: cm_completion) {
        let slot = Int(completion.token & 0xffff_ffff) - 1
        guard let operation = operations[slot] else { return }
        if completion.flags & UInt16(CM_MORE) == 0 {
            operations[slot] = nil
            generations[slot] &+= 1
            freeSlots.append(slot)
            inFlight -= 1
            operation.token = 0
        }
        operation.completed(completion)
        if completion.flags & UInt16(CM_BUFFER) != 0 { cm_ring_buffer_return(ring, completion.buffer) }
    }

    private func end() {
        shutDown()
        for case let operation? in operations { operation.abandon() }
        while inFlight > 0 { harvest(sendCancels() ? -1 : 0) }
        while let timer = timers.popExpired(at: MonotonicTime(nanoseconds: .max)) { timer.cancel() }
        takeInbox()
        let late = inbox.withLock { inbox in
            inbox.ended = true
            return inbox.messages
        }
        for message in late { message() }
    }

    /// Closes all that is open and refuses new. Sleeps and jobs go on.
    func shutDown() {
        isShutDown = true
        for handle in handles.values { handle.shut() }
    }

    // MARK: Operations and handles

    /// Queues an operation: `queue` gets its token. The operation, and what memory it owns, is kept until the kernel
    /// has completed it. When it cannot be queued it completes at once with the error.
    func submit(_ operation: RingOperation, _ queue: (OpaquePointer, UInt64) -> Int32) {
        let slot = freeSlots.popLast() ?? operations.count
        if slot == operations.count {
            operations.append(nil)
            generations.append(0)
        }
        let token = UInt64(generations[slot]) << 32 | UInt64(slot + 1)
        operations[slot] = operation
        operation.token = token
        inFlight += 1
        let status = queue(ring, token)
        if status < 0 { deliver(cm_completion(token: token, result: status, flags: 0, buffer: 0)) }
    }

    /// Asks the kernel to end an operation; its completion still comes.
    func cancel(_ operation: RingOperation) {
        guard operation.token != 0 else { return }
        if cm_ring_cancel(ring, operation.token) < 0 { unsentCancels.append(operation.token) }
    }

    /// Remembers an open handle, to be closed at the latest by ``shutDown()``.
    func register(_ handle: any ReactorHandle) { handles[ObjectIdentifier(handle)] = handle }

    func forget(_ handle: any ReactorHandle) { handles[ObjectIdentifier(handle)] = nil }
}

/// Something with a descriptor that the reactor closes when it shuts down.
protocol ReactorHandle: AnyObject {
    /// Closes it. Called on the reactor's thread, perhaps more than once.
    func shut()
}

/// One operation in the kernel's hands, and the memory that it needs.
///
/// `@unchecked Sendable`, and so are its subclasses: after `init` only the reactor's thread touches it.
class RingOperation: @unchecked Sendable {
    let core: ReactorCore
    /// Its name in the ring; 0 while the kernel knows nothing of it.
    var token: UInt64 = 0

    init(core: ReactorCore) { self.core = core }

    /// The kernel's answer. With `CM_MORE`, others follow.
    func completed(_ completion: cm_completion) {}

    /// The thread ends: asks the kernel for the end of the operation, which must not start another.
    func abandon() { core.cancel(self) }
}

/// Where the tasks of a reactor's world run: on the reactor's thread.
final class ReactorExecutor: TaskExecutor {
    private let core: ReactorCore

    init(core: ReactorCore) { self.core = core }

    func enqueue(_ job: consuming ExecutorJob) { core.enqueue(UnownedJob(job)) }

    func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }

    deinit { core.wake() }
}
