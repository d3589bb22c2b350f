internal import DequeModule
internal import MartletBase

/// A log in memory, for replicas without a folder. It lasts as long as the process.
actor VolatileLog: LogDevice {
    private var records: Deque<LogRecord> = []
    private var first: UInt64 = 1
    private var closed = false

    var bounds: Range<UInt64> { first..<first + UInt64(records.count) }

    func append(_ new: [LogRecord]) throws {
        try check()
        for record in new {
            guard record.index == bounds.upperBound else {
                throw LogError.failed("record \(record.index) leaves a gap")
            }
            records.append(record)
        }
    }

    func read(from index: UInt64, limit: Int) throws -> [LogRecord] {
        try check()
        guard index >= first, index < bounds.upperBound else { return [] }
        return Array(records[Int(index - first)...].prefix(limit))
    }

    func truncateSuffix(from index: UInt64) throws {
        try check()
        while let last = records.last, last.index >= index { records.removeLast() }
    }

    func truncatePrefix(before index: UInt64) throws {
        try check()
        while let record = records.first, record.index < index {
            records.removeFirst()
            first = record.index + 1
        }
    }

    func close() { closed = true }

    private func check() throws {
        if closed { throw LogError.closed }
    }
}
