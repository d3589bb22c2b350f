import MartletBase
import MartletObject
import MartletRoutes
import Testing

/// What stands in the API in these tests: a class, and for each named service one ready pod.
private func snapshot(services: [String: String], _ ingresses: [JSON]) -> Snapshot {
    var snapshot = Snapshot()
    snapshot.put(
        ["metadata": ["name": "martlet"], "spec": ["controller": .string(IngressClasses.controllerName)]],
        kind: .ingressClass)
    for (name, address) in services {
        snapshot.put(
            [
                "metadata": ["name": .string(name), "namespace": "default"],
                "spec": ["ports": [["name": "http", "port": 80, "targetPort": 8080]]],
            ], kind: .service)
        snapshot.put(slice(name, [["addresses": [.string(address)]]]), kind: .endpointSlice)
    }
    for ingress in ingresses { snapshot.put(ingress, kind: .ingress) }
    return snapshot
}

private func slice(_ service: String, _ endpoints: JSON) -> JSON {
    [
        "metadata": [
            "name": .string(service + "-abcde"), "namespace": "default",
            "labels": ["kubernetes.io/service-name": .string(service)],
        ],
        "endpoints": endpoints, "ports": [["name": "http", "port": 8080]],
    ]
}

private func ingress(_ name: String, host: String?, _ paths: [(String, String, String)]) -> JSON {
    var rule: JSON = [
        "http": [
            "paths": .array(
                paths.map { path, type, service in
                    [
                        "path": .string(path), "pathType": .string(type),
                        "backend": ["service": ["name": .string(service), "port": ["number": 80]]],
                    ]
                })
        ]
    ]
    if let host { rule["host"] = .string(host) }
    return [
        "metadata": ["name": .string(name), "namespace": "default"],
        "spec": ["ingressClassName": "martlet", "rules": [rule]],
    ]
}

/// A request as rules look at it.
struct TestRequest: RoutedRequest {
    var method = "GET"
    var target: String
    var fields: [String: String] = [:]
    func field(_ name: String) -> String? { fields[name] }
}

extension RouteTable {
    /// The backend of a GET over TLS.
    func backend(_ host: String, _ path: String) -> Backend? {
        route(host: host, target: path, isSecure: true, TestRequest(target: path))?.route.backend(draw: 0)?.slot.map {
            backends[$0]
        }
    }
    func service(_ host: String, _ path: String) -> String? { backend(host, path)?.service }
    func endpoints(_ host: String, _ path: String) -> [Endpoint]? { backend(host, path)?.endpoints }
}

@Suite struct IngressTests {
    @Test(arguments: [
        ("templates.ocf.test", "/", "a"), ("TEMPLATES.ocf.test:443", "/x?y=1", "a"), ("templates.ocf.test.", "/", "a"),
        ("other.ocf.test", "/", nil), ("ocf.test", "/", nil), ("", "/", nil),
    ])
    func hostsAreMatchedExactly(host: String, path: String, service: String?) {
        let table = RouteBuilder(
            from: snapshot(
                services: ["a": "10.0.0.1"], [ingress("i", host: "templates.ocf.test", [("/", "Prefix", "a")])])
        ).table
        #expect(table.service(host, path) == service.map { "default/" + $0 })
    }

    @Test(arguments: [
        ("a.test", "a.test", nil), ("A.Test.:80", "a.test", 80), ("[::1]", "[::1]", nil),
        ("[2001:DB8::1]:8443", "[2001:db8::1]", 8443), ("a.test:", "a.test", nil), ("a.test:99999", "a.test", nil),
        ("", "", nil), (":80", "", 80), ("[::1", "[:", 1), (".", "", nil),
    ])
    func aHostFieldIsANameAndMaybeAPort(field: String, name: String, port: Int?) {
        let host = RequestHost(field)
        #expect(host.name == name)
        #expect(host.port.map(Int.init) == port)
    }

    @Test(arguments: [
        ("/foo", "exact"), ("/foo/", "prefix"), ("/foo/bar", "prefix"), ("/foobar", "root"), ("/", "root"),
        ("/foo/bar/baz?x", "long"), ("/foo/bar/bazaar", "prefix"), ("/foo?q=/foo/bar/baz", "exact"),
    ])
    func pathsAreMatchedByElementTheLongestFirstAndExactBeforePrefix(path: String, service: String) {
        let services = ["exact": "10.0.0.1", "prefix": "10.0.0.2", "root": "10.0.0.3", "long": "10.0.0.4"]
        let table = RouteBuilder(
            from: snapshot(
                services: services,
                [
                    ingress(
                        "i", host: "h.test",
                        [
                            ("/", "Prefix", "root"), ("/foo", "Prefix", "prefix"), ("/foo", "Exact", "exact"),
                            ("/foo/bar/baz/", "Prefix", "long"),
                        ])
                ])
        ).table
        #expect(table.service("h.test", path) == "default/" + service)
    }

    @Test(arguments: [
        ("a.ocf.test", "wild"), ("x.a.ocf.test", "any"), ("ocf.test", "any"), ("www.ocf.test", "exact"),
    ])
    func aWildcardCoversOneLabel(host: String, service: String) {
        let table = RouteBuilder(
            from: snapshot(
                services: ["wild": "10.0.0.1", "any": "10.0.0.2", "exact": "10.0.0.3"],
                [
                    ingress("i1", host: "*.ocf.test", [("/", "Prefix", "wild")]),
                    ingress("i2", host: nil, [("/", "Prefix", "any")]),
                    ingress("i3", host: "www.ocf.test", [("/", "Prefix", "exact")]),
                ])
        ).table
        #expect(table.service(host, "/") == "default/" + service)
    }

    @Test func onlyReadyEndpointsServeUnlessOnlyLeavingOnesAreLeft() {
        var state = snapshot(
            services: ["a": "10.0.0.1"], [ingress("i", host: "h.test", [("/", "Prefix", "a")])])
        let leaving: JSON = [
            "addresses": ["10.0.0.2"], "conditions": ["ready": false, "serving": true, "terminating": true],
        ]
        let broken: JSON = ["addresses": ["10.0.0.3"], "conditions": ["ready": false]]
        let ready: JSON = ["addresses": ["10.0.0.1"], "conditions": ["ready": true]]
        func endpoints() -> [Endpoint]? {
            RouteBuilder(from: state).table.endpoints("h.test", "/")
        }
        state.put(slice("a", [leaving, broken, ready]), kind: .endpointSlice)
        #expect(endpoints() == [.ip("10.0.0.1", port: 8080)])
        state.put(slice("a", [leaving, broken]), kind: .endpointSlice)
        #expect(endpoints() == [.ip("10.0.0.2", port: 8080)])
        state.put(slice("a", [broken]), kind: .endpointSlice)
        #expect(endpoints() == [])
    }

    @Test func whatIsMissingIsNamedAndServesNothing() {
        var object = ingress("i", host: "h.test", [("/", "Prefix", "gone"), ("/p", "Prefix", "a")])
        object["spec", "rules"] = .array(
            (object["spec", "rules"]?.array ?? []).map { rule in
                var rule = rule
                var paths = rule["http", "paths"]?.array ?? []
                paths[1]["backend", "service", "port"] = ["number": 81]
                rule["http", "paths"] = .array(paths)
                return rule
            })
        object["spec", "tls"] = [["hosts": ["h.test"], "secretName": "absent"]]
        let result = RouteBuilder(from: snapshot(services: ["a": "10.0.0.1"], [object]))
        #expect(result.table.endpoints("h.test", "/") == [])
        #expect(
            result.problems.map(\.message) == [
                "service \"default/gone\" not found", "service \"default/a\" does not have a port 81",
                "secret \"absent\" not found",
            ])
    }

    @Test func certificatesComeFromSecretsByHost() {
        var object = ingress("i", host: "h.test", [("/", "Prefix", "a")])
        object["spec", "tls"] = [["hosts": ["H.test", "*.h.test"], "secretName": "tls"]]
        var state = snapshot(services: ["a": "10.0.0.1"], [object])
        state.put(
            [
                "metadata": ["name": "tls", "namespace": "default"], "type": "kubernetes.io/tls",
                "data": ["tls.crt": "Y3J0", "tls.key": "a2V5"],
            ], kind: .secret)
        let certificates = RouteBuilder(from: state).certificates
        #expect(Set(certificates.keys) == ["h.test", "*.h.test"])
        #expect(certificates["h.test"]?.certificatePEM == Array("crt".utf8))
        #expect(certificates["h.test"]?.privateKeyPEM == Array("key".utf8))
    }

    @Test func aCertificateWithoutHostsIsForThoseOfTheRules() {
        var object = ingress("i", host: "h.test", [("/", "Prefix", "a")])
        object["spec", "tls"] = [["secretName": "tls"]]
        var state = snapshot(services: ["a": "10.0.0.1"], [object])
        let secret: JSON = [
            "metadata": ["name": "tls", "namespace": "default"], "data": ["tls.crt": "Y3J0", "tls.key": "a2V5"],
        ]
        state.put(secret, kind: .secret)
        let result = RouteBuilder(from: state)
        #expect(result.certificates.keys.sorted() == ["h.test"] && result.problems.isEmpty)
        object["spec", "rules"] = nil
        object["spec", "defaultBackend"] = ["service": ["name": "a", "port": ["number": 80]]]
        state.put(object, kind: .ingress)
        let bare = RouteBuilder(from: state)
        #expect(bare.certificates.isEmpty)
        #expect(bare.problems.map(\.message) == ["the certificate in secret \"tls\" is for no host"])
    }

    @Test func foreignClassesAreLeftAloneAndTheDefaultClassTakesTheRest() {
        var foreign = ingress("foreign", host: "f.test", [("/", "Prefix", "a")])
        foreign["spec", "ingressClassName"] = "nginx"
        var plain = ingress("plain", host: "p.test", [("/", "Prefix", "a")])
        plain["spec", "ingressClassName"] = nil
        var state = snapshot(services: ["a": "10.0.0.1"], [foreign, plain])
        #expect(RouteBuilder(from: state).served.isEmpty)
        state.put(
            [
                "metadata": [
                    "name": "martlet", "annotations": ["ingressclass.kubernetes.io/is-default-class": "true"],
                ], "spec": ["controller": .string(IngressClasses.controllerName)],
            ], kind: .ingressClass)
        #expect(RouteBuilder(from: state).served.map(\.name) == ["plain"])
    }

    @Test func hostileTextNeverTraps() {
        var random = SplitMix64(seed: 1)
        let pieces = [
            "*", ".", "/", ":", "[", "]", "%", "?", "#", "a", "é", "\u{0}", "\n", "", "*.", "//", "..", "443",
        ]
        func text() -> String {
            (0..<Int.random(in: 0...6, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
        }
        for _ in 0..<2000 {
            let state = snapshot(
                services: ["a": "10.0.0.1"],
                [ingress("i", host: text(), [(text(), "Prefix", "a"), (text(), "Exact", text())])])
            let table = RouteBuilder(from: state).table
            for _ in 0..<5 { _ = table.service(text(), text()) }
        }
    }

    @Test func theEdgeFindsReadyWorkersByTheirAnnotation() {
        func node(_ name: String, ready: String, port: String?) -> JSON {
            var node: JSON = [
                "metadata": ["name": .string(name)],
                "status": [
                    "conditions": [["type": "Ready", "status": .string(ready)]],
                    "addresses": [["type": "InternalIP", "address": .string("10.9.0." + name)]],
                ],
            ]
            if let port { node["metadata", "annotations"] = [EdgeTable.portAnnotation: .string(port)] }
            return node
        }
        var state = Snapshot()
        state.put(node("1", ready: "True", port: "31234"), kind: .node)
        state.put(node("2", ready: "False", port: "31234"), kind: .node)
        state.put(node("3", ready: "True", port: nil), kind: .node)
        state.put(node("4", ready: "True", port: "70000"), kind: .node)
        #expect(EdgeTable(from: state).workers == [.ip("10.9.0.1", port: 31234)])
    }
}
