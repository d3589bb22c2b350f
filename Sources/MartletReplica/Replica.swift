internal import DequeModule
internal import Logging
internal import MartletBase
internal import MartletIO
internal import MartletRaft
public import MartletStore

/// A replicated store: Raft, the write-ahead log, the key-value state and its watches, and the SQLite checkpoint.
///
/// Proposals that arrive while the log is being synced form the next write together. Reads are local memory, and
/// linearizable after ``confirmRead()``. A log that fails stops the replica: proposals fail from then on, reads go on.
/// A log without room does not: it is tried again until there is room.
public actor Replica {
    let world: any World
    let logger: Logger
    let device: any LogDevice
    let folder: DataFolder?
    let pace: CheckpointPace
    let history: HistoryLimits
    let identity: ReplicaIdentity
    /// Nil for a group of one without a network.
    let peerConfiguration: PeerConfiguration?
    let transport: (any PeerTransport)?
    /// Set in simulations.
    let observer: (any ReplicaObserver)?
    var core: RaftCore
    var store: Store

    /// What Raft wants, not yet carried out; and a spare, so that neither is made anew each time.
    var effects: [RaftEffect] = []
    var spareEffects: [RaftEffect] = []
    /// Messages on their way to the transport.
    var sending: [RaftMessage] = []

    /// Proposals not yet given to Raft, oldest first.
    var pending: [Proposal] = []
    var pendingBytes = 0
    /// Those who wait for proposals, given to Raft or not.
    var waiters = Waiters()
    /// Writes that Raft wants made.
    var outbox: [RaftWrite] = []
    /// Where the entries that Raft holds stand in the device: that of `positionsFrom`, and the next ones.
    var positions: Deque<UInt64>
    var positionsFrom: UInt64
    /// The device's next free position.
    var nextPosition: UInt64
    /// Where the log begins in the device that goes with the state.
    var logBase: LogBase

    /// The position before which the device may forget, when that is still to be done.
    var truncation: UInt64?
    var progress: CheckpointProgress
    /// Why the last checkpoint was not written; nil when it was. While this stays, the log grows: a replica's health
    /// should show it.
    public internal(set) var checkpointFailure: String?
    /// The task that works on the checkpoint's file, while one does: it writes a checkpoint, or puts a snapshot there.
    var fileWorker: Task<Void, Never>?

    var reads = ReadRounds()
    var leases = LeaseClock()
    var checks = CheckPace()
    var upkeep = Upkeep()
    /// Where members that the directory does not know yet may be reached.
    var newcomers: [MemberID: [String]] = [:]
    /// The snapshots that peers fetch here.
    var snapshotsOut = SnapshotsOut()
    /// How far the snapshot is that this member needs.
    var intake = SnapshotIntake.idle
    /// The task that fetches it.
    var fetcher: Task<Void, Never>?

    /// Who watches what.
    var watchers = WatcherTable()
    /// The world's time at the last tick: old where the thread was busy with something else, and so nothing that a
    /// time to wait may be counted from.
    var now: MonotonicTime
    /// The task that writes the log, while there is something to write.
    var driver: Task<Void, Never>?
    /// Whether it waits for the device now.
    var isWriting = false
    /// Whether a task will soon give Raft what has arrived.
    var isTurnDue = false
    var ticker: Task<Void, Never>?
    /// Why nothing is taken in any more.
    var stopReason: String?
    /// What the log has no room for; nil when it has.
    var roomFailure: String?
    /// Set when the log or an entry failed: nothing is written or applied any more.
    var hasFailed = false
    var isClosed = false

    init(
        from state: StartingState, log: RecoveredLog, device: any LogDevice, folder: DataFolder?,
        _ parts: ReplicaParts, in world: any World, logger: Logger
    ) throws {
        self.world = world
        self.logger = logger
        self.device = device
        self.folder = folder
        pace = parts.pace
        history = parts.history
        peerConfiguration = parts.peers
        transport = parts.transport
        observer = parts.observer
        now = world.now()
        identity = state.identity
        store = state.store
        store.mutation = parts.mutations.store
        watchers.told.advance(to: store.revision)
        logBase = log.base
        var configuration = RaftConfiguration(
            member: MemberID(state.identity.member), session: world.random() | 1, seed: world.random())
        configuration.leaseReads = parts.leaseReads
        configuration.mutation = parts.mutations.raft
        core = try log.core(configuration, continuing: state)
        positions = log.positions
        positionsFrom = log.entries.first?.index ?? log.base.index + 1
        nextPosition = log.nextPosition
        progress = CheckpointProgress(keepsChanges: folder != nil)
        progress.index = state.store.appliedIndex
        progress.appliedTerm = state.appliedTerm
        progress.wasMember = state.membership.contains(MemberID(state.identity.member))
        observer?.began(after: state.store.appliedIndex, isSnapshot: false)
        for entry in log.entries where entry.kind == .membership { newcomers.merge(Self.addresses(in: entry)) { $1 } }
    }

    /// The ids of the cluster and of this member, made when the folder was new.
    public var identifiers: (cluster: UInt64, member: UInt64) { (identity.cluster, identity.member) }

    // MARK: Reads

    /// The revision that reads see.
    public var revision: Int64 { store.revision }

    /// The index of the last log entry applied, and the digest of the state: equal on members whose states are equal.
    public var applied: (index: UInt64, hash: UInt64) { (store.appliedIndex, store.stateHash.value) }

    /// Why the replica takes no changes now; nil as long as it does. Reads go on meanwhile. A log without room is
    /// tried again, and this is nil once there is room.
    public var failure: String? { stopReason ?? roomFailure }

    /// How many keys there are.
    public var count: Int { store.count }

    /// One key, as of now.
    public func get(_ key: [UInt8]) -> KeyValue? { store.get(key) }

    /// The keys from `from` up to, not including, `to`, in order, as of `revision` (nil: now).
    /// `more` says whether the limit cut the list. The revision returned is the one that was read.
    /// - Throws: ``StoreError``.
    public func range(from: [UInt8], to: [UInt8], limit: Int? = nil, at revision: Int64? = nil) throws -> (
        pairs: [KeyValue], revision: Int64, more: Bool
    ) {
        let (pairs, more) = try store.range(KeyRange(from: from, to: to), limit: limit, at: revision)
        return (pairs, revision ?? store.revision, more)
    }

    /// Reads this member's state.
    /// - Throws: ``StoreError``.
    public func range(_ query: RangeQuery) throws -> RangeResult { try store.range(query) }

    /// A look at this member's state, all of one moment. `body` must not keep the store: a copy that stays makes the
    /// next change copy much of it.
    public func withStore<Value: Sendable>(_ body: @Sendable (borrowing Store) throws -> Value) rethrows -> Value {
        try store.lend(body)
    }

    /// Forgets the history through `revision` on this member alone: reads and watches that begin before it are
    /// refused. A cluster does so by a command.
    public func compact(through revision: Int64) { store.compact(through: revision) }

    // MARK: Watches

    /// Follows the keys from `from` up to, not including, `to`, beginning with the change after `revision`.
    /// - Throws: ``StoreError``; ``ReplicaError/stopped(_:)`` after ``close()``.
    public func watch(from: [UInt8], to: [UInt8], after revision: Int64) throws -> StoreWatch {
        if isClosed { throw ReplicaError.stopped("it was closed") }
        if revision < store.oldestRevision { throw StoreError.compacted(oldest: store.oldestRevision) }
        if revision > store.revision { throw StoreError.future(current: store.revision) }
        let queue = WatchQueue(KeyRange(from: from, to: to), after: revision, watchers.told)
        watchers.add(queue)
        if revision == store.revision { queue.fill([], through: revision, isAll: true) }
        return StoreWatch(queue, of: self)
    }

    /// Gives a watcher the next part of the history that it has not seen.
    func catchUp(_ queue: WatchQueue) throws {
        guard let since = queue.behindSince else { return }
        let (events, through) = try store.events(
            in: queue.range, after: since, scanLimit: Limits.watchScanRevisions, eventLimit: Limits.watchBatchEvents)
        queue.fill(events, through: through, isAll: through == store.revision)
    }

    /// Tells quiet watchers of progress, and forgets watches that are over.
    func lookAfterWatchers() { watchers.lookAfter() }

    // MARK: The end

    /// Ends the replica: hands leadership over where it can, takes in nothing more, finishes what it has taken in,
    /// and closes the files. Watches end.
    public func close() async {
        guard !isClosed else { return }
        await handOver()
        guard !isClosed else { return }
        isClosed = true
        stopReason = stopReason ?? "it was closed"
        ticker?.cancel()
        while let driver { await driver.value }
        fetcher?.cancel()
        while let fileWorker { await fileWorker.value }
        await fetcher?.value
        fail(ReplicaError.stopped("it was closed"))
        if !hasFailed, progress.index < store.appliedIndex { await checkpoint() }
        while let driver { await driver.value }
        await transport?.close()
        await device.close()
        await folder?.close()
        watchers.end()
    }
}
