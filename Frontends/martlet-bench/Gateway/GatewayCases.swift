import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import Synchronization

/// Counts what tasks do together.
final class Counter: Sendable {
    private let next = Atomic<Int>(0)
    /// The number of this one.
    func take() -> Int { next.wrappingAdd(1, ordering: .relaxed).oldValue }
    var taken: Int { next.load(ordering: .relaxed) }
}

/// The cases of `martlet-bench gateway`, on one running server.
struct GatewayCases: Sendable {
    /// What the cases have in common.
    struct Plan: Sendable {
        var connections: Int
        var pods: Int
        var warmUp: Duration
        var window: Duration
        var lists: Int
        var watches: Int
        var burst: Int
        /// Events a second of the paced watch case, over all watches.
        var pacedEvents: Double
        var idleWatches: Int
    }

    let server: GatewayServer
    let world: Reactor
    let plan: Plan

    private static let pods = "/api/v1/namespaces/default/pods"

    private func clients(_ count: Int) -> [HTTPClient] { (0..<count).map { _ in server.client() } }

    private func load() -> Load {
        let server = self.server
        return Load(in: world) { server.cpuSeconds() }
    }

    private func create(_ pod: PodManifest, _ name: String, on client: HTTPClient) async throws {
        let answer = try await server.send(.post, Self.pods, body: pod.body(named: name), on: client)
        guard answer.status.code == 201 else {
            throw BenchFailure(description: "a pod's creation is answered with \(answer.status.code)")
        }
    }

    // MARK: Memory

    func memory(_ title: String) -> Figures {
        let resident = server.resident()
        var values = [("resident MiB", resident.reduce(0) { $0 + $1.bytes } / 1_048_576)]
        if resident.count > 1 { values += resident.map { ("of it \($0.name) MiB", $0.bytes / 1_048_576) } }
        return Figures(title: title, values: values)
    }

    // MARK: Creates and reads

    /// Creates the pods that the other cases read.
    func create() async throws -> Figures {
        let clients = clients(plan.connections)
        let sample = try await load().count(plan.pods, workers: plan.connections) { worker, turn in
            try await create(.listed, "pod-\(turn)", on: clients[worker])
        }
        guard sample.failures == 0 else {
            throw BenchFailure(description: "\(server.kind.rawValue): \(sample.failures) creations failed")
        }
        return Self.figures("create \(plan.pods) pods, \(plan.connections) connections", sample)
    }

    /// Reads one pod each, as fast as it goes.
    func get() async throws -> Figures {
        let clients = clients(plan.connections)
        let sample = try await load().closed(workers: plan.connections, warmUp: plan.warmUp, window: plan.window) {
            worker, turn in
            var random = SplitMix64(seed: UInt64(worker) << 32 | UInt64(turn))
            let number = Int(random.next() % UInt64(plan.pods))
            let answer = try await server.send(.get, "\(Self.pods)/pod-\(number)", on: clients[worker])
            guard answer.status.code == 200, answer.bytes > 1000 else {
                throw BenchFailure(description: "a pod's read is answered with \(answer.status.code)")
            }
        }
        return Self.figures("get a pod, \(plan.connections) connections", sample)
    }

    /// Reads all pods by one request, one after the other.
    func list() async throws -> Figures {
        let client = server.client()
        let before = server.resident().reduce(0) { $0 + $1.bytes }
        var seconds: [Double] = []
        var bytes = 0
        let cpu = server.cpuSeconds().reduce(0, +)
        for _ in 0..<plan.lists {
            let start = world.now()
            let answer = try await server.send(.get, Self.pods, on: client)
            seconds.append(Double((world.now() - start).nanoseconds) / 1e9)
            bytes = answer.bytes
        }
        let after = server.resident().reduce(0) { $0 + $1.bytes }
        let spent = server.cpuSeconds().reduce(0, +) - cpu
        return Figures(
            title: "list all pods, \(plan.lists) times",
            values: [
                ("seconds", seconds.sorted()[seconds.count / 2]), ("slowest s", seconds.max() ?? 0),
                ("answer MB", Double(bytes) / 1e6), ("server CPU s each", spent / Double(plan.lists)),
                ("new resident MiB", (after - before) / 1_048_576),
            ])
    }

    private static func figures(_ title: String, _ sample: Sample) -> Figures {
        let operations = Double(max(1, sample.operations))
        return Figures(
            title: title,
            values: [
                ("ops/s", sample.rate), ("ops per server CPU s", operations / max(sample.serverCPU, 1e-9)),
                ("p50 ms", sample.milliseconds(50)), ("p99 ms", sample.milliseconds(99)),
                ("server CPU us/op", sample.serverCPU / operations * 1e6),
                ("client CPU us/op", sample.clientCPU / operations * 1e6), ("failures", Double(sample.failures)),
            ])
    }

    // MARK: Watches

    /// A burst of creations that many watches see.
    func watchBurst() async throws -> Figures {
        let clients = clients(plan.connections)
        let burst = try await watched("burst", count: plan.burst) { create in
            let next = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in clients {
                    group.addTask {
                        while true {
                            let number = next.take()
                            guard number < plan.burst else { return }
                            try await create(number, client)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        return burst.figures("\(plan.watches) watches, burst of \(plan.burst) creates")
    }

    /// The same at a fixed rate.
    func watchPaced() async throws -> Figures {
        let clients = clients(plan.connections)
        let rate = plan.pacedEvents / Double(plan.watches)
        let count = min(plan.burst, max(1, Int(rate * 10)))
        let start = world.now()
        let paced = try await watched("paced", count: count) { create in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    let meant = start + .seconds(1) + .nanoseconds(Int64(Double(number) / rate * 1e9))
                    if meant > world.now() { try await world.sleep(until: meant) }
                    group.addTask { try await create(number, clients[number % clients.count]) }
                }
                try await group.waitForAll()
            }
        }
        return paced.figures("\(plan.watches) watches, paced at \(Int(plan.pacedEvents)) events/s")
    }

    /// Runs `write` while all watches follow, and waits until each has seen all creations.
    private func watched(
        _ prefix: String, count: Int,
        _ write: @escaping @Sendable (@escaping @Sendable (Int, HTTPClient) async throws -> Void) async throws -> Void
    ) async throws -> Deliveries {
        let deliveries = Deliveries(prefix: "\(prefix)-", count: count, watches: plan.watches, world: world)
        let current = try await revision()
        let path = "\(Self.pods)?watch=1&resourceVersion=\(current)&timeoutSeconds=300"
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            for _ in 0..<plan.watches {
                group.addTask {
                    let reader = Deliveries.Reader(deliveries)
                    try await server.watch(path, opened: deliveries.opened) { reader.take($0) }
                }
            }
            while deliveries.openWatches < plan.watches { try await world.sleep(for: .milliseconds(20)) }
            try await world.sleep(for: .milliseconds(500))
            let cpu = server.cpuSeconds().reduce(0, +)
            deliveries.begin()
            try await write { number, client in
                deliveries.sending(number)
                try await create(.watched, "\(prefix)-\(number)", on: client)
            }
            try await group.waitForAll()
            deliveries.end(cpu: server.cpuSeconds().reduce(0, +) - cpu)
            return deliveries
        }
    }

    /// The revision of now, from the head of a list.
    private func revision() async throws -> String {
        let client = server.client()
        var text: [UInt8] = []
        let head = "\(Self.pods)?limit=1"
        let answer = try await client.send(
            .init(method: .get, scheme: "https", authority: "127.0.0.1:\(server.port)", path: head))
        text = try await answer.body.collect(limit: 1 << 20)
        // The list's own comes first in what both servers write.
        let parts = String(decoding: text, as: UTF8.self).split(separator: "\"resourceVersion\":\"", maxSplits: 1)
        guard parts.count == 2, let number = parts[1].split(separator: "\"").first else {
            throw BenchFailure(description: "\(server.kind.rawValue): a list has no resourceVersion")
        }
        return String(number)
    }

    /// What a watch that waits costs in memory.
    func idleWatches() async throws -> Figures {
        let path = "\(Self.pods)?watch=1&resourceVersion=\(try await revision())&timeoutSeconds=300"
        let before = server.resident().reduce(0) { $0 + $1.bytes }
        let open = Counter()
        let count = plan.idleWatches
        let after = try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            for _ in 0..<count {
                group.addTask {
                    try await server.watch(path) {
                        _ = open.take()
                    } _: { _ in
                        true
                    }
                }
            }
            let deadline = world.now() + .seconds(60)
            while open.taken < count, world.now() < deadline {
                try await world.sleep(for: .milliseconds(50))
            }
            guard open.taken == count else {
                throw BenchFailure(description: "only \(open.taken) of \(count) watches were opened")
            }
            try await world.sleep(for: .seconds(1))
            return server.resident().reduce(0) { $0 + $1.bytes }
        }
        return Figures(
            title: "\(count) idle watches, each with a connection",
            values: [("KiB a watch", (after - before) / 1024 / Double(count))])
    }
}
