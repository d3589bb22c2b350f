import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// A node agent that says back what it is asked.
private struct EchoingNode: RequestHandler {
    func handle(_ request: Request) async -> Response {
        let path = request.head.path ?? ""
        if path.contains("/waiting") {
            let text = "container \"waiting\" in pod \"a\" is waiting to start: ContainerCreating"
            return Response(status: .badRequest, contentType: "text/plain", bytes: Array(text.utf8))
        }
        return Response(
            head: HTTPResponse(status: .ok),
            body: .stream { writer in
                try await writer.write(Array("first \(path)\n".utf8))
                try await writer.write(Array("second\n".utf8))
            })
    }
}

@Suite struct LogTests {
    @Test func whatIsAskedOfALogIsChecked() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a", containers: ["main"]))
            let refusals = [
                ("tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
                ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
                ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
                (
                    "sinceSeconds=0&sinceTime=2026-01-01T00:00:00Z", 422,
                    ": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
                ),
                (
                    "stream=Both", 422,
                    "stream: Unsupported value: \"Both\": supported values: \"All\", \"Stderr\", \"Stdout\""
                ),
                (
                    "stream=Stderr&tailLines=1", 422,
                    ": Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
                ),
                ("tailLines=x", 400, "tailLines"), ("sinceTime=yesterday", 400, "sinceTime"),
            ]
            for (query, code, text) in refusals {
                let answer = await api.get("\(Paths.pods)/a/log?\(query)")
                #expect(answer.code == code, "\(query)")
                #expect(answer.message.contains(text), "\(query): \(answer.message)")
                if code == 422 { #expect(answer.message == "PodLogOptions \"a\" is invalid: \(text)") }
            }
            // It runs nowhere yet.
            #expect(await api.get("\(Paths.pods)/a/log").code == 204)
        }
    }

    /// The messages of a log over a WebSocket, those without text left out; how it ended.
    private static func messages(
        _ api: TestAPI, _ client: HTTPClient, offering protocols: [String]
    ) async throws -> (subprotocol: String?, texts: [String], closed: Bool) {
        let head = WebSocketHandshake.request(
            path: "\(Paths.pods)/a/log?container=main", authority: "test", protocols: protocols,
            key: Array(repeating: 7, count: 16))
        let answer = try await client.send(head)
        guard let stream = answer.upgraded else { return (nil, ["\(answer.head.status.code)"], false) }
        let socket = WebSocketStream(stream, role: .client, in: api.world)
        var texts: [String] = []
        var message: [UInt8] = []
        var closed = false
        while true {
            guard let event = try await socket.receive() else {
                closed = true
                break
            }
            guard case .piece(let bytes, _, _, let isLast) = event else { continue }
            message += bytes
            if !isLast { continue }
            if !message.isEmpty { texts.append(String(decoding: message, as: UTF8.self)) }
            message = []
        }
        return (answer.head.headerFields[.secWebSocketProtocol], texts, closed)
    }

    @Test(.timeLimit(.minutes(1))) func aLogComesInMessagesOfAWebSocket() async throws {
        try await TestAPI.run { api in
            try await Self.withNode(api) { logs, _ in
                let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                let door = try await HTTPServer.start(
                    on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger,
                    handler: AsAdmin(gateway: logs.gateway))
                let client = HTTPClient(endpoint: door.endpoint, serverName: "test", in: api.world)
                let lines = ["first /containerLogs/default/a/main\n", "second\n"]
                let plain = try await Self.messages(api, client, offering: [])
                #expect(plain.subprotocol == nil && plain.texts == lines && plain.closed)
                let binary = try await Self.messages(api, client, offering: ["other", "binary.k8s.io"])
                #expect(binary.subprotocol == "binary.k8s.io" && binary.texts == lines)
                let base64 = try await Self.messages(api, client, offering: ["base64.binary.k8s.io"])
                #expect(base64.texts == lines.map { Base64.encode(Array($0.utf8)) })
                #expect(try await Self.messages(api, client, offering: ["other"]).texts == ["400"])
                client.close()
                await door.shutdown(grace: .zero)
            }
        }
    }

    private struct AsAdmin: RequestHandler {
        let gateway: Gateway
        func handle(_ request: Request) async -> Response { await gateway.serve(request, as: TestAPI.admin) }
    }

    /// A gateway with the pod `a` on a node that echoes.
    private static func withNode(
        _ api: TestAPI, _ body: (_ logs: TestAPI, _ node: HTTPServer) async throws -> Void
    ) async throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let node = try await HTTPServer.start(
            on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: EchoingNode())
        guard case .ip(_, let port) = node.endpoint else { return }
        var configuration = GatewayConfiguration()
        configuration.nodeClient = { [world = api.world] address, port in
            HTTPClient(endpoint: .ip(address, port: port), serverName: address, in: world)
        }
        let gateway = Gateway(replica: api.replica, configuration: configuration, in: api.world, logger: logger)
        _ = await api.post(
            "/api/v1/nodes",
            [
                "metadata": ["name": "n1"],
                "status": [
                    "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
                    "daemonEndpoints": ["kubeletEndpoint": ["Port": .int(Int64(port))]],
                ],
            ])
        _ = await api.post(Paths.pods, Samples.pod("a", containers: ["main", "waiting"]))
        _ = await api.post("\(Paths.pods)/a/binding", ["target": ["kind": "Node", "name": "n1"]])
        try await body(TestAPI(world: api.world, replica: api.replica, gateway: gateway), node)
        await node.shutdown(grace: .seconds(1))
        #expect(gateway.admittance.inFlight.longRunning == 0)
    }

    @Test(.timeLimit(.minutes(1))) func aLogStreamsFromThePodsNode() async throws {
        try await TestAPI.run { api in
            try await Self.withNode(api) { logs, node in
                let log = await logs.get("\(Paths.pods)/a/log?container=main&follow=true&tailLines=5")
                #expect(log.code == 200)
                #expect(log.text == "first /containerLogs/default/a/main?follow=true&tailLines=5\nsecond\n")
                let waiting = await logs.get("\(Paths.pods)/a/log?container=waiting")
                #expect(waiting.code == 400)
                #expect(
                    waiting.message == "container \"waiting\" in pod \"a\" is waiting to start: ContainerCreating")
                let full = await logs.get(
                    "\(Paths.pods)/a/log?container=main&follow=false&previous&timestamps=1&limitBytes=9"
                        + "&sinceTime=2026-01-01T00:00:00%2B01:00&stream=Stderr&insecureSkipTLSVerifyBackend=true")
                #expect(
                    full.text == "first /containerLogs/default/a/main?previous=true&timestamps=true&limitBytes=9"
                        + "&sinceTime=2026-01-01T00%3A00%3A00%2B01%3A00&stream=Stderr\nsecond\n")
                await node.shutdown(grace: .seconds(1))
                let unreachable = await logs.get("\(Paths.pods)/a/log?container=main")
                #expect(unreachable.code == 500)
            }
        }
    }
}
