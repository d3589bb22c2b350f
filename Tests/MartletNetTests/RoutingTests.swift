import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import Synchronization
import Testing

/// The whole path: client, TLS edge, ingress, pod; all over sockets.
@Suite("From the edge to the pods") struct RoutingTests {
    @Test("two replicas answer in turn, also when another service is asked in between")
    func replicasAnswerInTurn() async throws {
        try await TestNet.run { net in
            let (a, b) = (try await net.backend { _ in text("a") }, try await net.backend { _ in text("b") })
            net.serve("web.test", [a.endpoint, b.endpoint])
            net.serve("other.test", [a.endpoint, b.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            try await net.eventually("other.test") { $0.code == 200 }
            let client = net.client()
            var seen: [String] = []
            for _ in 0..<6 {
                seen.append(try await net.ask("web.test", through: client).body)
                _ = try await net.ask("other.test", through: client)
            }
            #expect(seen == ["a", "b", "a", "b", "a", "b"] || seen == ["b", "a", "b", "a", "b", "a"])
        }
    }

    @Test("a host that no rule names gets 404, and a service without pods 503 with a hint to come again")
    func nothingToAnswer() async throws {
        try await TestNet.run { net in
            net.serve("empty.test", [])
            try await net.eventually("unknown.test") { $0.code == 404 }
            let answer = try await net.eventually("empty.test") { $0.code == 503 }
            #expect(answer.body.contains("no ready endpoint"))
            #expect(answer.head.headerFields[.retryAfter] == "1")
        }
    }

    @Test("before the first look at the API the answer is 503 and not 404")
    func unknownYet() async throws {
        try await TestNet.run(prepare: { $0.isDown = true }) { net in
            let client = net.plainClient(try #require(net.ingress.endpoint))
            let answer = try await net.ask("web.test", through: client)
            #expect(answer.code == 503 && answer.head.headerFields[.retryAfter] == "1")
            #expect(try await net.ask("web.test").code == 503)
            await #expect(throws: NetworkError.self) { try await net.edge.ask() }
            net.api.isDown = false
            try await net.eventually("web.test") { $0.code == 404 }
            try await net.edge.ask()
        }
    }

    @Test("who comes just before the first look at the API waits for it")
    func early() async throws {
        try await TestNet.run(prepare: { $0.isDown = true }) { net in
            let client = net.plainClient(try #require(net.ingress.endpoint))
            async let early = net.ask("web.test", through: client)
            try await net.world.sleep(for: .milliseconds(50))
            net.api.isDown = false
            #expect(try await early.code == 404)
        }
    }

    @Test("when a pod is down the other one answers, and when all are, the client is told 502")
    func podsDown() async throws {
        try await TestNet.run { net in
            let (up, down) = (try await net.backend { _ in text("up") }, try await net.backend { _ in text("down") })
            await down.shutdown(grace: .zero)
            net.serve("web.test", [down.endpoint, up.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            for _ in 0..<6 { #expect(try await net.ask("web.test").body == "up") }
            let answer = try await net.ask("web.test", "/", .post, body: .bytes([1]))
            #expect(answer.body == "up", "a request that nobody has taken may go to the next pod, whatever it is")
            await up.shutdown(grace: .zero)
            try await net.until { try await net.ask("web.test").code == 502 }
            #expect(try await net.ask("web.test").code == 502)
        }
    }

    @Test("a POST that a pod took and broke on is not sent to another pod; a GET is")
    func notRepeated() async throws {
        try await TestNet.run { net in
            let broken = try await net.world.listen(on: .ip(net.address, port: 0))
            let taken = Mutex(0)
            net.world.spawn {
                while let stream = try? await broken.accept() {
                    _ = try? await stream.read(atMost: 65_536)
                    taken.withLock { $0 += 1 }
                    stream.close()
                }
            }
            let posts = Mutex(0)
            let good = try await net.backend { request in
                if request.head.method == .post { posts.withLock { $0 += 1 } }
                return text("good")
            }
            net.serve("web.test", [broken.endpoint, good.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            for _ in 0..<4 { #expect(try await net.ask("web.test").body == "good") }
            taken.withLock { $0 = 0 }
            var codes: [Int] = []
            for _ in 0..<4 { codes.append(try await net.ask("web.test", "/", .post, body: .bytes([1])).code) }
            #expect(codes.sorted() == [200, 200, 502, 502])
            #expect(posts.withLock { $0 } == 2)
            #expect(taken.withLock { $0 } == 2)
            broken.close()
        }
    }

    @Test(
        "any way to write the host leads to its rule, and the pod gets it as it was written",
        arguments: ["web.test", "WEB.Test", "web.test:8443", "web.test.", "web.test.:443"])
    func hostForms(host: String) async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { text($0.head.authority ?? "none") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let answer = try await net.ask(host)
            #expect(answer.code == 200 && answer.body == host)
        }
    }

    @Test(
        "a path goes on byte for byte",
        arguments: ["/a%2Fb/%C3%BC?q=%20x&y=a+b", "//double//", "/./dots/../kept", "/a;b=c,d!$'()*@:~"])
    func pathsAreKept(path: String) async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { text($0.head.path ?? "none") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            #expect(try await net.ask("web.test", path).body == path)
        }
    }

    @Test("plain HTTP is sent to the port of HTTPS, with method, path and query kept")
    func redirect() async throws {
        try await TestNet.run { net in
            guard case .ip(_, let port) = net.edge.endpoints[0] else { return }
            let client = net.plainClient(net.edge.endpoints[1])
            for host in ["web.test", "web.test:80", "WEB.test"] {
                let answer = try await net.ask(host, "/a?b=c", .post, body: .bytes([1]), through: client)
                #expect(answer.code == 308)
                #expect(answer.head.headerFields[.location] == "https://web.test:\(port)/a?b=c")
            }
            #expect(try await net.ask("", through: client).code == 400)
        }
    }

    @Test("connections to pods are kept for the next request")
    func keepAlive() async throws {
        try await TestNet.run { net in
            let peers = Mutex<Set<Endpoint>>([])
            let pod = try await net.backend { request in
                if let peer = request.peer.endpoint { peers.withLock { _ = $0.insert(peer) } }
                return text("ok")
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let client = net.client()
            for _ in 0..<50 { #expect(try await net.ask("web.test", through: client).code == 200) }
            #expect(peers.withLock { $0.count } == 1)
        }
    }

    @Test("an Ingress is told the address at which it is served, once the API takes it")
    func status() async throws {
        try await TestNet.run { net in
            net.serve("web.test", [])
            let told: JSON = [["ip": "192.0.2.1"]]
            try await net.until {
                net.api.get(.ingress, namespace: "default", name: "web")?["status", "loadBalancer", "ingress"] == told
            }
        }
    }

    @Test("a Node that is made anew is told its ingress again")
    func newNode() async throws {
        try await TestNet.run { net in
            try await net.eventually("web.test") { $0.code == 404 }
            net.api.remove(.node, name: "n1")
            try await net.eventually("web.test") { $0.code == 503 }
            net.api.put(.node, Objects.node(net.address))
            try await net.eventually("web.test") { $0.code == 404 }
        }
    }
}
