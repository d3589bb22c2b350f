import MartletBase

/// A log in memory whose syncs take a while, and which a crash or a failing disk can interrupt.
actor CrashableLog: LogDevice {
    private var durable: [LogRecord]
    private var first: UInt64
    private var inFlight: [LogRecord] = []
    private var random: SplitMix64
    private var failure: LogError?
    private(set) var appends = 0

    init(_ records: [LogRecord] = [], first: UInt64 = 1, seed: UInt64 = 1) {
        durable = records
        self.first = records.first?.index ?? first
        random = SplitMix64(seed: seed)
    }

    var bounds: Range<UInt64> { first..<first + UInt64(durable.count) }

    func append(_ records: [LogRecord]) async throws {
        if let failure { throw failure }
        appends += 1
        inFlight = records
        for _ in 0..<random.next() % 5 { await Task.yield() }
        if let failure { throw failure }
        for record in records {
            guard record.index == bounds.upperBound else { throw LogError.failed("a gap at \(record.index)") }
            durable.append(record)
        }
        inFlight = []
    }

    func read(from index: UInt64, limit: Int) throws -> [LogRecord] {
        if let failure { throw failure }
        return Array(durable[Int(index - first)...].prefix(limit))
    }

    func truncateSuffix(from index: UInt64) throws {
        if let failure { throw failure }
        durable.removeAll { $0.index >= index }
    }

    func truncatePrefix(before index: UInt64) throws {
        if let failure { throw failure }
        durable.removeAll { $0.index < index }
        first = max(first, index)
    }

    func close() { failure = failure ?? .closed }

    /// From now on the disk refuses all work.
    func fail() { failure = .failed("the disk is gone") }

    /// The machine dies. Of the write under way any part may be on the disk.
    func crash() -> [LogRecord] {
        failure = .failed("the machine is dead")
        let survivors = random.next() % UInt64(inFlight.count + 1)
        return durable + inFlight.prefix(Int(survivors))
    }
}
