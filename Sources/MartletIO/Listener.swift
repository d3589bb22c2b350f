internal import CMartlet
internal import DequeModule
internal import Glibc
internal import MartletBase

/// A listening socket: its operation, the connections that wait to be taken, and the tasks that wait for one.
///
/// `@unchecked Sendable`: after `init` only the reactor's thread touches what can change.
final class ListenerState: RingOperation, ReactorHandle, @unchecked Sendable {
    let endpoint: Endpoint
    private let fd: Int32
    private var accepted: Deque<Int32> = []
    private var waiting: Deque<AcceptWaiter> = []
    private var closed = false
    private var pausing: PauseTimer?

    init(core: ReactorCore, fd: Int32, endpoint: Endpoint) {
        self.fd = fd
        self.endpoint = endpoint
        super.init(core: core)
    }

    /// Joins the reactor, or closes at once when that is shut down.
    func open() {
        core.register(self)
        if core.isShutDown { shut() } else { arm() }
    }

    func shut() {
        guard !closed else { return }
        closed = true
        if case .unix(let path) = endpoint { _ = unlink(path) }
        while let waiter = waiting.popFirst() { waiter.resume(throwing: NetworkError.closed) }
        while let connection = accepted.popFirst() { _ = Glibc.close(connection) }
        if let pausing { core.timers.remove(pausing) }
        pausing = nil
        if token != 0 { core.cancel(self) } else { closeDescriptor() }
    }

    private func closeDescriptor() {
        core.forget(self)
        // Frees the port at once, also while a child that was just forked still has a copy.
        _ = cm_socket_shutdown(fd, Int32(SHUT_RDWR))
        _ = Glibc.close(fd)
    }

    private func arm() {
        guard token == 0, pausing == nil, !closed, accepted.count < ReactorLimits.acceptedAhead else { return }
        core.submit(self) { cm_ring_accept($0, $1, fd, core.acceptsMany) }
    }

    override func completed(_ completion: cm_completion) {
        let result = completion.result
        if result >= 0 {
            if closed { _ = Glibc.close(result) } else { take(result) }
        }
        guard token == 0 else {
            if accepted.count >= ReactorLimits.acceptedAhead { core.cancel(self) }
            return
        }
        if closed { return closeDescriptor() }
        switch -result {
        case EINVAL where core.acceptsMany: core.acceptsMany = false
        case EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN: return pause()
        default: break
        }
        arm()
    }

    private func take(_ connection: Int32) {
        if let waiter = waiting.popFirst() {
            waiter.resume(returning: stream(connection))
        } else {
            accepted.append(connection)
        }
    }

    private func stream(_ connection: Int32) -> SocketStream {
        let socket = SocketState(core: core, fd: connection, peer: SocketAddress.peer(of: connection))
        socket.open()
        return SocketStream(socket)
    }

    /// Waits until descriptors or memory may be there again.
    private func pause() {
        let timer = PauseTimer(deadline: Clocks.monotonic() + ReactorLimits.acceptPause, listener: self)
        pausing = timer
        core.timers.insert(timer)
    }

    fileprivate func pauseEnded() {
        pausing = nil
        arm()
    }

    func accept(_ waiter: AcceptWaiter) {
        if closed { return waiter.resume(throwing: NetworkError.closed) }
        if let connection = accepted.popFirst() {
            waiter.resume(returning: stream(connection))
            arm()
        } else {
            waiting.append(waiter)
        }
    }

    func cancel(_ waiter: AcceptWaiter) {
        waiting.removeAll { $0 === waiter }
        waiter.resume(throwing: CancellationError())
    }
}

/// A task that waits for a connection.
///
/// `@unchecked Sendable`: after `init` only the reactor's thread touches it.
final class AcceptWaiter: @unchecked Sendable {
    private var continuation: UnsafeContinuation<any ByteStream, any Error>?
    private var cancelled = false

    func start(_ continuation: UnsafeContinuation<any ByteStream, any Error>, on listener: ListenerState) {
        if cancelled { return continuation.resume(throwing: CancellationError()) }
        self.continuation = continuation
        listener.accept(self)
    }

    func cancel(on listener: ListenerState) {
        cancelled = true
        listener.cancel(self)
    }

    func resume(returning stream: SocketStream) {
        continuation?.resume(returning: stream)
        continuation = nil
    }

    func resume(throwing error: any Error) {
        continuation?.resume(throwing: error)
        continuation = nil
    }
}

/// Touched on the reactor's thread only, as every timer.
private final class PauseTimer: Timer, @unchecked Sendable {
    private weak var listener: ListenerState?

    init(deadline: MonotonicTime, listener: ListenerState) {
        self.listener = listener
        super.init(deadline: deadline)
    }

    override func fire() { listener?.pauseEnded() }
}

/// A listening socket, as its users see it.
final class SocketListener: StreamListener {
    private let state: ListenerState

    init(_ state: ListenerState) { self.state = state }

    deinit { close() }

    var endpoint: Endpoint { state.endpoint }

    func accept() async throws -> any ByteStream {
        let waiter = AcceptWaiter()
        let state = state
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                state.core.perform { waiter.start(continuation, on: state) }
            }
        } onCancel: {
            state.core.perform { waiter.cancel(on: state) }
        }
    }

    func close() {
        let state = state
        state.core.perform { state.shut() }
    }
}
