public import Logging
public import MartletBase
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
public actor Replica {
    /// Opens the files, replays what the log holds past the checkpoint, and joins the group (of one, so far).
    /// - Throws: ``LogError`` or ``ReplicaError``.
    public static func open(_ configuration: ReplicaConfiguration, in world: any World, logger: Logger) async throws
        -> Replica
    {
        throw ReplicaError.notLeader
    }

    /// The revision that reads see.
    public var revision: Int64 { 0 }

    /// Proposes a change; returns when it is durable on a quorum and applied.
    /// - Throws: ``ReplicaError``. After a throw the change may or may not have happened, except for `tooLarge`.
    public func propose(_ transaction: Transaction) async throws -> TransactionResult {
        throw ReplicaError.notLeader
    }

    /// One key, as of now.
    public func get(_ key: [UInt8]) -> KeyValue? { nil }

    /// The keys from `from` up to, not including, `to`, in order, as of `revision` (nil: now).
    /// `more` says whether the limit cut the list.
    /// - Throws: ``StoreError``.
    public func range(from: [UInt8], to: [UInt8], limit: Int? = nil, at revision: Int64? = nil) throws -> (
        pairs: [KeyValue], revision: Int64, more: Bool
    ) { ([], 0, false) }

    /// Follows the keys from `from` up to, not including, `to`, beginning with the change after `revision`.
    /// - Throws: ``StoreError``.
    public func watch(from: [UInt8], to: [UInt8], after revision: Int64) throws -> StoreWatch {
        throw StoreError.compacted(oldest: 0)
    }

    /// Ends the replica; waiting proposals and watches fail.
    public func close() async {}
}

/// A running watch. Ordered, without gaps or repeats.
public final class StoreWatch: Sendable {
    init() {}
    /// Waits for the next batch: all changes of one or more whole revisions. An empty batch is progress only: nothing
    /// happened up to `revision`. Nil when the replica closed.
    /// - Throws: ``StoreError/compacted(oldest:)`` when this watcher fell too far behind, or `CancellationError`.
    public func next() async throws -> (events: [StoreEvent], revision: Int64)? { nil }
    /// Ends the watch.
    public func cancel() {}
}

/// Why a replica refuses.
public enum ReplicaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// This member does not lead and knows no leader.
    case notLeader
    /// The change is larger than the log takes.
    case tooLarge(limit: Int)
    /// The log failed or the replica was closed; whether the change was made is not known.
    case stopped(String)
    /// The data folder holds something that this program cannot use; says what, and what to do.
    case unusable(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .notLeader: "no leader"
        case .tooLarge(let limit): "the change is over the limit of \(limit) bytes"
        case .stopped(let why): "the store has stopped: \(why)"
        case .unusable(let why): why
        }
    }
}
