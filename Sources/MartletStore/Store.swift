internal import DequeModule
public import MartletBase

/// The key-value state with etcd's revisions, as a value: the same entries give the same state on every member.
///
/// The revision is 1 when the store is empty and rises by one with each transaction that changes something. All
/// changes of one transaction share its revision and keep their order.
public struct Store: Sendable {
    /// The revision of the last change.
    public private(set) var revision: Int64
    /// The index of the last entry applied.
    public private(set) var appliedIndex: UInt64
    /// The digest of all entries applied.
    public private(set) var stateHash: StateHash
    /// The oldest revision that can be read; a watch may begin after it.
    public private(set) var oldestRevision: Int64
    /// How many revisions of history are kept for watches and reads of the past.
    public let historyLimit: Int
    /// How many bytes of history are kept at most, by ``historyBytes``. The oldest revisions go first.
    public let historyByteLimit: Int
    /// The bytes of the history: all keys and values of its events, those before the change too, and
    /// ``eventOverhead`` for each event. A bound from above, because neighbours share values.
    public private(set) var historyBytes = 0

    /// The bytes of history that a store keeps where nothing else is said.
    public static let defaultHistoryBytes = 256 << 20
    /// What an event counts in ``historyBytes`` beside its keys and values.
    public static let eventOverhead = 256

    private var keys = OrderedKeys()
    /// One element for each revision in `oldestRevision + 1 ... revision`.
    private var history: Deque<[StoreEvent]> = []

    /// An empty store.
    public init(historyLimit: Int, historyByteLimit: Int = Store.defaultHistoryBytes) {
        self.historyLimit = max(historyLimit, 0)
        self.historyByteLimit = max(historyByteLimit, 0)
        revision = 1
        oldestRevision = 1
        appliedIndex = 0
        stateHash = StateHash()
    }

    /// A store as a checkpoint kept it. Its history is gone.
    public init(
        historyLimit: Int, revision: Int64, appliedIndex: UInt64, stateHash: StateHash, pairs: some Sequence<KeyValue>
    ) {
        self.init(historyLimit: historyLimit)
        self.revision = revision
        oldestRevision = revision
        self.appliedIndex = appliedIndex
        self.stateHash = stateHash
        for pair in pairs { keys.set(pair) }
    }

    /// How many keys there are.
    public var count: Int { keys.count }

    // MARK: Changes

    /// Applies the entry of `index`, the one after the last; empty payloads are leaders' marks and change nothing.
    /// Returns what became of it and what changed, in order; all events are of the result's revision.
    /// - Throws: `ByteCodecError` when the payload is no transaction; the store is as before.
    public mutating func apply(index: UInt64, payload: [UInt8]) throws(ByteCodecError) -> (
        result: TransactionResult, events: [StoreEvent]
    ) {
        precondition(index == appliedIndex + 1, "entries are applied in order")
        let transaction = payload.isEmpty ? nil : try Transaction(decoding: payload)
        appliedIndex = index
        stateHash.absorb(index: index, payload)
        guard let transaction else { return (TransactionResult(succeeded: true, revision: revision, results: []), []) }
        return apply(transaction)
    }

    private mutating func apply(_ transaction: Transaction) -> (result: TransactionResult, events: [StoreEvent]) {
        let holds = transaction.conditions.allSatisfy { condition in
            switch condition {
            case .modRevision(let key, let expected): (keys[key]?.modRevision ?? 0) == expected
            case .createRevision(let key, let expected): (keys[key]?.createRevision ?? 0) == expected
            }
        }
        var events: [StoreEvent] = []
        var results: [KeyValue?] = []
        for operation in holds ? transaction.success : transaction.failure {
            switch operation {
            case .put(let key, let value): results.append(put(key, value, &events))
            case .delete(let key): results.append(delete(key, &events))
            case .deleteRange(let from, let to):
                var doomed: [[UInt8]] = []
                keys.forEach(in: KeyRange(from: from, to: to)) { pair in
                    doomed.append(pair.key)
                    return true
                }
                for key in doomed { _ = delete(key, &events) }
                results.append(nil)
            case .get(let key): results.append(keys[key])
            }
        }
        if !events.isEmpty {
            revision += 1
            history.append(events)
            historyBytes += Self.bytes(of: events)
            while history.count > historyLimit || historyBytes > historyByteLimit {
                compact(through: oldestRevision + 1)
            }
        }
        return (TransactionResult(succeeded: holds, revision: revision, results: results), events)
    }

    private mutating func put(_ key: [UInt8], _ value: [UInt8], _ events: inout [StoreEvent]) -> KeyValue? {
        let previous = keys[key]
        let pair = KeyValue(
            key: key, value: value, createRevision: previous?.createRevision ?? revision + 1,
            modRevision: revision + 1, version: (previous?.version ?? 0) + 1)
        keys.set(pair)
        events.append(StoreEvent(pair: pair, previous: previous, isDeletion: false))
        return previous
    }

    private mutating func delete(_ key: [UInt8], _ events: inout [StoreEvent]) -> KeyValue? {
        guard let previous = keys.remove(key) else { return nil }
        let tombstone = KeyValue(key: key, value: [], createRevision: 0, modRevision: revision + 1, version: 0)
        events.append(StoreEvent(pair: tombstone, previous: previous, isDeletion: true))
        return previous
    }

    /// Forgets the history through `target`, at most the present: reads and watches of older revisions are refused.
    public mutating func compact(through target: Int64) {
        let drop = min(target, revision) - oldestRevision
        guard drop > 0 else { return }
        historyBytes -= history.prefix(Int(drop)).reduce(0) { $0 + Self.bytes(of: $1) }
        history.removeFirst(Int(drop))
        oldestRevision += drop
    }

    /// What the events of one revision count in ``historyBytes``.
    private static func bytes(of events: [StoreEvent]) -> Int {
        events.reduce(0) { sum, event in
            let before = event.previous.map { $0.key.count + $0.value.count } ?? 0
            return sum + eventOverhead + event.pair.key.count + event.pair.value.count + before
        }
    }

    // MARK: Reads

    /// One key, as of now.
    public func get(_ key: [UInt8]) -> KeyValue? { keys[key] }

    /// The pairs of a range in order, at most `limit`, as of `past` (nil: now), and whether the limit cut the list.
    /// - Throws: ``StoreError``.
    public func range(_ range: KeyRange, limit: Int? = nil, at past: Int64? = nil) throws(StoreError) -> (
        pairs: [KeyValue], more: Bool
    ) {
        let limit = limit ?? .max
        let undone = try past.map { past throws(StoreError) in try changes(in: range, since: past) } ?? [:]
        var pairs: [KeyValue] = []
        var more = false
        /// Takes a pair; false when the list is full.
        func take(_ pair: KeyValue) -> Bool {
            if pairs.count >= limit {
                more = true
                return false
            }
            pairs.append(pair)
            return true
        }
        if undone.isEmpty {
            keys.forEach(in: range, take)
            return (pairs, more)
        }
        // Two ordered lists are merged: what changed since, as it was then, and the keys that did not change.
        let changed = undone.sorted { ByteOrder.compare($0.key, $1.key) < 0 }
        var next = 0
        /// Takes the changed pairs before `key` (nil: all); false when the list is full.
        func takeChanged(before key: [UInt8]?) -> Bool {
            while next < changed.count {
                if let key, ByteOrder.compare(changed[next].key, key) >= 0 { return true }
                if let pair = changed[next].value, !take(pair) { return false }
                next += 1
            }
            return true
        }
        keys.forEach(in: range) { pair in
            guard takeChanged(before: pair.key) else { return false }
            return undone.keys.contains(pair.key) || take(pair)
        }
        if !more { _ = takeChanged(before: nil) }
        return (pairs, more)
    }

    /// The keys of `range` that changed after `past`, as they were then; nil for those that were not there.
    private func changes(in range: KeyRange, since past: Int64) throws(StoreError) -> [[UInt8]: KeyValue?] {
        try checkReadable(past)
        var undone: [[UInt8]: KeyValue?] = [:]
        for events in history[Int(past - oldestRevision)...].reversed() {
            for event in events.reversed() where range.contains(event.pair.key) {
                undone.updateValue(event.previous, forKey: event.pair.key)
            }
        }
        return undone
    }

    /// The changes after `past` in `range`, oldest first, through the revision that is returned with them: at most
    /// `scanLimit` revisions are looked at, and no further one once `eventLimit` events are found.
    /// - Throws: ``StoreError``.
    public func events(in range: KeyRange, after past: Int64, scanLimit: Int, eventLimit: Int) throws(StoreError) -> (
        events: [StoreEvent], through: Int64
    ) {
        try checkReadable(past)
        var found: [StoreEvent] = []
        var through = past
        for events in history[Int(past - oldestRevision)...].prefix(max(scanLimit, 1)) {
            through += 1
            for event in events where range.contains(event.pair.key) { found.append(event) }
            if found.count >= eventLimit { break }
        }
        return (found, through)
    }

    private func checkReadable(_ past: Int64) throws(StoreError) {
        if past < oldestRevision { throw .compacted(oldest: oldestRevision) }
        if past > revision { throw .future(current: revision) }
    }
}
