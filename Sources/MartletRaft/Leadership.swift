// A leader's upkeep: heartbeats, check-quorum (thesis, section 6.2), handing over (3.10), and its disk.

/// What a member knows as long as it leads.
struct LeadershipState: Sendable {
    /// Where its mark stands: nothing of older terms is committed before it is (paper, section 5.4.2).
    var mark = UInt64.max
    var transfer: Transfer?
    /// Who could not take over from this leader with its stalled disk.
    var triedSuccessors: [MemberID] = []
    /// Cost of the entries of this term that are not committed.
    var uncommittedBytes = 0
    var taken = TakenProposals()
    /// The last round of heartbeats.
    var round: UInt64 = 0
    /// Set once somebody was told to stand: its election asks no lease, so none holds in this term any more.
    var isLeaseBroken = false

    struct Transfer: Sendable {
        var target: MemberID
        var deadline: Int
        var isSent = false
    }
}

extension RaftCore {
    /// Begins to lead: with an empty entry of its term, because only such an entry commits those before it.
    mutating func lead() {
        role = .leader
        leader = member
        waited = 0
        heardAt = nil
        leading = LeadershipState()
        leading.mark = log.lastIndex + 1
        peers = []
        adjustPeers()
        announce()
        place(RaftEntry(index: log.lastIndex + 1, term: term, payload: []))
        broadcast()
    }

    func isActive(_ peer: Peer) -> Bool { now - peer.heardAt < configuration.electionTicks }

    /// Whether `candidate`, another member or this leader, has been heard within an election timeout.
    func isActive(_ candidate: MemberID) -> Bool {
        candidate == member || peers.contains { $0.member == candidate && isActive($0) }
    }

    mutating func leaderTick() {
        // A leader that a quorum does not answer leads nobody, and should not seem to.
        guard isQuorum({ isActive($0) }) else { return follow(nil, term: term) }
        if let transfer = leading.transfer, now >= transfer.deadline { leading.transfer = nil }
        if isDiskStalled, leading.transfer == nil { replaceStalledLeader() }
        if waited >= configuration.heartbeatTicks {
            waited = 0
            startRound()
            for place in peers.indices { tend(place) }
        }
        promoteLearners()
        peers.removeAll { $0.leavingSince.map { now - $0 >= configuration.electionTicks } ?? false }
    }

    /// Asks all whether they still follow. Their answers wait for no disk.
    mutating func startRound() {
        leading.round += 1
        reads.sent(round: leading.round, at: now)
        for place in peers.indices { sendHeartbeat(to: place, round: leading.round) }
    }

    mutating func sendHeartbeat(to place: Int, round: UInt64) {
        let known = min(hard.commit, peers[place].match)
        peers[place].sentCommit = max(peers[place].sentCommit, known)
        send(.heartbeat(round: round, commit: known), to: peers[place].member)
    }

    /// A follower hears that the leader lives.
    mutating func heartbeat(from leader: MemberID, round: UInt64, commit: UInt64) {
        hard.commit = max(hard.commit, min(commit, log.lastIndex))
        // Round 0 only spreads the commit index.
        if round > 0 { send(.heard(round: round), to: leader) }
    }

    /// Takes a message that is meant for the leader of this term.
    mutating func takeAsLeader(_ message: RaftMessage) {
        guard role == .leader else { return }
        switch message.body {
        case .appended(let match): acknowledged(by: message.from, match: match)
        case .conflict(let previous, let hint, let hintTerm):
            rejected(by: message.from, at: previous, hint: hint, hintTerm: hintTerm)
        case .heard(let round): heard(round: round, from: message.from)
        case .transfer(let target): transfer(to: target)
        case .propose(let session, let floor, let proposals):
            takeForwarded(proposals, session: session, floor: floor, from: message.from)
        case .change(let session, let floor, let sequence, let change, let context):
            takeForwarded(
                change, id: ProposalID(session: session, sequence: sequence), floor: floor, context: context,
                from: message.from)
        case .read(let session, let token): readFor(message.from, session: session, token: token)
        default: break
        }
    }

    // MARK: Handing over

    /// Lets `target` lead as soon as it has all of the log. No proposals are taken meanwhile; they are kept.
    mutating func transfer(to target: MemberID) {
        guard role == .leader else {
            if let leader { send(.transfer(to: target), to: leader) }
            return
        }
        guard target != member, membership.voters.contains(target), leading.transfer == nil else { return }
        leading.transfer = LeadershipState.Transfer(target: target, deadline: now + configuration.electionTicks)
        continueTransfer()
    }

    mutating func continueTransfer() {
        guard let transfer = leading.transfer, !transfer.isSent,
            let peer = peers.first(where: { $0.member == transfer.target }), peer.match == log.lastIndex
        else { return }
        leading.transfer?.isSent = true
        leading.isLeaseBroken = true
        send(.timeoutNow, to: transfer.target)
    }

    /// The voter that would lead best: alive, and with the most of the log.
    private func bestSuccessor(except tried: [MemberID]) -> MemberID? {
        let able = peers.filter {
            membership.voters.contains($0.member) && isActive($0) && !tried.contains($0.member)
        }
        return able.max { ($0.match, $1.member) < ($1.match, $0.member) }?.member
    }

    /// A leader whose disk stalls still commits by its followers' disks, but would not see its own fail.
    private mutating func replaceStalledLeader() {
        guard let successor = bestSuccessor(except: leading.triedSuccessors) else {
            leading.triedSuccessors = []
            return
        }
        leading.triedSuccessors.append(successor)
        transfer(to: successor)
    }

    /// A leader that is no voter any more goes, once that is committed.
    mutating func leaveAsRemoved() {
        announceCommit()
        if let successor = bestSuccessor(except: []) { send(.timeoutNow, to: successor) }
        follow(nil, term: term)
    }

    // MARK: Broken connections

    mutating func unreachable(_ peer: MemberID) {
        if role == .leader, let place = peers.firstIndex(where: { $0.member == peer }) {
            peers[place].probe(from: peers[place].match + 1)
            peers[place].probeSentAt = now
        } else if peer == leader, !configuration.leaseReads, role == .follower {
            // The leader is perhaps dead: this member does not wait out its silence. All see it at once, and two that
            // stand at once divide the votes: each waits for those before it among the voters to be elected.
            heardAt = nil
            let place = membership.voters.filter { $0 != peer && $0 < member }.count
            timeout = min(timeout, waited + 1 + place * RaftConfiguration.ticksBetweenStands)
        }
    }
}
