import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import Synchronization
import Testing

@testable import MartletNet

/// The ingress' short cut: what it passes on, pods and clients see as they see what is handled.
@Suite("The short cut", .timeLimit(.minutes(1))) struct LaneTests {
    /// What pods were asked, in order.
    final class Heads: Sendable {
        private let all = Mutex<[HTTPRequest]>([])
        func add(_ head: HTTPRequest) { all.withLock { $0.append(head) } }
        var last: HTTPRequest? { all.withLock { $0.last } }
    }

    /// Asks over a connection and reads the whole answer, which ends so.
    private func ask(_ stream: any ByteStream, _ head: String, end: String = "the pod\n") async throws -> String {
        try await stream.write(Array(head.utf8))
        var all = ""
        while !all.hasSuffix(end) {
            let piece = try await stream.read(atMost: 1 << 16)
            if piece.isEmpty { break }
            all += String(decoding: piece, as: UTF8.self)
        }
        return all
    }

    private func withPod(
        trustsEdge: Bool, _ body: (TestNet, any ByteStream, Heads) async throws -> Void
    ) async throws {
        try await TestNet.run(trustsEdge: trustsEdge) { net in
            let heads = Heads()
            let pod = try await net.backend { request in
                heads.add(request.head)
                return text("the pod\n")
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.body == "the pod\n" }
            guard let endpoint = net.ingress.endpoint else { return }
            try await body(net, try await net.world.connect(to: endpoint), heads)
        }
    }

    /// The same request twice: plain, and with a blank too many, which makes the ingress handle it.
    @Test(arguments: [
        ("GET", "", false), ("HEAD", "", false), ("DELETE", "", false), ("GET", "Connection: keep-alive\r\n", false),
        ("GET", "Cookie: a=b\r\nAccept: x\r\n", true), ("OPTIONS", "X-Request-ID: mine\r\n", false),
        ("GET", "X-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", true),
        ("GET", "X-Forwarded-For: 192.0.2.9\r\n", true), ("GET", "X-Forwarded-Proto: https\r\n", false),
        ("GET", "X-Scheme: https\r\n", false), ("GET", "Forwarded: for=x\r\n", false),
    ])
    func podsSeeTheSame(method: String, fields: String, isTrusted: Bool) async throws {
        try await withPod(trustsEdge: isTrusted) { net, stream, heads in
            var answers: [[String]] = []
            var seen: [HTTPRequest] = []
            for blanks in [" ", "  ", " "] {
                let host = "Host: web.test:8080\r\n"
                let head = "\(method) /a/b?c=d HTTP/1.1\r\n\(host)\(fields)X-Mark:\(blanks)x\r\n\r\n"
                let answer = try await ask(stream, head, end: method == "HEAD" ? "\r\n\r\n" : "the pod\n")
                answers.append(answer.split(separator: "\r\n").map(String.init).filter { !$0.hasPrefix("Date") })
                answers[answers.count - 1].sort()
                var sent = try #require(heads.last)
                if !fields.contains("Request-ID") {
                    let id = try #require(sent.headerFields[ProxyHeaders.requestID])
                    #expect(id.utf8.count == 32)
                    sent.headerFields[ProxyHeaders.requestID] = nil
                }
                seen.append(sent)
            }
            #expect(seen[1] == seen[0] && seen[1] == seen[2])
            #expect(answers[1] == answers[0] && answers[1] == answers[2])
            let counted = net.ingress.metrics.split(separator: "\n").first {
                $0.contains("requests_total") && $0.contains("name=\"web\"")
            }
            // The first question, which waited for the route, came through the edge.
            #expect(counted?.hasSuffix("code=\"2xx\"} 4") == true, "\(counted ?? "")")
        }
    }

    /// What a stranger says of himself in our own edges' words never reaches a pod.
    @Test(arguments: ProxyHeaders.told(of: Peer(), "a").map(\.name.rawName) + ["Forwarded"])
    func whatOnlyEdgesMaySayIsTakenOff(name: String) async throws {
        try await withPod(trustsEdge: false) { net, stream, heads in
            for _ in 0..<2 {
                _ = try await ask(stream, "GET / HTTP/1.1\r\nHost: web.test\r\n\(name): spoofed\r\n\r\n")
                let sent = try #require(heads.last)
                #expect(!sent.headerFields.contains { $0.value == "spoofed" })
            }
        }
    }

    /// An answer with a field that is the connection's is not plain: who handles it then goes on with the pod that was
    /// asked, of whichever Service.
    @Test func aRequestOfSeveralServicesIsSentOnce() async throws {
        try await TestNet.run { net in
            let count = Mutex(0)
            let refs = ["web", "other"].map { name -> JSON in ["name": .string(name), "port": 80] }
            for name in ["web", "other"] {
                let pod = try await net.backend { _ in
                    count.withLock { $0 += 1 }
                    var answer = text("yes\n")
                    answer.head.headerFields[.upgrade] = "h2c"
                    return answer
                }
                net.api.put(.service, Objects.service(name))
                net.setPods(of: name, [pod.endpoint])
            }
            ForwardTests().route(net, ["backendRefs": .array(refs)])
            let endpoint = try #require(net.ingress.endpoint)
            let client = net.plainClient(endpoint)
            try await net.until { try await net.ask("web.test", through: client).code == 200 }
            let before = count.withLock { $0 }
            for _ in 0..<20 { #expect(try await net.ask("web.test", through: client).code == 200) }
            #expect(count.withLock { $0 } == before + 20)
        }
    }

    @Test func aHostThatNoRouteHasIsHandled() async throws {
        try await withPod(trustsEdge: false) { net, stream, heads in
            let before = heads.last
            let unknown = try await ask(stream, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", end: "host and path\n")
            #expect(unknown.hasPrefix("HTTP/1.1 404 "))
            #expect(heads.last == before)
        }
    }
}
