import HTTPTypes
import MartletBase
import MartletHTTP
import MartletObject
import Synchronization
import Testing

@testable import MartletNet

/// An edge that goes to pods itself: which requests take that way, and what pods see of it.
@Suite("Straight to the pods", .timeLimit(.minutes(1))) struct DirectTests {
    /// Where this machine's loopback is, and with it all pods of these tests.
    private static let near = [IPRange("127.0.0.0/8")].compactMap { $0 }
    private static let elsewhere = [IPRange("10.0.0.0/8")].compactMap { $0 }

    /// How many requests an ingress has answered.
    private func answered(_ net: TestNet) -> Int {
        net.ingress.metrics.split(separator: "\n").filter { $0.contains("requests_total{") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
    }

    /// Lets the edge reach these ranges, and waits until requests go the way they should go then.
    private func reach(_ net: TestNet, _ ranges: [IPRange], direct: Bool) async throws {
        await net.edge.setReach(ranges)
        try await net.until {
            let before = answered(net)
            _ = try await net.ask("web.test")
            return answered(net) == (direct ? before : before + 1)
        }
    }

    private func annotate(_ net: TestNet, _ annotation: String, _ value: String) {
        var object = Objects.ingress("web", host: "web.test")
        object["metadata", "annotations"] = ["nginx.ingress.kubernetes.io/\(annotation)": .string(value)]
        net.api.put(.ingress, object)
    }

    @Test("pods see the same of a request, straight or by way of an ingress, plain or handled")
    func podsSeeTheSame() async throws {
        let heads = Mutex<[HTTPRequest]>([])
        try await TestNet.run(goesToPods: true) { net in
            let pod = try await net.backend { request in
                heads.withLock { $0.append(request.head) }
                return text("the pod\n")
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.body == "the pod\n" }
            var seen: [HTTPRequest] = []
            for ranges in [Self.elsewhere, Self.near] {
                try await reach(net, ranges, direct: ranges == Self.near)
                let client = net.client()
                for method in [HTTPRequest.Method.get, .get, .get, .post] {
                    let body = RequestBody.bytes(method == .post ? [1, 2, 3] : [])
                    let answer = try await net.ask(
                        "web.test", "/a?b=c", method, [.cookie: "x=y"], body: body, through: client)
                    #expect(answer.body == "the pod\n")
                    var head = try #require(heads.withLock { $0.last })
                    #expect(head.headerFields[ProxyHeaders.requestID]?.utf8.count == 32)
                    head.headerFields[ProxyHeaders.requestID] = nil
                    seen.append(head)
                }
            }
            #expect(Array(seen[0..<4]) == Array(seen[4..<8]))
            let line = net.edge.metrics.split(separator: "\n").first { $0.contains("name=\"web\"") }
            #expect(line?.contains("code=\"2xx\"") == true, "what goes straight is counted by its route")
        }
    }

    @Test(
        "what counts clients or asks for passwords goes through an ingress",
        arguments: [("limit-rps", "1000"), ("limit-connections", "100"), ("service-upstream", "true")])
    func someRoutesNeedAnIngress(annotation: String, value: String) async throws {
        try await TestNet.run(goesToPods: true) { net in
            let pod = try await net.backend { _ in text("the pod\n") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.body == "the pod\n" }
            try await reach(net, Self.near, direct: true)
            annotate(net, annotation, value)
            try await net.until {
                let before = answered(net)
                _ = try await net.ask("web.test")
                return answered(net) > before
            }
        }
    }

    @Test("what an ingress does on the way is done where there is none")
    func routesAreCarriedOut() async throws {
        try await TestNet.run(goesToPods: true) { net in
            let pod = try await net.backend { text("\($0.head.path ?? "")\n") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            try await reach(net, Self.near, direct: true)
            annotate(net, "rewrite-target", "/new")
            try await net.eventually("web.test", "/old") { $0.body == "/new\n" }
            annotate(net, "denylist-source-range", "127.0.0.0/8")
            try await net.eventually("web.test") { $0.code == 403 }
            let before = answered(net)
            #expect(try await net.ask("web.test").code == 403)
            #expect(answered(net) == before)
        }
    }

    @Test("a worker is asked where only some pods are within reach, and where none of them takes a connection")
    func theWayThroughAWorkerStays() async throws {
        try await TestNet.run(goesToPods: true) { net in
            let pod = try await net.backend { _ in text("the pod\n") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.body == "the pod\n" }
            try await reach(net, Self.near, direct: true)
            net.setPods(of: "web", [pod.endpoint, .ip("10.9.9.9", port: 9)])
            await net.edge.setReach([IPRange("127.0.0.0/8")].compactMap { $0 })
            try await net.until {
                let before = answered(net)
                return try await net.ask("web.test").code == 200 && answered(net) > before
            }
            // Nobody listens there: the ingress finds that out, too, and says so.
            net.setPods(of: "web", [.ip(net.address, port: 9)])
            try await net.eventually("web.test") { $0.code == 502 }
            let before = answered(net)
            let lost = try await net.ask("web.test", "/", .post, body: .bytes([1, 2, 3]))
            #expect(lost.code == 502 && answered(net) == before + 1)
        }
    }
}
