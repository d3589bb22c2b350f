import Logging
import MartletBase
import MartletIO
import MartletRaft
import MartletStore
import Testing

@testable import MartletReplica

@Suite struct AMemberWhoseQuorumIsLost {
    /// A member of three that has applied some entries, has some more in its log, and does not run.
    private func makeMember(_ folder: String) async throws -> Genesis {
        let members = ["a", "b", "c"].map { (name: $0, peerURLs: ["https://10.0.0.1:2380/\($0)"]) }
        let genesis = try Genesis.cluster(token: "t", members: members, name: "b")
        let (files, log) = try await DataFolder.open(folder)
        var state = try await StartingState.open(log, files, genesis: genesis, history: .all)
        var next = await log.bounds.upperBound
        var changes = ChangeLog()
        let first = try #require(genesis.entry)
        _ = try state.store.apply(first)
        for index in UInt64(2)...40 {
            let entry = RaftEntry(
                index: index, term: 4, payload: Command(.transaction(put("k\(index)"))).encoded())
            try await log.append([LogRecord(index: next, payload: RaftRecord.entry(entry).encoded())])
            next += 1
            if index <= 20 { for event in try state.store.apply(entry).events { changes.append(event) } }
        }
        state.appliedTerm = 4
        state.membership = genesis.membership
        state.hardState = HardState(term: 5, vote: nil, commit: 30)
        try files.checkpoint.write(changes, state.checkpoint)
        await log.close()
        await files.close()
        return genesis
    }

    @Test func goesOnAloneWithAllThatItHas() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let folder = "\(path)/data"
                let genesis = try await makeMember(folder)
                let found = try await LostQuorum.examine(folder)
                #expect(found.cluster == genesis.identity.cluster && found.member == genesis.identity.member)
                #expect(found.members.map(\.name).sorted() == ["a", "b", "c"] && found.voters.count == 3)
                #expect(found.lastIndex == 40 && found.commitIndex == 30 && found.term == 5)
                #expect(found.revision == 40 && found.keys == 39)
                #expect(try await LostQuorum.examine(folder) == found, "looking changes nothing")

                let after = try await LostQuorum.recover(folder)
                #expect(
                    after.cluster != found.cluster && after.member == found.member && after.voters == [found.member])
                #expect(after.members.map(\.name) == ["b"] && after.revision == 40 && after.term == 6)
                let replica = try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet)
                #expect(await replica.count == 39)
                #expect(try await replica.propose(put("more")).revision == 41)
                await replica.close()
                let again = try await LostQuorum.examine(folder)
                #expect(again.revision == 41 && again.cluster == after.cluster && again.voters == [found.member])
            }
        }
    }

    @Test func mayRaiseTheRevision() async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let folder = "\(path)/data"
                _ = try await makeMember(folder)
                #expect(try await LostQuorum.recover(folder, bumpRevision: 1_000_000).revision == 1_000_040)
                let replica = try await Replica.open(ReplicaConfiguration(directory: folder), in: world, logger: quiet)
                #expect(try await replica.propose(put("more")).revision == 1_000_041)
                await #expect(throws: StoreError.self) { _ = try await replica.watch(from: [], to: end, after: 40) }
                await replica.close()
            }
        }
    }

    @Test func saysWhatWasCutOffTheLog() async throws {
        try await withFolder { path in
            let folder = "\(path)/data"
            _ = try await makeMember(folder)
            let file = "\(folder)/wal/0000000000000001.log"
            var bytes = try Files.read(file)
            // A record of 1000 bytes, of which the first sector came to the disk.
            let end = (try #require(bytes.lastIndex { $0 != 0 }) / 512 + 1) * 512
            bytes.replaceSubrange(end..<end + 8, with: [1, 2, 3, 4, 0xe8, 3, 0, 0])
            try Files.write(bytes, to: file)
            let cut = try #require(try await LostQuorum.examine(folder).cut)
            #expect(cut.hasPrefix("\(file): cut 6 bytes with 0 whole records at byte"))
            #expect(try await LostQuorum.examine(folder).cut == nil)
        }
    }

    @Test func isNotLookedForWhereThereIsNone() async throws {
        try await withFolder { path in
            await #expect(throws: ReplicaError.self) { _ = try await LostQuorum.examine("\(path)/none") }
            #expect(!Files.exists("\(path)/none"))
        }
    }

    @Test func isTheOldOneOrTheNewOneAfterACrash() async throws {
        try await withFolder { path in
            let folder = "\(path)/data"
            let genesis = try await makeMember(folder)
            let (files, log) = try await DataFolder.open(folder)
            struct Crash: Error {}
            await #expect(throws: Crash.self) {
                try await files.changeOwner(from: genesis.identity, to: ReplicaIdentity(cluster: 1, member: 1)) {
                    throw Crash()
                }
            }
            await log.close()
            await files.close()
            #expect(try await LostQuorum.examine(folder).cluster == genesis.identity.cluster)
            #expect(try await LostQuorum.recover(folder).members.count == 1)
        }
    }
}

@Suite struct ALogThatIsRead {
    private func log(_ records: [RaftRecord]) async throws -> any LogDevice {
        let device = MemoryLog()
        try await device.append(
            records.enumerated().map { LogRecord(index: UInt64($0 + 1), payload: $1.encoded()) })
        return device
    }

    private func entry(_ index: UInt64, _ term: UInt64) -> RaftRecord {
        .entry(RaftEntry(index: index, term: term, payload: []))
    }

    @Test func forgetsWhatASnapshotTookThePlaceOf() async throws {
        let position = SnapshotPosition(index: 10, term: 3, membership: Membership(voters: [MemberID(1)]))
        let device = try await log([entry(1, 1), entry(2, 1), .restart(position), entry(11, 3), entry(12, 3)])
        let read = try await RecoveredLog(reading: device)
        #expect(read.base.index == 10 && read.entries.map(\.index) == [11, 12])
        // The same when the restart itself never came to the disk: the checkpoint says where the log begins.
        let cut = try await log([entry(1, 1), entry(2, 1), .hardState(HardState(term: 3, vote: nil, commit: 0))])
        let short = try await RecoveredLog(reading: cut, from: LogBase(position: 3, index: 10, term: 3))
        #expect(short.entries.isEmpty && short.base.index == 10 && short.hardState.term == 3)
    }

    @Test func thatDoesNotFitItsCheckpointIsRefused() async throws {
        let identity = ReplicaIdentity(cluster: 1, member: 1)
        func core(applied: UInt64, term: UInt64, _ records: [RaftRecord], from base: LogBase = LogBase()) async throws {
            var state = StartingState(identity: identity, store: Store(HistoryLimits()))
            state.store.restartLog(at: applied)
            state.appliedTerm = term
            let read = try await RecoveredLog(reading: try await log(records), from: base)
            _ = try read.core(RaftConfiguration(member: MemberID(1), session: 1, seed: 1), continuing: state)
        }
        try await core(applied: 2, term: 1, [entry(1, 1), entry(2, 1), entry(3, 2)])
        try await core(applied: 6, term: 2, [entry(5, 1), entry(6, 2)])
        try await core(applied: 9, term: 2, [entry(3, 1)], from: LogBase(position: 2, index: 9, term: 2))
        await #expect(throws: ReplicaError.self) { try await core(applied: 4, term: 2, [entry(1, 1), entry(2, 2)]) }
        await #expect(throws: ReplicaError.self) { try await core(applied: 2, term: 1, [entry(5, 1)]) }
        await #expect(throws: ReplicaError.self) { try await core(applied: 2, term: 1, [entry(1, 1), entry(2, 2)]) }
        await #expect(throws: ReplicaError.self) { try await core(applied: 0, term: 0, [entry(1, 1), entry(3, 1)]) }
    }
}
