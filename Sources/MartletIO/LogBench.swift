internal import Glibc
public import MartletBase
internal import Synchronization

/// Measures a write-ahead log beside what the disk does bare, for a fair comparison in one run.
public enum LogBench {
    /// Who appends.
    public struct Load: Sendable {
        /// Tasks that append at the same time, each of which waits for its append before the next one.
        public var appenders: Int
        /// Records of one append.
        public var records: Int
        /// Bytes of one record.
        public var bytes: Int
        /// Appends of each task.
        public var rounds: Int

        /// A load.
        public init(appenders: Int, records: Int, bytes: Int, rounds: Int) {
            self.appenders = appenders
            self.records = records
            self.bytes = bytes
            self.rounds = rounds
        }
    }

    /// What a run took.
    public struct Run: Sendable {
        /// Nanoseconds of each append or of each bare write and sync, in order of its end.
        public var latencies: [Int64]
        /// From the first start to the last end.
        public var elapsed: Duration
        /// The sizes of the writes, in order.
        public var writes: [Int]

        /// The latency that `share` (0 to 1) of all did not exceed.
        public func quantile(_ share: Double) -> Duration {
            guard !latencies.isEmpty else { return .zero }
            let at = Int((share * Double(latencies.count)).rounded(.up)) - 1
            return .nanoseconds(latencies.sorted()[min(max(0, at), latencies.count - 1)])
        }
    }

    /// Repeats `writes` bare: one pwrite and one fdatasync after the other, into a file of zeros. Blocks the caller.
    /// - Throws: `Errno`.
    public static func bareSyncs(in directory: String, writes: [Int]) throws(Errno) -> Run {
        let path = "\(directory)/bare.\(getpid())"
        let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlink(path) }
        let largest = writes.max() ?? 0
        let size = min(writes.reduce(0, +), max(64 << 20, largest))
        try Files.writeAll([UInt8](repeating: 0, count: size), to: file.number)
        try Files.check(fsync(file.number))
        let block = [UInt8](repeating: 0x5a, count: largest)
        var latencies: [Int64] = []
        var at = 0
        let start = Clocks.monotonic()
        for bytes in writes {
            if at + bytes > size { at = 0 }
            let began = Clocks.monotonic()
            guard pwrite(file.number, block, bytes, off_t(at)) == bytes else { throw Errno(errno) }
            try Files.check(fdatasync(file.number))
            latencies.append((Clocks.monotonic() - began).nanoseconds)
            at += bytes
        }
        return Run(latencies: latencies, elapsed: Clocks.monotonic() - start, writes: writes)
    }

    /// Appends to a new log in `directory`.
    /// - Throws: ``LogError``.
    public static func appends(in directory: String, _ load: Load, in world: any World) async throws -> Run {
        let tape = Tape()
        let log = try WriteAheadLog(directory: directory, segmentBytes: 64 << 20, recorder: tape.recorder)
        let source = Source(log: log, bytes: load.bytes)
        // Past the small segment that a log begins with, so that its end is not measured.
        while tape.segments < 2 { try await source.append(256) }
        tape.clear()
        let run = try await Task(executorPreference: world.executor) {
            let start = world.now()
            let latencies = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for _ in 0..<load.appenders {
                    group.addTask {
                        var mine: [Int64] = []
                        for _ in 0..<load.rounds {
                            let began = world.now()
                            try await source.append(load.records)
                            mine.append((world.now() - began).nanoseconds)
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            return Run(latencies: latencies, elapsed: world.now() - start, writes: tape.writes)
        }.value
        await log.close()
        return run
    }

    /// The sizes of a log's batches.
    private final class Tape: Sendable {
        private let heard = Mutex<(writes: [Int], segments: Int)>(([], 0))

        var recorder: LogRecorder {
            LogRecorder { [self] step in
                heard.withLock { heard in
                    switch step {
                    case .write(let path, _, let bytes) where path.hasSuffix(".log"): heard.writes.append(bytes.count)
                    case .rename: heard.segments += 1
                    default: break
                    }
                }
            }
        }
        var writes: [Int] { heard.withLock { $0.writes } }
        var segments: Int { heard.withLock { $0.segments } }
        func clear() { heard.withLock { $0.writes = [] } }
    }

    /// Gives each append its indices; the calls into the log follow in that order.
    private actor Source {
        private let log: any LogDevice
        private var next: UInt64 = 1
        private let payload: [UInt8]

        init(log: any LogDevice, bytes: Int) {
            self.log = log
            payload = [UInt8](repeating: 0x5a, count: bytes)
        }

        func append(_ count: Int) async throws {
            let records = (next..<next + UInt64(count)).map { LogRecord(index: $0, payload: payload) }
            next += UInt64(count)
            try await log.append(records)
        }
    }
}
