// Proposals find their way into the log from any member, each at most once.
//
// 1. A forward names, by the message's term, the leader for which it is meant; any other ignores it. So a proposal can
//    enter the log in a term only while its proposer knew that term.
// 2. A leader remembers what it took of each session in its term, refusals too. So within a term a proposal enters
//    once, however often it is sent.
// 3. A proposal that was sent in term t is sent again in a later term only after an entry of a term after t was
//    applied here, and the proposal was not among those before it. Terms never fall along a log, and that entry is in
//    the log of every later leader: an entry of term t after it can never be committed (paper, section 5.4.3).

extension RaftCore {
    mutating func propose(_ proposals: [Proposal]) {
        var refused: [UInt64] = []
        var burden = outbox.bytes
        // What a leader took from others waits for the same commit.
        if role == .leader { burden = max(burden, leading.uncommittedBytes) }
        for proposal in proposals {
            let cost = proposal.payload.count + 32
            if burden + cost > configuration.uncommittedBytes, burden > 0 {
                refused.append(proposal.sequence)
            } else {
                burden += cost
                outbox.add(proposal.sequence, .command(proposal.payload))
            }
        }
        if !refused.isEmpty { effects.append(.refused(sequences: refused, .overloaded)) }
    }

    /// What only a leader may wish waits for nothing: it is not resent, not forwarded, and has no id.
    mutating func proposeAsLeader(_ payloads: [[UInt8]]) {
        guard role == .leader, leading.transfer == nil else { return }
        for payload in payloads where leading.uncommittedBytes + payload.count <= configuration.uncommittedBytes {
            placeCommand(payload, id: .none)
        }
        broadcast()
    }

    mutating func propose(_ change: MembershipChange, sequence: UInt64, context: [UInt8]) {
        outbox.add(sequence, .change(change, context: context))
    }

    /// Writes or forwards what has not been sent in this term and may be, in order.
    mutating func sendProposals() {
        guard outbox.next != nil else { return }
        if role == .leader {
            if leading.transfer == nil { placeProposals() }
        } else if let leader {
            forwardProposals(to: leader)
        }
    }

    private func maySend(_ item: Outbox.Item) -> Bool {
        item.sentTerm == 0 || item.sentTerm < appliedTerm || configuration.mutation == .reproposesTwice
    }

    private mutating func placeProposals() {
        var isPlaced = false
        while let item = outbox.next {
            if item.isSettled {
                outbox.skip()
                continue
            }
            guard maySend(item) else { break }
            let id = ProposalID(session: configuration.session, sequence: item.sequence)
            switch item.content {
            case .command(let payload):
                placeCommand(payload, id: id)
                isPlaced = true
            case .change(let change, let context):
                switch consider(change) {
                case .wait:
                    if isPlaced { broadcast() }
                    return
                case .refuse(let refusal):
                    outbox.settle(item.sequence)
                    effects.append(.refused(sequences: [item.sequence], refusal))
                    continue
                case .take(let target): placeMembership(target, id: id, context: context)
                }
            }
            outbox.markSent(term: term, at: now)
        }
        if isPlaced { broadcast() }
    }

    private mutating func placeCommand(_ payload: [UInt8], id: ProposalID) {
        let entry = RaftEntry(index: log.lastIndex + 1, term: term, id: id, payload: payload)
        leading.uncommittedBytes += entry.cost
        place(entry)
    }

    // MARK: Forwarding

    private mutating func forwardProposals(to leader: MemberID) {
        var batch: [Outbox.Item] = []
        while let item = outbox.next {
            if item.isSettled {
                outbox.skip()
                continue
            }
            guard maySend(item) else { break }
            outbox.markSent(term: term, at: now)
            batch.append(item)
        }
        forward(batch, to: leader)
    }

    /// What the leader has not answered for long may never have reached it.
    mutating func resendProposals() {
        guard role != .leader, let leader, outbox.sent > 0 else { return }
        let time = now - configuration.electionTicks
        forward(outbox.overdue(since: time, at: now, bytes: configuration.messageBytes), to: leader)
    }

    /// Sends items in messages of about `messageBytes`; each change is a message of its own.
    private mutating func forward(_ items: [Outbox.Item], to leader: MemberID) {
        let session = configuration.session
        let floor = outbox.floor
        var proposals: [Proposal] = []
        var size = 0
        func message() -> RaftMessage.Body { .propose(session: session, floor: floor, proposals: proposals) }
        for item in items {
            switch item.content {
            case .command(let payload):
                if size + item.cost > configuration.messageBytes, !proposals.isEmpty {
                    send(message(), to: leader)
                    proposals = []
                    size = 0
                }
                proposals.append(Proposal(sequence: item.sequence, payload: payload))
                size += item.cost
            case .change(let change, let context):
                send(
                    .change(
                        session: session, floor: floor, sequence: item.sequence, change: change, context: context),
                    to: leader)
            }
        }
        if !proposals.isEmpty { send(message(), to: leader) }
    }

    // MARK: The leader's side

    /// Whether a forwarded proposal may be taken in this term; it may not be again. One that was refused stays so.
    private mutating func take(_ id: ProposalID, from proposer: MemberID) -> Bool {
        if let refusal = leading.taken.refusal(of: id, from: proposer) {
            send(.refused(session: id.session, sequences: [id.sequence], refusal: refusal), to: proposer)
            return false
        }
        return leading.taken.take(id, from: proposer) || configuration.mutation == .takesTwice
    }

    private mutating func refuse(
        _ sequences: [UInt64], _ refusal: RaftRefusal, session: UInt64, to proposer: MemberID
    ) {
        for sequence in sequences { leading.taken.refuse(sequence, refusal, session: session, of: proposer) }
        send(.refused(session: session, sequences: sequences, refusal: refusal), to: proposer)
    }

    mutating func takeForwarded(_ proposals: [Proposal], session: UInt64, floor: UInt64, from proposer: MemberID) {
        guard leading.transfer == nil else { return }
        guard leading.taken.admit(session, of: proposer, floor: floor) else {
            let sequences = proposals.map(\.sequence)
            return send(.refused(session: session, sequences: sequences, refusal: .overloaded), to: proposer)
        }
        var refused: [UInt64] = []
        var isPlaced = false
        for proposal in proposals {
            let id = ProposalID(session: session, sequence: proposal.sequence)
            guard take(id, from: proposer) else { continue }
            let burden = leading.uncommittedBytes
            if burden > 0, burden + proposal.payload.count + 32 > configuration.uncommittedBytes {
                refused.append(proposal.sequence)
            } else {
                placeCommand(proposal.payload, id: id)
                isPlaced = true
            }
        }
        if !refused.isEmpty {
            refuse(refused, .overloaded, session: session, to: proposer)
        }
        if isPlaced { broadcast() }
    }

    mutating func takeForwarded(
        _ change: MembershipChange, id: ProposalID, floor: UInt64, context: [UInt8], from proposer: MemberID
    ) {
        let outcome = consider(change)
        // What has to wait is sent again.
        if case .wait = outcome { return }
        guard leading.taken.admit(id.session, of: proposer, floor: floor), take(id, from: proposer) else { return }
        switch outcome {
        case .wait: break
        case .refuse(let refusal):
            refuse([id.sequence], refusal, session: id.session, to: proposer)
        case .take(let target): placeMembership(target, id: id, context: context)
        }
    }

    /// The leader of this term refused proposals for good.
    mutating func refused(_ sequences: [UInt64], _ refusal: RaftRefusal, session: UInt64) {
        guard session == configuration.session else { return }
        let mine = sequences.filter { outbox.settle($0, sentIn: term) }
        if !mine.isEmpty { effects.append(.refused(sequences: mine, refusal)) }
    }
}
