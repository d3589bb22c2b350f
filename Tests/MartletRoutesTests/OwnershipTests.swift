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

    private func ingress(_ name: String, _ secret: String, created: String) -> JSON {
        var ingress = RouteObjects.ingress(name, host: "a.test", created: created)
        ingress["spec", "tls"] = [["hosts": ["a.test"], "secretName": .string(secret)]]
        return ingress
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
