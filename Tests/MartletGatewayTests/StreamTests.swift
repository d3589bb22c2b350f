import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletObject
import Synchronization
import Testing

@testable import MartletGateway

/// A node agent that says what it was asked, then sends back what it is sent; it refuses paths with `stopped`.
private struct EchoingNode: RequestHandler {
    func handle(_ request: Request) async -> Response {
        let path = request.head.path ?? ""
        if path.contains("/stopped") {
            let text = "container not found (\"stopped\")"
            return Response(status: .internalServerError, contentType: "text/plain", bytes: Array(text.utf8))
        }
        var head = HTTPResponse(status: .switchingProtocols)
        head.headerFields[.upgrade] = request.head.headerFields[.upgrade]
        head.headerFields[.streamProtocolVersion] = request.head.headerFields[values: .streamProtocolVersion].last
        let greeting = "\(request.head.method.rawValue) \(path)\n"
        return Response(
            head: head,
            body: .upgrade { stream in
                try? await stream.write(Array(greeting.utf8))
                while let bytes = try? await stream.read(atMost: 4096), !bytes.isEmpty {
                    try? await stream.write(bytes)
                }
            })
    }
}

@Suite struct StreamTests {
    /// A gateway that serves over a socket, with the pod `a` on a node that echoes, and `b` on none.
    private static func run(
        _ body: @escaping @Sendable (_ api: TestAPI, _ client: HTTPClient) async throws -> Void
    ) async throws {
        try await TestAPI.run { api in
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            let node = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: EchoingNode())
            guard case .ip(_, let port) = node.endpoint else { return }
            var configuration = GatewayConfiguration()
            configuration.nodeClient = { [world = api.world] address, port in
                HTTPClient(endpoint: .ip(address, port: port), serverName: address, in: world)
            }
            let gateway = Gateway(replica: api.replica, configuration: configuration, in: api.world, logger: logger)
            let door = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, logger: logger, handler: AsAdmin(gateway: gateway))
            _ = await api.post(
                "/api/v1/nodes",
                [
                    "metadata": ["name": "n1"],
                    "status": [
                        "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
                        "daemonEndpoints": ["kubeletEndpoint": ["Port": .int(Int64(port))]],
                    ],
                ])
            _ = await api.post(Paths.pods, Samples.pod("a", containers: ["main", "stopped"]))
            _ = await api.post("\(Paths.pods)/a/binding", ["target": ["kind": "Node", "name": "n1"]])
            _ = await api.post(Paths.pods, Samples.pod("b"))
            let client = HTTPClient(endpoint: door.endpoint, serverName: "test", in: api.world)
            try await body(TestAPI(world: api.world, replica: api.replica, gateway: gateway), client)
            client.close()
            await door.shutdown(grace: .zero)
            await node.shutdown(grace: .zero)
            #expect(gateway.admittance.inFlight.longRunning == 0)
        }
    }

    private struct AsAdmin: RequestHandler {
        let gateway: Gateway
        func handle(_ request: Request) async -> Response { await gateway.serve(request, as: TestAPI.admin) }
    }

    private static func head(_ method: HTTPRequest.Method, _ path: String) -> HTTPRequest {
        var head = HTTPRequest(method: method, scheme: "http", authority: "test", path: path)
        head.headerFields[.connection] = "Upgrade"
        head.headerFields[.upgrade] = "SPDY/3.1"
        for version in ["v4.channel.k8s.io", "v3.channel.k8s.io"] {
            head.headerFields.append(HTTPField(name: .streamProtocolVersion, value: version))
        }
        head.headerFields[.authorization] = "Bearer secret"
        return head
    }

    private static func line(_ stream: any ByteStream) async throws -> String {
        var bytes: [UInt8] = []
        while bytes.last != UInt8(ascii: "\n") {
            let more = try await stream.read(atMost: 1)
            if more.isEmpty { break }
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(.timeLimit(.minutes(1))) func bytesPassBetweenClientAndNode() async throws {
        try await Self.run { _, client in
            let answer = try await client.send(
                Self.head(
                    .post, "\(Paths.pods)/a/exec?container=main&command=sh&command=-c&command=a%20b&stdin=true&tty=0"))
            #expect(answer.head.status == .switchingProtocols)
            #expect(answer.head.headerFields[.streamProtocolVersion] == "v3.channel.k8s.io")
            let stream = try #require(answer.upgraded)
            #expect(
                try await Self.line(stream)
                    == "POST /exec/default/a/main?input=1&command=sh&command=-c&command=a%20b\n")
            let megabyte = Array(repeating: UInt8(7), count: 1 << 20)
            async let back = {
                var count = 0
                while count < megabyte.count { count += try await stream.read(atMost: 65_536).count }
                return count
            }()
            try await stream.write(megabyte)
            #expect(try await back == megabyte.count)
            // The end of one side reaches the other.
            await stream.closeWrite()
            #expect(try await stream.read(atMost: 10).isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(1))) func portsAndGetAreTheNodesToo() async throws {
        try await Self.run { api, client in
            for (path, text) in [
                ("portforward?ports=80,81&ports=90", "GET /portForward/default/a?port=80%2C81%2C90\n"),
                ("portforward", "GET /portForward/default/a\n"),
                ("attach?container=main&stdout=true", "GET /attach/default/a/main?output=1\n"),
            ] {
                let answer = try await client.send(Self.head(.get, "\(Paths.pods)/a/\(path)"))
                let stream = try #require(answer.upgraded)
                #expect(try await Self.line(stream) == text)
                stream.close()
            }
            // The gateway has to see their ends.
            while true {
                let answer = try await client.send(Self.head(.get, "\(Paths.pods)/b/exec?command=a"))
                if answer.head.status == .badRequest { break }
            }
            try await api.world.sleep(for: .milliseconds(100))
        }
    }

    @Test(.timeLimit(.minutes(1))) func refusalsComeBeforeTheUpgrade() async throws {
        try await Self.run { api, client in
            for (path, code, message) in [
                (
                    "a/exec?command=a", 400,
                    "a container name must be specified for pod a, choose one of: [main stopped]"
                ),
                ("a/exec?command=a&container=x", 400, "container x is not valid for pod a"),
                ("b/exec?command=a", 400, "pod b does not have a host assigned"),
                ("c/exec?command=a", 404, "pods \"c\" not found"), ("c/portforward", 404, "pods \"c\" not found"),
            ] {
                let answer = try await client.send(Self.head(.post, "\(Paths.pods)/\(path)"))
                let status = try JSON(parsing: await answer.body.collect(limit: 4096))
                #expect(answer.head.status.code == code && status["message"]?.string == message)
            }
            let plain = await api.send(.post, "\(Paths.pods)/a/exec?command=a&container=main")
            #expect(plain.code == 400 && plain.message == "Upgrade request required")
            #expect(await api.send(.put, "\(Paths.pods)/a/exec").code == 405)
            // The node agent's own refusal comes in a Status: of other bodies kubectl shows nothing.
            let stopped = try await client.send(Self.head(.post, "\(Paths.pods)/a/exec?command=a&container=stopped"))
            #expect(stopped.head.status == .internalServerError)
            let status = try JSON(parsing: await stopped.body.collect(limit: 4096))
            #expect(status.kind == "Status" && status["reason"] == "InternalError" && status["code"] == 500)
            #expect(status["message"] == "container not found (\"stopped\")")
        }
    }

    @Test(.timeLimit(.minutes(1))) func whoMayNotCreateMayNotOpenAWebSocket() async throws {
        try await Self.run { api, _ in
            let rbac = "/apis/rbac.authorization.k8s.io/v1"
            _ = await api.post(
                "\(rbac)/clusterroles",
                [
                    "metadata": ["name": "reader"],
                    "rules": [["apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]]],
                ])
            _ = await api.post(
                "\(rbac)/clusterrolebindings",
                [
                    "metadata": ["name": "reader"],
                    "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"],
                    "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"]],
                ])
            let reader = Identity(user: "reader", groups: ["system:authenticated"])
            let answer = await api.send(.get, "\(Paths.pods)/a/exec?command=a&container=main", as: reader)
            #expect(answer.code == 403)
            #expect(answer.message.contains("cannot create resource \"pods/exec\""))
        }
    }
}
