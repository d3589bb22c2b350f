internal import CMartlet
internal import CMartletLinux
internal import Glibc
internal import MartletBase
internal import Synchronization

/// Watches one child on the ring: its pidfd, and the pipes that collect its output.
///
/// `@unchecked Sendable`: what other threads need is in `shared`, under its lock; the rest belongs to the reactor's
/// thread.
final class ChildWatch: RingOperation, @unchecked Sendable {
    private struct Shared {
        /// Taken away when the child is reaped; from then on its number may belong to somebody else.
        var pidfd: Descriptor?
        var result: ChildProcess.Result?
        var waiting: [UnsafeContinuation<ChildProcess.Result, Never>] = []
    }

    private let pid: Int32
    private let endsGroup: Bool
    private let shared: Mutex<Shared>
    private let pidfd: Int32
    private var status: Int32?
    private var output: PipeReader?
    private var errors: PipeReader?
    private var deadline: OutputDeadline?

    init(
        core: ReactorCore, pid: Int32, pidfd: Int32, endsGroup: Bool, output: CollectedPipe?, errors: CollectedPipe?
    ) {
        self.pid = pid
        self.endsGroup = endsGroup
        self.pidfd = pidfd
        shared = Mutex(Shared(pidfd: Descriptor(pidfd)))
        super.init(core: core)
        self.output = output.map { PipeReader(core: core, pipe: $0, watch: self) }
        self.errors = errors.map { PipeReader(core: core, pipe: $0, watch: self) }
    }

    func start() {
        core.submit(self) { cm_ring_poll($0, $1, pidfd, UInt32(POLLIN)) }
        output?.start()
        errors?.start()
    }

    override func completed(_ completion: cm_completion) {
        var status: Int32 = 0
        let reaped = shared.withLock { shared in
            // It has ended and is not reaped yet: the number is still its own, and that of its group.
            if endsGroup && completion.result > 0 { _ = kill(-pid, SIGKILL) }
            let reaped = cml_reap(pidfd, &status)
            if reaped != 0 { shared.pidfd = nil }
            return reaped
        }
        if reaped == 0 && completion.result >= 0 {
            core.submit(self) { cm_ring_poll($0, $1, pidfd, UInt32(POLLIN)) }
            return
        }
        // Somebody else has reaped it, or the reactor ends while it runs: how it ends is not known then.
        self.status = reaped == 1 ? status : 128 + SIGKILL
        if output?.open == true || errors?.open == true {
            let deadline = OutputDeadline(deadline: Clocks.monotonic() + ProcessLimits.outputAfterEnd, watch: self)
            self.deadline = deadline
            core.timers.insert(deadline)
        }
        finishIfComplete()
    }

    fileprivate func outputsTakeTooLong() {
        output?.stop()
        errors?.stop()
    }

    fileprivate func finishIfComplete() {
        guard let status, output?.open != true, errors?.open != true else { return }
        if let deadline { core.timers.remove(deadline) }
        let result = ChildProcess.Result(status: status, output: output?.bytes ?? [], errors: errors?.bytes ?? [])
        let waiting = shared.withLock { shared in
            shared.result = result
            defer { shared.waiting = [] }
            return shared.waiting
        }
        output = nil
        errors = nil
        for continuation in waiting { continuation.resume(returning: result) }
    }

    func wait(_ continuation: UnsafeContinuation<ChildProcess.Result, Never>) {
        let result = shared.withLock { shared in
            if shared.result == nil { shared.waiting.append(continuation) }
            return shared.result
        }
        if let result { continuation.resume(returning: result) }
    }

    func signal(_ number: Int32, wholeGroup: Bool) {
        shared.withLock { shared in
            guard let pidfd = shared.pidfd else { return }
            if wholeGroup { _ = kill(-pid, number) } else { _ = cml_signal(pidfd.number, number) }
        }
    }
}

/// Touched on the reactor's thread only, as every timer.
private final class OutputDeadline: Timer, @unchecked Sendable {
    private weak var watch: ChildWatch?

    init(deadline: MonotonicTime, watch: ChildWatch) {
        self.watch = watch
        super.init(deadline: deadline)
    }

    override func fire() { watch?.outputsTakeTooLong() }
}

/// Reads a pipe to its end and keeps the first bytes.
private final class PipeReader: RingOperation, @unchecked Sendable {
    private let pipe: CollectedPipe
    private let memory: UnsafeMutableRawPointer
    /// Held until the watch is finished, which lets go of its readers.
    private let watch: ChildWatch
    private var stopped = false
    private(set) var open = true
    private(set) var bytes: [UInt8] = []

    init(core: ReactorCore, pipe: CollectedPipe, watch: ChildWatch) {
        self.pipe = pipe
        self.watch = watch
        memory = .allocate(byteCount: ProcessLimits.pipeRead, alignment: 16)
        super.init(core: core)
    }

    deinit { memory.deallocate() }

    func start() {
        core.submit(self) { cm_ring_read($0, $1, pipe.end.number, memory, ProcessLimits.pipeRead, -1) }
    }

    func stop() {
        stopped = true
        core.cancel(self)
    }

    override func abandon() { stop() }

    override func completed(_ completion: cm_completion) {
        let count = Int(completion.result)
        if count > 0 {
            let kept = min(count, pipe.limit - bytes.count)
            bytes.append(contentsOf: UnsafeRawBufferPointer(start: memory, count: kept))
            if !stopped { return start() }
        } else if completion.result == -EINTR && !stopped {
            return start()
        }
        open = false
        watch.finishIfComplete()
    }
}
