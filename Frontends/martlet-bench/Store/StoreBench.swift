import ArgumentParser
import MartletBase
import MartletIO

#if canImport(Glibc)
import Glibc
#endif

/// `martlet-bench store`: the replicated store beside etcd, over the same API, by the same client, on the same disk.
struct StoreBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Martlet's store beside etcd: throughput, latency, CPU, memory, watches, failover.",
        discussion: """
            It starts three members of each store on loopback, one store at a time, with new folders on one disk, and \
            loads both by the same client over the etcd v3 API. Runs alternate between the stores; medians are shown. \
            Latency of the open loop counts from the moment a request was meant to be sent. CPU of the servers \
            is that of all three members. Both stores answer a write when a majority has it on disk. Memory is what \
            the kernel counts as resident (VmRSS), a member's share on average, and of it what is no page of a file \
            (RssAnon): 5 s after the load, and again when each member has read all keys, because a store that maps \
            its file holds only what was read of late.
            """)

    enum Part: String, CaseIterable, ExpressibleByArgument { case put, get, mixed, open, memory, watch, failover }

    @Option(help: "etcd's program.") var etcd = "etcd"
    @Option(help: "Martlet's program. (default: martlet-store beside this one)") var martlet: String?
    @Option(help: "Measure one of them only: etcd or martlet.") var only: String?
    @Option(help: "The folder of all data; the device under it is measured.") var directory = "."
    @Option(help: "What to measure; may be given more than once. (default: all)") var part: [Part] = []
    @Option(help: "Clients of the closed loops; may be given more than once. (default: 1, 64, 256)") var clients:
        [Int] = []
    @Option(help: "Runs of each store.") var runs = 3
    @Option(help: "Seconds of one measurement.") var seconds = 10
    @Option(help: "Seconds before it that are not measured.") var warmUp = 2
    @Option(help: "Operations a second of the open loop. (default: half of what etcd reached)") var rate: Double?
    @Option(help: "Connections that the clients share, at most.") var connections = 30
    @Option(help: "Bytes of a value.") var valueBytes = 256
    @Option(help: "Different keys.") var keys = 10_000
    @Option(help: "Keys of 1 KB of the memory case.") var memoryKeys = 1_000_000
    @Option(help: "Watches of the watch case.") var watches = 10_000
    @Option(help: "Puts that each of these watches sees.") var watchedPuts = 100
    @Option(help: "How often the leader is killed in a run.") var kills = 3
    @Flag(help: "Mutual TLS between the members and with the client.") var tls = false
    @Option(help: "Write every number of every run to this file.") var json: String?

    func run() async throws {
        // The client's own cost counts, on both stores.
        Allocator.keepFreedMemoryAtHand()
        guard 1...99 ~= runs, 1...3600 ~= seconds, 0...3600 ~= warmUp, 1...10_000 ~= connections,
            1...1_000_000 ~= valueBytes, keys > 0, kills > 0, clients.allSatisfy({ 1...10_000 ~= $0 })
        else { throw ValidationError("runs is 1 to 99, seconds and warm-up at most 3600, clients 1 to 10000") }
        _ = try? System.raiseDescriptorLimit()
        let world = try Reactor(name: "martlet-bench")
        defer { world.shutdown() }
        let (command, folder) = (self, "\(directory)/martlet-bench-\(System.processID)")
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        do {
            try await Task(executorPreference: world.executor) { try await command.measure(in: folder, world) }.value
        } catch let failure as BenchFailure {
            print("error: \(failure)")
            throw ExitCode(1)
        }
    }

    private var plan: Plan {
        Plan(
            valueBytes: valueBytes, keys: keys, connections: connections, warmUp: .seconds(warmUp),
            window: .seconds(seconds), memoryKeys: memoryKeys, memoryValueBytes: 1000, watches: watches,
            watchedPuts: watchedPuts, kills: kills)
    }

    private func rivals() throws -> [Rival] {
        let beside = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let own = martlet ?? (beside + ["martlet-store"]).joined(separator: "/")
        let all = [Rival(kind: .etcd, program: etcd), Rival(kind: .martlet, program: own)]
        let wanted = all.filter { only == nil || $0.kind.rawValue == only }
        for rival in wanted where ChildProcess.find(rival.program) == nil {
            throw ValidationError(
                "there is no program \(rival.program): "
                    + (rival.kind == .etcd ? "install etcd-server, or give --etcd PATH" : "give --martlet PATH"))
        }
        guard !wanted.isEmpty else { throw ValidationError("--only is etcd or martlet") }
        return wanted
    }

    private func measure(in folder: String, _ world: Reactor) async throws {
        let rivals = try rivals()
        let certificates = tls ? try Certificates(in: folder, now: world.wallTime()) : nil
        let facts = await facts(rivals, world, certificates)
        for (name, fact) in facts { print("\(name): \(fact)") }
        var report = Report(rival: .etcd)
        for run in 1...runs {
            for rival in rivals {
                try await measure(rival, in: folder, certificates, world, &report)
                Self.say("run \(run) of \(runs): \(rival.kind.rawValue) done")
            }
        }
        print(report.table)
        if let json { try Files.write(Array(report.json(facts).utf8), to: json) }
    }

    /// One run of one store: loads on one cluster, and new ones for what would spoil its figures.
    private func measure(
        _ rival: Rival, in folder: String, _ certificates: Certificates?, _ world: Reactor, _ report: inout Report
    ) async throws {
        let parts = part.isEmpty ? Part.allCases : part
        let counts = clients.isEmpty ? [1, 64, 256] : clients
        var groups: [[Part]] = [[.put, .get, .mixed, .open], [.memory], [.watch], [.failover]]
        groups = groups.map { $0.filter(parts.contains) }.filter { !$0.isEmpty }
        for group in groups {
            let cluster = try await BenchCluster(rival, in: folder, certificates: certificates, world: world)
            do {
                for figures in try await load(cluster, group, counts, world, report) {
                    report.add(figures, of: rival.kind)
                }
            } catch {
                await cluster.stop()
                throw error
            }
            await cluster.stop()
        }
    }

    private func load(
        _ cluster: BenchCluster, _ parts: [Part], _ counts: [Int], _ world: Reactor, _ report: Report
    ) async throws -> [Figures] {
        let cases = Cases(cluster: cluster, world: world, plan: plan)
        var all: [Figures] = []
        func note(_ figures: Figures) {
            let values = figures.values.map { "\($0.name) \(Report.rounded($0.value, 2))" }.joined(separator: ", ")
            Self.say("\(cluster.rival.kind.rawValue): \(figures.title): \(values)")
            all.append(figures)
        }
        for part in parts {
            switch part {
            case .put:
                for count in counts { note(try await cases.put(clients: count, toLeader: false)) }
                for count in counts where count > 1 { note(try await cases.put(clients: count, toLeader: true)) }
            case .get: for count in counts { note(try await cases.get(clients: count)) }
            case .mixed: note(try await cases.mixed(clients: counts.max() ?? 256))
            case .open: note(try await cases.open(rate: openRate(report, all)))
            case .memory: for figures in try await cases.memory() { note(figures) }
            case .watch: note(try await cases.watches())
            case .failover: note(try await cases.failover())
            }
        }
        if parts.contains(.put) { note(cases.resident("memory after these loads")) }
        return all
    }

    /// The rate that was given, or half of what etcd (or who comes first) reached with the most clients, for all runs
    /// the same.
    private func openRate(_ report: Report, _ current: [Figures]) -> Double {
        if let rate { return rate }
        let used = report.titles.first { $0.contains("open loop") }?.split(separator: " ")[1].split(separator: "/")[0]
        if let used, let rate = Double(used) { return rate }
        let reached = current.filter { $0.title.hasPrefix("put") }.compactMap { $0.values.first?.value }.max()
        return ((reached ?? 2000) / 2 / 100).rounded() * 100
    }

    /// Tells of progress, beside the table.
    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    /// What belongs beside the figures.
    private func facts(_ rivals: [Rival], _ world: Reactor, _ tls: Certificates?) async -> [(String, String)] {
        let lines = (try? Files.read("/proc/cpuinfo")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let model = lines.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
        var facts = [
            ("kernel", System.kernelVersion()),
            ("CPU", "\(System.cpuCount()) x\(model ?? " ?")"),
            ("TLS", tls == nil ? "off" : "mutual, members and client"),
            (
                "load",
                "\(valueBytes)-byte values, \(keys) keys, at most \(connections) connections, \(seconds) s after "
                    + "\(warmUp) s, medians of \(runs) runs"
            ),
        ]
        let place = Rival.Place(name: "m0", client: 2379, peer: 2380, folder: "DIR")
        for rival in rivals {
            let arguments = rival.arguments(place, of: [place], tls: tls).joined(separator: " ")
            facts.append((rival.kind.rawValue, await rival.version(in: world)))
            facts.append(("its first member", "\(rival.program) \(arguments)"))
        }
        return facts
    }
}
