public import MartletBase

/// The segmented, checksummed, fsync-batched log on a disk (see `CMartlet/include/martlet_log.h` for its format).
public final class WriteAheadLog: LogDevice {
    /// Opens or makes the log in `directory`, checking every record. A torn tail (what a crash leaves) is cut off;
    /// anything else that does not check is an error. It writes from a thread and a ring of its own.
    /// - Throws: ``LogError``.
    public init(directory: String, segmentBytes: Int = 64 * 1024 * 1024) throws(LogError) {
        throw LogError.closed
    }
    public var bounds: Range<UInt64> { get async { 1..<1 } }
    public func append(_ records: [LogRecord]) async throws {}
    public func read(from index: UInt64, limit: Int) async throws -> [LogRecord] { [] }
    public func truncateSuffix(from index: UInt64) async throws {}
    public func truncatePrefix(before index: UInt64) async throws {}
    public func close() async {}
}
