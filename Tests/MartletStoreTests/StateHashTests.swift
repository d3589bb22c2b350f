import MartletBase
import Testing

@testable import MartletStore

@Suite struct TheStatesHash {
    @Test func isTheSameForTheSameStateHoweverItCameAbout() throws {
        var (one, other) = (Telling(), Telling())
        for name in ["a", "b"] { try one.put(name, "1") }
        for name in ["a", "b"] { try other.put(name, "1") }
        #expect(one.store.stateHash == other.store.stateHash)
        try one.put("c", "2")
        try other.put("c", "3")
        #expect(one.store.stateHash != other.store.stateHash, "another value")
        // Revisions of their own are part of a pair.
        try one.delete("c")
        try other.delete("c")
        #expect(one.store.stateHash == other.store.stateHash, "the difference is gone")
        try one.tell(.grantLease(id: 1, ttl: 9))
        #expect(one.store.stateHash != other.store.stateHash, "a lease")
        try other.tell(.grantLease(id: 1, ttl: 9))
        try one.tell(.auth(.addRole(name: "r")))
        #expect(one.store.stateHash != other.store.stateHash, "a role")
        try other.tell(.auth(.addRole(name: "r")))
        try one.tell(.member(.add(MemberInfo(id: 1, peerURLs: []))))
        #expect(one.store.stateHash != other.store.stateHash, "a member")
    }

    @Test func feelsEveryByteOfAPair() {
        let pair = KeyValue(
            key: Array(0..<40), value: Array(0..<100), createRevision: 1, modRevision: 2, version: 3, lease: 4)
        var hashes: Set<UInt64> = [StateHash.of(pair)]
        var variants = 1
        func note(_ change: (inout KeyValue) -> Void) {
            var other = pair
            change(&other)
            hashes.insert(StateHash.of(other))
            variants += 1
        }
        for bit in 0..<8 {
            for index in 0..<40 { note { $0.key[index] ^= 1 << UInt8(bit) } }
            for index in 0..<100 { note { $0.value[index] ^= 1 << UInt8(bit) } }
        }
        note { $0.createRevision += 1 }
        note { $0.modRevision += 1 }
        note { $0.version += 1 }
        note { $0.lease += 1 }
        note { $0.value.append(0) }
        note { $0.key.append(0) }
        note { $0.value.removeLast() }
        note { ($0.key, $0.value) = ($0.value, $0.key) }
        #expect(hashes.count == variants)
    }

    @Test func isComparedWithTheOneThatAnEntryHadAndOnlyThere() throws {
        var story = Telling()
        var hashes: [UInt64] = [0]
        for number in 0..<20 {
            try story.put("k", "\(number)")
            hashes.append(story.store.stateHash.value)
        }
        #expect(try story.tell(.check(index: 7, hash: hashes[7])).divergence == nil)
        let found = try story.tell(.check(index: 8, hash: 12)).divergence
        #expect(found == Applied.Divergence(index: 8, expected: 12, found: hashes[8]))
        #expect(try story.tell(.check(index: 900, hash: 12)).divergence == nil, "that entry is not known here")
        #expect(story.store.stateHash(after: 20) == hashes[20] && story.store.stateHash(after: 0) == nil)
    }

    @Test func tellsACheckpointWhoseRowsAreNotThoseOfItsImage() throws {
        var story = Telling()
        for number in 0..<9 { try story.put("k\(number % 3)", "\(number)") }
        try story.delete("k1")
        try story.tell(.compact(5))
        let base = try story.store.range(RangeQuery(.all, revision: 5)).pairs.map { StoredVersion($0) }
        let later = try story.store.events(in: .all, after: 5, scanLimit: 99, eventLimit: 99).events
        let rows = base.sorted { $0.pair.modRevision < $1.pair.modRevision } + later.map(StoredVersion.init)
        func load(_ rows: [StoredVersion]) throws -> Store {
            var loader = Store.Loader(story.store.image, historyLimit: 99)
            for row in rows { try loader.add(row) }
            return try loader.finish()
        }
        #expect(try load(rows).stateHash == story.store.stateHash)
        #expect(rows.count == 9)
        for index in rows.indices {
            var lacking = rows
            lacking.remove(at: index)
            #expect(throws: StoreImageError.self) { try load(lacking) }
            var doubled = rows
            doubled.insert(rows[index], at: index)
            if index >= base.count { #expect(throws: StoreImageError.self) { try load(doubled) } }
        }
        var changed = rows
        changed[7].pair.value.append(1)
        #expect(throws: StoreImageError.self) { try load(changed) }
        #expect(throws: StoreImageError.self) { try load(rows.reversed()) }
    }

    @Test func followsARestoreUnderAnotherClusterAndAHigherRevision() throws {
        var story = Telling()
        for number in 0..<5 { try story.put("k\(number)") }
        var restored = story.store
        restored.raiseRevision(by: 1_000)
        restored.replaceMembers([MemberInfo(id: 9, peerURLs: ["https://n"])], clusterID: 77)
        restored.restartLog(at: 0)
        #expect(restored.revision == 1_006 && restored.oldestRevision == 1_006 && restored.clusterID == 77)
        #expect(restored.count == 5 && restored.stateHash != story.store.stateHash)
        var loader = Store.Loader(restored.image, historyLimit: 99)
        for pair in try restored.range(RangeQuery(.all)).pairs { try loader.add(StoredVersion(pair)) }
        #expect(try loader.finish().stateHash == restored.stateHash)
        #expect(
            try restored.apply(index: 1, payload: Transaction(then: [.delete(key: key("k1"))]).encoded()).revision
                == 1_007)
    }
}

@Suite struct MistakesMadeOnPurpose {
    /// What becomes of a short story; with nil nothing is wrong.
    private func outcome(_ mutation: StoreMutation?) throws -> [String] {
        var story = Telling(mutation)
        try story.tell(.grantLease(id: 1, ttl: 60))
        try story.put("a", lease: 1)
        try story.put("a")
        for number in 0..<80 { try story.put("b", "\(number)") }
        try story.tell(.compact(10))
        let events = try story.store.events(in: .all, after: 10, scanLimit: 999, eventLimit: 999).events.count
        let wrong = Condition.modRevision(key: key("b"), is: 5)
        let result = try story.tell(.transaction(Transaction(when: [wrong], then: [.put(Put(key("c"), []))])))
        try story.tell(.revokeLease(id: 1))
        let version = story.store.get(key("b"))?.version ?? 0
        return [
            "events \(events)", "condition \(result.transaction?.succeeded ?? false)", "version \(version)",
            "a \(story.store.get(key("a")) != nil)",
        ]
    }

    @Test(arguments: StoreMutation.allCases) func areSeen(mutation: StoreMutation) throws {
        let right = try outcome(nil)
        #expect(right == ["events 73", "condition false", "version 80", "a true"])
        #expect(try outcome(mutation) != right)
    }
}
