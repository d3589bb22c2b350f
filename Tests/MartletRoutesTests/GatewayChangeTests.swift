import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

@Suite("Gateways under change") struct GatewayChangeTests {
    private static let hosts = ["a.test", "b.test", "*.test", "x.a.test", "*.a.test"]

    /// What a table answers to many requests, and what all status says.
    private func answers(_ builder: RouteBuilder) -> [String] {
        var all: [String] = []
        for host in Self.hosts.map({ $0.replacing("*", with: "any") }) + ["other"] {
            for path in ["/", "/a", "/b/c"] {
                for isSecure in [false, true] {
                    let answer = served(builder, host, path, isSecure: isSecure) ?? "-"
                    let listener = builder.table.match(host, path, isSecure: isSecure)?.listener
                    all.append("\(host)\(path) \(isSecure) \(answer) \(listener?.port ?? 0)")
                }
            }
        }
        let certificates = builder.certificates.mapValues { String(decoding: $0.certificatePEM, as: UTF8.self) }
        all += certificates.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" } + builder.problems.map(\.message)
        for wish in builder.statusWishes {
            let status = wish.status(now: "now", addresses: ["192.0.2.1"]).map { "\($0)" } ?? "-"
            all.append("\(wish.key.kind.plural) \(wish.key.namespace)/\(wish.key.name) \(status)")
        }
        return all
    }

    private func pick<T>(_ values: [T], _ random: inout SplitMix64) -> T {
        values[Int.random(in: 0..<values.count, using: &random)]
    }

    private func listener(_ number: Int, _ random: inout SplitMix64) -> JSON {
        let isSecure = pick([true, false], &random)
        let tls: JSON = [
            "tls": ["certificateRefs": [pick([["name": "tls"], ["name": "far", "namespace": "other"]], &random)]]
        ]
        return G.listener(
            "l\(number)", host: pick(Self.hosts + [""], &random),
            port: isSecure ? 443 : pick([80, 80, 80, 81], &random),
            from: pick([["from": "All"], ["from": "Same"], Self.chosen], &random), more: isSecure ? tls : [:])
    }

    private static let chosen: JSON = ["from": "Selector", "selector": ["matchLabels": ["team": "x"]]]

    private func route(_ random: inout SplitMix64) -> JSON {
        let namespace = pick(["default", "other"], &random)
        let parents = (0..<Int.random(in: 1...2, using: &random)).map { _ -> JSON in
            var parent: JSON = [
                "name": .string("g\(Int.random(in: 0..<3, using: &random))"),
                "namespace": .string(pick(["default", "default", "other"], &random)),
            ]
            if pick([true, false], &random) { parent["sectionName"] = pick(["l0", "l1"], &random) }
            return parent
        }
        let backend = pick([G.backend("a"), G.backend("gone"), G.backend("d", more: ["namespace": "other"])], &random)
        let path = pick(["/", "/a", "/b"], &random)
        return G.route(
            "r\(Int.random(in: 0..<6, using: &random))", namespace: namespace,
            hosts: pick([[], [pick(Self.hosts, &random)], ["a.test", "*.test"]], &random), parents: parents,
            created: pick(["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"], &random),
            [G.rule([G.path(path)], to: [backend])])
    }

    private func object(_ random: inout SplitMix64) -> JSON {
        switch Int.random(in: 0..<10, using: &random) {
        case 0...4: return route(&random)
        case 5, 6:
            let listeners = (0..<Int.random(in: 1...3, using: &random)).map { listener($0, &random) }
            return G.gateway(
                "g\(Int.random(in: 0..<3, using: &random))",
                namespace: pick(["default", "default", "other"], &random),
                created: pick(["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"], &random), listeners)
        case 7 where pick([true, false], &random):
            var ingress = RouteObjects.ingress(
                "i\(Int.random(in: 0..<2, using: &random))", host: pick(Self.hosts, &random),
                created: pick(["2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z"], &random))
            ingress["spec", "tls"] = [["hosts": [.string(pick(Self.hosts, &random))], "secretName": "tls"]]
            return ingress
        case 7: return pick([G.secret("tls"), G.secret("far", namespace: "other")], &random)
        case 8:
            return pick(
                [
                    G.grant(from: "Gateway", in: "default", to: "Secret"),
                    G.grant(from: "HTTPRoute", in: "default", to: "Service"),
                    G.namespace("default", ["team": "x"]), G.namespace("default"), G.namespace("other"),
                ], &random)
        default:
            var gatewayClass = G.gatewayClass
            if pick([true, false, false], &random) { gatewayClass["spec", "controllerName"] = "example.com/other" }
            return gatewayClass
        }
    }

    @Test("after any changes table and status say what one built anew says")
    func fuzzedChanges() {
        var random = SplitMix64(seed: Fuzz.seed(13))
        var builder = G.builder()
        var objects: [ObjectKey: JSON] = [:]
        for object in [G.gatewayClass, G.namespace("default"), G.namespace("other", ["team": "x"])] {
            objects[ObjectKey(G.kind(of: object), namespace: object.namespace, name: object.name)] = object
        }
        for round in 0..<Fuzz.runs(400) {
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                var object = object(&random)
                let key = ObjectKey(G.kind(of: object), namespace: object.namespace, name: object.name)
                if key.kind != .namespace, Int.random(in: 0..<4, using: &random) == 0 {
                    objects[key] = nil
                    builder.remove(key)
                    continue
                }
                // Some changes are of the status alone.
                if let known = objects[key], pick([true, false, false], &random) {
                    object = known
                    object["status"] = builder.status(key.kind, key.name, namespace: key.namespace) ?? known["status"]
                }
                objects[key] = object
                builder.put(object, kind: key.kind)
            }
            builder.update()
            var fresh = RouteObjects.builder(services: ["a", "b", "c"])
            RouteObjects.put(services: ["d"], namespace: "other", in: &fresh)
            for (key, object) in objects { fresh.put(object, kind: key.kind) }
            fresh.update()
            let (have, want) = (answers(builder), answers(fresh))
            guard have == want else {
                Issue.record("round \(round): \(zip(have, want).filter { $0 != $1 }.prefix(5))")
                return
            }
        }
    }

    @Test("a change tells of the status that it changes alone")
    func wishes() {
        var builder = G.builder(
            G.gateway([G.listener("http", from: ["from": "All"])]), G.route("one", hosts: ["one.test"]),
            G.route("two", hosts: ["two.test"]))
        #expect(Set(builder.takeStatusWishes().map(\.key.name)) == ["martlet", "gw", "one", "two"])
        func told() -> Set<String> {
            builder.update()
            return Set(builder.takeStatusWishes().map(\.key.name))
        }
        #expect(told() == [])
        builder.put(G.route("two", hosts: ["else.test"]), kind: .httpRoute)
        #expect(told() == ["two"])
        builder.put(G.route("three"), kind: .httpRoute)
        #expect(told() == ["three", "gw"], "the Gateway counts one more")
        builder.put(G.gateway([G.listener("http", from: ["from": "Same"])]), kind: .gateway)
        #expect(told() == ["one", "two", "three", "gw"])
        let renewed = "-----BEGIN CERTIFICATE-----\nrenewed\n-----END CERTIFICATE-----\n"
        let secret = ["tls": ["certificateRefs": [["name": "tls"]]]] as JSON
        builder.put(
            G.gateway([
                G.listener("http", from: ["from": "Same"]),
                G.listener("more", host: "one.test", port: 443, from: ["from": "Same"], more: secret),
            ]), kind: .gateway)
        #expect(told() == ["one", "three", "gw"], "no host of the listener is two's; three takes every host")
        builder.put(G.secret("tls"), kind: .secret)
        #expect(told() == ["one", "three", "gw"], "the listener is served now")
        builder.put(G.secret("tls", certificate: renewed), kind: .secret)
        #expect(told() == ["gw"], "a renewed certificate is no route's business")
        builder.put(G.namespace("default", ["team": "x"]), kind: .namespace)
        #expect(told() == [], "no listener asks for labels")
        builder.put(G.gateway([G.listener("http", from: ["from": "Same"])]), kind: .gateway)
        #expect(told() == ["one", "three", "gw"])
        builder.remove(ObjectKey(.httpRoute, namespace: "default", name: "three"))
        #expect(told() == ["gw"])
    }
}
