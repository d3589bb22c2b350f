import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletRoutes
import MartletSimulation
import Synchronization
import Testing

@testable import MartletNet

/// An edge and workers in a simulated network: a night passes in a moment.
@Suite("An edge asks its workers", .timeLimit(.minutes(1))) struct WorkerAskingTests {
    private static let logger: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    private func onTwoWorkers(
        _ story: @escaping @Sendable (SimWorld, [SimHost], [Endpoint], WorkerAsking) async throws -> Void
    ) throws {
        let world = SimWorld(seed: 7)
        try world.run {
            let hosts = [world.host(1), world.host(2)]
            let endpoints = (1...2).map { Endpoint.ip("192.0.2.\($0)", port: 31080) }
            var servers: [HTTPServer] = []
            for (host, endpoint) in zip(hosts, endpoints) {
                servers.append(
                    try await HTTPServer.start(
                        on: endpoint, in: host, logger: Self.logger, handler: Handler { _ in text("it answers") }))
            }
            let asking = WorkerAsking(in: world, logger: Self.logger)
            asking.keep(only: Set(endpoints))
            try await story(world, hosts, endpoints, asking)
            asking.stop()
            for server in servers { await server.shutdown(grace: .zero) }
        }
    }

    @Test("one that stands still is left out, and taken back when it goes on")
    func standsStill() throws {
        try onTwoWorkers { world, hosts, endpoints, asking in
            try await world.sleep(for: .seconds(60))
            #expect(asking.unwell.isEmpty && asking.health.good > 40 && asking.health.bad == 0)
            hosts[0].pause()
            try await world.sleep(for: .seconds(8))
            #expect(asking.unwell == [endpoints[0]])
            hosts[0].resume()
            try await world.sleep(for: .seconds(8))
            #expect(asking.unwell.isEmpty)
        }
    }

    @Test("so is one that is cut off, and one that lost power")
    func cutOff() throws {
        try onTwoWorkers { world, _, endpoints, asking in
            world.network.partition([[0, 1], [2]])
            try await world.sleep(for: .seconds(8))
            #expect(asking.unwell == [endpoints[1]])
            world.network.heal()
            try await world.sleep(for: .seconds(8))
            #expect(asking.unwell.isEmpty)
            world.network.crash(1)
            try await world.sleep(for: .seconds(8))
            #expect(asking.unwell == [endpoints[0]])
        }
    }

    @Test("one that is a worker no longer is not asked, and forgotten")
    func forgotten() throws {
        try onTwoWorkers { world, hosts, endpoints, asking in
            hosts[0].pause()
            try await world.sleep(for: .seconds(8))
            asking.keep(only: [endpoints[1]])
            #expect(asking.unwell.isEmpty)
            let bad = asking.health.bad
            try await world.sleep(for: .seconds(60))
            #expect(asking.health.bad == bad && asking.health.count == 1)
            hosts[0].resume()
        }
    }

    @Test("requests go to one that is left out only when no other answers")
    func lastOfAll() throws {
        let world = SimWorld(seed: 3)
        let pool = try EndpointPool(world)
        let workers = (1...3).map { Endpoint.ip("192.0.2.\($0)", port: 31080) }
        var plan = ForwardPlan(name: "workers")
        plan.last = [workers[0], workers[2]]
        for _ in 0..<6 {
            let order = pool.order(workers, plan, speaking: .http, atMost: 3).map(\.0)
            #expect(order.first == workers[1] && Set(order) == Set(workers))
        }
        plan.last = Set(workers)
        #expect(Set((0..<3).map { _ in pool.order(workers, plan, speaking: .http, atMost: 3)[0].0 }).count == 3)
    }

    @Test("an ingress answers for itself, and an edge that asks is no visitor")
    func ingress() async throws {
        try await TestNet.run { net in
            let client = net.plainClient(try #require(net.ingress.endpoint))
            try await net.until { try await net.ask(WorkerHealth.host, through: client).code == 200 }
            #expect(try await net.ask("nobody.test", through: client).code == 404)
            let lines = net.ingress.metrics.split(separator: "\n")
            #expect(lines.contains("martlet_ingress_request_duration_seconds_count 1"))
            try await net.until { net.edge.metrics.contains("martlet_edge_workers{state=\"healthy\"} 1") }
        }
    }
}
