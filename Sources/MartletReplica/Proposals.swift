internal import MartletBase
internal import MartletRaft
public import MartletStore

extension Replica {
    /// Proposes a change, on any member; returns when it is durable on a quorum and applied here. Once taken in, a
    /// proposal goes on when its task is cancelled. It is made at most once, also where leaders change meanwhile.
    /// - Throws: ``ReplicaError``, or ``CommandRefusal`` when the store refuses it. After `timedOut`,
    /// `undecided` and `stopped` the change may or may not have happened; after all others it has not.
    public func propose(_ transaction: Transaction) async throws -> TransactionResult {
        guard case .transaction(let result) = try await propose(Command(.transaction(transaction))) else {
            throw ReplicaError.stopped("a transaction was answered as something else")
        }
        return result
    }

    /// Proposes a command; as ``propose(_:)-(Transaction)``.
    public func propose(_ command: Command) async throws -> CommandResult {
        let payload = command.encoded()
        try checkRoom(for: payload)
        return try await withUnsafeThrowingContinuation { continuation in
            enqueue(payload, continuation)
        }
    }

    /// Proposes what the rules of the store allow, in one visit.
    /// - Parameter allow: judges the command while rules are on, and returns the revision of the rules that it judged
    ///   by. When they have changed before the command is carried out, that throws
    ///   ``CommandRefusal/authRevisionChanged``.
    /// - Returns: also the revision and term when it was proposed.
    /// - Throws: as ``propose(_:)-(Command)``, and what `allow` throws.
    public func propose(
        _ kind: Command.Kind, allowedBy allow: @Sendable (borrowing Store) throws -> UInt64
    ) async throws -> (result: CommandResult, revision: Int64, term: UInt64) {
        let allowed = store.auth.enabled ? try store.lend(allow) : store.auth.revision
        let (revision, term) = (revision, term)
        return (try await propose(Command(kind, authRevision: allowed)), revision, term)
    }

    /// Refuses what cannot be taken in now.
    func checkRoom(for payload: [UInt8]) throws(ReplicaError) {
        guard payload.count <= Limits.transactionBytes else { throw .tooLarge(limit: Limits.transactionBytes) }
        if let stopReason { throw .stopped(stopReason) }
        // What the others decided would not arrive here.
        if let roomFailure { throw .noRoom(roomFailure) }
        guard pendingBytes + payload.count <= Limits.pendingBytes, waiters.count < Limits.waiters else {
            throw .overloaded
        }
    }

    /// Puts a proposal on its way.
    private func enqueue(_ payload: [UInt8], _ continuation: Waiters.Continuation) {
        let sequence = waiters.add(continuation, until: world.now() + Limits.proposal)
        pending.append(Proposal(sequence: sequence, payload: payload))
        pendingBytes += payload.count
        wake()
    }

    /// Fails those whose proposals were not decided in time.
    func expireWaiters() {
        // Without room here nothing is decided, or what the others decide does not arrive: who waits is told why.
        let isFull = roomFailure != nil
        let expired = waiters.expire(isFull ? now + (Limits.proposal - Limits.roomPatience) : now)
        guard !expired.isEmpty else { return }
        let sequences = expired.map(\.sequence)
        forget(sequences)
        let error = isFull ? ReplicaError.undecided(roomFailure ?? "") : .timedOut
        for waiter in expired { waiter.continuation?.resume(throwing: error) }
    }

    /// Lets nobody propose these again.
    func forget(_ sequences: [UInt64]) {
        guard !sequences.isEmpty else { return }
        let (first, last) = (sequences.min() ?? 0, sequences.max() ?? 0)
        let gone = Set(sequences)
        pending.removeAll { proposal in
            guard proposal.sequence >= first, proposal.sequence <= last, gone.contains(proposal.sequence) else {
                return false
            }
            pendingBytes -= proposal.payload.count
            return true
        }
        core.step(.forget(sequences), into: &effects)
    }
}
