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
    /// The keys that are gone and whose deletion is kept, with its revision in `modRevision`.
    private var gone = OrderedKeys()
    /// For keys that were made anew while their deletion was kept: by the revision of the making, that of the deletion.
    private var remade: [Int64: [[UInt8]: Int64]] = [:]
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
    mutating func append(_ events: [StoreEvent]) {
        take(events)
        forgetExcess()
    }

    private mutating func forgetExcess() {
        while revisions.count > limit || bytes > byteLimit, let events = revisions.popFirst() {
            bytes -= sizes.removeFirst()
            forget(events)
        }
    }

    /// Forgets the deletions of the revision after the oldest, which becomes the oldest.
    private mutating func forget(_ events: [StoreEvent]) {
        oldest += 1
        if !remade.isEmpty { remade[oldest] = nil }
        for event in events where event.isDeletion && gone[event.pair.key]?.modRevision == oldest {
            _ = gone.remove(event.pair.key)
        }
    }

    /// The history with a revision that is under way.
    func with(_ pending: [StoreEvent]) -> History {
        var copy = self
        copy.take(pending)
        return copy
    }

    private mutating func take(_ events: [StoreEvent]) {
        let size = Self.bytes(of: events)
        revisions.append(events)
        sizes.append(size)
        bytes += size
        for event in events { index(event) }
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
        index(event)
    }

    /// Ends loading: forgets what is too much.
    mutating func finishLoading() { forgetExcess() }

    /// Forgets through `target`, at most the present.
    mutating func compact(through target: Int64, _ mutation: StoreMutation?) {
        // Compared before it is subtracted: a client may name any number.
        guard min(target, newest) > oldest else { return }
        let drop = Int(min(target, newest) - oldest)
        bytes -= sizes.prefix(drop).reduce(0, +)
        sizes.removeFirst(drop)
        for events in revisions.prefix(drop) { forget(events) }
        revisions.removeFirst(drop)
        if mutation == .losesEventAtCompaction, drop > 1, !revisions.isEmpty {
            revisions[0] = []
        }
    }

    /// Forgets everything; the next revision follows `revision`.
    mutating func restart(at revision: Int64) {
        revisions = []
        sizes = []
        gone = OrderedKeys()
        remade = [:]
        bytes = 0
        oldest = revision
    }

    private mutating func index(_ event: StoreEvent) {
        if event.isDeletion {
            gone.set(event.pair)
        } else if event.previous == nil, let deletion = gone.remove(event.pair.key) {
            remade[event.pair.modRevision, default: [:]][event.pair.key] = deletion.modRevision
        }
    }

    // MARK: The past

    /// What a key was at `past`, found from what it was at some moment after that, or is now.
    func version(of later: KeyValue, at past: Int64) -> KeyValue? {
        var pair = later
        while pair.modRevision > past {
            guard let event = event(of: pair.key, at: pair.modRevision) else { return nil }
            if let previous = event.previous {
                pair = previous
            } else {
                guard let deletion = deletion(before: event), deletion > past,
                    let before = self.event(of: pair.key, at: deletion)?.previous
                else { return nil }
                pair = before
            }
        }
        return pair
    }

    /// The keys of a range that are gone now, as they were at some revision, in order.
    struct Gone: Sendable {
        private let history: History
        private let range: KeyRange
        private let past: Int64
        private var position: OrderedKeys.Position

        init(_ history: History, in range: KeyRange, at past: Int64) {
            self.history = history
            self.range = range
            self.past = past
            position = history.gone.start(at: range.from)
        }

        /// The next one that was there.
        mutating func next() -> KeyValue? {
            while let tombstone = history.gone.next(&position), range.endsAfter(tombstone.key) {
                if tombstone.modRevision > past,
                    let previous = history.event(of: tombstone.key, at: tombstone.modRevision)?.previous,
                    let then = history.version(of: previous, at: past)
                {
                    return then
                }
            }
            return nil
        }
    }

    /// When a key was deleted that `event` made: at the revision of a kept deletion, or nil.
    private func deletion(before event: StoreEvent) -> Int64? { remade[event.pair.modRevision]?[event.pair.key] }

    private func event(of key: [UInt8], at revision: Int64) -> StoreEvent? {
        guard revision > oldest, revision <= newest else { return nil }
        let events = revisions[Int(revision - oldest) - 1]
        if events.count == 1 { return events[0] }
        return events.first { ByteOrder.compare($0.pair.key, key) == 0 }
    }

    /// How many more keys a range had at `past` than it has now.
    func surplus(in range: KeyRange, since past: Int64) -> Int {
        var surplus = 0
        for events in after(past) {
            for event in events {
                if event.isDeletion {
                    if range.contains(event.pair.key) { surplus += 1 }
                } else if event.previous == nil, range.contains(event.pair.key) {
                    surplus -= 1
                }
            }
        }
        return surplus
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
