public import MartletBase

/// The segmented, checksummed, fsync-batched log on a disk (see `CMartlet/include/cmartlet_log.h` for its format and
/// the faults that it survives).
///
/// A thread of its own writes it: a batch is everything that was asked for while the batch before was on
/// its way to the disk. Waiting calls continue where they came from.
public final class WriteAheadLog: LogDevice {
    private let writer: LogWriter

    /// Opens or makes the log in `directory`, checking every record. A torn tail (what a crash leaves) is cut off, see
    /// ``torn``; anything else that does not check is an error. Blocks while it reads.
    /// - Parameters:
    ///   - segmentBytes: size of new segments but the first, 64 KiB to 1 GiB. A record is at most that large, and at
    ///     most 64 MiB.
    ///   - identity: which log it must be; nil: any.
    /// - Throws: ``LogError``.
    public init(directory: String, segmentBytes: Int = 64 * 1024 * 1024, identity: UInt64? = nil) throws(LogError) {
        writer = try LogWriter(directory: directory, segmentBytes: segmentBytes, identity: identity)
    }

    /// As above, telling `recorder` what the log does to its files.
    init(directory: String, segmentBytes: Int, recorder: LogRecorder) throws(LogError) {
        writer = try LogWriter(directory: directory, segmentBytes: segmentBytes, recorder: recorder)
    }

    /// Dropping the log closes it, without waiting.
    deinit { writer.submit(.close(nil)) }

    /// What all files of this log carry, and those of no other.
    public var identity: UInt64 { writer.identity }

    /// What was cut off the end when the log was opened.
    public var torn: TornTail? { writer.torn }

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

/// What was cut off a log's end because it looked like what a crash leaves of a write that nobody was told of.
///
/// Damage of the last batch can look the same, where a whole sector of it has become zero and the machine went down
/// within a moment of the write.
public struct TornTail: Sendable, Hashable, CustomStringConvertible {
    /// The segment.
    public var file: String
    /// Where its first bad record begins.
    public var offset: UInt64
    /// How many bytes from there on were not all zero.
    public var bytes: UInt64
    /// How many whole records are among them.
    public var records: UInt64

    /// One line for people.
    public var description: String {
        "\(file): cut \(bytes) bytes with \(records) whole records at byte \(offset): they look like a write that a "
            + "crash cut short and nobody was told of. If there was no crash, the disk has lost acknowledged changes: "
            + "remove this member, and let it join anew in an empty folder"
    }
}
