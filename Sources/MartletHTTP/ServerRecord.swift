internal import HTTPTypes
internal import MartletBase
internal import Synchronization

/// What the server knows of one connection from outside: what it does, until when it may, and how to end it.
final class ServerRecord: Sendable {
    /// What a connection is doing.
    enum Phase: Sendable, Hashable {
        /// Shaking hands.
        case handshake
        /// Waiting for a request.
        case idle
        /// In the middle of a request's head.
        case head
        /// Answering.
        case busy
        /// Has ended.
        case over
    }
    private struct State: Sendable {
        var phase = Phase.handshake
        /// Whether a request was taken from it.
        var hasServed = false
        /// Whether its next answer is to be its last.
        var isRetiring = false
        var deadline: MonotonicTime?
        var stream: any ByteStream
        var task: Task<Void, Never>?
        var stopper: (@Sendable () -> Void)?
        var watcher: (@Sendable (MonotonicTime) -> Void)?
    }
    private let state: Mutex<State>
    private let world: any World

    init(_ stream: any ByteStream, in world: any World) {
        state = Mutex(State(stream: stream))
        self.world = world
    }

    /// Says what the connection does now, and for how long it may; nil for as long as it takes.
    func enter(_ phase: Phase, for limit: Duration?) {
        let deadline = limit.map { world.now() + $0 }
        state.withLock {
            $0.phase = phase
            $0.deadline = deadline
            if phase == .busy { $0.hasServed = true }
        }
    }

    /// Bounds what the connection does now.
    func limit(_ limit: Duration?) {
        let deadline = limit.map { world.now() + $0 }
        state.withLock { $0.deadline = deadline }
    }

    /// The task that serves the connection.
    func setTask(_ task: Task<Void, Never>) { state.withLock { $0.task = task } }
    /// The stream that answers go to: TLS in place of the plain one.
    func setStream(_ stream: any ByteStream) { state.withLock { $0.stream = stream } }

    /// How to tell the connection that the server stops, where it has a way to end by itself.
    func setStopper(_ stopper: @escaping @Sendable () -> Void) { state.withLock { $0.stopper = stopper } }

    /// Calls `watcher` at every look at the time: for what a connection has to watch by itself.
    func setWatcher(_ watcher: @escaping @Sendable (MonotonicTime) -> Void) { state.withLock { $0.watcher = watcher } }

    /// Calls no watcher any more.
    func endWatching() { state.withLock { $0.watcher = nil } }

    /// Tells the connection that the server stops. False when it shall be cut: it waits between two requests. One that
    /// was just taken gets its first answered, so that no client is turned away in the middle of a handshake.
    func stop() -> Bool {
        let (stopper, goesOn) = state.withLock {
            ($0.stopper, $0.phase != .over && ($0.phase != .idle || !$0.hasServed))
        }
        stopper?()
        return stopper != nil || goesOn
    }

    /// The connection's next answer is its last. One with many exchanges ends after those that have begun.
    func retire() {
        let stopper = state.withLock { state in
            state.isRetiring = true
            return state.stopper
        }
        stopper?()
    }

    /// Whether the connection is to end with its answer.
    var isRetiring: Bool { state.withLock { $0.isRetiring } }

    /// Whether the connection has yet to bring its first request.
    var isFresh: Bool { state.withLock { !$0.hasServed } }

    /// Until when the connection may wait for a request, or for the rest of its head; nil when it does not wait.
    var waitsUntil: MonotonicTime? {
        state.withLock { [.handshake, .idle, .head].contains($0.phase) ? $0.deadline : nil }
    }

    /// Ends the connection when it is over its time: a late head is told so with 408, all else is just closed.
    /// - Parameter handler: says what a late head is told.
    func expire(at now: MonotonicTime, _ handler: any RequestHandler) {
        state.withLock { $0.watcher }?(now)
        let late: (phase: Phase, stream: any ByteStream)? = state.withLock {
            guard let deadline = $0.deadline, deadline < now else { return nil }
            let found = (phase: $0.phase, stream: $0.stream)
            // One more look later closes it if even the short answer cannot be written.
            $0.deadline = found.phase == .head ? now + HTTPBounds.linger : nil
            $0.phase = .over
            return found
        }
        guard let late else { return }
        guard late.phase == .head else { return late.stream.close() }
        world.spawn {
            try? await late.stream.write(
                Refusal.bytes(.requestTimeout, "the request's head took too long", by: handler))
            late.stream.close()
        }
    }

    /// Closes the connection and cancels what serves it.
    func cut() {
        let (stream, task) = state.withLock { ($0.stream, $0.task) }
        stream.close()
        task?.cancel()
    }
}

/// Short answers of the server itself, after which the connection ends.
enum Refusal {
    /// The status that an error of a request stands for; nil when there is nobody to answer.
    static func status(for error: any Error) -> HTTPResponse.Status? {
        switch error {
        case HTTPError.malformed: .badRequest
        case HTTPError.headTooLarge: .requestHeaderFieldsTooLarge
        case HTTPError.bodyTooLarge: .contentTooLarge
        default: nil
        }
    }

    /// A whole answer, in the handler's form.
    static func bytes(_ status: HTTPResponse.Status, _ text: String, by handler: any RequestHandler) -> [UInt8] {
        let (contentType, body) = handler.refusal(status, text)
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = contentType
        return HeadWriter.response(head, length: body.count, isChunked: false, connection: "close", date: []) + body
    }
}
