internal import MartletReplica
internal import MartletStore
internal import Synchronization

/// What can be built from the keys of some ranges, change by change.
protocol FollowedIndex: Sendable {
    init()
    /// The ranges that it is built from.
    static var ranges: [Keys.Range] { get }
    /// Takes in the new value of a key; nil when the key is gone.
    mutating func apply(_ key: [UInt8], _ value: [UInt8]?)
}

/// Keeps an index current. No task runs for it: whoever reads it takes in first what the store has for it by then, so
/// that it is never behind an answer that this gateway has given. What waits meanwhile is bounded as for every
/// watch; an index that nobody read for long reads on from the history, or begins anew.
final class Follower<Index: FollowedIndex>: Sendable {
    private struct State {
        var index = Index()
        /// Empty before the first look, and after a watch has ended.
        var watches: [StoreWatch] = []
    }
    private let storage: Storage
    private let state = Mutex(State())

    init(_ storage: Storage) { self.storage = storage }

    /// Reads the index as of now.
    /// - Throws: when the store can no longer be read.
    func read<Value: Sendable>(_ body: @Sendable (Index) throws(APIError) -> Value) async throws(APIError) -> Value {
        for _ in 1...Limits.attempts {
            switch takeIn() {
            case .current(let index): return try body(index)
            case .behind(let watch):
                do { try await watch.catchUp() } catch { state.withLock { $0.watches = [] } }
            case .unknown: try await load()
            }
        }
        throw .unavailable("the gateway cannot keep up with the store; try again")
    }

    private enum Outcome {
        case current(Index)
        case behind(StoreWatch)
        case unknown
    }

    private func takeIn() -> Outcome {
        state.withLock { state in
            if state.watches.isEmpty { return .unknown }
            for watch in state.watches {
                while true {
                    switch watch.poll() {
                    case .events(let events):
                        for event in events {
                            state.index.apply(event.pair.key, event.isDeletion ? nil : event.pair.value)
                        }
                        continue
                    case .upToDate: break
                    case .behind: return .behind(watch)
                    case .ended:
                        state.watches = []
                        return .unknown
                    }
                    break
                }
            }
            return .current(state.index)
        }
    }

    private func load() async throws(APIError) {
        var index = Index()
        var watches: [StoreWatch] = []
        for range in Index.ranges {
            var rest = range
            var revision: Int64?
            while true {
                let (pairs, seen, more) = try await storage.range(rest, limit: Limits.listChunk, at: revision)
                revision = revision ?? seen
                for pair in pairs { index.apply(pair.key, pair.value) }
                guard more, let last = pairs.last else { break }
                rest.from = Keys.after(last.key)
            }
            watches.append(try await storage.watch(range, after: revision ?? 0))
        }
        state.withLock { state in
            state.index = index
            state.watches = watches
        }
    }
}
