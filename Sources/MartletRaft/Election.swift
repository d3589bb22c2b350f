// Elections: Raft sections 5.1, 5.2 and 5.4.1.

extension RaftCore {
    private var quorum: Int { membership.voters.count / 2 + 1 }

    /// Stands for election in a new term. The vote for itself counts once it is durable.
    mutating func campaign() {
        hard.term += 1
        hard.vote = configuration.member
        role = .candidate
        leader = nil
        votes = []
        sinceHeard = 0
        timeout = drawTimeout()
        announce()
        for peer in membership.voters where peer != configuration.member {
            send(.requestVote(lastIndex: log.lastIndex, lastTerm: log.lastTerm, forTransfer: false), to: peer, afterWrite: true)
        }
    }

    mutating func count(voteOf member: MemberID) {
        guard role == .candidate, membership.voters.contains(member) else { return }
        votes.insert(member)
        if votes.count >= quorum { lead() }
    }

    /// Begins to lead: with an empty entry of its term, because only such an entry commits those before it.
    private mutating func lead() {
        role = .leader
        leader = configuration.member
        sinceHeard = 0
        peers = [:]
        for peer in membership.voters where peer != configuration.member {
            peers[peer] = Progress(next: log.lastIndex + 1)
        }
        announce()
        place(RaftEntry(index: log.lastIndex + 1, term: term, payload: []))
        broadcast()
    }

    /// Steps down into `newTerm`, or within the term on a leader's word.
    mutating func follow(_ newLeader: MemberID?, term newTerm: UInt64) {
        let before = (role, leader, term)
        if newTerm > term {
            hard.term = newTerm
            hard.vote = nil
        }
        role = .follower
        leader = newLeader
        votes = []
        peers = [:]
        if before != (role, leader, term) { announce() }
    }

    mutating func receive(_ message: RaftMessage) {
        guard message.to == configuration.member, membership.voters.contains(message.from) else { return }
        if message.term > term {
            var newLeader: MemberID?
            if case .append = message.body { newLeader = message.from }
            follow(newLeader, term: message.term)
        } else if message.term < term {
            answerStale(message)
            return
        }
        switch message.body {
        case .requestVote(let lastIndex, let lastTerm, _):
            considerVote(for: message.from, lastIndex: lastIndex, lastTerm: lastTerm)
        case .vote(let granted):
            if granted { count(voteOf: message.from) }
        case .append(let previousIndex, let previousTerm, let entries, let commit):
            // A leader gets no append of its own term: one term has one leader.
            guard role != .leader else { return }
            follow(message.from, term: term)
            sinceHeard = 0
            append(entries, after: previousIndex, previousTerm, commit: commit, from: message.from)
        case .appended(let match): acknowledged(by: message.from, match: match)
        case .conflict(let previousIndex, let hint, _): rejected(by: message.from, at: previousIndex, hint: hint)
        default: break
        }
    }

    /// A sender of an older term learns of the newer one from the answer.
    private mutating func answerStale(_ message: RaftMessage) {
        switch message.body {
        case .requestVote: send(.vote(granted: false), to: message.from, afterWrite: true)
        case .append(let previousIndex, _, _, _):
            send(.conflict(previousIndex: previousIndex, hint: log.lastIndex, hintTerm: 0), to: message.from, afterWrite: true)
        default: break
        }
    }

    private mutating func considerVote(for candidate: MemberID, lastIndex: UInt64, lastTerm: UInt64) {
        let free = hard.vote == nil || hard.vote == candidate
        let upToDate = (lastTerm, lastIndex) >= (log.lastTerm, log.lastIndex)
        let granted = free && upToDate && role == .follower
        if granted {
            hard.vote = candidate
            sinceHeard = 0
        }
        send(.vote(granted: granted), to: candidate, afterWrite: true)
    }
}
