// What others may see of a member, and what they may do to it from outside of its events.

extension RaftCore {
    /// This member.
    public var member: MemberID { configuration.member }
    /// The session of this run's proposals.
    public var session: UInt64 { configuration.session }
    /// The member's term.
    public var term: UInt64 { hard.term }
    /// The highest index known to be committed.
    public var commit: UInt64 { hard.commit }
    /// The hard state, for the log and for a checkpoint. Its term and vote may be ahead of what is durable, its commit
    /// index is not: after a write of which only the beginning survived, it would call committed what the disk still
    /// has there.
    public var hardState: HardState { HardState(term: term, vote: hard.vote, commit: min(commit, durable)) }
    /// The newest index in the log, durable or not.
    public var lastIndex: UInt64 { log.lastIndex }
    /// The index before the first entry that is held.
    public var startIndex: UInt64 { log.start.index }
    /// What the entries cost that are held, in bytes.
    public var logBytes: Int { log.bytes }
    /// A leader's peers that are alive have all entries through this one, or fetch a snapshot that reaches at least so
    /// far: what is before may be forgotten, and what is after they will want. Nil when nobody is waited for.
    public var wantedAfter: UInt64? {
        guard role == .leader else { return nil }
        let waiting = peers.lazy.filter {
            $0.leavingSince == nil && now - $0.heardAt < configuration.absenceTicks
        }
        return waiting.map { max($0.match, log.start.index) }.min()
    }
    /// The term of the entry at `index`, when it is held.
    public func term(at index: UInt64) -> UInt64? { log.term(at: index) }
    /// The membership in force.
    public var membership: Membership { memberships.latest }
    /// The membership in force at `index`, for a checkpoint there; nil when that is before the log.
    public func membership(at index: UInt64) -> Membership? { memberships.membership(at: index) }
    /// Whether the oldest write under way has taken longer than the configuration's `stallTicks`.
    public var isDiskStalled: Bool { writes.first.map { now - $0.since >= configuration.stallTicks } ?? false }

    /// What a leader knows of another member; nil when this one does not lead or the other gets nothing from it.
    public func progress(of member: MemberID) -> PeerProgress? {
        guard role == .leader, let peer = peers.first(where: { $0.member == member }) else { return nil }
        return PeerProgress(
            match: peer.match, next: peer.next, phase: peer.phase, window: peer.window, isActive: isActive(peer))
    }

    /// Forgets entries through `index`, which a durable checkpoint covers; at most what was applied.
    public mutating func compact(through index: UInt64) {
        log.drop(through: min(index, applied))
        memberships.drop(through: log.start.index)
        durable = max(durable, log.start.index)
    }

    /// Puts `membership` in force without asking anybody, as an entry of a new term: for recovery from a lost quorum.
    /// The caller must know that no other member of the old group will ever run again.
    public mutating func forceMembership(_ membership: Membership, context: [UInt8] = []) -> [RaftEffect] {
        follow(nil, term: term + 1)
        hard.vote = member
        let payload = MembershipEntry(membership: membership, context: context).encoded()
        place(RaftEntry(index: log.lastIndex + 1, term: term, kind: .membership, payload: payload))
        return step(.forget([]))
    }
}
