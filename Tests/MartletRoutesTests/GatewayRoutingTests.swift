import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

/// What the assertions of Gateway API's HTTP tests ask, as far as it is decided by the table.
@Suite("Gateway API: routing") struct GatewayRoutingTests {
    @Test("HTTPRouteSimpleSameNamespace, HTTPRouteServiceTypes: a route leads to its Service's pods")
    func simple() {
        let builder = G.builder(G.gateway(), G.route())
        #expect(served(builder, "any.test") == "default/a")
        let slot = builder.table.match("x", isSecure: false)?.route.backend(draw: 0)?.slot
        #expect(slot.map { builder.table.backends[$0].endpoints } == [.ip("10.0.0.1", port: 8001)])
        #expect(served(builder, "any.test", isSecure: true) == nil, "it has a listener for HTTP alone")
    }

    @Test("HTTPRouteMatching: paths and fields in their order of precedence")
    func matching() {
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/"), ["headers": [["name": "version", "value": "one"]]]], to: [G.backend("a")]),
                G.rule([G.path("/v2"), ["headers": [["name": "version", "value": "two"]]]], to: [G.backend("b")]),
                G.rule(
                    [G.path("/v2/example", more: ["headers": [["name": "version", "value": "two"]]])],
                    to: [G.backend("c")]),
            ]))
        for (target, fields, service) in [
            ("/", [:], "a"), ("/example", [:], "a"), ("/", ["version": "one"], "a"), ("/v2", [:], "b"),
            ("/v2/", [:], "b"), ("/v2example", [:], "a"), ("/foo/v2/example", [:], "a"),
            ("/", ["version": "two"], "b"), ("/v2/example", ["version": "two"], "c"), ("/v2/example", [:], "b"),
            ("/v2example", ["version": "two"], "b"), ("/%76%32", [:], "b"),
        ] {
            #expect(served(builder, "h.test", target, fields) == "default/" + service, "\(target) \(fields)")
        }
    }

    @Test("HTTPRouteMatchingAcrossRoutes: routes of one host are one list")
    func acrossRoutes() {
        let builder = G.builder(
            G.gateway(),
            G.route(
                "part1", hosts: ["example.com", "example.net"],
                [
                    G.rule([G.path("/"), ["headers": [["name": "version", "value": "one"]]]], to: [G.backend("a")])
                ]),
            G.route(
                "part2", hosts: ["example.com"], created: "2026-01-02T00:00:00Z",
                [
                    G.rule([G.path("/v2"), ["headers": [["name": "version", "value": "two"]]]], to: [G.backend("b")])
                ]))
        for (host, target, fields, service) in [
            ("example.com", "/", [:], "a"), ("example.com", "/example", [:], "a"),
            ("example.net", "/example", [:], "a"), ("example.com", "/example", ["version": "one"], "a"),
            ("example.com", "/v2", [:], "b"), ("example.net", "/v2", [:], "a"),
            ("example.com", "/v2/example", ["version": "two"], "b"), ("example.com", "/", ["version": "two"], "b"),
        ] {
            #expect(served(builder, host, target, fields) == "default/" + service, "\(host)\(target) \(fields)")
        }
    }

    @Test("HTTPRouteExactPathMatching, HTTPRoutePathMatchOrder: Exact, then the longest prefix, wherever they stand")
    func pathOrder() {
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/match")], to: [G.backend("a")]),
                G.rule([G.path("/match/exact", "Exact")], to: [G.backend("b")]),
                G.rule([G.path("/match/prefix")], to: [G.backend("c")]),
                G.rule([G.path("/match/prefix/one", "Exact")], to: [G.backend("b")]),
                G.rule([G.path("/re/[0-9]+", "RegularExpression")], to: [G.backend("c")]),
                G.rule([G.path("/two", "Exact"), G.path("/one", "Exact")], to: [G.backend("a")]),
            ]))
        for (target, service) in [
            ("/match/exact", "default/b"), ("/match/exact/one", "default/a"), ("/match", "default/a"),
            ("/match/prefix/any", "default/c"), ("/match/prefix/one", "default/b"), ("/re/12", "default/c"),
            ("/re/12/x", nil), ("/one", "default/a"), ("/two", "default/a"), ("/two/", nil), ("/Two", nil), ("/", nil),
        ] as [(String, String?)] {
            #expect(served(builder, "h.test", target) == service, "\(target)")
        }
    }

    @Test("HTTPRouteHeaderMatching: names in any case, values exact, all of them, the most of them first")
    func headers() {
        func rule(_ pairs: [(String, String)], _ service: String) -> JSON {
            G.rule(
                [["headers": .array(pairs.map { ["name": .string($0), "value": .string($1)] })]],
                to: [G.backend(service)])
        }
        let builder = G.builder(
            G.gateway(),
            G.route([
                rule([("version", "one")], "a"), rule([("Version", "two")], "b"),
                rule([("version", "two"), ("color", "orange")], "a"), rule([("color", "blue")], "a"),
                rule([("color", "blue"), ("COLOR", "red")], "c"),
            ]))
        for (fields, service) in [
            (["version": "one"], "default/a"), (["version": "two"], "default/b"),
            (["version": "two", "color": "orange"], "default/a"), (["color": "blue"], "default/a"),
            (["color": "orange"], nil), (["version": "TWO"], nil), ([:], nil), (["version": "one, two"], nil),
        ] as [([String: String], String?)] {
            #expect(served(builder, "h.test", "/", fields) == service, "\(fields)")
        }
    }

    @Test("HTTPRouteQueryParamMatching, HTTPRouteMethodMatching: what they ask holds, the more first")
    func queryAndMethod() {
        func query(_ pairs: [(String, String)]) -> JSON {
            ["queryParams": .array(pairs.map { ["name": .string($0), "value": .string($1)] })]
        }
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([query([("animal", "whale")])], to: [G.backend("a")]),
                G.rule([query([("animal", "dolphin")]), ["method": "DELETE"]], to: [G.backend("b")]),
                G.rule([query([("animal", "dolphin"), ("color", "blue")])], to: [G.backend("c")]),
                G.rule([G.path("/p", more: ["method": "POST"])], to: [G.backend("c")]),
            ]))
        for (method, target, service) in [
            ("GET", "/?animal=whale", "default/a"), ("GET", "/?animal=dolphin", "default/b"),
            ("GET", "/?animal=dolphin&color=blue", "default/c"), ("GET", "/?color=blue", nil),
            ("GET", "/?animal=Whale", nil), ("GET", "/?animal=wh%61le&x", "default/a"),
            ("GET", "/?animal=whale&animal=dolphin", "default/a"), ("DELETE", "/?animal=whale", "default/b"),
            ("POST", "/p/x?animal=whale", "default/c"), ("GET", "/", nil), ("GET", "/?animal", nil),
        ] as [(String, String, String?)] {
            #expect(served(builder, "h.test", target, method: method) == service, "\(method) \(target)")
        }
    }

    @Test("of equal matches the oldest route goes first, then its name, then the place within it")
    func ties() {
        let builder = G.builder(
            G.gateway(), G.route("b", created: "2025-01-01T00:00:00Z", [G.rule([G.path("/x")], to: [G.backend("b")])]),
            G.route("a", created: "2026-01-01T00:00:00Z", [G.rule([G.path("/x")], to: [G.backend("a")])]),
            G.route("c", [G.rule([G.path("/y")], to: [G.backend("c")]), G.rule([G.path("/y")], to: [G.backend("a")])]),
            G.route("d", [G.rule([G.path("/y")], to: [G.backend("b")])]))
        #expect(served(builder, "h.test", "/x") == "default/b")
        #expect(served(builder, "h.test", "/y") == "default/c")
    }

    @Test("HTTPRouteHostnameIntersection, HTTPRouteListenerHostnameMatching, GatewayHTTPListenerIsolation")
    func hostnames() {
        let listeners = [
            G.listener("exact", host: "very.specific.com"), G.listener("wild", host: "*.wildcard.io"),
            G.listener("deep", host: "*.deep.wildcard.io"), G.listener("any"),
        ]
        let builder = G.builder(
            G.gateway(listeners),
            G.route(
                "one", hosts: ["non.matching.com", "*.specific.com"],
                parents: [["name": "gw", "sectionName": "exact"]],
                [
                    G.rule([G.path("/s1")], to: [G.backend("a")])
                ]),
            G.route(
                "two", hosts: ["foo.wildcard.io", "wildcard.io"], parents: [["name": "gw", "sectionName": "wild"]],
                [
                    G.rule([G.path("/s2")], to: [G.backend("b")])
                ]),
            G.route(
                "three", parents: [["name": "gw", "sectionName": "deep"]],
                [
                    G.rule(to: [G.backend("c")])
                ]),
            G.route(
                "four", hosts: ["*.io"], parents: [["name": "gw", "sectionName": "any"]],
                [
                    G.rule(to: [G.backend("a")])
                ]))
        for (host, target, service) in [
            ("very.specific.com", "/s1", "default/a"), ("non.matching.com", "/s1", nil),
            ("foo.specific.com", "/s1", nil), ("very.specific.com", "/", nil), ("foo.wildcard.io", "/s2", "default/b"),
            ("bar.wildcard.io", "/s2", nil), ("wildcard.io", "/s2", "default/a"),
            ("a.b.deep.wildcard.io", "/", "default/c"), ("deep.wildcard.io", "/", nil), ("x.y.io", "/", "default/a"),
            ("io", "/", nil),
        ] as [(String, String, String?)] {
            #expect(served(builder, host, target) == service, "\(host)\(target)")
        }
    }

    @Test("HTTPRouteWeight, HTTPRouteAllBackendsWeightZero, HTTPRouteInvalidNonExistentBackendRef: shares and failures")
    func weights() {
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule(
                    [G.path("/w")],
                    to: [G.backend("a", weight: 70), G.backend("b", weight: 30), G.backend("c", weight: 0)]),
                G.rule([G.path("/zero")], to: [G.backend("a", weight: 0), G.backend("b", weight: 0)]),
                G.rule([G.path("/half")], to: [G.backend("a"), G.backend("gone")]),
                G.rule([G.path("/none")], to: []),
            ]))
        var counts: [String: Int] = [:]
        for draw in 0..<1000 as Range<UInt64> {
            counts[served(builder, "h.test", "/w", draw: draw) ?? "", default: 0] += 1
        }
        #expect(counts == ["default/a": 700, "default/b": 300])
        #expect(served(builder, "h.test", "/zero") == "500" && served(builder, "h.test", "/none") == "500")
        #expect(Set((0..<4).map { served(builder, "h.test", "/half", draw: $0) }) == ["default/a", "500"])
    }

    @Test("HTTPRouteRequestHeaderModifier, HTTPRouteResponseHeaderModifier, of rules and of backends")
    func fields() {
        let changes: JSON = [
            "set": [["name": "X-Set", "value": "1"], ["name": "x-set", "value": "2"]],
            "add": [["name": "X-Add", "value": "a"]], "remove": ["X-Gone"],
        ]
        let filters: [JSON] = [
            ["type": "RequestHeaderModifier", "requestHeaderModifier": changes],
            ["type": "ResponseHeaderModifier", "responseHeaderModifier": changes],
        ]
        let builder = G.builder(
            G.gateway(),
            G.route([G.rule([], to: [G.backend("a", more: ["filters": .array(filters)])], filters)]))
        let route = builder.table.match("h.test", isSecure: false)?.route
        for filters in [route?.policy.filters, route?.backends[0].filters] {
            for changes in [filters?.requestFields, filters?.responseFields] {
                #expect(changes?.set.map(\.value) == ["1"] && changes?.add.map(\.name) == ["X-Add"])
                #expect(changes?.remove == ["X-Gone"])
            }
        }
        let bad: JSON = [
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": ["set": [["name": "X", "value": "a\r\nEvil: b"]]],
        ]
        let two = G.route([G.rule([G.path("/bad")], [bad]), G.rule([G.path("/good")])])
        #expect(served(G.builder(G.gateway(), two), "h.test", "/bad") == "500")
    }

    private func location(_ redirect: JSON, host: String = "h.test", _ target: String = "/a/b?q", prefix: String = "/a")
        -> String?
    {
        let builder = G.builder(
            G.gateway(),
            G.route([G.rule([G.path(prefix)], to: [], [["type": "RequestRedirect", "requestRedirect": redirect]])]))
        guard let match = builder.table.match(host, target, isSecure: false) else { return nil }
        return match.route.policy.filters.redirect?.location(
            host: host, target: target, isSecure: false, matched: match.path, listener: match.listener)
    }

    @Test("HTTPRouteRedirectHostAndStatus, ...Path, ...Port, ...Scheme: the location's parts")
    func redirects() {
        #expect(location(["hostname": "example.org"]) == "http://example.org/a/b?q")
        #expect(location(["scheme": "https"]) == "https://h.test/a/b?q")
        #expect(location(["port": 8083]) == "http://h.test:8083/a/b?q")
        #expect(location(["scheme": "https", "port": 443]) == "https://h.test/a/b?q")
        #expect(location(["scheme": "https", "port": 80]) == "https://h.test:80/a/b?q")
        #expect(location([:], host: "h.test:80") == "http://h.test/a/b?q")
        let full: JSON = ["type": "ReplaceFullPath", "replaceFullPath": "/full"]
        #expect(location(["path": full]) == "http://h.test/full?q")
        func prefix(_ value: String) -> JSON {
            ["path": ["type": "ReplacePrefixMatch", "replacePrefixMatch": .string(value)]]
        }
        for (value, target, prefixed, result) in [
            ("/xyz", "/foo/bar", "/foo", "/xyz/bar"), ("/xyz/", "/foo/bar", "/foo", "/xyz/bar"),
            ("/xyz", "/foo/bar", "/foo/", "/xyz/bar"), ("/xyz", "/foo", "/foo", "/xyz"),
            ("/xyz", "/foo/", "/foo", "/xyz/"), ("/", "/foo/bar", "/foo", "/bar"), ("", "/foo", "/foo", "/"),
            ("/", "/foo", "/foo", "/"), ("/x", "/foo", "/", "/x/foo"),
        ] {
            #expect(location(prefix(value), target, prefix: prefixed) == "http://h.test" + result, "\(value) \(target)")
        }
        #expect(location(["hostname": "a b"]) == nil, "a route all of whose rules are bad is not attached")
    }

    @Test("HTTPRouteRewriteHost, HTTPRouteRewritePath")
    func rewrites() {
        let rewrite: JSON = [
            "type": "URLRewrite",
            "urlRewrite": [
                "hostname": "one.example.org", "path": ["type": "ReplacePrefixMatch", "replacePrefixMatch": "/one"],
            ],
        ]
        let builder = G.builder(G.gateway(), G.route([G.rule([G.path("/prefix/one")], [rewrite])]))
        let match = builder.table.match("h.test", "/prefix/one/two?x=y", isSecure: false)
        let filters = match?.route.policy.filters.rewrite
        #expect(filters?.host == "one.example.org")
        #expect(filters?.target("/prefix/one/two?x=y", matched: match!.path) == "/one/two?x=y")
    }

    @Test("HTTPRouteRequestMirror, HTTPRouteTimeoutRequest, HTTPRouteBackendProtocolH2C")
    func rest() {
        var rule = G.rule(
            [],
            [
                [
                    "type": "RequestMirror",
                    "requestMirror": ["backendRef": G.backend("b"), "fraction": ["numerator": 1, "denominator": 3]],
                ]
            ])
        rule["timeouts"] = ["request": "1m500ms", "backendRequest": "10s"]
        var service = RouteObjects.service("a")
        service["spec", "ports"] = [["name": "alt", "port": 8080, "appProtocol": "kubernetes.io/h2c"]]
        let builder = G.builder(G.gateway(), G.route([rule]), service)
        let policy = builder.table.match("h.test", isSecure: false)?.route.policy
        #expect(policy?.filters.mirrors.first.map { builder.table.backends[$0.slot].service } == "default/b")
        #expect(policy?.filters.mirrors.first?.whole == 3)
        #expect(policy?.timeouts.request == .milliseconds(60_500) && policy?.timeouts.backendRequest == .seconds(10))
        let slot = builder.table.match("h.test", isSecure: false)?.route.backends[0].slot
        #expect(slot.map { builder.table.backends[$0].protocolHint } == .h2c)
    }

    @Test("Ingresses and Gateways share the hosts: the more exact one has a request")
    func both() {
        var builder = G.builder(G.gateway(), G.route(hosts: ["*.test"]))
        builder.put(RouteObjects.ingress("i", host: "h.test", ["P /own b"]), kind: .ingress)
        builder.update()
        #expect(served(builder, "h.test", "/own") == "default/b")
        #expect(served(builder, "h.test", "/x") == "default/a" && served(builder, "g.test", "/own") == "default/a")
        #expect(builder.table.hosts == ["h.test"])
    }
}
