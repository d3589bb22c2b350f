import MartletSimulation
import Testing

private typealias Call = ConcurrentCall<RegisterModel>

private func verdict(_ calls: [Call]) -> LinearizabilityChecker<RegisterModel>.Verdict {
    LinearizabilityChecker(calls).check()
}

@Suite struct TheLinearizabilityChecker {
    private func put(_ value: UInt64, _ start: UInt64, _ end: UInt64?) -> Call {
        Call(start: start, end: end, input: .put(value), output: .done)
    }
    private func get(_ value: UInt64?, _ start: UInt64, _ end: UInt64) -> Call {
        Call(start: start, end: end, input: .get, output: .value(value))
    }

    @Test func acceptsWhatHasAnOrder() {
        #expect(verdict([]) == .linearizable)
        #expect(verdict([put(1, 0, 10), get(nil, 1, 2), get(1, 3, 4)]) == .linearizable)
        #expect(verdict([put(1, 0, 10), put(2, 1, 9), get(2, 11, 12)]) == .linearizable)
        #expect(verdict([put(1, 0, 10), put(2, 1, 9), get(1, 11, 12)]) == .linearizable)
        // A write of unknown outcome may take effect late, or never.
        #expect(verdict([put(1, 0, nil), get(nil, 1, 2), get(1, 30, 40)]) == .linearizable)
        #expect(verdict([put(1, 0, nil), get(nil, 1, 2), get(nil, 30, 40)]) == .linearizable)
    }

    @Test func refusesWhatHasNone() {
        #expect(verdict([put(1, 0, 10), get(nil, 11, 12)]) == .violated, "a stale read")
        #expect(verdict([put(1, 0, 10), get(1, 1, 2), get(nil, 3, 4)]) == .violated, "a read that goes back")
        #expect(verdict([get(7, 1, 2)]) == .violated, "a value from nowhere")
        #expect(verdict([put(1, 5, nil), get(1, 1, 2)]) == .violated, "read before it was written")
        let swaps = [
            Call(start: 0, end: 10, input: .swap(nil, 1), output: .swapped(true)),
            Call(start: 1, end: 9, input: .swap(nil, 2), output: .swapped(true)),
        ]
        #expect(verdict(swaps) == .violated, "two cannot both be first")
        // 1 was overwritten before it was read again.
        #expect(
            verdict([put(1, 0, 1), put(2, 2, 3), get(2, 4, 5), get(1, 6, 7)]) == .violated)
    }

    @Test func findsAnOrderAmongManyThatOverlap() {
        var calls = (UInt64(0)..<12).map { put($0, 0, 100) }
        for (place, value) in [7, 3, 11].enumerated() {
            calls.append(get(UInt64(value), UInt64(10 + 10 * place), UInt64(11 + 10 * place)))
        }
        #expect(verdict(calls) == .linearizable)
        calls.append(get(7, 60, 61))
        #expect(verdict(calls) == .violated, "7 cannot come back")
    }
}

@Suite struct TheRevisionChecker {
    private func history(_ changes: [[KeyChange]]) -> StoreHistory {
        var history = StoreHistory()
        for change in changes { history.append(change) }
        return history
    }
    private func write(_ number: Int, _ changes: [KeyChange], at revision: Int64, _ times: ClosedRange<UInt64>)
        -> StoreCall
    {
        var call = StoreCall(number: number, client: 1, kind: .write, start: times.lowerBound)
        (call.end, call.outcome, call.success, call.revision) = (times.upperBound, .answered, changes, revision)
        return call
    }
    private func read(_ number: Int, _ reads: [KeyChange], at revision: Int64, _ times: ClosedRange<UInt64>)
        -> StoreCall
    {
        var call = StoreCall(number: number, client: 1, kind: .linearizableRead, start: times.lowerBound)
        (call.end, call.outcome, call.reads, call.revision) = (times.upperBound, .answered, reads, revision)
        return call
    }
    private func promises(_ calls: [StoreCall], _ history: StoreHistory) -> Set<String> {
        Set(RevisionChecker.violations(of: calls, in: history).map(\.promise))
    }
    private let a1 = KeyChange(key: "a", value: "1")
    private let a2 = KeyChange(key: "a", value: "2")
    private let noA = KeyChange(key: "a", value: nil)

    @Test func acceptsAGoodHistory() {
        let calls = [
            write(1, [a1], at: 2, 0...10), write(2, [a2], at: 3, 5...12), read(3, [a1], at: 2, 9...11),
            write(4, [noA], at: 4, 20...21), write(5, [noA], at: 4, 22...23), read(6, [noA], at: 4, 22...24),
        ]
        #expect(promises(calls, history([[a1], [a2], [noA]])) == [])
    }

    @Test func findsALostWrite() {
        #expect(promises([write(1, [a1], at: 2, 0...10)], history([])) == ["no acknowledged write is lost"])
        #expect(
            promises([write(1, [a1], at: 2, 0...10), write(2, [a2], at: 2, 0...10)], history([[a2]]))
                == ["no acknowledged write is lost"])
    }

    @Test func findsAWriteThatHappenedTwiceOrShouldNotHave() {
        #expect(promises([write(1, [a1], at: 2, 0...10)], history([[a1], [a1]])) == ["a write happens once"])
        var refused = write(1, [a1], at: 2, 0...10)
        refused.outcome = .refused
        #expect(promises([refused], history([[a1]])) == ["what is refused does not happen"])
        #expect(promises([], history([[a1]])) == ["nothing is invented"])
    }

    @Test func findsStaleReadsAndWritesOutOfOrder() {
        let good = history([[a1], [a2]])
        let writes = [write(1, [a1], at: 2, 0...10), write(2, [a2], at: 3, 11...20)]
        #expect(promises(writes + [read(3, [a1], at: 2, 21...22)], good) == ["no linearizable read is stale"])
        #expect(promises(writes + [read(3, [a1], at: 3, 21...22)], good) == ["reads see what is agreed on"])
        let swapped = [write(1, [a1], at: 2, 11...20), write(2, [a2], at: 3, 0...10)]
        #expect(promises(swapped, good) == ["writes follow real time"])
        var late = write(2, [a2], at: 3, 30...40)
        late.outcome = .unknown
        #expect(promises([writes[0], late], good) == [])
        late.start = 30
        #expect(
            promises([writes[0], late, read(3, [a2], at: 3, 20...25)], good) == ["writes follow real time"],
            "it was read before it was written")
    }

    @Test func findsAComparisonThatWasJudgedWrongly() {
        var call = write(2, [a2], at: 3, 11...20)
        call.conditions = [noA]
        #expect(
            promises([write(1, [a1], at: 2, 0...10), call], history([[a1], [a2]])) == ["comparisons are judged rightly"]
        )
        call.conditions = [a1]
        #expect(promises([write(1, [a1], at: 2, 0...10), call], history([[a1], [a2]])) == [])
    }

    @Test func judgesWatches() {
        let good = history([[a1], [KeyChange(key: "b", value: "9")], [a2], [noA]])
        func event(_ revision: Int64, _ change: KeyChange) -> WatchRecord.Event {
            WatchRecord.Event(revision: revision, change: change)
        }
        func promise(_ batches: [WatchRecord.Batch], from start: Int64 = 1) -> String? {
            var record = WatchRecord(name: "w", prefix: "a", start: start)
            record.batches = batches
            return WatchChecker.violations(of: record, in: good).first?.promise
        }
        typealias Batch = WatchRecord.Batch
        #expect(promise([]) == nil)
        #expect(
            promise([Batch(events: [event(2, a1)], revision: 3), Batch(events: [event(4, a2)], revision: 4)]) == nil)
        #expect(promise([Batch(events: [], revision: 3)], from: 2) == nil)
        #expect(promise([Batch(events: [event(4, a2)], revision: 4)]) == "watches are complete")
        #expect(
            promise([Batch(events: [event(2, a1)], revision: 3), Batch(events: [event(2, a1)], revision: 3)])
                == "watches tell a change once")
        #expect(promise([Batch(events: [event(4, a2), event(2, a1)], revision: 4)]) == "watches are ordered")
        #expect(promise([Batch(events: [], revision: 9)]) == "watches tell what is agreed on")
        #expect(
            promise([Batch(events: [event(2, a1)], revision: 3), Batch(events: [], revision: 2)])
                == "watches are ordered")
    }

    @Test func findsMembersThatDisagree() {
        var checker = AgreementChecker()
        func applied(_ hash: UInt64, _ changes: [KeyChange]) -> AgreementChecker.Applied {
            AgreementChecker.Applied(entry: 5, revision: 2, stateHash: hash, changes: changes)
        }
        checker.begin("m1", after: 0)
        checker.apply(applied(1, [a1]), at: 1, by: "m1")
        checker.apply(applied(1, [a1]), at: 1, by: "m2")
        #expect(checker.violations.isEmpty)
        #expect(checker.history().changes == [[a1]])
        checker.apply(applied(2, [a1]), at: 1, by: "m3")
        #expect(checker.violations.count == 1)
        checker.apply(applied(1, [a1]), at: 1, by: "m1")
        #expect(checker.violations.count == 2, "applied twice")
    }
}
