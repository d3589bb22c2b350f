internal import DequeModule
internal import MartletBase

/// How a member takes part.
public struct RaftConfiguration: Sendable, Hashable {
    /// This member.
    public var member: MemberID
    /// All voting members, this one among them.
    public var voters: [MemberID]
    /// Ticks without a leader's word after which a follower stands for election; drawn anew each time from
    /// `electionTicks ..< 2 * electionTicks`.
    public var electionTicks = 10
    /// Ticks between a leader's heartbeats.
    public var heartbeatTicks = 1
    /// How many bytes of entries one message carries, about.
    public var messageBytes = 1 << 20
    /// Where the draws of election timeouts begin.
    public var seed: UInt64
    /// A member of a group.
    public init(member: MemberID, voters: [MemberID], seed: UInt64) {
        self.member = member
        self.voters = voters
        self.seed = seed
    }
}

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
        _ configuration: RaftConfiguration, hardState: HardState = HardState(), snapshotIndex: UInt64 = 0,
        snapshotTerm: UInt64 = 0, entries: [RaftEntry] = [], applied: UInt64 = 0
    ) {
        self.configuration = configuration
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
    /// The newest index in the log, durable or not.
    public var lastIndex: UInt64 { log.lastIndex }
    /// The term of the entry at `index`, when it is held.
    public func term(at index: UInt64) -> UInt64? { log.term(at: index) }

    /// Takes one event and returns what is to be done about it, in order.
    public mutating func step(_ event: RaftEvent) -> [RaftEffect] {
        switch event {
        case .tick: tick()
        case .propose(let payloads): propose(payloads)
        case .persisted(let ticket): persisted(ticket)
        case .receive(let message): receive(message)
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
        } else if sinceHeard >= timeout || configuration.voters == [configuration.member] {
            campaign()
        }
    }

    private mutating func propose(_ payloads: [[UInt8]]) {
        guard role == .leader else {
            effects.append(.refused(leader: leader))
            return
        }
        guard !payloads.isEmpty else { return }
        effects.append(.accepted(first: log.lastIndex + 1, count: payloads.count, term: term))
        for payload in payloads { place(RaftEntry(index: log.lastIndex + 1, term: term, payload: payload)) }
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
