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

/// One entry of the replicated log.
public struct RaftEntry: Sendable, Hashable {
    /// Its position; the first is 1.
    public var index: UInt64
    /// The term of the leader that made it.
    public var term: UInt64
    /// The command; empty for the entry with which a leader begins its term.
    public var payload: [UInt8]
    /// An entry from its parts.
    public init(index: UInt64, term: UInt64, payload: [UInt8]) {
        self.index = index
        self.term = term
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

    /// The kinds of messages (Raft, figure 2).
    public enum Body: Sendable, Hashable {
        /// A candidate asks for a vote; its log ends at (`lastIndex`, `lastTerm`).
        case requestVote(lastIndex: UInt64, lastTerm: UInt64)
        /// The answer.
        case vote(granted: Bool)
        /// A leader sends entries that follow (`previousIndex`, `previousTerm`), and its commit index.
        case append(previousIndex: UInt64, previousTerm: UInt64, entries: [RaftEntry], commit: UInt64)
        /// The follower's log is durable and equal to the leader's up to `match`.
        case appended(match: UInt64)
        /// The follower's log differs at `previousIndex`; `hint` is the highest index that may be equal.
        case conflict(previousIndex: UInt64, hint: UInt64)
    }

    /// A message from its parts.
    public init(from: MemberID, to: MemberID, term: UInt64, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }
}

/// What happens to a member.
public enum RaftEvent: Sendable, Hashable {
    /// One tick of the clock has passed.
    case tick
    /// The application proposes commands, in this order.
    case propose([[UInt8]])
    /// The write with this ticket, and all before it, are durable.
    case persisted(ticket: UInt64)
    /// A peer's message.
    case receive(RaftMessage)
}

/// What a member wants done, in this order.
public enum RaftEffect: Sendable, Hashable {
    /// Make this durable, in the order of tickets, then report ``RaftEvent/persisted(ticket:)``.
    case persist(RaftWrite)
    /// Send this; it may be lost, repeated or overtaken.
    case send(RaftMessage)
    /// These entries are committed: apply them in order. Each entry comes once per run of the member.
    case apply([RaftEntry])
    /// The proposal became these entries. It is decided when the entry of the same index *and term* is applied.
    case accepted(first: UInt64, count: Int, term: UInt64)
    /// The proposal was not taken: this member does not lead.
    case refused(leader: MemberID?)
    /// The member's role, term or known leader changed.
    case changed(role: RaftRole, term: UInt64, leader: MemberID?)
    /// The peer lacks entries that this member has dropped; it needs a snapshot.
    case needsSnapshot(MemberID)
}

/// One write to the log.
public struct RaftWrite: Sendable, Hashable {
    /// Names the write; each next one is higher.
    public var ticket: UInt64
    /// Set when it changed.
    public var hardState: HardState?
    /// Entries to append; an index that the log has already replaces that entry and all after it.
    public var entries: [RaftEntry]
}

/// What a member is in its term.
public enum RaftRole: Sendable, Hashable {
    /// Follows.
    case follower
    /// Wants to lead.
    case candidate
    /// Leads.
    case leader
}
