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
            For each number of concurrent appenders it runs the log, then a bare loop that writes as many records at \
            once and calls fdatasync: what the device gives at best when every batch is full. The two alternate; \
            medians are shown. Latency is from the call to its durable return.
            """)

    @Option(help: "The folder to write in; the device under it is what is measured.") var directory = "."
    @Option(help: "Bytes of one record.") var recordBytes = 1024
    @Option(help: "Syncs of one run, about.") var syncs = 1000
    @Option(help: "Runs of each kind.") var runs = 5
    @Option(help: "Concurrent appenders; may be given more than once.") var appenders: [Int] = []

    func run() async throws {
        let counts = appenders.isEmpty ? [1, 16, 256] : appenders
        guard 1...65_536 ~= recordBytes, 1...100_000 ~= syncs, 1...99 ~= runs, counts.allSatisfy({ 1...1024 ~= $0 })
        else {
            throw ValidationError(
                "record-bytes is 1 to 65536, syncs 1 to 100000, runs 1 to 99, appenders 1 to 1024")
        }
        let folder = "\(directory)/martlet-bench-\(ProcessInfo.processInfo.processIdentifier)"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let reactor = try Reactor(name: "martlet-bench")
        defer { reactor.shutdown() }
        print("write-ahead log, \(recordBytes)-byte records, medians of \(runs) runs; \(System.kernelVersion())")
        let titles = ["appenders", "appends/s", "p50 us", "p99 us", "CPU us", "bare records/s", "p50 us", "of bare"]
        print(Self.line(titles))
        for count in counts {
            var rows: [[Double]] = []
            for _ in 0..<runs { rows.append(try await measure(count, folder, reactor)) }
            let medians = rows[0].indices.map { column in rows.map { $0[column] }.sorted()[runs / 2] }
            var cells = medians.map { String(format: "%.0f", $0) }
            cells[3] = String(format: "%.1f", medians[3])
            let ratio = rows.map { $0[0] / $0[4] }.sorted()[runs / 2]
            print(Self.line([String(count)] + cells + [String(format: "%.2f", ratio)]))
        }
    }

    /// Rate, p50, p99 and CPU per append of the log; rate and p50 of the bare loop. Microseconds.
    private func measure(_ count: Int, _ folder: String, _ reactor: Reactor) async throws -> [Double] {
        let path = "\(folder)/log"
        let log = try WriteAheadLog(directory: path)
        let before = Self.cpuSeconds()
        let run = try await LogBench.appends(
            to: log, bytes: recordBytes, appenders: count, each: syncs, in: reactor)
        let cpu = Self.cpuSeconds() - before
        await log.close()
        try Files.remove(path)
        let bare = try LogBench.bareSyncs(in: folder, bytes: recordBytes * count, count: min(syncs, 65_536 / count))
        func microseconds(_ duration: Duration) -> Double { Double(duration.nanoseconds) / 1000 }
        return [
            run.rate, microseconds(run.quantile(0.5)), microseconds(run.quantile(0.99)),
            cpu / Double(count * syncs) * 1e6, bare.rate * Double(count), microseconds(bare.quantile(0.5)),
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
