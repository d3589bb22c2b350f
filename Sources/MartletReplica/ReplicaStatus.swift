internal import MartletBase
internal import MartletIO
public import MartletRaft
public import MartletStore

/// How a member is.
public struct ReplicaStatus: Sendable, Hashable {
    /// Its id.
    public var member: UInt64
    /// Its cluster's id.
    public var cluster: UInt64
    /// Its name.
    public var name: String
    /// Who leads, as far as it knows.
    public var leader: UInt64?
    /// The term.
    public var term: UInt64
    /// What it is in the term.
    public var role: RaftRole
    /// Whether it does not vote.
    public var isLearner: Bool
    /// Through which entry the log is known to be committed.
    public var commitIndex: UInt64
    /// Through which entry the log is applied.
    public var appliedIndex: UInt64
    /// The newest entry of its log.
    public var lastIndex: UInt64
    /// The size of its checkpoint.
    public var databaseBytes: Int
    /// The store's revision.
    public var revision: Int64
    /// Why it takes no changes; nil as long as it does.
    public var failure: String?
    /// What a leader knows of the others, by their ids; empty on others.
    public var peers: [UInt64: PeerProgress]
}

extension Replica {
    /// Raft's term.
    public var term: UInt64 { core.term }
    /// Who leads, as far as this member knows.
    public var leader: UInt64? { core.leader?.number }
    /// Whether this member leads, as far as it knows.
    public var leads: Bool { core.role == .leader }
    /// Whether somebody leads, or did until a moment ago: an election is no fault.
    public var isLed: Bool { core.leader != nil || now - upkeep.sawLeaderAt < .seconds(2) }

    /// Why this member has stopped for good, and has to be started anew or mended; nil as long as it works, or only
    /// waits for room.
    public var stopped: String? { hasFailed ? stopReason : nil }

    /// How this member is.
    public var status: ReplicaStatus {
        let member = core.member
        var peers: [UInt64: PeerProgress] = [:]
        for peer in core.membership.all where peer != member { peers[peer.number] = core.progress(of: peer) }
        let bytes = folder.flatMap { try? Files.size($0.checkpoint.path) } ?? 0
        return ReplicaStatus(
            member: identity.member, cluster: identity.cluster,
            name: store.members[identity.member]?.name ?? peerConfiguration?.name ?? "", leader: core.leader?.number,
            term: core.term, role: core.role, isLearner: core.membership.learners.contains(member),
            commitIndex: core.commit, appliedIndex: store.appliedIndex, lastIndex: core.lastIndex, databaseBytes: bytes,
            revision: store.revision, failure: failure, peers: peers)
    }

    /// The members, ordered by id. Who votes is as the group has it now.
    public var members: [MemberInfo] {
        store.members.values.sorted { $0.id < $1.id }.map { info in
            var info = info
            info.isLearner = core.membership.learners.contains(MemberID(info.id))
            return info
        }
    }
}
