import MartletBase
import Synchronization

/// Two byte streams in memory, each the other's peer, with bounded buffers: a writer waits while its peer does not
/// read. One task reads and one task writes at each end.
final class TLSMemoryPipe: ByteStream {
    private let incoming: Channel
    private let outgoing: Channel

    private init(incoming: Channel, outgoing: Channel) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    deinit { close() }

    static func pair(capacity: Int = 100_000) -> (TLSMemoryPipe, TLSMemoryPipe) {
        let (there, back) = (Channel(capacity: capacity), Channel(capacity: capacity))
        return (TLSMemoryPipe(incoming: back, outgoing: there), TLSMemoryPipe(incoming: there, outgoing: back))
    }

    func read(atMost limit: Int) async throws -> [UInt8] { try await incoming.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await outgoing.write(bytes) }
    func closeWrite() async { outgoing.end() }
    func close() {
        incoming.end(discarding: true)
        outgoing.end()
    }
    var peer: Endpoint? { nil }
}

/// One direction of a pipe.
private final class Channel: Sendable {
    struct State {
        var bytes: [UInt8] = []
        var isEnded = false
        var isDiscarded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) { self.capacity = capacity }

    func read(atMost limit: Int) async throws -> [UInt8] {
        await wait { !$0.bytes.isEmpty || $0.isEnded }
        let bytes = change { state -> [UInt8]? in
            if state.isDiscarded { return nil }
            let bytes = Array(state.bytes.prefix(limit))
            state.bytes.removeFirst(bytes.count)
            return bytes
        }
        guard let bytes else { throw NetworkError.closed }
        return bytes
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            await wait { $0.bytes.count < self.capacity || $0.isEnded }
            let part = rest.prefix(capacity / 2)
            let isTaken = change { state in
                if !state.isEnded { state.bytes += part }
                return !state.isEnded
            }
            guard isTaken else { throw NetworkError.closed }
            rest = rest.dropFirst(part.count)
        }
    }

    func end(discarding: Bool = false) {
        change { state in
            state.isEnded = true
            if discarding { state.isDiscarded = true }
        }
    }

    /// Returns when the state is as wanted; only one task wants it so.
    private func wait(until isReady: @escaping @Sendable (State) -> Bool) async {
        while true {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if isReady(state) { return true }
                    state.waiting.append(continuation)
                    return false
                }
                if isNow { continuation.resume() }
            }
            if state.withLock({ isReady($0) }) { return }
        }
    }

    /// Changes the state and lets all who wait look again.
    @discardableResult
    private func change<Value: Sendable>(_ work: (inout State) -> Value) -> Value {
        let (value, waiting) = state.withLock { state in
            let value = work(&state)
            defer { state.waiting = [] }
            return (value, state.waiting)
        }
        for continuation in waiting { continuation.resume() }
        return value
    }
}
