@testable import MartletStore

/// What a store should do, in the plainest words: a list of all that ever happened, searched from its beginning each
/// time.
struct NaiveStore {
    var versions: [StoredVersion] = []
    var revision: Int64 = 1
    var oldest: Int64 = 1
    var leases: [Int64: Int64] = [:]
    /// The changes of the command under way, which have no revision yet.
    private var pending: [StoredVersion] = []

    /// All pairs as they were at `revision`, in order.
    func state(at revision: Int64) -> [KeyValue] {
        var pairs: [[UInt8]: KeyValue] = [:]
        for version in versions where version.pair.modRevision <= revision {
            pairs[version.pair.key] = version.isDeletion ? nil : version.pair
        }
        return pairs.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    /// All pairs as they are, with what the command under way has done.
    func now() -> [KeyValue] {
        var copy = self
        copy.versions += pending
        return copy.state(at: .max)
    }

    func now(_ range: KeyRange) -> [KeyValue] { now().filter { Self.isInside($0.key, range) } }

    static func isInside(_ key: [UInt8], _ range: KeyRange) -> Bool {
        !key.lexicographicallyPrecedes(range.from) && (range.to.isEmpty || key.lexicographicallyPrecedes(range.to))
    }

    /// The changes after `past` in `range`, with the pairs before.
    func events(in range: KeyRange, after past: Int64) -> [StoreEvent] {
        var pairs: [[UInt8]: KeyValue] = [:]
        var events: [StoreEvent] = []
        for version in versions {
            let key = version.pair.key
            let event = StoreEvent(pair: version.pair, previous: pairs[key], isDeletion: version.isDeletion)
            pairs[key] = version.isDeletion ? nil : version.pair
            if version.pair.modRevision > past, Self.isInside(key, range) { events.append(event) }
        }
        return events
    }

    /// What a checkpoint would keep: the last version up to the oldest revision of each key, and all after it.
    func rows() -> [StoredVersion] {
        let kept = Set(state(at: oldest))
        return versions.filter { $0.pair.modRevision > oldest || (!$0.isDeletion && kept.contains($0.pair)) }
    }

    mutating func apply(_ kind: Command.Kind) -> Result<CommandResult, CommandRefusal> {
        pending = []
        let result = Result<CommandResult, CommandRefusal> { () throws(CommandRefusal) in try carryOut(kind) }
        if !pending.isEmpty { revision += 1 }
        versions += pending
        pending = []
        if case .success(.done) = result { return .success(.done(revision: revision)) }
        return result
    }

    private mutating func carryOut(_ kind: Command.Kind) throws(CommandRefusal) -> CommandResult {
        switch kind {
        case .transaction(let transaction):
            for list in [transaction.success, transaction.failure] where Self.clashes(list) { throw .duplicateKey }
            let before = self
            for step in before.chosen(transaction) { try before.check(step) }
            return .transaction(run(transaction, before))
        case .grantLease(let id, let ttl):
            if id == 0 { throw .leaseNotFound }
            if leases[id] != nil { throw .leaseExists }
            leases[id] = ttl
            return .lease(id: id, ttl: ttl)
        case .revokeLease(let id):
            guard leases.removeValue(forKey: id) != nil else { throw .leaseNotFound }
            for pair in now() where pair.lease == id { delete(pair.key) }
        case .compact(let target):
            if target > revision { throw .futureRevision }
            if target <= oldest, oldest > 1 { throw .compacted }
            oldest = max(oldest, target)
        default: break
        }
        return .done(revision: revision)
    }

    // MARK: Transactions

    private func chosen(_ transaction: Transaction) -> [Operation] {
        transaction.conditions.allSatisfy(holds) ? transaction.success : transaction.failure
    }

    private func holds(_ condition: Condition) -> Bool {
        let found = now(condition.range)
        let nobody = KeyValue(key: [], value: [], createRevision: 0, modRevision: 0, version: 0)
        if found.isEmpty, case .value = condition.target { return false }
        return (found.isEmpty ? [nobody] : found).allSatisfy { pair in
            let (less, equal) =
                switch condition.target {
                case .version(let number): (pair.version < number, pair.version == number)
                case .create(let number): (pair.createRevision < number, pair.createRevision == number)
                case .mod(let number): (pair.modRevision < number, pair.modRevision == number)
                case .lease(let number): (pair.lease < number, pair.lease == number)
                case .value(let bytes): (pair.value.lexicographicallyPrecedes(bytes), pair.value == bytes)
                }
            return switch condition.relation {
            case .equal: equal
            case .notEqual: !equal
            case .less: less
            case .greater: !less && !equal
            }
        }
    }

    private func check(_ step: Operation) throws(CommandRefusal) {
        switch step {
        case .put(let put):
            if put.ignoresValue || put.ignoresLease, now(KeyRange(key: put.key)).isEmpty { throw .keyNotFound }
            if put.lease != 0, leases[put.lease] == nil { throw .leaseNotFound }
        case .range(let query):
            if query.revision > revision { throw .futureRevision }
            if query.revision > 0, query.revision < oldest { throw .compacted }
        case .transaction(let inner): for step in chosen(inner) { try check(step) }
        case .deleteRange: return
        }
    }

    /// Whether two different steps of a list may change one key: every pair of changes is looked at.
    private static func clashes(_ list: [Operation]) -> Bool {
        let changes = list.map(changes)
        for (index, left) in changes.enumerated() {
            for right in changes[(index + 1)...] {
                for a in left {
                    for b in right where a.isPut || b.isPut {
                        if a.isPut ? isInside(a.range.from, b.range) : isInside(b.range.from, a.range) { return true }
                    }
                }
            }
        }
        return list.contains { step in
            guard case .transaction(let inner) = step else { return false }
            return clashes(inner.success) || clashes(inner.failure)
        }
    }

    private static func changes(_ step: Operation) -> [(isPut: Bool, range: KeyRange)] {
        switch step {
        case .put(let put): [(true, KeyRange(from: put.key, to: put.key + [0]))]
        case .deleteRange(let range, _): [(false, range)]
        case .range: []
        case .transaction(let inner): inner.success.flatMap(changes) + inner.failure.flatMap(changes)
        }
    }

    private mutating func run(_ transaction: Transaction, _ before: NaiveStore) -> TransactionResult {
        var results: [OperationResult] = []
        for step in before.chosen(transaction) {
            switch step {
            case .put(let put): results.append(.put(previous: self.put(put)))
            case .deleteRange(let range, let returnsPrevious):
                let gone = now(range)
                for pair in gone { delete(pair.key) }
                results.append(.deleteRange(count: gone.count, previous: returnsPrevious ? gone : []))
            case .range(let query): results.append(.range(read(query)))
            case .transaction(let inner): results.append(.transaction(run(inner, before)))
            }
        }
        let holds = transaction.conditions.allSatisfy(before.holds)
        return TransactionResult(
            succeeded: holds, revision: pending.isEmpty ? revision : revision + 1, operations: results)
    }

    private mutating func put(_ put: Put) -> KeyValue? {
        let old = now(KeyRange(from: put.key, to: put.key + [0])).first
        pending.append(
            StoredVersion(
                KeyValue(
                    key: put.key, value: put.ignoresValue ? old?.value ?? [] : put.value,
                    createRevision: old?.createRevision ?? revision + 1, modRevision: revision + 1,
                    version: (old?.version ?? 0) + 1, lease: put.ignoresLease ? old?.lease ?? 0 : put.lease)))
        return put.returnsPrevious ? old : nil
    }

    private mutating func delete(_ key: [UInt8]) {
        let tombstone = KeyValue(key: key, value: [], createRevision: 0, modRevision: revision + 1, version: 0)
        pending.append(StoredVersion(tombstone, isDeletion: true))
    }

    // MARK: Reads

    /// The answer to a query whose revision is known to be readable.
    func read(_ query: RangeQuery) -> RangeResult {
        let all = (query.revision > 0 ? state(at: query.revision) : now()).filter { Self.isInside($0.key, query.range) }
        var pairs = all.filter { pair in
            (query.minMod == 0 || pair.modRevision >= query.minMod)
                && (query.maxMod == 0 || pair.modRevision <= query.maxMod)
                && (query.minCreate == 0 || pair.createRevision >= query.minCreate)
                && (query.maxCreate == 0 || pair.createRevision <= query.maxCreate)
        }
        if let order = query.order {
            pairs.sort { a, b in
                let (a, b) = order.descending ? (b, a) : (a, b)
                switch order.target {
                case .key: return a.key.lexicographicallyPrecedes(b.key)
                case .version where a.version != b.version: return a.version < b.version
                case .create where a.createRevision != b.createRevision: return a.createRevision < b.createRevision
                case .mod where a.modRevision != b.modRevision: return a.modRevision < b.modRevision
                case .value where a.value != b.value: return a.value.lexicographicallyPrecedes(b.value)
                default: return a.key.lexicographicallyPrecedes(b.key) != order.descending
                }
            }
        }
        let more = query.limit > 0 && pairs.count > query.limit
        if more { pairs = Array(pairs.prefix(query.limit)) }
        if query.keysOnly { for index in pairs.indices { pairs[index].value = [] } }
        if query.countOnly { pairs = [] }
        return RangeResult(
            pairs: pairs, count: all.count, more: more && !query.countOnly,
            revision: pending.isEmpty ? revision : revision + 1)
    }
}
