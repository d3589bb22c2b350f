import Logging
import MartletBase
import MartletIO
import MartletStore
import Synchronization
import Testing

@testable import MartletReplica

/// What a test's proposers know: each key's highest acknowledged number, and the highest proposed.
final class Ledger: Sendable {
    private let state = Mutex<(acknowledged: [Int: Int], proposed: [Int: Int])>(([:], [:]))
    func propose(_ key: Int, _ number: Int) { state.withLock { $0.proposed[key] = number } }
    func acknowledge(_ key: Int, _ number: Int) { state.withLock { $0.acknowledged[key] = number } }
    var acknowledged: [Int: Int] { state.withLock { $0.acknowledged } }
    var proposed: [Int: Int] { state.withLock { $0.proposed } }
}

/// Makes a folder for one test and removes it after.
func withFolder<T>(_ body: (String) async throws -> T) async throws -> T {
    let path = try Files.makeTemporaryDirectory(prefix: "martlet-replica")
    defer { try? Files.remove(path) }
    return try await body(path)
}

/// Counts each of 8 keys up, one task a key, until the replica stops.
func countUp(_ replica: Replica, from start: [Int: Int], _ ledger: Ledger) async {
    await withTaskGroup(of: Void.self) { group in
        for key in 0..<8 {
            group.addTask {
                var number = start[key] ?? 0
                while true {
                    number += 1
                    ledger.propose(key, number)
                    guard (try? await replica.propose(put("key\(key)", "\(number)"))) != nil else { return }
                    ledger.acknowledge(key, number)
                }
            }
        }
    }
}

@Suite(.serialized) struct AReplicaThatCrashes {
    /// Runs a replica until a moment drawn from the seed, kills it, and looks at what the next one finds; three times.
    private func live(seed: UInt64, folder path: String?) async throws {
        let world = TestWorld()
        try await world.run {
            var random = SplitMix64(seed: seed)
            let ledger = Ledger()
            var records: [LogRecord] = []
            var counts: [Int: Int] = [:]
            for life in 1...3 {
                let log = CrashableLog(records, seed: random.next())
                let folder = if let path { try await DataFolder(checkpointAt: path) } else { DataFolder?.none }
                let pace = CheckpointPace(entries: 20, logMargin: 7)
                let replica = try await Replica.open(
                    on: log, beside: folder, historyLimit: 100, pace: pace, in: world, logger: quiet)
                for key in 0..<8 {
                    let found = await replica.get(Array("key\(key)".utf8)).map {
                        String(decoding: $0.value, as: UTF8.self)
                    }
                    counts[key] = Int(found ?? "0")
                    #expect(counts[key, default: -1] >= ledger.acknowledged[key, default: 0], "life \(life)")
                    #expect(counts[key, default: -1] <= ledger.proposed[key, default: 0], "life \(life)")
                }
                let start = counts
                let counting = world.spawn { await countUp(replica, from: start, ledger) }
                for _ in 0..<random.next() % 400 { await Task.yield() }
                records = await log.crash()
                await counting.value
                await replica.close()
            }
            #expect(!ledger.acknowledged.isEmpty)
        }
    }

    @Test(arguments: UInt64(1)...200)
    func keepsEveryAcknowledgedChange(seed: UInt64) async throws { try await live(seed: seed, folder: nil) }

    @Test(arguments: UInt64(1)...20)
    func keepsEveryAcknowledgedChangeWithCheckpoints(seed: UInt64) async throws {
        try await withFolder { try await live(seed: seed, folder: "\($0)/checkpoint.sqlite") }
    }

    @Test func failsEveryWaiterAndAllLaterOnesWhenTheDiskFails() async throws {
        let world = TestWorld()
        try await world.run {
            let log = CrashableLog()
            let replica = try await Replica.open(on: log, in: world, logger: quiet)
            _ = try await replica.propose(put("before"))
            let watch = try await replica.watch(from: [], to: end, after: 1)
            await log.fail()
            let stopped = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        do { _ = try await replica.propose(put("k\(number)")) } catch ReplicaError.stopped {
                            return true
                        } catch {}
                        return false
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(stopped == 300)
            await #expect(throws: ReplicaError.self) { try await replica.propose(put("late")) }
            #expect(await replica.get(key("before"))?.version == 1)
            #expect(try await replica.range(from: [], to: end).pairs.count == 1)
            #expect(try await watch.next()?.events.count == 1)
            await replica.close()
            #expect(try await watch.next() == nil)
        }
    }
}

@Suite struct AReplicaThatComesBack {
    @Test func hasTheSameStateAndDigestAndMuchLessLog() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let file = "\(path)/checkpoint.sqlite"
                let pace = CheckpointPace(entries: 100, logMargin: 10)
                let log = CrashableLog()
                let first = try await Replica.open(
                    on: log, beside: try await DataFolder(checkpointAt: file), historyLimit: 50, pace: pace, in: world,
                    logger: quiet)
                for number in 0..<500 { _ = try await first.propose(put("k\(number % 70)", "\(number)")) }
                _ = try await first.propose(Transaction(then: [.delete(key: key("k3"))]))
                await first.close()
                let before = try await first.range(from: [], to: end)
                let applied = await first.applied
                let identifiers = await first.identifiers
                let left = await log.crash()
                #expect(left.count < 120, "the log's front was dropped")

                let second = try await Replica.open(
                    on: CrashableLog(left), beside: try await DataFolder(checkpointAt: file), historyLimit: 50,
                    pace: pace, in: world, logger: quiet)
                let after = try await second.range(from: [], to: end)
                #expect(after.pairs == before.pairs && after.revision == before.revision)
                #expect(await second.identifiers == identifiers)
                // Only the new leader's empty entry came on top.
                #expect(await second.applied == (applied.index + 1, applied.hash))
                let result = try await second.propose(put("k3"))
                #expect(result.revision == before.revision + 1 && result.results == [nil])
                await #expect(throws: StoreError.compacted(oldest: before.revision - 49)) {
                    _ = try await second.watch(from: [], to: end, after: before.revision - 50)
                }
                await second.close()
            }
        }
    }

    @Test func livesInAFolderWithARealLogAndAloneInIt() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let configuration = ReplicaConfiguration(directory: "\(path)/deeper/data")
                let first = try await Replica.open(configuration, in: world, logger: quiet)
                await #expect(throws: LogError.self, "the folder is in use") {
                    try await Replica.open(configuration, in: world, logger: quiet)
                }
                for number in 0..<100 { _ = try await first.propose(put("k\(number % 30)", "\(number)")) }
                await first.close()
                let before = try await first.range(from: [], to: end)

                let second = try await Replica.open(configuration, in: world, logger: quiet)
                #expect(try await second.range(from: [], to: end).pairs == before.pairs)
                #expect(await second.revision == before.revision)
                #expect(await second.identifiers == first.identifiers)
                let large = Transaction(then: [
                    .put(key: key("large"), value: Array(repeating: 1, count: Limits.transactionBytes - 100))
                ])
                _ = try await second.propose(large)
                await second.close()

                try Files.write(Array("martlet-replica 4\n".utf8), to: "\(configuration.directory)/FORMAT")
                await #expect(throws: ReplicaError.self) {
                    try await Replica.open(configuration, in: world, logger: quiet)
                }
            }
        }
    }

    @Test func refusesAChangeThatIsTooLargeAndGoesOn() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(on: CrashableLog(), in: world, logger: quiet)
            let large = Transaction(then: [
                .put(key: key("large"), value: Array(repeating: 1, count: Limits.transactionBytes))
            ])
            await #expect(throws: ReplicaError.tooLarge(limit: Limits.transactionBytes)) {
                try await replica.propose(large)
            }
            #expect(try await replica.propose(put("small")).revision == 2)
            await replica.close()
        }
    }

    @Test func saysThatItsCheckpointFailsUntilOneIsWritten() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let file = "\(path)/checkpoint.sqlite"
                let replica = try await Replica.open(
                    on: CrashableLog(), beside: try await DataFolder(checkpointAt: file), historyLimit: 50, in: world,
                    logger: quiet)
                #expect(await replica.checkpointFailure == nil)
                try SQLiteDatabase(path: file).execute("ALTER TABLE versions RENAME TO hidden")
                _ = try await replica.propose(put("k"))
                await replica.checkpoint()
                #expect(await replica.checkpointFailure?.contains("versions") == true)
                try SQLiteDatabase(path: file).execute("ALTER TABLE hidden RENAME TO versions")
                await replica.checkpoint()
                #expect(await replica.checkpointFailure == nil)
                #expect(await replica.progress.changes.isEmpty)
                await replica.close()
            }
        }
    }

    @Test func refusesALogThatDoesNotReachTheCheckpoint() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let file = "\(path)/checkpoint.sqlite"
                let log = CrashableLog()
                func open(_ log: CrashableLog) async throws -> Replica {
                    try await Replica.open(
                        on: log, beside: try await DataFolder(checkpointAt: file), historyLimit: 50,
                        pace: CheckpointPace(entries: 10, logMargin: 3), in: world, logger: quiet)
                }
                let replica = try await open(log)
                for number in 0..<100 { _ = try await replica.propose(put("k\(number)")) }
                await replica.close()
                let left = await log.crash()
                await #expect(throws: ReplicaError.self, "the log is gone") { try await open(CrashableLog()) }
                await #expect(throws: ReplicaError.self, "the log's end is gone") {
                    try await open(CrashableLog(Array(left.prefix(2))))
                }
                try await open(CrashableLog(left)).close()
            }
        }
    }
}
