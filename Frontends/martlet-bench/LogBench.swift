import ArgumentParser
import Foundation
import MartletBase
import MartletIO

/// `martlet-bench log`: the write-ahead log beside a bare loop of write and fdatasync on the same device.
struct LogBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Log appends per second and their latency, beside a bare write+fdatasync loop.",
        discussion: """
            For each load it runs the log, then a bare loop of pwrite and fdatasync that repeats the log's own writes, \
            size by size: what the device gives for the same batches. The two alternate; medians are shown. Latency is \
            from the call to its durable return. A log that prepares its next segment meanwhile does so here, too.
            """)

    @Option(help: "The folder to write in; the device under it is what is measured.") var directory = "."
    @Option(help: "Bytes of one record.") var recordBytes = 1024
    @Option(help: "Appends of one appender in one run.") var rounds = 1000
    @Option(help: "Runs of each kind.") var runs = 5
    @Option(help: "APPENDERS or APPENDERSxRECORDS of one append; may be given more than once.") var load: [String] = []

    func run() async throws {
        let loads = try (load.isEmpty ? ["1x1", "1x16", "1x256", "16x1", "256x1"] : load).map(parsed)
        guard 1...65_536 ~= recordBytes, 1...100_000 ~= rounds, 1...99 ~= runs
        else { throw ValidationError("record-bytes is 1 to 65536, rounds 1 to 100000, runs 1 to 99") }
        let folder = "\(directory)/martlet-bench-\(ProcessInfo.processInfo.processIdentifier)"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let reactor = try Reactor(name: "martlet-bench")
        defer { reactor.shutdown() }
        print("write-ahead log, \(recordBytes)-byte records, medians of \(runs) runs; \(System.kernelVersion())")
        print(
            Self.line(["load", "records/s", "p50 us", "p99 us", "CPU us", "KiB a write", "bare records/s", "of bare"]))
        for load in loads {
            var rows: [[Double]] = []
            for _ in 0..<runs { rows.append(try await measure(load, folder, reactor)) }
            let medians = rows[0].indices.map { column in rows.map { $0[column] }.sorted()[runs / 2] }
            let cells = zip(medians, ["%.0f", "%.0f", "%.0f", "%.2f", "%.1f", "%.0f", "%.2f"]).map {
                String(format: $0.1, $0.0)
            }
            print(Self.line(["\(load.appenders) x \(load.records)"] + cells))
        }
    }

    private func parsed(_ text: String) throws -> LogBench.Load {
        let numbers = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard 1...2 ~= numbers.count, numbers.allSatisfy({ 1...1024 ~= $0 })
        else { throw ValidationError("load is APPENDERS or APPENDERSxRECORDS, each 1 to 1024, not \"\(text)\"") }
        return LogBench.Load(
            appenders: numbers[0], records: numbers.count > 1 ? numbers[1] : 1, bytes: recordBytes, rounds: rounds)
    }

    /// Records per second, p50 and p99 in microseconds, CPU microseconds per record and KiB of a write of the log;
    /// records per second of the bare loop; the ratio.
    private func measure(_ load: LogBench.Load, _ folder: String, _ reactor: Reactor) async throws -> [Double] {
        let path = "\(folder)/log"
        let before = Self.cpuSeconds()
        let run = try await LogBench.appends(in: path, load, in: reactor)
        let cpu = Self.cpuSeconds() - before
        try Files.remove(path)
        let bare = try LogBench.bareSyncs(in: folder, writes: run.writes)
        func microseconds(_ duration: Duration) -> Double { Double(duration.nanoseconds) / 1000 }
        let records = Double(load.appenders * load.records * load.rounds)
        let bytes = Double(run.writes.reduce(0, +)) / Double(max(1, run.writes.count))
        return [
            records / microseconds(run.elapsed) * 1e6, microseconds(run.quantile(0.5)),
            microseconds(run.quantile(0.99)), cpu / records * 1e6, bytes / 1024,
            records / microseconds(bare.elapsed) * 1e6, microseconds(bare.elapsed) / microseconds(run.elapsed),
        ]
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { String(repeating: " ", count: max(0, 15 - $0.count)) + $0 }.joined()
    }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
