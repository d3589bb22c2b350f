internal import Logging
internal import MartletBase
internal import MartletRaft
public import MartletStore

// Who the members are: what clients ask for, and what a member does by itself about it.

extension Replica {
    /// Adds a member, on any member. It may be started once this returns, as ``Bootstrap/added(cluster:member:)``.
    /// - Parameters:
    ///   - isLearner: whether it has no vote at first.
    ///   - autoPromote: whether a learner gets a vote as soon as it has caught up.
    /// - Returns: the new member, with the id that was drawn for it.
    /// - Throws: ``ReplicaError``.
    public func addMember(peerURLs: [String], isLearner: Bool, autoPromote: Bool = false) async throws -> MemberInfo {
        try check(peerURLs)
        try await confirmRead()
        if isTaken(peerURLs, by: nil) { throw ReplicaError.membership(.urlTaken) }
        let id = world.random() >> 1 | 1
        let info = MemberInfo(id: id, peerURLs: peerURLs, isLearner: isLearner)
        let change: MembershipChange =
            isLearner ? .addLearner(MemberID(id), autoPromote: autoPromote) : .addVoter(MemberID(id))
        do {
            try await self.change(change, .add(info))
        } catch CommandRefusal.peerURLExists {
            // Two were added at a time: Raft took both, the directory one.
            try await self.change(.remove(MemberID(id)), nil)
            throw ReplicaError.membership(.urlTaken)
        }
        return info
    }

    /// Gives a learner that has caught up a vote.
    /// - Throws: ``ReplicaError``.
    public func promote(member id: UInt64) async throws {
        try await change(.promote(MemberID(id)), .promote(id: id))
    }

    /// Removes a member. It stops when it learns of that.
    /// - Throws: ``ReplicaError``.
    public func remove(member id: UInt64) async throws {
        try await change(.remove(MemberID(id)), .remove(id: id))
    }

    /// Changes where a member's peers reach it.
    /// - Throws: ``ReplicaError``.
    public func updateMember(_ id: UInt64, peerURLs: [String]) async throws {
        try check(peerURLs)
        do {
            _ = try await propose(Command(.member(.update(id: id, peerURLs: peerURLs))))
        } catch CommandRefusal.memberNotFound {
            throw ReplicaError.membership(.notMember)
        } catch CommandRefusal.peerURLExists {
            throw ReplicaError.membership(.urlTaken)
        }
    }

    /// Has a member that votes lead in the place of the one that does.
    /// - Throws: ``ReplicaError``: `notLeader` when it does not lead after a while.
    public func transferLeadership(to id: UInt64) async throws {
        let target = MemberID(id)
        guard core.membership.voters.contains(target) else { throw ReplicaError.membership(.notMember) }
        let deadline = world.now() + Limits.change
        var asked = MonotonicTime(nanoseconds: 0)
        while core.leader != target {
            if let stopReason { throw ReplicaError.stopped(stopReason) }
            let time = world.now()
            guard time < deadline else { throw ReplicaError.notLeader }
            if time - asked >= .seconds(1) {
                asked = time
                core.step(.transfer(to: target), into: &effects)
                settle()
            }
            try await world.sleep(for: Limits.tick)
        }
    }

    // MARK: Changes

    private func check(_ peerURLs: [String]) throws(ReplicaError) {
        guard !peerURLs.isEmpty else { throw .membership(.badURL("a member needs at least one peer URL")) }
        do { for url in peerURLs { _ = try PeerURL.endpoint(url) } } catch {
            throw .membership(.badURL(error.description))
        }
    }

    private func isTaken(_ peerURLs: [String], by id: UInt64?) -> Bool {
        store.members.values.contains { $0.id != id && $0.peerURLs.contains(where: peerURLs.contains) }
    }

    /// Changes the membership, with what goes into the directory. While another change is under way it waits.
    private func change(_ change: MembershipChange, _ directory: MemberCommand?) async throws {
        let deadline = world.now() + Limits.change
        while true {
            do {
                _ = try await changeOnce(change, directory)
                return
            } catch ReplicaError.membership(.changeInProgress) {
                guard world.now() < deadline else { throw ReplicaError.membership(.changeInProgress) }
                try await world.sleep(for: Limits.tick * 2)
            }
        }
    }

    private func changeOnce(_ change: MembershipChange, _ directory: MemberCommand?) async throws -> CommandResult {
        let context = directory?.encoded() ?? []
        try checkRoom(for: context)
        return try await withUnsafeThrowingContinuation { continuation in
            // Raft takes sequences in their order: those that wait go first.
            while !pending.isEmpty { proposePending() }
            let sequence = waiters.add(continuation, until: world.now() + Limits.proposal)
            core.step(.change(change, sequence: sequence, context: context), into: &effects)
            settle()
        }
    }

    // MARK: What a member does by itself

    /// Who an entry of the log says is where.
    static func addresses(in entry: RaftEntry) -> [MemberID: [String]] {
        guard let content = try? MembershipEntry(decoding: entry.payload), !content.context.isEmpty,
            let command = try? MemberCommand(decoding: content.context)
        else { return [:] }
        switch command {
        case .genesis(_, let members), .replace(let members):
            return Dictionary(members.map { (MemberID($0.id), $0.peerURLs) }) { $1 }
        case .add(let member): return [MemberID(member.id): member.peerURLs]
        case .update(let id, let peerURLs): return [MemberID(id): peerURLs]
        case .remove, .promote, .describe: return [:]
        }
    }

    /// Takes note of an entry that changes the membership, before it is committed: a new member may be needed for that.
    func note(_ entry: RaftEntry) { newcomers.merge(Self.addresses(in: entry)) { $1 } }

    /// Connects to all that the membership names.
    func connectPeers() {
        guard let transport else { return }
        let peers = core.membership.all.filter { $0 != core.member }.map { member in
            let urls = store.members[member.number]?.peerURLs ?? newcomers[member] ?? []
            return PeerAddress(member, PeerURL.endpoints(urls))
        }
        transport.connect(to: peers)
    }

    /// An entry that may have changed who is where was applied.
    func membershipApplied(_ entry: RaftEntry) {
        guard entry.kind == .membership, let content = try? MembershipEntry(decoding: entry.payload) else { return }
        for member in newcomers.keys where store.members[member.number] != nil { newcomers[member] = nil }
        connectPeers()
        if !content.membership.isJoint, !content.membership.contains(core.member), progress.wasMember {
            leave()
        }
        if content.membership.contains(core.member) { progress.wasMember = true }
    }

    /// This member was removed. What it still has to tell goes out first.
    private func leave() {
        guard stopReason == nil else { return }
        let reason = ReplicaError.removal
        stopReason = reason
        world.spawn {
            try? await self.world.sleep(for: Limits.handOver)
            await self.stop(reason)
        }
    }

    /// Puts right what the directory says of members, and finds out whether this one still is a member.
    func lookAfterMembership() {
        if core.leader != nil { (upkeep.ledAt, upkeep.sawLeaderAt) = (now, now) }
        guard let peers = peerConfiguration, !upkeep.isRepairing else { return }
        if core.leader == nil {
            if now - upkeep.ledAt > Limits.proposal, store.appliedIndex > 0 { askWhetherMember() }
            return
        }
        let own = store.members[identity.member]
        var repair: MemberCommand?
        if let own, own.name != peers.name || own.clientURLs != peers.clientURLs {
            repair = .describe(id: identity.member, name: peers.name, clientURLs: peers.clientURLs)
        } else if core.role == .leader {
            let voter = core.membership.voters.first { store.members[$0.number]?.isLearner == true }
            if let voter, !core.membership.isJoint { repair = .promote(id: voter.number) }
        }
        guard let repair else { return }
        upkeep.isRepairing = true
        world.spawn {
            do { _ = try await self.propose(Command(.member(repair))) } catch {
                self.logger.debug("the directory of members is not put right yet: \(error)")
            }
            await self.repairEnded()
        }
    }

    private func repairEnded() { upkeep.isRepairing = false }

    /// Asks the others whether this is a member still: nobody tells one that was removed while it was away.
    private func askWhetherMember() {
        guard let transport, !upkeep.isAsking else { return }
        upkeep.isAsking = true
        let others = core.membership.all.filter { $0 != core.member }
        world.spawn {
            for other in others {
                let answer = try? await transport.call(other, PeerRequest.isMember(self.identity.member).encoded())
                if let answer, (try? PeerAnswer(decoding: answer)) == .no { await self.leave() }
            }
            await self.askingEnded()
        }
    }

    private func askingEnded() {
        upkeep.isAsking = false
        upkeep.ledAt = now
    }

    /// A leader that ends has another one lead, so that nobody has to notice its absence first. Returns when another
    /// one does, after a while, or at once when this member does not lead.
    public func handOver() async {
        guard core.role == .leader, !hasFailed, transport != nil else { return }
        let heirs = core.membership.voters.filter { $0 != core.member && core.progress(of: $0)?.isActive == true }
        let heir = heirs.max { (core.progress(of: $0)?.match ?? 0) < (core.progress(of: $1)?.match ?? 0) }
        guard let heir else { return }
        core.step(.transfer(to: heir), into: &effects)
        settle()
        let deadline = world.now() + Limits.handOver
        while core.role == .leader, !hasFailed, world.now() < deadline {
            guard (try? await world.sleep(for: .milliseconds(5))) != nil else { return }
        }
    }
}
