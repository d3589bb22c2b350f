import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletPods
import MartletRuntime
import Testing

@testable import MartletNode

/// Answers 200 to `/up`, 302 to `/moved`, never to `/slow`, and 503 to all else.
private struct Patient: RequestHandler {
    let world: any World
    func handle(_ request: Request) async -> Response {
        switch request.head.path {
        case "/up": return Response(status: .ok, contentType: "text/plain", bytes: [])
        case "/moved": return Response(status: .found, contentType: "text/plain", bytes: [])
        case "/slow":
            try? await world.sleep(for: .seconds(60))
            fallthrough
        default: return Response(status: .serviceUnavailable, contentType: "text/plain", bytes: [])
        }
    }
}

@Suite("The node agent over loopback")
struct LoopbackTests {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func run(_ body: @escaping @Sendable (Reactor) async throws -> Void) async throws {
        let reactor = try Reactor()
        defer { reactor.shutdown() }
        try await Task(executorPreference: reactor.executor) { try await body(reactor) }.value
    }

    static func probe(_ path: String, port: UInt16) -> ProbeRun {
        let pod = Stage.pod(
            "p",
            container: ["readinessProbe": ["httpGet": ["port": .int(Int64(port)), "path": .string(path)]]])
        let probe = PodSpec(pod).containers[0].probes[.readiness]
        return ProbeRun(container: "web", id: "c", kind: .readiness, spec: probe!, address: "127.0.0.1")
    }

    @Test("An httpGet probe succeeds on 2xx and 3xx, and fails on 5xx, on silence and on refusal")
    func httpProbes() async throws {
        try await Self.run { reactor in
            let server = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: reactor, logger: Self.quiet, handler: Patient(world: reactor))
            guard case .ip(_, let port) = server.endpoint else { return }
            let prober = Prober(world: reactor, runtime: SimulatedRuntime(in: reactor))
            #expect(await prober.answer(Self.probe("/up", port: port)).0)
            #expect(await prober.answer(Self.probe("/moved", port: port)).0)
            let sick = await prober.answer(Self.probe("/sick", port: port))
            #expect(!sick.0 && sick.1 == "HTTP probe failed with statuscode: 503")
            let slow = await prober.answer(Self.probe("/slow", port: port))
            #expect(!slow.0 && slow.1 == "no answer within 1 s")
            await server.shutdown(grace: .zero)
            #expect(await prober.answer(Self.probe("/up", port: port)).0 == false)
        }
    }

    @Test("A served agent refuses who shows no certificate, and names its port in its node")
    func serves() async throws {
        let directory = try Files.makeTemporaryDirectory(prefix: "martlet-node")
        defer { try? Files.remove(directory) }
        try await Self.run { reactor in
            var configuration = NodeAgentConfiguration(
                nodeName: "n1", addresses: ["127.0.0.1"], rootDirectory: directory)
            configuration.endpoint = .ip("127.0.0.1", port: 0)
            let agent = try await NodeAgent.start(
                configuration, api: FakeAPI(in: reactor), runtime: SimulatedRuntime(in: reactor), in: reactor,
                logger: Self.quiet, disk: try .thread(), serves: true)
            let endpoint = try #require(await agent.endpoint)
            let client = HTTPClient(endpoint: endpoint, serverName: "", in: reactor)
            let head = HTTPRequest(method: .get, scheme: "http", authority: "n1", path: "/pods")
            #expect(try await client.send(head).head.status == .unauthorized)
            client.close()
            let port = await agent.nodeObject.port
            #expect(port != 0 && endpoint == .ip("127.0.0.1", port: port))
            await agent.stop(teardown: true)
        }
    }
}
