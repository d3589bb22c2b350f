import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import Synchronization
import Testing

/// Something that is looked at now and again.
private final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isSet: Bool { state.load(ordering: .acquiring) }
    func set() { state.store(true, ordering: .releasing) }
}

@Suite("Changes while requests run") struct ChangeTests {
    /// Answers `/slow` when told to, and everything else at once.
    private func pod(_ name: String, in net: TestNet, began: Signal, goOn: Signal) async throws -> HTTPServer {
        try await net.backend { request in
            if request.head.path == "/slow" {
                began.set()
                await goOn.wait()
            }
            return text(name)
        }
    }

    @Test("new pods take over without breaking a kept connection or a request in flight")
    func otherPods() async throws {
        try await TestNet.run { net in
            let (began, goOn) = (Signal(), Signal())
            let old = try await pod("old", in: net, began: began, goOn: goOn)
            let new = try await net.backend { _ in text("new") }
            net.serve("web.test", [old.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let kept = net.client()
            #expect(try await net.ask("web.test", through: kept).body == "old")
            async let slow = net.ask("web.test", "/slow")
            await began.wait()
            net.setPods(of: "web", [new.endpoint])
            try await net.eventually("web.test") { $0.body == "new" }
            #expect(try await net.ask("web.test", through: kept).body == "new")
            goOn.set()
            #expect(try await slow.body == "old")
        }
    }

    @Test("under a storm of changes no request is lost")
    func storm() async throws {
        try await TestNet.run { net in
            let (a, b) = (try await net.backend { _ in text("a") }, try await net.backend { _ in text("b") })
            net.serve("web.test", [a.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            async let first = codes(of: 100, in: net)
            async let second = codes(of: 100, in: net)
            async let third = codes(of: 100, in: net)
            for round in 0..<50 {
                net.setPods(of: "web", round % 2 == 0 ? [a.endpoint, b.endpoint] : [b.endpoint])
                net.serve("other\(round % 5).test", [a.endpoint])
                try await net.world.sleep(for: .milliseconds(3))
            }
            #expect(try await first == [200])
            #expect(try await second == [200])
            #expect(try await third == [200])
        }
    }

    private func codes(of count: Int, in net: TestNet) async throws -> Set<Int> {
        let client = net.client()
        var codes: Set<Int> = []
        for _ in 0..<count { codes.insert(try await net.ask("web.test", through: client).code) }
        return codes
    }

    @Test("an ingress that ends is left by edges first: no request is lost, be it one that may not be repeated")
    func ingressLeaves() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("ok") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let other = try await net.secondIngress()
            try await net.until { net.api.get(.node, namespace: "", name: "n2")?.annotations.isEmpty == false }
            let end = Flag()
            async let first = posted(until: end, in: net)
            async let second = posted(until: end, in: net)
            try await net.world.sleep(for: .milliseconds(100))
            await other.stop()
            end.set()
            #expect(try await first == [200])
            #expect(try await second == [200])
            #expect(net.api.get(.node, namespace: "", name: "n2")?.annotations.isEmpty == true)
        }
    }

    private func posted(until end: Flag, in net: TestNet) async throws -> Set<Int> {
        let client = net.client()
        var codes: Set<Int> = []
        while !end.isSet {
            codes.insert(try await net.ask("web.test", "/", .post, body: .bytes([1]), through: client).code)
        }
        return codes
    }

    @Test("stopping lets a request in flight end")
    func stop() async throws {
        try await TestNet.run { net in
            let (began, goOn) = (Signal(), Signal())
            let pod = try await pod("done", in: net, began: began, goOn: goOn)
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            async let slow = net.ask("web.test", "/slow")
            await began.wait()
            async let stopped: Void = net.edge.stop()
            try await net.until {
                do {
                    let stream = try await net.world.connect(to: net.edge.endpoints[0])
                    stream.close()
                    return false
                } catch { return true }
            }
            goOn.set()
            #expect(try await slow.body == "done")
            await stopped
        }
    }
}
