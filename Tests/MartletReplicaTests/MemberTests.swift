import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Testing

@testable import MartletReplica

/// A log that holds up its writes as long as a test wants.
actor GatedLog: LogDevice {
    private let inner = MemoryLog()
    private let gate: Gate
    private(set) var isHeld = false

    init(_ gate: Gate) { self.gate = gate }

    var bounds: Range<UInt64> { get async { await inner.bounds } }
    func append(_ records: [LogRecord]) async throws {
        isHeld = true
        await gate.pass()
        isHeld = false
        try await inner.append(records)
    }
    func read(from index: UInt64, limit: Int) async throws -> [LogRecord] {
        try await inner.read(from: index, limit: limit)
    }
    func truncateSuffix(from index: UInt64) async throws { try await inner.truncateSuffix(from: index) }
    func truncatePrefix(before index: UInt64) async throws { try await inner.truncatePrefix(before: index) }
    func close() async { await inner.close() }
}

@Suite struct AMember {
    /// Raft takes proposals in the order of their sequences, and a change has one, too.
    @Test func letsNoChangeOfMembersOvertakeTheWritesThatWait() async throws {
        let world = TestWorld()
        try await world.run {
            let gate = Gate()
            let log = GatedLog(gate)
            let replica = try await Replica.open(on: log, in: world, logger: quiet)
            gate.shut()
            var writes = [Task(executorPreference: world.executor) { try await replica.propose(put("k0")) }]
            while await !log.isHeld { await Task.yield() }
            for number in 1...5 {
                writes.append(Task(executorPreference: world.executor) { try await replica.propose(put("k\(number)")) })
            }
            while await replica.pending.count < 5 { await Task.yield() }
            let change = Task(executorPreference: world.executor) {
                try await replica.addMember(peerURLs: ["http://127.0.0.1:1"], isLearner: true)
            }
            while await !replica.pending.isEmpty { await Task.yield() }
            gate.open()
            for write in writes { _ = try await write.value }
            #expect(try await change.value.isLearner)
            #expect(await replica.members.count == 2)
            #expect(await replica.revision == 7)
            await replica.close()
        }
    }

    /// Ticks are 25 ms apart, and a lease must not be shorter than it was granted.
    @Test func givesLeasesTheirWholeTimeBetweenTwoTicks() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(on: MemoryLog(), in: world, logger: quiet)
            world.advance(by: .milliseconds(20))
            _ = try await replica.propose(Command(.grantLease(id: 1, ttl: 10)))
            #expect(try await replica.timeToLive(lease: 1).remaining == 10)
            world.advance(by: .milliseconds(4))
            await replica.beginToLead()
            #expect(try await replica.timeToLive(lease: 1).remaining == 10)
            await replica.close()
        }
    }

    @Test func keepsNoChangesForACheckpointThatIsNeverWritten() async throws {
        let world = TestWorld()
        try await world.run {
            let replica = try await Replica.open(on: MemoryLog(), in: world, logger: quiet)
            for number in 0..<50 { _ = try await replica.propose(put("k\(number)")) }
            #expect(await replica.progress.changes.count == 0)
            await replica.close()
        }
    }

    @Test func tellsAFollowersClientTheTimeOfALeaseWithVeryManyKeys() async throws {
        try await withGroup { group in
            let leader = try await group.leader()
            let follower = try #require(group.replicas.first { $0.key != leader.name }?.value)
            _ = try await group.during { try await follower.propose(Command(.grantLease(id: 7, ttl: 60))) }
            let long = String(repeating: "k", count: 30_000)
            for round in 0..<6 {
                let puts = (0..<100).map { Operation.put(Put(key("\(long)\(round)-\($0)"), [], lease: 7)) }
                _ = try await group.during { try await follower.propose(Transaction(then: puts)) }
            }
            let time = try await group.during { try await follower.timeToLive(lease: 7) }
            #expect(time.granted == 60)
            try await group.during { try await follower.confirmRead() }
            let bytes = await follower.withStore { $0.leases[7]?.keys.reduce(0) { $0 + $1.count } ?? 0 }
            #expect(bytes > Limits.peerFrameBytes)
        }
    }
}

@Suite struct AnAnswerBetweenPeers {
    @Test func thatIsTooLargeIsAFailureAndNotABrokenConnection() throws {
        for count in [0, Limits.peerFrameBytes - 9, Limits.peerFrameBytes - 8] {
            var writer = ByteWriter()
            PeerFrame.answer(3, Array(repeating: 1, count: count)).withinBounds.encode(into: &writer)
            var reader = PeerFrameReader()
            reader.feed(writer.bytes)
            switch try reader.next() {
            case .answer(3, let bytes): #expect(bytes.count == count && count + 9 <= Limits.peerFrameBytes)
            case .failure(3, let why): #expect(why.contains("\(count) bytes") && count + 9 > Limits.peerFrameBytes)
            default: Issue.record("neither an answer nor a failure")
            }
        }
    }
}
