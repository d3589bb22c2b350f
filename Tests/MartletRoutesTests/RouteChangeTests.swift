import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

/// What Ingresses mean beside what the conformance features ask (`IngressFeatureTests`).
@Suite("Ingresses by the table") struct IngressMeaningTests {
    @Test func aDefaultBackendBesideRulesTakesWhatIsLeftOfTheirHostsAlone() {
        var object = RouteObjects.ingress("i", host: "h.test", ["P /foo a"])
        object["spec", "defaultBackend"] = ["service": ["name": "b", "port": ["number": 80]]]
        let table = RouteObjects.builder(object, RouteObjects.ingress("j", host: "h.test", ["P /bar c"])).table
        #expect(table.service("h.test", "/foo") == "default/a")
        #expect(table.service("h.test", "/bar") == "default/c")
        #expect(table.service("h.test", "/") == "default/b")
        #expect(table.service("other.test", "/") == nil)
    }

    @Test func theOldestIngressKeepsAPathAndTheGlobalDefault() {
        let old = RouteObjects.ingress("z", ["P /x a"], created: "2025-01-01T00:00:00Z")
        let new = RouteObjects.ingress("a", ["P /x b"], created: "2026-01-01T00:00:00Z")
        for pair in [[old, new], [new, old]] {
            #expect(RouteObjects.builder(pair[0], pair[1]).table.service("h.test", "/x") == "default/a")
        }
    }

    @Test func aPortOfTCPIsFoundBesideOneOfUDP() {
        var builder = RouteObjects.builder(services: ["a"], RouteObjects.ingress())
        var service = RouteObjects.service("a")
        service["spec", "ports"] = [
            ["name": "quic", "port": 80, "protocol": "UDP"], ["name": "http", "port": 80, "protocol": "TCP"],
        ]
        builder.put(service, kind: .service)
        builder.update()
        #expect(builder.table.endpoints("h.test", "/") == [.ip("10.0.0.1", port: 8000)])
        service["spec", "ports"] = [["name": "quic", "port": 80, "protocol": "UDP"]]
        builder.put(service, kind: .service)
        builder.update()
        #expect(builder.problems.map(\.message) == ["service \"default/a\" does not have a port 80"])
    }

    @Test(
        "a path that is written in another way leads to the same rule",
        arguments: ["/admin", "//admin", "/%61dmin", "/admin?x", "/admin/.", "/admin/%2e/x"])
    func normalForm(path: String) {
        let table = RouteObjects.builder(RouteObjects.ingress("i", ["P /admin b", "P / a"])).table
        #expect(table.service("h.test", path) == "default/b")
    }
}

@Suite("The table under change") struct RouteChangeTests {
    /// What a table answers to many requests.
    private func answers(_ table: RouteTable, _ hosts: [String]) -> [String] {
        hosts.flatMap { host in
            ["/", "/a", "/a/b", "/b"].map { path in
                let match = table.match(host, path)
                let backend = match?.route.backend(draw: 0)?.slot.map { table.backends[$0] }
                return
                    "\(host)\(path) \(backend?.service ?? "-") \(backend?.endpoints ?? []) \(match?.route.policy.canaries.count ?? 0)"
            }
        }
    }

    @Test("after any changes the table says what one built anew says")
    func fuzzedChanges() {
        var random = SplitMix64(seed: Fuzz.seed(7))
        let hosts = ["a.test", "b.test", "*.test", "x.a.test", "", "c.test"]
        let services = ["a", "b", "c", "d"]
        var builder = RouteObjects.builder(services: services)
        var objects: [ObjectKey: (ResourceKind, JSON)] = [:]
        func put(_ object: JSON, _ kind: ResourceKind) {
            builder.put(object, kind: kind)
            objects[ObjectKey(kind, namespace: object.namespace, name: object.name)] = (kind, object)
        }
        func pick<T>(_ values: [T]) -> T { values[Int.random(in: 0..<values.count, using: &random)] }
        put(RouteObjects.ingressClass, .ingressClass)
        for service in services {
            put(RouteObjects.service(service), .service)
            put(RouteObjects.slice(service, ["10.0.0.1"]), .endpointSlice)
        }
        for round in 0..<Fuzz.runs(300) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let host = pick(hosts)
                var object = RouteObjects.ingress(
                    "i\(Int.random(in: 0..<8, using: &random))", host: host.isEmpty ? nil : host,
                    (0..<2).map { _ in "\(pick(["E", "P"])) \(pick(["/", "/a", "/a/b"])) \(pick(services))" },
                    annotations: pick([[:], ["canary": "true"], ["from-to-www-redirect": "true"]]),
                    created: pick(["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]))
                if pick([true, false]) {
                    object["spec", "defaultBackend"] = [
                        "service": ["name": .string(pick(services)), "port": ["number": 80]]
                    ]
                }
                put(object, .ingress)
            case 2:
                let name = pick(services)
                put(RouteObjects.slice(name, pick([[], ["10.0.0.2"], ["10.0.0.3", "10.0.0.4"]])), .endpointSlice)
            case 3: put(RouteObjects.service(pick(services)), .service)
            default:
                guard
                    let key = objects.keys.sorted(by: { "\($0.kind.plural)\($0.name)" < "\($1.kind.plural)\($1.name)" })
                        .randomElement(using: &random),
                    key.kind != .ingressClass
                else { continue }
                objects[key] = nil
                builder.remove(key)
            }
            builder.update()
            var fresh = RouteBuilder()
            for (kind, object) in objects.values { fresh.put(object, kind: kind) }
            fresh.update()
            let names = hosts + ["www.a.test", "other"]
            let (have, want) = (answers(builder.table, names), answers(fresh.table, names))
            guard have == want else {
                Issue.record("round \(round): \(zip(have, want).filter { $0 != $1 })")
                return
            }
            #expect(builder.problems == fresh.problems)
        }
    }

    @Test("slots are used again, so that coming and going Services cost nothing")
    func slots() {
        var builder = RouteObjects.builder()
        for number in 0..<100 {
            builder.put(RouteObjects.ingress("i", ["P / s\(number)", "P /x a"]), kind: .ingress)
            builder.update()
        }
        #expect(builder.table.backends.count <= 4)
    }

    private static let annotations = [
        "rewrite-target", "use-regex", "app-root", "permanent-redirect", "proxy-body-size", "proxy-read-timeout",
        "whitelist-source-range", "denylist-source-range", "auth-type", "auth-secret", "auth-realm", "limit-rps",
        "limit-burst-multiplier", "canary", "canary-by-header", "canary-by-header-pattern", "canary-weight",
        "canary-weight-total", "affinity", "session-cookie-name", "session-cookie-path", "upstream-vhost",
        "enable-cors", "cors-allow-origin", "cors-max-age", "from-to-www-redirect", "backend-protocol",
    ]

    /// Does all that is done with a request that has matched; gives what goes into a request line and a Location.
    private static func use(
        _ match: RouteMatch, _ target: String, _ text: () -> String
    ) -> (rewrite: String?, location: String?) {
        let policy = match.route.policy
        _ = policy.canaries.map { $0.takes(draw: 5) { _ in text() } }
        _ = policy.cors?.fields(for: text(), isPreflight: true)
        _ = match.route.backend(draw: 3)
        let location = policy.filters.redirect?.location(
            host: "bad.test", target: target, isSecure: true, matched: match.path, listener: nil)
        return (policy.filters.rewrite?.target(target, matched: match.path), location)
    }

    @Test("hostile text in every field of every object never traps, and closes no other route")
    func fuzzedObjects() {
        var random = SplitMix64(seed: Fuzz.seed(3))
        let pieces = [
            "*", ".", "/", ":", "[", "]", "%", "?", "#", "a", "é", "\u{0}", "\r\n", "", "*.", "//", "..", "443", "(",
            ")",
            "$1", "{", "+", "\\", "true", "-1", "1e9", "10.0.0.0/8", "cookie", "Basic", "always",
            "99999999999999999999",
        ]
        func text() -> String {
            (0..<Int.random(in: 0...5, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
        }
        func value(_ depth: Int) -> JSON {
            switch Int.random(in: 0..<(depth > 0 ? 8 : 5), using: &random) {
            case 0: return .null
            case 1: return .int(Int64.random(in: Int64.min...Int64.max, using: &random))
            case 2: return .bool(true)
            case 5, 6: return .array((0..<2).map { _ in value(depth - 1) })
            case 7: return ["service": value(depth - 1), "name": value(0), "port": value(0), "number": value(0)]
            default: return .string(text())
            }
        }
        /// The object with one of its values exchanged.
        func spoiled(_ json: JSON, _ depth: Int = 0) -> JSON {
            if Int.random(in: 0..<6, using: &random) == 0 && depth > 1 { return value(2) }
            switch json {
            case .array(let all):
                return .array(all.map { spoiled($0, depth + 1) })
            case .object(let members):
                var result = JSON.null
                result = [:]
                for (key, item) in members.elements {
                    let isKept = depth < 2 && ["metadata", "name", "namespace", "ingressClassName"].contains(key)
                    result[key] = isKept && key != "metadata" ? item : spoiled(item, depth + 1)
                }
                return result
            default: return json
            }
        }
        let good = RouteObjects.ingress("good", host: "good.test", ["P / a"], created: "2020-01-01T00:00:00Z")
        var seen = (rewrites: 0, redirects: 0)
        for _ in 0..<Fuzz.runs(400) {
            var annotations: [String: String] = [:]
            for _ in 0..<3 {
                let start = ["", "", "/", "https://a"].randomElement(using: &random) ?? ""
                annotations[Self.annotations.randomElement(using: &random) ?? ""] = start + text()
            }
            let host = ["bad.test", text()].randomElement(using: &random) ?? ""
            var builder = RouteObjects.builder(services: ["a", "b"], good)
            var bad = RouteObjects.ingress("bad", host: host, ["P \(text())/ a", "E / b"], annotations: annotations)
            bad["spec", "tls"] = [["hosts": [.string(text())], "secretName": .string(text())]]
            builder.put(spoiled(bad), kind: .ingress)
            builder.put(spoiled(RouteObjects.service("b")), kind: .service)
            builder.put(spoiled(RouteObjects.slice("b", ["10.0.0.9", text()])), kind: .endpointSlice)
            builder.update()
            _ = (builder.certificates, builder.table.endpoints)
            #expect(!builder.problems.contains { $0.message.utf8.contains { $0 < 0x20 } }, "each is one line")
            #expect(builder.table.service("good.test", "/x") == "default/a")
            for target in ["/", "/" + text(), "/a?" + text()] {
                guard let match = builder.table.match(host, target, ["cookie": text(), "x": text()]) else { continue }
                let lines = Self.use(match, target, text)
                seen.rewrites += lines.rewrite == nil ? 0 : 1
                seen.redirects += lines.location == nil ? 0 : 1
                for line in [lines.rewrite, lines.location] {
                    #expect(line?.utf8.contains { $0 <= 0x20 || $0 == 0x7F } != true, "no line is broken out of")
                }
            }
        }
        #expect(seen.rewrites > 0 && seen.redirects > 0)
    }
}
