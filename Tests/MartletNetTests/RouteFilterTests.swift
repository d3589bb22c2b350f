import HTTPTypes
import MartletBase
import MartletHTTP
import MartletNet
import MartletObject
import Synchronization
import Testing

/// An app at `web.test` whose Ingress has these annotations.
private func serve(_ net: TestNet, _ annotations: [String: String], path: String = "/", type: String = "Prefix")
    async throws
{
    let pod = try await net.backend { request in
        var answer = text("\(request.head.path ?? "") \(request.head.authority ?? "")")
        answer.head.headerFields[.init("X-Pod")!] = "yes"
        return answer
    }
    net.serve("web.test", [pod.endpoint])
    var object = Objects.ingress("web", host: "web.test")
    object["metadata", "annotations"] = JSON(
        Dictionary(uniqueKeysWithValues: annotations.map { ("nginx.ingress.kubernetes.io/" + $0, $1) }))
    let backend: JSON = ["service": ["name": "web", "port": ["number": 80]]]
    object["spec", "rules"] = [
        [
            "host": "web.test",
            "http": ["paths": [["path": .string(path), "pathType": .string(type), "backend": backend]]],
        ]
    ]
    net.api.put(.ingress, object)
}

@Suite("What the ingress does on the way") struct RouteFilterTests {
    @Test("a rewrite, a Host for the pod, and a redirect of the root")
    func rewrites() async throws {
        try await TestNet.run { net in
            try await serve(
                net, ["rewrite-target": "/$2", "use-regex": "true", "upstream-vhost": "inner.test"],
                path: "/app(/|$)(.*)", type: "ImplementationSpecific")
            try await net.eventually("web.test", "/app") { $0.code == 200 && $0.body == "/ inner.test" }
            #expect(try await net.ask("web.test", "/app/a%20b?q=1").body == "/a%20b?q=1 inner.test")
            try await serve(net, ["app-root": "/start"])
            let root = try await net.eventually("web.test") { $0.code == 302 }
            #expect(root.head.headerFields[.location] == "https://web.test/start")
            #expect(try await net.ask("web.test", "/start").code == 200)
            try await serve(net, ["permanent-redirect": "https://new.test/"])
            let moved = try await net.eventually("web.test") { $0.code == 301 }
            #expect(moved.head.headerFields[.location] == "https://new.test/")
        }
    }

    @Test("a place among the requests at once is given back when the answer has ended, also one without a body")
    func placesAreGivenBack() async throws {
        try await TestNet.run { net in
            let (arrived, released) = (Signal(), Signal())
            let pod = try await net.backend { request in
                if request.head.path == "/held" {
                    arrived.set()
                    await released.wait()
                }
                return text("done")
            }
            net.serve("web.test", [pod.endpoint])
            var object = Objects.ingress("web", host: "web.test")
            object["metadata", "annotations"] = ["nginx.ingress.kubernetes.io/limit-connections": "1"]
            net.api.put(.ingress, object)
            try await net.eventually("web.test") { $0.code == 200 }
            async let held = net.ask("web.test", "/held")
            await arrived.wait()
            #expect(try await net.ask("web.test").code == 503, "there is one place, and it is taken")
            released.set()
            #expect(try await held.code == 200)
            for _ in 0..<3 {
                try await net.eventually("web.test") { $0.code == 200 }
                try await net.until { try await net.ask("web.test", "/", .head).code == 200 }
            }
            try await net.eventually("web.test") { $0.code == 200 }
        }
    }

    @Test("addresses that may not come get 403, whatever they say of themselves; a bad list closes the route")
    func access() async throws {
        try await TestNet.run { net in
            try await serve(net, ["whitelist-source-range": "192.0.2.0/24"])
            try await net.eventually("web.test") { $0.code == 403 }
            let lie: HTTPFields = [.init("X-Forwarded-For")!: "192.0.2.1", .init("X-Real-IP")!: "192.0.2.1"]
            #expect(try await net.ask("web.test", "/", .get, lie).code == 403)
            try await serve(net, ["whitelist-source-range": "127.0.0.0/8"])
            try await net.eventually("web.test") { $0.code == 200 }
            try await serve(net, ["denylist-source-range": "everybody"])
            try await net.eventually("web.test") { $0.code == 503 }
        }
    }

    @Test("names and passwords: apr1, SHA and crypt's forms let in, all else gets 401")
    func passwords() async throws {
        try await TestNet.run { net in
            // The password of all is "secret".
            let file = """
                ann:$apr1$abcdefgh$\(Self.apr1)
                bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
                cid:\(Self.sha512)
                dan:{NEW}x
                """
            net.api.put(
                .secret,
                [
                    "metadata": ["name": "users", "namespace": "default"],
                    "data": ["auth": .string(Base64.encode(Array(file.utf8)))],
                ])
            try await serve(net, ["auth-type": "basic", "auth-secret": "users", "auth-realm": "Staff"])
            let refused = try await net.eventually("web.test") { $0.code == 401 }
            #expect(refused.head.headerFields[.wwwAuthenticate] == "Basic realm=\"Staff\"")
            func code(_ name: String, _ password: String) async throws -> Int {
                let value = "Basic " + Base64.encode(Array("\(name):\(password)".utf8))
                return try await net.ask("web.test", "/", .get, [.authorization: value]).code
            }
            for name in ["ann", "bob", "cid"] {
                #expect(try await code(name, "secret") == 200, "\(name)")
                #expect(try await code(name, "secret") == 200, "\(name), from memory")
                #expect(try await code(name, "Secret") == 401, "\(name)")
            }
            for name in ["dan", "eve", ""] { #expect(try await code(name, "secret") == 401, "\(name)") }
        }
    }

    @Test("limits count before passwords are looked at")
    func limitsBeforePasswords() async throws {
        try await TestNet.run { net in
            net.api.put(
                .secret,
                [
                    "metadata": ["name": "users", "namespace": "default"],
                    "data": ["auth": .string(Base64.encode(Array("bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".utf8)))],
                ])
            let (arrived, leaves) = (Signal(), Signal())
            let pod = try await net.backend { _ in
                arrived.set()
                await leaves.wait()
                return text("served")
            }
            net.serve("web.test", [pod.endpoint])
            var object = Objects.ingress("web", host: "web.test")
            object["metadata", "annotations"] = JSON([
                "nginx.ingress.kubernetes.io/auth-type": "basic", "nginx.ingress.kubernetes.io/auth-secret": "users",
                "nginx.ingress.kubernetes.io/limit-connections": "1",
            ])
            net.api.put(.ingress, object)
            try await net.eventually("web.test") { $0.code == 401 }
            let good: HTTPFields = [.authorization: "Basic " + Base64.encode(Array("bob:secret".utf8))]
            async let inside = net.ask("web.test", "/", .get, good)
            await arrived.wait()
            #expect(try await net.ask("web.test").code == 503, "there is no place to be asked for a password")
            leaves.set()
            #expect(try await inside.code == 200)
        }
    }

    static let apr1 = "h9FWgUz3n9YxylKLlR5SQ/"
    static let sha512 =
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"

    @Test("a body that is too long gets 413, told beforehand or not")
    func bodies() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                text(String((try? await request.body.collect(limit: 1 << 20).count) ?? -1))
            }
            net.serve("web.test", [pod.endpoint])
            var object = Objects.ingress("web", host: "web.test")
            object["metadata", "annotations"] = ["nginx.ingress.kubernetes.io/proxy-body-size": "1k"]
            net.api.put(.ingress, object)
            try await net.eventually("web.test") { $0.code == 200 }
            let small = try await net.ask("web.test", "/", .post, body: .bytes([UInt8](repeating: 1, count: 1024)))
            #expect(small.body == "1024")
            let large = try await net.ask("web.test", "/", .post, body: .bytes([UInt8](repeating: 1, count: 1025)))
            #expect(large.code == 413)
            let pieces = Mutex([[UInt8](repeating: 1, count: 1024), [1]])
            let untold = try await net.ask(
                "web.test", "/", .post, body: .stream { pieces.withLock { $0.isEmpty ? nil : $0.removeFirst() } })
            #expect(untold.code == 413)
        }
    }

    @Test("other origins are answered before and at the request; a limit refuses what comes too often")
    func originsAndLimits() async throws {
        try await TestNet.run { net in
            try await serve(net, ["enable-cors": "true", "cors-allow-origin": "https://a.test"])
            try await net.eventually("web.test") {
                $0.head.headerFields[.accessControlAllowOrigin] == nil && $0.code == 200
            }
            let fields: HTTPFields = [.origin: "https://a.test", .accessControlRequestMethod: "PUT"]
            let before = try await net.ask("web.test", "/", .options, fields)
            #expect(before.code == 204 && before.head.headerFields[.accessControlAllowOrigin] == "https://a.test")
            let at = try await net.ask("web.test", "/", .get, [.origin: "https://a.test"])
            #expect(at.code == 200 && at.head.headerFields[.accessControlAllowOrigin] == "https://a.test")
            let foreign = try await net.ask("web.test", "/", .get, [.origin: "https://b.test"])
            #expect(foreign.code == 200 && foreign.head.headerFields[.accessControlAllowOrigin] == nil)
            try await serve(net, ["limit-rpm": "1", "limit-burst-multiplier": "1"])
            try await net.eventually("web.test") { $0.code == 503 }
        }
    }

    @Test("a client with the cookie stays with its pod, and a canary takes what its header says")
    func choices() async throws {
        try await TestNet.run { net in
            let pods = [try await net.backend { _ in text("one") }, try await net.backend { _ in text("two") }]
            net.serve("web.test", pods.map(\.endpoint))
            var object = Objects.ingress("web", host: "web.test")
            object["metadata", "annotations"] = ["nginx.ingress.kubernetes.io/affinity": "cookie"]
            net.api.put(.ingress, object)
            let first = try await net.eventually("web.test") { $0.head.headerFields[.setCookie] != nil }
            let cookie = String(try #require(first.head.headerFields[.setCookie]).prefix { $0 != ";" })
            #expect(cookie.hasPrefix("INGRESSCOOKIE="))
            for _ in 0..<6 {
                let next = try await net.ask("web.test", "/", .get, [.cookie: cookie])
                #expect(next.body == first.body && next.head.headerFields[.setCookie] == nil)
            }
            let canary = try await net.backend { _ in text("canary") }
            net.serve("new.test", [canary.endpoint])
            var beside = Objects.ingress("beside", host: "web.test")
            beside["metadata", "annotations"] = [
                "nginx.ingress.kubernetes.io/canary": "true",
                "nginx.ingress.kubernetes.io/canary-by-header": "X-Canary",
            ]
            let backend: JSON = ["service": ["name": "new", "port": ["number": 80]]]
            beside["spec", "rules"] = [
                ["host": "web.test", "http": ["paths": [["path": "/", "pathType": "Prefix", "backend": backend]]]]
            ]
            net.api.put(.ingress, beside)
            try await net.until {
                try await net.ask("web.test", "/", .get, [.init("X-Canary")!: "always"]).body == "canary"
            }
            #expect(try await net.ask("web.test").body != "canary")
        }
    }

    @Test("a route of a Gateway serves plain HTTP with its filters, and is told its status")
    func gateway() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                text(request.head.headerFields[.init("X-Added")!] ?? "none")
            }
            net.serve("web.test", [pod.endpoint])
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
            let changes: JSON = ["set": [["name": "X-Added", "value": "here"]]]
            net.api.put(
                .httpRoute,
                [
                    "metadata": ["name": "r", "namespace": "default"],
                    "spec": [
                        "parentRefs": [["name": "gw"]], "hostnames": ["gw.test"],
                        "rules": [
                            [
                                "filters": [["type": "RequestHeaderModifier", "requestHeaderModifier": changes]],
                                "backendRefs": [["name": "web", "port": 80]],
                            ]
                        ],
                    ],
                ])
            let client = net.plainClient(net.edge.endpoints[1])
            try await net.until { try await net.ask("gw.test", through: client).body == "here" }
            #expect(try await net.ask("gw.test").code == 404, "there is no listener for HTTPS")
            #expect(try await net.ask("web.test", through: client).code == 308, "an Ingress' hosts go to https")
            try await net.until {
                net.api.get(.httpRoute, namespace: "default", name: "r")?["status", "parents"]?[0]?["conditions"]?[0]?[
                    "status"] == "True"
            }
            try await net.until {
                net.api.get(.gateway, namespace: "default", name: "gw")?["status", "addresses"]?[0]?["value"]
                    == "192.0.2.1"
            }
        }
    }
}
