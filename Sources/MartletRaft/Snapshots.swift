// Members that lack entries which are gone fetch a snapshot (paper, section 7), from a follower if they can.

/// A snapshot on its way to this member.
struct SnapshotFetch: Sendable {
    var index: UInt64
    /// Those that have not failed yet.
    var sources: [MemberID]
}

extension RaftCore {
    /// Tells a peer that entries which it lacks are gone, and who has the state instead: followers before the leader.
    mutating func offerSnapshot(to place: Int) {
        let start = log.start
        peers[place].phase = .snapshot
        peers[place].probeSentAt = now
        peers[place].inflight.removeAll()
        peers[place].inflightBytes = 0
        let able = peers.filter {
            $0.member != peers[place].member && $0.match >= start.index && isActive($0) && $0.leavingSince == nil
        }
        send(
            .snapshot(index: start.index, indexTerm: start.term, sources: able.map(\.member) + [member]),
            to: peers[place].member)
    }

    /// A leader says that this member needs a snapshot.
    mutating func offered(snapshotAt index: UInt64, sources: [MemberID], by leader: MemberID) {
        if index <= hard.commit {
            promise(.appended(match: hard.commit), to: leader)
        } else if fetch == nil {
            let others = sources.filter { $0 != member }
            guard !others.isEmpty else { return }
            fetch = SnapshotFetch(index: index, sources: others)
            effects.append(.fetchSnapshot(from: others, index: index))
        }
    }

    /// When all sources have failed, the leader's next offer begins again.
    mutating func fetchFailed(from source: MemberID) {
        fetch?.sources.removeAll { $0 == source }
        if fetch?.sources.isEmpty == true { fetch = nil }
    }

    /// The applied state is now a snapshot's. The log goes on after it: with what it holds if that follows, else empty.
    mutating func installed(_ position: SnapshotPosition) {
        fetch = nil
        guard position.index > applied else { return }
        if log.term(at: position.index) == position.term {
            log.drop(through: position.index)
            memberships.drop(through: position.index)
        } else {
            disown(from: 1)
            log = RaftLog(startIndex: position.index, startTerm: position.term)
            memberships = MembershipHistory(position.membership, at: position.index)
            unwrittenFrom = nil
            unwrittenRestart = position
            slice = nil
            membershipChanged()
        }
        durable = max(min(durable, log.lastIndex), position.index)
        applied = position.index
        appliedTerm = position.term
        hard.commit = max(hard.commit, position.index)
        let unknown = outbox.loseAll(sentBy: position.term)
        if !unknown.isEmpty { effects.append(.lost(unknown)) }
        if let leader, leader != member { promise(.appended(match: position.index), to: leader) }
    }
}
