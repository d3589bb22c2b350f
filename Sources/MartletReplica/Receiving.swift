internal import MartletBase
public import MartletRaft
internal import MartletStore

// What comes in from the peers.

extension Replica: PeerReceiver {
    /// Takes messages, all of one delivery in one step of the log.
    public func receive(_ events: [PeerEvent]) async {
        // What comes while a snapshot takes the state's place is lost, as on a bad line.
        guard !hasFailed, !isClosed, intake.takesEvents else { return }
        for event in events {
            switch event {
            case .message(let message): core.step(.receive(message), into: &effects)
            case .unreachable(let member): core.step(.unreachable(member), into: &effects)
            }
        }
        settle()
    }

    /// Answers a member, or one that wants to become one.
    public func answer(_ request: [UInt8], from peer: MemberID?) async throws -> [UInt8] {
        let question: PeerRequest
        do { question = try PeerRequest(decoding: request) } catch {
            throw PeerError.refused("the question cannot be read (\(error)); run releases that know each other")
        }
        if let stopReason { throw PeerError.refused("member \(core.member) has stopped: \(stopReason)") }
        if case .join(let peerURLs, let asLearner) = question {
            return try await admit(peerURLs, asLearner: asLearner).encoded()
        }
        guard let peer else { throw PeerError.refused("one that is no member may only ask to join") }
        return try await answer(question, from: peer).encoded()
    }

    private func answer(_ question: PeerRequest, from peer: MemberID) async throws -> PeerAnswer {
        switch question {
        case .keepAlive(let lease):
            guard core.role == .leader else { return .notLeader }
            do { return .seconds(try await renewHere(lease)) } catch ReplicaError.notLeader { return .notLeader }
        case .timeToLive(let lease):
            guard core.role == .leader else { return .notLeader }
            do { return .lease(try await timeHere(lease)) } catch ReplicaError.notLeader { return .notLeader }
        case .isMember(let member):
            try await confirmRead()
            return store.members[member] == nil ? .no : .yes
        case .openSnapshot(let index): return openSnapshot(reaching: index, for: peer)
        case .piece(let snapshot, let number): return try await piece(number, of: snapshot, for: peer)
        case .join: return .notLeader
        }
    }

    /// Adds one that wants to join, or tells one that was added and has not started yet who it is.
    private func admit(_ peerURLs: [String], asLearner: Bool) async throws -> PeerAnswer {
        do {
            try await confirmRead()
            let known = members.first { $0.peerURLs.contains(where: peerURLs.contains) }
            if let known {
                guard known.name.isEmpty else {
                    throw PeerError.refused(
                        "member \(MemberID(known.id)) (\(known.name)) runs at these peer URLs; remove it first if its "
                            + "data is lost")
                }
                return .joined(cluster: identity.cluster, member: known.id)
            }
            let info = try await addMember(peerURLs: peerURLs, isLearner: true, autoPromote: !asLearner)
            return .joined(cluster: identity.cluster, member: info.id)
        } catch let error as ReplicaError {
            throw PeerError.refused("\(error)")
        }
    }
}
