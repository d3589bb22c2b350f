import Glibc
import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject
import Testing

@Suite("Access log and metrics") struct TrafficTests {
    @Test("edge and ingress tell of a request under one id")
    func one() async throws {
        try await logged { net, lines in
            let pod = try await net.backend { _ in text("hello") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            _ = try await net.ask("web.test", "/one?x=\"1\"")
            var found: [JSON] = []
            try await net.until {
                found = try lines().filter { $0["path"]?.string == "/one?x=\"1\"" }
                return found.count == 2
            }
            let edge = try #require(found.first { $0["part"]?.string == "edge" })
            let ingress = try #require(found.first { $0["part"]?.string == "ingress" })
            #expect(edge["requestID"]?.string?.count == 32)
            #expect(edge["requestID"]?.string == ingress["requestID"]?.string)
            for line in found {
                #expect(line["status"]?.int == 200 && line["bytes"]?.int == 5 && line["host"]?.string == "web.test")
                #expect(line["client"]?.string == "127.0.0.1" && line["method"]?.string == "GET")
                #expect(line["tries"]?.int == 1 && line["broken"]?.bool == false)
                guard case .double(let all)? = line["duration"], case .double(let upstream)? = line["upstreamDuration"]
                else {
                    Issue.record("no durations: \(line)")
                    continue
                }
                #expect(upstream > 0 && upstream <= all && all < 60)
            }
            #expect(edge["tls"]?.string == "TLSv1.3" && edge["serverName"]?.string == TestNet.fallbackName)
            #expect(edge["name"] == .null && ingress["tls"] == .null)
            #expect(ingress["kind"]?.string == "Ingress" && ingress["namespace"]?.string == "default")
            #expect(ingress["name"]?.string == "web" && ingress["upstream"]?.string == "\(pod.endpoint)")
        }
    }

    @Test("an answer that comes in pieces is told of when it has ended, and one that broke off as broken")
    func pieces() async throws {
        try await logged { net, lines in
            let pod = try await net.backend { MartletNetTests.pieces(breaks: $0.head.path == "/breaks") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let whole = try await net.ask("web.test", "/whole").body
            #expect(whole.utf8.count == 10_000)
            _ = try? await net.ask("web.test", "/breaks")
            try await net.until {
                let told = try lines()
                let whole = told.filter { $0["path"]?.string == "/whole" }
                let broken = told.filter { $0["path"]?.string == "/breaks" }
                let isWhole = whole.allSatisfy { $0["bytes"]?.int == 10_000 && $0["broken"]?.bool == false }
                let isBroken = broken.allSatisfy { $0["broken"]?.bool == true }
                return whole.count == 2 && isWhole && broken.count == 2 && isBroken
            }
        }
    }

    @Test("what no rule covers is told of, and what the edge asks itself is not")
    func others() async throws {
        try await logged { net, lines in
            let pod = try await net.backend { _ in text("hello") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            for _ in 0..<3 { try await net.edge.ask() }
            _ = try await net.ask("nobody.test", "/nothing")
            _ = try await net.ask("web.test", "/plain", through: net.plainClient(net.edge.endpoints[1]))
            try await net.until {
                let told = try lines()
                return told.count { $0["path"]?.string == "/nothing" && $0["status"]?.int == 404 } == 2
                    && told.contains { $0["path"]?.string == "/plain" && $0["status"]?.int == 308 }
            }
            #expect(try lines().allSatisfy { $0["host"]?.string?.hasSuffix(".invalid") == false })
        }
    }

    @Test("of a request that no rule covers, the ingress tells whom the edge has seen")
    func strayClient() async throws {
        try await logged { net, lines in
            let pod = try await net.backend { _ in text("hello") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let edge = net.plainClient(try #require(net.ingress.endpoint))
            let seen: HTTPFields = [.init("X-Forwarded-Proto")!: "https", .init("X-Real-IP")!: "192.0.2.7"]
            let code = try await net.ask("nobody.test", "/nothing", .get, seen, through: edge).code
            #expect(code == 404)
            var found: JSON?
            try await net.until {
                found = try lines().first { $0["path"]?.string == "/nothing" }
                return found != nil
            }
            #expect(found?["part"]?.string == "ingress" && found?["client"]?.string == "192.0.2.7")
        }
    }

    @Test("metrics tell of requests, failures and retries")
    func metrics() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("hello") }
            let gone = try await net.backend { _ in text("gone") }
            let nowhere = gone.endpoint
            await gone.shutdown(grace: .zero)
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            net.setPods(of: "web", [nowhere, pod.endpoint])
            try await net.until {
                let code = try await net.ask("web.test").code
                #expect(code == 200)
                let text = net.ingress.metrics
                return text.contains("martlet_ingress_upstream_errors_total{reason=\"unreachable\"} 1\n")
                    && text.contains("martlet_ingress_upstream_retries_total 1\n")
            }
            let label = "kind=\"Ingress\",namespace=\"default\",name=\"web\",code=\"2xx\""
            #expect(net.ingress.metrics.contains("martlet_ingress_requests_total{\(label)} "))
            #expect(net.edge.metrics.contains("martlet_edge_requests_total{code=\"2xx\"} "))
            #expect(!net.edge.metrics.contains("martlet_edge_connections 0\n"))
            #expect(net.edge.metrics.contains("martlet_edge_upgraded_connections 0\n"))
        }
    }

    @Test("a log that is moved away is followed by a new one, and one that cannot be written loses lines, not requests")
    func moved() async throws {
        let folder = "/tmp/martlet-access-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try Files.makeDirectory(folder)
        defer { try? Files.remove(folder) }
        try await TestNet.run(log: folder + "/log") { net in
            let pod = try await net.backend { _ in text("hello") }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            try await net.until { try Files.size(folder + "/log") > 0 }
            rename(folder + "/log", folder + "/log.1")
            _ = try await net.ask("web.test", "/second")
            try await net.until { (try? Files.size(folder + "/log")) ?? 0 > 0 }
            try Files.remove(folder)
            let third = try await net.ask("web.test", "/third").code
            #expect(third == 200)
            try await net.until { !net.edge.metrics.contains("martlet_edge_access_log_dropped_total 0\n") }
        }
        #expect(throws: Errno.self) {
            try AccessLog(path: folder + "/none/log", in: try Reactor(), logger: Logger(label: "none"))
        }
    }
}
