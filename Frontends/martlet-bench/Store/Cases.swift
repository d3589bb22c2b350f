import MartletBase
import MartletHTTP
import MartletIO
import Synchronization

/// One thing measured on one store in one run: named figures, in the order in which they are shown.
struct Figures: Sendable {
    var title: String
    var values: [(name: String, value: Double)]
}

/// What the cases have in common.
struct Plan: Sendable {
    var valueBytes: Int
    var keys: Int
    var connections: Int
    var warmUp: Duration
    var window: Duration
    var memoryKeys: Int
    var memoryValueBytes: Int
    var watches: Int
    var watchedPuts: Int
    var kills: Int
}

/// The cases, on one running cluster.
struct Cases: Sendable {
    let cluster: BenchCluster
    let world: Reactor
    let plan: Plan

    /// The key with that number.
    private func key(_ number: Int) -> [UInt8] {
        let digits = String(number)
        return Array("bench/\(String(repeating: "0", count: max(0, 12 - digits.count)))\(digits)".utf8)
    }

    private func value(_ bytes: Int, _ number: Int) -> [UInt8] {
        var random = SplitMix64(seed: UInt64(number))
        return (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// A scattered order of keys that is the same in every run.
    private func scattered(_ worker: Int, _ turn: Int) -> Int {
        var random = SplitMix64(seed: UInt64(worker) << 32 | UInt64(turn))
        return Int(random.next() % UInt64(plan.keys))
    }

    /// Connections that so many clients share, to the leader or spread over the members.
    private func channels(for clients: Int, toLeader: Bool) async throws -> [GRPCChannel] {
        let leader = try await cluster.leader()
        // With few clients the first goes to the leader; which member that is differs from run to run.
        return try (0..<min(clients, plan.connections)).map { number in
            try cluster.channel(to: toLeader ? leader : (leader + number) % 3)
        }
    }

    private static func people(_ clients: Int, toLeader: Bool) -> String {
        clients == 1 ? "1 client, to the leader" : "\(clients) clients, \(toLeader ? "to the leader" : "spread")"
    }

    // MARK: Throughput and latency

    /// Puts by so many clients, as fast as they go.
    func put(clients: Int, toLeader: Bool) async throws -> Figures {
        let operation = try await putting(clients, toLeader)
        let sample = try await Load(cluster, in: world).closed(
            workers: clients, warmUp: plan.warmUp, window: plan.window, operation)
        return figures("put, \(Self.people(clients, toLeader: toLeader))", sample)
    }

    /// Linearizable reads of one key each by so many clients. The keys are written before.
    func get(clients: Int) async throws -> Figures {
        let channels = try await channels(for: clients, toLeader: false)
        try await fill(channels)
        let sample = try await Load(cluster, in: world).closed(
            workers: clients, warmUp: plan.warmUp, window: plan.window, reading(channels))
        return figures("linearizable get, \(Self.people(clients, toLeader: false))", sample)
    }

    /// Four reads to one put.
    func mixed(clients: Int) async throws -> Figures {
        let read = reading(try await channels(for: clients, toLeader: false))
        let write = try await putting(clients, false)
        let sample = try await Load(cluster, in: world).closed(
            workers: clients, warmUp: plan.warmUp, window: plan.window
        ) { worker, turn in
            if turn % 5 == 0 { try await write(worker, turn) } else { try await read(worker, turn) }
        }
        return figures("80 % get, 20 % put, \(clients) clients, spread", sample)
    }

    /// Puts at a fixed rate.
    func open(rate: Double) async throws -> Figures {
        let sample = try await Load(cluster, in: world).open(
            rate: rate, workers: 2048, warmUp: plan.warmUp, window: plan.window, try await putting(2048, false))
        return figures("put, \(Int(rate))/s open loop, spread", sample)
    }

    private func putting(_ clients: Int, _ toLeader: Bool) async throws -> Load.Operation {
        let channels = try await channels(for: clients, toLeader: toLeader)
        let value = value(plan.valueBytes, 1)
        let requests = (0..<plan.keys).map { Wire.putRequest(key: key($0), value: value) }
        return { worker, turn in
            let request = requests[scattered(worker, turn)]
            _ = try await channels[worker % channels.count].unary(Wire.put, request, timeout: .seconds(30))
        }
    }

    private func reading(_ channels: [GRPCChannel]) -> Load.Operation {
        let requests = (0..<plan.keys).map { Wire.rangeRequest(key: key($0)) }
        return { worker, turn in
            let request = requests[scattered(worker, turn)]
            let answer = try await channels[worker % channels.count].unary(Wire.range, request, timeout: .seconds(30))
            guard answer.count > plan.valueBytes else { throw BenchFailure(description: "a get found nothing") }
        }
    }

    private func fill(_ channels: [GRPCChannel]) async throws {
        let value = value(plan.valueBytes, 2)
        let sample = try await Load(cluster, in: world).count(plan.keys, workers: 64) { worker, turn in
            let request = Wire.putRequest(key: key(turn), value: value)
            _ = try await channels[worker % channels.count].unary(Wire.put, request, timeout: .seconds(30))
        }
        guard sample.failures == 0 else {
            throw await cluster.failure("\(sample.failures) of \(plan.keys) puts failed")
        }
    }

    private func figures(_ title: String, _ sample: Sample) -> Figures {
        let operations = Double(max(1, sample.operations))
        return Figures(
            title: title,
            values: [
                ("ops/s", sample.rate), ("p50 ms", sample.milliseconds(50)), ("p99 ms", sample.milliseconds(99)),
                ("p99.9 ms", sample.milliseconds(99.9)), ("server CPU us/op", sample.serverCPU / operations * 1e6),
                ("client CPU us/op", sample.clientCPU / operations * 1e6), ("failures", Double(sample.failures)),
            ])
    }

    // MARK: Memory

    /// What the members hold now, on average.
    func resident(_ title: String) -> Figures {
        let resident = cluster.resident()
        let mebibytes = { (sum: Double) in sum / 3 / 1_048_576 }
        return Figures(
            title: title,
            values: [
                ("resident MiB", mebibytes(resident.reduce(0) { $0 + $1.all })),
                ("of it anonymous MiB", mebibytes(resident.reduce(0) { $0 + $1.anonymous })),
            ])
    }

    /// Many keys, and what the members hold then; and once more after each has read all of them, since a store that
    /// keeps values in a mapped file holds only those that were read of late.
    func memory() async throws -> [Figures] {
        let channels = try await channels(for: 256, toLeader: false)
        let value = value(plan.memoryValueBytes, 3)
        let sample = try await Load(cluster, in: world).count(plan.memoryKeys, workers: 256) { worker, turn in
            let request = Wire.putRequest(key: key(turn), value: value)
            for attempt in 0... {
                do {
                    _ = try await channels[worker % channels.count].unary(Wire.put, request, timeout: .seconds(30))
                    return
                } catch  where attempt < 5 {
                    try await world.sleep(for: .milliseconds(200))
                }
            }
        }
        guard sample.failures == 0 else { throw await cluster.failure("\(sample.failures) puts failed") }
        try await world.sleep(for: .seconds(5))
        var figures = resident("\(plan.memoryKeys) keys of \(plan.memoryValueBytes) bytes")
        figures.values.append(("puts/s meanwhile", sample.rate))
        for member in cluster.places.indices {
            let channel = try cluster.channel(to: member)
            for first in stride(from: 0, to: plan.memoryKeys, by: 500) {
                let request = Wire.localRangeRequest(from: key(first), to: key(min(first + 500, plan.memoryKeys)))
                _ = try await channel.unary(Wire.range, request, timeout: .seconds(30))
            }
        }
        try await world.sleep(for: .seconds(2))
        return [figures, resident("the same, after each member has read all")]
    }

    // MARK: Watches

    /// Many watches of one prefix on one follower: what each costs in memory, and delivery in CPU.
    func watches() async throws -> Figures {
        let leader = try await cluster.leader()
        let watched = (leader + 1) % 3
        let channels = try (0..<20).map { _ in try cluster.channel(to: watched) }
        let writer = try cluster.channel(to: leader)
        let counts = WatchCounts()
        let before = cluster.resident()[watched]
        var readers: [Task<Void, Never>] = []
        // A channel that is dropped closes.
        defer { withExtendedLifetime(channels) { for reader in readers { reader.cancel() } } }
        for (number, channel) in channels.enumerated() {
            let stream = try channel.stream(Wire.watch)
            readers.append(
                world.spawn {
                    do {
                        while let message = try await stream.next() { counts.note(Wire.watchResponse(message)) }
                    } catch { counts.note("\(error)") }
                })
            let mine = plan.watches * (number + 1) / channels.count - plan.watches * number / channels.count
            for _ in 0..<mine { try await stream.send(Wire.watchRequest(prefix: Array("watched/".utf8))) }
        }
        try await wait(for: plan.watches, "watches were made", counts) { counts.created }
        try await world.sleep(for: .seconds(3))
        let after = cluster.resident()[watched]
        let began = (cluster.cpuSeconds()[watched], world.now())
        let value = value(plan.valueBytes, 4)
        for number in 0..<plan.watchedPuts {
            let request = Wire.putRequest(key: Array("watched/\(number)".utf8), value: value)
            _ = try await writer.unary(Wire.put, request, timeout: .seconds(30))
        }
        let expected = plan.watches * plan.watchedPuts
        try await wait(for: expected, "events were delivered", counts) { counts.events }
        let seconds = Double((world.now() - began.1).nanoseconds) / 1e9
        let cpu = max(0.01, cluster.cpuSeconds()[watched] - began.0)
        let count = Double(plan.watches)
        return Figures(
            title: "\(plan.watches) watches of one prefix",
            values: [
                ("bytes a watch, resident", (after.all - before.all) / count),
                ("bytes a watch, anonymous", (after.anonymous - before.anonymous) / count),
                ("events/s", Double(expected) / seconds), ("events per CPU second", Double(expected) / cpu),
            ])
    }

    private func wait(for wanted: Int, _ what: String, _ counts: WatchCounts, _ count: () -> Int) async throws {
        let deadline = world.now() + .seconds(180)
        while count() < wanted {
            guard world.now() < deadline, counts.failure == nil else {
                throw await cluster.failure("only \(count()) of \(wanted) \(what) \(counts.failure ?? "")")
            }
            try await world.sleep(for: .milliseconds(5))
        }
    }

    // MARK: Failure

    /// Kills the leader some times, and returns how long it took until a write worked again.
    func failover() async throws -> Figures {
        var times: [Double] = []
        for _ in 0..<plan.kills {
            let leader = try await cluster.leader()
            let survivors = try (1...2).map { try cluster.channel(to: (leader + $0) % 3) }
            let request = Wire.putRequest(key: Array("failover".utf8), value: value(plan.valueBytes, 5))
            for survivor in survivors { _ = try await survivor.unary(Wire.put, request, timeout: .seconds(10)) }
            let killed = world.now()
            cluster.kill(leader)
            times.append(try await firstWrite(to: survivors, request, since: killed))
            try await world.sleep(for: .seconds(1))
            try cluster.start(leader)
            try await cluster.ready()
        }
        return Figures(
            title: "leader killed, \(plan.kills) times",
            values: [
                ("ms to the next write, median", times.sorted()[times.count / 2]),
                ("ms to the next write, worst", times.max() ?? 0),
            ])
    }

    /// Begins a write to each survivor every 5 ms until one has worked.
    private func firstWrite(
        to survivors: [GRPCChannel], _ request: [UInt8], since killed: MonotonicTime
    ) async throws -> Double {
        let first = FirstMoment()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let deadline = killed + .seconds(60)
            while first.moment == nil {
                guard world.now() < deadline else { throw await cluster.failure("no write for a minute") }
                for survivor in survivors {
                    group.addTask { [world] in
                        guard (try? await survivor.unary(Wire.put, request, timeout: .seconds(10))) != nil else {
                            return
                        }
                        first.note(world.now())
                    }
                }
                try await world.sleep(for: .milliseconds(5))
            }
            group.cancelAll()
            while await group.nextResult() != nil {}
        }
        return Double(((first.moment ?? killed) - killed).nanoseconds) / 1e6
    }
}

/// What all watch streams have brought.
private final class WatchCounts: Sendable {
    private let counts = Mutex<(created: Int, events: Int)>((0, 0))
    private let firstFailure = Mutex<String?>(nil)
    var failure: String? { firstFailure.withLock { $0 } }
    func note(_ failure: String) { firstFailure.withLock { $0 = $0 ?? failure } }
    var created: Int { counts.withLock { $0.created } }
    var events: Int { counts.withLock { $0.events } }
    func note(_ response: (events: Int, created: Bool)) {
        counts.withLock { counts in
            counts.events += response.events
            if response.created { counts.created += 1 }
        }
    }
}

/// When something happened first.
private final class FirstMoment: Sendable {
    private let noted = Mutex<MonotonicTime?>(nil)
    var moment: MonotonicTime? { noted.withLock { $0 } }
    func note(_ now: MonotonicTime) { noted.withLock { $0 = $0 ?? now } }
}
