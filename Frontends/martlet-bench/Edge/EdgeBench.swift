import ArgumentParser
import Foundation
import MartletBase
import MartletIO
import MartletPKI

/// `martlet-bench edge`: the ingress and the edge beside nginx.
struct EdgeBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edge",
        abstract: "Requests by the ingress and by edge and ingress, per second and per CPU second, beside nginx.",
        discussion: """
            The backend is an nginx with one page of 1 KiB, the load is wrk's, all on loopback. nginx has one worker \
            for each hop, keeps its connections and writes no log; Martlet is one martletd with a store, API, ingress \
            and edge, whose CPU is counted whole. One hop is HTTP to the ingress; two are HTTPS to the edge, HTTP to \
            the ingress; direct is the same with --edge-direct, which leaves the ingress out. New connections are \
            closed after each request; resumed ones are openssl's s_time -reuse, by TLS 1.2.
            """)

    @Option(help: "Seconds of one run.") var seconds = 5
    @Option(help: "Runs of each case; medians are shown.") var runs = 3
    @Option(help: "Connections of the load.") var connections = 64
    @Option(help: "Hosts of the case of many hosts.") var hosts = 2000
    @Option(help: "The first of the ports that the servers take.") var port: UInt16 = 27_080
    @Option(help: "Martlet's program. (default: martletd beside this one)") var martlet: String?

    func run() async throws {
        guard 1...600 ~= seconds, 1...99 ~= runs, 1...10_000 ~= connections, 1...10_000 ~= hosts, port < 65_000 else {
            throw ValidationError("seconds is 1 to 600, runs 1 to 99, connections and hosts 1 to 10000")
        }
        for program in ["nginx", "wrk", "curl", "openssl"] where ChildProcess.find(program) == nil {
            throw ValidationError("\(program) is missing: apt-get install nginx-light wrk curl openssl")
        }
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let martletd = martlet ?? "\(beside)/martletd"
        let folder = "\(FileManager.default.temporaryDirectory.path)/martlet-bench-edge-\(System.processID)"
        try Files.makeDirectory("\(folder)/tls")
        defer { try? Files.remove(folder) }
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        try makeCertificate("\(folder)/tls", world)
        let ports = EdgeServer.Ports(
            backend: port, ingress: port + 1, edge: port + 2, api: port + 3, node: port + 4)
        let backend = try EdgeServer.backend(port: ports.backend, folder: folder, in: world)
        let work = Task(executorPreference: world.executor) {
            try await measure(ports, folder, martletd, world)
        }
        let result = await work.result
        backend.signal(SIGKILL)
        _ = await backend.wait()
        try result.get()
    }

    private func measure(_ ports: EdgeServer.Ports, _ folder: String, _ martletd: String, _ world: Reactor) async throws
    {
        var rows: [EdgeCase: [EdgeServer.Kind: [[Double]]]] = [:]
        for many in [false, true] {
            let all = EdgeCase.allCases.filter { $0.hasManyHosts == many }
            for round in 1...runs {
                for kind in EdgeServer.Kind.allCases {
                    let cases = kind == .direct ? all.filter(\.isThroughEdge) : all
                    if cases.isEmpty { continue }
                    let server = EdgeServer(kind, ports: ports, folder: "\(folder)/\(kind.rawValue)", world: world)
                    do {
                        let count = many ? hosts : 1
                        try await server.start(hosts: count, martletd: martletd)
                        let load = EdgeLoad(
                            server: server, host: EdgeServer.host(count - 1), seconds: seconds,
                            connections: connections, world: world)
                        for one in cases { rows[one, default: [:]][kind, default: []].append(try await load.run(one)) }
                    } catch {
                        await server.stop()
                        throw error
                    }
                    await server.stop()
                    FileHandle.standardError.write(Data("run \(round) of \(runs), \(kind.rawValue): done\n".utf8))
                }
            }
        }
        print(
            "pages of 1 KiB on loopback, \(connections) connections, medians of \(runs) runs of \(seconds) s; "
                + System.kernelVersion())
        print(Self.line(["case", "server", "requests/s", "CPU us/request", "p99 ms", "martlet's CPU"]))
        for one in EdgeCase.allCases {
            let medians = (rows[one] ?? [:]).mapValues(Self.medians)
            for kind in EdgeServer.Kind.allCases {
                guard let row = medians[kind] else { continue }
                let theirs = medians[.nginx]?[1] ?? 0
                let ratio = kind != .nginx && theirs > 0 ? String(format: "%.2f", row[1] / theirs) : ""
                let cells = zip(row, ["%.0f", "%.1f", "%.1f"]).map { String(format: $0.1, $0.0) }
                print(Self.line([kind == .nginx ? one.title(hosts: hosts) : "", kind.rawValue] + cells + [ratio]))
            }
        }
    }

    private static func medians(_ runs: [[Double]]) -> [Double] {
        (runs.first ?? []).indices.map { column in runs.map { $0[column] }.sorted()[runs.count / 2] }
    }

    private static func line(_ cells: [String]) -> String {
        zip(cells, [36, 10, 12, 16, 10, 15]).map { cell, width in
            let space = String(repeating: " ", count: max(1, width - cell.count))
            return width == 36 ? cell + space : space + cell
        }.joined()
    }

    private func makeCertificate(_ folder: String, _ world: Reactor) throws {
        var request = CertificateRequest(commonName: "bench.example")
        request.dnsNames = ["*.bench.example"]
        request.isServer = true
        let now = world.wallTime()
        let pki = try ClusterPKI.ensure(
            directory: "\(folder)/pki", nodeName: "bench", names: [], addresses: ["127.0.0.1"], now: now)
        let pair = try pki.authority("ca").issue(request, now: now)
        try Files.write(pair.certificatePEM, to: "\(folder)/tls.crt")
        try Files.write(pair.privateKeyPEM, to: "\(folder)/tls.key")
    }
}

/// What is asked.
enum EdgeCase: CaseIterable {
    case oneHop, twoHops, newConnections, resumedConnections, oneHopOfMany

    var hasManyHosts: Bool { self == .oneHopOfMany }
    var isThroughEdge: Bool { self != .oneHop && self != .oneHopOfMany }

    func title(hosts: Int) -> String {
        switch self {
        case .oneHop: "one hop, HTTP"
        case .twoHops: "edge and ingress, HTTPS"
        case .newConnections: "the same, each request a new one"
        case .resumedConnections: "the same, resumed"
        case .oneHopOfMany: "one hop, \(hosts) hosts"
        }
    }
}

/// wrk, or openssl's s_time, against a server.
struct EdgeLoad {
    let server: EdgeServer
    let host: String
    let seconds: Int
    let connections: Int
    let world: Reactor

    /// Requests per second, the server's CPU in microseconds a request, the 99th percentile in milliseconds.
    func run(_ one: EdgeCase) async throws -> [Double] {
        switch one {
        case .oneHop, .oneHopOfMany: try await wrk("http", server.ports.ingress)
        case .twoHops: try await wrk("https", server.ports.edge)
        case .newConnections: try await wrk("https", server.ports.edge, headers: ["Connection: close"])
        case .resumedConnections: try await resume()
        }
    }

    private func wrk(_ scheme: String, _ port: UInt16, headers: [String] = []) async throws -> [Double] {
        let fields = (["Host: \(host)"] + headers).flatMap { ["-H", $0] }
        func arguments(_ seconds: Int) -> [String] {
            ["-t", "1", "-c", "\(connections)", "-d", "\(seconds)s", "--latency"] + fields
                + ["\(scheme)://127.0.0.1:\(port)/"]
        }
        _ = try await ChildProcess.run("wrk", arguments(1), in: world)
        let before = server.cpuSeconds
        let result = try await ChildProcess.run("wrk", arguments(seconds), in: world)
        let cpu = server.cpuSeconds - before
        let text = String(decoding: result.output, as: UTF8.self)
        func word(after name: String) -> String? {
            guard let line = text.split(separator: "\n").first(where: { $0.contains(name) }) else { return nil }
            return line.split(separator: " ").last.map(String.init)
        }
        let total = text.split(separator: "\n").first { $0.contains("requests in") }?.split(separator: " ").first
        guard let count = total.flatMap({ Double($0) }), count > 0,
            let rate = word(after: "Requests/sec").flatMap(Double.init), !text.contains("Non-2xx")
        else { throw BenchFailure(description: "\(server.kind.rawValue): wrk: \(text)") }
        return [rate, cpu / count * 1e6, Self.milliseconds(word(after: "99%") ?? "")]
    }

    /// `1.23ms`, `456.00us`, `1.20s`
    private static func milliseconds(_ text: String) -> Double {
        let number = Double(text.prefix { $0.isNumber || $0 == "." }) ?? 0
        return text.hasSuffix("us") ? number / 1000 : text.hasSuffix("ms") ? number : number * 1000
    }

    private func resume() async throws -> [Double] {
        let before = server.cpuSeconds
        let result = try await ChildProcess.run(
            "openssl",
            [
                "s_time", "-connect", "127.0.0.1:\(server.ports.edge)", "-reuse", "-tls1_2", "-time",
                "\(seconds)",
            ], in: world)
        let cpu = server.cpuSeconds - before
        let text = String(decoding: result.output, as: UTF8.self)
        // `1234 connections in 6 real seconds, 0 bytes read per connection`
        let line = text.split(separator: "\n").last { $0.contains("real seconds") } ?? ""
        let words = line.split(separator: " ")
        guard let count = words.first.flatMap({ Double($0) }), count > 0 else {
            throw BenchFailure(description: "\(server.kind.rawValue): openssl s_time: \(text)")
        }
        return [count / Double(seconds), cpu / count * 1e6, 0]
    }
}
