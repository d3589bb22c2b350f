import HTTPTypes
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import Testing

/// What the access log tells of requests that took the short cut: the same as of those that were handled.
@Suite("The short cut's access log", .timeLimit(.minutes(1))) struct LaneLogTests {
    /// A request, and how its answer ends.
    struct Case: Sendable {
        var method = "GET"
        var path: String
        var fields = ""
        var end = "the pod\n"
        /// Whether the short cut has to hand it over, because of its answer.
        var isHandedOver = false
    }

    private static let cases = [
        Case(path: "/whole?a=\"b\""), Case(path: "/pieces", fields: "User-Agent: curl/8\r\n", end: "0\r\n\r\n"),
        Case(method: "DELETE", path: "/nothing", fields: "X-Request-ID: mine\r\n", end: "\r\n\r\n"),
        Case(method: "OPTIONS", path: "/missing", fields: "User-Agent: a\r\nUser-Agent: b\r\n"),
        Case(method: "HEAD", path: "/head", end: "\r\n\r\n"), Case(method: "HEAD", path: "/pieces", end: "\r\n\r\n"),
        Case(path: "/breaks", end: "never"), Case(path: "/fails", isHandedOver: true),
    ]
    /// Told by an edge of ours to the ingress.
    private static let told = Case(path: "/told", fields: "X-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.7\r\n")

    private static func answer(to request: Request, in world: any World) async -> Response {
        switch request.head.path {
        case "/nothing": return Response(head: HTTPResponse(status: .ok))
        case "/missing": return text("the pod\n", status: .notFound)
        case "/fails":
            try? await world.sleep(for: .milliseconds(200))
            return text("the pod\n", status: .internalServerError)
        case "/pieces": return pieces(breaks: false)
        case "/breaks": return pieces(breaks: true)
        default: return text("the pod\n")
        }
    }

    /// Asks by a connection of its own; the answer as it came.
    private func ask(
        _ net: TestNet, throughEdge: Bool, _ asked: Case, blanks: String
    ) async throws -> String {
        let stream: any ByteStream
        if throughEdge {
            let carrier = try await net.world.connect(to: net.edge.endpoints[0])
            stream = try await net.tls.connect(carrier, serverName: TestNet.fallbackName)
        } else {
            stream = try await net.world.connect(to: try #require(net.ingress.endpoint))
        }
        defer { stream.close() }
        let fields = "Host: web.test\r\n\(asked.fields)X-Mark:\(blanks)x\r\n"
        try await stream.write(Array("\(asked.method) \(asked.path) HTTP/1.1\r\n\(fields)\r\n".utf8))
        var all = ""
        while !all.hasSuffix(asked.end) {
            guard let piece = try? await stream.read(atMost: 1 << 16), !piece.isEmpty else { break }
            all += String(decoding: piece, as: UTF8.self)
        }
        return all
    }

    /// The same request twice: plain, and with a blank too many, which has it handled.
    private func compare(_ asked: Case, throughEdge: Bool) async throws {
        try await logged { net, lines in
            let world = net.world
            let pod = try await net.backend { await Self.answer(to: $0, in: world) }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            for blanks in [" ", "  "] {
                let answer = try await ask(net, throughEdge: throughEdge, asked, blanks: blanks)
                // The short cut writes the date last, who handles a request does not.
                #expect(answer.contains("GMT\r\n\r\n") == (blanks == " " && !asked.isHandedOver), "\(answer)")
            }
            for part in throughEdge ? ["edge", "ingress"] : ["ingress"] {
                var found: [JSON] = []
                try await net.until {
                    found = try lines().filter {
                        $0["path"]?.string == asked.path && $0["part"]?.string == part
                    }
                    return found.count == 2
                }
                for index in found.indices {
                    for name in ["duration", "upstreamDuration"] {
                        guard case .double(let seconds)? = found[index][name] else {
                            Issue.record("no \(name): \(found[index])")
                            continue
                        }
                        #expect(seconds < 30 && (!asked.isHandedOver || seconds > 0.15))
                        found[index][name] = nil
                    }
                    #expect(found[index]["time"]?.string?.count == 24)
                    found[index]["time"] = nil
                    if asked.fields.contains("X-Request-ID") { continue }
                    #expect(found[index]["requestID"]?.string?.count == 32)
                    found[index]["requestID"] = nil
                }
                #expect(found[0] == found[1])
                #expect(found[0]["status"] != .int(0) && found[0]["tries"]?.int == 1)
                #expect(found[0]["broken"]?.bool == (asked.path == "/breaks"))
            }
        }
    }

    @Test(arguments: cases + [told])
    func ingressesTellTheSame(asked: Case) async throws { try await compare(asked, throughEdge: false) }

    @Test(arguments: cases)
    func edgesTellTheSame(asked: Case) async throws { try await compare(asked, throughEdge: true) }
}
