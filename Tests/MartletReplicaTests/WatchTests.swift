import Logging
import MartletBase
import MartletStore
import Testing

@testable import MartletReplica

@Suite struct AWatch {
    /// A replica in memory, and its world.
    private func withReplica(
        history: Int = 10_000, _ body: @escaping @Sendable (Replica, TestWorld) async throws -> Void
    ) async throws {
        let world = TestWorld()
        try await world.run {
            let configuration = ReplicaConfiguration(directory: "", historyLimit: history)
            let replica = try await Replica.open(configuration, in: world, logger: quiet)
            try await body(replica, world)
            await replica.close()
        }
    }

    /// Reads until the watch has told of all through `revision`.
    private func read(_ watch: StoreWatch, through revision: Int64) async throws -> [StoreEvent] {
        var events: [StoreEvent] = []
        while let batch = try await watch.next() {
            events += batch.events
            if batch.revision >= revision { break }
        }
        return events
    }

    @Test func beginsAtAnyRevisionOfTheHistoryAndTellsAllThatFollowsOnce() async throws {
        try await withReplica { replica, _ in
            for number in 0..<40 {
                _ = try await replica.propose(
                    Transaction(then: [
                        .put(key: key("a\(number % 9)"), value: [1]), .put(key: key("b"), value: [2]),
                        .delete(key: key("a\((number + 4) % 9)")),
                    ]))
            }
            let all = try await read(try await replica.watch(from: [], to: end, after: 1), through: 41)
            #expect(Set(all.map(\.pair.modRevision)).count == 40)
            for start in 1...Int64(41) {
                let watch = try await replica.watch(from: key("a"), to: key("b"), after: start)
                watch.requestProgress()
                let expected = all.filter { $0.pair.modRevision > start && $0.pair.key != key("b") }
                #expect(try await read(watch, through: 41) == expected)
            }
            await #expect(throws: StoreError.future(current: 41)) {
                _ = try await replica.watch(from: [], to: end, after: 42)
            }
        }
    }

    @Test func losesNothingWhenItsReaderIsSlowerThanItsQueueIsLong() async throws {
        try await withReplica { replica, _ in
            let watch = try await replica.watch(from: [], to: end, after: 1)
            let count = Limits.watchEvents + 2000
            for batch in 0..<count / 100 {
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<100 {
                        group.addTask { _ = try? await replica.propose(put("k\(batch)/\(number)")) }
                    }
                }
            }
            let last = await replica.revision
            let revisions = try await read(watch, through: last).map(\.pair.modRevision)
            #expect(revisions == Array(2...last))
            // And it is live again.
            _ = try await replica.propose(put("one more"))
            #expect(try await watch.next()?.events.map(\.pair.key) == [key("one more")])
        }
    }

    @Test func isToldSoWhenTheHistoryLeftItBehind() async throws {
        try await withReplica(history: 20) { replica, _ in
            for number in 0..<10 { _ = try await replica.propose(put("k\(number)")) }
            let watch = try await replica.watch(from: [], to: end, after: 3)
            for number in 0..<50 { _ = try await replica.propose(put("k\(number)")) }
            await #expect(throws: StoreError.compacted(oldest: 41)) { _ = try await watch.next() }
            await #expect(throws: StoreError.compacted(oldest: 41)) {
                _ = try await replica.watch(from: [], to: end, after: 40)
            }
            #expect(try await replica.watch(from: [], to: end, after: 41).next()?.events.count == 20)
        }
    }

    @Test func isToldOfProgressWhenOnlyOthersKeysChange() async throws {
        try await withReplica { replica, world in
            let watch = try await replica.watch(from: key("a"), to: key("b"), after: 1)
            _ = try await replica.propose(put("z"))
            let waiting = Task(executorPreference: world.executor) { try await watch.next() }
            for _ in 0..<1000 { await Task.yield() }
            // Nothing before the second is over, then one empty batch.
            for _ in 0...Int(Limits.upkeep / Limits.tick) {
                world.advance(by: Limits.tick)
                for _ in 0..<100 { await Task.yield() }
            }
            let batch = try await waiting.value
            #expect(batch?.events == [] && batch?.revision == 2)
            watch.requestProgress()
            let asked = try await watch.next()
            #expect(asked?.events == [] && asked?.revision == 2)
        }
    }

    @Test func endsWhenCancelledByEitherSide() async throws {
        try await withReplica { replica, world in
            let watch = try await replica.watch(from: [], to: end, after: 1)
            let waiting = Task(executorPreference: world.executor) { try await watch.next() }
            for _ in 0..<100 { await Task.yield() }
            watch.cancel()
            await #expect(throws: CancellationError.self) { _ = try await waiting.value }
            let other = try await replica.watch(from: [], to: end, after: 1)
            let cancelled = Task(executorPreference: world.executor) { try await other.next() }
            for _ in 0..<100 { await Task.yield() }
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
            // A reader that was cancelled took nothing with it.
            _ = try await replica.propose(put("a"))
            #expect(try await other.next()?.events.count == 1)
        }
    }

    @Test func isForgottenByTheReplicaWhenItIsDropped() async throws {
        try await withReplica { replica, world in
            for _ in 0..<5 { _ = try await replica.watch(from: [], to: end, after: 1) }
            let kept = try await replica.watch(from: key("k"), to: end, after: 1)
            await replica.lookAfterWatchers()
            #expect(await replica.watcherCount == 1)
            kept.cancel()
        }
    }
}

extension Replica {
    fileprivate var watcherCount: Int { watchers.queues.count }
}
