internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletRaft
internal import MartletStore

// The shell around Raft: batches proposals, writes the log, sends messages, applies what is committed, answers those
// who wait.
//
// What arrives is given to Raft in turns. A member that leads takes its turn before each write, so that all that
// arrived during one write goes into the next, and out to the followers in one message. Others pass proposals on at
// once.

extension Replica {
    /// Makes sure that what has arrived gets its turn.
    func wake() {
        if driver == nil { return startDriver() }
        guard isWriting, !isTurnDue, core.role != .leader || reads.areDue else { return }
        isTurnDue = true
        world.spawn { await self.turn() }
    }

    /// Makes sure that somebody writes what there is to write.
    func startDriver() {
        guard driver == nil, !hasFailed else { return }
        driver = world.spawn { await self.drive() }
    }

    /// Proposes and writes until there is nothing left. What arrives during a sync goes into the next write.
    private func drive() async {
        while !hasFailed {
            turn()
            guard !outbox.isEmpty || truncation != nil || intake.hasArrived else { break }
            guard await writeOutbox() else { break }
            await installArrived()
        }
        driver = nil
    }

    /// Gives Raft what has arrived.
    func turn() {
        isTurnDue = false
        guard !hasFailed, intake.takesEvents else { return }
        repeat {
            proposePending()
            askReads()
            settle()
        } while !pending.isEmpty && outbox.isEmpty && !hasFailed
    }

    /// Gives Raft the proposals of one batch.
    func proposePending() {
        guard !pending.isEmpty else { return }
        var bytes = 0
        var count = 0
        while count < pending.count, count == 0 || bytes + pending[count].payload.count <= Limits.batchBytes {
            bytes += pending[count].payload.count
            count += 1
        }
        pendingBytes -= bytes
        if count == pending.count {
            let batch = pending
            pending = []
            core.step(.propose(batch), into: &effects)
        } else {
            let batch = Array(pending.prefix(count))
            pending.removeFirst(count)
            core.step(.propose(batch), into: &effects)
        }
    }

    // MARK: The log

    /// Writes what is in the outbox. False when that is over for good.
    private func writeOutbox() async -> Bool {
        let writes = outbox
        outbox = []
        var batch: [LogRecord] = []
        batch.reserveCapacity(writes.reduce(0) { $0 + $1.entries.count + 2 })
        for write in writes { appendRecords(for: write, to: &batch) }
        let records = batch
        isWriting = true
        defer { isWriting = false }
        do {
            if !records.isEmpty { try await patiently { try await self.device.append(records) } }
            if let position = truncation {
                truncation = nil
                try await patiently { try await self.device.truncatePrefix(before: position) }
            }
        } catch {
            stop("\(error)")
            return false
        }
        if let last = writes.last {
            core.step(.persisted(ticket: last.ticket), into: &effects)
            settle()
        }
        considerCheckpoint()
        return true
    }

    /// Does something with the log until it has room for it. Only a log that is as it was before is asked again: a
    /// failed sync is for good.
    private func patiently(_ work: () async throws -> Void) async throws {
        var pause = Limits.roomBackoff.lowerBound
        while true {
            do {
                try await work()
                if roomFailure != nil { logger.notice("the log has room again") }
                roomFailure = nil
                return
            } catch let error as LogError {
                guard case .refused = error, !isClosed else { throw error }
                if roomFailure == nil { logger.error("the log takes nothing now, and is tried again: \(error)") }
                roomFailure = error.reason
                try await world.sleep(for: pause)
                pause = min(pause * 2, Limits.roomBackoff.upperBound)
                if isClosed { throw error }
            }
        }
    }

    /// The device's records for a write. The hard state comes first: an entry must not outlive its term.
    private func appendRecords(for write: RaftWrite, to records: inout [LogRecord]) {
        if let state = write.hardState { records.append(record(.hardState(state))) }
        if let restart = write.restart {
            positions = []
            records.append(record(.restart(restart)))
        }
        for entry in write.entries {
            if positions.isEmpty { positionsFrom = entry.index }
            let keep = Int(entry.index - positionsFrom)
            if keep < positions.count { positions.removeLast(positions.count - keep) }
            positions.append(nextPosition)
            records.append(record(.entry(entry)))
        }
    }

    private func record(_ content: RaftRecord) -> LogRecord {
        defer { nextPosition += 1 }
        return LogRecord(index: nextPosition, payload: content.encoded())
    }

    // MARK: Effects

    /// Carries out what Raft wants, in order, until it wants nothing more.
    func settle() {
        while !effects.isEmpty {
            swap(&effects, &spareEffects)
            for effect in spareEffects { carryOut(effect) }
            spareEffects.removeAll(keepingCapacity: true)
        }
        if !sending.isEmpty {
            transport?.send(sending)
            sending.removeAll(keepingCapacity: true)
        }
        if !outbox.isEmpty { startDriver() }
        if reads.areDue { wake() }
    }

    private func carryOut(_ effect: RaftEffect) {
        switch effect {
        case .persist(let write):
            for entry in write.entries where entry.kind == .membership { note(entry) }
            outbox.append(write)
        case .send(let message): sending.append(message)
        case .apply(let entries): apply(entries)
        case .changed(let role, let term, let leader): changed(role, term, leader)
        case .refused(let sequences, let refusal): refuse(sequences, refusal)
        case .lost(let sequences):
            for sequence in sequences { waiters.settle(sequence)?.resume(throwing: ReplicaError.timedOut) }
        case .readable(let numbers, let index): reads.confirm(numbers, from: index, applied: store.appliedIndex)
        case .unreadable(let numbers): reads.askAgain(numbers)
        case .membership: connectPeers()
        case .fetchSnapshot(let sources, let index): fetchSnapshot(from: sources, reaching: index)
        }
    }

    private func changed(_ role: RaftRole, _ term: UInt64, _ leader: MemberID?) {
        logger.info("raft: \(role) in term \(term), leader \(leader.map { "\($0)" } ?? "unknown")")
        if role == .leader { beginToLead() } else { leases.demote() }
    }

    private func refuse(_ sequences: [UInt64], _ refusal: RaftRefusal) {
        for sequence in sequences {
            waiters.settle(sequence)?.resume(throwing: ReplicaError(refusal))
        }
    }

    // MARK: Applying

    private func apply(_ entries: [RaftEntry]) {
        let leads = core.role == .leader
        for entry in entries where !hasFailed {
            do {
                let leaseCount = store.leases.count
                let applied = try store.apply(entry)
                observer?.applied(entry, applied, stateHash: store.stateHash.value)
                progress.note(entry, applied.events)
                checks.note(entry)
                if !applied.events.isEmpty { watchers.tell(applied.events, revision: applied.revision) }
                if leads { noteLeases(entry, applied, countBefore: leaseCount) }
                if entry.kind == .membership || entry.payload.isEmpty { membershipApplied(entry) }
                if let divergence = applied.divergence { stop("\(divergence)") }
                if entry.id.session == core.session { answer(entry.id.sequence, with: applied) }
            } catch {
                stop("entry \(entry.index) of the log cannot be read (\(error)); run the release that wrote it")
            }
        }
        reads.applied(through: store.appliedIndex)
    }

    private func answer(_ sequence: UInt64, with applied: Applied) {
        guard let continuation = waiters.settle(sequence) else { return }
        switch applied.result {
        case .success(let result): continuation.resume(returning: result)
        case .failure(let refusal): continuation.resume(throwing: refusal)
        }
    }

    // MARK: The end

    /// Stops taking anything in; what waits fails.
    func stop(_ reason: String) {
        guard !hasFailed else { return }
        hasFailed = true
        logger.critical("the store has stopped: \(reason)")
        stopReason = stopReason ?? reason
        outbox = []
        truncation = nil
        fail(ReplicaError.stopped(reason))
    }

    /// Fails all proposals and reads on their way.
    func fail(_ error: ReplicaError) {
        pending = []
        pendingBytes = 0
        for continuation in waiters.takeAll() { continuation.resume(throwing: error) }
        reads.fail(with: error)
        intake.drop()
    }
}

extension ReplicaError {
    /// Raft's refusal in the replica's words.
    init(_ refusal: RaftRefusal) {
        switch refusal {
        case .overloaded: self = .overloaded
        case .changeInProgress: self = .membership(.changeInProgress)
        case .alreadyMember: self = .membership(.alreadyMember)
        case .notMember: self = .membership(.notMember)
        case .learnerNotReady: self = .membership(.learnerNotReady)
        case .lastVoter: self = .membership(.lastVoter)
        case .quorumLost: self = .membership(.quorumLost)
        }
    }
}
