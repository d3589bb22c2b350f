internal import DequeModule
public import Logging
public import MartletBase
internal import MartletIO
internal import MartletRaft
public import MartletStore

/// How a replica is set up.
public struct ReplicaConfiguration: Sendable {
    /// The folder of its log and checkpoint; made when absent. Empty means: all in memory, for tests.
    public var directory: String
    /// How many revisions of history are kept for watches and old reads.
    public var historyLimit: Int
    /// A replica whose files live in `directory`.
    public init(directory: String, historyLimit: Int = 10_000) {
        self.directory = directory
        self.historyLimit = historyLimit
    }
}

/// A replicated store: Raft, the write-ahead log, the key-value state and its watches, and the SQLite checkpoint.
///
/// Proposals that arrive while the log is being synced form the next write together. Reads are local memory. A log
/// that fails stops the replica: proposals fail from then on, reads go on.
public actor Replica {
    let world: any World
    let logger: Logger
    let device: any LogDevice
    let folder: DataFolder?
    let pace: CheckpointPace
    let identity: ReplicaIdentity
    var core: RaftCore
    var store: Store

    /// Proposals not yet given to Raft, oldest first.
    var pending: [PendingProposal] = []
    var pendingBytes = 0
    /// Proposals in the log and not yet applied, in the order of their entries.
    var waiting: Deque<Waiter> = []
    /// The sequence of the last proposal.
    var lastSequence: UInt64 = 0
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
    var progress = CheckpointProgress()
    /// Why the last checkpoint was not written; nil when it was. While this stays, the log grows: a replica's health
    /// should show it.
    public internal(set) var checkpointFailure: String?
    /// The task that writes a checkpoint, while one is being written.
    var checkpointer: Task<Void, Never>?

    var watchers: [KeyRange: [WatchQueue]] = [:]
    var ticks = 0
    /// The task that writes the log, while there is something to write.
    var driver: Task<Void, Never>?
    var ticker: Task<Void, Never>?
    /// Why nothing is taken in any more.
    var stopReason: String?
    /// Set when the log or an entry failed: nothing is written or applied any more.
    var hasFailed = false
    var isClosed = false

    /// A change on its way into the log.
    struct PendingProposal {
        var payload: [UInt8]
        var continuation: CheckedContinuation<TransactionResult, any Error>
    }

    /// A change in the log, on its way to being applied.
    struct Waiter {
        var sequence: UInt64
        var continuation: CheckedContinuation<TransactionResult, any Error>
    }

    /// Opens the files, replays what the log holds past the checkpoint, and leads its group of one.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    public static func open(_ configuration: ReplicaConfiguration, in world: any World, logger: Logger) async throws
        -> Replica
    {
        guard !configuration.directory.isEmpty else {
            return try await open(
                on: MemoryLog(), historyLimit: configuration.historyLimit, in: world, logger: logger)
        }
        let (folder, log) = try await DataFolder.open(configuration.directory)
        do {
            return try await open(
                on: log, beside: folder, historyLimit: configuration.historyLimit, in: world, logger: logger)
        } catch {
            await log.close()
            await folder.close()
            throw error
        }
    }

    /// Opens a replica on a log device alone, without a checkpoint: all of the log is replayed. For simulated disks.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    public static func open(
        on device: any LogDevice, historyLimit: Int = 10_000, in world: any World, logger: Logger
    ) async throws -> Replica {
        try await open(on: device, beside: nil, historyLimit: historyLimit, in: world, logger: logger)
    }

    /// Opens a replica on a log device and the checkpoint in `folder`. A new one begins with `genesis`, or as a group
    /// of one.
    static func open(
        on device: any LogDevice, beside folder: DataFolder?, genesis: Genesis? = nil, historyLimit: Int,
        pace: CheckpointPace = CheckpointPace(),
        in world: any World, logger: Logger
    ) async throws -> Replica {
        // 0 is nobody, and the ids stay positive where they are shown as signed numbers.
        let identity = ReplicaIdentity(cluster: world.random() >> 1 | 1, member: world.random() >> 1 | 1)
        let genesis = genesis ?? .alone(identity, name: "", peerURLs: [], clientURLs: [])
        let state = try await StartingState.open(
            device, folder, genesis: genesis, history: HistoryLimits(revisions: historyLimit))
        let log = try await RecoveredLog(reading: device, from: state.base, in: folder)
        let replica = try Replica(
            from: state, log: log, device: device, folder: folder, pace: pace, in: world, logger: logger)
        try await replica.start()
        return replica
    }

    init(
        from state: StartingState, log: RecoveredLog, device: any LogDevice, folder: DataFolder?, pace: CheckpointPace,
        in world: any World, logger: Logger
    ) throws {
        self.world = world
        self.logger = logger
        self.device = device
        self.folder = folder
        self.pace = pace
        identity = state.identity
        store = state.store
        logBase = log.base
        let member = MemberID(state.identity.member)
        core = try log.core(
            RaftConfiguration(member: member, session: world.random() | 1, seed: world.random()), continuing: state)
        positions = log.positions
        positionsFrom = log.entries.first?.index ?? log.base.index + 1
        nextPosition = log.nextPosition
        progress.index = state.store.appliedIndex
        progress.appliedTerm = state.appliedTerm
    }

    /// The ids of the cluster and of this member, made when the folder was new.
    public var identifiers: (cluster: UInt64, member: UInt64) { (identity.cluster, identity.member) }

    // MARK: Reads

    /// The revision that reads see.
    public var revision: Int64 { store.revision }

    /// The index of the last log entry applied, and the digest of all applied so far: equal on members whose states
    /// are equal.
    public var applied: (index: UInt64, hash: UInt64) { (store.appliedIndex, store.stateHash.value) }

    /// Why the replica takes no changes any more; nil as long as it does. Reads go on after that.
    public var failure: String? { stopReason }

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

    /// Forgets the history through `revision`: reads and watches that begin before it are refused.
    public func compact(through revision: Int64) { store.compact(through: revision) }

    // MARK: Changes

    /// Proposes a change; returns when it is durable on a quorum and applied. Once taken in, a proposal goes on when
    /// its task is cancelled.
    /// - Throws: ``ReplicaError``. After a throw the change may or may not have happened, except for `tooLarge` and
    ///   `overloaded`.
    public func propose(_ transaction: Transaction) async throws -> TransactionResult {
        let payload = transaction.encoded()
        guard payload.count <= Limits.transactionBytes else {
            throw ReplicaError.tooLarge(limit: Limits.transactionBytes)
        }
        if let stopReason { throw ReplicaError.stopped(stopReason) }
        guard pendingBytes + payload.count <= Limits.pendingBytes else { throw ReplicaError.overloaded }
        return try await withCheckedThrowingContinuation { continuation in
            pending.append(PendingProposal(payload: payload, continuation: continuation))
            pendingBytes += payload.count
            startDriver()
        }
    }

    // MARK: Watches

    /// Follows the keys from `from` up to, not including, `to`, beginning with the change after `revision`.
    /// - Throws: ``StoreError``; ``ReplicaError/stopped(_:)`` after ``close()``.
    public func watch(from: [UInt8], to: [UInt8], after revision: Int64) throws -> StoreWatch {
        if isClosed { throw ReplicaError.stopped("it was closed") }
        if revision < store.oldestRevision { throw StoreError.compacted(oldest: store.oldestRevision) }
        if revision > store.revision { throw StoreError.future(current: store.revision) }
        let queue = WatchQueue(KeyRange(from: from, to: to), after: revision)
        watchers[queue.range, default: []].append(queue)
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

    /// Gives the events of one revision to those who watch their keys. Watchers of the same keys share one array.
    func tellWatchers(_ events: [StoreEvent], revision: Int64) {
        for (range, queues) in watchers {
            let matching = events.filter { range.contains($0.pair.key) }
            for queue in queues { queue.offer(matching, revision: revision) }
        }
    }

    // MARK: Time and the end

    /// Lets Raft's clock go on, tells quiet watchers of progress, and forgets watches that are over.
    func tick() {
        guard !isClosed else { return }
        if stopReason == nil {
            carryOut(core.step(.tick))
            if !outbox.isEmpty { startDriver() }
        }
        ticks += 1
        guard ticks % Limits.progressTicks == 0 else { return }
        for (range, queues) in watchers {
            let running = queues.filter { !$0.isOver }
            watchers[range] = running.isEmpty ? nil : running
            for queue in running { queue.offerProgress() }
        }
    }

    /// Ends the replica: takes in nothing more, finishes what it has taken in, and closes the files. Watches end.
    public func close() async {
        guard !isClosed else { return }
        isClosed = true
        stopReason = stopReason ?? "it was closed"
        ticker?.cancel()
        while let driver { await driver.value }
        await checkpointer?.value
        fail(ReplicaError.stopped("it was closed"))
        if !hasFailed, progress.index < store.appliedIndex { await checkpoint() }
        while let driver { await driver.value }
        await device.close()
        await folder?.close()
        for queue in watchers.values.joined() { queue.end(.closed) }
        watchers = [:]
    }
}
