internal import Logging
internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletReplica
public import MartletSimulation
internal import MartletStore
internal import Synchronization

/// What came of one run.
public struct ClusterReport: Sendable {
    /// The seed.
    public var seed: UInt64
    /// What was wrong; empty when all was well.
    public var violations: [Violation] = []
    /// How many calls were answered.
    public var answered = 0
    /// How many of them were writes.
    public var writes = 0
    /// How often members began a life.
    public var lives = 0
    /// How many snapshots were installed.
    public var snapshots = 0
    /// The last lines of the story.
    public var story: [String] = []
    /// Follows from every step: equal for equal runs.
    public var fingerprint: UInt64 = 0
    /// How many jobs were run.
    public var jobs = 0
}

/// A cluster of replicas in one simulated world, with clients, watchers and a nemesis.
///
/// For ``ClusterPlan/duration`` there are load and faults. Then all faults are taken away, and the cluster must come to
/// rest: writes succeed, all members catch up, watchers are told of all. At the end the checkers judge what happened.
public final class ReplicaCluster: Sendable {
    let plan: ClusterPlan
    let world: SimWorld
    let chance: Chance
    let profile: ClusterProfile
    let board = TransportBoard()
    let journal = Journal()
    let observer: ClusterObserver
    let directory: String
    private let state: Mutex<State>

    private struct State {
        var machines: [Machine] = []
        var watchers: [Watcher] = []
        var nextNumber = 1
        var isQuiet = false
        var isOver = false
        var isReplacing = false
        var cluster: UInt64 = 0
        var lives = 0
        var failures: [Violation] = []
    }

    private static let token = "simulated"
    /// Counts the runs of this process, so that each has a folder of its own.
    private static let runs = Atomic(0)
    /// A run takes a tenth of this many jobs; more means that something spins.
    private static let jobLimit = 5_000_000
    /// How long a cluster may take to come to rest.
    private static let patience: Duration = .seconds(20)

    /// Runs one cluster to its end.
    public static func run(seed: UInt64, _ plan: ClusterPlan) -> ClusterReport {
        let cluster = ReplicaCluster(seed: seed, plan)
        var report = ClusterReport(seed: seed)
        do {
            try Files.makeDirectory(cluster.directory, mode: 0o700)
            try cluster.world.run(jobLimit: jobLimit) { await cluster.live() }
        } catch {
            cluster.fail("the run ends", "\(error)")
        }
        for machine in cluster.machines { machine.crash(tellingOthers: false, cluster.world.network) }
        try? Files.remove(cluster.directory)
        cluster.judge(&report)
        // What the crashes set going ends, too: a task that never goes on keeps all that it has for good.
        cluster.world.windDown()
        return report
    }

    private init(seed: UInt64, _ plan: ClusterPlan) {
        self.plan = plan
        world = SimWorld(seed: seed, traceLines: plan.traceLines)
        chance = Chance(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 1)
        profile = ClusterProfile(plan, chance)
        observer = ClusterObserver(world)
        let run = Self.runs.add(1, ordering: .relaxed).newValue
        directory = "\(plan.directory)/martlet-simulation-\(System.processID)-\(run)"
        state = Mutex(State())
        world.network.weather = profile.network
    }

    // MARK: What others see

    var machines: [Machine] { state.withLock { $0.machines } }
    /// Whether the time of load and faults is over.
    var isQuiet: Bool { state.withLock { $0.isQuiet } }
    /// Whether everything is over.
    var isOver: Bool { state.withLock { $0.isOver } }
    /// The keys that clients use.
    var keys: [String] { (0..<profile.keys).map { "k\($0)" } }

    func fail(_ promise: String, _ detail: String) {
        world.note("VIOLATION \(promise): \(detail)")
        state.withLock { $0.failures.append(Violation(promise, detail)) }
    }

    /// The machine whose member leads, of the newest term that is known.
    func leader() async -> Machine? {
        var found: (machine: Machine, term: UInt64)?
        for machine in machines {
            guard let replica = machine.running?.replica else { continue }
            let status = await replica.status
            if status.role == .leader, status.term > found?.term ?? 0 { found = (machine, status.term) }
        }
        return found?.machine
    }

    // MARK: The run

    private func live() async {
        world.note("\(profile)")
        makeFirstMachines()
        for machine in machines { start(machine) }
        world.spawn { await self.supervise() }
        let watchers = (0..<profile.watchers).map { number in
            Watcher(number, prefix: chance.pick(["", "k", "l/", "k0", "k1"]) ?? "", of: self)
        }
        state.withLock { $0.watchers = watchers }
        for watcher in watchers { world.spawn { await watcher.work() } }
        let nemesis = Nemesis(cluster: self, chance: Chance(seed: chance.bits()))
        world.spawn { await nemesis.work() }
        let clients = (0..<profile.clients).map { Client($0, of: self) }
        await withTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { await client.work() } }
            try? await world.sleep(for: plan.duration)
            calm()
            await group.waitForAll()
        }
        if let client = clients.first { await comeToRest(client) }
        state.withLock { $0.isOver = true }
        try? await world.sleep(for: .seconds(4))
    }

    /// Takes all faults away.
    private func calm() {
        world.note("all faults end")
        state.withLock { $0.isQuiet = true }
        world.network.heal()
        world.network.weather = .fair
        for machine in machines {
            machine.disk.weather = DiskWeather()
            machine.disk.isFull = false
            if machine.isPaused { machine.resume() }
        }
    }

    /// Starts members that are down, again and again, as long as there are any.
    private func supervise() async {
        let chance = Chance(seed: chance.bits())
        while !isOver {
            try? await world.sleep(for: chance.duration(.milliseconds(20) ... .milliseconds(400)))
            for machine in machines where !machine.isRetired {
                if let replica = machine.running?.replica {
                    guard let failure = await replica.failure, isForGood(failure) else { continue }
                    world.note("\(machine.name) has stopped: \(failure)")
                    if failure.contains("was removed from the cluster") {
                        // The answer to whoever asked for that may have been lost.
                        if !machine.mayBeRemoved { fail("members stay", "\(machine.name) says that \(failure)") }
                        machine.retire()
                    }
                    machine.crash(tellingOthers: true, world.network)
                } else if isQuiet || chance.one(in: 3) {
                    start(machine)
                }
            }
        }
    }

    /// Whether a member that says this must be started anew.
    private func isForGood(_ failure: String) -> Bool { !failure.contains("No space left") }

    // MARK: Machines

    private func makeFirstMachines() {
        let first = (1...profile.members).map { number in
            Bootstrap.FirstMember(name: "m\(number)", peerURLs: [Self.url(number)])
        }
        let bootstrap = Bootstrap.cluster(token: Self.token, members: first)
        for member in first {
            guard let ids = try? bootstrap.identifiers(of: member.name) else { continue }
            state.withLock { $0.cluster = ids.cluster }
            addMachine(MemberID(ids.member), bootstrap)
        }
    }

    @discardableResult
    private func addMachine(_ member: MemberID, _ bootstrap: Bootstrap) -> Machine {
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        let host = world.host(number)
        var mutation: DiskMutation?
        if case .disk(let planted) = plan.mutation { mutation = planted }
        let disk = SimDisk("m\(number)", in: host, seed: chance.bits(), mutation: mutation)
        disk.weather = profile.disk
        let machine = Machine(
            number, member: member, bootstrap, host: host, disk: disk, folder: "\(directory)/m\(number)")
        state.withLock { $0.machines.append(machine) }
        return machine
    }

    private static func url(_ number: Int) -> String { "http://10.0.0.\(number):2380" }

    private func start(_ machine: Machine) {
        if machine.isPaused { return }
        if let failure = machine.failure, failure.contains("corrupt") {
            // Its disk has rotted: that it refuses is right.
            return
        }
        state.withLock { $0.lives += 1 }
        machine.start(parts, world.network, board, encodes: profile.encodes, logger(of: machine))
    }

    /// What a member logs goes into the story.
    private func logger(of machine: Machine) -> Logger {
        guard plan.traceLines > 0 else { return Logger(label: machine.name) { _ in SwiftLogNoOpLogHandler() } }
        return Logger(label: machine.name) { [world] _ in StoryLog(name: machine.name, world: world) }
    }

    private func parts(_ machine: Machine, _ life: Life, _ transport: SimTransport) -> SimulatedParts {
        var mutations = ReplicaMutations()
        if case .raft(let planted) = plan.mutation { mutations.raft = planted }
        if case .store(let planted) = plan.mutation { mutations.store = planted }
        let host = machine.host
        let chance = Chance(seed: chance.bits())
        var parts = SimulatedParts(
            folder: machine.folder, isNew: !machine.hasFiles,
            peers: PeerConfiguration(
                name: machine.name, listen: .ip("10.0.0.\(machine.number)", port: 2380),
                peerURLs: [Self.url(machine.number)], bootstrap: machine.bootstrap, security: nil),
            transport: transport, observer: MemberObserver(machine.name, life, observer))
        parts.made = { if !life.isOver { machine.filesAreMade() } }
        parts.beforeFileWork = {
            try? await host.sleep(for: chance.duration(.microseconds(50) ... .milliseconds(20)))
            if life.isOver { throw ReplicaError.stopped("the machine has lost power") }
        }
        parts.historyLimit = profile.historyLimit
        parts.checkpointEntries = profile.checkpointEntries
        parts.logMargin = profile.logMargin
        parts.leaseReads = profile.leaseReads
        parts.mutations = mutations
        return parts
    }

    // MARK: Changes of members

    /// Whether the cluster goes on when a member is lost for good now.
    var canLoseAMember: Bool { state.withLock { !$0.isReplacing && !$0.isQuiet } }

    /// Removes a member and lets another one join in its place, on a new machine.
    func replace(_ machine: Machine, _ chance: Chance) async {
        state.withLock { $0.isReplacing = true }
        world.spawn {
            await self.carryOutReplacement(of: machine, chance)
            self.state.withLock { $0.isReplacing = false }
        }
    }

    private func carryOutReplacement(of machine: Machine, _ chance: Chance) async {
        let isLost = machine.disk.isRotten
        guard await voterCount() >= 3 || isLost else { return }
        var isRemoved = false
        machine.removalIsAsked()
        while !isRemoved {
            if !isLost, isQuiet { return }
            guard let by = chance.pick(machines.filter { $0.isUp && $0 !== machine }) else {
                try? await world.sleep(for: .milliseconds(200))
                continue
            }
            let answer = await by.ask(in: world, chance) { try await $0.remove(member: machine.member.number) }
            switch answer {
            case .value: isRemoved = true
            case .failure(ReplicaError.membership(.notMember)): isRemoved = true
            case .failure, .notSent, .lost:
                if isOver { return }
                try? await world.sleep(for: .milliseconds(300))
            }
        }
        world.note("\(machine.name) is removed")
        machine.retire()
        machine.crash(tellingOthers: true, world.network)
        await addReplacement(chance)
    }

    private func addReplacement(_ chance: Chance) async {
        let url = Self.url(state.withLock { $0.nextNumber })
        while !isOver {
            guard let by = chance.pick(machines.filter { $0.isUp }) else {
                try? await world.sleep(for: .milliseconds(200))
                continue
            }
            let answer = await by.ask(in: world, chance) {
                try await $0.addMember(peerURLs: [url], isLearner: true, autoPromote: true)
            }
            if case .value(let info) = answer {
                let cluster = state.withLock { $0.cluster }
                let machine = addMachine(MemberID(info.id), .added(cluster: cluster, member: info.id))
                world.note("\(machine.name) joins as \(machine.member)")
                return start(machine)
            }
            if case .failure(ReplicaError.membership(.urlTaken)) = answer {
                // The first try was carried out, and its answer lost.
                guard let id = await by.running?.replica.members.first(where: { $0.peerURLs == [url] })?.id else {
                    continue
                }
                let cluster = state.withLock { $0.cluster }
                return start(addMachine(MemberID(id), .added(cluster: cluster, member: id)))
            }
            try? await world.sleep(for: .milliseconds(300))
        }
    }

    func voterCount() async -> Int {
        await leader()?.running?.replica.settledVoters ?? 0
    }

    // MARK: The end

    /// Waits until the cluster is whole again.
    private func comeToRest(_ client: Client) async {
        let quiet = world.now()
        while state.withLock({ $0.isReplacing }) {
            guard world.now() - quiet < Self.patience else {
                let states = await describe()
                return fail("changes of members end once all is well", "one did not: \(states)")
            }
            try? await world.sleep(for: .milliseconds(100))
        }
        let started = world.now()
        guard let revision = await writeAll(client, since: started) else {
            let states = await describe()
            return fail("writes succeed once all is well", "none did for \(Self.patience): \(states)")
        }
        while await !haveCaughtUp(revision) {
            guard world.now() - started < Self.patience else {
                let states = await describe()
                return fail("members catch up once all is well", "revision \(revision), but \(states)")
            }
            try? await world.sleep(for: .milliseconds(100))
        }
        await client.read(keys, .linearizableRead)
        let watchers = state.withLock { $0.watchers }
        while let late = watchers.first(where: { $0.position < revision }) {
            guard world.now() - started < Self.patience * 2 else {
                return fail(
                    "watches are complete",
                    "a watcher is at \(late.position), the store at \(revision), and nothing more comes")
            }
            try? await world.sleep(for: .milliseconds(100))
        }
        await checkLeases(since: started)
    }

    /// Writes all keys at once, so that every watcher has something to see.
    private func writeAll(_ client: Client, since started: MonotonicTime) async -> Int64? {
        while world.now() - started < Self.patience {
            var call = StoreCall(
                number: journal.number(), client: client.number, kind: .write, start: world.now().nanoseconds)
            call.success = (keys + ["l/end"]).map { KeyChange(key: $0, value: "end-\(journal.number())") }
            if let revision = await client.propose(call) { return revision }
            try? await world.sleep(for: .milliseconds(50))
        }
        return nil
    }

    private func haveCaughtUp(_ revision: Int64) async -> Bool {
        for machine in machines where !machine.isRetired {
            guard let replica = machine.running?.replica else { return false }
            if await replica.revision < revision { return false }
        }
        return true
    }

    /// Nobody renews a lease any more: all must end.
    private func checkLeases(since started: MonotonicTime) async {
        while world.now() - started < Self.patience * 3 {
            try? await world.sleep(for: .milliseconds(200))
            guard let replica = await leader()?.running?.replica else { continue }
            if await replica.withStore({ $0.leases.count }) == 0 { return }
        }
        fail("leases end when nobody renews them", "there still are some")
    }

    private func describe() async -> String {
        var parts: [String] = []
        for machine in machines where !machine.isRetired {
            if let replica = machine.running?.replica {
                let status = await replica.status
                parts.append(
                    "\(machine.name) \(status.role) term \(status.term) applied \(status.appliedIndex) revision "
                        + "\(status.revision) last \(status.lastIndex) \(status.failure ?? "")")
            } else {
                parts.append("\(machine.name) down (\(machine.failure ?? "no failure"))")
            }
        }
        return parts.joined(separator: "; ")
    }

    // MARK: Judgement

    private func judge(_ report: inout ClusterReport) {
        let (failures, watchers, lives) = state.withLock { ($0.failures, $0.watchers, $0.lives) }
        let calls = journal.calls
        let (agreement, times, snapshots) = observer.result
        let history = agreement.history()
        report.violations = agreement.violations + failures
        report.violations += RevisionChecker.violations(of: calls, in: history)
        for record in watchers.flatMap(\.records) {
            report.violations += WatchChecker.violations(of: record, in: history)
        }
        report.violations += LeaseChecker.violations(of: journal.leases, calls, in: history, times: times)
        report.violations += KeyChecker.violations(of: calls, keys: keys)
        report.answered = calls.count { $0.outcome == .answered }
        report.writes = calls.count { $0.outcome == .answered && $0.kind == .write }
        report.lives = lives
        report.snapshots = snapshots
        report.story = world.story
        report.fingerprint = world.fingerprint
        report.jobs = world.jobCount
    }
}

/// Writes what is logged into a world's story.
private struct StoryLog: LogHandler {
    let name: String
    let world: SimWorld
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug

    init(name: String, world: SimWorld) {
        self.name = name
        self.world = world
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { world.note("\(name): \(event.level): \(event.message)") }
}
