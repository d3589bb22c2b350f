/// One record of a replicated log, as the device stores it: opaque bytes under a position.
public struct LogRecord: Sendable, Hashable {
    /// Position in the log; the first is 1 and each next record's is one higher.
    public var index: UInt64
    /// The record's bytes; the device knows nothing of them.
    public var payload: [UInt8]

    /// A record at `index`.
    public init(index: UInt64, payload: [UInt8]) {
        self.index = index
        self.payload = payload
    }
}

/// A durable, append-only list of records: the write-ahead log on a disk, or its simulated twin.
///
/// A failed write or sync is fatal for the device: every later call throws, because what the disk holds is no longer
/// known. Only ``LogError/refused(operation:file:_:)`` leaves it as it was.
public protocol LogDevice: Sendable {
    /// The oldest index still held, and one past the newest. Equal when the log is empty.
    var bounds: Range<UInt64> { get async }

    /// Appends records whose indices follow the newest, and returns when they are durable. Calls that arrive while
    /// a sync is in flight form the next batch. A crash may leave some of the records of one call, always the first.
    /// Cancellation does not end the wait.
    /// - Throws: ``LogError``.
    func append(_ records: [LogRecord]) async throws

    /// The records from `index` on, in order, at most `limit` of them, and fewer when they are large (but one, if
    /// there is one).
    /// - Throws: ``LogError``.
    func read(from index: UInt64, limit: Int) async throws -> [LogRecord]

    /// Forgets every record at or after `index` (a follower's conflict). Durable on return.
    /// - Throws: ``LogError``.
    func truncateSuffix(from index: UInt64) async throws

    /// Permits the device to forget records before `index` (they are covered by a checkpoint); it may keep some. With
    /// an index past the newest, the log is emptied and continues at `index` (a snapshot was installed).
    /// - Throws: ``LogError``.
    func truncatePrefix(before index: UInt64) async throws

    /// Flushes and closes. Later calls throw.
    func close() async
}

/// Why a log could not be opened, read or written.
public enum LogError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file holds bytes that no crash of ours can leave: named by file and offset, with what to do.
    case corrupt(file: String, offset: UInt64, what: String)
    /// The format is not the one that this program reads.
    case otherFormat(file: String, version: UInt32)
    /// A system call failed.
    case system(operation: String, file: String, Errno)
    /// There are no descriptors, no memory or no room for a new segment. Nothing of the call was written, the log is as
    /// before, and the same call may be made again.
    case refused(operation: String, file: String, Errno)
    /// A write or a sync failed earlier; the device refuses all further work.
    case failed(String)
    /// The record is larger than the device stores.
    case tooLarge(bytes: Int, limit: Int)
    /// The index is not one that can be appended, read or cut now: what the log holds is `held`.
    case outOfRange(index: UInt64, held: Range<UInt64>)
    /// Another process has the directory locked.
    case locked(String)
    /// Closed already.
    case closed

    /// Why a log refuses for now, for those who need not know where its files are: clients.
    public var reason: String {
        guard case .refused(let operation, _, let errno) = self else { return description }
        return "\(operation): \(errno); free descriptors, memory or room, and it goes on"
    }

    /// One line for people, with what to do.
    public var description: String {
        switch self {
        case .corrupt(let file, let offset, let what):
            "\(file): corrupt at byte \(offset): \(what); restore this member from a snapshot or let it rejoin"
        case .otherFormat(let file, let version):
            "\(file): the log's format \(version) is not the one that this program reads; run the release that wrote it"
        case .system(let operation, let file, let errno): "\(file): \(operation): \(errno)"
        case .refused(_, let file, _): "\(file): \(reason)"
        case .failed(let why): "the log refuses work after a failed sync (\(why)); restart this member"
        case .tooLarge(let bytes, let limit): "a record of \(bytes) bytes is over the log's limit of \(limit)"
        case .outOfRange(let index, let held):
            "record \(index) is out of range: the log holds \(held.lowerBound)..<\(held.upperBound)"
        case .locked(let path):
            "\(path) is in use by another process: a martletd, martlet-gateway or martlet-store runs on this folder"
        case .closed: "the log is closed"
        }
    }
}
