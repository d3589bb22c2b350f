// Log replication: paper, sections 5.3 and 5.4.2.

extension RaftCore {
    /// Sends every peer what it lacks.
    mutating func broadcast() {
        for place in peers.indices { sendEntries(to: place) }
    }

    /// Sends a peer as much as its window takes.
    mutating func sendEntries(to place: Int) {
        while role == .leader {
            switch peers[place].phase {
            case .snapshot: return
            case .probe: if peers[place].probeSentAt != nil { return }
            case .replicate:
                if peers[place].next > log.lastIndex || !peers[place].hasRoom(configuration) { return }
            }
            let next = peers[place].next
            guard let previousTerm = log.term(at: next - 1) else { return offerSnapshot(to: place) }
            let isProbe = peers[place].phase == .probe
            // A peer that does not answer is asked without burdening the way to it.
            let isSilent = isProbe && !isActive(peers[place])
            let entries = isSilent ? [] : entries(from: next, bytes: configuration.messageBytes)
            if isProbe {
                peers[place].probeSentAt = now
            } else if let last = entries.last {
                let bytes = entries.reduce(0) { $0 + $1.cost }
                peers[place].next = last.index + 1
                peers[place].inflight.append(Peer.Sent(last: last.index, bytes: bytes, at: now))
                peers[place].inflightBytes += bytes
            }
            peers[place].sentCommit = max(
                peers[place].sentCommit, min(hard.commit, next - 1 + UInt64(entries.count)))
            send(
                .append(previousIndex: next - 1, previousTerm: previousTerm, entries: entries, commit: hard.commit),
                to: peers[place].member)
        }
    }

    /// At each heartbeat: sends again what seems to be lost.
    mutating func tend(_ place: Int) {
        let patience = configuration.electionTicks
        switch peers[place].phase {
        case .replicate:
            if let first = peers[place].inflight.first, now - first.at >= patience {
                peers[place].probe(from: peers[place].match + 1)
            }
        case .probe:
            if let at = peers[place].probeSentAt, now - at >= 2 * configuration.heartbeatTicks {
                peers[place].probeSentAt = nil
            }
        case .snapshot:
            if let at = peers[place].probeSentAt, now - at >= patience { offerSnapshot(to: place) }
        }
        sendEntries(to: place)
    }

    /// A follower takes a leader's entries.
    mutating func append(
        _ entries: [RaftEntry], after previousIndex: UInt64, _ previousTerm: UInt64, commit: UInt64,
        from leader: MemberID
    ) {
        if previousIndex < log.start.index {
            // Older than our snapshot, which is committed: all of it is equal.
            promise(.appended(match: hard.commit), to: leader)
            return
        }
        guard log.term(at: previousIndex) == previousTerm else {
            let hint = max(
                log.lastIndex(ofTermAtMost: previousTerm, notAfter: min(previousIndex, log.lastIndex)),
                log.start.index)
            send(
                .conflict(previousIndex: previousIndex, hint: hint, hintTerm: log.term(at: hint) ?? 0), to: leader)
            return
        }
        var expected = previousIndex + 1
        for entry in entries {
            // Only a well-formed run is taken, and nothing committed is ever replaced.
            guard entry.index == expected, entry.term <= term else { return }
            if log.term(at: entry.index) != entry.term {
                guard entry.index > hard.commit else { return }
                place(entry)
            }
            expected += 1
        }
        let match = previousIndex + UInt64(entries.count)
        hard.commit = max(hard.commit, min(commit, match))
        if configuration.mutation == .acknowledgesBeforeFsync { return send(.appended(match: match), to: leader) }
        promise(.appended(match: match), to: leader)
    }

    mutating func acknowledged(by member: MemberID, match: UInt64) {
        guard let place = peers.firstIndex(where: { $0.member == member }), match <= log.lastIndex else { return }
        peers[place].heardAt = now
        let isNews = match > peers[place].match
        peers[place].match = max(peers[place].match, match)
        switch peers[place].phase {
        case .probe:
            guard match + 1 >= peers[place].next else { break }
            peers[place].phase = .replicate
            peers[place].probeSentAt = nil
            peers[place].next = match + 1
        case .snapshot:
            guard match >= log.start.index else { break }
            peers[place].phase = .replicate
            peers[place].probeSentAt = nil
            peers[place].next = match + 1
        case .replicate:
            peers[place].next = max(peers[place].next, match + 1)
            peers[place].free(through: match, now: now, upTo: configuration.inflightMessages)
        }
        noteCatchingUp(of: place)
        if isNews {
            advanceCommit()
            if leading.transfer?.target == member { continueTransfer() }
        }
        // A leader that has removed itself has gone, and its peers with it.
        if let place = peers.firstIndex(where: { $0.member == member }) { sendEntries(to: place) }
    }

    mutating func rejected(by member: MemberID, at previousIndex: UInt64, hint: UInt64, hintTerm: UInt64) {
        guard let place = peers.firstIndex(where: { $0.member == member }) else { return }
        peers[place].heardAt = now
        let next = peers[place].next
        // It does not hold what it had acknowledged: damage has cut its log. An old answer that looks like this costs
        // no more than sending again.
        let hasLost = previousIndex == peers[place].match && previousIndex == next - 1
        // Not the answer to what is under way: an old one.
        guard hasLost || previousIndex > peers[place].match, previousIndex > 0, previousIndex < next,
            peers[place].phase != .snapshot, peers[place].phase == .replicate || previousIndex == next - 1
        else { return }
        // Goes back over whole terms: neither log holds an equal entry after this place.
        let equal = log.lastIndex(ofTermAtMost: hintTerm, notAfter: min(hint, previousIndex - 1))
        if hasLost { peers[place].match = equal }
        peers[place].probe(from: equal + 1)
        sendEntries(to: place)
    }

    /// The index that a quorum has reached in `value`.
    func quorumValue(_ value: (MemberID) -> UInt64) -> UInt64 {
        func reached(by voters: [MemberID]) -> UInt64 {
            guard !voters.isEmpty else { return 0 }
            return voters.map(value).sorted(by: >)[voters.count / 2]
        }
        let new = reached(by: membership.voters)
        return membership.isJoint ? min(new, reached(by: membership.outgoing)) : new
    }

    /// Commits what a quorum holds durably, but by counting only entries of this term (section 5.4.2, figure 8).
    mutating func advanceCommit() {
        let candidate = quorumValue { voter in
            voter == member ? durable : peers.first { $0.member == voter }?.match ?? 0
        }
        guard candidate > hard.commit else { return }
        guard log.term(at: candidate) == term || configuration.mutation == .countsOldTerms else { return }
        hard.commit = candidate
        guard memberships.latestIndex <= candidate else { return }
        if membership.isJoint { leaveJointMembership() } else if !membership.hasVote(member) { leaveAsRemoved() }
    }

    /// Tells those who would not learn of the commit index from entries: they, too, have proposals and reads waiting.
    /// Who still has to acknowledge something is told then, or by the entries that follow.
    mutating func announceCommit() {
        for place in peers.indices where peers[place].inflight.isEmpty {
            if peers[place].sentCommit < min(hard.commit, peers[place].match) { sendHeartbeat(to: place, round: 0) }
        }
    }
}
