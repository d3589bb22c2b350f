/// What happens to a member.
public enum RaftEvent: Sendable, Hashable {
    /// One tick of the clock has passed.
    case tick
    /// The application proposes commands, in this order, on any member. Each is in the log at most once.
    case propose([Proposal])
    /// The application proposes commands that are only right as long as this member leads: they are written at once, or
    /// dropped, and nobody hears of that.
    case proposeAsLeader([[UInt8]])
    /// Nobody waits for these sequences any more. They may still be applied.
    case forget([UInt64])
    /// The application proposes another membership, on any member. `context` goes into the entry.
    case change(MembershipChange, sequence: UInt64, context: [UInt8])
    /// A linearizable read, on any member, under a number that the shell has not used before.
    case read(UInt64)
    /// The leader is to hand over to that voter; asked on any member.
    case transfer(to: MemberID)
    /// The write with this ticket, and all before it, are durable.
    case persisted(ticket: UInt64)
    /// A peer's message.
    case receive(RaftMessage)
    /// The connection to that member broke: what was under way may be lost.
    case unreachable(MemberID)
    /// The shell has put a snapshot in the place of its applied state. Only one that reaches past
    /// ``RaftCore/applied`` may be installed.
    case snapshotInstalled(SnapshotPosition)
    /// A snapshot could not be fetched from that member.
    case snapshotFailed(MemberID)
}

/// What a member wants done, in this order.
public enum RaftEffect: Sendable, Hashable {
    /// Make this durable, in the order of tickets, then report ``RaftEvent/persisted(ticket:)``.
    case persist(RaftWrite)
    /// Send this; it may be lost, repeated or overtaken.
    case send(RaftMessage)
    /// These entries are committed: apply them in order. Each entry comes once per run of the member.
    case apply([RaftEntry])
    /// These proposals of this member are not in the log and never will be.
    case refused(sequences: [UInt64], RaftRefusal)
    /// A snapshot was installed over these proposals: whether they were applied is not known here.
    case lost([UInt64])
    /// Answer these reads from the state as soon as it has applied `index`.
    case readable([UInt64], index: UInt64)
    /// No leader confirmed these reads in time; they may be asked again under new numbers.
    case unreadable([UInt64])
    /// The member's role, term or known leader changed.
    case changed(role: RaftRole, term: UInt64, leader: MemberID?)
    /// This membership is in force now: keep connections to all that it names.
    case membership(Membership)
    /// Fetch a snapshot that reaches `index` or further from the first of these that can give one, then report
    /// ``RaftEvent/snapshotInstalled(_:)`` or, for each source that failed, ``RaftEvent/snapshotFailed(_:)``.
    case fetchSnapshot(from: [MemberID], index: UInt64)
}

/// One write to the log, in the order of its fields.
public struct RaftWrite: Sendable, Hashable {
    /// Names the write; each next one is higher.
    public var ticket: UInt64
    /// Set when it changed.
    public var hardState: HardState?
    /// Set when a snapshot took the place of the log: all entries written before count no more.
    public var restart: SnapshotPosition?
    /// Entries to append; an index that the log has already replaces that entry and all after it.
    public var entries: [RaftEntry]
    /// A write from its parts.
    public init(
        ticket: UInt64, hardState: HardState? = nil, restart: SnapshotPosition? = nil, entries: [RaftEntry] = []
    ) {
        self.ticket = ticket
        self.hardState = hardState
        self.restart = restart
        self.entries = entries
    }
}

/// What a member is in its term.
public enum RaftRole: Sendable, Hashable {
    /// Follows, and votes.
    case follower
    /// Asks whether it would be elected.
    case preCandidate
    /// Wants to lead.
    case candidate
    /// Leads.
    case leader
    /// Follows without a vote.
    case learner
}

/// Why a proposal was not taken.
public enum RaftRefusal: UInt8, Sendable, Hashable, CaseIterable {
    /// Too much waits for being committed; try again later.
    case overloaded = 1
    /// Another change of membership is not finished.
    case changeInProgress = 2
    /// The member is one already.
    case alreadyMember = 3
    /// There is no such member, or no such learner.
    case notMember = 4
    /// The learner has not caught up.
    case learnerNotReady = 5
    /// A group keeps at least one voter.
    case lastVoter = 6
    /// Too few of the voters that the change leaves are alive.
    case quorumLost = 7
}
