public import MartletBase

/// The segmented, checksummed, fsync-batched log on a disk (see `CMartlet/include/cmartlet_log.h` for its format and
/// the faults that it survives).
///
/// A thread of its own writes it: a batch is everything that was asked for while the batch before was on
/// its way to the disk. Waiting calls continue where they came from.
public final class WriteAheadLog: LogDevice {
    private let writer: LogWriter

    /// Opens or makes the log in `directory`, checking every record. A torn tail (what a crash leaves) is cut off;
    /// anything else that does not check is an error. Blocks while it reads.
    /// - Parameter segmentBytes: size of new segments but the first, 64 KiB to 1 GiB. A record is at most that large,
    ///   and at most 64 MiB.
    /// - Throws: ``LogError``.
    public init(directory: String, segmentBytes: Int = 64 * 1024 * 1024) throws(LogError) {
        writer = try LogWriter(directory: directory, segmentBytes: segmentBytes)
    }

    /// As above, telling `recorder` what the log does to its files.
    init(directory: String, segmentBytes: Int, recorder: LogRecorder) throws(LogError) {
        writer = try LogWriter(directory: directory, segmentBytes: segmentBytes, recorder: recorder)
    }

    /// Dropping the log closes it, without waiting.
    deinit { writer.submit(.close(nil)) }

    /// The oldest index held, and one past the newest durable one.
    public var bounds: Range<UInt64> { get async { writer.bounds } }

    /// Appends records, and returns when they are durable.
    public func append(_ records: [LogRecord]) async throws {
        guard !records.isEmpty else { return }
        try await withUnsafeThrowingContinuation { writer.submit(.append(records, $0)) }
    }

    /// The records from `index` on, at most `limit` of them, and no more than about 8 MiB beyond the first.
    public func read(from index: UInt64, limit: Int) async throws -> [LogRecord] {
        try await withUnsafeThrowingContinuation { writer.submit(.read(index, limit, $0)) }
    }

    /// Forgets every record at or after `index`.
    public func truncateSuffix(from index: UInt64) async throws {
        try await withUnsafeThrowingContinuation { writer.submit(.truncateSuffix(index, $0)) }
    }

    /// Removes the segments that lie wholly before `index`.
    public func truncatePrefix(before index: UInt64) async throws {
        try await withUnsafeThrowingContinuation { writer.submit(.truncatePrefix(index, $0)) }
    }

    /// Closes in good order; what was asked for before is done first.
    public func close() async {
        await withUnsafeContinuation { writer.submit(.close($0)) }
    }
}
