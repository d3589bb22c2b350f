import ArgumentParser
import Foundation
import Histogram
import MartletBase
import MartletIO
import Synchronization

/// `martlet-bench log`: the write-ahead log beside a bare loop of write and fdatasync on the same device.
struct LogBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Log appends per second and their latency, beside a bare write+fdatasync loop.",
        discussion: """
            For each number of concurrent appenders it runs the log, notes the mean size of the batches that came \
            about, then runs a bare loop that writes as many bytes a time and calls fdatasync. The two alternate; \
            medians are shown. Latency is from the call to its durable return.
            """)

    @Option(help: "The folder to write in; the device under it is what is measured.") var directory = "."
    @Option(help: "Bytes of one record.") var recordBytes = 1024
    @Option(help: "Seconds of one run.") var seconds = 1.0
    @Option(help: "Runs of each kind.") var runs = 3
    @Option(help: "Concurrent appenders; may be given more than once.") var appenders: [Int] = [1, 16, 256]

    private struct Row {
        var appenders: Int
        var rate: Double
        var p50: Double
        var p99: Double
        var batch: Double
        var bareRate: Double
        var cpu: Double
    }

    func run() async throws {
        guard recordBytes > 0, recordBytes <= 1 << 20, seconds > 0, runs > 0, appenders.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("record-bytes must be 1 to 1048576; seconds, runs and appenders more than 0")
        }
        let folder = "\(directory)/martlet-bench-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        print("log: \(recordBytes)-byte records, \(runs) runs of \(seconds) s each, medians; kernel \(System.kernelVersion())")
        print("appenders    appends/s    p50 us    p99 us   records/sync   bare appends/s   of bare   CPU us/append")
        for count in appenders {
            var rows: [Row] = []
            for run in 0..<runs { rows.append(try await measure(count, "\(folder)/\(count)-\(run)")) }
            func median(_ value: (Row) -> Double) -> Double { rows.map(value).sorted()[rows.count / 2] }
            let cells: [(Double, String)] = [
                (Double(count), "%9.0f"), (median(\.rate), "%13.0f"), (median(\.p50), "%10.0f"), (median(\.p99), "%10.0f"),
                (median(\.batch), "%15.1f"), (median(\.bareRate), "%17.0f"),
                (median { $0.rate / $0.bareRate * 100 }, "%8.0f %%"), (median(\.cpu), "%16.1f"),
            ]
            print(cells.map { String(format: $0.1, $0.0) }.joined())
        }
    }

    private func measure(_ count: Int, _ path: String) async throws -> Row {
        let log = try WriteAheadLog(directory: path + "-log")
        let payload = [UInt8](repeating: 0x5a, count: recordBytes)
        let appender = GroupAppender(log)
        let latencies = Mutex(Histogram<UInt32>(highestTrackableValue: 60_000_000))
        let clock = ContinuousClock()
        let cpu = Self.cpuSeconds()
        let start = clock.now
        let end = start.advanced(by: .seconds(seconds))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                group.addTask {
                    while clock.now < end {
                        let began = clock.now
                        try await appender.append(payload)
                        let taken = clock.now - began
                        let microseconds = UInt64(taken.nanoseconds / 1000)
                        latencies.withLock { _ = $0.record(max(1, microseconds)) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let elapsed = Double((clock.now - start).nanoseconds) / 1e9
        let (records, syncs) = await appender.counts
        let appended = Double(records)
        let batch = appended / Double(max(1, syncs))
        let used = Self.cpuSeconds() - cpu
        await log.close()
        let bare = try bareLoop(path + "-bare", bytes: Int((batch * Double(recordBytes)).rounded()))
        return Row(
            appenders: count, rate: appended / elapsed,
            p50: latencies.withLock { Double($0.valueAtPercentile(50)) },
            p99: latencies.withLock { Double($0.valueAtPercentile(99)) }, batch: batch, bareRate: bare * batch,
            cpu: used / appended * 1e6)
    }

    /// Writes of `bytes` with an fdatasync each, per second, into a file that was filled with zeros before, as the
    /// log's segments are.
    private func bareLoop(_ path: String, bytes: Int) throws -> Double {
        let fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard fd >= 0 else { throw ValidationError("\(path) cannot be made") }
        defer {
            close(fd)
            unlink(path)
        }
        let size = 64 << 20
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        for offset in stride(from: 0, to: size, by: zeros.count) { pwrite(fd, zeros, zeros.count, off_t(offset)) }
        fsync(fd)
        let buffer = [UInt8](repeating: 0x5a, count: bytes)
        let clock = ContinuousClock()
        let start = clock.now
        var offset = 0
        var count = 0
        while clock.now - start < .seconds(seconds) {
            if offset + bytes > size { offset = 0 }
            guard pwrite(fd, buffer, bytes, off_t(offset)) == bytes, fdatasync(fd) == 0 else {
                throw ValidationError("\(path): write or fdatasync failed")
            }
            offset += bytes
            count += 1
        }
        return Double(count) / (Double((clock.now - start).nanoseconds) / 1e9)
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}

/// Appends in groups as a replica does: one batch is on its way to the disk, all that comes meanwhile is the next.
private actor GroupAppender {
    private let log: WriteAheadLog
    private var waiting: [(payload: [UInt8], done: CheckedContinuation<Void, any Error>)] = []
    private var isSyncing = false
    private(set) var counts = (records: 0, syncs: 0)

    init(_ log: WriteAheadLog) { self.log = log }

    func append(_ payload: [UInt8]) async throws {
        try await withCheckedThrowingContinuation { done in
            waiting.append((payload, done))
            if !isSyncing {
                isSyncing = true
                Task(priority: nil) { await self.drain() }
            }
        }
    }

    private func drain() async {
        while !waiting.isEmpty {
            let batch = waiting
            waiting = []
            let first = UInt64(counts.records + 1)
            let records = batch.enumerated().map { LogRecord(index: first + UInt64($0.offset), payload: $0.element.payload) }
            counts.records += batch.count
            counts.syncs += 1
            do {
                try await log.append(records)
                for (_, done) in batch { done.resume() }
            } catch {
                for (_, done) in batch { done.resume(throwing: error) }
            }
        }
        isSyncing = false
    }
}
