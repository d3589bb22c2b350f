internal import DequeModule
internal import MartletBase

/// Raft's rules for one member, as a value: "In Search of an Understandable Consensus Algorithm" (Ongaro and
/// Ousterhout, extended version), figure 2 and sections 5.1 to 5.4. It knows no clock, disk or network.
///
/// Nothing leaves this value before what it rests on is durable: votes and acknowledgements wait inside it for
/// their write. A leader's own entries count toward a commit once they are durable here, so its disk works beside
/// its followers' disks (Ongaro's thesis, section 10.2.1).
///
/// It has no pre-votes, no leases, no changes of membership and no snapshots to peers.
public struct RaftCore: Sendable {
    let configuration: RaftConfiguration
    /// The membership in force.
    public internal(set) var membership: Membership
    var log: RaftLog
    var hard: HardState
    /// What of `hard` the last write carried.
    var writtenHard: HardState
    /// The member's role.
    public internal(set) var role: RaftRole = .follower
    /// The leader of the term, as far as known.
    public internal(set) var leader: MemberID?
    /// Through which index entries were handed out for applying.
    public internal(set) var applied: UInt64
    /// Through which index the log is durable here.
    public internal(set) var durable: UInt64

    var sinceHeard = 0
    var timeout = 0
    var votes: Set<MemberID> = []
    var peers: [MemberID: Progress] = [:]
    var random: SplitMix64

    /// Writes handed out and not yet durable, oldest first.
    var writes: Deque<PendingWrite> = []
    var nextTicket: UInt64 = 1
    /// Entries placed in the log since the last write was handed out.
    var unwrittenFrom: UInt64?
    /// Messages that wait for the write now being put together.
    var held: [RaftMessage] = []
    /// Effects of the step under way.
    var effects: [RaftEffect] = []

    /// What a leader knows of a follower.
    struct Progress: Sendable {
        /// The next index to send.
        var next: UInt64
        /// Through which index the follower's log is known to be durable and equal.
        var match: UInt64 = 0
        /// Whether the follower has answered since the last heartbeat.
        var heard = true
    }

    /// A write under way, and what waits for it.
    struct PendingWrite: Sendable {
        var ticket: UInt64
        var term: UInt64
        var vote: MemberID?
        var lastIndex: UInt64
        var lastTerm: UInt64
        var messages: [RaftMessage]
    }

    /// A member as it comes back from its disk: the hard state, a position that its checkpoint covers, the durable
    /// entries after it, in order and without gaps, and through which of them the checkpoint reaches.
    public init(
        _ configuration: RaftConfiguration, hardState: HardState = HardState(),
        snapshot: SnapshotPosition = SnapshotPosition(), entries: [RaftEntry] = [], applied: UInt64 = 0
    ) {
        self.configuration = configuration
        membership = snapshot.membership
        let snapshotIndex = snapshot.index
        let snapshotTerm = snapshot.term
        hard = hardState
        hard.term = max(hardState.term, entries.last?.term ?? snapshotTerm)
        if hard.term != hardState.term { hard.vote = nil }
        log = RaftLog(startIndex: snapshotIndex, startTerm: snapshotTerm)
        for entry in entries { log.place(entry) }
        self.applied = min(max(applied, snapshotIndex), log.lastIndex)
        hard.commit = min(max(hardState.commit, self.applied), log.lastIndex)
        writtenHard = hard
        durable = log.lastIndex
        random = SplitMix64(seed: configuration.seed)
        timeout = drawTimeout()
    }

    /// The member's term.
    public var term: UInt64 { hard.term }
    /// The highest index known to be committed.
    public var commit: UInt64 { hard.commit }
    /// The hard state, for a checkpoint: it may be ahead of what is durable.
    public var hardState: HardState { hard }
    /// The session of this run's proposals.
    public var session: UInt64 { configuration.session }
    /// This member.
    public var member: MemberID { configuration.member }
    /// The membership in force at `index`, for a checkpoint there; nil when it is before the log.
    public func membership(at index: UInt64) -> Membership? { index < log.start.index ? nil : membership }
    /// The newest index in the log, durable or not.
    public var lastIndex: UInt64 { log.lastIndex }
    /// The term of the entry at `index`, when it is held.
    public func term(at index: UInt64) -> UInt64? { log.term(at: index) }

    /// As ``step(_:)``, appending to `effects`, so that one array serves many steps.
    public mutating func step(_ event: RaftEvent, into effects: inout [RaftEffect]) {
        effects.append(contentsOf: step(event))
    }

    /// Takes one event and returns what is to be done about it, in order.
    public mutating func step(_ event: RaftEvent) -> [RaftEffect] {
        switch event {
        case .tick: tick()
        case .propose(let proposals): propose(proposals)
        case .persisted(let ticket): persisted(ticket)
        case .receive(let message): receive(message)
        case .read(let number): effects.append(.readable([number], index: hard.commit))
        case .forget, .change, .transfer, .unreachable, .snapshotInstalled, .snapshotFailed: break
        }
        flush()
        defer { effects.removeAll(keepingCapacity: true) }
        return effects
    }

    /// Forgets entries through `index`, which a checkpoint covers; at most what was applied.
    public mutating func compact(through index: UInt64) { log.drop(through: min(index, applied)) }

    private mutating func tick() {
        sinceHeard += 1
        if role == .leader {
            if sinceHeard >= configuration.heartbeatTicks { heartbeat() }
        } else if sinceHeard >= timeout || membership.voters == [configuration.member] {
            campaign()
        }
    }

    private mutating func propose(_ proposals: [Proposal]) {
        guard role == .leader else {
            effects.append(.refused(sequences: proposals.map(\.sequence), .overloaded))
            return
        }
        guard !proposals.isEmpty else { return }
        for proposal in proposals {
            let id = ProposalID(session: configuration.session, sequence: proposal.sequence)
            place(RaftEntry(index: log.lastIndex + 1, term: term, id: id, payload: proposal.payload))
        }
        broadcast()
    }

    private mutating func persisted(_ ticket: UInt64) {
        while let write = writes.first, write.ticket <= ticket {
            writes.removeFirst()
            // An entry that was replaced since is durable for nothing.
            if log.term(at: write.lastIndex) == write.lastTerm { durable = max(durable, write.lastIndex) }
            effects += write.messages.map(RaftEffect.send)
            if role == .candidate, write.term == term, write.vote == configuration.member {
                count(voteOf: configuration.member)
            }
        }
        if role == .leader { advanceCommit() }
    }

    /// Places an entry in the log and remembers to write it.
    mutating func place(_ entry: RaftEntry) {
        log.place(entry)
        durable = min(durable, entry.index - 1)
        unwrittenFrom = min(unwrittenFrom ?? entry.index, entry.index)
    }

    /// Hands out what changed: first the write, then the entries that may be applied.
    private mutating func flush() {
        let mustWrite = hard.term != writtenHard.term || hard.vote != writtenHard.vote || unwrittenFrom != nil
        if mustWrite {
            let entries = unwrittenFrom.map { log.slice(from: $0, through: log.lastIndex) } ?? []
            let state = hard == writtenHard ? nil : hard
            effects.append(.persist(RaftWrite(ticket: nextTicket, hardState: state, entries: entries)))
            writes.append(
                PendingWrite(
                    ticket: nextTicket, term: term, vote: hard.vote, lastIndex: log.lastIndex,
                    lastTerm: log.lastTerm, messages: held))
            nextTicket += 1
            writtenHard = hard
            unwrittenFrom = nil
        } else if let last = writes.indices.last {
            // What these say may rest on the write that is under way.
            writes[last].messages += held
        } else {
            effects += held.map(RaftEffect.send)
        }
        held.removeAll(keepingCapacity: true)
        if applied < hard.commit {
            let entries = log.slice(from: applied + 1, through: hard.commit)
            applied = hard.commit
            effects.append(.apply(entries))
        }
    }

    mutating func drawTimeout() -> Int {
        let span = UInt64(max(configuration.electionTicks, 1))
        return Int(span + random.next() % span)
    }

    mutating func announce() { effects.append(.changed(role: role, term: term, leader: leader)) }

    /// Queues a message of this member's term. One that promises something waits for the write under way.
    mutating func send(_ body: RaftMessage.Body, to peer: MemberID, afterWrite: Bool) {
        let message = RaftMessage(from: configuration.member, to: peer, term: term, body: body)
        if afterWrite { held.append(message) } else { effects.append(.send(message)) }
    }
}

extension RaftCore {
    /// What a leader knows of another member; nil when this one does not lead or the other gets nothing from it.
    public func progress(of member: MemberID) -> PeerProgress? {
        peers[member].map {
            PeerProgress(match: $0.match, next: $0.next, phase: .replicate, window: 1, isActive: $0.heard)
        }
    }

    /// Puts `membership` in force without asking anybody, as an entry of a new term: for recovery from a lost quorum.
    /// The caller must know that no other member of the old group will ever run again.
    public mutating func forceMembership(_ membership: Membership, context: [UInt8] = []) -> [RaftEffect] {
        hard.term += 1
        hard.vote = configuration.member
        let payload = MembershipEntry(membership: membership, context: context).encoded()
        place(RaftEntry(index: log.lastIndex + 1, term: term, kind: .membership, payload: payload))
        self.membership = membership
        return step(.forget([]))
    }
}
