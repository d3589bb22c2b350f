import Logging
import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Synchronization
import Testing

@testable import MartletReplica

/// Three members in one process, on logs and a network in memory. Time is the test's.
final class TestGroup {
    let world: TestWorld
    let wire = Wire()
    let names: [String]
    var logs: [String: MemoryLog] = [:]
    var replicas: [String: Replica] = [:]

    init(_ names: [String] = ["a", "b", "c"], in world: TestWorld) {
        self.names = names
        self.world = world
    }

    var bootstrap: Bootstrap {
        .cluster(token: "test", members: names.map { .init(name: $0, peerURLs: ["http://127.0.0.1:\(id($0))"]) })
    }

    func id(_ name: String) -> UInt64 { UInt64(name.utf8.first ?? 0) }

    func identifiers(_ name: String) throws -> (cluster: UInt64, member: UInt64) {
        let ids = try bootstrap.identifiers(of: name)
        return try #require(ids)
    }

    /// Starts a member, or starts it again on its log.
    @discardableResult
    func start(_ name: String, as bootstrap: Bootstrap? = nil, on device: (any LogDevice)? = nil) async throws
        -> Replica
    {
        let way = bootstrap ?? self.bootstrap
        let ids = try #require(try way.identifiers(of: name))
        let log = logs[name] ?? MemoryLog()
        logs[name] = log
        let peers = PeerConfiguration(
            name: name, listen: .ip("127.0.0.1", port: 0), peerURLs: ["http://127.0.0.1:\(id(name))"],
            clientURLs: ["http://\(name)"], bootstrap: way, security: nil)
        let replica = try await Replica.open(
            on: device ?? log, peers: peers, transport: wire.transport(of: ids.member, in: world), in: world,
            logger: quiet)
        replicas[name] = replica
        return replica
    }

    /// Ends a member without a word: its log is kept.
    func kill(_ name: String) async {
        guard let replica = replicas.removeValue(forKey: name) else { return }
        wire.cut(await replica.identifiers.member)
        let records = (try? await logs[name]?.read(from: 1, limit: .max)) ?? []
        try? await during { await replica.close() }
        wire.cut(await replica.identifiers.member, false)
        let log = MemoryLog()
        try? await log.append(records)
        logs[name] = log
    }

    /// Lets time pass until `condition` holds.
    func wait(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<4000 {
            if try await condition() { return }
            await pass()
        }
        Issue.record("gave up waiting: \(what)")
        throw CancellationError()
    }

    /// One tick.
    func pass() async {
        world.advance(by: Limits.tick)
        for _ in 0..<20 { await Task.yield() }
    }

    /// Lets time pass while `body` runs.
    func during<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task(executorPreference: world.executor) { try await body() }
        let isOver = Flag()
        let watching = Task(executorPreference: world.executor) {
            _ = await task.result
            isOver.set()
        }
        try await wait("the work to end") { isOver.isSet }
        await watching.value
        return try await task.value
    }

    func leader() async throws -> (name: String, replica: Replica) {
        var found: (String, Replica)?
        try await wait("a leader") {
            for name in names {
                guard let replica = replicas[name] else { continue }
                let status = await replica.status
                if status.role == .leader, status.appliedIndex == status.lastIndex { found = (name, replica) }
            }
            return found != nil
        }
        return try #require(found)
    }

    func close() async {
        for name in replicas.keys.sorted() { await kill(name) }
    }
}

/// Set once.
final class Flag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}

/// Runs `body` with a group that is up.
func withGroup(
    _ names: [String] = ["a", "b", "c"], _ body: @escaping @Sendable (TestGroup) async throws -> Void
) async throws {
    let world = TestWorld()
    try await world.run {
        let group = TestGroup(names, in: world)
        for name in names { try await group.start(name) }
        try await body(group)
        await group.close()
    }
}

@Suite struct AGroupOfThree {
    @Test func takesWritesOnEachMemberAndShowsThemOnAll() async throws {
        try await withGroup { group in
            _ = try await group.leader()
            for name in group.names {
                let replica = try #require(group.replicas[name])
                let result = try await group.during { try await replica.propose(put("k-\(name)", name)) }
                #expect(result.succeeded)
            }
            for name in group.names {
                let replica = try #require(group.replicas[name])
                try await group.during { try await replica.confirmRead() }
                #expect(await replica.get(key("k-a"))?.value == key("a"))
                #expect(await replica.get(key("k-c"))?.value == key("c"))
                #expect(await replica.revision == 4)
            }
            let hashes = try await group.equalStates()
            #expect(Set(hashes).count == 1)
        }
    }

    @Test func goesOnWithoutItsLeaderAndTakesItBack() async throws {
        try await withGroup { group in
            let first = try await group.leader()
            _ = try await group.during { try await first.replica.propose(put("before")) }
            await group.kill(first.name)
            let other = try #require(group.replicas.sorted { $0.key < $1.key }.first?.value)
            _ = try await group.during { try await other.propose(put("after")) }
            #expect(try await group.leader().name != first.name)
            let again = try await group.start(first.name)
            try await group.during { try await again.confirmRead() }
            #expect(await again.get(key("before")) != nil)
            #expect(await again.get(key("after")) != nil)
            #expect(Set(try await group.equalStates()).count == 1)
        }
    }

    @Test func givesAMemberBackWhatItsDiskHasLost() async throws {
        try await withGroup { group in
            let leader = try await group.leader()
            for number in 0..<9 { _ = try await group.during { try await leader.replica.propose(put("k\(number)")) } }
            #expect(Set(try await group.equalStates()).count == 1)
            let name = try #require(group.names.first { $0 != leader.name })
            await group.kill(name)
            let log = try #require(group.logs[name])
            // Entries that it had acknowledged.
            try await log.truncateSuffix(from: await log.bounds.upperBound - 6)
            let again = try await group.start(name)
            try await group.wait("it to be told") { await again.revision == 10 }
            #expect(Set(try await group.equalStates()).count == 1)
            #expect(try await group.leader().name == leader.name)
        }
    }

    @Test func keepsWritesInFlightWhenItsLeaderIsCutOff() async throws {
        try await withGroup { group in
            let first = try await group.leader()
            let others = group.replicas.filter { $0.key != first.name }.sorted { $0.key < $1.key }.map(\.value)
            group.wire.cut(await first.replica.identifiers.member)
            let writes = Task(executorPreference: group.world.executor) {
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for number in 0..<20 {
                        tasks.addTask { _ = try await others[number % 2].propose(put("k\(number)")) }
                    }
                    try await tasks.waitForAll()
                }
            }
            let cutOff = Task(executorPreference: group.world.executor) { try await first.replica.propose(put("lost")) }
            try await group.during { try await writes.value }
            #expect(await others[0].revision == 21)
            await #expect(throws: ReplicaError.timedOut) { _ = try await group.during { try await cutOff.value } }
            group.wire.cut(await first.replica.identifiers.member, false)
            #expect(Set(try await group.equalStates()).count == 1)
            // Each once: a key that is put twice has version 2.
            let (pairs, _, _) = try await others[1].range(from: [], to: end)
            #expect(pairs.allSatisfy { $0.version == 1 })
        }
    }

    @Test func tellsAWatcherOfAFollower() async throws {
        try await withGroup { group in
            let leader = try await group.leader()
            let follower = try #require(group.replicas.first { $0.key != leader.name }?.value)
            let watch = try await follower.watch(from: key("a"), to: key("b"), after: 1)
            for number in 0..<5 {
                _ = try await group.during { try await leader.replica.propose(put("a\(number)")) }
            }
            try await group.during { try await follower.confirmRead() }
            var seen: [Int64] = []
            while seen.count < 5, let batch = try await watch.next() { seen += batch.events.map(\.pair.modRevision) }
            #expect(seen == [2, 3, 4, 5, 6])
        }
    }

    @Test func endsLeasesByItsLeadersClockAndKeepsThemAliveOnAnyMember() async throws {
        try await withGroup { group in
            let leader = try await group.leader()
            let follower = try #require(group.replicas.first { $0.key != leader.name }?.value)
            _ = try await group.during { try await follower.propose(Command(.grantLease(id: 7, ttl: 2))) }
            _ = try await group.during {
                try await follower.propose(
                    Transaction(then: [.put(Put(key("leased"), key("v"), lease: 7))]))
            }
            for _ in 0..<4 {
                for _ in 0..<40 { await group.pass() }
                #expect(try await group.during { try await follower.keepAlive(lease: 7) } == 2)
            }
            let time = try await group.during { try await follower.timeToLive(lease: 7) }
            #expect(time.granted == 2 && time.remaining > 0)
            try await group.wait("the lease to end") { await follower.get(key("leased")) == nil }
            #expect(try await group.during { try await follower.keepAlive(lease: 7) } == 0)
            #expect(try await group.during { try await leader.replica.timeToLive(lease: 7) } == .gone)
        }
    }

    @Test func handsLeadershipOverWhenAskedAndWhenItsLeaderEnds() async throws {
        try await withGroup { group in
            let first = try await group.leader()
            let heir = try #require(group.replicas.first { $0.key != first.name }?.value)
            let id = await heir.identifiers.member
            try await group.during { try await first.replica.transferLeadership(to: id) }
            try await group.wait("the heir to lead") { await heir.status.role == .leader }
            let closing = Task(executorPreference: group.world.executor) { await heir.close() }
            try await group.wait("another leader") {
                for (_, replica) in group.replicas where await replica.status.role == .leader && replica !== heir {
                    return true
                }
                return false
            }
            try await group.during { await closing.value }
        }
    }

    @Test func comparesItsStates() async throws {
        try await withGroup { group in
            let leader = try await group.leader()
            _ = try await group.during { try await leader.replica.propose(put("a")) }
            let before = await leader.replica.status.appliedIndex
            try await group.wait("a check") { await leader.replica.status.appliedIndex > before }
            // A quiet group is not asked again.
            let after = await leader.replica.status.appliedIndex
            for _ in 0..<900 { await group.pass() }
            #expect(await leader.replica.status.appliedIndex <= after + 1)
            let follower = try #require(group.replicas.first { $0.key != leader.name }?.value)
            await follower.spoil()
            _ = try await group.during { try await leader.replica.propose(put("b")) }
            try await group.wait("the follower to notice") { await follower.failure?.contains("differs") == true }
        }
    }
}

@Suite struct ALogWithoutRoom {
    @Test func isTriedAgainUntilThereIsRoom() async throws {
        let world = TestWorld()
        try await world.run {
            let log = FullLog()
            let replica = try await Replica.open(on: log, in: world, logger: quiet)
            _ = try await replica.propose(put("a"))
            await log.setFull(true)
            let waiting = Task(executorPreference: world.executor) { try await replica.propose(put("b")) }
            while await replica.failure == nil { await Task.yield() }
            await #expect(throws: ReplicaError.self) { try await replica.propose(put("c")) }
            #expect(await replica.get(key("a")) != nil)
            await log.setFull(false)
            while await replica.failure != nil {
                world.advance(by: .milliseconds(50))
                for _ in 0..<20 { await Task.yield() }
            }
            #expect(try await waiting.value.revision == 3)
            #expect(try await replica.propose(put("c")).revision == 4)
            // When room does not come back, who waits is told why.
            await log.setFull(true)
            let late = Task(executorPreference: world.executor) { try await replica.propose(put("d")) }
            while await replica.failure == nil { await Task.yield() }
            for _ in 0..<60 {
                world.advance(by: .milliseconds(25))
                for _ in 0..<20 { await Task.yield() }
            }
            let why = await #expect(throws: ReplicaError.self) { try await late.value }
            if case .undecided(let why) = why {
                // A client need not know where the files are.
                #expect(why.contains("No space left") && !why.contains("wal"))
            } else {
                Issue.record("\(why as Any)")
            }
            await log.setFull(false)
            while await replica.failure != nil {
                world.advance(by: .milliseconds(500))
                for _ in 0..<20 { await Task.yield() }
            }
            #expect(await replica.get(key("d")) != nil)
            await replica.close()
        }
    }

    @Test func readsOfWhatDoesNotArriveAreToldWhyBeforeTheirTimeIsOver() async {
        let begin = MonotonicTime(nanoseconds: 1)
        await #expect(throws: ReplicaError.noRoom("full")) {
            try await withCheckedThrowingContinuation { (continuation: ReadRounds.Continuation) in
                var reads = ReadRounds()
                reads.add(continuation, until: begin + Limits.read)
                let number = reads.ask() ?? 0
                // The leader has confirmed it for a state that is not there yet.
                reads.confirm([number], from: 9, applied: 5)
                reads.tick(begin + Limits.roomPatience, roomFailure: "full")
                #expect(reads.count == 1)
                reads.tick(begin + Limits.roomPatience + Limits.tick, roomFailure: "full")
                #expect(reads.count == 0)
            }
        }
    }

    @Test func lendsItsLeadershipToAnother() async throws {
        try await withGroup { group in
            let first = try await group.leader()
            await group.kill(first.name)
            let log = FullLog(try #require(group.logs[first.name]))
            _ = try await group.leader()
            let replica = try await group.start(first.name, on: log)
            let id = await replica.identifiers.member
            let now = try await group.leader()
            try await group.wait("it to be taken in") { await replica.status.leader != nil }
            try await group.during { try await now.replica.transferLeadership(to: id) }
            await log.setFull(true)
            let other = try #require(group.replicas.first { $0.key != first.name }?.value)
            _ = try await group.during { try await other.propose(put("while one is full")) }
            #expect(await replica.failure != nil)
            // What the others decide need not arrive here: it takes nothing that it could not answer.
            let refusal = await #expect(throws: ReplicaError.self) { try await replica.propose(put("not here")) }
            if case .noRoom(let why) = refusal {
                #expect(why.contains("No space left"))
            } else {
                Issue.record("\(refusal as Any)")
            }
            await log.setFull(false)
            try await group.wait("it to be well") { await replica.failure == nil }
            #expect(Set(try await group.equalStates()).count == 1)
        }
    }
}

/// A log on a disk that may be full.
actor FullLog: LogDevice {
    private let inner: MemoryLog
    private var isFull = false

    init(_ inner: MemoryLog = MemoryLog()) { self.inner = inner }

    func setFull(_ isFull: Bool) { self.isFull = isFull }

    var bounds: Range<UInt64> { get async { await inner.bounds } }
    func append(_ records: [LogRecord]) async throws {
        if isFull { throw LogError.refused(operation: "fallocate", file: "wal", Errno(28)) }
        try await inner.append(records)
    }
    func read(from index: UInt64, limit: Int) async throws -> [LogRecord] {
        try await inner.read(from: index, limit: limit)
    }
    func truncateSuffix(from index: UInt64) async throws { try await inner.truncateSuffix(from: index) }
    func truncatePrefix(before index: UInt64) async throws { try await inner.truncatePrefix(before: index) }
    func close() async { await inner.close() }
}

extension TestGroup {
    /// The members' hashes once all have applied the same.
    func equalStates() async throws -> [UInt64] {
        var hashes: [UInt64] = []
        try await wait("all members to be as far") {
            var indices: Set<UInt64> = []
            hashes = []
            for (_, replica) in replicas.sorted(by: { $0.key < $1.key }) {
                let applied = await replica.applied
                indices.insert(applied.index)
                hashes.append(applied.hash)
            }
            return indices.count == 1
        }
        return hashes
    }
}

extension Replica {
    /// Changes the state behind the log's back.
    fileprivate func spoil() { store.raiseRevision(by: 1) }
}
