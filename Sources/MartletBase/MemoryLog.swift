/// A log that lives as long as the process: for tests, and for replicas that keep nothing.
public actor MemoryLog: LogDevice {
    private var first: UInt64 = 1
    private var records: [LogRecord] = []
    private var closed = false

    /// An empty log; its first record has index 1.
    public init() {}

    /// The oldest index held, and one past the newest.
    public var bounds: Range<UInt64> { first..<first + UInt64(records.count) }

    /// Appends records; "durable" is at once.
    public func append(_ new: [LogRecord]) async throws {
        try checkOpen()
        for (record, expected) in zip(new, bounds.upperBound...) where record.index != expected {
            throw LogError.outOfRange(index: record.index, held: bounds)
        }
        records += new
    }

    /// The records from `index` on, at most `limit`.
    public func read(from index: UInt64, limit: Int) async throws -> [LogRecord] {
        try checkOpen()
        guard index < bounds.upperBound else { return [] }
        guard index >= first else { throw LogError.outOfRange(index: index, held: bounds) }
        return Array(records[Int(index - first)...].prefix(max(0, limit)))
    }

    /// Forgets every record at or after `index`.
    public func truncateSuffix(from index: UInt64) async throws {
        try checkOpen()
        guard index >= first else { throw LogError.outOfRange(index: index, held: bounds) }
        if index < bounds.upperBound { records.removeSubrange(Int(index - first)...) }
    }

    /// Forgets records before `index`.
    public func truncatePrefix(before index: UInt64) async throws {
        try checkOpen()
        guard index > first else { return }
        records.removeFirst(Int(min(index - first, UInt64(records.count))))
        first = index
    }

    /// Closes; later calls throw.
    public func close() async { closed = true }

    private func checkOpen() throws(LogError) {
        if closed { throw .closed }
    }
}
