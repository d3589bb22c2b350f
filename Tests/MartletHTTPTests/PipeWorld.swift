import MartletBase
import Synchronization

/// A world in memory: streams are bounded pipes, and time stands still until a test moves it.
final class PipeWorld: World {
    private struct Sleeper: Sendable {
        var id: UInt64
        var deadline: MonotonicTime
        var continuation: CheckedContinuation<Void, any Error>
    }
    private struct State: Sendable {
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var sleepers: [Sleeper] = []
        var nextID: UInt64 = 0
        var random: UInt64 = 1
        var listeners: [Endpoint: PipeListener] = [:]
    }
    private let state = Mutex(State())

    var executor: any TaskExecutor { globalConcurrentExecutor }
    func now() -> MonotonicTime { state.withLock { $0.now } }
    func wallTime() -> WallTime { WallTime(seconds: 784_111_777) }

    func sleep(until deadline: MonotonicTime) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isDue = state.withLock { state in
                    if state.now >= deadline || Task.isCancelled { return true }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    return false
                }
                if isDue { continuation.resume() }
            }
            try Task.checkCancellation()
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// How many wait for time to pass.
    var sleepers: Int { state.withLock { $0.sleepers.count } }

    /// Moves time on and wakes who is due.
    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now + duration
            let due = state.sleepers.filter { $0.deadline <= state.now }
            state.sleepers.removeAll { $0.deadline <= state.now }
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    func random() -> UInt64 {
        state.withLock { state in
            state.random = state.random &* 6_364_136_223_846_793_005 &+ 1
            return state.random
        }
    }

    func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        guard let listener = state.withLock({ $0.listeners[endpoint] }) else {
            throw NetworkError.system(operation: "connect \(endpoint)", .connectionRefused)
        }
        let (client, server) = PipeStream.pair()
        guard listener.offer(server) else {
            throw NetworkError.system(operation: "connect \(endpoint)", .connectionRefused)
        }
        return client
    }

    func listen(on endpoint: Endpoint) async throws -> any StreamListener {
        let listener = PipeListener(endpoint)
        state.withLock { $0.listeners[endpoint] = listener }
        return listener
    }
}

/// A queue of streams to accept.
final class PipeListener: StreamListener {
    private struct State: Sendable {
        var waiting: [PipeStream] = []
        var acceptor: CheckedContinuation<any ByteStream, any Error>?
        var isClosed = false
    }
    private let state = Mutex(State())
    let endpoint: Endpoint

    init(_ endpoint: Endpoint) { self.endpoint = endpoint }

    func offer(_ stream: PipeStream) -> Bool {
        let (taken, acceptor) = state.withLock { state in
            if state.isClosed { return (false, nil as CheckedContinuation<any ByteStream, any Error>?) }
            defer { state.acceptor = nil }
            if state.acceptor == nil { state.waiting.append(stream) }
            return (true, state.acceptor)
        }
        acceptor?.resume(returning: stream)
        return taken
    }

    func accept() async throws -> any ByteStream {
        try await withCheckedThrowingContinuation { continuation in
            let ready: Result<any ByteStream, any Error>? = state.withLock { state in
                if state.isClosed { return .failure(NetworkError.closed) }
                if !state.waiting.isEmpty { return .success(state.waiting.removeFirst()) }
                state.acceptor = continuation
                return nil
            }
            if let ready { continuation.resume(with: ready) }
        }
    }

    func close() {
        let acceptor = state.withLock { state in
            state.isClosed = true
            defer { state.acceptor = nil }
            return state.acceptor
        }
        acceptor?.resume(throwing: NetworkError.closed)
    }
}

/// One end of two pipes.
final class PipeStream: ByteStream {
    private let incoming: Pipe
    private let outgoing: Pipe

    private init(_ incoming: Pipe, _ outgoing: Pipe) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    deinit { close() }

    static func pair() -> (PipeStream, PipeStream) {
        let (one, other) = (Pipe(), Pipe())
        return (PipeStream(one, other), PipeStream(other, one))
    }

    var peer: Endpoint? { .unix("pipe") }
    func read(atMost limit: Int) async throws -> [UInt8] { try await incoming.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await outgoing.write(bytes) }
    func closeWrite() async { outgoing.end() }
    func close() {
        incoming.abandon()
        outgoing.end()
        outgoing.closeHere()
    }
}

/// A bounded pipe for one reader and one writer.
private final class Pipe: Sendable {
    private struct State: Sendable {
        var bytes: [UInt8] = []
        var hasEnded = false
        var isAbandoned = false
        var isClosedHere = false
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let capacity = 64 * 1024

    func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            let found: [UInt8]? = try state.withLock { state in
                if state.isAbandoned { throw NetworkError.closed }
                if state.bytes.isEmpty { return state.hasEnded ? [] : nil }
                let piece = Array(state.bytes.prefix(limit))
                state.bytes.removeFirst(piece.count)
                return piece
            }
            if let found {
                wake(\.writer)
                return found
            }
            try await wait(\.reader) { $0.bytes.isEmpty && !$0.hasEnded && !$0.isAbandoned }
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let taken = try state.withLock { state in
                if state.isClosedHere { throw NetworkError.closed }
                if state.hasEnded || state.isAbandoned {
                    throw NetworkError.system(operation: "write", .brokenPipe)
                }
                let piece = rest.prefix(capacity - state.bytes.count)
                state.bytes += piece
                return piece.count
            }
            rest = rest.dropFirst(taken)
            wake(\.reader)
            if !rest.isEmpty {
                let capacity = self.capacity
                try await wait(\.writer) { $0.bytes.count >= capacity && !$0.hasEnded && !$0.isAbandoned }
            }
        }
    }

    func end() {
        state.withLock { $0.hasEnded = true }
        wake(\.reader)
        wake(\.writer)
    }

    func closeHere() { state.withLock { $0.isClosedHere = true } }

    func abandon() {
        state.withLock { $0.isAbandoned = true }
        wake(\.reader)
        wake(\.writer)
    }

    private func wait(
        _ slot: any WritableKeyPath<State, CheckedContinuation<Void, Never>?> & Sendable,
        while condition: @Sendable (State) -> Bool
    ) async throws {
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
        try Task.checkCancellation()
    }

    private func wake(_ slot: any WritableKeyPath<State, CheckedContinuation<Void, Never>?> & Sendable) {
        let continuation = state.withLock { state in
            defer { state[keyPath: slot] = nil }
            return state[keyPath: slot]
        }
        continuation?.resume()
    }
}

/// Seeded numbers (SplitMix64).
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
