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
    /// What changed since.
    var changes = ChangeLog()
    /// What was applied since the last one was tried.
    var entriesSinceTry = 0
    var bytesSinceTry = 0
    /// Through which entry the applied ones reach, and of what term that one is.
    var appliedTerm: UInt64 = 0
    /// Whether an entry was applied that names this member.
    var wasMember = false
    /// Through which entry they reached at the last look.
    private var indexSeen: UInt64 = 0
    /// How many changes are looked through for those that nobody can see any more, when checkpoints fail.
    private var thinAt = CheckpointProgress.thinChanges

    /// Whether what changes is for a checkpoint; a replica without a folder writes none.
    private let keepsChanges: Bool

    private static let thinChanges = 100_000

    init(keepsChanges: Bool) { self.keepsChanges = keepsChanges }

    /// Whether it is time for the next one.
    func isDue(at pace: CheckpointPace) -> Bool { entriesSinceTry >= pace.entries || bytesSinceTry >= pace.bytes }

    /// Whether it is time for one because the store rests: little was applied since the last look, and what waits is
    /// worth it.
    mutating func isResting(at pace: CheckpointPace, applied: UInt64) -> Bool {
        defer { indexSeen = applied }
        return bytesSinceTry >= pace.restBytes && applied - indexSeen < CheckpointPace.restEntries
    }

    /// Takes note of an applied entry.
    mutating func note(_ entry: RaftEntry, _ events: [StoreEvent]) {
        appliedTerm = entry.term
        entriesSinceTry += 1
        bytesSinceTry += entry.payload.count
        guard keepsChanges else { return }
        for event in events { changes.append(event) }
    }

    /// Takes back the changes of a checkpoint that failed. As long as they fail, what is remembered is at most what
    /// the store remembers.
    mutating func takeBack(_ failed: ChangeLog, oldest: Int64) {
        let later = changes
        changes = failed
        changes.append(later)
        guard changes.count > thinAt else { return }
        changes.drop(oldest: oldest)
        changes.compact()
        thinAt = max(2 * changes.count, Self.thinChanges)
    }
}

extension Replica {
    /// Begins a checkpoint in the background when one is due.
    func considerCheckpoint() {
        guard folder != nil, progress.isDue(at: pace), fileWorker == nil, !isClosed else { return }
        startFileWork { await $0.checkpoint() }
    }

    /// Where little happens, what a burst of changes has left in memory, in the log and for a restart to apply again
    /// goes to the checkpoint.
    func restIfQuiet() {
        let isResting = progress.isResting(at: pace, applied: store.appliedIndex)
        guard isResting, folder != nil, fileWorker == nil, !isClosed else { return }
        startFileWork { replica in
            await replica.checkpoint()
            await replica.giveBackMemory()
        }
    }

    private func giveBackMemory() async {
        guard let folder else { return }
        let file = folder.checkpoint
        try? await folder.worker.run {
            file.forgetPages()
            Allocator.giveBack()
        }
    }

    /// Returns when a checkpoint that covers all that is applied now is written, or when that failed.
    func checkpointNow() async {
        await withCheckpointFile { replica in
            if replica.progress.index < replica.store.appliedIndex, !replica.isClosed { await replica.checkpoint() }
        }
    }

    /// Works on the checkpoint's file when nobody else does.
    func withCheckpointFile(_ work: @escaping @Sendable (isolated Replica) async -> Void) async {
        while let fileWorker { await fileWorker.value }
        await startFileWork(work).value
    }

    @discardableResult
    private func startFileWork(_ work: @escaping @Sendable (isolated Replica) async -> Void) -> Task<Void, Never> {
        let task = world.spawn {
            await work(self)
            await self.fileWorkEnded()
        }
        fileWorker = task
        return task
    }

    private func fileWorkEnded() { fileWorker = nil }

    /// Writes what changed since the last checkpoint, then lets the log forget what is covered.
    /// A checkpoint that fails leaves the log as it is, and is tried again when the next one is due.
    func checkpoint() async {
        guard let folder, core.durable >= store.appliedIndex else { return }
        let index = store.appliedIndex
        guard let membership = core.membership(at: index) else { return }
        var state = CheckpointState(identity: identity)
        state.appliedIndex = index
        state.appliedTerm = progress.appliedTerm
        state.membership = membership
        state.base = logBase
        state.hardState = core.hardState
        state.take(store)
        let written = state
        let changes = progress.changes
        progress.changes = ChangeLog()
        progress.entriesSinceTry = 0
        progress.bytesSinceTry = 0
        do {
            let file = folder.checkpoint
            try await folder.worker.run { try file.write(changes, written) }
            progress.index = index
            checkpointFailure = nil
            forgetLog()
        } catch {
            logger.error("the checkpoint failed, the log grows on: \(error)")
            checkpointFailure = "\(error)"
            progress.takeBack(changes, oldest: store.oldestRevision)
        }
    }

    /// Drops entries that the checkpoint covers, but for a margin, and for what peers that are alive still lack: one
    /// that fetches a snapshot would find the entries after it gone. A bound of bytes ends that.
    private func forgetLog() {
        guard progress.index > pace.logMargin else { return }
        var anchor = progress.index - pace.logMargin
        if let wanted = core.wantedAfter, core.logBytes <= pace.heldBytes { anchor = min(anchor, wanted) }
        guard anchor > positionsFrom else { return }
        core.compact(through: anchor)
        positions.removeFirst(Int(anchor - positionsFrom))
        positionsFrom = anchor
        truncation = positions.first
        startDriver()
    }

    /// A copy of the store as it is now, in pieces that can be kept in a file or sent. Writes go on meanwhile.
    /// - Throws: ``ReplicaError``: `overloaded` when too many are on their way already.
    public func snapshot() async throws -> SnapshotReader {
        guard let folder else { throw ReplicaError.unusable("a replica in memory has no checkpoint to copy") }
        let slot = try folder.slots.take()
        await checkpointNow()
        if let checkpointFailure { throw ReplicaError.unusable(checkpointFailure) }
        return try await SnapshotReader.make(of: folder, slot)
    }
}
