internal import MartletBase
internal import MartletRaft
internal import MartletStore

/// When a leader compares states with its followers.
struct CheckPace {
    /// Entries applied since the last check.
    private(set) var entries = 0
    private(set) var since = MonotonicTime(nanoseconds: 0)
    /// The check on its way.
    private var sequence: UInt64?

    mutating func note(_ entry: RaftEntry) { entries += 1 }

    /// Whether it is time for a check.
    func isDue(_ now: MonotonicTime) -> Bool {
        entries >= Limits.checkEntries || entries > 1 && now - since >= Limits.checkPause
    }

    /// A check goes on its way. Its own entry will be counted as the first of the next span.
    mutating func begin(_ now: MonotonicTime) {
        entries = 0
        since = now
    }
}

/// What is done now and then.
struct Upkeep {
    var last = MonotonicTime(nanoseconds: 0)
    /// When this member last heard of a leader.
    var ledAt = MonotonicTime(nanoseconds: 0)
    /// When a leader was last known, whatever was asked since.
    var sawLeaderAt = MonotonicTime(nanoseconds: 0)
    /// Whether a question is under way.
    var isAsking = false
    /// Whether a repair of the directory is under way.
    var isRepairing = false
}

extension Replica {
    /// Lets Raft's clock go on, and does what is due.
    func tick() {
        guard !isClosed else { return }
        now = world.now()
        if !hasFailed, intake.takesEvents {
            core.step(.tick, into: &effects)
            expireWaiters()
            if core.role == .leader { leaderTick() }
        }
        reads.tick(now, roomFailure: roomFailure)
        if reads.areDue { wake() }
        settle()
        guard now - upkeep.last >= Limits.upkeep else { return }
        upkeep.last = now
        lookAfterWatchers()
        snapshotsOut.forgetIdle(now)
        restIfQuiet()
        if stopReason == nil { lookAfterMembership() }
    }

    // MARK: Leading

    /// A new leader gives all leases their whole time.
    func beginToLead() {
        leases.promote(store.leases.mapValues(\.ttl), now: world.now())
        checks.begin(now)
    }

    private func leaderTick() {
        var wishes: [Command.Kind] = []
        for id in leases.due(now: now, limit: Limits.leaseExpiries) {
            if store.leases[id] == nil { leases.revoke(id) } else { wishes.append(.revokeLease(id: id)) }
        }
        if checks.isDue(now) {
            checks.begin(now)
            wishes.append(.check(index: store.appliedIndex, hash: store.stateHash.value))
        }
        // What is dropped is due again: a lease after a while, a check with the next one.
        guard !wishes.isEmpty, failure == nil else { return }
        core.step(.proposeAsLeader(wishes.map { Command($0).encoded() }), into: &effects)
    }

    /// Keeps the leader's clock of leases in step with the store.
    func noteLeases(_ entry: RaftEntry, _ applied: Applied, countBefore: Int) {
        if case .success(.lease(let id, let ttl)) = applied.result {
            leases.grant(id, ttl: ttl, now: world.now())
        } else if store.leases.count < countBefore, let command = try? Command(decoding: entry.payload),
            case .revokeLease(let id) = command.kind
        {
            leases.revoke(id)
        }
    }
}
