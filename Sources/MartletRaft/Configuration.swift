/// How a member takes part.
public struct RaftConfiguration: Sendable, Hashable {
    /// This member.
    public var member: MemberID
    /// Names this run of the member in the ids of its proposals; drawn at random at each start, not 0.
    public var session: UInt64
    /// Ticks without a leader's word after which a follower stands for election; drawn anew each time from
    /// `electionTicks ..< 2 * electionTicks`.
    public var electionTicks = 10
    /// Ticks between a leader's heartbeats.
    public var heartbeatTicks = 2
    /// Ticks by which those who lose the connection to their leader stand for election after each other.
    static let ticksBetweenStands = 3
    /// Ticks after which one that was not promised enough votes asks for them again: drawn from this up to twice as
    /// many. Asking disturbs nobody, and who said no may only have lost its leader a moment later.
    static let ticksBetweenAskings = 4
    /// How many bytes of entries one message carries, about.
    public var messageBytes = 1 << 20
    /// How many messages may be under way to one follower; the window grows up to this.
    public var inflightMessages = 64
    /// How many bytes may be under way to one follower.
    public var inflightBytes = 8 << 20
    /// Whether a leader answers reads by its lease, without a round. See ``RaftCore``: this trusts clocks.
    public var leaseReads = false
    /// A write that is not durable after so many ticks means a stalled disk.
    public var stallTicks = 40
    /// A peer that was silent for so many ticks is not waited for: the log is not kept for it.
    public var absenceTicks = 400
    /// How many bytes of proposals may wait for being committed; further ones are refused as overloaded.
    public var uncommittedBytes = 64 << 20
    /// Where all draws begin.
    public var seed: UInt64
    /// A rule to break, for tests that must find it; nil in production.
    public var mutation: RaftMutation?
    /// A member of a group.
    public init(member: MemberID, session: UInt64, seed: UInt64) {
        self.member = member
        self.session = session
        self.seed = seed
    }
}

/// Rules that a test can have broken, to see whether it notices.
public enum RaftMutation: String, Sendable, Hashable, CaseIterable {
    /// Commits an entry of an older term by counting (paper, figure 8).
    case countsOldTerms
    /// Forgets at a restart for whom it voted.
    case forgetsVote
    /// Votes for a candidate with an older log (paper, section 5.4.1).
    case votesForOlderLogs
    /// Acknowledges entries before they are durable.
    case acknowledgesBeforeFsync
    /// Answers reads without asking whether it still leads.
    case staleReads
    /// Answers reads before an entry of its own term is committed (thesis, section 6.4).
    case readsBeforeOwnTerm
    /// Proposes again what may still be committed.
    case reproposesTwice
    /// A leader writes a proposal again that it wrote before.
    case takesTwice
    /// Takes new voters without a joint membership (paper, section 6).
    case skipsJointMembership
}
