import MartletBase

@testable import MartletStore

/// Draws keys, ranges, transactions and commands.
struct Draw {
    var random: SplitMix64
    var keySpace: UInt64 = 30

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func number(_ limit: UInt64) -> UInt64 { random.next() % limit }
    mutating func chance(_ oneIn: UInt64) -> Bool { number(oneIn) == 0 }

    mutating func key() -> [UInt8] {
        let number = number(keySpace)
        // Some keys begin with others, and one of them is a byte 0 longer.
        return number == 0 ? Array("k/1/1\0".utf8) : Array("k/\(number % 7)/\(number)".utf8)
    }

    mutating func range() -> KeyRange {
        switch number(6) {
        case 0: KeyRange.all
        case 1: KeyRange(prefix: Array("k/\(number(7))".utf8))
        case 2: KeyRange(from: key(), to: [])
        case 3: KeyRange(from: key(), to: key())
        default: KeyRange(key: key())
        }
    }

    mutating func query(_ revision: Int64) -> RangeQuery {
        var query = RangeQuery(range(), keysOnly: chance(5), countOnly: chance(7))
        if chance(3) { query.limit = Int(number(5)) }
        if chance(3) { query.revision = 1 + Int64(number(UInt64(revision + 1))) }
        let target = RangeQuery.Target(rawValue: UInt8(number(5))) ?? .key
        if chance(3) { query.order = RangeQuery.Order(target, descending: chance(2)) }
        if chance(6) { query.minMod = Int64(number(UInt64(revision))) }
        if chance(6) { query.maxMod = Int64(number(UInt64(revision))) }
        if chance(6) { query.minCreate = Int64(number(UInt64(revision))) }
        if chance(6) { query.maxCreate = Int64(number(UInt64(revision))) }
        return query
    }

    mutating func put() -> Put {
        var put = Put(key(), Array("v\(number(1000))".utf8), returnsPrevious: chance(2))
        if chance(3) { put.lease = Int64(number(5)) }
        if chance(6) { put.ignoresValue = true }
        if chance(6) { put.ignoresLease = true }
        return put
    }

    mutating func operation(_ revision: Int64, depth: Int) -> Operation {
        switch number(10) {
        case 0..<5: return .put(put())
        case 5: return .deleteRange(chance(2) ? range() : KeyRange(key: key()), returnsPrevious: chance(2))
        case 6, 7: return .range(query(chance(4) ? revision + 1 : revision))
        default:
            if depth > 2 { return .get(key: key()) }
            return .transaction(transaction(revision, depth: depth + 1))
        }
    }

    mutating func condition(_ revision: Int64) -> Condition {
        let relations: [Condition.Relation] = [.equal, .notEqual, .less, .greater]
        let number = Int64(number(UInt64(revision + 2)))
        let target: Condition.Target =
            switch self.number(5) {
            case 0: .version(number % 4)
            case 1: .create(number)
            case 2: .mod(number)
            case 3: .lease(number % 5)
            default: .value(Array("v\(number)".utf8))
            }
        return Condition(target, relations[Int(self.number(4))], in: chance(3) ? range() : KeyRange(key: key()))
    }

    mutating func transaction(_ revision: Int64, depth: Int = 0) -> Transaction {
        let conditions = chance(2) ? (0..<number(3)).map { _ in condition(revision) } : []
        let success = (0..<number(4)).map { _ in operation(revision, depth: depth) }
        let failure = (0..<number(3)).map { _ in operation(revision, depth: depth) }
        return Transaction(when: conditions, then: success, otherwise: failure)
    }

    mutating func command(_ revision: Int64) -> Command.Kind {
        switch number(20) {
        case 0: .grantLease(id: Int64(number(5)), ttl: 10)
        case 1: .revokeLease(id: Int64(number(5)))
        case 2: .compact(Int64(number(UInt64(revision + 2))))
        default: .transaction(transaction(revision))
        }
    }

    /// A command that no store need be able to carry out, to be written and read.
    mutating func anyCommand() -> Command {
        let name = "name\(number(9))"
        let member = MemberInfo(
            id: random.next(), name: name, peerURLs: ["https://a:1", "https://b"], clientURLs: [], isLearner: chance(2))
        let kinds: [Command.Kind] = [
            command(9), command(900), .transaction(transaction(50)), .transaction(transaction(50)),
            .check(index: random.next(), hash: random.next()), .auth(.enable), .auth(.disable),
            .auth(.addUser(name: name, passwordHash: chance(2) ? [1, 2] : nil)), .auth(.deleteUser(name: name)),
            .auth(.changePassword(name: name, passwordHash: [3])), .auth(.grantRole(user: name, role: "r")),
            .auth(.revokeRole(user: name, role: "r")), .auth(.addRole(name: name)), .auth(.deleteRole(name: name)),
            .auth(.grantPermission(role: name, Permission(.write, range()))),
            .auth(.revokePermission(role: name, range())),
            .member(.genesis(clusterID: random.next(), members: [member, member])), .member(.add(member)),
            .member(.remove(id: 3)), .member(.update(id: 4, peerURLs: [name])), .member(.promote(id: 5)),
            .member(.describe(id: 6, name: name, clientURLs: [name, ""])), .member(.replace([member])),
        ]
        return Command(kinds[Int(number(UInt64(kinds.count)))], authRevision: chance(2) ? random.next() : nil)
    }

    /// Bytes like these, but wrong somewhere.
    mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        guard !bytes.isEmpty else { return [UInt8(number(256))] }
        switch number(4) {
        case 0: bytes.removeLast(Int(number(UInt64(bytes.count))) + 1)
        case 1: bytes.insert(UInt8(number(256)), at: Int(number(UInt64(bytes.count))))
        case 2: bytes.remove(at: Int(number(UInt64(bytes.count))))
        default: bytes[Int(number(UInt64(bytes.count)))] = UInt8(number(256))
        }
        return bytes
    }
}
