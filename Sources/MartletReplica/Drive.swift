internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletRaft
internal import MartletStore

// The shell around Raft: batches proposals, writes the log, applies what is committed, answers those who wait.

extension Replica {
    /// Brings the member up. A group of one leads, and has applied its log, when this returns.
    func start() async throws {
        carryOut(core.step(.tick))
        await drive()
        if let stopReason { throw ReplicaError.stopped(stopReason) }
        ticker = world.spawn { [world, weak self] in
            while (try? await world.sleep(for: Limits.tick)) != nil, let replica = self { await replica.tick() }
        }
    }

    /// Makes sure that somebody writes what there is to write.
    func startDriver() {
        guard driver == nil, !hasFailed else { return }
        driver = world.spawn {
            await self.drive()
            await self.driverEnded()
        }
    }

    private func driverEnded() {
        driver = nil
        if !outbox.isEmpty || !pending.isEmpty || truncation != nil { startDriver() }
    }

    /// Proposes and writes until there is nothing left. What arrives during a sync goes into the next write.
    func drive() async {
        while !hasFailed {
            proposePending()
            guard !outbox.isEmpty || truncation != nil else { return }
            let writes = outbox
            outbox = []
            do {
                if !writes.isEmpty { try await device.append(writes.flatMap(records)) }
                if let position = truncation {
                    truncation = nil
                    try await device.truncatePrefix(before: position)
                }
            } catch {
                stop("\(error)")
                return
            }
            for write in writes { carryOut(core.step(.persisted(ticket: write.ticket))) }
            considerCheckpoint()
        }
    }

    /// Gives Raft the proposals of one batch.
    private func proposePending() {
        guard !pending.isEmpty else { return }
        var bytes = 0
        var count = 0
        while count < pending.count, count == 0 || bytes + pending[count].payload.count <= Limits.batchBytes {
            bytes += pending[count].payload.count
            count += 1
        }
        let batch = pending.prefix(count)
        pending.removeFirst(count)
        pendingBytes -= bytes
        let first = lastSequence + 1
        lastSequence += UInt64(count)
        for (offset, proposal) in batch.enumerated() {
            waiting.append(Waiter(sequence: first + UInt64(offset), continuation: proposal.continuation))
        }
        let proposals = batch.enumerated().map { Proposal(sequence: first + UInt64($0), payload: $1.payload) }
        carryOut(core.step(.propose(proposals)))
    }

    /// The device's records for a write. The hard state comes first: an entry must not outlive its term.
    private func records(for write: RaftWrite) -> [LogRecord] {
        var records: [LogRecord] = []
        records.reserveCapacity(write.entries.count + 1)
        if let state = write.hardState { records.append(record(.hardState(state))) }
        for entry in write.entries {
            if positions.isEmpty { positionsFrom = entry.index }
            let keep = Int(entry.index - positionsFrom)
            if keep < positions.count { positions.removeLast(positions.count - keep) }
            positions.append(nextPosition)
            records.append(record(.entry(entry)))
        }
        return records
    }

    private func record(_ content: RaftRecord) -> LogRecord {
        defer { nextPosition += 1 }
        return LogRecord(index: nextPosition, payload: content.encoded())
    }

    /// Carries out what Raft wants, in order.
    func carryOut(_ effects: [RaftEffect]) {
        for effect in effects {
            switch effect {
            case .persist(let write): outbox.append(write)
            case .apply(let entries): apply(entries)
            case .changed(let role, let term, let leader):
                logger.info("raft: \(role) in term \(term), leader \(leader.map { "\($0)" } ?? "unknown")")
                if role != .leader { failWaiting(ReplicaError.notLeader) }
            case .refused(let sequences, _): refuse(through: sequences.last ?? 0)
            case .send, .lost, .readable, .unreadable, .membership, .fetchSnapshot:
                continue  // A group of one has no peers.
            }
        }
    }

    private func apply(_ entries: [RaftEntry]) {
        for entry in entries where !hasFailed {
            do {
                let applied =
                    entry.kind == .membership
                    ? try store.apply(
                        index: entry.index, membership: try MembershipEntry(decoding: entry.payload).context)
                    : try store.apply(index: entry.index, payload: entry.payload)
                progress.note(entry, applied.events)
                if !applied.events.isEmpty { tellWatchers(applied.events, revision: applied.revision) }
                if let divergence = applied.divergence { stop("\(divergence)") }
                answer(entry, with: applied)
            } catch {
                stop("entry \(entry.index) of the log cannot be read (\(error)); run the release that wrote it")
            }
        }
    }

    /// Answers whoever proposed `entry`. A group of one applies its proposals in their order.
    private func answer(_ entry: RaftEntry, with applied: Applied) {
        guard entry.id.session == core.session, let waiter = waiting.first, waiter.sequence == entry.id.sequence else {
            return
        }
        waiting.removeFirst()
        switch applied.result {
        case .success(.transaction(let result)): waiter.continuation.resume(returning: result)
        case .success: waiter.continuation.resume(throwing: ReplicaError.stopped("a command answered a transaction"))
        case .failure(let refusal): waiter.continuation.resume(throwing: refusal)
        }
    }

    private func refuse(through sequence: UInt64) {
        while let waiter = waiting.first, waiter.sequence <= sequence {
            waiting.removeFirst()
            waiter.continuation.resume(throwing: ReplicaError.notLeader)
        }
    }

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

    /// Fails all proposals on their way.
    func fail(_ error: ReplicaError) {
        let doomed = pending
        pending = []
        pendingBytes = 0
        for proposal in doomed { proposal.continuation.resume(throwing: error) }
        failWaiting(error)
    }

    private func failWaiting(_ error: ReplicaError) {
        let doomed = waiting
        waiting = []
        for waiter in doomed { waiter.continuation.resume(throwing: error) }
    }
}
