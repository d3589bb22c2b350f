import ArgumentParser
import Glibc
import MartletBase
import MartletIO
import MartletReplicaSimulation
import MartletSimulation
import Synchronization

/// `martlet-simulate`: runs simulated clusters, one a seed, until one of them breaks a promise.
@main struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet-simulate",
        abstract: "Simulated clusters under load and faults, one from each seed, and whether they keep all promises.",
        discussion: """
            A run follows from its seed alone. The exit code is 1 when a promise was broken; the command that repeats \
            the run is printed, and with --verbose the story of it.
            """,
        version: MartletVersion.line(of: "martlet-simulate"))

    @Option(help: "How many seeds.") var seeds: UInt64 = 100
    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "Members of each cluster; without it 3 or 5, as the seed says.") var members: Int?
    @Option(help: "Virtual seconds of load and faults.") var seconds = 30
    @Option(help: "Kinds of faults, with commas between; without it as the seed says.") var faults: String?
    @Option(help: "A mistake to plant; \"list\" names them all.") var mutation: String?
    @Option(help: "How many clusters run side by side.") var jobs = 2
    @Option(help: "Where checkpoints are kept meanwhile, best in memory.") var directory = "/dev/shm"
    @Flag(help: "Goes on after a broken promise.") var keepGoing = false
    @Flag(help: "Prints the story of a run that broke a promise.") var verbose = false

    func run() async throws {
        try Self.makeHashingRepeatable()
        guard seeds > 0, 1...64 ~= jobs, 1...3600 ~= seconds, members.map({ 1...9 ~= $0 }) ?? true else {
            throw ValidationError("seeds from 1, jobs 1 to 64, seconds 1 to 3600, members 1 to 9")
        }
        if mutation == "list" { return print(ClusterMutation.all.map(\.description).joined(separator: "\n")) }
        var plan = ClusterPlan(
            members: members, duration: .seconds(seconds), directory: directory, traceLines: verbose ? 20_000 : 0)
        if let mutation {
            guard let planted = ClusterMutation(name: mutation) else {
                throw ValidationError("there is no mutation \(mutation); --mutation list names them")
            }
            plan.mutation = planted
        }
        if let faults {
            plan.faults = try faults.split(separator: ",").map { name in
                guard let fault = Fault(rawValue: String(name)) else {
                    let known = Fault.allCases.map(\.rawValue).joined(separator: ",")
                    throw ValidationError("there is no fault \(name); there are \(known)")
                }
                return fault
            }
        }
        let tally = Tally(first: first, count: seeds, keepsGoing: keepGoing)
        let started = Self.now()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for job in 0..<jobs {
                let worker = try BlockingWorker(name: "simulate \(job)")
                group.addTask { [self, plan] in
                    try await worker.run { work(tally, plan, since: started) }
                    worker.stop()
                }
            }
            try await group.waitForAll()
        }
        let seconds = max(Self.now() - started, 0.001)
        let total = tally.total
        print(
            "\(total.runs) seeds in \(Int(seconds)) s (\(Int(Double(total.runs) * 60 / seconds)) a minute): "
                + "\(total.answered) calls answered, \(total.writes) of them writes; \(total.lives) lives of members, "
                + "\(total.snapshots) snapshots; \(total.broken) broken")
        if total.broken > 0 { throw ExitCode(1) }
    }

    /// Runs seeds until there are none left.
    private func work(_ tally: Tally, _ plan: ClusterPlan, since started: Double) {
        while let seed = tally.next() {
            let report = ReplicaCluster.run(seed: seed, plan)
            let done = tally.add(report)
            if !report.violations.isEmpty { tell(report) }
            if done % 100 == 0 {
                let rate = Double(done) * 60 / max(Self.now() - started, 0.001)
                print("\(done) of \(seeds) seeds, \(Int(rate)) a minute")
                fflush(nil)
            }
        }
    }

    private func tell(_ report: ClusterReport) {
        var lines = verbose ? report.story : []
        lines.append("SEED \(report.seed) broke \(report.violations.count) promises:")
        lines += report.violations.prefix(10).map { "  \($0)" }
        var command = "martlet-simulate --first \(report.seed) --seeds 1 --seconds \(seconds)"
        if let members { command += " --members \(members)" }
        if let faults { command += " --faults \(faults)" }
        if let mutation { command += " --mutation \(mutation)" }
        lines.append("repeat it with: \(command) --verbose")
        print(lines.joined(separator: "\n"))
        fflush(nil)
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The order of a dictionary's elements must not differ from run to run: Swift draws it anew in each process unless
    /// told not to before the process begins.
    private static func makeHashingRepeatable() throws {
        let name = "SWIFT_DETERMINISTIC_HASHING"
        if getenv(name) != nil { return }
        setenv(name, "1", 1)
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
    }
}

/// Which seeds are still to be run, and what came of the others.
final class Tally: Sendable {
    /// Sums over all runs.
    struct Total: Sendable {
        var runs = 0
        var answered = 0
        var writes = 0
        var lives = 0
        var snapshots = 0
        var broken = 0
    }

    private let keepsGoing: Bool
    private let state: Mutex<(next: UInt64, left: UInt64, total: Total)>

    init(first: UInt64, count: UInt64, keepsGoing: Bool) {
        self.keepsGoing = keepsGoing
        state = Mutex((first, count, Total()))
    }

    var total: Total { state.withLock { $0.total } }

    func next() -> UInt64? {
        state.withLock { state in
            guard state.left > 0, keepsGoing || state.total.broken == 0 else { return nil }
            state.left -= 1
            defer { state.next &+= 1 }
            return state.next
        }
    }

    /// Returns how many runs there were.
    func add(_ report: ClusterReport) -> Int {
        state.withLock { state in
            state.total.runs += 1
            state.total.answered += report.answered
            state.total.writes += report.writes
            state.total.lives += report.lives
            state.total.snapshots += report.snapshots
            if !report.violations.isEmpty { state.total.broken += 1 }
            return state.total.runs
        }
    }
}
