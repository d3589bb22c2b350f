internal import Synchronization

/// The last few values by key. Two halves: when the young one is full it becomes the old one, and what nobody asked for
/// since then goes. At no time are there more than `limit`.
final class RecentTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State {
        var young: [Key: Value] = [:]
        var old: [Key: Value] = [:]
    }
    private let state = Mutex(State())
    private let half: Int

    init(limit: Int) { half = max(limit / 2, 1) }

    subscript(_ key: Key) -> Value? {
        get {
            state.withLock { state in
                if let value = state.young[key] { return value }
                guard let value = state.old[key] else { return nil }
                Self.put(value, for: key, &state, half)
                return value
            }
        }
        set {
            guard let newValue else { return }
            state.withLock { Self.put(newValue, for: key, &$0, half) }
        }
    }

    private static func put(_ value: Value, for key: Key, _ state: inout State, _ half: Int) {
        if state.young.count >= half {
            state.old = state.young
            state.young = [:]
        }
        state.young[key] = value
    }
}
