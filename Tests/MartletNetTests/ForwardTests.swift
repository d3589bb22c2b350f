import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Synchronization
import Testing

@testable import MartletNet

/// How long an ingress waits for pods, which pods it leaves alone, and who gets copies.
@Suite("On to the pods", .timeLimit(.minutes(1))) struct ForwardTests {
    /// An Ingress for `web.test` with these annotations of ingress-nginx.
    func annotate(_ net: TestNet, _ annotations: [String: String]) {
        var object = Objects.ingress("web", host: "web.test")
        object["metadata", "annotations"] = JSON(
            Dictionary(uniqueKeysWithValues: annotations.map { ("nginx.ingress.kubernetes.io/" + $0, $1) }))
        net.api.put(.ingress, object)
    }

    /// A Gateway, and an HTTPRoute for `web.test` with this rule, to the Service `web`.
    func route(_ net: TestNet, _ more: JSON) {
        net.api.put(
            .gatewayClass,
            ["metadata": ["name": "martlet"], "spec": ["controllerName": "martlet.io/gateway"]])
        net.api.put(
            .gateway,
            [
                "metadata": ["name": "gw", "namespace": "default"],
                "spec": [
                    "gatewayClassName": "martlet",
                    "listeners": [["name": "http", "port": 80, "protocol": "HTTP"]],
                ],
            ])
        let rule: JSON = ["backendRefs": [["name": "web", "port": 80]]]
        net.api.put(
            .httpRoute,
            [
                "metadata": ["name": "r", "namespace": "default"],
                "spec": [
                    "parentRefs": [["name": "gw"]], "hostnames": ["web.test"], "rules": [rule.merged(with: more)],
                ],
            ])
    }

    @Test("a pod that is slower than its route allows costs the client 504, and what it says too late is cut off")
    func timeouts() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                switch request.head.path {
                case "/late": try? await net.world.sleep(for: .seconds(20))
                case "/stalls":
                    return Response(
                        head: HTTPResponse(status: .ok),
                        body: .stream { writer in
                            try await writer.write([1])
                            try await net.world.sleep(for: .seconds(20))
                        })
                default: break
                }
                return text("quick")
            }
            net.serve("web.test", [pod.endpoint])
            annotate(net, ["proxy-read-timeout": "1"])
            try await net.eventually("web.test") { $0.code == 200 }
            try await net.until { try await net.ask("web.test", "/late").code == 504 }
            await #expect(throws: (any Error).self) { _ = try await net.ask("web.test", "/stalls") }
            #expect(try await net.ask("web.test").code == 200)
            net.api.remove(.ingress, namespace: "default", name: "web")
        }
    }

    @Test(
        "so does one that is slower than its HTTPRoute allows, for all of a request or for one try",
        arguments: ["request", "backendRequest"])
    func routeTimeouts(name: String) async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                if request.head.path == "/late" { try? await net.world.sleep(for: .seconds(20)) }
                return text("quick")
            }
            net.api.put(.service, Objects.service("web"))
            net.setPods(of: "web", [pod.endpoint])
            let timeouts: JSON = ["timeouts": [name: "300ms"]]
            route(net, timeouts)
            let client = net.plainClient(net.edge.endpoints[1])
            try await net.until { try await net.ask("web.test", "/", through: client).code == 200 }
            #expect(try await net.ask("web.test", "/late", through: client).code == 504)
            #expect(try await net.ask("web.test", "/", through: client).code == 200)
        }
    }

    @Test("a mirror gets a copy of each request, whole; a slow or dead one holds up nobody")
    func mirrors() async throws {
        try await TestNet.run { net in
            let seen = Mutex<[String]>([])
            let pod = try await net.backend { request in
                text("\(((try? await request.body.collect(limit: 1 << 24)) ?? []).count)")
            }
            let mirror = try await net.backend { request in
                let body = (try? await request.body.collect(limit: 1 << 24)) ?? []
                seen.withLock { $0.append("\(request.head.method) \(request.head.path ?? "") \(body.count)") }
                try? await net.world.sleep(for: .seconds(20))
                return text("nobody hears it", status: .internalServerError)
            }
            net.serve("web.test", [pod.endpoint])
            net.serve("mirror.test", [mirror.endpoint])
            net.api.remove(.ingress, namespace: "default", name: "web")
            route(
                net,
                [
                    "filters": [
                        [
                            "type": "RequestMirror",
                            "requestMirror": ["backendRef": ["name": "mirror", "port": 80]],
                        ]
                    ]
                ])
            let client = net.plainClient(net.edge.endpoints[1])
            try await net.until { try await net.ask("web.test", "/first", through: client).code == 200 }
            try await net.until { seen.withLock { $0.contains("GET /first 0") } }
            let left = Mutex(30)
            let body = RequestBody.stream {
                left.withLock { left in
                    left -= 1
                    return left >= 0 ? [UInt8](repeating: 1, count: 10_000) : nil
                }
            }
            let streamed = try await net.ask("web.test", "/a", .post, body: body, through: client)
            #expect(streamed.code == 200 && streamed.body == "300000")
            let whole = try await net.ask("web.test", "/b", .put, body: .bytes([1, 2]), through: client)
            #expect(whole.code == 200 && whole.body == "2")
            try await net.until { seen.withLock { $0.contains("POST /a 300000") && $0.contains("PUT /b 2") } }
            net.setPods(of: "mirror", [.ip(net.address, port: 1)])
            for _ in 0..<20 { #expect(try await net.ask("web.test", "/", through: client).code == 200) }
        }
    }

    @Test("a pod that fails five times in a row is left alone while another one is there")
    func outliers() async throws {
        try await TestNet.run { net in
            let failed = Mutex(0)
            let bad = try await net.backend { _ in
                failed.withLock { $0 += 1 }
                return text("bad", status: .internalServerError)
            }
            let good = try await net.backend { _ in text("good") }
            net.serve("web.test", [bad.endpoint, good.endpoint])
            try await net.until { try await net.ask("web.test").code == 200 }
            for _ in 0..<30 { _ = try await net.ask("web.test") }
            #expect(failed.withLock { $0 } == 5)
            // Alone, it is asked all the same.
            net.setPods(of: "web", [bad.endpoint])
            try await net.eventually("web.test") { $0.code == 500 }
        }
    }

    @Test("a client whose pod has gone is told of its new one where the route says so", arguments: [true, false])
    func stickyClients(changes: Bool) async throws {
        try await TestNet.run { net in
            let pods = [try await net.backend { _ in text("0") }, try await net.backend { _ in text("1") }]
            net.serve("web.test", pods.map(\.endpoint))
            annotate(net, ["affinity": "cookie", "session-cookie-change-on-failure": changes ? "true" : "false"])
            let first = try await net.eventually("web.test") { $0.head.headerFields[.setCookie] != nil }
            func cookie(_ answer: Answer) -> String? {
                answer.head.headerFields[.setCookie].map { String($0.prefix { $0 != ";" }) }
            }
            let own = try #require(cookie(first))
            let gone = try #require(Int(first.body))
            #expect(try await net.ask("web.test", "/", .get, [.cookie: own]).body == first.body)
            await pods[gone].shutdown(grace: .zero)
            let moved = try await net.ask("web.test", "/", .get, [.cookie: own])
            #expect(moved.code == 200 && moved.body == "\(1 - gone)")
            let other = cookie(moved)
            #expect((other != nil) == changes && other != own)
            if let other {
                let stays = try await net.ask("web.test", "/", .get, [.cookie: other])
                #expect(stays.body == moved.body && cookie(stays) == nil)
            }
        }
    }
}
