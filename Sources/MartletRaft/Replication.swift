// Log replication: Raft sections 5.3 and 5.4.2.

extension RaftCore {
    /// Sends every follower what it lacks.
    mutating func broadcast() {
        for peer in membership.voters where peer != configuration.member { sendEntries(to: peer, heartbeat: false) }
    }

    /// Tells every follower that the leader lives. A follower that has not answered since the last one gets again
    /// what it has not acknowledged: the message or the answer may be lost.
    mutating func heartbeat() {
        sinceHeard = 0
        for peer in membership.voters where peer != configuration.member {
            if let progress = peers[peer] {
                if !progress.heard { peers[peer]?.next = min(progress.next, progress.match + 1) }
                peers[peer]?.heard = false
            }
            sendEntries(to: peer, heartbeat: true)
        }
    }

    private mutating func sendEntries(to peer: MemberID, heartbeat: Bool) {
        guard let progress = peers[peer] else { return }
        guard heartbeat || progress.next <= log.lastIndex else { return }
        let previous = progress.next - 1
        guard let previousTerm = log.term(at: previous) else {
            return
        }
        let entries = log.slice(from: progress.next, through: log.lastIndex, bytes: configuration.messageBytes)
        // The next message goes on from here without waiting; a loss shows as a conflict or as silence.
        peers[peer]?.next = progress.next + UInt64(entries.count)
        send(
            .append(previousIndex: previous, previousTerm: previousTerm, entries: entries, commit: hard.commit),
            to: peer, afterWrite: false)
    }

    /// A follower takes a leader's entries.
    mutating func append(
        _ entries: [RaftEntry], after previousIndex: UInt64, _ previousTerm: UInt64, commit: UInt64,
        from leader: MemberID
    ) {
        if previousIndex < log.start.index {
            // Older than our snapshot, which is committed: all of it is equal.
            send(.appended(match: hard.commit), to: leader, afterWrite: true)
            return
        }
        guard let ours = log.term(at: previousIndex), ours == previousTerm else {
            let hint =
                previousIndex > log.lastIndex
                ? log.lastIndex : max(log.firstIndex(ofTermAt: previousIndex), hard.commit + 1) - 1
            send(.conflict(previousIndex: previousIndex, hint: hint, hintTerm: 0), to: leader, afterWrite: true)
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
        send(.appended(match: match), to: leader, afterWrite: true)
    }

    mutating func acknowledged(by peer: MemberID, match: UInt64) {
        guard role == .leader, let progress = peers[peer], match <= log.lastIndex else { return }
        peers[peer]?.heard = true
        peers[peer]?.match = max(progress.match, match)
        peers[peer]?.next = max(progress.next, match + 1)
        advanceCommit()
        sendEntries(to: peer, heartbeat: false)
    }

    mutating func rejected(by peer: MemberID, at previousIndex: UInt64, hint: UInt64) {
        guard role == .leader, let progress = peers[peer], previousIndex > progress.match else { return }
        peers[peer]?.heard = true
        peers[peer]?.next = max(progress.match + 1, min(hint + 1, previousIndex))
        sendEntries(to: peer, heartbeat: true)
    }

    /// Commits what a quorum holds durably, but by counting only entries of this term (section 5.4.2, figure 8).
    mutating func advanceCommit() {
        var matches = peers.values.map(\.match)
        matches.append(durable)
        matches.sort(by: >)
        let candidate = matches[membership.voters.count / 2]
        guard candidate > hard.commit, log.term(at: candidate) == term else { return }
        hard.commit = candidate
    }
}
