import Logging
import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Testing

@testable import MartletReplica

/// All pieces of a snapshot, written to a file as a client does.
func save(_ reader: SnapshotReader, to path: String) async throws {
    let file = try RegularFile(making: path)
    var bytes = 0
    while let piece = try await reader.next() {
        try file.append(piece)
        bytes += piece.count
    }
    #expect(bytes == reader.totalBytes && bytes % 512 == 32)
}

@Suite struct ASnapshot {
    @Test func isOfOneMomentWhileWritesGoOn() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let folder = "\(path)/data"
                let replica = try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet)
                for number in 0..<200 { _ = try await replica.propose(put("k\(number % 50)", "\(number)")) }
                let reader = try await replica.snapshot()
                #expect(reader.revision == 201)
                for number in 0..<200 { _ = try await replica.propose(put("k\(number % 70)", "late")) }
                try await save(reader, to: "\(path)/snapshot")
                let status = try await SnapshotFile.status(of: "\(path)/snapshot")
                #expect(
                    status.revision == 201 && status.keys == 50 && status.member == nil && status.members.count == 1)
                await replica.close()
                #expect(try Files.list(folder).filter { $0.hasPrefix("outgoing") }.isEmpty)
                #expect(try Files.list(path) == ["data", "snapshot"])
            }
        }
    }

    @Test func withoutItsDigestOrDamagedIsRefusedByItsName() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: "\(path)/data"), in: world, logger: quiet)
                _ = try await replica.propose(put("a"))
                try await save(try await replica.snapshot(), to: "\(path)/good")
                await replica.close()
                let good = try Files.read("\(path)/good")
                var damaged = Array(good.dropLast(32))
                damaged.replaceSubrange(0..<100, with: repeatElement(7, count: 100))
                for (bytes, isTaken) in [
                    (Array(good.dropLast(32)), true), (Array(good.prefix(good.count / 2)), false), (damaged, false),
                    (Array(good.prefix(512 * 3)), false), ([], false),
                ] {
                    try Files.write(bytes, to: "\(path)/bad")
                    let attempts: [@Sendable (Bool) async throws -> SnapshotStatus] = [
                        { try await SnapshotFile.status(of: "\(path)/bad", skippingHashCheck: $0) },
                        { skips in
                            var options = RestoreOptions(name: "a", members: [("a", ["https://a:2380"])], token: "t")
                            options.skipsHashCheck = skips
                            return try await SnapshotFile.restore("\(path)/bad", into: "\(path)/new", options)
                        },
                    ]
                    for attempt in attempts {
                        do {
                            _ = try await attempt(false)
                            Issue.record("\(bytes.count) bytes were taken")
                        } catch { #expect("\(error)".hasPrefix("\(path)/bad: there is no SHA-256"), "\(error)") }
                        do {
                            _ = try await attempt(true)
                            #expect(isTaken)
                        } catch {
                            let why = "\(error)"
                            #expect(!isTaken && why.hasPrefix("\(path)/bad"), "\(why)")
                            #expect(!why.contains(".restoring") && !why.contains(".martlet-snapshot"), "\(why)")
                        }
                        try Files.remove("\(path)/new")
                    }
                }
            }
        }
    }

    @Test func leavesOnlySoManyAtATime() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: "\(path)/data"), in: world, logger: quiet)
                var readers: [SnapshotReader] = []
                for _ in 0..<Limits.snapshots { readers.append(try await replica.snapshot()) }
                await #expect(throws: ReplicaError.overloaded) { _ = try await replica.snapshot() }
                readers.removeLast()
                var next: SnapshotReader?
                for _ in 0..<1000 where next == nil {
                    next = try? await replica.snapshot()
                    // Its thread lets go of it a moment later.
                    if next == nil { try await Task.sleep(for: .milliseconds(1)) }
                }
                #expect(next != nil)
                await replica.close()
            }
        }
    }

    @Test func becomesTheFirstStateOfANewCluster() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: "\(path)/data"), in: world, logger: quiet)
                for number in 0..<100 { _ = try await replica.propose(put("k\(number % 30)", "\(number)")) }
                let before = try await replica.range(from: [], to: end)
                try await save(try await replica.snapshot(), to: "\(path)/snapshot")
                await replica.close()

                var options = RestoreOptions(name: "a", members: [("a", ["https://a:2380"])], token: "t")
                let plain = try await SnapshotFile.restore("\(path)/snapshot", into: "\(path)/plain", options)
                #expect(plain.revision == 101 && plain.oldestRevision == 1)
                options.bumpRevision = 1_000_000_000
                let bumped = try await SnapshotFile.restore("\(path)/snapshot", into: "\(path)/bumped", options)
                #expect(bumped.revision == 1_000_000_101 && bumped.oldestRevision == bumped.revision)
                for (name, revision) in [("plain", Int64(101)), ("bumped", bumped.revision)] {
                    let restored = try await Replica.open(
                        ReplicaConfiguration(directory: "\(path)/\(name)"), in: world, logger: quiet)
                    #expect(try await restored.range(from: [], to: end).pairs == before.pairs)
                    #expect(try await restored.propose(put("more")).revision == revision + 1)
                    #expect(await restored.identifiers != replica.identifiers)
                    await restored.close()
                    let again = try await Replica.open(
                        ReplicaConfiguration(directory: "\(path)/\(name)"), in: world, logger: quiet)
                    #expect(await again.revision == revision + 1)
                    await again.close()
                }
                await #expect(throws: ReplicaError.self, "the folder is not empty") {
                    try await SnapshotFile.restore("\(path)/snapshot", into: "\(path)/plain", options)
                }
            }
        }
    }

    @Test func restoresToTheSameStateOnEachMember() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                try await fill("\(path)/data", in: world)
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: "\(path)/data"), in: world, logger: quiet)
                try await save(try await replica.snapshot(), to: "\(path)/snapshot")
                await replica.close()
                let members = ["a", "b", "c"].map { ($0, ["https://\($0):2380"]) }
                var states: [CheckpointState] = []
                for name in ["a", "b", "c"] {
                    let options = RestoreOptions(name: name, members: members, token: "t")
                    _ = try await SnapshotFile.restore("\(path)/snapshot", into: "\(path)/\(name)", options)
                    let file = try CheckpointFile(path: "\(path)/\(name)/checkpoint.sqlite")
                    var state = try #require(file.state)
                    #expect(state.membership.voters.contains(MemberID(state.identity.member)))
                    state.identity.member = 0
                    states.append(state)
                    file.close()
                }
                #expect(Set(states).count == 1)
            }
        }
    }

    /// A member that still has the old data must not be taken for one of the restored cluster.
    @Test func becomesAClusterThatNobodyElseIsOf() throws {
        let members = ["a", "b", "c"].map { (name: $0, peerURLs: ["https://\($0):2380"]) }
        let options = RestoreOptions(name: "a", members: members, token: "t")
        let new = try Genesis.restored([1], options).identity
        let old = try Genesis.cluster(token: "t", members: members, name: "a").identity
        // The order in which the members are given says nothing.
        let reversed = RestoreOptions(name: "a", members: members.reversed(), token: "t")
        #expect(try Genesis.restored([1], reversed).identity == new)
        let others = try ["b", "c"].map {
            try Genesis.restored([1], RestoreOptions(name: $0, members: members, token: "t")).identity
        }
        #expect(others.allSatisfy { $0.cluster == new.cluster })
        #expect(Set((others + [new]).map(\.member)).count == 3)
        var (bumped, compacted) = (options, options)
        bumped.bumpRevision = 5
        compacted.marksCompacted = true
        let moved = members.dropLast() + [(name: "c", peerURLs: ["https://elsewhere:2380"])]
        let strangers = try [
            Genesis.restored([2], options), Genesis.restored([1], bumped), Genesis.restored([1], compacted),
            Genesis.restored([1], RestoreOptions(name: "a", members: members, token: "u")),
            Genesis.restored([1], RestoreOptions(name: "a", members: Array(moved), token: "t")),
        ].map(\.identity)
        #expect(Set((strangers + [new, old]).map(\.cluster)).count == 7)
        #expect(Set((strangers + [new, old]).map(\.member)).count == 7)
    }

    @Test func thatIsDamagedIsNotRestored() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                try await fill("\(path)/data", in: world)
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: "\(path)/data"), in: world, logger: quiet)
                try await save(try await replica.snapshot(), to: "\(path)/snapshot")
                await replica.close()
                let whole = try Files.read("\(path)/snapshot")
                let options = RestoreOptions(name: "a", members: [("a", [])], token: "t")
                var flipped = whole
                flipped[whole.count / 3] ^= 4
                for bytes in [flipped, Array(whole.dropLast(7)), Array(whole.dropLast(32)), []] {
                    try Files.write(bytes, to: "\(path)/damaged")
                    await #expect(throws: ReplicaError.self) {
                        try await SnapshotFile.restore("\(path)/damaged", into: "\(path)/new", options)
                    }
                    #expect(try Files.list(path).filter { $0.hasPrefix("new") }.isEmpty)
                }
                var trusting = options
                trusting.skipsHashCheck = true
                try Files.write(Array(whole.dropLast(32)), to: "\(path)/damaged")
                _ = try await SnapshotFile.restore("\(path)/damaged", into: "\(path)/new", trusting)
            }
        }
    }

    /// Sends a snapshot from one folder to another and stops after a number of steps of the installation.
    @Test func isInstalledWholeOrNotAtAll() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                var source = try CheckpointedStore("\(path)/checkpoint.sqlite")
                var random = SplitMix64(seed: 5)
                for _ in 0..<200 { try source.apply(randomCommand(&random, source.store)) }
                try source.checkpoint()
                try Files.makeDirectory("\(path)/target")
                let target = try await DataFolder(checkpointAt: "\(path)/target/checkpoint.sqlite")
                let own = ReplicaIdentity(cluster: 7, member: 9)
                let first = CheckpointState(identity: own)
                try target.checkpoint.write(ChangeLog(), first)

                let sender = try await DataFolder(checkpointAt: "\(path)/checkpoint.sqlite")
                let reader = try await SnapshotReader.make(of: sender, try sender.slots.take())
                let incoming = try IncomingSnapshot(into: target)
                while let piece = try await reader.next() { try await incoming.append(piece) }
                let (state, store) = try await incoming.finish(cluster: 7, history: .all)
                #expect(state.identity.member == 0)
                try expectEqual(store, source.store)
                #expect(target.checkpoint.state == first, "nothing has changed yet")

                let base = LogBase(position: 40, index: state.appliedIndex, term: state.appliedTerm)
                let hard = HardState(term: 9, vote: MemberID(9), commit: 0)
                try await target.install(incoming, as: own, hard, from: base)
                let installed = try #require(target.checkpoint.state)
                #expect(installed.identity == own && installed.base == base && installed.hardState == hard)
                try expectEqual(try target.checkpoint.loadStore(.all), source.store)
                await target.close()
                await sender.close()
                let reopened = try CheckpointFile(path: "\(path)/target/checkpoint.sqlite")
                try expectEqual(try reopened.loadStore(.all), source.store)
                #expect(try Files.list("\(path)/target").filter { $0.hasPrefix("incoming") }.isEmpty)
            }
        }
    }

    @Test func ofAnotherClusterOrDamagedOnItsWayIsNotInstalled() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                var source = try CheckpointedStore("\(path)/checkpoint.sqlite")
                try source.apply(.transaction(put("k")))
                try source.checkpoint()
                try Files.makeDirectory("\(path)/target")
                let target = try await DataFolder(checkpointAt: "\(path)/target/checkpoint.sqlite")
                let sender = try await DataFolder(checkpointAt: "\(path)/checkpoint.sqlite")
                for (cluster, flips) in [(UInt64(6), false), (7, true)] {
                    let reader = try await SnapshotReader.make(of: sender, try sender.slots.take())
                    let incoming = try IncomingSnapshot(into: target)
                    while var piece = try await reader.next() {
                        if flips { piece[piece.count / 2] ^= 1 }
                        try await incoming.append(piece)
                    }
                    await #expect(throws: ReplicaError.self) {
                        _ = try await incoming.finish(cluster: cluster, history: .all)
                    }
                    await incoming.discard()
                }
                await target.close()
                await sender.close()
            }
        }
    }
}
