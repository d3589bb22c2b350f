internal import DequeModule
internal import MartletBase
internal import MartletIO
internal import MartletRaft
public import MartletStore

/// What a member that does not run has in its folder.
public struct MemberReport: Sendable, Hashable {
    /// The cluster that the member is of.
    public var cluster: UInt64
    /// The member.
    public var member: UInt64
    /// All members that it knows, itself among them.
    public var members: [MemberInfo]
    /// Who of them vote.
    public var voters: [UInt64]
    /// The newest entry of its log, committed or not.
    public var lastIndex: UInt64
    /// Through which entry it knows the log to be committed.
    public var commitIndex: UInt64
    /// Its term.
    public var term: UInt64
    /// The store's revision when all of the log is applied.
    public var revision: Int64
    /// How many keys there are then.
    public var keys: Int
    /// What was cut off its log's end when it was opened for this; nil when nothing was.
    public var cut: String?
}

/// The way back when so many voters are gone for good that the others cannot agree on anything any more: one of them
/// goes on alone, with all that it has, as the only member of a new cluster.
///
/// Nothing that this member has is lost, entries that were never committed among it. What the lost members had and
/// this one never heard of is gone: choose the one whose log reaches furthest.
public enum LostQuorum {
    /// Looks at the folder of a member that does not run; changes nothing in it, but for what a crash has left.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    public static func examine(_ directory: String) async throws -> MemberReport {
        try await withMember(directory) { member in member.report }
    }

    /// Makes the member of `directory`, which does not run, the only one of a new cluster. A crash at any moment leaves
    /// the old member or the new one.
    /// - Parameter bumpRevision: by how much the revision goes up, so that no client sees one go back that it has seen;
    ///   0: not at all. With a bump the history is forgotten.
    /// - Returns: the member as it is then.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    public static func recover(_ directory: String, bumpRevision: Int64 = 0) async throws -> MemberReport {
        try await withMember(directory) { member in
            let folder = member.folder
            let old = member.state.identity
            let new = member.successor(bump: bumpRevision)
            let (changes, store) = (member.changes, member.state.store)
            try await folder.changeOwner(from: old, to: new.genesis.identity) {
                try new.replace(folder.checkpoint, changes: changes, store: store)
            }
            var report = member.report
            guard let state = folder.checkpoint.state else { return report }
            report.cluster = state.identity.cluster
            report.members = new.genesis.members
            report.voters = [state.identity.member]
            report.lastIndex = state.appliedIndex
            report.commitIndex = state.appliedIndex
            report.term = state.hardState.term
            report.revision = state.revision
            return report
        }
    }

    private static func withMember<Value>(_ directory: String, _ body: (StoppedMember) async throws -> Value)
        async throws -> Value
    {
        guard Files.exists("\(directory)/FORMAT") else {
            throw ReplicaError.unusable("\(directory) is no folder of a replica: there is no FORMAT file")
        }
        let (folder, log) = try await DataFolder.open(directory)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(try await StoppedMember(folder, log)))
        } catch { result = .failure(error) }
        await log.close()
        await folder.close()
        return try result.get()
    }
}

/// A member's files, with all of its log applied.
private struct StoppedMember {
    let folder: DataFolder
    var state: StartingState
    var hardState: HardState
    var lastIndex: UInt64
    var position: UInt64
    /// What the log changed after the checkpoint.
    var changes = ChangeLog()

    init(_ folder: DataFolder, _ device: any LogDevice) async throws {
        guard !folder.isNew else {
            throw ReplicaError.unusable("\(folder.directory) holds no member's data yet; there is nothing to recover")
        }
        self.folder = folder
        state = try await StartingState.open(device, folder, genesis: nil, history: .all)
        let log = try await RecoveredLog(reading: device, from: state.base, in: folder)
        let member = MemberID(state.identity.member)
        let core = try log.core(RaftConfiguration(member: member, session: 1, seed: 1), continuing: state)
        hardState = core.hardState
        lastIndex = core.lastIndex
        position = log.nextPosition
        for entry in log.entries where entry.index > state.store.appliedIndex { try apply(entry) }
    }

    private mutating func apply(_ entry: RaftEntry) throws {
        do {
            let applied = try state.store.apply(entry)
            if let divergence = applied.divergence { throw ReplicaError.unusable("\(folder.directory): \(divergence)") }
            for event in applied.events { changes.append(event) }
            state.appliedTerm = entry.term
            if entry.kind == .membership { state.membership = try MembershipEntry(decoding: entry.payload).membership }
        } catch let error as ByteCodecError {
            throw ReplicaError.unusable(
                "\(folder.directory)/wal: entry \(entry.index) cannot be read (\(error)); run the release that wrote it"
            )
        }
    }

    var report: MemberReport {
        MemberReport(
            cluster: state.identity.cluster, member: state.identity.member,
            members: state.store.members.values.sorted { $0.id < $1.id },
            voters: state.membership.voters.map(\.number), lastIndex: lastIndex, commitIndex: hardState.commit,
            term: hardState.term, revision: state.store.revision, keys: state.store.count,
            cut: folder.torn.map { "\($0)" })
    }

    func successor(bump: Int64) -> Successor {
        var own = state.store.members[state.identity.member] ?? MemberInfo(id: state.identity.member, peerURLs: [])
        own.isLearner = false
        let genesis = Genesis.recovered(from: state.identity, at: lastIndex, hardState.term, member: own)
        return Successor(
            genesis: genesis, term: hardState.term + 1, position: position, bump: bump, forgetsHistory: bump > 0)
    }
}
