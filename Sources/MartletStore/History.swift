internal import DequeModule

/// The changes that are kept for watches and reads of the past, bounded by count and bytes.
struct History: Sendable {
    /// How many revisions are kept.
    let limit: Int
    /// How many bytes are kept at most.
    let byteLimit: Int
    /// The oldest revision that can be read.
    var oldest: Int64
    /// The bytes of all events.
    private(set) var bytes = 0
    /// One element for each revision after `oldest`.
    private(set) var revisions: Deque<[StoreEvent]> = []
    /// The bytes of each, so that nothing old is looked at when it is forgotten.
    private var sizes: Deque<Int> = []

    init(limit: Int, byteLimit: Int, oldest: Int64 = 1) {
        self.limit = max(limit, 0)
        self.byteLimit = max(byteLimit, 0)
        self.oldest = oldest
    }

    /// The newest revision.
    var newest: Int64 { oldest + Int64(revisions.count) }

    /// The revisions after `past`, which is not older than ``oldest``.
    func after(_ past: Int64) -> Slice<Deque<[StoreEvent]>> {
        revisions[min(Int(past - oldest), revisions.count)...]
    }

    /// Takes the events of the next revision, and forgets what is too much.
    mutating func append(_ events: [StoreEvent], _ mutation: StoreMutation?) {
        revisions.append(events)
        sizes.append(Self.bytes(of: events))
        bytes += sizes[sizes.count - 1]
        while revisions.count > limit || bytes > byteLimit { compact(through: oldest + 1, mutation) }
    }

    /// Adds an event of the newest revision, or of the one after it, while a store is loaded.
    mutating func load(_ event: StoreEvent, revision: Int64) {
        if revision > newest {
            revisions.append([])
            sizes.append(0)
        }
        revisions[revisions.count - 1].append(event)
        let size = Self.bytes(of: [event])
        sizes[sizes.count - 1] += size
        bytes += size
    }

    /// Ends loading: forgets what is too much.
    mutating func finishLoading() {
        while revisions.count > limit || bytes > byteLimit { compact(through: oldest + 1, nil) }
    }

    /// Forgets through `target`, at most the present.
    mutating func compact(through target: Int64, _ mutation: StoreMutation?) {
        let drop = Int(min(target, newest) - oldest)
        guard drop > 0 else { return }
        bytes -= sizes.prefix(drop).reduce(0, +)
        sizes.removeFirst(drop)
        revisions.removeFirst(drop)
        oldest += Int64(drop)
        if mutation == .losesEventAtCompaction, drop > 1, !revisions.isEmpty {
            revisions[0] = []
        }
    }

    /// Forgets everything; the next revision follows `revision`.
    mutating func restart(at revision: Int64) {
        revisions = []
        sizes = []
        bytes = 0
        oldest = revision
    }

    private static func bytes(of events: [StoreEvent]) -> Int {
        var sum = 0
        for event in events {
            let before = event.previous.map { $0.key.count + $0.value.count } ?? 0
            sum += Store.eventOverhead + event.pair.key.count + event.pair.value.count + before
        }
        return sum
    }
}

/// A mistake made on purpose, to see that the simulation finds it. Nil in production.
public enum StoreMutation: Sendable, Hashable, CaseIterable {
    /// Applies every 64th entry twice.
    case appliesTwice
    /// A compaction takes the first revision that should stay with it.
    case losesEventAtCompaction
    /// A put without a lease leaves the key on the lease that it hung on.
    case forgetsDetaching
    /// Conditions on a change that was made are taken for true.
    case ignoresConditions
}
