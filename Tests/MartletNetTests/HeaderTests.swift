import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import Testing

/// The fields a pod received, one `name: value` a line, sorted.
private func echo(_ request: Request) -> Response {
    text(request.head.headerFields.map { "\($0.name.canonicalName): \($0.value)" }.sorted().joined(separator: "\n"))
}

private func fields(_ pairs: KeyValuePairs<String, String>) -> HTTPFields {
    var fields = HTTPFields()
    for (name, value) in pairs {
        if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
    }
    return fields
}

@Suite("Header fields through the proxy") struct HeaderTests {
    static let spoofed = fields([
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Port": "1", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6",
        "X-Forwarded-Scheme": "gopher", "X-Scheme": "gopher", "X_Forwarded_For": "6.6.6.6", "X.Real.IP": "6.6.6.6",
    ])

    @Test("what a client says of itself is replaced by what the edge sees")
    func spoofed() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { echo($0) }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let lines = try await net.ask("web.test", "/", .get, Self.spoofed).body.split(separator: "\n")
            // Each once, and nothing of what the client wrote beside it.
            #expect(
                lines.filter { $0.contains("forwarded") || $0.contains("scheme") || $0.contains("real") } == [
                    "x-forwarded-for: 127.0.0.1", "x-forwarded-host: web.test", "x-forwarded-port: 443",
                    "x-forwarded-proto: https", "x-forwarded-scheme: https", "x-real-ip: 127.0.0.1", "x-scheme: https",
                ])
            #expect(!lines.contains { $0.contains("6.6.6.6") || $0.contains("evil") || $0.contains("gopher") })
            #expect(lines.contains { $0.hasPrefix("x-request-id: ") && $0.count == 14 + 32 })
        }
    }

    @Test("an ingress believes an edge, and nobody else", arguments: [true, false])
    func trust(isEdge: Bool) async throws {
        try await TestNet.run(trustsEdge: isEdge) { net in
            let pod = try await net.backend { echo($0) }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let client = net.plainClient(try #require(net.ingress.endpoint))
            let body = try await net.ask("web.test", "/", .get, Self.spoofed, through: client).body
            #expect(body.contains("x-forwarded-for: 6.6.6.6") == isEdge)
            #expect(body.contains("x-forwarded-proto: http\n") == !isEdge)
            #expect(body.contains("x-scheme: gopher") == isEdge && !body.contains("_"))
            #expect(body.contains("for=6.6.6.6") == isEdge)
        }
    }

    @Test("behind a load balancer the client is whom its PROXY header names, and says nothing of itself")
    func balancer() async throws {
        // The load balancer has the address that clients of this test have; the ingress takes it for the edge.
        let everybody = [try #require(IPRange("127.0.0.1/32"))]
        let header = Array("PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n".utf8)
        for trustsEdge in [true, false] {
            try await TestNet.run(trustsEdge: trustsEdge, balancers: everybody) { net in
                let pod = try await net.backend { echo($0) }
                net.serve("web.test", [pod.endpoint])
                // The edge asks itself as a load balancer asks after its health.
                try await net.until { (try? await net.edge.ask()) != nil }
                if trustsEdge {
                    let client = HTTPClient(
                        endpoint: net.edge.endpoints[0], serverName: TestNet.fallbackName,
                        in: Said(world: net.world, first: header), tls: net.tls)
                    var body = ""
                    try await net.until {
                        let answer = try await net.ask("web.test", "/", .get, Self.spoofed, through: client)
                        body = answer.body
                        return answer.code == 200
                    }
                    #expect(body.contains("x-forwarded-for: 192.0.2.7\n") && !body.contains("6.6.6.6"))
                    let mute = try? await net.ask("web.test")
                    #expect(mute == nil)
                } else {
                    let client = HTTPClient(
                        endpoint: try #require(net.ingress.endpoint), serverName: "",
                        in: Said(world: net.world, first: header))
                    var body = ""
                    try await net.until {
                        let answer = try await net.ask("web.test", "/", .get, Self.spoofed, through: client)
                        body = answer.body
                        return answer.code == 200
                    }
                    #expect(body.contains("x-real-ip: 192.0.2.7\n") && !body.contains("6.6.6.6"))
                }
            }
        }
    }

    @Test(
        "pods whose Ingress asks for it hear by the PROXY protocol who the client is, one connection a request",
        arguments: ["v1", "v2"], [true, false])
    func prefaceToPods(version: String, isHTTP2: Bool) async throws {
        try await TestNet.run { net in
            let pod = try await net.backend(preface: true) { request in
                text("\(request.peer.endpoint.map { "\($0)" } ?? "nobody") \(request.peer.isHTTP2)")
            }
            var ingress = Objects.ingress("web", host: "web.test")
            var annotations: JSON = ["martlet.io/send-proxy-protocol": .string(version)]
            if isHTTP2 { annotations["nginx.ingress.kubernetes.io/backend-protocol"] = "GRPC" }
            ingress["metadata", "annotations"] = annotations
            net.serve("web.test", [pod.endpoint])
            net.api.put(.ingress, ingress)
            let client = net.plainClient(try #require(net.ingress.endpoint))
            // What an edge says of its client; the client's port is not among it.
            for address in ["192.0.2.7", "2001:db8::7"] {
                let said = fields(["X-Real-IP": address, "X-Forwarded-Proto": "https"])
                var answer = ""
                try await net.until {
                    let heard = try await net.ask("web.test", "/", .get, said, through: client)
                    answer = heard.body
                    return heard.code == 200
                }
                #expect(answer == "\(Endpoint.ip(address, port: 0)) \(isHTTP2)")
            }
        }
    }

    @Test("an ingress believes the edges of masters, as soon as their Service names them")
    func masters() async throws {
        try await TestNet.run(trustsEdge: false) { net in
            let pod = try await net.backend { echo($0) }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let client = net.plainClient(try #require(net.ingress.endpoint))
            func isBelieved() async throws -> Bool {
                try await net.ask("web.test", "/", .get, Self.spoofed, through: client).body
                    .contains("x-forwarded-for: 6.6.6.6")
            }
            net.api.put(.endpointSlice, Objects.slice("other", 0, .ip("127.0.0.1", port: 6443)))
            net.serve("told.test", [pod.endpoint])
            try await net.eventually("told.test") { $0.code == 200 }
            #expect(try await !isBelieved())
            net.api.put(.endpointSlice, Objects.slice("kubernetes", 0, .ip("127.0.0.1", port: 6443)))
            try await net.until { try await isBelieved() }
        }
    }

    @Test("what belongs to one connection stays there, and Proxy goes nowhere")
    func hopByHop() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                var response = echo(request)
                response.head.headerFields = fields([
                    "X-Kept": "1", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "x", "Set-Cookie": "a=1",
                    "Set-Cookie": "b=2",
                ])
                return response
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let sent = fields([
                "Connection": "X-Mine, keep-alive", "X-Mine": "1", "Connection": "x-also, Upgrade", "X-Also": "1",
                "TE": "trailers", "Proxy-Authorization": "secret", "Proxy-Connection": "close", "Proxy": "http://evil",
                "Trailer": "x", "Expect": "200-maybe", "Upgrade": "h2c", "Authorization": "kept", "Cookie": "c=3",
            ])
            let answer = try await net.ask("web.test", "/", .get, sent)
            let names = Set(answer.body.split(separator: "\n").map { $0.prefix { $0 != ":" } })
            let gone: Set<Substring> = [
                "connection", "te", "proxy-authorization", "proxy-connection", "proxy", "trailer", "upgrade",
                "x-mine", "x-also", "expect",
            ]
            #expect(names.isDisjoint(with: gone))
            #expect(names.isSuperset(of: ["authorization", "cookie"]))
            #expect(answer.head.headerFields[HTTPField.Name("X-Kept")!] == "1")
            #expect(answer.head.headerFields[values: .setCookie] == ["a=1", "b=2"])
            #expect(answer.head.headerFields[.proxyAuthenticate] == nil)
        }
    }

    @Test("HEAD, 204 and 304 have no body, and the connection goes on to the next request")
    func bodiless() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                switch request.head.path {
                case "/none": return Response(head: HTTPResponse(status: .noContent))
                case "/same":
                    var head = HTTPResponse(status: .notModified)
                    head.headerFields[.eTag] = "\"e\""
                    return Response(head: head)
                case "/stream":
                    return Response(
                        head: HTTPResponse(status: .ok),
                        body: .stream { writer in try await writer.write(Array("streamed".utf8)) })
                default: return text("hello")
                }
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let client = net.client()
            for _ in 0..<2 {
                let head = try await net.ask("web.test", "/", .head, through: client)
                #expect(head.code == 200 && head.body.isEmpty && head.head.headerFields[.contentLength] == "5")
                let unsized = try await net.ask("web.test", "/stream", .head, through: client)
                #expect(unsized.code == 200 && unsized.head.headerFields[.contentLength] == nil)
                let none = try await net.ask("web.test", "/none", through: client)
                #expect(none.code == 204 && none.body.isEmpty)
                let same = try await net.ask("web.test", "/same", through: client)
                #expect(same.code == 304 && same.head.headerFields[.eTag] == "\"e\"")
                #expect(try await net.ask("web.test", "/stream", through: client).body == "streamed")
            }
        }
    }
}

/// A world whose connections begin with some bytes.
private struct Said: WorldInFront {
    let world: any World
    let first: [UInt8]

    func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        let stream = try await world.connect(to: endpoint)
        try await stream.write(first)
        return stream
    }
}
