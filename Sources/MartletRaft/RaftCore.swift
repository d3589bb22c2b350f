internal import DequeModule
internal import MartletBase

/// Raft's rules for one member, as a value: "In Search of an Understandable Consensus Algorithm" (Ongaro and
/// Ousterhout, extended version) and Ongaro's thesis. It knows no clock, disk or network: told an event, it answers
/// with effects. The same events after the same configuration give the same effects.
///
/// | File | Rules |
/// |---|---|
/// | `Election` | paper 5.1, 5.2, 5.4.1; pre-votes (thesis 9.6); who hears a leader helps nobody against it (4.2.3) |
/// | `Leadership` | a leader's beat, check-quorum (6.2), handing over (3.10), a stalled disk |
/// | `Replication`, `Peers` | paper 5.3 and 5.4.2; windows of messages; back-off by term |
/// | `Changes` | memberships: joint consensus (paper 6), learners (thesis 4.2.1) |
/// | `Proposals` | each proposal in the log at most once, over changes of leader |
/// | `Reads` | linearizable reads by rounds and by lease (thesis 6.4) |
/// | `Snapshots` | what a member does that lacks entries which are gone |
///
/// ## What the shell owes
///
/// - Effects are carried out in their order. Only `persist` may take its time: writes become durable in the order of
///   their tickets, and each is reported, or one report stands for all before it. Steps go on meanwhile.
/// - What is in the effects may be sent at once, before the `persist` beside it is done. What promises something, a
///   vote or an acknowledgement, waits inside this value until its write is durable. The rest promises nothing: a
///   leader's entries (its disk works beside its followers' disks, thesis 10.2.1), and answers that say how things are
///   now, like "I follow nobody newer" or "my log differs there", and stay right if the one who sent them forgets.
/// - A failed write is never reported and never tried again: the member stops.
/// - `apply` may hold entries that are not durable here yet (a quorum holds them): a checkpoint must not reach past
///   ``durable``.
/// - Messages may be lost, repeated and overtaken; they must not be changed, and each goes only to its receiver. A
///   broken connection is reported as `unreachable`.
/// - After a restart: all that was durable comes back through ``init(_:hardState:snapshot:entries:applied:)``, with a
///   fresh `session`.
/// - A snapshot is installed only while it reaches past ``applied``; its own durability comes before the report.
///
/// ## What is assumed of clocks
///
/// Safety assumes nothing, unless `leaseReads` is on. Then no member's ticks may pass more than a quarter faster
/// than another's, and a process that was paused must report the ticks it missed before any other event.
public struct RaftCore: Sendable {
    let configuration: RaftConfiguration
    var log: RaftLog
    var memberships: MembershipHistory
    var hard: HardState
    /// What of `hard` the last write carried.
    var writtenHard: HardState
    /// The member's role.
    public internal(set) var role: RaftRole = .learner
    /// The leader of the term, as far as known.
    public internal(set) var leader: MemberID?
    /// Through which index entries were handed out for applying.
    public internal(set) var applied: UInt64
    /// Through which index the log is durable here.
    public internal(set) var durable: UInt64
    /// The term of the entry at `applied`.
    var appliedTerm: UInt64

    /// Ticks since the start.
    var now = 0
    /// Ticks since the election timer, or a leader's heartbeat timer, was set back.
    var waited = 0
    var timeout = 0
    /// When a leader's word was last heard; nil when there is no reason to wait for another.
    var heardAt: Int?
    var votes: [MemberID] = []
    var random: SplitMix64

    var peers: [Peer] = []
    var leading = LeadershipState()
    var outbox = Outbox()
    var reads = ReadState()
    /// The snapshot that the shell is fetching.
    var fetch: SnapshotFetch?

    /// Writes handed out and not yet durable, oldest first.
    var writes: Deque<PendingWrite> = []
    var nextTicket: UInt64 = 1
    /// Entries placed in the log since the last write was handed out.
    var unwrittenFrom: UInt64?
    var unwrittenRestart: SnapshotPosition?
    /// Messages that wait for the write now being put together.
    var held: [RaftMessage] = []
    /// Effects of the step under way.
    var effects: [RaftEffect] = []
    /// The last slice taken of the log in this step: peers and disk often get the same one, and share its bytes.
    var slice: (first: UInt64, last: UInt64, entries: [RaftEntry])?

    /// A write under way, and what waits for it.
    struct PendingWrite: Sendable {
        var ticket: UInt64
        var since: Int
        var term: UInt64
        var vote: MemberID?
        /// Through where it makes the log durable: less than what it holds when entries of it were replaced since.
        var lastIndex: UInt64
        var messages: [RaftMessage]
    }

    /// A member as it comes back from its disk: the hard state, the position that its log begins after (index 0 when
    /// the log is whole), the durable entries after it, in order and without gaps, and through which of them the
    /// state is applied already. The membership is the last one found in the entries, or the snapshot's.
    public init(
        _ configuration: RaftConfiguration, hardState: HardState = HardState(),
        snapshot: SnapshotPosition = SnapshotPosition(), entries: [RaftEntry] = [], applied: UInt64 = 0
    ) {
        self.configuration = configuration
        hard = hardState
        hard.term = max(hardState.term, entries.last?.term ?? snapshot.term)
        if hard.term != hardState.term { hard.vote = nil }
        if configuration.mutation == .forgetsVote { hard.vote = nil }
        log = RaftLog(startIndex: snapshot.index, startTerm: snapshot.term)
        memberships = MembershipHistory(snapshot.membership, at: snapshot.index)
        for entry in entries {
            log.place(entry)
            if let found = entry.membership { memberships.add(found, at: entry.index) }
        }
        self.applied = min(max(applied, snapshot.index), log.lastIndex)
        appliedTerm = log.term(at: self.applied) ?? 0
        hard.commit = min(max(hardState.commit, self.applied), log.lastIndex)
        writtenHard = hard
        durable = log.lastIndex
        random = SplitMix64(seed: configuration.seed)
        // Who was just started may have heard a leader before, to whom it owes its silence (see `Reads`).
        heardAt = configuration.leaseReads ? 0 : nil
        timeout = drawTimeout()
        role = restingRole
    }

    /// Takes one event and returns what is to be done about it, in order.
    public mutating func step(_ event: RaftEvent) -> [RaftEffect] {
        var result: [RaftEffect] = []
        step(event, into: &result)
        return result
    }

    /// As ``step(_:)``, appending to `result`, so that one array can serve many steps.
    public mutating func step(_ event: RaftEvent, into result: inout [RaftEffect]) {
        switch event {
        case .tick: tick()
        case .propose(let proposals): propose(proposals)
        case .proposeAsLeader(let payloads): proposeAsLeader(payloads)
        case .forget(let sequences): for sequence in sequences { outbox.settle(sequence) }
        case .change(let change, let sequence, let context): propose(change, sequence: sequence, context: context)
        case .read(let number): read(number)
        case .transfer(let target): transfer(to: target)
        case .persisted(let ticket): persisted(ticket)
        case .receive(let message): receive(message)
        case .unreachable(let peer): unreachable(peer)
        case .snapshotInstalled(let position): installed(position)
        case .snapshotFailed(let source): fetchFailed(from: source)
        }
        flush()
        if result.isEmpty {
            swap(&result, &effects)
        } else {
            result.append(contentsOf: effects)
        }
        effects.removeAll(keepingCapacity: true)
    }

    private mutating func tick() {
        now += 1
        waited += 1
        if role == .leader {
            leaderTick()
        } else if isAlone && role == .follower || waited >= timeout {
            stand()
        }
        resendProposals()
        expireReads()
    }

    private mutating func persisted(_ ticket: UInt64) {
        while let write = writes.first, write.ticket <= ticket {
            writes.removeFirst()
            durable = max(durable, write.lastIndex)
            for message in write.messages { effects.append(.send(message)) }
            if role == .candidate, write.term == term, write.vote == member { count(voteOf: member) }
        }
        if role == .leader { advanceCommit() }
    }

    /// Places an entry in the log and remembers to write it. A membership is in force from then on.
    mutating func place(_ entry: RaftEntry) {
        let before = memberships.latestIndex
        if entry.index <= log.lastIndex {
            _ = memberships.truncate(from: entry.index)
            disown(from: entry.index)
        }
        log.place(entry)
        durable = min(durable, entry.index - 1)
        unwrittenFrom = min(unwrittenFrom ?? entry.index, entry.index)
        slice = nil
        if let found = entry.membership { memberships.add(found, at: entry.index) }
        if entry.kind == .membership || memberships.latestIndex != before { membershipChanged() }
    }

    /// The log holds other entries from `index` on. What writes under way bring there is durable for nothing, also
    /// where an equal entry comes back later: on the disk it stands before the one that replaced it, and a crash may
    /// leave that one.
    mutating func disown(from index: UInt64) {
        for place in writes.indices { writes[place].lastIndex = min(writes[place].lastIndex, index - 1) }
    }

    /// Entries of the log. Asked for the same ones again within a step, it gives the same array.
    mutating func entries(from first: UInt64, bytes: Int = .max) -> [RaftEntry] {
        let last = log.lastIndex
        if let slice, slice.first == first, slice.last == last { return slice.entries }
        let entries = log.slice(from: first, through: last, bytes: bytes)
        if entries.last?.index == last { slice = (first, last, entries) }
        return entries
    }

    // MARK: The end of a step

    /// Hands out what changed: entries to apply, what they make possible, and last the write.
    private mutating func flush() {
        handOut()
        sendProposals()
        serveReads()
        if role == .leader { announceCommit() }
        let mustWrite =
            hard.term != writtenHard.term || hard.vote != writtenHard.vote || unwrittenFrom != nil
            || unwrittenRestart != nil
        if mustWrite {
            write()
        } else if let last = writes.indices.last {
            // What these say may rest on the write that is under way.
            if !held.isEmpty { writes[last].messages += held }
        } else {
            for message in held { effects.append(.send(message)) }
        }
        held.removeAll(keepingCapacity: true)
        slice = nil
    }

    private mutating func write() {
        let state = hardState
        effects.append(
            .persist(
                RaftWrite(
                    ticket: nextTicket, hardState: state == writtenHard ? nil : state, restart: unwrittenRestart,
                    entries: unwrittenFrom.map { entries(from: $0) } ?? [])))
        writes.append(
            PendingWrite(
                ticket: nextTicket, since: now, term: term, vote: hard.vote, lastIndex: log.lastIndex,
                messages: held))
        nextTicket += 1
        writtenHard = state
        unwrittenFrom = nil
        unwrittenRestart = nil
    }

    private mutating func handOut() {
        guard applied < hard.commit else { return }
        let entries = log.slice(from: applied + 1, through: hard.commit)
        guard let last = entries.last else { return }
        for entry in entries {
            if entry.id.session == configuration.session { outbox.settle(entry.id.sequence) }
            leading.uncommittedBytes -= entry.cost
        }
        leading.uncommittedBytes = max(leading.uncommittedBytes, 0)
        applied = last.index
        appliedTerm = last.term
        effects.append(.apply(entries))
    }

    mutating func announce() { effects.append(.changed(role: role, term: term, leader: leader)) }

    /// Queues a message of this member's term.
    mutating func send(_ body: RaftMessage.Body, to peer: MemberID) {
        effects.append(.send(RaftMessage(from: member, to: peer, term: term, body: body)))
    }

    /// Queues a message that promises something, so that it waits for the write under way.
    mutating func promise(_ body: RaftMessage.Body, to peer: MemberID) {
        held.append(RaftMessage(from: member, to: peer, term: term, body: body))
    }
}

extension RaftEntry {
    /// The membership that the entry brings, if it does and can be read.
    var membership: Membership? {
        kind == .membership ? (try? MembershipEntry(decoding: payload))?.membership : nil
    }
}
