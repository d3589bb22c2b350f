import MartletBase
import MartletObject
import MartletRoutes
import Testing

/// The 30 cases of the Ingress conformance features (ingress-controller-conformance): 28 requests in one table, the
/// class and the balance. What they say of an echo server's answers is held where answers are made.
@Suite("Ingress conformance: the 30 cases") struct IngressFeatureTests {
    /// One case: its feature, what is asked, and the Service that must answer; nil for 404.
    struct Case: Sendable, CustomTestStringConvertible {
        var feature: String
        var method = "GET"
        var scheme = "http"
        var host: String
        var path: String
        var service: String?

        var testDescription: String {
            "\(feature): \(method) \(scheme)://\(host)\(path) \(service ?? "404")"
        }
    }

    private static func paths(_ host: String, _ path: String, _ service: String?) -> Case {
        Case(feature: "path rules", host: host, path: path, service: service)
    }

    private static func hosts(_ host: String, _ service: String?, scheme: String = "http") -> Case {
        Case(feature: "host rules", scheme: scheme, host: host, path: "/", service: service)
    }

    private static func fallback(_ method: String, _ host: String, _ path: String) -> Case {
        Case(feature: "default backend", method: method, host: host, path: path, service: "echo-service")
    }

    static let cases: [Case] = [
        // An Exact path is that path alone, byte for byte.
        paths("exact-path-rules", "/foo", "foo-exact"),
        paths("exact-path-rules", "/foo/", nil),
        paths("exact-path-rules", "/FOO", nil),
        paths("exact-path-rules", "/bar", nil),
        // A Prefix goes by whole elements; the longest has the request. The features ask for /foo/ twice.
        paths("prefix-path-rules", "/foo", "foo-prefix"),
        paths("prefix-path-rules", "/foo/", "foo-prefix"),
        paths("prefix-path-rules", "/FOO", nil),
        paths("prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"),
        paths("prefix-path-rules", "/aaa/bbb/ccc", "aaa-slash-bbb-prefix"),
        paths("prefix-path-rules", "/aaa/ccc", "aaa-prefix"),
        paths("prefix-path-rules", "/aaaccc", nil),
        paths("prefix-path-rules", "/foo/", "foo-prefix"),
        // Exact goes before Prefix.
        paths("mixed-path-rules", "/foo", "foo-exact"),
        // A Prefix' last slash says nothing, an Exact path's does.
        paths("trailing-slash-path-rules", "/aaa/bbb", "aaa-slash-bbb-slash-prefix"),
        paths("trailing-slash-path-rules", "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"),
        paths("trailing-slash-path-rules", "/foo", nil),
        // Hosts: the name itself, with TLS and without; a wildcard is one label, no more and no fewer.
        hosts("foo.bar.com", "foo-bar-com", scheme: "https"),
        hosts("foo.bar.com", "foo-bar-com"),
        hosts("subdomain.bar.com", nil),
        hosts("bar.foo.com", "wildcard-foo-com"),
        hosts("baz.bar.foo.com", nil),
        hosts("foo.com", nil),
        // An Ingress without rules takes what nobody else does, whatever its method, host and path.
        fallback("GET", "my-host", "/"), fallback("GET", "my-host", "/sub-path"), fallback("POST", "some-host", "/"),
        fallback("PUT", "", "/resource"), fallback("DELETE", "some-host", "/resource"),
        fallback("PATCH", "my-host", "/resource"),
    ]

    @Test("with those of the class and of the balance there are 30") func count() {
        #expect(Self.cases.count + 2 == 30)
    }

    /// The features say `http` where the edge, as it comes, sends to `https`.
    private static let plain = ["ssl-redirect": "false"]

    private static func pathRules() -> JSON {
        var object = RouteObjects.ingress("path-rules", annotations: plain)
        object["spec", "rules"] = .array(
            [
                ("exact-path-rules", ["E /foo foo-exact"]),
                ("prefix-path-rules", ["P /foo foo-prefix", "P /aaa/bbb aaa-slash-bbb-prefix", "P /aaa aaa-prefix"]),
                ("mixed-path-rules", ["P /foo foo-prefix", "E /foo foo-exact"]),
                ("trailing-slash-path-rules", ["P /aaa/bbb/ aaa-slash-bbb-slash-prefix", "E /foo/ foo-slash-exact"]),
            ].map { RouteObjects.ingress(host: $0.0, $0.1)["spec", "rules"]?[0] ?? .null })
        return object
    }

    private static func hostRules() -> JSON {
        var object = RouteObjects.ingress("host-rules", host: "*.foo.com", ["P / wildcard-foo-com"], annotations: plain)
        var named = RouteObjects.ingress(host: "foo.bar.com", ["P / foo-bar-com"])["spec", "rules"]?[0] ?? .null
        named["http", "paths"] = [
            [
                "path": "/", "pathType": "Prefix",
                "backend": ["service": ["name": "foo-bar-com", "port": ["name": "http"]]],
            ]
        ]
        object["spec", "rules"] = .array((object["spec", "rules"]?.array ?? []) + [named])
        object["spec", "tls"] = [["hosts": ["foo.bar.com"], "secretName": "conformance-tls"]]
        return object
    }

    private static func fallbackAlone(_ name: String) -> JSON {
        var object = RouteObjects.ingress(name, annotations: plain)
        object["spec", "rules"] = nil
        object["spec", "defaultBackend"] = ["service": ["name": "echo-service", "port": ["number": 80]]]
        return object
    }

    /// The features' Ingresses, each feature by itself, among some thousands of others.
    private static func builder(_ feature: String, among others: Int = 0) -> RouteBuilder {
        var builder = RouteObjects.builder(services: Set(cases.compactMap(\.service)).sorted() + ["foo-slash-exact"])
        builder.put(GatewayObjects.secret("conformance-tls"), kind: .secret)
        let object =
            switch feature {
            case "path rules": pathRules()
            case "host rules": hostRules()
            default: fallbackAlone("default-backend")
            }
        builder.put(object, kind: .ingress)
        for number in 0..<others {
            let host = "host-\(number).other.test"
            let paths = ["P / foo-exact", "P /foo aaa-prefix"]
            builder.put(RouteObjects.ingress("other-\(number)", host: host, paths), kind: .ingress)
        }
        builder.update()
        return builder
    }

    private static let builders: [[String: RouteBuilder]] = [0, 2000].map { others in
        Dictionary(
            uniqueKeysWithValues: ["path rules", "host rules", "default backend"].map {
                ($0, builder($0, among: others))
            })
    }

    @Test("a request is answered by the Service that the feature says, alone and among 2,000 hosts", arguments: cases)
    func request(one: Case) throws {
        for builders in Self.builders {
            let builder = try #require(builders[one.feature])
            let isSecure = one.scheme == "https"
            let match = builder.table.match(one.host, one.path, method: one.method, isSecure: isSecure)
            let slot = match?.route.backend(draw: 1)?.slot
            #expect(slot.map { builder.table.backends[$0].service } == one.service.map { "default/" + $0 })
            guard let policy = match?.route.policy else { continue }
            #expect(policy.failure == nil && policy.filters.redirect == nil, "nobody but the pod answers")
            #expect(policy.filters.rewrite == nil && policy.upstreamHost == nil, "the pod sees the path and the host")
            #expect(!policy.redirectsToSecure)
            if isSecure {
                #expect(builder.certificates[one.host] != nil, "the connection shows the host's certificate")
            }
        }
    }

    @Test("ingress class: an Ingress of a class that is not ours gets no address and no request")
    func foreignClass() {
        var object = RouteObjects.ingress("test-ingress-class", host: "ingress-class", ["P / a"])
        object["spec", "ingressClassName"] = "some-invalid-class-name"
        let builder = RouteObjects.builder(object, RouteObjects.ingress("ours"))
        #expect(builder.served.map(\.name) == ["ours"], "only what is served gets an address")
        #expect(builder.table.service("ingress-class", "/") == nil)
    }

    @Test("load balancing: a default backend of ten pods uses them all")
    func balance() {
        var builder = RouteObjects.builder(services: ["echo-service"], Self.fallbackAlone("load-balancing"))
        builder.put(RouteObjects.slice("echo-service", (1...10).map { "10.0.1.\($0)" }), kind: .endpointSlice)
        builder.update()
        #expect(Set(builder.table.endpoints("load-balancing", "/") ?? []).count == 10)
    }
}
