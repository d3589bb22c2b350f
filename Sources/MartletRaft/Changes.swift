// Changes of membership: paper, section 6; learners: thesis, section 4.2.1.

extension RaftCore {
    /// What becomes of a wish for another membership.
    enum ChangeOutcome {
        /// Not to be decided yet.
        case wait
        case refuse(RaftRefusal)
        case take(Membership)
    }

    /// Another membership is in force.
    mutating func membershipChanged() {
        effects.append(.membership(membership))
        if role == .leader {
            adjustPeers()
        } else if role == .learner || !membership.hasVote(member), role != restingRole {
            role = restingRole
            announce()
        }
    }

    /// Keeps a leader's peers as the membership says. One that left gets the log for a while, to learn that it left.
    mutating func adjustPeers() {
        for other in membership.all where other != member && !peers.contains(where: { $0.member == other }) {
            peers.append(Peer(other, next: log.lastIndex + 1, now: now))
        }
        peers.sort { $0.member < $1.member }
        for place in peers.indices {
            let isNamed = membership.contains(peers[place].member)
            peers[place].leavingSince = isNamed ? nil : peers[place].leavingSince ?? now
        }
    }

    /// Decides about a change, as the leader.
    func consider(_ change: MembershipChange) -> ChangeOutcome {
        guard hard.commit >= leading.mark, leading.transfer == nil else { return .wait }
        guard !membership.isJoint, memberships.latestIndex <= hard.commit else { return .refuse(.changeInProgress) }
        var next = membership
        switch change {
        case .addLearner(let new, let autoPromote):
            if membership.contains(new) { return .refuse(.alreadyMember) }
            next.learners.append(new)
            if autoPromote { next.autoPromoting.append(new) }
        case .addVoter(let new):
            if membership.voters.contains(new) { return .refuse(.alreadyMember) }
            next.makeVoter(new)
        case .promote(let learner):
            if membership.voters.contains(learner) { return .refuse(.alreadyMember) }
            guard membership.learners.contains(learner) else { return .refuse(.notMember) }
            guard isCaughtUp(learner) else { return .refuse(.learnerNotReady) }
            next.makeVoter(learner)
        case .remove(let old):
            guard membership.contains(old) else { return .refuse(.notMember) }
            next.remove(old)
        case .replace(let voters, let learners): next = Membership(voters: voters, learners: learners)
        }
        guard !next.voters.isEmpty else { return .refuse(.lastVoter) }
        // A new voter is given the benefit of the doubt; the others must be alive, or the group would stop.
        let able = next.voters.filter { isActive($0) || !membership.voters.contains($0) }
        guard able.count > next.voters.count / 2 else { return .refuse(.quorumLost) }
        return .take(
            Membership(
                voters: next.voters, learners: next.learners.filter { !next.voters.contains($0) },
                autoPromoting: next.autoPromoting.filter { next.learners.contains($0) }))
    }

    /// Puts the first step toward `target` in the log: a joint membership where voters change.
    mutating func placeMembership(_ target: Membership, id: ProposalID, context: [UInt8]) {
        var next = target
        if target.voters != membership.voters, configuration.mutation != .skipsJointMembership {
            next.outgoing = membership.voters
        }
        let payload = MembershipEntry(membership: next, context: context).encoded()
        place(RaftEntry(index: log.lastIndex + 1, term: term, kind: .membership, id: id, payload: payload))
        leading.uncommittedBytes += payload.count
        broadcast()
    }

    /// The joint membership is committed: the new one alone is next.
    mutating func leaveJointMembership() {
        var next = membership
        next.outgoing = []
        placeMembership(next, id: .none, context: [])
    }

    // MARK: Learners

    private func isCaughtUp(_ learner: MemberID) -> Bool {
        peers.contains { $0.member == learner && $0.isCaughtUp && isActive($0) }
    }

    /// Catching up goes in rounds: what the log held when a round began. A learner whose round was shorter than an
    /// election timeout is near enough: the group would not wait longer for it than for an election.
    mutating func noteCatchingUp(of place: Int) {
        let (end, since) = peers[place].catchUp
        guard peers[place].match >= end else { return }
        let isNear = now - since < configuration.electionTicks || peers[place].match >= log.lastIndex
        peers[place].isCaughtUp = isNear && peers[place].match >= leading.mark
        peers[place].catchUp = (log.lastIndex, now)
    }

    /// Gives a vote to a learner that has caught up, one at a time.
    mutating func promoteLearners() {
        for learner in membership.autoPromoting where isCaughtUp(learner) {
            guard case .take(let target) = consider(.promote(learner)) else { continue }
            return placeMembership(target, id: .none, context: [])
        }
    }
}

extension Membership {
    fileprivate mutating func makeVoter(_ member: MemberID) {
        remove(member)
        voters.append(member)
    }

    fileprivate mutating func remove(_ member: MemberID) {
        voters.removeAll { $0 == member }
        learners.removeAll { $0 == member }
        autoPromoting.removeAll { $0 == member }
    }
}
