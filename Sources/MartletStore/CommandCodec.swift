public import MartletBase

// A command as the payload of a log entry. Numbers are little-endian; a blob is a u32 count and its bytes; a string is
// a blob of UTF-8; a list is a u32 count and its items; a flag is a u8, 0 or 1.
//
//   command       version u8 (2); has auth revision flag, then that u64; kind u8, then
//                 1 transaction | 2 grant lease: id i64, ttl i64 | 3 revoke lease: id i64 | 4 compact: revision i64
//                 | 5 auth command | 6 member command | 7 check: index u64, hash u64
//   transaction   list of conditions; list of operations: success; list of operations: failure
//   condition     target u8 (1 version, 2 create, 3 mod, 4 lease, 5 value), relation u8 (0 =, 1 >, 2 <, 3 !=), range,
//                 then i64, or a blob for 5
//   operation     kind u8, then
//                 1 put: flags u8 (1 ignores value, 2 ignores lease, 4 returns previous), lease i64, key, value
//                 2 delete range: returns previous flag, range
//                 3 range: flags u8 (1 keys only, 2 count only, 4 ordered, 8 descending), target u8, range, then i64:
//                   limit, revision, min and max mod, min and max create revision
//                 4 transaction
//   range         form u8: 0 one key: blob; 1: from blob, to blob
//
// Auth and member commands are in MemberCodec.swift. Anything else, and anything left over, is refused. A program that
// meets a newer version stops rather than guess.

extension Command {
    /// The version of the format that ``encoded()`` writes.
    public static let formatVersion: UInt8 = 2

    /// The bytes for the log.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32 + kind.size)
        writer.u8(Self.formatVersion)
        writer.flag(authRevision != nil)
        if let authRevision { writer.u64(authRevision) }
        switch kind {
        case .transaction(let transaction):
            writer.u8(1)
            transaction.write(to: &writer)
        case .grantLease(let id, let ttl):
            writer.u8(2)
            writer.i64(id)
            writer.i64(ttl)
        case .revokeLease(let id):
            writer.u8(3)
            writer.i64(id)
        case .compact(let revision):
            writer.u8(4)
            writer.i64(revision)
        case .auth(let command):
            writer.u8(5)
            command.write(to: &writer)
        case .member(let command):
            writer.u8(6)
            command.write(to: &writer)
        case .check(let index, let hash):
            writer.u8(7)
            writer.u64(index)
            writer.u64(hash)
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        let version = try reader.u8()
        guard version == Self.formatVersion else {
            throw ByteCodecError(
                offset: 0, what: "command of format \(version); this program reads format \(Self.formatVersion)")
        }
        let authRevision = try reader.flag() ? try reader.u64() : nil
        let offset = reader.offset
        let kind: Kind
        switch try reader.u8() {
        case 1: kind = .transaction(try Transaction(from: &reader, depth: 1))
        case 2: kind = .grantLease(id: try reader.i64(), ttl: try reader.i64())
        case 3: kind = .revokeLease(id: try reader.i64())
        case 4: kind = .compact(try reader.i64())
        case 5: kind = .auth(try AuthCommand(from: &reader))
        case 6: kind = .member(try MemberCommand(from: &reader))
        case 7: kind = .check(index: try reader.u64(), hash: try reader.u64())
        case let kind: throw ByteCodecError(offset: offset, what: "command of unknown kind \(kind)")
        }
        try reader.end()
        self.init(kind, authRevision: authRevision)
    }
}

extension Command {
    /// A command that sets one key and does nothing else, as almost all do, read without what the others need: lists,
    /// plans and results of several steps. Nil when it is another one, or none.
    static func lonePut(decoding bytes: [UInt8]) -> (put: Put, authRevision: UInt64?)? {
        var reader = ByteReader(bytes)
        guard (try? reader.u8()) == formatVersion, let hasRevision = try? reader.flag() else { return nil }
        let authRevision = hasRevision ? try? reader.u64() : nil
        guard (try? reader.u8()) == 1, (try? reader.u32()) == 0, (try? reader.u32()) == 1, (try? reader.u8()) == 1,
            let put = try? Put(from: &reader), (try? reader.u32()) == 0, reader.remaining == 0,
            hasRevision == (authRevision != nil)
        else { return nil }
        return (put, authRevision)
    }
}

extension Command.Kind {
    /// About how many bytes it takes.
    fileprivate var size: Int { if case .transaction(let transaction) = self { transaction.size } else { 256 } }
}

extension Transaction {
    /// How deep transactions may stand in transactions. One that is deeper must not be proposed: no member could read
    /// it. A limit on the sum of steps, as etcd's of 128, keeps to it.
    public static let nestingLimit = 130

    /// The bytes of a command that holds just this transaction.
    public func encoded() -> [UInt8] { Command(.transaction(self)).encoded() }

    fileprivate var size: Int {
        var sum = 12
        for condition in conditions {
            sum += 32 + 2 * condition.range.from.count
            if case .value(let value) = condition.target { sum += value.count }
        }
        for operation in success { sum += operation.size }
        for operation in failure { sum += operation.size }
        return sum
    }

    fileprivate func write(to writer: inout ByteWriter) {
        writer.u32(UInt32(conditions.count))
        for condition in conditions { condition.write(to: &writer) }
        writer.u32(UInt32(success.count))
        for operation in success { operation.write(to: &writer) }
        writer.u32(UInt32(failure.count))
        for operation in failure { operation.write(to: &writer) }
    }

    fileprivate init(from reader: inout ByteReader, depth: Int) throws(ByteCodecError) {
        if depth > Self.nestingLimit {
            throw ByteCodecError(offset: reader.offset, what: "transactions inside transactions, too deep")
        }
        var conditions: [Condition] = []
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 11)) { conditions.append(try Condition(from: &reader)) }
        let success = try Operation.list(&reader, depth)
        let failure = try Operation.list(&reader, depth)
        self.init(when: conditions, then: success, otherwise: failure)
    }
}

extension Condition {
    fileprivate func write(to writer: inout ByteWriter) {
        let (kind, number): (UInt8, Int64?) =
            switch target {
            case .version(let number): (1, number)
            case .create(let number): (2, number)
            case .mod(let number): (3, number)
            case .lease(let number): (4, number)
            case .value: (5, nil)
            }
        writer.u8(kind)
        writer.u8(relation.rawValue)
        range.write(to: &writer)
        if let number { writer.i64(number) }
        if case .value(let value) = target { writer.blob(value) }
    }

    fileprivate init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        let kind = try reader.u8()
        guard let relation = Relation(rawValue: try reader.u8()) else {
            throw ByteCodecError(offset: offset + 1, what: "condition of unknown relation")
        }
        let range = try KeyRange(from: &reader)
        let target: Target =
            switch kind {
            case 1: .version(try reader.i64())
            case 2: .create(try reader.i64())
            case 3: .mod(try reader.i64())
            case 4: .lease(try reader.i64())
            case 5: .value(try reader.blob())
            default: throw ByteCodecError(offset: offset, what: "condition of unknown kind \(kind)")
            }
        self.init(target, relation, in: range)
    }
}

extension Operation {
    /// About how many bytes it takes.
    fileprivate var size: Int {
        switch self {
        case .put(let put): 18 + put.key.count + put.value.count
        case .deleteRange(let range, _): 11 + range.from.count + range.to.count
        case .range(let query): 60 + query.range.from.count + query.range.to.count
        case .transaction(let transaction): 1 + transaction.size
        }
    }

    fileprivate func write(to writer: inout ByteWriter) {
        switch self {
        case .put(let put):
            writer.u8(1)
            writer.u8((put.ignoresValue ? 1 : 0) | (put.ignoresLease ? 2 : 0) | (put.returnsPrevious ? 4 : 0))
            writer.i64(put.lease)
            writer.blob(put.key)
            writer.blob(put.value)
        case .deleteRange(let range, let returnsPrevious):
            writer.u8(2)
            writer.flag(returnsPrevious)
            range.write(to: &writer)
        case .range(let query):
            writer.u8(3)
            query.write(to: &writer)
        case .transaction(let transaction):
            writer.u8(4)
            transaction.write(to: &writer)
        }
    }

    fileprivate static func list(_ reader: inout ByteReader, _ depth: Int) throws(ByteCodecError) -> [Operation] {
        let count = try reader.count(ofItemsOfAtLeast: 7)
        var operations: [Operation] = []
        for _ in 0..<count {
            let offset = reader.offset
            switch try reader.u8() {
            case 1: operations.append(.put(try Put(from: &reader)))
            case 2:
                let returnsPrevious = try reader.flag()
                operations.append(.deleteRange(try KeyRange(from: &reader), returnsPrevious: returnsPrevious))
            case 3: operations.append(.range(try RangeQuery(from: &reader)))
            case 4: operations.append(.transaction(try Transaction(from: &reader, depth: depth + 1)))
            case let kind: throw ByteCodecError(offset: offset, what: "operation of unknown kind \(kind)")
            }
        }
        return operations
    }
}

extension Put {
    fileprivate init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        let flags = try reader.u8()
        guard flags < 8 else { throw ByteCodecError(offset: offset, what: "put with unknown flags") }
        let lease = try reader.i64()
        let key = try reader.blob()
        self.init(
            key, try reader.blob(), lease: lease, ignoresValue: flags & 1 != 0, ignoresLease: flags & 2 != 0,
            returnsPrevious: flags & 4 != 0)
    }
}

extension RangeQuery {
    fileprivate func write(to writer: inout ByteWriter) {
        let ordered: UInt8 = order.map { $0.descending ? 12 : 4 } ?? 0
        writer.u8((keysOnly ? 1 : 0) | (countOnly ? 2 : 0) | ordered)
        writer.u8(order?.target.rawValue ?? 0)
        range.write(to: &writer)
        for number in [Int64(limit), revision, minMod, maxMod, minCreate, maxCreate] { writer.i64(number) }
    }

    fileprivate init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        let flags = try reader.u8()
        guard let target = Target(rawValue: try reader.u8()), flags < 16, flags & 4 != 0 || flags < 8,
            flags & 4 != 0 || target == .key
        else { throw ByteCodecError(offset: offset, what: "range in an unknown order") }
        let range = try KeyRange(from: &reader)
        let order = flags & 4 != 0 ? Order(target, descending: flags & 8 != 0) : nil
        self.init(range, order: order, keysOnly: flags & 1 != 0, countOnly: flags & 2 != 0)
        limit = Int(try reader.i64())
        revision = try reader.i64()
        minMod = try reader.i64()
        maxMod = try reader.i64()
        minCreate = try reader.i64()
        maxCreate = try reader.i64()
    }
}

extension KeyRange {
    /// Writes both ends, or the one key.
    func write(to writer: inout ByteWriter) {
        let isSingleKey = isSingleKey
        writer.u8(isSingleKey ? 0 : 1)
        writer.blob(from)
        if !isSingleKey { writer.blob(to) }
    }

    /// Reads what `write` wrote. One key in the form of two ends is refused: every range has one form.
    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let offset = reader.offset
        switch try reader.u8() {
        case 0: self.init(key: try reader.blob())
        case 1:
            self.init(from: try reader.blob(), to: try reader.blob())
            if isSingleKey { throw ByteCodecError(offset: offset, what: "one key written as a range") }
        case let form: throw ByteCodecError(offset: offset, what: "range of unknown form \(form)")
        }
    }
}
