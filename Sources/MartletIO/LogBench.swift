internal import Glibc
public import MartletBase

/// Measures a write-ahead log beside what the disk does bare, for a fair comparison in one run.
public enum LogBench {
    /// What a run took.
    public struct Run: Sendable {
        /// Nanoseconds of each append, in order of its end.
        public var latencies: [Int64]
        /// From the first append's start to the last one's end.
        public var elapsed: Duration

        /// Appends per second.
        public var rate: Double { Double(latencies.count) * 1e9 / Double(max(1, elapsed.nanoseconds)) }

        /// The latency that `share` (0 to 1) of the appends did not exceed.
        public func quantile(_ share: Double) -> Duration {
            guard !latencies.isEmpty else { return .zero }
            let at = Int((share * Double(latencies.count)).rounded(.up)) - 1
            return .nanoseconds(latencies.sorted()[min(max(0, at), latencies.count - 1)])
        }
    }

    /// One write and one fdatasync after the other, into a file of zeros that is long enough. Blocks the caller.
    /// - Throws: `Errno`.
    public static func bareSyncs(in directory: String, bytes: Int, count: Int) throws(Errno) -> Run {
        let path = "\(directory)/bare.\(getpid())"
        let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlink(path) }
        try Files.writeAll([UInt8](repeating: 0, count: bytes * count), to: file.number)
        try Files.check(fsync(file.number))
        let block = [UInt8](repeating: 0x5a, count: bytes)
        var latencies: [Int64] = []
        let start = Clocks.monotonic()
        for round in 0..<count {
            let began = Clocks.monotonic()
            guard pwrite(file.number, block, bytes, off_t(round * bytes)) == bytes else { throw Errno(errno) }
            try Files.check(fdatasync(file.number))
            latencies.append((Clocks.monotonic() - began).nanoseconds)
        }
        return Run(latencies: latencies, elapsed: Clocks.monotonic() - start)
    }

    /// Appends from so many tasks at once, each of which waits for its append before the next one.
    /// - Throws: ``LogError``.
    public static func appends(
        to log: any LogDevice, bytes: Int, appenders: Int, each: Int, in world: any World
    ) async throws -> Run {
        let source = Source(
            log: log, next: await log.bounds.upperBound, payload: [UInt8](repeating: 0x5a, count: bytes))
        return try await Task(executorPreference: world.executor) {
            let start = world.now()
            let latencies = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for _ in 0..<appenders {
                    group.addTask {
                        var mine: [Int64] = []
                        for _ in 0..<each {
                            let began = world.now()
                            try await source.append()
                            mine.append((world.now() - began).nanoseconds)
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            return Run(latencies: latencies, elapsed: world.now() - start)
        }.value
    }

    /// Gives each append its index; the calls into the log follow in that order.
    private actor Source {
        private let log: any LogDevice
        private var next: UInt64
        private let payload: [UInt8]

        init(log: any LogDevice, next: UInt64, payload: [UInt8]) {
            self.log = log
            self.next = next
            self.payload = payload
        }

        func append() async throws {
            let record = LogRecord(index: next, payload: payload)
            next += 1
            try await log.append([record])
        }
    }
}
