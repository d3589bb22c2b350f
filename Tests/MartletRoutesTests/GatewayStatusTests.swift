import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

@Suite("Gateway API: status") struct GatewayStatusTests {
    @Test("GatewayClass: ours is accepted, a foreign one is left alone, parameters are refused")
    func classes() {
        let builder = G.builder()
        let condition = builder.status(.gatewayClass, "martlet")?["conditions"]?[0]
        #expect(
            condition?["type"] == "Accepted" && condition?["status"] == "True" && condition?["reason"] == "Accepted")
        #expect(condition?["observedGeneration"] == 1 && condition?["lastTransitionTime"] == "2026-02-02T00:00:00Z")
        var foreign = G.gatewayClass
        foreign["spec", "controllerName"] = "example.com/other"
        #expect(
            G.builder(foreign, G.gateway(), G.route()).statusWishes.compactMap { $0.status(now: "", addresses: []) }
                .isEmpty)
        var parameters = G.gatewayClass
        parameters["spec", "parametersRef"] = ["group": "", "kind": "ConfigMap", "name": "x"]
        #expect(
            G.builder(parameters).status(.gatewayClass, "martlet")?["conditions"]?[0]?["reason"] == "InvalidParameters")
    }

    @Test("Gateway: accepted, programmed, with its address and the routes of each listener")
    func gateway() {
        let builder = G.builder(
            G.gateway([G.listener("http", from: ["from": "All"]), G.listener("other", host: "o.test")]),
            G.route("r1"), G.route("r2", hosts: ["x.test"]),
            G.route("r3", namespace: "other", parents: [["name": "gw", "namespace": "default"]]))
        #expect(builder.gateway("Accepted") == "True Accepted" && builder.gateway("Programmed") == "True Programmed")
        #expect(builder.status(.gateway, "gw")?["addresses"]?[0]?["value"] == "192.0.2.1")
        #expect(builder.listener("http")?["attachedRoutes"] == 3 && builder.listener("other")?["attachedRoutes"] == 1)
        for (type, text) in [
            ("Accepted", "True Accepted"), ("Programmed", "True Programmed"), ("ResolvedRefs", "True ResolvedRefs"),
            ("Conflicted", "False NoConflicts"),
        ] {
            #expect(builder.gateway(type, "http") == text)
        }
        #expect(
            builder.listener("http")?["supportedKinds"] == [
                ["group": "gateway.networking.k8s.io", "kind": "HTTPRoute"]
            ])
        let wish = builder.statusWishes.first { $0.key.kind == .gateway }
        let early = wish?.status(now: "t", addresses: [])?["conditions"]?.array?.last
        #expect(early?["reason"] == "AddressNotAssigned" && early?["status"] == "False")
    }

    @Test("GatewayInvalidRouteKind, GatewayInvalidListenersUnsupportedProtocol, conflicts, ports")
    func listenerFaults() {
        func with(_ listeners: JSON...) -> RouteBuilder { G.builder(G.gateway(listeners), G.route()) }
        let kinds: JSON = ["namespaces": ["from": "Same"], "kinds": [["kind": "InvalidRoute"]]]
        let invalid = with(G.listener("http", more: ["allowedRoutes": kinds]))
        #expect(invalid.gateway("ResolvedRefs", "http") == "False InvalidRouteKinds")
        #expect(invalid.listener("http")?["supportedKinds"] == [] && invalid.listener("http")?["attachedRoutes"] == 0)
        var mixed = kinds
        mixed["kinds"] = [["kind": "InvalidRoute"], ["kind": "HTTPRoute"]]
        let half = with(G.listener("http", more: ["allowedRoutes": mixed]))
        #expect(half.gateway("ResolvedRefs", "http") == "False InvalidRouteKinds")
        #expect(half.listener("http")?["supportedKinds"]?.array?.count == 1)
        let udp = with(G.listener("udp", more: ["protocol": "UDP"]), G.listener("http", port: 8080))
        #expect(udp.gateway("Accepted", "udp") == "False UnsupportedProtocol")
        #expect(udp.gateway("Accepted", "http") == "False PortUnavailable")
        #expect(udp.gateway("Accepted") == "False ListenersNotValid" && udp.gateway("Programmed") == "False Invalid")
        let twins = with(G.listener("one", host: "a.test"), G.listener("two", host: "A.test"), G.listener("three"))
        #expect(twins.gateway("Conflicted", "one") == "True HostnameConflict")
        #expect(twins.gateway("Conflicted", "three") == "False NoConflicts")
        #expect(twins.gateway("Accepted") == "True ListenersNotValid")
        let mess = with(G.listener("one"), G.listener("two", host: "a.test", more: ["protocol": "HTTPS"]))
        #expect(mess.gateway("Conflicted", "two") == "True ProtocolConflict")
    }

    private func tls(_ reference: JSON, _ objects: JSON...) -> RouteBuilder {
        let listener = G.listener(
            "https", host: "h.test", port: 443, more: ["tls": ["certificateRefs": [reference]]])
        return G.builder([G.gateway([listener]), G.route()] + objects)
    }

    @Test("GatewayInvalidTLSConfiguration, GatewaySecret...ReferenceGrant: certificates and who may name them")
    func certificates() {
        func resolved(_ builder: RouteBuilder) -> String? { builder.gateway("ResolvedRefs", "https") }
        let good = tls(["name": "tls"], G.secret("tls"))
        #expect(resolved(good) == "True ResolvedRefs" && good.gateway("Programmed", "https") == "True Programmed")
        #expect(good.certificates["h.test"] != nil && good.table.match("h.test")?.listener?.isSecure == true)
        #expect(good.table.match("h.test", isSecure: false) == nil)
        let missing = tls(["name": "tls"])
        #expect(resolved(missing) == "False InvalidCertificateRef")
        #expect(missing.gateway("Programmed", "https") == "False Invalid" && missing.table.match("h.test") == nil)
        #expect(missing.listener("https")?["attachedRoutes"] == 1 && missing.parent("Accepted") == "True Accepted")
        #expect(resolved(tls(["name": "tls", "kind": "ConfigMap"], G.secret("tls"))) == "False InvalidCertificateRef")
        #expect(resolved(tls(["name": "tls", "group": "x.test"], G.secret("tls"))) == "False InvalidCertificateRef")
        #expect(resolved(tls(["name": "tls"], G.secret("tls", certificate: "Hello"))) == "False InvalidCertificateRef")
        let far: JSON = ["name": "tls", "namespace": "other"]
        let secret = G.secret("tls", namespace: "other")
        #expect(resolved(tls(far, secret)) == "False RefNotPermitted")
        #expect(
            resolved(tls(far, secret, G.grant(from: "Gateway", in: "default", to: "Secret"))) == "True ResolvedRefs")
        for grant in [
            G.grant(from: "Gateway", in: "wrong", to: "Secret"),
            G.grant(from: "HTTPRoute", in: "default", to: "Secret"),
            G.grant(from: "Gateway", in: "default", to: "Service"),
            G.grant(from: "Gateway", in: "default", to: "Secret", named: "else"),
        ] {
            #expect(resolved(tls(far, secret, grant)) == "False RefNotPermitted")
        }
        #expect(
            resolved(tls(far, secret, G.grant(from: "Gateway", in: "default", to: "Secret", named: "tls")))
                == "True ResolvedRefs")
    }

    @Test("HTTPRouteInvalidParentRef..., HTTPRouteCrossNamespace, HTTPRouteDisallowedKind: who may attach where")
    func parents() {
        let listeners = [
            G.listener("same", host: "same.test"), G.listener("all", host: "all.test", from: ["from": "All"]),
            G.listener(
                "chosen", host: "chosen.test", from: ["from": "Selector", "selector": ["matchLabels": ["team": "x"]]]),
            G.listener("none", host: "none.test", from: ["from": "None"]),
        ]
        func accepted(_ namespace: String, _ section: String?, hosts: [String] = []) -> String? {
            var parent: JSON = ["name": "gw", "namespace": "default"]
            if let section { parent["sectionName"] = .string(section) }
            let route = G.route(namespace: namespace, hosts: hosts, parents: [parent], [G.rule(to: [])])
            return G.builder(G.gateway(listeners), route).parent("r", "Accepted", namespace: namespace)
        }
        for (namespace, section, hosts, text) in [
            ("default", "same", [], "True Accepted"), ("other", "same", [], "False NotAllowedByListeners"),
            ("other", "all", [], "True Accepted"), ("other", "chosen", [], "True Accepted"),
            ("default", "chosen", [], "False NotAllowedByListeners"),
            ("default", "none", [], "False NotAllowedByListeners"),
            ("default", "gone", [], "False NoMatchingParent"), ("other", nil, [], "True Accepted"),
            ("default", "same", ["else.test"], "False NoMatchingListenerHostname"),
            ("default", nil, ["else.test", "*.test"], "True Accepted"),
        ] as [(String, String?, [String], String)] {
            #expect(accepted(namespace, section, hosts: hosts) == text, "\(namespace) \(section ?? "-") \(hosts)")
        }
        let port: JSON = ["name": "gw", "port": 81]
        #expect(G.builder(G.gateway(), G.route(parents: [port])).parent("Accepted") == "False NoMatchingParent")
        #expect(G.builder(G.gateway(), G.route(parents: [["name": "absent"]])).status(.httpRoute, "r") == nil)
        #expect(
            G.builder(G.gateway(), G.route(parents: [["name": "gw", "kind": "Service"]])).status(.httpRoute, "r") == nil
        )
    }

    @Test("HTTPRouteInvalidBackendRef..., HTTPRouteReferenceGrant, HTTPRoutePartiallyInvalid...: references")
    func backends() {
        func with(_ backend: JSON, _ objects: JSON...) -> RouteBuilder {
            G.builder([G.gateway(), G.route([G.rule(to: [backend])])] + objects)
        }
        #expect(with(G.backend("a")).parent("ResolvedRefs") == "True ResolvedRefs")
        #expect(with(G.backend("gone")).parent("ResolvedRefs") == "False BackendNotFound")
        #expect(with(G.backend("a", more: ["kind": "NotAService"])).parent("ResolvedRefs") == "False InvalidKind")
        #expect(with(G.backend("gone")).parent("Accepted") == "True Accepted", "it stays accepted")
        let far = G.backend("d", more: ["namespace": "other"])
        let refused = with(far)
        #expect(refused.parent("ResolvedRefs") == "False RefNotPermitted")
        #expect(refused.table.match("h.test", isSecure: false)?.route.backends[0].slot == nil)
        var builder = with(far, G.grant(from: "HTTPRoute", in: "default", to: "Service", named: "d"))
        #expect(builder.parent("ResolvedRefs") == "True ResolvedRefs")
        builder.remove(ObjectKey(.referenceGrant, namespace: "other", name: "grant"))
        builder.update()
        #expect(builder.parent("ResolvedRefs") == "False RefNotPermitted", "a grant that goes takes effect")
        builder = with(G.backend("late"))
        RouteObjects.put(services: ["late"], in: &builder)
        builder.update()
        #expect(builder.parent("ResolvedRefs") == "True ResolvedRefs", "a Service that comes takes effect")
    }

    @Test("a rule that is not supported answers 500 and is named; when all are, the route is not accepted")
    func unsupported() {
        let filter: JSON = ["type": "ExtensionRef", "extensionRef": ["group": "x", "kind": "Y", "name": "z"]]
        let all = G.builder(G.gateway(), G.route([G.rule([], [filter])]))
        #expect(all.parent("Accepted") == "False UnsupportedValue")
        let half = G.builder(G.gateway(), G.route([G.rule([G.path("/bad")], [filter]), G.rule([G.path("/good")])]))
        #expect(
            half.parent("Accepted") == "True Accepted" && half.parent("PartiallyInvalid") == "True UnsupportedValue")
        #expect(half.table.match("h.test", "/bad", isSecure: false)?.route.policy.failure?.status == 500)
        #expect(half.table.match("h.test", "/good", isSecure: false)?.route.policy.failure == nil)
    }

    @Test(
        "GatewayObservedGenerationBump, ...PreserveForeignConditions: what is written twice is the same, others' parts stay"
    )
    func stable() {
        var gateway = G.gateway()
        gateway["status"] = [
            "conditions": [
                ["type": "Foreign", "status": "True", "reason": "X"],
                [
                    "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 2,
                    "lastTransitionTime": "2020-01-01T00:00:00Z",
                ],
            ]
        ]
        var route = G.route()
        let foreign: JSON = ["parentRef": ["name": "gw2"], "controllerName": "example.com/c", "conditions": []]
        route["status"] = ["parents": [foreign]]
        let builder = G.builder(gateway, route)
        let conditions = builder.status(.gateway, "gw")?["conditions"]?.array ?? []
        #expect(conditions.map { $0["type"]?.string } == ["Foreign", "Accepted", "Programmed"])
        #expect(
            conditions[1]["lastTransitionTime"] == "2020-01-01T00:00:00Z" && conditions[1]["observedGeneration"] == 3)
        #expect(builder.status(.httpRoute, "r")?["parents"]?[0] == foreign)
        var written = builder
        for (object, kind) in [(gateway, ResourceKind.gateway), (route, .httpRoute), (G.gatewayClass, .gatewayClass)] {
            var object = object
            object["status"] = builder.status(kind, object.name)
            written.put(object, kind: kind)
        }
        written.update()
        let later = written.statusWishes.compactMap {
            $0.status(now: "2030-01-01T00:00:00Z", addresses: ["192.0.2.1"])
        }
        #expect(later == [])
        written.remove(ObjectKey(.gateway, namespace: "default", name: "gw"))
        written.update()
        #expect(
            written.status(.httpRoute, "r")?["parents"] == [foreign], "what was said of a Gateway that is gone goes")
        #expect(written.table.match("h.test", isSecure: false) == nil)
    }

    @Test("parents keep their order beside those of another controller, so that the two do not write by turns")
    func order() {
        let foreign: JSON = ["parentRef": ["name": "gw2"], "controllerName": "example.com/c", "conditions": []]
        var route = G.route()
        let written = G.builder(G.gateway(), route).status(.httpRoute, "r")
        let ours = written?["parents"]?[0] ?? .null
        for parents in [[ours, foreign], [foreign, ours]] as [JSON] {
            route["status"] = ["parents": parents]
            #expect(G.builder(G.gateway(), route).status(.httpRoute, "r") == nil)
        }
    }

    @Test("hostile text in every field of Gateways and routes never traps, and closes no other route")
    func fuzzedObjects() {
        var random = SplitMix64(seed: Fuzz.seed(11))
        let pieces = [
            "*", "*.", ".", "/", "", "a", "é", "\u{0}", "\r\n", "%2", "(", "[", "$1", "443", "Exact", "1h", "gw",
        ]
        func value() -> JSON {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: return .null
            case 1: return .int(Int64.random(in: Int64.min...Int64.max, using: &random))
            case 2: return [["name": "a"]]
            default:
                return .string((0..<3).map { _ in pieces.randomElement(using: &random) ?? "" }.joined())
            }
        }
        func spoiled(_ json: JSON, _ depth: Int = 0) -> JSON {
            if depth > 2 && Int.random(in: 0..<8, using: &random) == 0 { return value() }
            switch json {
            case .array(let all): return .array(all.map { spoiled($0, depth + 1) })
            case .object(let members):
                var result: JSON = [:]
                for (key, item) in members.elements { result[key] = spoiled(item, depth + 1) }
                return result
            default: return json
            }
        }
        let rule = G.rule(
            [G.path("/x", more: ["headers": [["name": "a", "value": "b"]], "method": "GET"])],
            to: [G.backend("a", weight: 5)],
            [
                [
                    "type": "URLRewrite",
                    "urlRewrite": [
                        "hostname": "h", "path": ["type": "ReplacePrefixMatch", "replacePrefixMatch": "/"],
                    ],
                ],
                ["type": "RequestRedirect", "requestRedirect": ["scheme": "https", "port": 1, "statusCode": 301]],
                ["type": "RequestMirror", "requestMirror": ["backendRef": G.backend("b"), "percent": 5]],
                [
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": ["set": [["name": "x", "value": "y"]], "remove": ["z"]],
                ],
            ])
        for round in 0..<Fuzz.runs(300) {
            let bad = G.gateway(
                "bad", created: "2026-03-01T00:00:00Z",
                [
                    G.listener("l", host: "*.h.test"),
                    G.listener("s", port: 443, more: ["tls": ["certificateRefs": [["name": "tls"]]]]),
                ])
            let builder = G.builder(
                G.gateway([G.listener("http", host: "good.example")]), G.route("good"), spoiled(bad),
                spoiled(G.route("bad", hosts: ["x.h.test"], parents: [["name": "bad"]], [rule])),
                spoiled(G.grant(from: "HTTPRoute", in: "default", to: "Service")))
            _ = builder.statusWishes.map { $0.status(now: "now", addresses: ["192.0.2.1"]) }
            _ = builder.certificates
            let match = builder.table.match("good.example", "/a", isSecure: false)
            #expect(match?.route.origin.name == "good", "round \(round)")
            for host in ["x.h.test", "h.test", "", "*"] {
                guard let match = builder.table.match(host, "/x/é?a=b", isSecure: false, ["a": "b"]) else { continue }
                _ = match.route.backend(draw: 7)
                let location =
                    match.route.policy.filters.redirect?.location(
                        host: "x", target: "/x/é", isSecure: false, matched: match.path, listener: match.listener) ?? ""
                #expect(!location.utf8.contains { $0 < 0x20 })
                _ = match.route.policy.filters.rewrite?.target("/x/é", matched: match.path)
            }
        }
    }
}
