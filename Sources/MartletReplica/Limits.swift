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
    static let watchEvents = 512
    /// Events handed to a watcher at a time, about (a revision is never divided).
    static let watchBatchEvents = 1024
    /// Revisions of history looked at in one step for a watcher that lags.
    static let watchScanRevisions = 4096
    /// What stays of SQLite's journal between two checkpoints, at most.
    static let checkpointJournalBytes = 64 << 20
    /// How many free pages a checkpoint returns to the file system at most: 64 MiB.
    static let vacuumPages: Int64 = 8192
    /// Dead rows of a checkpoint that stay whatever the size of the file, in bytes.
    static let deadBytes = 8 << 20
    /// What a checkpoint writes before it leaves the disk to the log: three times as long as that took, but not longer
    /// than this.
    static let checkpointStepBytes = 512 << 10
    static let checkpointPause: Duration = .milliseconds(50)
    /// One that is larger than this was late, and is written in steps of so much, without pauses.
    static let checkpointLateBytes = 32 << 20
    static let checkpointLateStepBytes = 8 << 20
    /// What a checkpoint reads and packs anew at most to remove dead rows from it.
    static let checkpointCopyBytes = 32 << 20
    /// What a snapshot's reader hands out at a time.
    static let snapshotPieceBytes = 256 << 10
    /// How many snapshots may be on their way out of a member at a time.
    static let snapshots = 4
    /// The clock of Raft: an election takes 10 to 20 ticks, a heartbeat 2.
    static let tick: Duration = .milliseconds(25)
    /// Quiet watchers are told of the store's progress so often, and other upkeep is done.
    static let upkeep: Duration = .seconds(1)
    /// Proposals that wait for being decided, and reads that wait for being confirmed.
    static let waiters = 1 << 17
    /// How long a proposal waits for being decided: etcd's time.
    static let proposal: Duration = .seconds(7)
    /// How long a read waits for a leader's word.
    static let read: Duration = .seconds(7)
    /// How many questions of reads may be open at a time; later reads gather for the next one.
    static let readRounds = 2
    /// How long a log that has no room is left alone; doubled each time from the first to the second.
    static let roomBackoff: ClosedRange<Duration> = .milliseconds(50) ... .seconds(2)
    /// How long a leader whose log has no room waits for a decision of the others.
    static let roomPatience: Duration = .seconds(1)
    /// Leases that a leader ends in one tick.
    static let leaseExpiries = 64
    /// A leader proposes to compare states after so many entries,
    static let checkEntries = 1000
    /// or after so long, when there were any.
    static let checkPause: Duration = .seconds(10)
    /// How often, and how long in between, a new member asks to join.
    static let joinAttempts = 20
    static let joinPause: Duration = .milliseconds(500)
    /// How long a change of membership or of leadership is tried.
    static let change: Duration = .seconds(7)
    /// How long one that ends tries to hand leadership over.
    static let handOver: Duration = .milliseconds(500)
    /// How long a snapshot on its way out waits for its reader's next question.
    static let snapshotPatience: Duration = .seconds(60)
    /// How long making a snapshot may take.
    static let snapshotMaking: Duration = .seconds(600)
    /// How often a piece of a snapshot is asked for, and how long in between, before it is fetched elsewhere.
    static let snapshotTries = 20
    static let snapshotPause: Duration = .milliseconds(250)
    /// The largest frame between peers.
    static let peerFrameBytes = 16 << 20
    /// Frames and bytes that wait for one peer; what comes on top is dropped.
    static let peerQueueFrames = 16384
    static let peerQueueBytes = 32 << 20
    /// What one write to a peer takes of them, about.
    static let peerWriteBytes = 4 << 20
    /// What is read from a peer at a time, at most.
    static let peerReadBytes = 256 << 10
    /// Messages that are kept for a peer to which there is no connection.
    static let peerAbsentMessages = 16
    /// Calls that wait for one peer's answers, and requests of one peer that are worked on.
    static let peerCalls = 1024
    /// How many connections of peers are taken.
    static let peerConnections = 256
    /// How long a peer's answer to a call is waited for.
    static let peerCall: Duration = .seconds(5)
    /// How long connecting may take, with both handshakes.
    static let peerDial: Duration = .seconds(3)
    /// A quiet connection is asked for a sign of life so often,
    static let peerPing: Duration = .seconds(2)
    /// and given up when none came for so long.
    static let peerSilence: Duration = .seconds(7)
    /// How long to wait before connecting again; doubled each time from the first to the second.
    static let peerBackoff: ClosedRange<Duration> = .milliseconds(50) ... .seconds(1)
    /// How many reasons of refusals are remembered, so that each is logged once.
    static let peerRefusals = 64
}

/// When checkpoints are written, and what of the log stays.
struct CheckpointPace: Sendable {
    /// A checkpoint is written when so many entries were applied since the last one,
    var entries = 50_000
    /// or so many bytes of them.
    var bytes = 16 << 20
    /// or so many bytes, when hardly anything was applied for a second.
    var restBytes = 1 << 20
    /// So many entries before the checkpoint stay in the log, for peers that are slow.
    var logMargin: UInt64 = 1000
    /// More of them stay for peers that are alive and lack them, as long as all entries in memory have at most so many
    /// bytes.
    var heldBytes = 256 << 20
    /// Fewer entries in a second are hardly anything.
    static let restEntries: UInt64 = 10
}
