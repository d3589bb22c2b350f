import MartletBase
import MartletObject
import MartletRoutes
import Testing

@Suite("Certificates that Ingresses and Gateways want") struct CertificateWishTests {
    private func ingress(
        _ name: String, _ hosts: [String], secret: String? = "cert", asks: Bool = true, ofClass: String = "martlet",
        namespace: String = "default"
    ) -> JSON {
        var tls: JSON = ["hosts": .array(hosts.map { .string($0) })]
        if let secret { tls["secretName"] = .string(secret) }
        var metadata: JSON = [
            "name": .string(name), "namespace": .string(namespace), "uid": .string("uid-" + name),
        ]
        if asks { metadata["annotations"] = JSON([CertificateWishes.annotation: "true"]) }
        return ["metadata": metadata, "spec": ["ingressClassName": .string(ofClass), "tls": [tls]]]
    }

    private func read(_ ingresses: [JSON], _ gateways: [JSON] = []) -> [CertificateWish] {
        var snapshot = Snapshot()
        snapshot.put(RouteObjects.ingressClass, kind: .ingressClass)
        snapshot.put(
            ["metadata": ["name": "martlet"], "spec": ["controllerName": "martlet.io/gateway"]], kind: .gatewayClass)
        for ingress in ingresses { snapshot.put(ingress, kind: .ingress) }
        for gateway in gateways { snapshot.put(gateway, kind: .gateway) }
        return CertificateWishes.read(snapshot)
    }

    @Test("those that ask for it, of our class, with a Secret to fill")
    func which() {
        let wishes = read([
            ingress("a", ["B.test", "a.test"]), ingress("b", ["c.test"], asks: false),
            ingress("c", ["d.test"], ofClass: "nginx"), ingress("d", ["e.test"], secret: nil),
        ])
        #expect(wishes.count == 1)
        #expect(wishes.first?.hosts == ["a.test", "b.test"])
        #expect(wishes.first?.secret == ObjectKey(.secret, namespace: "default", name: "cert"))
        #expect(wishes.first?.origins.values.sorted() == ["uid-a"])
        #expect(wishes.first?.fault == nil)
    }

    @Test("several that name one Secret are one, those of other namespaces are not")
    func together() {
        let wishes = read([
            ingress("a", ["a.test"]), ingress("b", ["b.test"]), ingress("c", ["c.test"], namespace: "other"),
        ])
        #expect(wishes.map(\.hosts) == [["a.test", "b.test"], ["c.test"]])
        #expect(wishes.first?.origins.count == 2)
    }

    @Test(
        "what no authority would prove by HTTP is said",
        arguments: [["*.a.test"], [], ["192.0.2.1"], ["a b"], ["a.test/x"], (0...100).map { "h\($0).test" }])
    func faults(hosts: [String]) {
        #expect(read([ingress("a", hosts)]).first?.fault != nil)
    }

    @Test("HTTPS listeners of Gateways, whose Secret is in their namespace")
    func gateways() {
        func gateway(_ name: String, _ listener: JSON, ofClass: String = "martlet") -> JSON {
            [
                "metadata": [
                    "name": .string(name), "namespace": "default", "uid": "u",
                    "annotations": JSON([CertificateWishes.annotation: "true"]),
                ], "spec": ["gatewayClassName": .string(ofClass), "listeners": [listener]],
            ]
        }
        func listener(_ reference: JSON, _ scheme: String = "HTTPS") -> JSON {
            ["protocol": .string(scheme), "hostname": "g.test", "tls": ["certificateRefs": [reference]]]
        }
        let wishes = read(
            [],
            [
                gateway("a", listener(["name": "one"])), gateway("b", listener(["name": "two"], "HTTP")),
                gateway("c", listener(["name": "three", "namespace": "other"])),
                gateway("d", listener(["name": "four"]), ofClass: "foreign"),
            ])
        #expect(wishes.map(\.secret.name) == ["one"])
        #expect(wishes.map(\.hosts) == [["g.test"]])
    }

    @Test("edges answer for the tokens of the Secret, and for nothing else")
    func answers() {
        let secret: JSON = ["data": ["tok-1": .string(Base64.encode(Array("tok-1.print".utf8))), "bad": 7]]
        let answers = ACMEAnswers(secret)
        #expect(answers.answer(to: "/.well-known/acme-challenge/tok-1") == Array("tok-1.print".utf8))
        for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/bad", "/tok-1", "/", ""] {
            #expect(answers.answer(to: path) == nil)
        }
        #expect(ACMEAnswers(nil).answer(to: "/.well-known/acme-challenge/tok-1") == nil)
    }
}
