import MartletBase
import MartletObject
import MartletRoutes
import Testing

@Suite("What is told of traffic") struct TrafficTests {
    private func line(_ entry: AccessEntry) throws -> JSON {
        var bytes: [UInt8] = []
        entry.append(to: &bytes)
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } == 1 && bytes.last == UInt8(ascii: "\n"))
        return try JSON(parsing: bytes)
    }

    @Test("a line says all there is to say, under the same names as every other")
    func whole() throws {
        var entry = AccessEntry(
            .ingress, at: WallTime(nanoseconds: 1_795_718_345_067_000_000), method: "GET", host: "web.test",
            path: "/a?b=c")
        let names = try #require(try line(entry).object).map(\.key)
        entry.requestID = "0123"
        entry.client = IPAddress("192.0.2.7")
        entry.status = 200
        entry.bytes = 12
        entry.duration = .microseconds(1_000_250)
        entry.upstream = .ip("10.244.1.2", port: 8080)
        entry.upstreamDuration = .microseconds(300)
        entry.tries = 2
        entry.route = RouteOrigin(kind: "Ingress", namespace: "default", name: "web")
        entry.tlsVersion = "TLSv1.3"
        entry.serverName = "web.test"
        entry.userAgent = "curl/8"
        let told = try line(entry)
        #expect(told.object?.map(\.key) == names)
        #expect(told["time"]?.string == "2026-11-26T18:39:05.067Z")
        #expect(told["part"]?.string == "ingress" && told["requestID"]?.string == "0123")
        #expect(told["client"]?.string == "192.0.2.7" && told["path"]?.string == "/a?b=c")
        #expect(told["duration"] == .double(1.00025) && told["upstreamDuration"] == .double(0.0003))
        #expect(told["upstream"]?.string == "10.244.1.2:8080" && told["tries"]?.int == 2)
        #expect(told["namespace"]?.string == "default" && told["name"]?.string == "web")
        #expect(told["tls"]?.string == "TLSv1.3" && told["serverName"]?.string == "web.test")
        #expect(told["status"]?.int == 200 && told["bytes"]?.int == 12 && told["broken"]?.bool == false)
    }

    @Test("times before and after the epoch have their milliseconds")
    func times() throws {
        for (nanoseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_999_000_000, "2000-02-29T00:00:00.999Z"),
        ] as [(Int64, String)] {
            let entry = AccessEntry(.edge, at: WallTime(nanoseconds: nanoseconds), method: "GET", host: "", path: "/")
            #expect(try line(entry)["time"]?.string == text)
        }
    }

    @Test("whatever a client says is one line of JSON, cut where it is too long")
    func hostile() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<200 {
            let length = Int(random.next() % 4000)
            let bytes = (0..<length).map { _ -> UInt8 in
                // Mostly what wants an escape or more than one byte.
                if random.next() % 3 == 0 { return UInt8(truncatingIfNeeded: random.next()) }
                return [0x22, 0x5C, 0x0A, 0xC3, 0xA4][Int(random.next() % 5)]
            }
            let text = String(decoding: bytes, as: UTF8.self)
            var entry = AccessEntry(.edge, at: WallTime(seconds: 1), method: text, host: text, path: text)
            entry.requestID = text
            entry.userAgent = text
            entry.serverName = text
            let told = try #require(try line(entry)["path"]?.string)
            #expect(text.utf8.starts(with: told.utf8) && told.utf8.count <= AccessEntry.longestText)
            #expect(told.utf8.count > AccessEntry.longestText - 4 || told == text)
        }
    }

    @Test("requests are counted by route and status, and by how long they took")
    func counts() {
        var counts = TrafficCounts()
        let web = RouteOrigin(kind: "Ingress", namespace: "default", name: "web")
        var faults = UpstreamFaults()
        counts.count(web, status: 200, took: .milliseconds(3), tries: 1, faults)
        counts.count(web, status: 204, took: .milliseconds(30), tries: 1, faults)
        faults.unreachable = 1
        faults.late = 1
        counts.count(web, status: 504, took: .seconds(60), tries: 2, faults)
        counts.count(nil, status: 404, took: .zero, tries: 0, UpstreamFaults())
        var gauges = TrafficCounts.Gauges()
        gauges.connections = 4
        let lines = counts.text(.ingress, gauges).split(separator: "\n")
        let labels = "kind=\"Ingress\",namespace=\"default\",name=\"web\""
        #expect(lines.contains("martlet_ingress_requests_total{\(labels),code=\"2xx\"} 2"))
        #expect(lines.contains("martlet_ingress_requests_total{\(labels),code=\"5xx\"} 1"))
        #expect(lines.contains("martlet_ingress_requests_total{code=\"4xx\"} 1"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_bucket{le=\"0.005\"} 2"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_bucket{le=\"0.05\"} 3"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_bucket{le=\"10\"} 3"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_bucket{le=\"+Inf\"} 4"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_count 4"))
        #expect(lines.contains("martlet_ingress_request_duration_seconds_sum 60.033"))
        #expect(lines.contains("martlet_ingress_upstream_errors_total{reason=\"unreachable\"} 1"))
        #expect(lines.contains("martlet_ingress_upstream_errors_total{reason=\"timeout\"} 1"))
        #expect(lines.contains("martlet_ingress_upstream_retries_total 1"))
        #expect(lines.contains("martlet_ingress_connections 4"))
        #expect(!lines.contains { $0.contains("worker") })
        // Each family is told of once.
        let families = lines.filter { $0.hasPrefix("# TYPE") }.map { $0.split(separator: " ")[2] }
        #expect(Set(families).count == families.count)
    }

    @Test("no number of routes, and no status, is too many")
    func bounds() {
        var counts = TrafficCounts()
        for number in 0..<(TrafficCounts.routes * 2 + 10) {
            let route = RouteOrigin(kind: "Ingress", namespace: "n", name: "r\(number)")
            counts.count(route, status: [-1, 0, 99, 700, .max][number % 5], took: .nanoseconds(-5), tries: 1, .init())
        }
        let rows = counts.text(.edge, .init()).split(separator: "\n").count {
            $0.hasPrefix("martlet_edge_requests_total{")
        }
        #expect(rows <= TrafficCounts.routes && rows > 0)
    }
}
