internal import CMartletLinux
internal import Glibc
internal import Synchronization

/// Signals as values, for programs that end in good order.
public enum Signals {
    private struct Waiter {
        let id: UInt64
        let numbers: Set<Int32>
        let continuation: UnsafeContinuation<Int32, Never>
    }

    private struct State {
        var listening = false
        var waiters: [Waiter] = []
        /// Cancelled before they began to wait.
        var cancelled: Set<UInt64> = []
        /// Signals that came while nobody waited; at most one of each number.
        var pending: Set<Int32> = []
        var ids: UInt64 = 0
    }

    private static let state = Mutex(State())

    /// Waits for one of these signals and returns its number. From the first call on they do not end the process any
    /// more; one that comes while nobody waits is kept for the next call. Returns 0 when the task is cancelled, or
    /// when a signal cannot be caught (SIGKILL, SIGSTOP).
    public static func wait(for numbers: [Int32]) async -> Int32 {
        for number in numbers {
            let end = cml_signal_catch(number)
            if end < 0 || !listen(on: end) { return 0 }
        }
        let id = state.withLock { state in
            state.ids += 1
            return state.ids
        }
        // A wait that was answered and cancelled at once leaves nothing behind.
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { begin(Waiter(id: id, numbers: Set(numbers), continuation: $0)) }
        } onCancel: {
            cancel(id)
        }
    }

    private static func begin(_ waiter: Waiter) {
        let answer: Int32? = state.withLock { state in
            if state.cancelled.remove(waiter.id) != nil { return 0 }
            if let number = state.pending.intersection(waiter.numbers).min() {
                state.pending.remove(number)
                return number
            }
            state.waiters.append(waiter)
            return nil
        }
        if let answer { waiter.continuation.resume(returning: answer) }
    }

    private static func cancel(_ id: UInt64) {
        let waiter: Waiter? = state.withLock { state in
            guard let at = state.waiters.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.waiters.remove(at: at)
        }
        waiter?.continuation.resume(returning: 0)
    }

    /// Starts, once, the thread that reads what the handler writes.
    private static func listen(on end: Int32) -> Bool {
        state.withLock { state in
            if state.listening { return true }
            state.listening = (try? Threads.start(name: "martlet-signals") { read(from: end) }) != nil
            return state.listening
        }
    }

    private static func read(from end: Int32) {
        var byte: UInt8 = 0
        while true {
            guard Glibc.read(end, &byte, 1) == 1 else { continue }
            let number = Int32(byte)
            let waiters = state.withLock { state in
                let wanted = state.waiters.filter { $0.numbers.contains(number) }
                state.waiters.removeAll { $0.numbers.contains(number) }
                if wanted.isEmpty { state.pending.insert(number) }
                return wanted
            }
            for waiter in waiters { waiter.continuation.resume(returning: number) }
        }
    }
}
