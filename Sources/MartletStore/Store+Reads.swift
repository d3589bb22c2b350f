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
        scan(.all, at: past > 0 && past < revision ? past : nil, history) { pair in
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

    /// The answer to a query whose revision can be read. `pending` are the changes of the transaction that asks,
    /// already made: a read of now sees them, one of the past does not.
    func read(_ query: RangeQuery, pending: [StoreEvent], counted: Bool = true) -> RangeResult {
        let now = pending.isEmpty ? revision : revision + 1
        let past = query.revision > 0 && query.revision < now ? query.revision : nil
        let history = past == nil || pending.isEmpty ? history : history.with(pending)
        let count = counted ? count(query.range, at: past, history) : 0
        var result = RangeResult(pairs: [], count: count, more: false, revision: now)
        if query.countOnly { return result }
        let limit = query.limit > 0 ? query.limit : .max
        let sortsLater = query.order.map { $0.target != .key || $0.descending } ?? false
        if counted, !sortsLater, !query.isFiltered { result.pairs.reserveCapacity(min(limit, count)) }
        scan(query.range, at: past, history) { pair in
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

    private func count(_ range: KeyRange, at past: Int64?, _ history: History) -> Int {
        let now = range.isSingleKey ? (keys[range.from] == nil ? 0 : 1) : keys.count(in: range)
        return past.map { now + history.surplus(in: range, since: $0) } ?? now
    }

    /// The pairs of a range in order, as they were at `past` (nil: now); ends early when `body` returns false.
    private func scan(_ range: KeyRange, at past: Int64?, _ history: History, _ body: (KeyValue) -> Bool) {
        guard let past else {
            forEachNow(in: range, body)
            return
        }
        // Two ordered lists are merged: the keys of now, and those that are gone.
        var gone = History.Gone(history, in: range, at: past)
        var next = gone.next()
        /// Takes the keys before `key` (nil: all) that are gone; false when the list is full.
        func takeGone(before key: [UInt8]?) -> Bool {
            while let pair = next {
                if let key, ByteOrder.compare(pair.key, key) >= 0 { return true }
                if !body(pair) { return false }
                next = gone.next()
            }
            return true
        }
        var isFull = false
        forEachNow(in: range) { pair in
            isFull = !takeGone(before: pair.key)
            if !isFull, let then = history.version(of: pair, at: past) { isFull = !body(then) }
            return !isFull
        }
        if !isFull { _ = takeGone(before: nil) }
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
