internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletRoutes
internal import Synchronization

/// Asks the ingress of each worker whether it serves, each time over a new connection as a request might need one: else
/// clients pay for what an edge learns of workers.
final class WorkerAsking: Sendable {
    private struct State {
        var health = WorkerHealth()
        var askers: [Endpoint: Task<Void, Never>] = [:]
        var isOver = false
    }
    private let state = Mutex(State())
    private let world: any World
    private let logger: Logger

    init(in world: any World, logger: Logger) {
        self.world = world
        self.logger = logger
    }

    /// What is known now.
    var health: WorkerHealth { state.withLock { $0.health } }

    /// Those that do not answer.
    var unwell: Set<Endpoint> { state.withLock { $0.health.unwell } }

    /// Asks these and no others from now on.
    func keep(only workers: Set<Endpoint>) {
        let gone: [Endpoint: Task<Void, Never>] = state.withLock { state in
            if state.isOver { return [:] }
            state.health.keep(only: workers)
            let gone = state.askers.filter { !workers.contains($0.key) }
            for endpoint in gone.keys { state.askers[endpoint] = nil }
            for endpoint in workers where state.askers[endpoint] == nil {
                state.askers[endpoint] = world.spawn { await self.goOnAsking(endpoint) }
            }
            return gone
        }
        for task in gone.values { task.cancel() }
    }

    /// Asks nobody any more.
    func stop() {
        keep(only: [])
        state.withLock { $0.isOver = true }
    }

    private func goOnAsking(_ endpoint: Endpoint) async {
        let client = HTTPClient(
            endpoint: endpoint, serverName: WorkerHealth.host,
            in: ConnectLimit(world: world, limit: WorkerHealth.patience), maxIdle: 0)
        while true {
            let pause = health.pause(before: endpoint, draw: world.random())
            guard (try? await world.sleep(for: pause)) != nil, !Task.isCancelled else { return }
            let isWell = await Self.answers(client, in: world)
            if Task.isCancelled { return }
            let change = state.withLock { $0.health.judge(endpoint, answered: isWell) }
            switch change {
            case .leftOut:
                logger.warning(
                    "a worker's ingress does not answer; others go first", metadata: ["ingress": "\(endpoint)"])
            case .takenBack:
                logger.notice("a worker's ingress answers again", metadata: ["ingress": "\(endpoint)"])
            case nil: break
            }
        }
    }

    /// Whether an ingress serves. One that cannot says so with 503; one of before knows no such host, but it lives.
    private static func answers(_ client: HTTPClient, in world: any World) async -> Bool {
        do {
            return try await world.limited(to: WorkerHealth.patience, "the ingress' answer") {
                let answer = try await client.send(
                    HTTPRequest(method: .get, scheme: "http", authority: WorkerHealth.host, path: "/"))
                _ = try await answer.body.collect(limit: 4_096)
                return answer.head.status.code < 500
            }
        } catch { return false }
    }
}
