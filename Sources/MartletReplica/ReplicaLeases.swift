internal import MartletBase
internal import MartletRaft
internal import MartletStore

/// The time that a lease still has.
public struct LeaseTime: Sendable, Hashable {
    /// Seconds that are left; -1 when the lease is gone.
    public var remaining: Int64
    /// Seconds that were granted; 0 when the lease is gone.
    public var granted: Int64
    /// A time from its parts.
    public init(remaining: Int64, granted: Int64) {
        self.remaining = remaining
        self.granted = granted
    }
    /// No lease.
    static let gone = LeaseTime(remaining: -1, granted: 0)
}

extension Replica {
    /// Gives a lease its whole time again, on any member: the leader keeps the time. Returns that time in seconds, 0
    /// when the lease is gone.
    /// - Throws: ``ReplicaError``.
    public func keepAlive(lease: Int64) async throws -> Int64 {
        let answer = try await askLeader(.keepAlive(lease)) { replica in
            .seconds(try await replica.renewHere(lease))
        }
        guard case .seconds(let seconds) = answer else { throw ReplicaError.notLeader }
        return seconds
    }

    /// How long a lease still has, by the leader's clock. Which keys hang on it is in the state of each member.
    /// - Throws: ``ReplicaError``.
    public func timeToLive(lease: Int64) async throws -> LeaseTime {
        let answer = try await askLeader(.timeToLive(lease)) { replica in
            .lease(try await replica.timeHere(lease))
        }
        guard case .lease(let time) = answer else { throw ReplicaError.notLeader }
        return time
    }

    /// Renews a lease on the leader, once it knows that it still leads: another leader would give it more time.
    func renewHere(_ lease: Int64) async throws -> Int64 {
        try await confirmRead()
        guard core.role == .leader else { throw ReplicaError.notLeader }
        guard store.leases[lease] != nil else { return 0 }
        return leases.renew(lease, now: world.now()) ?? 0
    }

    func timeHere(_ lease: Int64) async throws -> LeaseTime {
        try await confirmRead()
        guard core.role == .leader else { throw ReplicaError.notLeader }
        guard let known = store.leases[lease], let left = leases.remaining(lease, now: world.now()) else {
            return .gone
        }
        return LeaseTime(remaining: left.components.seconds, granted: known.ttl)
    }

    /// Has the leader answer, be it this member or another; tries for a while when there is none.
    func askLeader(
        _ request: PeerRequest, here: (isolated Replica) async throws -> PeerAnswer
    ) async throws -> PeerAnswer {
        let deadline = world.now() + Limits.change
        while true {
            if let stopReason { throw ReplicaError.stopped(stopReason) }
            do {
                if core.role == .leader {
                    return try await here(self)
                } else if let leader = core.leader, let transport {
                    let answer = try PeerAnswer(decoding: try await transport.call(leader, request.encoded()))
                    if answer != .notLeader { return answer }
                }
            } catch ReplicaError.notLeader {
                // The one that was asked leads no more.
            } catch let error as PeerError {
                if case .refused = error { throw ReplicaError.stopped("the leader answered: \(error)") }
            }
            guard world.now() < deadline else { throw ReplicaError.notLeader }
            try await world.sleep(for: Limits.tick * 2)
        }
    }
}
