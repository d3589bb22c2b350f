import MartletBase
import Testing

@testable import MartletStore

@Suite struct ALease {
    @Test func takesItsKeysWithItAtOneRevisionInTheirOrder() throws {
        var story = Telling()
        #expect(try story.tell(.grantLease(id: 1, ttl: 60)).result == .success(.lease(id: 1, ttl: 60)))
        for name in ["b", "a", "c"] { try story.put(name, lease: 1) }
        try story.put("kept")
        let applied = try story.tell(.revokeLease(id: 1))
        #expect(applied.events.map(\.pair.key) == [key("a"), key("b"), key("c")])
        #expect(applied.events.allSatisfy { $0.isDeletion && $0.pair.modRevision == 6 && $0.previous?.lease == 1 })
        #expect(try story.names(RangeQuery(.all)) == ["kept"] && story.store.leases.isEmpty)
        // One without keys changes no revision.
        try story.tell(.grantLease(id: 1, ttl: 60))
        #expect(try story.tell(.revokeLease(id: 1)).result == .success(.done(revision: 6)))
    }

    @Test func losesAKeyThatIsPutOnAnotherOrOnNoneOrDeleted() throws {
        var story = Telling()
        try story.tell(.grantLease(id: 1, ttl: 60))
        try story.tell(.grantLease(id: 2, ttl: 60))
        for name in ["a", "b", "c", "d"] { try story.put(name, lease: 1) }
        try story.put("a", lease: 2)
        try story.put("b")
        try story.delete("c")
        #expect(story.store.leases[1]?.keys == [key("d")] && story.store.leases[2]?.keys == [key("a")])
        try story.tell(.revokeLease(id: 1))
        #expect(try story.names(RangeQuery(.all)) == ["a", "b"])
    }

    @Test func isRefusedUnderAnIdThatIsNoneOrTakenAndWhenItIsTooLong() throws {
        var story = Telling()
        try story.tell(.grantLease(id: -9, ttl: 1))
        #expect(try story.tell(.grantLease(id: 0, ttl: 1)).refusal == .leaseNotFound)
        #expect(try story.tell(.grantLease(id: -9, ttl: 1)).refusal == .leaseExists)
        #expect(try story.tell(.grantLease(id: 3, ttl: Lease.longestTTL + 1)).refusal == .leaseTooLong)
        #expect(try story.tell(.revokeLease(id: 3)).refusal == .leaseNotFound)
        #expect(try story.tell(.grantLease(id: 3, ttl: -4)).result == .success(.lease(id: 3, ttl: 1)))
    }
}

@Suite struct ALeaseClock {
    private func second(_ number: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: 0) + .seconds(number) }

    @Test func saysWhichLeasesHaveEndedOnceUntilItIsTimeToAskAgain() {
        var clock = LeaseClock()
        clock.grant(1, ttl: 10, now: second(0))
        clock.grant(2, ttl: 5, now: second(0))
        clock.grant(3, ttl: 7, now: second(0))
        #expect(clock.next == second(5) && clock.due(now: second(4), limit: 9).isEmpty)
        #expect(clock.due(now: second(7), limit: 9) == [2, 3])
        #expect(clock.due(now: second(7), limit: 9).isEmpty, "they are being revoked")
        clock.revoke(2)
        #expect(clock.due(now: second(10), limit: 9) == [1, 3], "the revocation of 3 was lost")
        clock.revoke(1)
        clock.revoke(3)
        clock.revoke(3)
        #expect(clock.count == 0 && clock.next == nil)
    }

    @Test func givesALeaseItsWholeTimeAgainUnlessItHasEnded() {
        var clock = LeaseClock()
        clock.grant(1, ttl: 10, now: second(0))
        #expect(clock.renew(1, now: second(9)) == 10 && clock.due(now: second(18), limit: 9).isEmpty)
        #expect(clock.remaining(1, now: second(15)) == .seconds(4) && clock.remaining(2, now: second(15)) == nil)
        #expect(clock.renew(1, now: second(19)) == nil && clock.remaining(1, now: second(30)) == .zero)
        #expect(clock.due(now: second(19), limit: 9) == [1] && clock.renew(2, now: second(19)) == nil)
        clock.demote()
        #expect(clock.count == 0 && clock.renew(1, now: second(0)) == nil)
    }

    @Test func givesEveryLeaseItsWholeTimeWhenAMemberBeginsToLead() {
        var clock = LeaseClock()
        clock.promote([1: 10, 2: 20, 3: 5], now: second(100), extension: .seconds(1))
        #expect(clock.due(now: second(105), limit: 9).isEmpty && clock.due(now: second(111), limit: 9) == [3, 1])
    }

    @Test func bearsAHundredThousandLeasesThatEndAtOnceInPortions() {
        var clock = LeaseClock()
        let leases = Dictionary(uniqueKeysWithValues: (1...Int64(100_000)).map { ($0, Int64(10)) })
        clock.promote(leases, now: second(0))
        var random = SplitMix64(seed: 4)
        // Some are renewed, some are gone, some come.
        for _ in 0..<20_000 { _ = clock.renew(Int64(random.next() % 100_000) + 1, now: second(5)) }
        for id in Int64(1)...1_000 { clock.revoke(id) }
        for id in Int64(200_001)...200_500 { clock.grant(id, ttl: 2, now: second(1)) }
        var ended: [Int64] = []
        var portions = 0
        while case let portion = clock.due(now: second(12), limit: 500), !portion.isEmpty {
            if portion.count > 500 { Issue.record("a portion of \(portion.count)") }
            for id in portion { clock.revoke(id) }
            ended += portion
            portions += 1
        }
        #expect(Set(ended).count == ended.count && portions == (ended.count + 499) / 500)
        #expect(Array(ended.prefix(500)) == Array(Int64(200_001)...200_500), "the earliest come first")
        while case let portion = clock.due(now: second(15), limit: 500), !portion.isEmpty {
            for id in portion { clock.revoke(id) }
            ended += portion
        }
        #expect(ended.count == 99_500 && clock.count == 0)
    }
}
