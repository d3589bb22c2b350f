import ArgumentParser
import Glibc
import MartletBase
import MartletIO

/// `martlet-bench gateway`: the REST gateway beside kube-apiserver, over TLS, by the same client, on the same disk.
struct GatewayBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Martlet's REST gateway beside kube-apiserver: creates, reads, lists, watches, memory.",
        discussion: """
            It starts martlet-gateway, and kube-apiserver with an etcd, in turn on loopback with new folders on one \
            disk, and loads both by the same client: HTTP/1.1 with keep-alive over TLS with client certificates. \
            Both authorise by RBAC, admit as their defaults are, and answer a write when it is on disk. CPU and memory \
            of kube-apiserver are those of it and its etcd together. A watch event's delay counts from the moment \
            the create request was sent.
            """)

    @Option(help: "kube-apiserver's program.") var apiserver = "kube-apiserver"
    @Option(help: "etcd's program, for kube-apiserver.") var etcd = "etcd"
    @Option(help: "Martlet's program. (default: martlet-gateway beside this one)") var martlet: String?
    @Option(help: "Measure one of them only: kube-apiserver or martlet.") var only: String?
    @Option(help: "The folder of all data; the device under it is measured.") var directory = "."
    @Option(help: "Runs of each.") var runs = 3
    @Option(help: "Seconds of one measurement.") var seconds = 10
    @Option(help: "Seconds before it that are not measured.") var warmUp = 2
    @Option(help: "Connections of the load.") var connections = 32
    @Option(help: "Pods that are created, read and listed.") var pods = 20_000
    @Option(help: "How often all pods are listed.") var lists = 3
    @Option(help: "Watches that follow the creations.") var watches = 200
    @Option(help: "Creations that the watches see.") var burst = 500
    @Option(help: "Events a second of the paced case.") var paced = 4000
    @Option(help: "Watches of the memory case.") var idleWatches = 1000
    @Option(help: "Write every number of every run to this file.") var json: String?

    func run() async throws {
        Allocator.keepFreedMemoryAtHand()
        guard 1...99 ~= runs, 1...3600 ~= seconds, 0...3600 ~= warmUp, 1...10_000 ~= connections, pods > 0, lists > 0,
            watches > 0, burst > 0, paced > 0, idleWatches > 0
        else { throw ValidationError("runs is 1 to 99, seconds and warm-up at most 3600, counts at least 1") }
        _ = try? System.raiseDescriptorLimit()
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        let (command, folder) = (self, "\(Self.absolute(directory))/martlet-bench-\(System.processID)")
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        do {
            try await Task(executorPreference: world.executor) { try await command.measure(in: folder, world) }.value
        } catch let failure as BenchFailure {
            print("error: \(failure)")
            throw ExitCode(1)
        }
    }

    /// A folder by its whole path: servers work in another folder.
    static func absolute(_ directory: String) -> String {
        if directory.hasPrefix("/") { return directory }
        guard let path = getcwd(nil, 0) else { return directory }
        defer { free(path) }
        return "\(String(cString: path))/\(directory)"
    }

    /// A program in the folder of this one.
    static func beside(_ name: String) -> String {
        let folder = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return (folder + [Substring(name)]).joined(separator: "/")
    }

    private var plan: GatewayCases.Plan {
        GatewayCases.Plan(
            connections: connections, pods: pods, warmUp: .seconds(warmUp), window: .seconds(seconds), lists: lists,
            watches: watches, burst: burst, pacedEvents: Double(paced), idleWatches: idleWatches)
    }

    private func programs() -> GatewayServer.Programs {
        GatewayServer.Programs(
            martlet: martlet ?? Self.beside("martlet-gateway"), apiserver: apiserver, etcd: etcd)
    }

    private func measure(in folder: String, _ world: Reactor) async throws {
        let kinds = [Rival.Kind.apiserver, .martlet].filter { only == nil || $0.rawValue == only }
        guard !kinds.isEmpty else { throw ValidationError("--only is kube-apiserver or martlet") }
        let programs = programs()
        for kind in kinds {
            for (name, program, _) in GatewayServer.commands(kind, programs, "DIR", [6443, 2379, 2380])
            where ChildProcess.find(program) == nil {
                throw ValidationError("there is no program \(program): give --\(name) PATH (see docs/benchmarks.md)")
            }
        }
        let facts = facts(kinds, programs)
        for (name, fact) in facts { print("\(name): \(fact)") }
        var report = Report(rival: .apiserver)
        for run in 1...runs {
            for kind in kinds {
                let server = try await GatewayServer(kind, programs, in: "\(folder)/\(kind.rawValue)", world: world)
                do {
                    try await measure(server, world, &report)
                } catch {
                    await server.stop()
                    throw error
                }
                await server.stop()
                Self.say("run \(run) of \(runs): \(kind.rawValue) done")
            }
        }
        print(report.table)
        if let json { try Files.write(Array(report.json(facts).utf8), to: json) }
    }

    private func measure(_ server: GatewayServer, _ world: Reactor, _ report: inout Report) async throws {
        let cases = GatewayCases(server: server, world: world, plan: plan)
        func note(_ figures: Figures) {
            let values = figures.values.map { "\($0.name) \(Report.rounded($0.value, 2))" }.joined(separator: ", ")
            Self.say("\(server.kind.rawValue): \(figures.title): \(values)")
            report.add(figures, of: server.kind)
        }
        note(Figures(title: "start to ready", values: [("seconds", try await server.ready())]))
        try await world.sleep(for: .seconds(2))
        note(cases.memory("memory, idle"))
        note(try await cases.create())
        try await world.sleep(for: .seconds(5))
        note(cases.memory("memory with these pods"))
        note(try await cases.get())
        note(try await cases.list())
        note(try await cases.watchPaced())
        note(try await cases.watchBurst())
        note(try await cases.idleWatches())
    }

    /// Tells of progress, beside the table.
    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    private func facts(_ kinds: [Rival.Kind], _ programs: GatewayServer.Programs) -> [(String, String)] {
        let lines = (try? Files.read("/proc/cpuinfo")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let model = lines.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
        var facts = [
            ("kernel", System.kernelVersion()), ("CPU", "\(System.cpuCount()) x\(model ?? " ?")"),
            (
                "load",
                "\(pods) pods, \(connections) connections, \(seconds) s after \(warmUp) s, medians of \(runs) runs"
            ),
        ]
        for kind in kinds {
            for (name, program, arguments) in GatewayServer.commands(kind, programs, "DIR", [6443, 2379, 2380]) {
                facts.append((name, "\(program) \(arguments.joined(separator: " "))"))
            }
        }
        return facts
    }
}
