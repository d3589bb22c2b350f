import MartletBase
import Testing

@testable import MartletStore

/// A store that is told commands one after another, for stories.
struct Telling {
    var store: Store
    private var index: UInt64 = 0

    init(historyLimit: Int = 1_000, _ mutation: StoreMutation? = nil) {
        store = Store(historyLimit: historyLimit)
        store.mutation = mutation
    }

    @discardableResult
    mutating func tell(_ kind: Command.Kind, authRevision: UInt64? = nil) throws -> Applied {
        index += 1
        return try store.apply(index: index, payload: Command(kind, authRevision: authRevision).encoded())
    }
    @discardableResult
    mutating func put(_ name: String, _ value: String = "", lease: Int64 = 0) throws -> Applied {
        try tell(.transaction(Transaction(then: [.put(Put(key(name), key(value), lease: lease))])))
    }
    @discardableResult
    mutating func delete(_ name: String) throws -> Applied {
        try tell(.transaction(Transaction(then: [.delete(key: key(name))])))
    }
    func names(_ query: RangeQuery) throws -> [String] {
        try store.range(query).pairs.map { String(decoding: $0.key, as: UTF8.self) }
    }
}

func key(_ name: String) -> [UInt8] { Array(name.utf8) }

extension Applied {
    /// Why the command was refused.
    var refusal: CommandRefusal? { if case .failure(let refusal) = result { refusal } else { nil } }
}

@Suite struct ATransaction {
    @Test func givesAllItsChangesOneRevisionAndSeesThemInItsReads() throws {
        var story = Telling()
        try story.put("a", "old")
        let applied = try story.tell(
            .transaction(
                Transaction(then: [
                    .get(key: key("a")), .put(Put(key("a"), key("new"), returnsPrevious: true)), .get(key: key("a")),
                    .range(RangeQuery(.all, revision: 2)), .put(Put(key("b"), key("other"))),
                    .range(RangeQuery(.all, countOnly: true)),
                ])))
        let result = try #require(applied.transaction)
        #expect(
            result.results.map { $0.map { String(decoding: $0.value, as: UTF8.self) } }
                == ["old", "old", "new", "old", nil, nil])
        #expect(result.revision == 3 && applied.events.map(\.pair.modRevision) == [3, 3])
        guard case .range(let last) = result.operations[5] else { return }
        #expect(last.count == 2 && last.revision == 3 && last.pairs.isEmpty)
        guard case .range(let first) = result.operations[0] else { return }
        #expect(first.revision == 2)
    }

    @Test func judgesAllConditionsBeforeItChangesAnything() throws {
        var story = Telling()
        // The inner condition asks for a key that the outer transaction makes: at its judgement it is not there.
        let inner = Transaction(
            when: [.createRevision(key: key("a"), is: 0)], then: [.put(Put(key("absent"), []))],
            otherwise: [.put(Put(key("present"), []))])
        let applied = try story.tell(
            .transaction(Transaction(then: [.put(Put(key("a"), [])), .transaction(inner)])))
        #expect(try story.names(RangeQuery(.all)) == ["a", "absent"])
        guard case .transaction(let result) = applied.transaction?.operations[1] else { return }
        #expect(result.succeeded)
    }

    @Test func judgesAConditionOnARangeByAllItsPairsAndAnEmptyRangeByNothing() throws {
        var story = Telling()
        try story.put("p/1", "x")
        try story.put("p/2", "y")
        func holds(_ target: Condition.Target, _ relation: Condition.Relation, _ prefix: String) throws -> Bool? {
            let condition = Condition(target, relation, in: KeyRange(prefix: key(prefix)))
            return try story.tell(.transaction(Transaction(when: [condition], then: []))).transaction?.succeeded
        }
        #expect(try holds(.version(1), .equal, "p/") == true)
        #expect(try holds(.value(key("x")), .equal, "p/") == false)
        #expect(try holds(.value(key("z")), .less, "p/") == true)
        #expect(try holds(.mod(3), .less, "p/") == false)
        #expect(try holds(.create(2), .notEqual, "p/2") == true)
        // Nobody is there: numbers are 0, and no value is equal to anything.
        #expect(try holds(.create(0), .equal, "q/") == true)
        #expect(try holds(.lease(0), .greater, "q/") == false)
        #expect(try holds(.value([]), .equal, "q/") == false)
        #expect(try holds(.value([]), .notEqual, "q/") == false)
        #expect(story.store.revision == 3)
    }

    @Test func mayNotChangeAKeyTwice() throws {
        var story = Telling()
        let a = Operation.put(Put(key("a"), []))
        let b = Operation.put(Put(key("b"), []))
        let all = Operation.deleteRange(KeyRange(from: key("a"), to: []), returnsPrevious: false)
        func refused(_ steps: [Operation], otherwise: [Operation] = []) throws -> Bool {
            try story.tell(.transaction(Transaction(then: steps, otherwise: otherwise))).refusal == .duplicateKey
        }
        #expect(try refused([a, a]) && refused([a, all]) && refused([all, b]) && refused([], otherwise: [a, b, a]))
        #expect(try !refused([a, b]) && !refused([all, all]) && !refused([a], otherwise: [a]))
        // Inside: the branches of one exclude each other, two transactions side by side do not.
        #expect(try !refused([.transaction(Transaction(then: [a], otherwise: [a, b]))]))
        #expect(try !refused([.transaction(Transaction(then: [a], otherwise: [all]))]))
        #expect(
            try refused([.transaction(Transaction(then: [a])), .transaction(Transaction(then: [b], otherwise: [a]))]))
        #expect(try refused([.transaction(Transaction(then: [], otherwise: [a])), all]))
        #expect(try refused([.transaction(Transaction(then: [a])), .transaction(Transaction(then: [all]))]))
        #expect(try refused([b, .transaction(Transaction(then: [.transaction(Transaction(then: [b]))]))]))
        #expect(try refused([.transaction(Transaction(then: [a, a]))]))
    }

    @Test func isRefusedWholeWhenOneStepCannotBeDone() throws {
        var story = Telling()
        try story.put("a", "1")
        func refusal(_ steps: [Operation]) throws -> CommandRefusal? {
            try story.tell(.transaction(Transaction(then: [.put(Put(key("x"), []))] + steps))).refusal
        }
        #expect(try refusal([.put(Put(key("b"), [], ignoresValue: true))]) == .keyNotFound)
        #expect(try refusal([.put(Put(key("b"), [], ignoresLease: true))]) == .keyNotFound)
        #expect(try refusal([.put(Put(key("a"), [], lease: 4))]) == .leaseNotFound)
        #expect(try refusal([.range(RangeQuery(.all, revision: 3))]) == .futureRevision)
        #expect(try story.tell(.compact(2)).refusal == nil)
        #expect(try refusal([.transaction(Transaction(then: [.range(RangeQuery(.all, revision: 1))]))]) == .compacted)
        #expect(story.store.revision == 2 && story.store.get(key("x")) == nil)
        // A branch that is not taken is not looked at.
        #expect(
            try story.tell(
                .transaction(Transaction(then: [], otherwise: [.put(Put(key("a"), [], lease: 4))]))
            ).refusal == nil)
    }

    @Test func leavesValueOrLeaseAsTheyAreWhenAsked() throws {
        var story = Telling()
        try story.tell(.grantLease(id: 7, ttl: 60))
        try story.put("a", "value", lease: 7)
        try story.tell(.transaction(Transaction(then: [.put(Put(key("a"), key("new"), ignoresLease: true))])))
        #expect(story.store.get(key("a"))?.lease == 7 && story.store.get(key("a"))?.value == key("new"))
        try story.tell(.transaction(Transaction(then: [.put(Put(key("a"), [], ignoresValue: true))])))
        let found = try #require(story.store.get(key("a")))
        #expect(found.lease == 0 && found.value == key("new") && found.version == 3 && found.createRevision == 2)
        #expect(story.store.leases[7]?.keys == [])
    }
}
