import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletObject
import Testing

@testable import MartletGateway

/// Watches as browsers ask for them.
@Suite struct WebSocketWatchTests {
    private struct AsAdmin: RequestHandler {
        let gateway: Gateway
        func handle(_ request: Request) async -> Response { await gateway.serve(request, as: TestAPI.admin) }
    }

    /// The next event that the socket brings: each is one message of text.
    private static func event(from socket: WebSocketStream) async throws -> JSON? {
        var message: [UInt8] = []
        while let event = try await socket.receive() {
            guard case .piece(let bytes, let isText, _, let isLast) = event else { continue }
            #expect(isText)
            message += bytes
            if isLast { return try JSON(parsing: message) }
        }
        return nil
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ([], nil), (["v4.channel.k8s.io", "other"], "v4.channel.k8s.io"),
            (["base64url.bearer.authorization.k8s.io.dG9rZW4", "binary.k8s.io"], "binary.k8s.io"),
        ] as [([String], String?)])
    func eachEventIsAMessage(offered: [String], chosen: String?) async throws {
        try await TestAPI.run { api in
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let door = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: AsAdmin(gateway: api.gateway))
            let client = HTTPClient(endpoint: door.endpoint, serverName: "test", in: api.world)
            _ = await api.post(Paths.configMaps, Samples.configMap("a"))
            let head = WebSocketHandshake.request(
                path: "\(Paths.configMaps)?watch=1", authority: "test", protocols: offered,
                key: Array(repeating: 7, count: 16))
            let answer = try await client.send(head)
            #expect(answer.head.headerFields[.secWebSocketProtocol] == chosen)
            let socket = WebSocketStream(try #require(answer.upgraded), role: .client, in: api.world)
            let first = try #require(try await Self.event(from: socket))
            #expect(first["type"] == "ADDED" && first["object"]?.name == "a")
            _ = await api.delete("\(Paths.configMaps)/a")
            let second = try #require(try await Self.event(from: socket))
            #expect(second["type"] == "DELETED" && second["object"]?.name == "a")
            await socket.close(code: 1000, reason: "")
            while api.gateway.admittance.inFlight.longRunning > 0 { try await api.world.sleep(for: .milliseconds(5)) }
            // What is refused is refused before.
            let wrong = try await client.send(
                WebSocketHandshake.request(
                    path: "\(Paths.configMaps)?watch=1&resourceVersion=x", authority: "test", protocols: offered,
                    key: Array(repeating: 7, count: 16)))
            #expect(wrong.upgraded == nil && wrong.head.status.code == 400)
            client.close()
            await door.shutdown(grace: .zero)
        }
    }

    @Test(.timeLimit(.minutes(1))) func itsEndIsToldOfByACloseMessage() async throws {
        try await TestAPI.run { api in
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let door = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: AsAdmin(gateway: api.gateway))
            let client = HTTPClient(endpoint: door.endpoint, serverName: "test", in: api.world)
            let head = WebSocketHandshake.request(
                path: "\(Paths.configMaps)?watch=1&timeoutSeconds=1", authority: "test", protocols: [],
                key: Array(repeating: 7, count: 16))
            let answer = try await client.send(head)
            let socket = WebSocketStream(try #require(answer.upgraded), role: .client, in: api.world)
            #expect(try await Self.event(from: socket) == nil)
            client.close()
            await door.shutdown(grace: .zero)
        }
    }
}
