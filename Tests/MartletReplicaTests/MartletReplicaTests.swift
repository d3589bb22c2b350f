import Logging
import MartletBase
import MartletStore
import Testing

@testable import MartletReplica

/// A key of these tests.
func key(_ text: String) -> [UInt8] { Array(text.utf8) }
/// A change that puts one key.
func put(_ name: String, _ value: String = "v") -> Transaction {
    Transaction(then: [.put(key: key(name), value: key(value))])
}
/// Logs nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
/// One past every key of these tests.
let end: [UInt8] = [0xFF]

@Suite struct AReplicaInMemory {
    @Test func answersEachOfAThousandConcurrentProposalsWithARevisionOfItsOwn() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(ReplicaConfiguration(directory: ""), in: world, logger: quiet)
            let revisions = try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<1000 {
                    group.addTask { try await replica.propose(put("k\(number)")).revision }
                }
                return try await group.reduce(into: Set<Int64>()) { $0.insert($1) }
            }
            #expect(revisions.count == 1000)
            #expect(revisions.max() == 1001)
            #expect(await replica.revision == 1001)
            let (pairs, revision, more) = try await replica.range(from: [], to: end)
            #expect(pairs.count == 1000 && revision == 1001 && !more)
            await replica.close()
            await #expect(throws: ReplicaError.self) { try await replica.propose(put("late")) }
            #expect(await replica.get(key("k7"))?.value == key("v"))
        }
    }

    @Test func givesAProposalItsWholeTimeAfterItsThreadWasBusyWithSomethingElse() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(ReplicaConfiguration(directory: ""), in: world, logger: quiet)
            #expect(try await replica.propose(put("late"), afterWorkOf: .seconds(8), in: world).succeeded)
            await replica.close()
        }
    }

    @Test func tellsAWatcherOfThePastAndThePresentWithoutGapOrRepeat() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(ReplicaConfiguration(directory: ""), in: world, logger: quiet)
            for number in 0..<50 { _ = try await replica.propose(put("a\(number)")) }
            let watch = try await replica.watch(from: key("a"), to: key("b"), after: 11)
            for number in 50..<100 { _ = try await replica.propose(put("a\(number)")) }
            var seen: [Int64] = []
            while seen.count < 90, let batch = try await watch.next() { seen += batch.events.map(\.pair.modRevision) }
            #expect(seen == Array(12...101))
            await replica.close()
            #expect(try await watch.next() == nil)
        }
    }
}

extension Replica {
    /// Proposes when time has gone by in which its clock could not go on.
    fileprivate func propose(
        _ transaction: Transaction, afterWorkOf time: Duration, in world: TestWorld
    ) async throws -> TransactionResult {
        world.advance(by: time)
        return try await propose(transaction)
    }
}
