import MartletBase
import Testing

@testable import MartletStore

@Suite struct ARange {
    private func story() throws -> Telling {
        var story = Telling()
        for (name, value) in [("c", "1"), ("a", "3"), ("b", "2"), ("d", "2")] { try story.put(name, value) }
        try story.put("a", "0")
        return story
    }

    @Test func isSortedByWhatIsAskedAndCutAfterwards() throws {
        let story = try story()
        func names(_ target: RangeQuery.Target, _ descending: Bool, limit: Int = 0) throws -> String {
            try story.names(RangeQuery(.all, limit: limit, order: .init(target, descending: descending))).joined()
        }
        #expect(try names(.key, false) == "abcd" && names(.key, true) == "dcba")
        #expect(try names(.create, false) == "cabd" && names(.mod, true) == "adbc")
        #expect(try names(.value, false) == "acbd" && names(.value, true, limit: 2) == "bd")
        #expect(try names(.version, true, limit: 1) == "a")
        let cut = try story.store.range(RangeQuery(.all, limit: 3, order: .init(.key, descending: true)))
        #expect(cut.more && cut.count == 4)
    }

    @Test func countsAllItsKeysWhateverLimitAndBoundsLeaveOut() throws {
        let story = try story()
        var query = RangeQuery(KeyRange(from: key("b"), to: []), limit: 1)
        var found = try story.store.range(query)
        #expect(found.count == 3 && found.more && found.pairs.count == 1 && found.revision == 6)
        query.limit = 3
        #expect(try !story.store.range(query).more)
        query.minMod = 4
        query.maxMod = 4
        found = try story.store.range(query)
        #expect(found.count == 3 && found.pairs.map(\.key) == [key("b")])
        query = RangeQuery(.all)
        query.minCreate = 3
        query.maxCreate = 4
        #expect(try story.names(query) == ["a", "b"])
        query = RangeQuery(.all, countOnly: true)
        #expect(try story.store.range(query) == RangeResult(pairs: [], count: 4, more: false, revision: 6))
        query = RangeQuery(.all, keysOnly: true)
        #expect(try story.store.range(query).pairs.allSatisfy { $0.value.isEmpty && $0.version > 0 })
    }

    @Test func holdsWhatWasThereAtARevisionOfThePast() throws {
        var story = try story()
        try story.delete("b")
        let then = try story.store.range(RangeQuery(.all, revision: 4))
        #expect(then.pairs.map(\.key) == [key("a"), key("b"), key("c")] && then.count == 3 && then.revision == 7)
        #expect(then.pairs[0].value == key("3"))
        #expect(try story.store.range(RangeQuery(KeyRange(key: key("b")), revision: 6)).count == 1)
        #expect(try story.store.range(RangeQuery(KeyRange(key: key("b")))).count == 0)
        #expect(throws: StoreError.future(current: 7)) { try story.store.range(RangeQuery(.all, revision: 8)) }
        try story.tell(.compact(5))
        #expect(throws: StoreError.compacted(oldest: 5)) { try story.store.range(RangeQuery(.all, revision: 4)) }
        #expect(try story.store.range(RangeQuery(.all, revision: 5)).count == 4)
    }

    @Test func hasEndsLikeEtcds() throws {
        #expect(KeyRange(prefix: [1, 0xFF]) == KeyRange(from: [1, 0xFF], to: [2]))
        #expect(KeyRange(prefix: [0xFF, 0xFF]) == KeyRange(from: [0xFF, 0xFF], to: []))
        #expect(KeyRange(prefix: []) == .all)
        #expect(
            KeyRange(key: [5]).isSingleKey && !KeyRange(from: [5], to: [6]).isSingleKey && !KeyRange.all.isSingleKey)
        #expect(KeyRange(key: [5]).contains([5]) && !KeyRange(key: [5]).contains([5, 0]))
        #expect(KeyRange(from: [7], to: []).contains([0xFF, 0xFF]) && !KeyRange(from: [7], to: []).contains([6]))
        #expect(KeyRange(from: [7], to: [7]).isEmpty && KeyRange(from: [8], to: [7]).isEmpty && !KeyRange.all.isEmpty)
    }
}

@Suite struct Compaction {
    @Test func refusesWhatItHasForgottenAndWhatHasNotHappened() throws {
        var story = Telling()
        #expect(try story.tell(.compact(1)).refusal == nil)
        for _ in 0..<5 { try story.put("a") }
        #expect(try story.tell(.compact(7)).refusal == .futureRevision)
        #expect(try story.tell(.compact(4)).result == .success(.done(revision: 6)))
        #expect(try story.tell(.compact(4)).refusal == .compacted && story.tell(.compact(2)).refusal == .compacted)
        #expect(story.store.oldestRevision == 4 && story.store.revision == 6)
        #expect(throws: StoreError.compacted(oldest: 4)) {
            try story.store.events(in: .all, after: 3, scanLimit: 9, eventLimit: 9)
        }
        #expect(try story.store.events(in: .all, after: 4, scanLimit: 9, eventLimit: 9).events.count == 2)
    }

    @Test func doesNotChangeTheHashOfWhatRemains() throws {
        var story = Telling()
        for number in 0..<9 { try story.put("k\(number % 3)", "\(number)") }
        let before = (story.store.stateHash, try story.store.hashKV(at: 8).hash)
        try story.tell(.compact(7))
        #expect(before == (story.store.stateHash, try story.store.hashKV(at: 8).hash))
        #expect(try story.store.hashKV().compactRevision == 7)
        #expect(try story.store.hashKV(at: 8) != story.store.hashKV(at: 9))
        #expect(throws: StoreError.compacted(oldest: 7)) { try story.store.hashKV(at: 6) }
    }
}
