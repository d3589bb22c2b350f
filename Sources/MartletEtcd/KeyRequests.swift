internal import MartletStore

/// etcd's requests for keys, read into what the store takes, with etcd's checks.
enum KeyRequests {
    /// Transactions inside of transactions that are read. With etcd's bound on operations no deeper one is valid.
    static let depthLimit = 128

    /// A range, and whether this member's own state will do for it.
    struct Range: Hashable {
        var query: RangeQuery
        var isSerializable: Bool
    }

    static func range(_ reader: WireReader) throws -> Range {
        var reader = reader
        var key: [UInt8] = []
        var end: [UInt8] = []
        var query = RangeQuery(.all)
        var order: Int32 = 0
        var target: Int32 = 0
        var isSerializable = false
        while let field = try reader.next() {
            switch field {
            case 1: key = try reader.blob()
            case 2: end = try reader.blob()
            case 3: query.limit = Int(clamping: try reader.int64())
            case 4: query.revision = try reader.int64()
            case 5: order = try reader.enumeration()
            case 6: target = try reader.enumeration()
            case 7: isSerializable = try reader.bool()
            case 8: query.keysOnly = try reader.bool()
            case 9: query.countOnly = try reader.bool()
            case 10: query.minMod = try reader.int64()
            case 11: query.maxMod = try reader.int64()
            case 12: query.minCreate = try reader.int64()
            case 13: query.maxCreate = try reader.int64()
            default: try reader.skip()
            }
        }
        query.range = try keyRange(key, end)
        query.order = self.order(order, target)
        return Range(query: query, isSerializable: isSerializable)
    }

    /// Keys come in order of their own; sorting by anything else without a direction means ascending.
    private static func order(_ order: Int32, _ target: Int32) -> RangeQuery.Order? {
        guard let target = UInt8(exactly: target).flatMap(RangeQuery.Target.init) else { return nil }
        if order == 2 { return RangeQuery.Order(target, descending: true) }
        return target == .key ? nil : RangeQuery.Order(target)
    }

    static func put(_ reader: WireReader) throws -> Put {
        var reader = reader
        var put = Put([], [])
        while let field = try reader.next() {
            switch field {
            case 1: put.key = try reader.blob()
            case 2: put.value = try reader.blob()
            case 3: put.lease = try reader.int64()
            case 4: put.returnsPrevious = try reader.bool()
            case 5: put.ignoresValue = try reader.bool()
            case 6: put.ignoresLease = try reader.bool()
            default: try reader.skip()
            }
        }
        if put.key.isEmpty { throw Refusal.emptyKey }
        if put.ignoresValue, !put.value.isEmpty { throw Refusal.valueProvided }
        if put.ignoresLease, put.lease != 0 { throw Refusal.leaseProvided }
        return put
    }

    static func deleteRange(_ reader: WireReader) throws -> (range: KeyRange, returnsPrevious: Bool) {
        var reader = reader
        var key: [UInt8] = []
        var end: [UInt8] = []
        var returnsPrevious = false
        while let field = try reader.next() {
            switch field {
            case 1: key = try reader.blob()
            case 2: end = try reader.blob()
            case 3: returnsPrevious = try reader.bool()
            default: try reader.skip()
            }
        }
        return (try keyRange(key, end), returnsPrevious)
    }

    /// The revision to forget up to, and whether the answer waits until that is done.
    static func compaction(_ reader: WireReader) throws -> (revision: Int64, physical: Bool) {
        var reader = reader
        var result: (revision: Int64, physical: Bool) = (0, false)
        while let field = try reader.next() {
            switch field {
            case 1: result.revision = try reader.int64()
            case 2: result.physical = try reader.bool()
            default: try reader.skip()
            }
        }
        return result
    }

    // MARK: Transactions

    /// A transaction with at most `operations` conditions, and steps in each branch; those inside count for their
    /// outer ones, as etcd counts them.
    static func transaction(_ reader: WireReader, operations: Int, depth: Int = 0) throws -> Transaction {
        guard depth < depthLimit else { throw Refusal.tooManyOperations }
        var reader = reader
        var conditions: [WireReader] = []
        var success: [WireReader] = []
        var failure: [WireReader] = []
        while let field = try reader.next() {
            switch field {
            case 1: conditions.append(try reader.message())
            case 2: success.append(try reader.message())
            case 3: failure.append(try reader.message())
            default: try reader.skip()
            }
        }
        let count = max(conditions.count, success.count, failure.count)
        guard count <= operations else { throw Refusal.tooManyOperations }
        let left = operations - count
        return Transaction(
            when: try conditions.map(condition),
            then: try success.map { try operation($0, operations: left, depth: depth) },
            otherwise: try failure.map { try operation($0, operations: left, depth: depth) })
    }

    private static func operation(_ reader: WireReader, operations: Int, depth: Int) throws -> Operation {
        var reader = reader
        var found: (kind: Int, body: WireReader)?
        while let field = try reader.next() {
            if 1...4 ~= field { found = (field, try reader.message()) } else { try reader.skip() }
        }
        // etcd says so of a step that holds nothing.
        guard let found else { throw Refusal.keyNotFound }
        switch found.kind {
        case 1: return .range(try range(found.body).query)
        case 2: return .put(try put(found.body))
        case 3:
            let deletion = try deleteRange(found.body)
            return .deleteRange(deletion.range, returnsPrevious: deletion.returnsPrevious)
        default:
            return .transaction(try transaction(found.body, operations: operations, depth: depth + 1))
        }
    }

    private static func condition(_ reader: WireReader) throws -> Condition {
        var reader = reader
        var result: Int32 = 0
        var target: Int32 = 0
        var key: [UInt8] = []
        var end: [UInt8] = []
        var number: (field: Int, value: Int64) = (0, 0)
        var value: [UInt8] = []
        while let field = try reader.next() {
            switch field {
            case 1: result = try reader.enumeration()
            case 2: target = try reader.enumeration()
            case 3: key = try reader.blob()
            case 4, 5, 6, 8: number = (field, try reader.int64())
            case 7:
                value = try reader.blob()
                number = (field, 0)
            case 64: end = try reader.blob()
            default: try reader.skip()
            }
        }
        let range = try keyRange(key, end)
        guard let relation = UInt8(exactly: result).flatMap(Condition.Relation.init) else {
            throw Refusal.other("etcdserver: no comparison has the number \(result)")
        }
        // A number that is given for something else counts as none.
        func operand(_ field: Int) -> Int64 { number.field == field ? number.value : 0 }
        let what: Condition.Target =
            switch target {
            case 0: .version(operand(4))
            case 1: .create(operand(5))
            case 2: .mod(operand(6))
            case 3: .value(number.field == 7 ? value : [])
            case 4: .lease(operand(8))
            default: throw Refusal.other("etcdserver: nothing to compare has the number \(target)")
            }
        return Condition(what, relation, in: range)
    }

    // MARK: Ranges

    /// A range as etcd writes it: no end means one key, an end of one zero byte means that there is none.
    static func keyRange(_ key: [UInt8], _ end: [UInt8]) throws -> KeyRange {
        if key.isEmpty { throw Refusal.emptyKey }
        return boundless(key, end)
    }

    /// The same, where an empty key is allowed.
    static func boundless(_ key: [UInt8], _ end: [UInt8]) -> KeyRange {
        if end.isEmpty { return KeyRange(key: key) }
        return KeyRange(from: key, to: end == [0] ? [] : end)
    }

    /// How etcd writes a range.
    static func written(_ range: KeyRange) -> (key: [UInt8], end: [UInt8]) {
        if range.isSingleKey { return (range.from, []) }
        return (range.from, range.to.isEmpty ? [0] : range.to)
    }
}
