import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

/// What a request must get: the host, the target, its fields, and who answers (a Service, a status, or nil for 404).
private typealias Ask = (host: String, target: String, fields: [String: String], answer: String?)

private func expect(_ builder: RouteBuilder, _ asks: [Ask], isSecure: Bool = false) {
    for ask in asks {
        let answer = served(builder, ask.host, ask.target, ask.fields, isSecure: isSecure)
        #expect(answer == ask.answer, "\(ask.host)\(ask.target) \(ask.fields)")
    }
}

private func paths(_ asks: [(String, String?)]) -> [Ask] { asks.map { ("any.test", $0.0, [:], $0.1) } }

private func hosts(_ asks: [(String, String, String?)]) -> [Ask] { asks.map { ($0.0, $0.1, [:], $0.2) } }

/// The assertions of the core tests of Gateway API's conformance suite for HTTPRoutes; see ``GatewayConformanceTests``.
@Suite("Gateway API conformance: HTTPRoutes") struct HTTPRouteConformanceTests {
    @Test func HTTPRouteSimpleSameNamespace() {
        let builder = G.builder(G.gateway(), G.route())
        #expect(builder.parent("Accepted") == "True Accepted" && builder.parent("ResolvedRefs") == "True ResolvedRefs")
        expect(builder, paths([("/", "default/a")]))
    }

    @Test func HTTPRouteCrossNamespace() {
        let all = G.gateway([G.listener("http", from: ["from": "All"])])
        let route = G.route(
            namespace: "other", parents: [["name": "gw", "namespace": "default"]], [G.rule(to: [G.backend("d")])])
        let builder = G.builder(all, route)
        #expect(builder.parent("r", "Accepted", namespace: "other") == "True Accepted")
        expect(builder, paths([("/", "other/d")]))
    }

    @Test func HTTPRouteInvalidCrossNamespaceParentRef() {
        let route = G.route(namespace: "other", parents: [["name": "gw", "namespace": "default"]])
        let builder = G.builder(G.gateway(), route)
        #expect(builder.parent("r", "Accepted", namespace: "other") == "False NotAllowedByListeners")
        #expect(builder.listener("http")?["attachedRoutes"] == 0)
        expect(builder, paths([("/", nil)]))
    }

    @Test func HTTPRouteInvalidParentRefNotMatchingSectionName() {
        let builder = G.builder(G.gateway(), G.route(parents: [["name": "gw", "sectionName": "not-matching"]]))
        #expect(builder.parent("Accepted") == "False NoMatchingParent")
        #expect(builder.listener("http")?["attachedRoutes"] == 0)
    }

    @Test func HTTPRouteExactPathMatching() {
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/one", "Exact")], to: [G.backend("a")]),
                G.rule([G.path("/two", "Exact")], to: [G.backend("b")]),
            ]))
        expect(
            builder,
            paths([
                ("/one", "default/a"), ("/two", "default/b"), ("/", nil), ("/one/example", nil), ("/two/", nil),
                ("/Two", nil),
            ]))
    }

    @Test func HTTPRoutePathMatchOrder() {
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/match")], to: [G.backend("c")]),
                G.rule([G.path("/match/exact", "Exact"), G.path("/match/prefix/one")], to: [G.backend("b")]),
                G.rule([G.path("/match", "Exact"), G.path("/match/prefix")], to: [G.backend("a")]),
            ]))
        expect(
            builder,
            paths([
                ("/match/exact/one", "default/c"), ("/match/exact", "default/b"), ("/match", "default/a"),
                ("/match/prefix/one/any", "default/b"), ("/match/prefix/any", "default/a"),
                ("/match/any", "default/c"),
            ]))
    }

    @Test func HTTPRouteHeaderMatching() {
        func rule(_ sets: [[String: String]], _ service: String) -> JSON {
            G.rule(
                sets.map { pairs in
                    [
                        "headers": .array(
                            pairs.sorted { $0.key < $1.key }.map {
                                ["name": .string($0.key), "value": .string($0.value)]
                            })
                    ]
                }, to: [G.backend(service)])
        }
        let builder = G.builder(
            G.gateway(),
            G.route([
                rule([["version": "one"]], "a"), rule([["version": "two"]], "b"),
                rule([["version": "two", "color": "orange"]], "a"), rule([["color": "blue"], ["color": "green"]], "a"),
                rule([["color": "red"], ["color": "yellow"]], "b"),
            ]))
        expect(
            builder,
            [
                (["version": "one"], "default/a"), (["version": "two"], "default/b"),
                (["version": "two", "color": "orange"], "default/a"),
                (["version": "two", "color": "blue"], "default/b"),
                (["color": "orange"], nil), (["some-other-header": "one"], nil), (["color": "blue"], "default/a"),
                (["color": "green"], "default/a"), (["color": "red"], "default/b"), (["color": "yellow"], "default/b"),
                (["color": "purple"], nil),
            ].map { ("any.test", "/", $0.0, $0.1) })
    }

    private let versions: [JSON] = [
        G.rule([["headers": [["name": "version", "value": "one"]]], G.path("/")], to: [G.backend("a")]),
        G.rule([G.path("/v2"), ["headers": [["name": "version", "value": "two"]]]], to: [G.backend("b")]),
    ]

    @Test func HTTPRouteMatching() {
        let builder = G.builder(G.gateway(), G.route(versions))
        expect(builder, paths([("/", "default/a"), ("/example", "default/a"), ("/v2", "default/b")]))
        expect(builder, paths([("/v2/example", "default/b"), ("/v2/", "default/b"), ("/v2example", "default/a")]))
        expect(builder, paths([("/foo/v2/example", "default/a")]))
        for (version, service) in [("one", "default/a"), ("two", "default/b")] {
            expect(builder, [("any.test", "/", ["version": version], service)])
        }
    }

    @Test func HTTPRouteMatchingAcrossRoutes() {
        let builder = G.builder(
            G.gateway(), G.route("one", hosts: ["example.com", "example.net"], [versions[0]]),
            G.route("two", hosts: ["example.com"], [versions[1]]))
        expect(
            builder,
            hosts([
                ("example.com", "/", "default/a"), ("example.com", "/example", "default/a"),
                ("example.net", "/example", "default/a"), ("example.com", "/v2", "default/b"),
                ("example.net", "/v2", "default/a"), ("example.com", "/v2/example", "default/b"),
                ("example.net", "/v2/example", "default/a"),
            ]))
        expect(builder, [("example.com", "/example", ["version": "one"], "default/a")])
        expect(builder, [("example.com", "/", ["version": "two"], "default/b")])
    }

    @Test func HTTPRouteListenerHostnameMatching() {
        let names = ["bar.com", "foo.bar.com", "*.bar.com", "*.foo.com"]
        let listeners = names.enumerated().map { G.listener("listener-\($0.offset + 1)", host: $0.element) }
        func route(_ name: String, _ sections: [Int], _ service: String) -> JSON {
            let parents = sections.map { ["name": "gw", "sectionName": .string("listener-\($0)")] as JSON }
            return G.route(name, parents: parents, [G.rule(to: [G.backend(service)])])
        }
        let builder = G.builder(
            G.gateway(listeners), route("one", [1], "a"), route("two", [2], "b"), route("three", [3, 4], "c"))
        for place in 0..<2 { #expect(builder.parent("three", "Accepted", place: place) == "True Accepted") }
        expect(
            builder,
            hosts([
                ("bar.com", "/", "default/a"), ("foo.bar.com", "/", "default/b"), ("baz.bar.com", "/", "default/c"),
                ("boo.bar.com", "/", "default/c"), ("multiple.prefixes.bar.com", "/", "default/c"),
                ("multiple.prefixes.foo.com", "/", "default/c"), ("foo.com", "/", nil), ("no.matching.host", "/", nil),
            ]))
    }

    @Test func HTTPRouteHostnameIntersection() {
        let names = ["very.specific.com", "*.wildcard.io", "*.anotherwildcard.io"]
        let listeners = names.enumerated().map { G.listener("listener-\($0.offset + 1)", host: $0.element) }
        func route(_ path: String, _ hosts: [String], _ service: String) -> JSON {
            G.route(path, hosts: hosts, [G.rule([G.path("/" + path)], to: [G.backend(service)])])
        }
        let builder = G.builder(
            G.gateway(listeners),
            route("s1", ["non.matching.com", "*.nonmatchingwildcard.io", "very.specific.com"], "a"),
            route(
                "s2", ["non.matching.com", "wildcard.io", "foo.wildcard.io", "bar.wildcard.io", "foo.bar.wildcard.io"],
                "b"),
            route("s3", ["non.matching.com", "*.specific.com"], "c"), route("s4", ["*.anotherwildcard.io"], "a"),
            route("s5", ["specific.but.wrong.com", "wildcard.io"], "b"))
        for name in ["s1", "s2", "s3", "s4"] { #expect(builder.parent(name, "Accepted") == "True Accepted") }
        #expect(builder.parent("s5", "Accepted") == "False NoMatchingListenerHostname")
        for (name, count) in [("listener-1", 2), ("listener-2", 1), ("listener-3", 1)] as [(String, JSON)] {
            #expect(builder.listener(name)?["attachedRoutes"] == count)
        }
        let good: [(String, String, String?)] = [
            ("very.specific.com", "/s1", "default/a"), ("very.specific.com:1234", "/s1", "default/a"),
            ("foo.wildcard.io", "/s2", "default/b"), ("bar.wildcard.io", "/s2", "default/b"),
            ("foo.bar.wildcard.io", "/s2", "default/b"), ("very.specific.com", "/s3", "default/c"),
            ("foo.anotherwildcard.io", "/s4", "default/a"), ("bar.anotherwildcard.io", "/s4", "default/a"),
            ("foo.bar.anotherwildcard.io", "/s4", "default/a"),
        ]
        expect(builder, hosts(good))
        let asked = Set(good.map { $0.0 + $0.1 })
        for path in ["/s1", "/s2", "/s3", "/s4", "/s5", "/non-matching-prefix"] {
            for host in [
                "non.matching.com", "foo.nonmatchingwildcard.io", "wildcard.io", "anotherwildcard.io",
                "foo.specific.com", "specific.but.wrong.com", "very.specific.com", "foo.wildcard.io",
                "foo.anotherwildcard.io",
            ] where !asked.contains(host + path) {
                expect(builder, hosts([(host, path, nil)]))
            }
        }
    }

    @Test("HTTPRouteHostnameIntersection: a listener for all hosts serves those that the route names")
    func everyHost() {
        let names = ["first.com", "*.first.com", "second.com", "*.second.com"]
        let builder = G.builder(G.gateway(), G.route(hosts: names))
        for host in ["first.com", "sub.first.com", "second.com", "sub.second.com"] {
            expect(builder, hosts([(host, "/", "default/a")]))
        }
        expect(builder, hosts([("third.com", "/", nil), ("sub.third.com", "/", nil)]))
    }

    @Test func HTTPRouteMultipleRoutesAttachmentSameHostnameIntersection() {
        for (listener, older, newer) in [
            ("abc.example.com", "*.example.com", "abc.example.com"), ("*.example.com", "*.com", "*.example.com"),
        ] {
            let old = G.route("old", hosts: [older], created: "2025-01-01T00:00:00Z", [G.rule(to: [G.backend("a")])])
            let new = G.route("new", hosts: [newer], created: "2026-01-01T00:00:00Z", [G.rule(to: [G.backend("b")])])
            for objects in [[old, new], [new, old]] {
                let builder = G.builder([G.gateway([G.listener("http", host: listener)])] + objects)
                for name in ["old", "new"] { #expect(builder.parent(name, "ResolvedRefs") == "True ResolvedRefs") }
                expect(builder, hosts([("abc.example.com", "/", "default/b")]))
            }
        }
    }

    @Test func HTTPRouteHTTPSListener() {
        func secure(_ name: String, _ host: String?) -> JSON {
            G.listener(name, host: host, port: 443, more: ["tls": ["certificateRefs": [["name": "tls"]]]])
        }
        let builder = G.builder(
            G.gateway([secure("https", nil), secure("https-with-hostname", "second-example.org")]), G.secret("tls"),
            G.route("one", hosts: ["example.org"]),
            G.route(
                "two", parents: [["name": "gw", "sectionName": "https-with-hostname"]], [G.rule(to: [G.backend("b")])]))
        for name in ["one", "two"] { #expect(builder.parent(name, "Accepted") == "True Accepted") }
        expect(
            builder,
            hosts([
                ("example.org", "/", "default/a"), ("unknown-example.org", "/", nil),
                ("second-example.org", "/", "default/b"),
            ]), isSecure: true)
        // The certificate of a listener for all hosts is shown to those who ask for any.
        #expect(Set(builder.certificates.keys) == ["", "second-example.org"])
    }

    private func rules(_ backend: JSON, _ objects: JSON...) -> RouteBuilder {
        let rules = [G.rule([G.path("/v2")], to: [backend]), G.rule(to: [G.backend("a")])]
        return G.builder([G.gateway(), G.route(rules)] + objects)
    }

    @Test func HTTPRouteInvalidBackendRefUnknownKind() {
        let builder = rules(G.backend("a", more: ["kind": "NonExistent", "group": "unknown.example.com"]))
        #expect(builder.parent("ResolvedRefs") == "False InvalidKind" && builder.parent("Accepted") == "True Accepted")
        expect(builder, paths([("/v2", "500")]))
    }

    @Test func HTTPRouteInvalidNonExistentBackendRef() {
        let builder = rules(G.backend("nonexistent"))
        #expect(builder.parent("ResolvedRefs") == "False BackendNotFound")
        expect(builder, paths([("/v2", "500")]))
    }

    private let far = G.backend("d", more: ["namespace": "other"])

    @Test func HTTPRouteInvalidCrossNamespaceBackendRef() {
        let builder = rules(far)
        #expect(builder.parent("ResolvedRefs") == "False RefNotPermitted")
        expect(builder, paths([("/v2", "500")]))
    }

    @Test func HTTPRouteReferenceGrant() {
        for named in ["d", nil] {
            let builder = rules(far, G.grant(from: "HTTPRoute", in: "default", to: "Service", named: named))
            #expect(builder.parent("ResolvedRefs") == "True ResolvedRefs")
            expect(builder, paths([("/v2", "other/d")]))
        }
        var builder = rules(far, G.grant(from: "HTTPRoute", in: "default", to: "Service"))
        builder.remove(ObjectKey(.referenceGrant, namespace: "other", name: "grant"))
        builder.update()
        #expect(builder.parent("ResolvedRefs") == "False RefNotPermitted")
        expect(builder, paths([("/v2", "500")]))
    }

    @Test func HTTPRouteInvalidReferenceGrant() {
        for grant in [
            G.grant(from: "HTTPRoute", in: "default", to: "Service", named: "else"),
            G.grant(from: "HTTPRoute", in: "else", to: "Service"),
            G.grant(from: "Gateway", in: "default", to: "Service"),
            G.grant(from: "HTTPRoute", in: "default", to: "Secret"),
        ] {
            let builder = rules(far, grant)
            #expect(builder.parent("ResolvedRefs") == "False RefNotPermitted")
            expect(builder, paths([("/v2", "500"), ("/", "default/a")]))
        }
    }

    @Test func HTTPRoutePartiallyInvalidViaInvalidReferenceGrant() {
        let builder = rules(far, G.grant(from: "HTTPRoute", in: "default", to: "Service", named: "else"))
        #expect(builder.parent("Accepted") == "True Accepted")
        #expect(builder.parent("ResolvedRefs") == "False RefNotPermitted")
        expect(builder, paths([("/v2", "500"), ("/", "default/a")]))
    }

    @Test func HTTPRouteNoBackendRefs() {
        var omitted = G.rule([G.path("/omitted-no-forward")])
        omitted["backendRefs"] = nil
        let builder = G.builder(
            G.gateway(),
            G.route([G.rule([G.path("/forward")]), omitted, G.rule([G.path("/empty-no-forward")], to: [])]))
        #expect(builder.parent("Accepted") == "True Accepted" && builder.parent("ResolvedRefs") == "True ResolvedRefs")
        expect(
            builder, paths([("/forward", "default/a"), ("/omitted-no-forward", "500"), ("/empty-no-forward", "500")]))
    }

    @Test func HTTPRouteAllBackendsWeightZero() {
        let rule = G.rule(to: [G.backend("a", weight: 0), G.backend("b", weight: 0)])
        let builder = G.builder(G.gateway(), G.route([rule]))
        #expect(builder.parent("ResolvedRefs") == "True ResolvedRefs")
        expect(builder, paths([("/", "500")]))
    }

    @Test func HTTPRouteWeight() {
        let rule = G.rule(
            to: [G.backend("a", weight: 70), G.backend("b", weight: 30), G.backend("c", weight: 0)])
        let builder = G.builder(G.gateway(), G.route([rule]))
        var random = SplitMix64(seed: 1)
        var counts: [String: Int] = [:]
        for _ in 0..<5000 { counts[served(builder, "any.test", draw: random.next()) ?? "", default: 0] += 1 }
        #expect(counts["default/c"] == nil)
        #expect(abs((counts["default/a"] ?? 0) - 3500) < 250 && abs((counts["default/b"] ?? 0) - 1500) < 250)
    }

    @Test func HTTPRouteServiceTypes() {
        var builder = G.builder(
            G.gateway(),
            G.route(
                ["manual", "headless", "headless-manual"].map { name in
                    G.rule([G.path("/" + name, "Exact")], to: [G.backend(name)])
                }))
        for name in ["manual", "headless", "headless-manual"] {
            var service = RouteObjects.service(name)
            service["spec", "clusterIP"] = name == "manual" ? "10.96.0.9" : "None"
            service["spec", "ports"] = [["name": "first-port", "port": 8080, "targetPort": 3000]]
            builder.put(service, kind: .service)
            for (family, address) in [("ip4", "10.0.7.1"), ("ip6", "fd00::7:1")] {
                var slice = RouteObjects.slice(name, [address])
                slice["metadata", "name"] = .string("\(name)-\(family)")
                slice["ports"] = [["name": "first-port", "port": 3000]]
                builder.put(slice, kind: .endpointSlice)
            }
        }
        builder.update()
        #expect(builder.parent("ResolvedRefs") == "True ResolvedRefs")
        for name in ["manual", "headless", "headless-manual"] {
            let slot = builder.table.match("any.test", "/" + name, isSecure: false)?.route.backend(draw: 0)?.slot
            let pods = slot.map { builder.table.backends[$0].endpoints }
            #expect(pods == [.ip("10.0.7.1", port: 3000), .ip("fd00::7:1", port: 3000)])
        }
    }

    @Test func HTTPRouteRequestHeaderModifier() {
        func filter(_ changes: JSON) -> [JSON] {
            [["type": "RequestHeaderModifier", "requestHeaderModifier": changes]]
        }
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule(
                    [G.path("/set")], filter(["set": [["name": "X-Header-Set", "value": "set-overwrites-values"]]])),
                G.rule([G.path("/add")], filter(["add": [["name": "X-Header-Add", "value": "add-appends-values"]]])),
                G.rule([G.path("/remove")], filter(["remove": ["X-Header-Remove"]])),
            ]))
        func changes(_ path: String) -> FieldChanges? {
            builder.table.match("any.test", path, isSecure: false)?.route.policy.filters.requestFields
        }
        // What becomes of fields by these is held by the tests of the ingress.
        #expect(changes("/set")?.set.map { [$0.name, $0.value] } == [["X-Header-Set", "set-overwrites-values"]])
        #expect(changes("/add")?.add.map { [$0.name, $0.value] } == [["X-Header-Add", "add-appends-values"]])
        #expect(changes("/remove") == FieldChanges(remove: ["X-Header-Remove"]))
    }

    @Test func HTTPRouteRedirectHostAndStatus() {
        func filter(_ redirect: JSON) -> [JSON] { [["type": "RequestRedirect", "requestRedirect": redirect]] }
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/hostname-redirect")], to: [], filter(["hostname": "example.org"])),
                G.rule([G.path("/host-and-status")], to: [], filter(["hostname": "example.org", "statusCode": 301])),
            ]))
        for (path, status) in [("/hostname-redirect", 302), ("/host-and-status", 301)] {
            let match = builder.table.match("any.test", path, isSecure: false)
            let redirect = match?.route.policy.filters.redirect
            #expect(redirect?.status == status)
            let location = redirect?.location(
                host: "any.test", target: path, isSecure: false, matched: match!.path, listener: match?.listener)
            #expect(location == "http://example.org" + path)
        }
    }
}
