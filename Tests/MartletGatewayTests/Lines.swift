import MartletHTTP
import Synchronization

/// Takes a streamed body, line by line.
final class Lines: BodyWriter {
    private struct State {
        var bytes: [UInt8] = []
        var ready: [[UInt8]] = []
        var waiter: CheckedContinuation<[UInt8]?, Never>?
        var isEnded = false
        var all: [UInt8] = []
    }
    private let state = Mutex(State())

    /// All that was written.
    var bytes: [UInt8] { state.withLock { $0.all } }
    var text: String { String(decoding: bytes, as: UTF8.self) }

    func write(_ bytes: [UInt8]) async throws {
        let wake = state.withLock { state -> (CheckedContinuation<[UInt8]?, Never>, [UInt8])? in
            state.all += bytes
            state.bytes += bytes
            while let end = state.bytes.firstIndex(of: 0x0A) {
                state.ready.append(Array(state.bytes[..<end]))
                state.bytes.removeFirst(end + 1)
            }
            guard let waiter = state.waiter, !state.ready.isEmpty else { return nil }
            state.waiter = nil
            return (waiter, state.ready.removeFirst())
        }
        if let (waiter, line) = wake { waiter.resume(returning: line) }
    }

    func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    /// The next line; nil at the end.
    func next() async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            let now: [UInt8]?? = state.withLock { state in
                if !state.ready.isEmpty { return state.ready.removeFirst() }
                if state.isEnded { return .some(nil) }
                state.waiter = continuation
                return nil
            }
            if let now { continuation.resume(returning: now) }
        }
    }
}
