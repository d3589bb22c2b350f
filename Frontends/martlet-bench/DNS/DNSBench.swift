import ArgumentParser
import Foundation
import MartletBase
import MartletIO

/// `martlet-bench dns`: the node's DNS beside Debian's dnsmasq and unbound, and a bare echo of datagrams.
struct DNSBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns",
        abstract: "Answers of the node's DNS per second and per CPU second, beside dnsmasq, unbound and a bare echo.",
        discussion: """
            Each server is a process of its own that knows the same names, and is asked by dnsperf over loopback. The \
            echo sends each datagram back by the same loop that the DNS answers in, without reading it: what is left \
            is the kernel's. CPU is the server's own, user and system. The servers take turns; medians are shown.
            """)

    @Option(help: "Seconds of one run.") var seconds = 5
    @Option(help: "Runs of each server.") var runs = 3
    @Option(help: "Names of Services that the servers know.") var names = 10_000
    @Option(help: "Clients of dnsperf, each with a socket of its own.") var clients = 50
    @Option(help: "Questions that wait for an answer at one time.") var outstanding = 100
    @Option(help: "The first of the ports that the servers take.") var port: UInt16 = 26_053

    func run() async throws {
        guard 1...600 ~= seconds, 1...99 ~= runs, 1...60_000 ~= names, 1...1000 ~= clients, port < 65_000 else {
            throw ValidationError("seconds is 1 to 600, runs 1 to 99, names 1 to 60000, clients 1 to 1000")
        }
        let folder = "\(FileManager.default.temporaryDirectory.path)/martlet-bench-dns-\(System.processID)"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        let reactor = try Reactor(name: "martlet-bench")
        defer { reactor.shutdown() }
        guard ChildProcess.find("dnsperf") != nil else {
            throw ValidationError("dnsperf is missing: apt-get install dnsperf dnsmasq-base unbound")
        }
        let load = DNSLoad(folder: folder, seconds: seconds, clients: clients, outstanding: outstanding, world: reactor)
        for question in DNSLoad.Questions.allCases { try load.write(question, names: names) }
        let kinds = DNSServerProcess.Kind.allCases.filter { kind in
            let isThere = kind.program.map { ChildProcess.find($0) != nil } ?? true
            if !isThere { print("\(kind.rawValue) is missing and left out: apt-get install dnsmasq-base unbound") }
            return isThere
        }
        print(
            "DNS over UDP on loopback, \(names) Services, \(clients) sockets, \(outstanding) outstanding, "
                + "medians of \(runs) runs of \(seconds) s; \(System.kernelVersion())")
        print(Self.line(["questions", "server", "answers/s", "CPU us/answer", "answers/CPU s", "latency us", "lost"]))
        for questions in DNSLoad.Questions.allCases {
            var rows: [DNSServerProcess.Kind: [[Double]]] = [:]
            for _ in 0..<runs {
                for (index, kind) in kinds.enumerated() {
                    let server = try DNSServerProcess(
                        kind, port: port + UInt16(index), names: names, folder: folder, world: reactor)
                    do { rows[kind, default: []].append(try await load.run(questions, on: server)) } catch {
                        await server.stop()
                        throw error
                    }
                    await server.stop()
                }
            }
            for kind in kinds { print(Self.row(questions, kind, rows[kind] ?? [])) }
        }
    }

    private static func row(
        _ questions: DNSLoad.Questions, _ kind: DNSServerProcess.Kind, _ runs: [[Double]]
    ) -> String {
        let medians = (runs.first ?? []).indices.map { column in runs.map { $0[column] }.sorted()[runs.count / 2] }
        let cells = zip(medians, ["%.0f", "%.2f", "%.0f", "%.0f", "%.0f"]).map { String(format: $0.1, $0.0) }
        return line([questions.rawValue, kind.rawValue] + cells)
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { String(repeating: " ", count: max(0, 15 - $0.count)) + $0 }.joined()
    }
}

/// What dnsperf asks.
struct DNSLoad {
    enum Questions: String, CaseIterable {
        /// Names that there are.
        case found
        /// Names that a resolver with `ndots:5` tries before the right one.
        case absent
    }

    let folder: String
    let seconds: Int
    let clients: Int
    let outstanding: Int
    let world: Reactor

    private func path(_ questions: Questions) -> String { "\(folder)/\(questions.rawValue)" }

    func write(_ questions: Questions, names: Int) throws {
        let tail = questions == .found ? "" : ".default.svc.cluster.local"
        // In an order that no cache likes better than another.
        let lines = (0..<names).map { "\(DNSNames.name(($0 &* 7919) % names))\(tail) A\n" }
        try Files.write(Array(lines.joined().utf8), to: path(questions))
    }

    /// Answers per second, the server's CPU in microseconds per answer, answers per CPU second, mean latency in
    /// microseconds, questions without an answer.
    func run(_ questions: Questions, on server: DNSServerProcess) async throws -> [Double] {
        try await server.ready()
        let before = server.cpuSeconds
        let result = try await ChildProcess.run(
            "dnsperf",
            [
                "-s", "127.0.0.1", "-p", "\(server.port)", "-d", path(questions), "-l", "\(seconds)",
                "-c", "\(clients)", "-q", "\(outstanding)", "-t", "1",
            ], in: world)
        let cpu = server.cpuSeconds - before
        let text = String(decoding: result.output, as: UTF8.self)
        func figure(_ name: String) -> Double? {
            let line = text.split(separator: "\n").first { $0.contains(name) }
            return line?.split(separator: ":").last?.split(separator: " ").first.flatMap { Double($0) }
        }
        guard let rate = figure("Queries per second"), let answered = figure("Queries completed"), answered > 0,
            let latency = figure("Average Latency")
        else { throw BenchFailure(description: "\(server.kind.rawValue): dnsperf: \(text)") }
        return [rate, cpu / answered * 1e6, answered / max(cpu, 1e-6), latency * 1e6, figure("Queries lost") ?? 0]
    }
}
