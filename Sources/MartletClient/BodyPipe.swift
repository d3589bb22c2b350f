internal import MartletBase
internal import MartletHTTP
internal import Synchronization

/// Carries a streamed body from the task that writes it to the one that reads it. Bounded: a writer waits while
/// ``capacity`` bytes are unread.
final class BodyPipe: BodyWriter {
    /// Bytes that may wait for the reader.
    static let capacity = 256 * 1024

    private struct State: Sendable {
        var pieces: [[UInt8]] = []
        var unread = 0
        /// How the writer ended; nil while it writes.
        var ending: Result<Void, any Error>?
        var isAbandoned = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
        var producer: Task<Void, Never>?
    }
    private let state = Mutex(State())

    /// Runs `produce` in a task of its own; what it writes is read from the reader that is returned.
    static func run(
        _ produce: @escaping @Sendable (any BodyWriter) async throws -> Void, in world: any World
    ) -> BodyPipeReader {
        let pipe = BodyPipe()
        let task = world.spawn {
            do {
                try await produce(pipe)
                pipe.end(.success(()))
            } catch {
                pipe.end(.failure(error))
            }
        }
        pipe.state.withLock { $0.producer = task }
        return BodyPipeReader(pipe)
    }

    func write(_ bytes: [UInt8]) async throws {
        if bytes.isEmpty { return }
        try put(bytes)
        while state.withLock({ $0.unread >= Self.capacity && !$0.isAbandoned }) {
            try Task.checkCancellation()
            await wait(\.writer) { $0.unread >= Self.capacity && !$0.isAbandoned }
        }
        if state.withLock({ $0.isAbandoned }) { throw NetworkError.closed }
    }

    private func put(_ bytes: [UInt8]) throws {
        let reader = try state.withLock { state in
            if state.isAbandoned { throw NetworkError.closed }
            state.pieces.append(bytes)
            state.unread += bytes.count
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    private func end(_ ending: Result<Void, any Error>) {
        state.withLock { $0.ending = ending }
        wake(\.reader)
    }

    /// Everything that waits, as one piece; nil at the end.
    func read() async throws -> [UInt8]? {
        while true {
            let ready: (bytes: [UInt8]?, isReady: Bool) = try state.withLock { state in
                if state.isAbandoned { throw NetworkError.closed }
                if !state.pieces.isEmpty {
                    defer {
                        state.pieces = []
                        state.unread = 0
                    }
                    return (state.pieces.count == 1 ? state.pieces[0] : Array(state.pieces.joined()), true)
                }
                guard let ending = state.ending else { return (nil, false) }
                try ending.get()
                return (nil, true)
            }
            if ready.isReady {
                wake(\.writer)
                return ready.bytes
            }
            await wait(\.reader) { $0.pieces.isEmpty && $0.ending == nil && !$0.isAbandoned }
            if Task.isCancelled {
                abandon()
                throw CancellationError()
            }
        }
    }

    /// The reader has gone: its producer is cancelled.
    func abandon() {
        let producer = state.withLock { state in
            state.isAbandoned = true
            state.pieces = []
            state.unread = 0
            return state.producer
        }
        producer?.cancel()
        wake(\.reader)
        wake(\.writer)
    }

    private typealias Slot = any WritableKeyPath<State, CheckedContinuation<Void, Never>?> & Sendable

    private func wait(_ slot: Slot, while condition: @Sendable (State) -> Bool) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let parks = state.withLock { state in
                    guard condition(state), !Task.isCancelled else { return false }
                    state[keyPath: slot] = continuation
                    return true
                }
                if !parks { continuation.resume() }
            }
        } onCancel: {
            wake(slot)
        }
    }

    private func wake(_ slot: Slot) {
        let continuation = state.withLock { state in
            defer { state[keyPath: slot] = nil }
            return state[keyPath: slot]
        }
        continuation?.resume()
    }
}

/// The reading end of a pipe. Dropped, it cancels the producer.
final class BodyPipeReader: Sendable {
    private let pipe: BodyPipe

    init(_ pipe: BodyPipe) { self.pipe = pipe }

    deinit { pipe.abandon() }

    /// The next piece; nil at the end.
    func next() async throws -> [UInt8]? { try await pipe.read() }
}
