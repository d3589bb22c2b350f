/// The bounds of a replica's queues and the paces of its upkeep.
enum Limits {
    /// The largest transaction, encoded. Larger ones are refused with `tooLarge`.
    static let transactionBytes = 4 << 20
    /// Proposals that wait for the write under way; past it new ones are refused with `overloaded`.
    static let pendingBytes = 64 << 20
    /// What one write to the log takes of them, about.
    static let batchBytes = 8 << 20
    /// How many records are read from the log at a time at start.
    static let recoveryRecords = 1024
    /// Events queued for one watcher; one that lags further reads on from the history.
    static let watchEvents = 4096
    /// Events handed to a watcher at a time, about (a revision is never divided).
    static let watchBatchEvents = 1024
    /// Revisions of history looked at in one step for a watcher that lags.
    static let watchScanRevisions = 4096
    /// What stays of SQLite's journal between two checkpoints, at most.
    static let checkpointJournalBytes = 64 << 20
    /// How many free pages a checkpoint returns to the file system at most: 64 MiB.
    static let vacuumPages: Int64 = 8192
    /// What a snapshot's reader hands out at a time.
    static let snapshotPieceBytes = 256 << 10
    /// How many snapshots may be on their way out of a member at a time.
    static let snapshots = 4
    /// The clock of Raft: an election takes 10 to 20 ticks, a heartbeat 1.
    static let tick: Duration = .milliseconds(100)
    /// Quiet watchers are told of the store's progress each time so many ticks have passed.
    static let progressTicks = 10
}

/// When checkpoints are written, and what of the log stays.
struct CheckpointPace: Sendable {
    /// A checkpoint is written when so many entries were applied since the last one,
    var entries = 10_000
    /// or so many bytes of them.
    var bytes = 32 << 20
    /// So many entries before the checkpoint stay in the log, for peers that are slow.
    var logMargin: UInt64 = 1000
}
