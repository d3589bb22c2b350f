// Elections: paper, sections 5.1, 5.2 and 5.4.1; pre-votes: thesis, section 9.6.

extension RaftCore {
    /// Whether this member is all the voters there are.
    var isAlone: Bool { membership.voters == [member] && !membership.isJoint }

    /// What the member is when it neither leads nor wants to.
    var restingRole: RaftRole { membership.hasVote(member) ? .follower : .learner }

    /// Whether the member may lead. One whose removal is not committed may be needed yet: perhaps nobody else has the
    /// log to be elected (thesis, section 4.2.2).
    var mayStand: Bool {
        membership.hasVote(member) || memberships.membership(at: hard.commit)?.hasVote(member) == true
    }

    /// Whether a leader is there, so that nobody is helped against it (thesis, sections 4.2.3 and 6.4.1). With lease
    /// reads this holds even when the leader is not known any more: a lease may rest on it.
    var hearsLeader: Bool {
        if role == .leader { return true }
        guard let heardAt, now - heardAt < configuration.electionTicks else { return false }
        return leader != nil || configuration.leaseReads
    }

    /// Whether those for whom `test` holds are a quorum: a majority, of both memberships while they are joint.
    func isQuorum(_ test: (MemberID) -> Bool) -> Bool {
        func isMajority(_ voters: [MemberID]) -> Bool {
            voters.reduce(0) { test($1) ? $0 + 1 : $0 } > voters.count / 2
        }
        return isMajority(membership.voters) && (membership.outgoing.isEmpty || isMajority(membership.outgoing))
    }

    mutating func drawTimeout() -> Int { draw(from: configuration.electionTicks) }

    /// From `ticks` up to, not including, twice as many.
    private mutating func draw(from ticks: Int) -> Int {
        let span = UInt64(max(ticks, 1))
        return Int(span + random.next() % span)
    }

    /// Asks whether the others would elect it, before it disturbs them with a new term.
    mutating func stand() {
        waited = 0
        timeout = drawTimeout()
        let before = (role, leader)
        // A leader must be able to write.
        guard mayStand, !isDiskStalled else {
            leader = nil
            if before != (role, leader) { announce() }
            return
        }
        role = .preCandidate
        timeout = draw(from: min(RaftConfiguration.ticksBetweenAskings, configuration.electionTicks))
        leader = nil
        heardAt = nil
        votes = [member]
        if isQuorum({ $0 == member }) { return campaign(forTransfer: false) }
        if before != (role, leader) { announce() }
        for peer in membership.all where peer != member && membership.hasVote(peer) {
            send(.requestPreVote(lastIndex: log.lastIndex, lastTerm: log.lastTerm), to: peer)
        }
    }

    /// Stands for election in a new term. The vote for itself counts once it is durable, and so do its requests leave.
    mutating func campaign(forTransfer: Bool) {
        enter(term + 1)
        hard.vote = member
        role = .candidate
        leader = nil
        votes = []
        waited = 0
        timeout = drawTimeout()
        announce()
        for peer in membership.all where peer != member && membership.hasVote(peer) {
            promise(
                .requestVote(lastIndex: log.lastIndex, lastTerm: log.lastTerm, forTransfer: forTransfer), to: peer)
        }
    }

    mutating func count(voteOf voter: MemberID) {
        if !votes.contains(voter) { votes.append(voter) }
        guard isQuorum({ votes.contains($0) }) else { return }
        if role == .preCandidate { campaign(forTransfer: false) } else { lead() }
    }

    /// Begins a later term.
    private mutating func enter(_ newTerm: UInt64) {
        hard.term = newTerm
        hard.vote = nil
        outbox.rewind()
        reads.forgetSends()
    }

    /// Steps down into `newTerm`, or follows within the term.
    mutating func follow(_ newLeader: MemberID?, term newTerm: UInt64) {
        let before = (role, leader, term)
        if newTerm > term { enter(newTerm) }
        if role == .leader {
            peers = []
            leading = LeadershipState()
            reads.takeBackRounds()
            waited = 0
            timeout = drawTimeout()
        }
        role = restingRole
        leader = newLeader
        votes = []
        if newLeader != nil {
            heardAt = now
            waited = 0
            // A short wait was for a leader that has gone.
            timeout = max(timeout, configuration.electionTicks)
        }
        if before != (role, leader, term) { announce() }
    }

    mutating func receive(_ message: RaftMessage) {
        guard message.to == member, message.from != member else { return }
        switch message.body {
        case .requestPreVote(let lastIndex, let lastTerm):
            return considerPreVote(message, lastIndex: lastIndex, lastTerm: lastTerm)
        case .requestVote(_, _, false) where message.term > term && hearsLeader: return
        default: break
        }
        if message.term > term {
            follow(message.isLeaders ? message.from : nil, term: message.term)
        } else if message.term < term {
            return answerStale(message)
        } else if message.isLeaders {
            // One term has one leader.
            guard role != .leader else { return }
            follow(message.from, term: term)
        }
        take(message)
    }

    /// Takes a message of this member's own term.
    private mutating func take(_ message: RaftMessage) {
        switch message.body {
        case .requestVote(let lastIndex, let lastTerm, _):
            considerVote(for: message.from, lastIndex: lastIndex, lastTerm: lastTerm)
        case .preVote(true): if role == .preCandidate { count(voteOf: message.from) }
        case .vote(true): if role == .candidate { count(voteOf: message.from) }
        case .append(let index, let term, let entries, let commit):
            append(entries, after: index, term, commit: commit, from: message.from)
        case .heartbeat(let round, let commit): heartbeat(from: message.from, round: round, commit: commit)
        case .snapshot(let index, _, let sources): offered(snapshotAt: index, sources: sources, by: message.from)
        case .timeoutNow:
            if role == .follower, membership.hasVote(member), !isDiskStalled { campaign(forTransfer: true) }
        case .readIndex(let session, let token, let index): answered(session: session, token: token, index: index)
        case .refused(let session, let sequences, let refusal): refused(sequences, refusal, session: session)
        default: takeAsLeader(message)
        }
    }

    /// A sender of an older term learns of the newer one from the answer.
    private mutating func answerStale(_ message: RaftMessage) {
        switch message.body {
        case .requestVote: send(.vote(granted: false), to: message.from)
        case .append, .heartbeat, .snapshot: send(.heard(round: 0), to: message.from)
        default: break
        }
    }

    private func isUpToDate(_ lastIndex: UInt64, _ lastTerm: UInt64) -> Bool {
        (lastTerm, lastIndex) >= (log.lastTerm, log.lastIndex) || configuration.mutation == .votesForOlderLogs
    }

    /// Answers in the asker's term when it agrees, in its own when not; nothing is promised and nothing changes.
    private mutating func considerPreVote(_ message: RaftMessage, lastIndex: UInt64, lastTerm: UInt64) {
        let granted = message.term >= term && !hearsLeader && isUpToDate(lastIndex, lastTerm)
        let answer = RaftMessage(
            from: member, to: message.from, term: granted ? message.term : term, body: .preVote(granted: granted))
        effects.append(.send(answer))
    }

    private mutating func considerVote(for candidate: MemberID, lastIndex: UInt64, lastTerm: UInt64) {
        let isFree = hard.vote == candidate || hard.vote == nil && leader == nil
        let granted = isFree && role != .candidate && role != .leader && isUpToDate(lastIndex, lastTerm)
        if granted {
            if role == .preCandidate { follow(nil, term: term) }
            hard.vote = candidate
            waited = 0
        }
        promise(.vote(granted: granted), to: candidate)
    }
}

extension RaftMessage {
    /// Whether only the leader of its term sends such a message to followers.
    fileprivate var isLeaders: Bool {
        switch body {
        case .append, .heartbeat, .snapshot, .timeoutNow: true
        default: false
        }
    }
}
