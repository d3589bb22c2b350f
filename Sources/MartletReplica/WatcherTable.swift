internal import MartletStore
internal import Synchronization

/// Who watches what. A change costs a lookup of its key, however many watch other keys.
struct WatcherTable {
    /// The watchers of one range.
    private final class Watched {
        var queues: [WatchQueue] = []
        /// What the revision at hand has for them.
        var events: [StoreEvent] = []
    }
    private var index = RangeIndex<Watched>()
    /// All, in the order in which they came: who is woken first does not hang on a hash.
    private(set) var queues: [WatchQueue] = []
    /// How far all have been told.
    let told = ToldRevision()

    mutating func add(_ queue: WatchQueue) {
        let watched = index[queue.range] ?? Watched()
        if watched.queues.isEmpty { index.insert(watched, for: queue.range) }
        watched.queues.append(queue)
        queues.append(queue)
    }

    /// Gives the events of one revision to those who watch their keys. Watchers of the same keys share one array.
    func tell(_ events: [StoreEvent], revision: Int64) {
        if events.count == 1 {
            index.forEach(containing: events[0].pair.key) { watched in
                for queue in watched.queues { queue.offer(events, revision: revision) }
            }
        } else {
            var touched: [Watched] = []
            for event in events {
                index.forEach(containing: event.pair.key) { watched in
                    if watched.events.isEmpty { touched.append(watched) }
                    watched.events.append(event)
                }
            }
            for watched in touched {
                for queue in watched.queues { queue.offer(watched.events, revision: revision) }
                watched.events = []
            }
        }
        told.advance(to: revision)
    }

    /// The state was replaced by one of revision `now`: all go on from the history, as far as that reaches.
    func fallBehind(now: Int64) {
        for queue in queues { queue.fallBehind() }
        told.advance(to: now)
    }

    /// Tells quiet watchers of progress, and forgets watches that are over.
    mutating func lookAfter() {
        var isOver = false
        for queue in queues {
            if queue.isOver { isOver = true } else { queue.offerProgress() }
        }
        guard isOver else { return }
        for queue in queues where queue.isOver {
            guard let watched = index[queue.range] else { continue }
            watched.queues.removeAll { $0.isOver }
            if watched.queues.isEmpty { index.remove(queue.range) }
        }
        queues.removeAll { $0.isOver }
    }

    /// The replica has closed.
    mutating func end() {
        for queue in queues { queue.end(.closed) }
        queues = []
        index = RangeIndex()
    }
}

/// The revision through which the events were given to all who are live: they need not be told one by one of what does
/// not concern them.
final class ToldRevision: Sendable {
    private let value = Atomic<Int64>(0)
    var revision: Int64 { value.load(ordering: .acquiring) }
    func advance(to revision: Int64) { value.store(revision, ordering: .releasing) }
}
