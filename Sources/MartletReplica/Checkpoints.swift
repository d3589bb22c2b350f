internal import Logging
internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletStore

// When the applied state goes to the checkpoint, and the log's front is dropped.

/// What a replica remembers between two checkpoints.
struct CheckpointProgress: Sendable {
    /// Through which entry the last checkpoint reaches.
    var index: UInt64 = 0
    /// The keys that changed since.
    var dirty: Set<[UInt8]> = []
    /// What was applied since the last one was tried.
    var entriesSinceTry = 0
    var bytesSinceTry = 0
    /// Through which entry the applied ones reach, and of what term that one is.
    var appliedTerm: UInt64 = 0

    /// Whether it is time for the next one.
    func isDue(at pace: CheckpointPace) -> Bool { entriesSinceTry >= pace.entries || bytesSinceTry >= pace.bytes }

    /// Takes note of an applied entry.
    mutating func note(_ entry: RaftEntry, _ events: [StoreEvent]) {
        appliedTerm = entry.term
        entriesSinceTry += 1
        bytesSinceTry += entry.payload.count
        for event in events { dirty.insert(event.pair.key) }
    }
}

extension Replica {
    /// Begins a checkpoint in the background when one is due.
    func considerCheckpoint() {
        guard folder != nil, progress.isDue(at: pace), checkpointer == nil, !isClosed else { return }
        checkpointer = world.spawn {
            await self.checkpoint()
            await self.checkpointEnded()
        }
    }

    private func checkpointEnded() { checkpointer = nil }

    /// Writes what changed since the last checkpoint, then lets the log forget what is covered.
    /// A checkpoint that fails leaves the log as it is, and is tried again when the next one is due.
    func checkpoint() async {
        guard let folder, core.durable >= store.appliedIndex else { return }
        let state = CheckpointState(
            identity: identity, appliedIndex: store.appliedIndex, appliedTerm: progress.appliedTerm,
            revision: store.revision, stateHash: store.stateHash.value, hardState: core.hardState,
            pairCount: store.count)
        let dirty = progress.dirty
        let changes = dirty.map { CheckpointChange(key: $0, pair: store.get($0)) }
        progress.dirty = []
        progress.entriesSinceTry = 0
        progress.bytesSinceTry = 0
        do {
            let file = folder.checkpoint
            try await folder.worker.run { try file.write(changes, state) }
            progress.index = state.appliedIndex
            checkpointFailure = nil
            forgetLog()
        } catch {
            logger.error("the checkpoint failed, the log grows on: \(error)")
            checkpointFailure = "\(error)"
            progress.dirty.formUnion(dirty)
        }
    }

    /// Drops entries that the checkpoint covers, but for a margin that slow peers may still want.
    private func forgetLog() {
        guard progress.index > pace.logMargin else { return }
        let anchor = progress.index - pace.logMargin
        guard anchor > positionsFrom else { return }
        core.compact(through: anchor)
        positions.removeFirst(Int(anchor - positionsFrom))
        positionsFrom = anchor
        truncation = positions.first
        startDriver()
    }
}
