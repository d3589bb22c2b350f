extension Store {
    /// One key, as of now.
    public func get(_ key: [UInt8]) -> KeyValue? { keys[key] }

    /// What a query finds.
    /// - Throws: ``StoreError``.
    public func range(_ query: RangeQuery) throws(StoreError) -> RangeResult {
        if query.revision > 0 { try checkReadable(query.revision) }
        return read(query, pending: [])
    }

    /// The pairs of a range in order, at most `limit`, as of `past` (nil: now), and whether the limit cut the list.
    /// - Throws: ``StoreError``.
    public func range(_ range: KeyRange, limit: Int? = nil, at past: Int64? = nil) throws(StoreError) -> (
        pairs: [KeyValue], more: Bool
    ) {
        if let past { try checkReadable(past) }
        if let limit, limit <= 0 { return ([], keys.count(in: range) > 0) }
        let found = read(RangeQuery(range, limit: limit ?? 0, revision: past ?? 0), pending: [], counted: false)
        return (found.pairs, found.more)
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
        for events in history.after(past).prefix(max(scanLimit, 1)) {
            through += 1
            for event in events where range.contains(event.pair.key) { found.append(event) }
            if found.count >= eventLimit { break }
        }
        return (found, through)
    }

    /// A digest of the pairs as of `past` (0: now), and the oldest revision that can be read. Equal on members with
    /// equal contents. It reads every pair.
    /// - Throws: ``StoreError``.
    public func hashKV(at past: Int64 = 0) throws(StoreError) -> (hash: UInt32, compactRevision: Int64) {
        if past > 0 { try checkReadable(past) }
        var sum: UInt64 = 0
        scan(.all, changes(in: .all, since: past > 0 ? past : revision, pending: [])) { pair in
            sum &+= StateHash.of(pair)
            return true
        }
        let hash = StateHash.mix(sum)
        return (UInt32(truncatingIfNeeded: hash ^ (hash >> 32)), oldestRevision)
    }

    private func checkReadable(_ past: Int64) throws(StoreError) {
        if past < oldestRevision { throw .compacted(oldest: oldestRevision) }
        if past > revision { throw .future(current: revision) }
    }

    // MARK: The past

    /// Keys that changed since, as they were then; nil for those that were not there.
    typealias Undone = [[UInt8]: KeyValue?]

    /// The answer to a query whose revision can be read. `pending` are the changes of the transaction that asks,
    /// already made: a read of now sees them, one of the past does not.
    func read(_ query: RangeQuery, pending: [StoreEvent], counted: Bool = true) -> RangeResult {
        let undone =
            query.revision > 0 ? changes(in: query.range, since: query.revision, pending: pending) : [:]
        let now = pending.isEmpty ? revision : revision + 1
        let count = counted ? count(query.range, undone) : 0
        var result = RangeResult(pairs: [], count: count, more: false, revision: now)
        if query.countOnly { return result }
        let limit = query.limit > 0 ? query.limit : .max
        let sortsLater = query.order.map { $0.target != .key || $0.descending } ?? false
        if counted, !sortsLater, !query.isFiltered { result.pairs.reserveCapacity(min(limit, count)) }
        scan(query.range, undone) { pair in
            guard query.admits(pair) else { return true }
            if !sortsLater, result.pairs.count >= limit {
                result.more = true
                return false
            }
            result.pairs.append(pair)
            return true
        }
        if sortsLater, let order = query.order {
            Self.sort(&result.pairs, order)
            if result.pairs.count > limit {
                result.pairs.removeLast(result.pairs.count - limit)
                result.more = true
            }
        }
        if query.keysOnly {
            for index in result.pairs.indices { result.pairs[index].value = [] }
        }
        return result
    }

    private func count(_ range: KeyRange, _ undone: Undone) -> Int {
        var count = range.isSingleKey ? (keys[range.from] == nil ? 0 : 1) : keys.count(in: range)
        for (key, then) in undone { count += (then == nil ? 0 : 1) - (keys[key] == nil ? 0 : 1) }
        return count
    }

    private func changes(in range: KeyRange, since past: Int64, pending: [StoreEvent]) -> Undone {
        var undone: Undone = [:]
        for event in pending.reversed() where range.contains(event.pair.key) {
            undone.updateValue(event.previous, forKey: event.pair.key)
        }
        for events in history.after(past).reversed() {
            for event in events.reversed() where range.contains(event.pair.key) {
                undone.updateValue(event.previous, forKey: event.pair.key)
            }
        }
        return undone
    }

    /// The pairs of a range in order, with what changed since put back; ends early when `body` returns false.
    private func scan(_ range: KeyRange, _ undone: Undone, _ body: (KeyValue) -> Bool) {
        if undone.isEmpty {
            forEachNow(in: range, body)
            return
        }
        // Two ordered lists are merged: what changed since, as it was then, and the keys that did not change.
        let changed = undone.sorted { ByteOrder.compare($0.key, $1.key) < 0 }
        var next = 0
        /// Takes the changed pairs before `key` (nil: all); false when the list is full.
        func takeChanged(before key: [UInt8]?) -> Bool {
            while next < changed.count {
                if let key, ByteOrder.compare(changed[next].key, key) >= 0 { return true }
                if let pair = changed[next].value, !body(pair) { return false }
                next += 1
            }
            return true
        }
        var isFull = false
        forEachNow(in: range) { pair in
            isFull = !takeChanged(before: pair.key) || !(undone.keys.contains(pair.key) || body(pair))
            return !isFull
        }
        if !isFull { _ = takeChanged(before: nil) }
    }

    private static func sort(_ pairs: inout [KeyValue], _ order: RangeQuery.Order) {
        func compare(_ a: KeyValue, _ b: KeyValue) -> Int {
            switch order.target {
            case .key: ByteOrder.compare(a.key, b.key)
            case .version: a.version < b.version ? -1 : a.version > b.version ? 1 : 0
            case .create: a.createRevision < b.createRevision ? -1 : a.createRevision > b.createRevision ? 1 : 0
            case .mod: a.modRevision < b.modRevision ? -1 : a.modRevision > b.modRevision ? 1 : 0
            case .value: ByteOrder.compare(a.value, b.value)
            }
        }
        pairs.sort { a, b in
            let found = compare(a, b)
            if found == 0 { return ByteOrder.compare(a.key, b.key) < 0 }
            return order.descending ? found > 0 : found < 0
        }
    }
}
