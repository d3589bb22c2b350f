/// A member of the group. 0 is nobody.
public struct MemberID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number.
    public var number: UInt64
    /// A member by its number, not 0.
    public init(_ number: UInt64) { self.number = number }
    /// By number.
    public static func < (a: MemberID, b: MemberID) -> Bool { a.number < b.number }
    /// The number in hexadecimal.
    public var description: String { String(number, radix: 16) }
}

/// Names a proposal in the whole group, for good. (0, 0) marks what a leader wrote by itself.
public struct ProposalID: Sendable, Hashable {
    /// One run of the proposing member; drawn anew at each start, never 0.
    public var session: UInt64
    /// Rises within the session.
    public var sequence: UInt64
    /// An id from its parts.
    public init(session: UInt64, sequence: UInt64) {
        self.session = session
        self.sequence = sequence
    }
    /// The id of what a leader wrote by itself.
    public static let none = ProposalID(session: 0, sequence: 0)
}

/// One entry of the replicated log.
public struct RaftEntry: Sendable, Hashable {
    /// What an entry holds.
    public enum Kind: UInt8, Sendable, Hashable {
        /// A command for the application; empty and with no id: the mark with which a leader begins its term.
        case command = 0
        /// A ``MembershipEntry``.
        case membership = 1
    }

    /// Its position; the first is 1.
    public var index: UInt64
    /// The term of the leader that made it.
    public var term: UInt64
    /// What the payload is.
    public var kind: Kind
    /// Whose proposal it is.
    public var id: ProposalID
    /// The command, or a ``MembershipEntry``.
    public var payload: [UInt8]
    /// An entry from its parts.
    public init(index: UInt64, term: UInt64, kind: Kind = .command, id: ProposalID = .none, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.id = id
        self.payload = payload
    }
}

/// What a member must not forget (Raft, figure 2, "persistent state"), and the commit index, which it may.
public struct HardState: Sendable, Hashable {
    /// The latest term seen.
    public var term: UInt64
    /// Who got this member's vote in that term.
    public var vote: MemberID?
    /// The highest index known to be committed; a hint after a restart.
    public var commit: UInt64
    /// A state from its parts.
    public init(term: UInt64 = 0, vote: MemberID? = nil, commit: UInt64 = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }

    /// The later of two states of one member. Its term only rises, a vote within a term is given once, and the
    /// commit index only rises, so the order in which copies are found does not matter.
    public func merged(with other: HardState) -> HardState {
        var latest = term >= other.term ? self : other
        if term == other.term { latest.vote = vote ?? other.vote }
        latest.commit = max(commit, other.commit)
        return latest
    }
}

/// Where a snapshot of the applied state stands in the log, and who was a member there.
public struct SnapshotPosition: Sendable, Hashable {
    /// The last entry that the snapshot covers; 0 for none.
    public var index: UInt64
    /// That entry's term.
    public var term: UInt64
    /// The membership in force at that entry.
    public var membership: Membership
    /// A position from its parts.
    public init(index: UInt64 = 0, term: UInt64 = 0, membership: Membership = Membership()) {
        self.index = index
        self.term = term
        self.membership = membership
    }
}

/// A command on its way into the log.
public struct Proposal: Sendable, Hashable {
    /// Names it within the session of its member; rises from one to the next.
    public var sequence: UInt64
    /// The command.
    public var payload: [UInt8]
    /// A proposal from its parts.
    public init(sequence: UInt64, payload: [UInt8]) {
        self.sequence = sequence
        self.payload = payload
    }
}

/// A message between members.
public struct RaftMessage: Sendable, Hashable {
    /// Who sends it.
    public var from: MemberID
    /// Who gets it.
    public var to: MemberID
    /// The sender's term.
    public var term: UInt64
    /// What it says.
    public var body: Body

    /// The kinds of messages: Raft's figure 2, and what the thesis adds.
    public enum Body: Sendable, Hashable {
        /// Would you vote for me in the next term? My log ends at (`lastIndex`, `lastTerm`). Thesis 9.6.
        case requestPreVote(lastIndex: UInt64, lastTerm: UInt64)
        /// The answer, which promises nothing.
        case preVote(granted: Bool)
        /// A candidate asks for a vote. `forTransfer`: the leader itself wants it to lead (thesis 3.10).
        case requestVote(lastIndex: UInt64, lastTerm: UInt64, forTransfer: Bool)
        /// The answer.
        case vote(granted: Bool)
        /// A leader sends entries that follow (`previousIndex`, `previousTerm`), and its commit index.
        case append(previousIndex: UInt64, previousTerm: UInt64, entries: [RaftEntry], commit: UInt64)
        /// The follower's log is durable and equal to the leader's up to `match`.
        case appended(match: UInt64)
        /// The follower's log differs at `previousIndex`. `hint` is the highest index that may be equal, and
        /// `hintTerm` what the follower has there.
        case conflict(previousIndex: UInt64, hint: UInt64, hintTerm: UInt64)
        /// The leader lives. `commit` is not past what the receiver is known to hold. `round` counts upwards.
        case heartbeat(round: UInt64, commit: UInt64)
        /// The receiver still follows: rounds through `round` are confirmed (thesis 6.4). Waits for no disk.
        case heard(round: UInt64)
        /// You lack entries that are gone: fetch a snapshot that reaches (`index`, `indexTerm`) or further.
        case snapshot(index: UInt64, indexTerm: UInt64, sources: [MemberID])
        /// Stand for election at once (thesis 3.10).
        case timeoutNow
        /// A member asks the leader to hand over to that one.
        case transfer(to: MemberID)
        /// Forwarded proposals of one session, meant for the leader of this term alone. All sequences under `floor`
        /// are settled.
        case propose(session: UInt64, floor: UInt64, proposals: [Proposal])
        /// A forwarded change of membership; as above.
        case change(session: UInt64, floor: UInt64, sequence: UInt64, change: MembershipChange, context: [UInt8])
        /// The leader will not write these in this term.
        case refused(session: UInt64, sequences: [UInt64], refusal: RaftRefusal)
        /// From which index on are linearizable reads answered?
        case read(session: UInt64, token: UInt64)
        /// From this one on.
        case readIndex(session: UInt64, token: UInt64, index: UInt64)
    }

    /// A message from its parts.
    public init(from: MemberID, to: MemberID, term: UInt64, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }
}
