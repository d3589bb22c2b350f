import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Testing

@testable import MartletReplica

/// A store and its checkpoint, driven without a replica.
struct CheckpointedStore {
    var store: Store
    var pending = ChangeLog()
    var file: CheckpointFile

    init(
        _ path: String, history: HistoryLimits = HistoryLimits(), spareBytes: Int = Limits.deadBytes,
        chunkBytes: Int = Chunk.target
    ) throws {
        file = try CheckpointFile(path: path, spareBytes: spareBytes, chunkBytes: chunkBytes)
        store = Store(history)
    }

    mutating func apply(_ kind: Command.Kind) throws {
        let applied = try store.apply(index: store.appliedIndex + 1, payload: Command(kind).encoded())
        for event in applied.events { pending.append(event) }
    }

    var state: CheckpointState {
        var state = CheckpointState(identity: ReplicaIdentity(cluster: 7, member: 8))
        state.appliedIndex = store.appliedIndex
        state.appliedTerm = 3
        state.membership = Membership(voters: [MemberID(8)])
        state.take(store)
        return state
    }

    mutating func checkpoint() throws {
        try file.write(pending, state)
        pending = ChangeLog()
    }
}

/// Whether two stores answer alike: now, at each revision that can be read, and to watches.
func expectEqual(_ a: Store, _ b: Store, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(a.revision == b.revision && a.oldestRevision == b.oldestRevision, sourceLocation: sourceLocation)
    #expect(a.stateHash == b.stateHash && a.count == b.count, sourceLocation: sourceLocation)
    #expect(a.appliedIndex == b.appliedIndex && a.leases == b.leases, sourceLocation: sourceLocation)
    for revision in a.oldestRevision...a.revision {
        var query = RangeQuery(.all)
        query.revision = revision
        let (left, right) = (try a.range(query), try b.range(query))
        #expect(left.pairs == right.pairs, "at revision \(revision)", sourceLocation: sourceLocation)
    }
    let all = (scan: Int.max, events: Int.max)
    let left = try a.events(in: .all, after: a.oldestRevision, scanLimit: all.scan, eventLimit: all.events)
    let right = try b.events(in: .all, after: b.oldestRevision, scanLimit: all.scan, eventLimit: all.events)
    #expect(left.events == right.events, sourceLocation: sourceLocation)
}

/// Random commands over few keys, so that they meet.
func randomCommand(_ random: inout SplitMix64, _ store: Store, keys: UInt64 = 12) -> Command.Kind {
    func name() -> [UInt8] { key("k\(random.next() % keys)") }
    func value() -> [UInt8] {
        Array(repeating: UInt8(truncatingIfNeeded: random.next()), count: Int(random.next() % 40))
    }
    switch random.next() % 20 {
    case 0..<9: return .transaction(Transaction(then: [.put(key: name(), value: value())]))
    case 9..<12: return .transaction(Transaction(then: [.delete(key: name())]))
    case 12: return .transaction(Transaction(then: [.deleteRange(from: key("k1"), to: key("k2"))]))
    case 13..<16:
        let chosen = Set((0..<4).map { _ in name() }).sorted { $0.lexicographicallyPrecedes($1) }
        return .transaction(Transaction(then: chosen.map { .put(key: $0, value: value()) }))
    case 16: return .grantLease(id: Int64(random.next() % 5) + 1, ttl: 60)
    case 17: return .revokeLease(id: Int64(random.next() % 5) + 1)
    case 18: return .compact(store.revision - Int64(random.next() % 10))
    default:
        return .transaction(Transaction(then: [.put(Put(name(), value(), lease: Int64(random.next() % 5) + 1))]))
    }
}

@Suite struct ACheckpoint {
    @Test(arguments: UInt64(1)...40)
    func bringsBackEveryReadableRevision(seed: UInt64) throws {
        try withPath { path in
            var random = SplitMix64(seed: seed)
            let history = HistoryLimits(revisions: [0, 3, 20, 1000][Int(seed % 4)])
            let name = "\(path)/checkpoint.sqlite"
            // Less than nothing to spare, a little, and all.
            let spare = [-1 << 30, -(30 << 10), 1 << 30][Int(seed / 4 % 3)]
            var kept = try CheckpointedStore(name, history: history, spareBytes: spare)
            for round in 0..<12 {
                for _ in 0..<random.next() % 60 { try kept.apply(randomCommand(&random, kept.store)) }
                if random.next() % 4 == 0 {
                    kept.pending.drop(oldest: kept.store.oldestRevision)
                    kept.pending.compact()
                }
                try kept.checkpoint()
                try expectEqual(try kept.file.loadStore(history), kept.store)
                // Another run finds the dead rows by itself.
                if round % 3 == 2 { try kept.file.reopen() }
            }
            kept.file.close()
            // Nothing is left in the end but what can still be read.
            let again = try CheckpointFile(path: name, spareBytes: -1 << 30)
            try again.write(ChangeLog(), kept.state)
            var rows: [StoredVersion] = []
            try again.read { rows.append($0) }
            let past = rows.filter { $0.pair.modRevision <= kept.store.oldestRevision }
            #expect(Set(past.map(\.pair.key)).count == past.count && past.allSatisfy { !$0.isDeletion })
            try expectEqual(try again.loadStore(history), kept.store)
        }
    }

    /// With many small chunks the removal of dead rows stops in the middle of its rounds, and then another run finds
    /// what is left: a newer dead row of a key may be gone and an older one there.
    @Test(arguments: UInt64(1)...60)
    func findsEveryDeadRowAnew(seed: UInt64) throws {
        try withPath { path in
            var random = SplitMix64(seed: seed)
            let history = HistoryLimits(revisions: [0, 3, 20][Int(seed % 3)])
            let name = "\(path)/checkpoint.sqlite"
            let spare = -(8 << 10) - Int(seed % 10) << 10
            var kept = try CheckpointedStore(name, history: history, spareBytes: spare, chunkBytes: 200)
            for _ in 0..<40 {
                for _ in 0..<random.next() % 60 { try kept.apply(randomCommand(&random, kept.store, keys: 100)) }
                try kept.checkpoint()
                if random.next() % 5 == 0 {
                    try kept.file.reopen()
                    try expectEqual(try kept.file.loadStore(history), kept.store)
                }
            }
            kept.file.close()
            let again = try CheckpointFile(path: name, spareBytes: -1 << 30, chunkBytes: 200)
            try again.write(ChangeLog(), kept.state)
            var rows: [StoredVersion] = []
            try again.read { rows.append($0) }
            let past = rows.filter { $0.pair.modRevision <= kept.store.oldestRevision }
            #expect(Set(past.map(\.pair.key)).count == past.count && past.allSatisfy { !$0.isDeletion })
            try expectEqual(try again.loadStore(history), kept.store)
        }
    }

    /// Chunks are written ahead of the state that makes them count, and a crash may come between.
    @Test func thatWasNotFinishedCountsForNothing() throws {
        try withPath { path in
            let name = "\(path)/checkpoint.sqlite"
            var kept = try CheckpointedStore(name, history: .all)
            func leaveAhead() throws {
                let ahead = "INSERT INTO versions SELECT first + 1000000, rows, checksum, body FROM versions LIMIT 1"
                try SQLiteDatabase(path: name).execute(ahead)
            }
            func chunks() throws -> Int64 { try SQLiteDatabase(path: name).number("SELECT count(*) FROM versions") }
            var random = SplitMix64(seed: 5)
            for _ in 0..<50 { try kept.apply(randomCommand(&random, kept.store)) }
            try kept.checkpoint()
            try leaveAhead()
            try expectEqual(try kept.file.loadStore(.all), kept.store)
            try kept.file.reopen()
            try expectEqual(try kept.file.loadStore(.all), kept.store)
            for _ in 0..<50 { try kept.apply(randomCommand(&random, kept.store)) }
            try kept.checkpoint()
            #expect(try chunks() == 2)
            try leaveAhead()
            try kept.file.rewrite { $0.identity.member = 9 }
            #expect(try chunks() == 2)
            try expectEqual(try kept.file.loadStore(.all), kept.store)
        }
    }

    @Test func goesToTheFileInSteps() throws {
        try withPath { path in
            var kept = try CheckpointedStore("\(path)/checkpoint.sqlite", history: .all)
            let value = [UInt8](repeating: 1, count: 100_000)
            for number in 0..<50 {
                try kept.apply(.transaction(Transaction(then: [.put(key: key("k\(number % 20)"), value: value)])))
            }
            try kept.checkpoint()
            try expectEqual(try kept.file.loadStore(.all), kept.store)
        }
    }

    @Test func returnsTheSpaceOfWhatIsGone() throws {
        try withPath { path in
            let file = "\(path)/checkpoint.sqlite"
            var kept = try CheckpointedStore(file, history: HistoryLimits(revisions: 10), spareBytes: 1 << 20)
            for number in 0..<20_000 {
                let value = Array(repeating: UInt8(1), count: 1000)
                try kept.apply(.transaction(Transaction(then: [.put(key: key("k\(number)"), value: value)])))
            }
            try kept.checkpoint()
            let full = try Files.size(file)
            #expect(full > 20_000_000)
            #expect(try Files.size(file + "-wal") == 0, "the journal is emptied")
            try kept.apply(.transaction(Transaction(then: [.deleteRange(from: key("k"), to: key("l"))])))
            try kept.apply(.compact(kept.store.revision))
            try kept.checkpoint()
            #expect(try Files.size(file) < full / 4)
            #expect(try kept.file.loadStore(HistoryLimits()).count == 0)
        }
    }

    /// Minutes where each row of a change is compared with each other one.
    @Test(.timeLimit(.minutes(2))) func forgetsManyKeysThatWentInOneChange() throws {
        try withPath { path in
            let file = "\(path)/checkpoint.sqlite"
            var kept = try CheckpointedStore(file, history: HistoryLimits(revisions: 10_000), spareBytes: -1 << 30)
            let count = 40_000
            func putAll() throws {
                for first in stride(from: 0, to: count, by: 128) {
                    let numbers = first..<min(first + 128, count)
                    try kept.apply(
                        .transaction(Transaction(then: numbers.map { .put(key: key("k\($0)"), value: []) })))
                }
            }
            try putAll()
            try kept.apply(.transaction(Transaction(then: [.deleteRange(from: key("k"), to: key("l"))])))
            try putAll()
            try kept.checkpoint()
            // What the index knows is found out anew.
            try kept.file.closeWhole()
            let again = try CheckpointFile(path: file, spareBytes: -1 << 30)
            #expect(try again.loadStore(HistoryLimits(revisions: 10_000)).count == count)
            try kept.apply(.compact(kept.store.revision))
            kept.file = again
            try kept.checkpoint()
            var rows = 0
            try again.read { _ in rows += 1 }
            #expect(rows == count)
        }
    }

    @Test func thatIsDamagedIsRefusedOrTheSame() throws {
        try withPath { path in
            let file = "\(path)/checkpoint.sqlite"
            var kept = try CheckpointedStore(file)
            var random = SplitMix64(seed: 3)
            for _ in 0..<300 { try kept.apply(randomCommand(&random, kept.store)) }
            try kept.checkpoint()
            try kept.file.closeWhole()
            let whole = try Files.read(file)
            var refused = 0
            let rounds = 400
            for round in 0..<rounds {
                var bytes = whole
                if round % 4 == 3 { bytes.removeLast(Int(random.next() % UInt64(bytes.count)) + 1) }
                if round % 4 != 3 || random.next() % 2 == 0, !bytes.isEmpty {
                    for _ in 0...random.next() % 3 {
                        // Half of the damage goes to the first pages, where the structure is.
                        let reach = random.next() % 2 == 0 ? min(bytes.count, 512) : bytes.count
                        bytes[Int(random.next() % UInt64(reach))] ^= 1 << UInt8(random.next() % 8)
                    }
                }
                try? Files.unlinkFile(file + "-wal")
                try? Files.unlinkFile(file + "-shm")
                try Files.replace(bytes, at: file)
                do {
                    let opened = try CheckpointFile(path: file)
                    defer { opened.close() }
                    guard opened.state != nil else {
                        // A file cut to nothing is a new one: the folder knows that it is not.
                        #expect(bytes.count < whole.count)
                        continue
                    }
                    try expectEqual(try opened.loadStore(HistoryLimits()), kept.store)
                } catch ReplicaError.unusable(let why) {
                    refused += 1
                    #expect(why.contains(file))
                }
            }
            #expect(refused > rounds / 5)
        }
    }

    @Test func ofAnotherFormatOrProgramIsNamed() throws {
        try withPath { path in
            let file = "\(path)/checkpoint.sqlite"
            func refusal(of sql: String) throws -> String {
                try? Files.unlinkFile(file)
                try SQLiteDatabase(path: file).execute(sql)
                do { _ = try CheckpointFile(path: file) } catch ReplicaError.unusable(let why) { return why }
                return ""
            }
            let ours = "PRAGMA application_id=\(CheckpointFile.applicationID)"
            #expect(try refusal(of: "\(ours); PRAGMA user_version=9").contains("format 9 is newer"))
            #expect(try refusal(of: "\(ours); PRAGMA user_version=2").contains("format 2 is older"))
            #expect(try refusal(of: "PRAGMA user_version=3").contains("no checkpoint of this program"))
            #expect(try refusal(of: "CREATE TABLE t(a)").contains("no checkpoint of this program"))
            try Files.write(Array(repeating: 7, count: 8192), to: file)
            #expect(throws: ReplicaError.self) { _ = try CheckpointFile(path: file) }
        }
    }

    @Test func withNumbersAfterWhichNoneCanComeIsRefused() throws {
        let changes: [(inout CheckpointState) -> Void] = [
            { $0.appliedIndex = .max }, { $0.appliedTerm = .max }, { $0.base.position = .max },
            { $0.base.index = .max }, { $0.base.term = 1 << 63 }, { $0.hardState.term = .max },
            { $0.hardState.commit = .max }, { $0.revision = .max }, { ($0.revision, $0.oldest) = (.max, .max) },
            { $0.oldest = -1 },
        ]
        for change in changes {
            try withPath { path in
                var kept = try CheckpointedStore("\(path)/checkpoint.sqlite")
                try kept.checkpoint()
                try kept.file.rewrite(change)
                kept.file.close()
                do {
                    _ = try CheckpointFile(path: "\(path)/checkpoint.sqlite")
                    Issue.record("it was taken")
                } catch ReplicaError.unusable(let why) { #expect(why.contains("\(path)/checkpoint.sqlite")) }
            }
        }
    }

    @Test func thatFailsKeepsItsChangesForTheNext() throws {
        try withPath { path in
            var kept = try CheckpointedStore("\(path)/checkpoint.sqlite", history: HistoryLimits(revisions: 5))
            var progress = CheckpointProgress(keepsChanges: true)
            var random = SplitMix64(seed: 9)
            for _ in 0..<50 {
                for _ in 0..<20 { try kept.apply(randomCommand(&random, kept.store)) }
                var failed = progress.changes
                failed.append(kept.pending)
                progress.changes = ChangeLog()
                kept.pending = ChangeLog()
                progress.takeBack(failed, oldest: kept.store.oldestRevision)
            }
            try kept.file.write(progress.changes, kept.state)
            try expectEqual(try kept.file.loadStore(HistoryLimits(revisions: 5)), kept.store)
        }
    }
}

/// Makes a folder for one test and removes it after.
func withPath<T>(_ body: (String) throws -> T) throws -> T {
    let path = try Files.makeTemporaryDirectory(prefix: "martlet-checkpoint")
    defer { try? Files.remove(path) }
    return try body(path)
}

@Suite struct Resting {
    @Test func aStoreThatRestsWritesWhatWaits() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let replica = try await Replica.open(ReplicaConfiguration(directory: path), in: world, logger: quiet)
                func pass(_ seconds: Int) async {
                    for _ in 0..<seconds {
                        world.advance(by: .seconds(1))
                        await replica.tick()
                    }
                    await replica.fileWorker?.value
                }
                let value = String(repeating: "v", count: 300_000)
                _ = try await replica.propose(put("k", value))
                await pass(3)
                // What is little may wait.
                #expect(await replica.progress.index == 0)
                for number in 0..<20 { _ = try await replica.propose(put("k\(number)", value)) }
                // Seen for the first time, it looks like much work.
                await pass(1)
                #expect(await replica.progress.index == 0)
                await pass(1)
                #expect(await replica.progress.index >= 21)
                await replica.close()
            }
        }
    }
}
