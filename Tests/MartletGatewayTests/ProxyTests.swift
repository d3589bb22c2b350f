import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletPKI
import Testing

@testable import MartletGateway

@Suite struct ProxyTests {
    @Test func aNameMayHaveASchemeAndAPort() {
        #expect(ProxyTarget("web")?.port == "")
        #expect(ProxyTarget("web:80")?.port == "80")
        let whole = ProxyTarget("https:web:metrics")
        #expect(whole?.scheme == "https" && whole?.name == "web" && whole?.port == "metrics")
        #expect(ProxyTarget(":web:")?.name == "web")
        for name in ["ftp:web:80", "a:b:c:d", "", ":80"] { #expect(ProxyTarget(name) == nil, "\(name)") }
    }

    @Test func whatIsOneConnectionsOrProvesWhoAskedDoesNotGoOn() {
        func onward(_ fields: HTTPFields) -> HTTPFields {
            var head = HTTPRequest(method: .get, scheme: "https", authority: "api", path: "/x")
            head.headerFields = fields
            return Proxy.onward(head, Peer()).headerFields
        }
        let named = onward([
            .connection: "X-Mine, close", .init("X-Mine")!: "1", .authorization: "Bearer t", .accept: "a",
        ])
        #expect(named[.init("X-Mine")!] == nil && named[.connection] == nil && named[.authorization] == nil)
        #expect(named[.accept] == "a")
        let socket = onward([.connection: "Upgrade", .upgrade: "websocket"])
        #expect(socket[.connection] == "Upgrade" && socket[.upgrade] == "websocket")
        // Behind HTTP/2 nobody would look at the requests any more.
        #expect(onward([.connection: "Upgrade, HTTP2-Settings", .upgrade: "h2c"])[.upgrade] == nil)
    }

    @Test func whatFollowsProxyIsTheBackendsAsItWasSent() throws {
        func split(_ path: String) -> [String]? {
            ProxyTarget.split(path[...]).map { [String($0.own), String($0.rest)] }
        }
        let pod = "/api/v1/namespaces/default/pods/web:80/proxy"
        #expect(split("\(pod)/a%2Fb//c/") == [pod, "/a%2Fb//c/"])
        #expect(split(pod) == [pod, ""])
        #expect(split("/api/v1/nodes/n1/proxy/stats") == ["/api/v1/nodes/n1/proxy", "/stats"])
        for path in [
            "/api/v1/namespaces/default/pods/web/log", "/api/v1/namespaces/proxy", "/", "/apis/a/b/nodes/n/proxy",
        ] {
            #expect(split(path) == nil, "\(path)")
        }
        guard case .resource(let target) = Route(path: "\(pod)/../x%00", catalog: KindCatalog.builtIn) else {
            Issue.record("no route")
            return
        }
        #expect(target.subresource == "proxy" && target.name == "web:80")
    }

    @Test func aPodsPortIsTheNamedOneOrItsFirst() throws {
        let pod: JSON = [
            "spec": [
                "containers": [["ports": [["name": "a", "containerPort": 81], ["name": "b", "containerPort": 82]]]]
            ],
            "status": ["podIP": "10.0.0.9"],
        ]
        #expect(try ProxyTarget("p")?.endpoint(of: pod) == .ip("10.0.0.9", port: 81))
        #expect(try ProxyTarget("p:b")?.endpoint(of: pod) == .ip("10.0.0.9", port: 82))
        #expect(try ProxyTarget("p:9000")?.endpoint(of: pod) == .ip("10.0.0.9", port: 9000))
        for address in [
            "", "127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0:0::1", "fe80::1", "0.0.0.0", "x",
        ] {
            let other: JSON = ["status": ["podIP": .string(address)]]
            #expect(throws: APIError.badRequest("address not allowed")) { try ProxyTarget("p")?.endpoint(of: other) }
        }
    }

    @Test func aServicesEndpointsAreThoseOfItsPort() throws {
        let service: JSON = ["spec": ["ports": [["name": "http", "port": 80], ["name": "m", "port": 90]]]]
        let slices: [JSON] = [
            [
                "ports": [["name": "http", "port": 8080], ["name": "m", "port": 9090]],
                "endpoints": [
                    ["addresses": ["10.0.0.1"]], ["addresses": ["10.0.0.2"], "conditions": ["ready": false]],
                ],
            ]
        ]
        #expect(try ProxyTarget("s:80")?.endpoints(of: service, slices) == [.ip("10.0.0.1", port: 8080)])
        #expect(try ProxyTarget("s:m")?.endpoints(of: service, slices) == [.ip("10.0.0.1", port: 9090)])
        #expect(throws: APIError.unavailable("no service port 81 found for service \"s\"")) {
            try ProxyTarget("s:81")?.endpoints(of: service, slices)
        }
        #expect(throws: APIError.unavailable("no endpoints available for service \"s\"")) {
            try ProxyTarget("s")?.endpoints(of: service, slices)
        }
    }

    @Test func aBackendBehindTLSMayShowAnyCertificate() async throws {
        try await TestAPI.run { api in
            let now = api.world.wallTime()
            let authority = try Authority.make(commonName: "backends", lifetime: .seconds(3600), now: now)
            var request = CertificateRequest(commonName: "backend.test")
            request.isServer = true
            request.lifetime = .seconds(3600)
            let pair = try authority.issue(request, now: now)
            let identity = try TLSIdentity(
                certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
            let backend = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: api.world, tls: try TLSServer(identity: identity),
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), handler: Backend())
            let head = HTTPRequest(method: .get, scheme: "https", authority: "x", path: "/")
            let secure = try Proxy.client(of: backend.endpoint, scheme: "https", in: api.world)
            #expect(try await secure.send(head).head.status.code == 204)
            let plain = try Proxy.client(of: backend.endpoint, scheme: "", in: api.world)
            // Who is spoken to without TLS says so, or ends the connection.
            let refusal = try? await plain.send(head).head.status.code
            #expect(refusal != 204)
            await backend.shutdown(grace: .zero)
        }
    }

    private struct Backend: RequestHandler {
        func handle(_ request: Request) async -> Response { Response(head: HTTPResponse(status: .noContent)) }
    }

    @Test func aProxyWithoutAPathIsSentToOneWithASlash() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a"))
            #expect(await api.get("\(Paths.pods)/a/proxy").message == "address not allowed")
            #expect(await api.get("\(Paths.pods)/b/proxy/").code == 404)
            _ = await api.patch("\(Paths.pods)/a/status", ["status": ["podIP": "10.99.0.1"]])
            let moved = await api.get("\(Paths.pods)/a/proxy?x=1")
            #expect(moved.code == 301)
            #expect(moved.head.headerFields[.location] == "\(Paths.pods)/a/proxy/?x=1")
        }
    }
}

@Suite struct EvictionTests {
    private static let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    private static let eviction: JSON = ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": "a"]]

    @Test func aBudgetRefusesAnEvictionUntilItAllowsOne() async throws {
        try await TestAPI.run { api in
            var pod = Samples.pod("a")
            pod["metadata", "labels"] = ["app": "web"]
            _ = await api.post(Paths.pods, pod)
            _ = await api.patch(
                "\(Paths.pods)/a/status",
                ["status": ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]])
            let budget: JSON = [
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b"],
                "spec": ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]],
            ]
            #expect(await api.post(Self.budgets, budget).code == 201)
            func status(_ allowed: Int64) async -> Int {
                await api.patch(
                    "\(Self.budgets)/b/status",
                    [
                        "status": [
                            "observedGeneration": 5, "disruptionsAllowed": .int(allowed), "currentHealthy": 1,
                            "desiredHealthy": 1, "expectedPods": 1,
                        ]
                    ]
                ).code
            }
            #expect(await status(0) == 200)
            let refused = await api.post("\(Paths.pods)/a/eviction", Self.eviction)
            #expect(refused.code == 429 && refused.reason == "TooManyRequests")
            #expect(refused.message == "Cannot evict pod as it would violate the pod's disruption budget.")
            let cause = refused.json["details", "causes"]?[0]
            #expect(cause?["reason"] == "DisruptionBudget")
            #expect(
                cause?["message"] == "The disruption budget b needs 1 healthy pods and has 1 currently")
            #expect(await status(1) == 200)
            #expect(await api.post("\(Paths.pods)/a/eviction", Self.eviction).code == 201)
            #expect(await api.get("\(Paths.pods)/a").code == 404)
            let spent = await api.get("\(Self.budgets)/b").json
            #expect(spent["status", "disruptionsAllowed"] == 0)
            #expect(spent["status", "disruptedPods", "a"] != nil)
        }
    }

    @Test func aBudgetThatIsNotKnownYetOrCoversOthersDecidesAsUpstreamsDoes() {
        let pod: JSON = ["metadata": ["labels": ["app": "web"]]]
        #expect(DisruptionBudget.covers(["spec": ["selector": ["matchLabels": ["app": "web"]]]], pod))
        #expect(!DisruptionBudget.covers(["spec": ["selector": ["matchLabels": ["app": "db"]]]], pod))
        #expect(DisruptionBudget.covers(["spec": ["selector": [:]]], pod))
        #expect(!DisruptionBudget.covers(["spec": [:]], pod))
        let unready: JSON = ["status": ["phase": "Running"]]
        let short: JSON = ["status": ["desiredHealthy": 1, "currentHealthy": 0]]
        #expect(!Registry.lets(short, goUnready: unready))
        #expect(Registry.lets(["status": ["desiredHealthy": 1, "currentHealthy": 1]], goUnready: unready))
        #expect(Registry.lets(["spec": ["unhealthyPodEvictionPolicy": "AlwaysAllow"]], goUnready: unready))
        #expect(Registry.needsNoBudget(["status": ["phase": "Pending"]]))
        #expect(!Registry.needsNoBudget(["status": ["phase": "Running"]]))
        let young: JSON = ["metadata": ["name": "b", "generation": 2], "status": ["observedGeneration": 1]]
        #expect {
            try Registry.spend(young, on: "a", now: WallTime(seconds: 0))
        } throws: { ($0 as? APIError)?.retryAfter == 10 }
    }
}
