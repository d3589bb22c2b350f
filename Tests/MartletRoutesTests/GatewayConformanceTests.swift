import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

/// The assertions of the core tests of Gateway API's conformance suite for Gateway and HTTPRoute, each by the name that
/// it has there, as far as tables and status say them. Namespace `default` is the suite's infrastructure, `other` its
/// backends'.
@Suite("Gateway API conformance: Gateways") struct GatewayConformanceTests {
    private func listener(_ builder: RouteBuilder, _ name: String = "http", kinds: Int, routes: Int64) -> Bool {
        guard let listener = builder.listener(name) else { return false }
        return listener["supportedKinds"]?.array?.count == kinds && listener["attachedRoutes"] == .int(routes)
    }

    @Test func GatewayInvalidRouteKind() {
        for (kinds, supported) in [(["InvalidRoute"], 0), (["InvalidRoute", "HTTPRoute"], 1)] {
            let allowed: JSON = ["kinds": .array(kinds.map { ["kind": .string($0)] })]
            let builder = G.builder(G.gateway([G.listener("http", more: ["allowedRoutes": allowed])]))
            #expect(builder.gateway("ResolvedRefs", "http") == "False InvalidRouteKinds")
            #expect(listener(builder, kinds: supported, routes: 0))
        }
    }

    /// A Gateway with a plain listener and a secure one, and a route on the plain one that must go on working.
    private func secured(_ reference: JSON, _ objects: JSON...) -> RouteBuilder {
        let secure = G.listener(
            "https", port: 443, from: ["from": "All"], more: ["tls": ["certificateRefs": [reference]]])
        let control = G.route("control", hosts: ["control.test"], parents: [["name": "gw", "sectionName": "http"]])
        return G.builder([G.gateway([G.listener("http"), secure]), control, G.route()] + objects)
    }

    private func isClosed(_ builder: RouteBuilder, _ reason: String) -> Bool {
        served(builder, "control.test") == "default/a" && builder.parent("control", "Accepted") == "True Accepted"
            && builder.gateway("ResolvedRefs", "https") == "False " + reason && builder.certificates.isEmpty
            && builder.gateway("Programmed", "https") == "False Invalid"
            && served(builder, "example.org", isSecure: true) == nil
    }

    @Test func GatewayInvalidTLSConfiguration() {
        let name: JSON = ["name": "tls", "kind": "Secret", "group": ""]
        #expect(isClosed(secured(name), "InvalidCertificateRef"), "no such Secret")
        for (field, value) in [("group", "wrong.group.company.io"), ("kind", "WrongKind")] as [(String, JSON)] {
            var wrong = name
            wrong[field] = value
            #expect(isClosed(secured(wrong, G.secret("tls")), "InvalidCertificateRef"))
        }
        #expect(isClosed(secured(name, G.secret("tls", certificate: "Hello world\n")), "InvalidCertificateRef"))
        #expect(secured(name, G.secret("tls")).gateway("Programmed", "https") == "True Programmed")
    }

    private let far: JSON = ["name": "certificate", "namespace": "other"]
    private let certificate = G.secret("certificate", namespace: "other")

    @Test func GatewaySecretMissingReferenceGrant() {
        #expect(isClosed(secured(far, certificate), "RefNotPermitted"))
    }

    @Test func GatewaySecretInvalidReferenceGrant() {
        for grant in [
            G.grant(from: "Gateway", in: "default", to: "Secret", named: "not-the-certificate"),
            G.grant(from: "Gateway", in: "not-default", to: "Secret"),
            G.grant(from: "HTTPRoute", in: "default", to: "Secret"),
            G.grant(from: "Gateway", in: "default", to: "Service"),
        ] {
            #expect(isClosed(secured(far, certificate, grant), "RefNotPermitted"))
        }
    }

    @Test func GatewaySecretReferenceGrantAllInNamespace() {
        let builder = secured(far, certificate, G.grant(from: "Gateway", in: "default", to: "Secret"))
        #expect(builder.gateway("Programmed", "https") == "True Programmed")
    }

    @Test func GatewaySecretReferenceGrantSpecific() {
        var builder = secured(far, certificate)
        let grant = G.grant(from: "Gateway", in: "default", to: "Secret", named: "certificate")
        builder.put(grant, kind: .referenceGrant)
        builder.update()
        #expect(builder.gateway("Programmed", "https") == "True Programmed", "a grant that comes takes effect")
        #expect(served(builder, "example.org", isSecure: true) == "default/a")
    }

    @Test func GatewayListenerUnsupportedProtocol() {
        let bad = G.listener("invalid", port: 8080, more: ["protocol": "unsupported.test/protocol"])
        let alone = G.builder(G.gateway([bad]))
        #expect(alone.gateway("Accepted") == "False ListenersNotValid")
        let mixed = G.builder(G.gateway([G.listener("http"), bad]))
        #expect(mixed.gateway("Accepted") == "True ListenersNotValid")
        #expect(mixed.gateway("Accepted", "http") == "True Accepted" && listener(mixed, kinds: 1, routes: 0))
        for builder in [alone, mixed] {
            #expect(builder.gateway("Accepted", "invalid") == "False UnsupportedProtocol")
            #expect(listener(builder, "invalid", kinds: 0, routes: 0))
        }
    }

    @Test func GatewayModifyListeners() {
        let secure = G.listener(
            "https", host: "secure.test.com", port: 443, from: ["from": "All"],
            more: ["tls": ["certificateRefs": [["name": "tls"]]]])
        let plain = G.listener("http", host: "data.test.com", from: ["from": "All"])
        var builder = G.builder(G.gateway([secure]), G.secret("tls"), G.route())
        #expect(listener(builder, "https", kinds: 1, routes: 1) && served(builder, "data.test.com") == nil)
        func change(_ listeners: [JSON], generation: Int64) {
            var gateway = G.gateway(listeners)
            gateway["metadata", "generation"] = .int(generation)
            builder.put(gateway, kind: .gateway)
            builder.update()
            #expect(builder.status(.gateway, "gw")?["conditions"]?[0]?["observedGeneration"] == .int(generation))
        }
        change([secure, plain], generation: 4)
        #expect(listener(builder, "https", kinds: 1, routes: 1) && listener(builder, kinds: 1, routes: 1))
        #expect(served(builder, "data.test.com") == "default/a")
        change([plain], generation: 5)
        #expect(builder.listener("https") == nil && listener(builder, kinds: 1, routes: 1))
        #expect(served(builder, "secure.test.com", isSecure: true) == nil && builder.certificates.isEmpty)
        #expect(builder.gateway("Accepted", "http") == "True Accepted")
        #expect(builder.gateway("ResolvedRefs", "http") == "True ResolvedRefs")
    }

    /// Every condition names the generation that it was made for, also after the object has changed.
    private func generations(_ object: JSON, _ kind: ResourceKind, in builder: inout RouteBuilder) {
        var object = object
        object["metadata", "generation"] = 41
        object["status"] = builder.status(kind, object.name)
        builder.put(object, kind: kind)
        builder.update()
        let status = builder.status(kind, object.name)
        let parts = (status?["parents"]?.array ?? []) + (status?["listeners"]?.array ?? []) + [status ?? .null]
        let conditions = parts.flatMap { $0["conditions"]?.array ?? [] }
        #expect(!conditions.isEmpty && conditions.allSatisfy { $0["observedGeneration"] == 41 })
    }

    @Test func GatewayClassObservedGenerationBump() {
        var builder = G.builder(G.gateway(), G.route())
        generations(G.gatewayClass, .gatewayClass, in: &builder)
    }

    @Test func GatewayObservedGenerationBump() {
        var builder = G.builder(G.gateway(), G.route())
        generations(G.gateway([G.listener("http"), G.listener("more", host: "x.test")]), .gateway, in: &builder)
    }

    @Test func HTTPRouteObservedGenerationBump() {
        var builder = G.builder(G.gateway(), G.route())
        generations(G.route([G.rule(to: [G.backend("b")])]), .httpRoute, in: &builder)
    }

    @Test func GatewayOverlappingTLSConfigHostnames() {
        func secure(_ name: String, _ host: String, port: Int64 = 443) -> JSON {
            var listener = G.listener(
                name, host: host, port: port, more: ["tls": ["certificateRefs": [["name": "tls"]]]])
            listener["protocol"] = "HTTPS"
            return listener
        }
        let apart = [secure("alone", "example.com"), secure("port", "foo.example.com", port: 9443)]
        let over = [
            secure("foo", "foo.example.com"), secure("bar", "bar.bar.example.com"), secure("wild", "*.example.com"),
            secure("other", "*.other.test"), secure("bar-other", "*.bar.other.test"),
        ]
        var builder = G.builder(
            G.gateway(over + apart + [G.listener("plain", host: "foo.example.com")]), G.secret("tls"))
        func overlaps(_ name: String) -> String? { builder.gateway("OverlappingTLSConfig", name) }
        for name in ["foo", "bar", "wild", "other", "bar-other"] {
            #expect(
                overlaps(name) == "True OverlappingHostnames" && builder.gateway("Accepted", name) == "True Accepted")
        }
        for name in ["alone", "port", "plain"] { #expect(overlaps(name) == nil) }
        #expect(builder.gateway("Accepted", "port") == "False PortUnavailable", "edges have no such port")
        // The condition goes with its cause.
        var gateway = G.gateway(Array(over.prefix(1)) + apart)
        gateway["status"] = builder.status(.gateway, "gw")
        builder.put(gateway, kind: .gateway)
        builder.update()
        #expect(overlaps("foo") == nil && builder.gateway("Accepted", "foo") == "True Accepted")
    }

    @Test func GatewayPreserveForeignConditions() {
        let foreign: JSON = [
            "type": "example.com/Foreign", "status": "True", "reason": "Seeded", "message": "",
            "observedGeneration": 3, "lastTransitionTime": "2020-01-01T00:00:00Z",
        ]
        var builder = G.builder(G.gateway(), G.route())
        var gateway = G.gateway([G.listener("http", host: "second.example.com")])
        var status = builder.status(.gateway, "gw") ?? .null
        status["conditions"] = .array((status["conditions"]?.array ?? []) + [foreign])
        var listener = status["listeners"]?[0] ?? .null
        listener["conditions"] = .array((listener["conditions"]?.array ?? []) + [foreign])
        status["listeners"] = [listener]
        gateway["status"] = status
        gateway["metadata", "generation"] = 4
        builder.put(gateway, kind: .gateway)
        builder.update()
        let after = builder.status(.gateway, "gw")
        #expect(after?["conditions"]?.array?.contains(foreign) == true)
        #expect(after?["listeners"]?[0]?["conditions"]?.array?.contains(foreign) == true)
    }

    @Test func GatewayMaxLengthName() {
        let name = String(repeating: "a", count: 253)
        let builder = G.builder(G.gateway(name, [G.listener("http")]), G.route(parents: [["name": .string(name)]]))
        #expect(builder.gateway("Programmed", name: name) == "True Programmed")
        #expect(served(builder, "any.test") == "default/a")
    }

    @Test func GatewayWithAttachedRoutes() {
        let own: JSON = ["kubernetes.io/metadata.name": "default"]
        let chosen: JSON = ["from": "Selector", "selector": ["matchLabels": own]]
        let space = G.namespace("default", ["kubernetes.io/metadata.name": "default"])
        let http = G.listener("http", from: chosen)
        #expect(listener(G.builder(space, G.gateway([http]), G.route("one")), kinds: 1, routes: 1))
        #expect(listener(G.builder(space, G.gateway([http]), G.route("one"), G.route("two")), kinds: 1, routes: 2))
        let tls = G.listener(
            "tls", host: "example.com", port: 443, from: chosen, more: ["tls": ["certificateRefs": [["name": "gone"]]]])
        let builder = G.builder(space, G.gateway([tls]), G.route([G.rule(to: [G.backend("gone")])]))
        #expect(listener(builder, "tls", kinds: 1, routes: 1))
        #expect(builder.gateway("ResolvedRefs", "tls") == "False InvalidCertificateRef")
        #expect(builder.gateway("Programmed", "tls") == "False Invalid")
        #expect(builder.parent("ResolvedRefs") == "False BackendNotFound")
    }

    /// Not core: the suite asks it of those who serve port 8080. Edges have 80 and 443, and say so.
    @Test func GatewayWithAttachedRoutesWithPort8080() {
        let builder = G.builder(G.gateway([G.listener("http-unattached", port: 8080), G.listener("http")]), G.route())
        #expect(builder.gateway("Accepted", "http-unattached") == "False PortUnavailable")
        #expect(builder.gateway("Programmed", "http-unattached") == "False Invalid")
        #expect(builder.gateway("Accepted") == "True ListenersNotValid" && listener(builder, kinds: 1, routes: 1))
    }
}
