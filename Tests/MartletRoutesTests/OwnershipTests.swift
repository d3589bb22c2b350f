import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

@Suite("Whose a host and its certificate are") struct OwnershipTests {
    private static let (early, late) = ("2025-01-01T00:00:00Z", "2026-06-01T00:00:00Z")

    private func condition(_ builder: RouteBuilder, _ listener: Int, _ type: String) -> JSON? {
        builder.status(.gateway, "mine", namespace: "other")?["listeners"]?[listener]?["conditions"]?.array?.first {
            $0["type"]?.string == type
        }
    }

    @Test("a listener's host name is the namespace's whose Gateway is the oldest, and the younger one is told whose")
    func listeners() {
        let old = G.gateway("gw", created: Self.early, [G.listener("http", host: "a.test")])
        let new = G.gateway(
            "mine", namespace: "other", created: Self.late,
            [G.listener("http", host: "A.test"), G.listener("own", host: "b.test")])
        let deeper = G.route(
            "deeper", namespace: "other", parents: [["name": "mine"]],
            [G.rule([G.path("/deep")], to: [G.backend("d")])])
        for objects in [[old, new, G.route(), deeper], [deeper, G.route(), new, old]] {
            var builder = G.builder(objects)
            #expect(served(builder, "a.test", "/deep") == "default/a")
            #expect(served(builder, "b.test", "/deep") == "other/d")
            #expect(builder.gateway("Accepted", "http") == "True Accepted")
            #expect(condition(builder, 0, "Conflicted")?["reason"] == "HostnameConflict")
            #expect(
                condition(builder, 0, "Accepted")?["message"]?.string
                    == "Gateway default/gw, which is older, has this host name")
            #expect(condition(builder, 0, "Programmed")?["status"] == "False")
            #expect(condition(builder, 1, "Conflicted")?["status"] == "False")
            builder.remove(ObjectKey(.gateway, namespace: "default", name: "gw"))
            builder.update()
            #expect(served(builder, "a.test", "/deep") == "other/d" && served(builder, "a.test") == nil)
            #expect(condition(builder, 0, "Conflicted")?["status"] == "False")
            builder.put(old, kind: .gateway)
            builder.update()
            #expect(served(builder, "a.test", "/deep") == "default/a" && served(builder, "a.test") == "default/a")
        }
        let beside = G.gateway("beside", created: Self.late, [G.listener("http", host: "a.test")])
        let shared = G.builder(
            old, beside, G.route(),
            G.route("deeper", parents: [["name": "beside"]], [G.rule([G.path("/deep")], to: [G.backend("b")])]))
        #expect(served(shared, "a.test", "/deep") == "default/b", "Gateways of one namespace are one")
        #expect(shared.gateway("Conflicted", "http", name: "beside") == "False NoConflicts")
    }

    @Test("a Gateway keeps its host while its certificate is missing")
    func missing() {
        func secure(_ namespace: String, _ created: String) -> JSON {
            let tls: JSON = ["tls": ["certificateRefs": [["name": "tls"]]]]
            return G.gateway(
                namespace == "other" ? "mine" : "gw", namespace: namespace, created: created,
                [G.listener("https", host: "a.test", port: 443, more: tls)])
        }
        let builder = G.builder(
            secure("default", Self.early), secure("other", Self.late), G.secret("tls", namespace: "other"))
        #expect(builder.certificates.isEmpty && condition(builder, 0, "Conflicted")?["status"] == "True")
    }

    @Test("a more exact name is another's to have: its requests and its certificate, and no other name's")
    func moreExact() {
        func secure(_ name: String, _ namespace: String, _ host: String, created: String) -> JSON {
            let tls: JSON = ["tls": ["certificateRefs": [["name": .string(name)]]]]
            return G.gateway(
                name, namespace: namespace, created: created, [G.listener("https", host: host, port: 443, more: tls)])
        }
        let builder = G.builder(
            secure("wide", "default", "*.test", created: Self.early),
            secure("mine", "other", "a.test", created: Self.late), G.secret("wide"),
            G.secret("mine", namespace: "other"), G.route(parents: [["name": "wide"]]),
            G.route("m", namespace: "other", parents: [["name": "mine"]], [G.rule(to: [G.backend("d")])]))
        #expect(served(builder, "a.test", isSecure: true) == "other/d")
        #expect(served(builder, "b.test", isSecure: true) == "default/a")
        let certificates = builder.certificates.mapValues { String(decoding: $0.certificatePEM, as: UTF8.self) }
        #expect(certificates["a.test"]?.contains("\nmine\n") == true)
        #expect(certificates["*.test"]?.contains("\nwide\n") == true)
        #expect(condition(builder, 0, "Conflicted")?["status"] == "False")
    }

    @Test(
        "of an Ingress and a Gateway the older one's rules go first, and the other's take what they leave",
        arguments: ["a.test", "*.test", ""])
    func ingressesAndGateways(host: String) {
        let gateway = G.gateway(created: "2025-06-01T00:00:00Z", [G.listener("http", host: host)])
        // Which of its routes are older than the Ingress says nothing of who has the name of the listener.
        let route = G.route("r", created: Self.late, [G.rule([G.path("/x")]), G.rule([G.path("/r")])])
        for (created, service) in [(Self.early, "default/b"), (Self.late, "default/a")] {
            let ingress = RouteObjects.ingress(
                "i", host: host.isEmpty ? nil : host, ["P /x b", "P /i b"], created: created)
            for objects in [[gateway, route, ingress], [ingress, route, gateway]] {
                var builder = G.builder(objects)
                #expect(served(builder, "a.test", "/x") == service, "created \(created)")
                #expect(
                    served(builder, "a.test", "/r") == "default/a" && served(builder, "a.test", "/i") == "default/b")
                builder.remove(ObjectKey(.gateway, namespace: "default", name: "gw"))
                builder.update()
                #expect(served(builder, "a.test", "/x") == "default/b" && served(builder, "a.test", "/r") == nil)
                builder.put(gateway, kind: .gateway)
                builder.update()
                #expect(served(builder, "a.test", "/x") == service, "created \(created)")
            }
        }
    }

    @Test("a name that the listener only covers is that of the route that names it")
    func routes() {
        let gateway = G.gateway(created: Self.early, [G.listener("http", host: "*.test")])
        let ingress = RouteObjects.ingress("i", host: "a.test", ["P / b"], created: "2025-06-01T00:00:00Z")
        for (created, service) in [(Self.early, "default/a"), (Self.late, "default/b")] {
            let builder = G.builder(gateway, ingress, G.route("r", hosts: ["a.test"], created: created))
            #expect(served(builder, "a.test") == service)
        }
        // Who names a host has it, before who only redirects there what nobody has.
        let other = RouteObjects.ingress(
            "i", host: "www.a.test", ["P / b"], annotations: ["from-to-www-redirect": "true"], created: Self.early)
        #expect(
            served(G.builder(gateway, other, G.route(hosts: ["a.test"], created: Self.late)), "a.test") == "default/a")
    }

    private func ingress(_ name: String, _ secret: String, namespace: String = "default", created: String) -> JSON {
        let service = namespace == "default" ? "a" : "d"
        var ingress = RouteObjects.ingress(name, host: "a.test", ["P / \(service)"], created: created)
        ingress["metadata", "namespace"] = .string(namespace)
        ingress["spec", "tls"] = [["hosts": ["a.test"], "secretName": .string(secret)]]
        return ingress
    }

    @Test("an Ingress keeps its host while its certificate is missing, for its own namespace alone")
    func missingOfIngress() {
        func shown(_ builder: RouteBuilder) -> String? {
            builder.certificates["a.test"].map { String(decoding: $0.certificatePEM, as: UTF8.self) }
        }
        let tls: JSON = ["tls": ["certificateRefs": [["name": "other"]]]]
        var builder = G.builder(
            ingress("i", "missing", created: Self.early),
            ingress("j", "other", namespace: "other", created: "2025-06-01T00:00:00Z"),
            G.gateway(
                "mine", namespace: "other", created: Self.late,
                [G.listener("https", host: "a.test", port: 443, more: tls)]),
            G.secret("other", namespace: "other"), G.secret("own"))
        let keeper = "the certificate of a.test is that of Ingress default/i, which is older"
        #expect(shown(builder) == nil)
        #expect(builder.problems.map(\.message) == ["secret \"missing\" not found", keeper])
        let overlap = "the certificate of this host is that of Ingress default/i, which is older"
        #expect(condition(builder, 0, "OverlappingTLSConfig")?["message"]?.string == overlap)
        builder.put(ingress("k", "own", created: Self.late), kind: .ingress)
        builder.update()
        #expect(shown(builder)?.contains("\nown\n") == true, "the same people's")
        builder.put(G.secret("missing"), kind: .secret)
        builder.update()
        #expect(shown(builder)?.contains("\nmissing\n") == true)
        for name in ["i", "k"] { builder.remove(ObjectKey(.ingress, namespace: "default", name: name)) }
        builder.update()
        #expect(shown(builder)?.contains("\nother\n") == true)
    }

    @Test("a Gateway keeps its host's certificate from a younger Ingress while its own is missing")
    func missingBesideAnIngress() {
        let tls: JSON = ["tls": ["certificateRefs": [["name": "missing"]]]]
        let builder = G.builder(
            G.gateway(created: Self.early, [G.listener("https", host: "a.test", port: 443, more: tls)]),
            ingress("j", "other", namespace: "other", created: Self.late), G.secret("other", namespace: "other"))
        #expect(builder.certificates["a.test"] == nil)
        let message = "the certificate of a.test is that of Gateway default/gw, which is older"
        #expect(builder.problems.map(\.message) == [message])
    }

    @Test("the oldest Ingress or Gateway that names a host keeps its certificate; the younger one is told whose it is")
    func certificates() {
        let tls: JSON = ["tls": ["certificateRefs": [["name": "gateway"]]]]
        func gateway(_ created: String) -> JSON {
            G.gateway(created: created, [G.listener("https", host: "a.test", port: 443, more: tls)])
        }
        func overlap(_ builder: RouteBuilder) -> String? {
            builder.listener("https")?["conditions"]?.array?.first { $0["type"] == "OverlappingTLSConfig" }?["message"]?
                .string
        }
        func shown(_ builder: RouteBuilder) -> String? {
            builder.certificates["a.test"].map {
                String(decoding: $0.certificatePEM, as: UTF8.self).contains("\ngateway\n") ? "gateway" : "ingress"
            }
        }
        let secrets = [G.secret("gateway"), G.secret("ingress")]
        var builder = G.builder([gateway(Self.early)] + secrets)
        builder.put(ingress("i", "ingress", created: Self.late), kind: .ingress)
        builder.update()
        #expect(shown(builder) == "gateway" && overlap(builder) == nil)
        let told = builder.problems.map(\.message)
        #expect(told == ["the certificate of a.test is that of Gateway default/gw, which is older"])
        builder.put(gateway("2026-12-01T00:00:00Z"), kind: .gateway)
        builder.update()
        #expect(shown(builder) == "ingress" && builder.problems.isEmpty)
        #expect(overlap(builder) == "the certificate of this host is that of Ingress default/i, which is older")
        builder.put(ingress("j", "gateway", created: "2026-07-01T00:00:00Z"), kind: .ingress)
        builder.update()
        #expect(
            builder.problems.map(\.message)
                == ["the certificate of a.test is that of Ingress default/i, which is older"])
        for name in ["i", "j"] { builder.remove(ObjectKey(.ingress, namespace: "default", name: name)) }
        builder.update()
        #expect(shown(builder) == "gateway" && overlap(builder) == nil)
    }
}
