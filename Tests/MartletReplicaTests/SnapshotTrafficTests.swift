import Logging
import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Synchronization
import Testing

@testable import MartletReplica

/// Holds up work on a member's files as long as a condition holds.
final class Gate: Sendable {
    typealias Condition = @Sendable () async -> Bool
    private let condition = Mutex<Condition?>(nil)

    func shut(while condition: @escaping Condition = { true }) { self.condition.withLock { $0 = condition } }
    func open() { condition.withLock { $0 = nil } }

    func pass() async {
        while let condition = condition.withLock({ $0 }), await condition() { await Task.yield() }
    }
}

/// How a member's files are worked on.
struct Gates: Sendable {
    /// The checkpoint, and snapshots on their way in.
    let checkpoint = Gate()
    /// Snapshots on their way out.
    let snapshot = Gate()

    /// A folder whose work waits at these gates.
    func folder(_ path: String) async throws -> DataFolder {
        let isNew = !Files.exists("\(path)/checkpoint.sqlite")
        return try await DataFolder(
            simulatedIn: path, isNew: isNew,
            makeWorker: { name in
                let gate = name == "snapshot" ? snapshot : checkpoint
                return BlockingWorker(gate: { await gate.pass() })
            }, made: {})
    }
}

/// Counts the snapshots that a member installs.
final class Installations: ReplicaObserver {
    private let state = Mutex(0)
    var count: Int { state.withLock { $0 } }
    func began(after index: UInt64, isSnapshot: Bool) { if isSnapshot { state.withLock { $0 += 1 } } }
    func applied(_ entry: RaftEntry, _ applied: Applied, stateHash: UInt64) {}
}

extension TestGroup {
    /// Starts a member that keeps checkpoints in a folder.
    @discardableResult
    func start(_ name: String, in folder: DataFolder, _ pace: CheckpointPace, _ observer: Installations? = nil)
        async throws -> Replica
    {
        var parts = ReplicaParts()
        parts.pace = pace
        parts.observer = observer
        let ids = try identifiers(name)
        parts.peers = PeerConfiguration(
            name: name, listen: .ip("127.0.0.1", port: 0), peerURLs: ["http://127.0.0.1:\(id(name))"],
            clientURLs: ["http://\(name)"], bootstrap: bootstrap, security: nil)
        parts.transport = wire.transport(of: ids.member, in: world)
        let log = logs[name] ?? MemoryLog()
        logs[name] = log
        let replica = try await Replica.open(on: log, beside: folder, parts, in: world, logger: quiet)
        replicas[name] = replica
        return replica
    }

    /// Writes on the leader, one after the other.
    func write(_ count: Int, on replica: Replica) async throws {
        try await during { for number in 0..<count { _ = try await replica.propose(put("k\(number % 7)")) } }
    }

    /// Time passes.
    func pass(_ ticks: Int) async { for _ in 0..<ticks { await pass() } }
}

/// A group with files, of which one follower, with its gates and its counter, is about to need a snapshot.
struct LaggingGroup {
    let group: TestGroup
    let leader: Replica
    let laggard: Replica
    let name: String
    let gates: Gates
    let installations: Installations

    /// Cuts a follower off for so long that the entries which it lacks are gone.
    static func make(_ path: String, in world: TestWorld, heldBytes: Int) async throws -> LaggingGroup {
        let group = TestGroup(in: world)
        let pace = CheckpointPace(entries: 20, logMargin: 3, heldBytes: heldBytes)
        var gates: [String: Gates] = [:]
        var counters: [String: Installations] = [:]
        for name in group.names {
            (gates[name], counters[name]) = (Gates(), Installations())
            let folder = try await #require(gates[name]).folder("\(path)/\(name)")
            try await group.start(name, in: folder, pace, counters[name])
        }
        let leader = try await group.leader()
        let name = try #require(group.names.first { $0 != leader.name })
        let laggard = try #require(group.replicas[name])
        try await group.write(10, on: leader.replica)
        _ = try await group.equalStates()
        group.wire.cut(await laggard.identifiers.member)
        await group.pass(420)
        try await group.write(60, on: leader.replica)
        let last = await laggard.core.lastIndex
        try await group.wait("the log to be cut") { await leader.replica.core.startIndex > last }
        return LaggingGroup(
            group: group, leader: leader.replica, laggard: laggard, name: name, gates: try #require(gates[name]),
            installations: try #require(counters[name]))
    }

    func comeBack() async { group.wire.cut(await laggard.identifiers.member, false) }
}

@Suite struct ASnapshotOnItsWay {
    @Test func keepsTheCheckpointsFileAndRaftStillWhileItIsInstalled() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let lagging = try await LaggingGroup.make(path, in: world, heldBytes: 0)
                let (group, laggard) = (lagging.group, lagging.laggard)
                let written = await laggard.progress.index
                #expect(await laggard.store.appliedIndex > written, "there is something to write")
                lagging.gates.checkpoint.shut(while: { await !laggard.intake.takesEvents })
                await lagging.comeBack()
                try await group.wait("the snapshot to be installed") { await !laggard.intake.takesEvents }
                let isWritten = Flag()
                let checkpoint = Task(executorPreference: world.executor) {
                    await laggard.checkpointNow()
                    isWritten.set()
                }
                await group.pass(60)
                #expect(await laggard.core.role == .follower, "its clock stands still")
                #expect(!isWritten.isSet)
                lagging.gates.checkpoint.open()
                try await group.during { await checkpoint.value }
                #expect(await laggard.checkpointFailure == nil)
                let store = try await laggard.folder?.checkpoint.loadStore(HistoryLimits())
                #expect(try #require(store).appliedIndex >= 60)
                #expect(Set(try await group.equalStates()).count == 1)
                await group.close()
            }
        }
    }

    @Test(arguments: [256 << 20, 0])
    func findsTheEntriesAfterItInTheLeadersLog(heldBytes: Int) async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let lagging = try await LaggingGroup.make(path, in: world, heldBytes: heldBytes)
                let (group, leader, laggard) = (lagging.group, lagging.leader, lagging.laggard)
                lagging.gates.checkpoint.shut(while: { await !laggard.intake.isIdle })
                await lagging.comeBack()
                try await group.wait("a snapshot to be fetched") { await !laggard.intake.isIdle }
                let start = await leader.core.startIndex
                try await group.write(200, on: leader)
                #expect(await (leader.core.startIndex == start) == (heldBytes > 0))
                lagging.gates.checkpoint.open()
                #expect(Set(try await group.equalStates()).count == 1)
                if heldBytes > 0 {
                    #expect(lagging.installations.count == 1)
                    try await group.write(40, on: leader)
                    #expect(await leader.core.startIndex > start, "and then they are dropped")
                }
                await group.close()
            }
        }
    }

    @Test func isNamedAtOnceHoweverLongItIsMade() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let gates = Gates()
                let replica = try await Replica.open(
                    on: MemoryLog(), beside: try await gates.folder(path), in: world, logger: quiet)
                for number in 0..<50 { _ = try await replica.propose(put("k\(number)")) }
                func ask(_ request: PeerRequest, _ peer: UInt64 = 7) async throws -> PeerAnswer {
                    try PeerAnswer(decoding: try await replica.answer(request.encoded(), from: MemberID(peer)))
                }
                gates.snapshot.shut()
                #expect(try await ask(.openSnapshot(index: 20)) == .snapshot(id: 1))
                #expect(try await ask(.openSnapshot(index: 30)) == .snapshot(id: 1), "the one that is made already")
                #expect(try await ask(.openSnapshot(index: 20), 8) == .snapshot(id: 2))
                #expect(try await ask(.piece(snapshot: 1, number: 0)) == .notYet)
                await #expect(throws: PeerError.self) { _ = try await ask(.piece(snapshot: 1, number: 0), 8) }
                gates.snapshot.open()
                var pieces: [[UInt8]] = []
                var total: UInt64 = 0
                reading: while true {
                    let question = PeerRequest.piece(snapshot: 1, number: UInt64(pieces.count))
                    switch try await ask(question) {
                    case .notYet: await Task.yield()
                    case .piece(let bytes, let all):
                        #expect(try await ask(question) == .piece(bytes, of: all), "its answer was lost")
                        pieces.append(bytes)
                        total = all
                    default: break reading
                    }
                }
                #expect(pieces.reduce(0) { $0 + $1.count } == Int(total))
                for number in [UInt64.max, 0] {
                    await #expect(throws: PeerError.self) { _ = try await ask(.piece(snapshot: 1, number: number)) }
                }
                #expect(try await ask(.openSnapshot(index: 20)) == .snapshot(id: 3), "from the beginning")
                #expect(try await ask(.openSnapshot(index: 900), 9) == .snapshot(id: 4))
                await #expect(throws: PeerError.self, "it does not reach so far") {
                    while try await ask(.piece(snapshot: 4, number: 0), 9) == .notYet { await Task.yield() }
                }
                await replica.close()
            }
        }
    }

    /// However close the next wish comes to the end of the fetch before.
    @Test func isAskedForAgainAfterEachFailure() async throws {
        let world = TestWorld()
        try await world.run {
            let group = TestGroup(in: world)
            let failures = WarningCounter()
            let ids = try ["a", "b"].map { MemberID(try group.identifiers($0).member) }
            let peers = PeerConfiguration(
                name: "a", listen: .ip("127.0.0.1", port: 0), peerURLs: ["http://127.0.0.1:1"], clientURLs: [],
                bootstrap: group.bootstrap, security: nil)
            // Without a folder each snapshot fails.
            let replica = try await Replica.open(
                on: MemoryLog(), peers: peers, transport: group.wire.transport(of: ids[0].number, in: world),
                in: world, logger: Logger(label: "test") { _ in failures })
            let offer = RaftMessage(
                from: ids[1], to: ids[0], term: 9, body: .snapshot(index: 90, indexTerm: 8, sources: [ids[1]]))
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<4 {
                    tasks.addTask { for _ in 0..<200 { await replica.receive([.message(offer)]) } }
                }
            }
            for _ in 0..<200 { await Task.yield() }
            let before = failures.count
            await replica.receive([.message(offer)])
            for _ in 0..<200 { await Task.yield() }
            #expect(before > 0 && failures.count == before + 1)
            await replica.close()
        }
    }
}

/// Counts warnings.
final class WarningCounter: LogHandler {
    private let state = Mutex(0)
    var count: Int { state.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        // Nothing is kept.
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .warning }
        set {}
    }
    func log(event: LogEvent) { if event.level == .warning { state.withLock { $0 += 1 } } }
}
