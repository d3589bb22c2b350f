import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

/// The policy of an Ingress with these annotations, and what it complains of.
private func read(
    _ annotations: [String: String], path: String = "P / a"
) -> (policy: RoutePolicy, problems: [String]) {
    let builder = RouteObjects.builder(RouteObjects.ingress("i", [path], annotations: annotations))
    return (builder.table.policy() ?? builder.table.policy("h.test", "/x")!, builder.problems.map(\.message))
}

@Suite("What annotations of ingress-nginx say") struct AnnotationTests {
    @Test func redirectsToHTTPSAreTheRuleAndCanBeTurnedOff() {
        #expect(read([:]).policy.redirectsToSecure)
        #expect(!read(["ssl-redirect": "false"]).policy.redirectsToSecure)
        #expect(read(["ssl-redirect": "false", "force-ssl-redirect": "true"]).policy.redirectsToSecure)
        let bad = read(["ssl-redirect": "nope"])
        #expect(bad.policy.redirectsToSecure)
        #expect(
            bad.problems == ["annotation nginx.ingress.kubernetes.io/ssl-redirect: \"nope\" is not true or false"])
    }

    @Test(arguments: [
        ("/something(/|$)(.*)", "/$2", "/something", "/"), ("/something(/|$)(.*)", "/$2", "/something/", "/"),
        ("/something(/|$)(.*)", "/$2", "/something/new?x=1", "/new?x=1"),
        ("/Some(.*)", "/other$1", "/SOMETHING/a%20b", "/otherTHING/a%20b"),
        ("/a/(\\d+)/(\\w+)", "/$2?id=$1", "/a/42/show?full", "/show?id=42&full"),
        ("/(.*)", "/$1", "/a/../b", "/b"),
    ])
    func rewriteTargetsTakeGroups(path: String, target: String, sent: String, got: String) {
        let builder = RouteObjects.builder(
            RouteObjects.ingress("i", ["I \(path) a"], annotations: ["rewrite-target": target, "use-regex": "true"]))
        let match = builder.table.match("h.test", sent)
        #expect(match?.route.policy.filters.rewrite?.target(sent, matched: match!.path) == got)
    }

    @Test func aRewriteTargetWithoutGroupsTakesThePlaceOfTheWholePath() {
        let builder = RouteObjects.builder(
            RouteObjects.ingress("i", ["P /app a"], annotations: ["rewrite-target": "/"]))
        let match = builder.table.match("h.test", "/app/deep?q=1")
        #expect(match?.route.policy.filters.rewrite?.target("/app/deep?q=1", matched: match!.path) == "/?q=1")
        #expect(builder.table.match("h.test", "/apple") == nil, "it stays a path by elements")
        let query = RouteObjects.builder(
            RouteObjects.ingress("i", ["P /app a"], annotations: ["rewrite-target": "/show?from=app"]))
        let second = query.table.match("h.test", "/app?q=1")
        let rewrite = second?.route.policy.filters.rewrite
        #expect(rewrite?.target("/app?q=1", matched: second!.path) == "/show?from=app&q=1")
        #expect(rewrite?.target("/app", matched: second!.path) == "/show?from=app")
    }

    @Test func expressionsHoldFromTheBeginningInAnyCase() {
        let builder = RouteObjects.builder(
            RouteObjects.ingress(
                "i", ["I /v\\d+/.* b", "E /v1/x c", "P / a"], annotations: ["use-regex": "true"]))
        func service(_ path: String) -> String? { builder.table.service("h.test", path) }
        #expect(service("/v2/x") == "default/b" && service("/V2/x") == "default/b")
        #expect(service("/v1/x") == "default/c")
        #expect(service("/w/v2/x") == "default/a")
        let bad = RouteObjects.builder(
            RouteObjects.ingress("i", ["I /( a", "P /ok b"], annotations: ["use-regex": "true"]))
        #expect(bad.table.service("h.test", "/ok") == "default/b")
        #expect(
            bad.problems.map(\.message)
                == ["path \"/(\" is not a regular expression: all that begins like it is closed"])
    }

    @Test func redirectsName() {
        #expect(read(["app-root": "/app"]).policy.appRoot == "/app")
        #expect(read(["app-root": "https://evil.test/"]).policy.appRoot == nil)
        let permanent = read(["permanent-redirect": "https://new.test/x"]).policy.filters.redirect
        #expect(permanent?.status == 301 && permanent?.location == "https://new.test/x")
        let both = read([
            "permanent-redirect": "https://new.test/x", "permanent-redirect-code": "308",
            "temporal-redirect": "https://now.test/",
        ]).policy.filters.redirect
        #expect(both?.location == "https://now.test/" && both?.status == 302)
        #expect(
            read(["permanent-redirect": "https://new.test/", "permanent-redirect-code": "308"]).policy.filters
                .redirect?.status == 308)
        for text in ["javascript:alert(1)", "https://a\r\nSet-Cookie: x=y", "https://$host/", ""] {
            let result = read(["permanent-redirect": text])
            #expect(result.policy.filters.redirect == nil && result.problems.count == 1)
        }
    }

    @Test func theWWWHostIsSentToTheOtherUnlessItHasRules() {
        let one = RouteObjects.ingress("i", host: "h.test", annotations: ["from-to-www-redirect": "true"])
        let builder = RouteObjects.builder(one)
        let redirect = builder.table.policy("www.h.test", "/a?b")?.filters.redirect
        #expect(
            redirect?.location(
                host: "www.h.test", target: "/a?b", isSecure: true, matched: .prefix([]), listener: nil)
                == "https://h.test/a?b")
        let own = RouteObjects.builder(one, RouteObjects.ingress("j", host: "www.h.test", ["P /own b"]))
        #expect(own.table.service("www.h.test", "/own") == "default/b")
        #expect(own.table.policy("www.h.test", "/a") == nil)
    }

    @Test func timesSizesAndProtocols() {
        let policy = read([
            "proxy-connect-timeout": "7", "proxy-send-timeout": "8s", "proxy-read-timeout": "3600",
            "proxy-body-size": "8m", "backend-protocol": "grpcs", "upstream-vhost": "inner.test:8080",
            "service-upstream": "true",
        ]).policy
        #expect(policy.timeouts.connect == .seconds(7) && policy.timeouts.send == .seconds(8))
        #expect(policy.timeouts.read == .seconds(3600))
        #expect(policy.bodyLimit == 8 << 20)
        #expect(policy.backendProtocol == .grpcs && policy.upstreamHost == "inner.test:8080")
        #expect(policy.goesThroughService)
        #expect(read(["proxy-body-size": "0"]).policy.bodyLimit == nil)
        for (name, value) in [
            ("proxy-connect-timeout", "0"), ("proxy-read-timeout", "soon"), ("proxy-body-size", "-1"),
            ("proxy-body-size", "99999999999g"), ("backend-protocol", "FCGI"), ("upstream-vhost", "a b"),
            ("upstream-vhost", "a\r\nb"), ("limit-rps", "-1"), ("canary-weight", "1.5"),
            ("session-cookie-path", "/;x"), ("session-cookie-name", "a b"), ("affinity", "ip"),
        ] {
            let result = read([name: value])
            #expect(result.problems.count == 1, "\(name): \(value)")
            #expect(result.policy == read([:]).policy, "\(name): \(value)")
        }
    }

    @Test func whatConnectionsToBackendsBeginWith() {
        let key = "martlet.io/send-proxy-protocol"
        #expect(read([:]).policy.preface == nil)
        #expect(read([key: "v1"]).policy.preface == .one)
        #expect(read([key: " v2 "]).policy.preface == .two)
        let wrong = read([key: "v3"])
        #expect(wrong.policy == read([:]).policy)
        #expect(wrong.problems == ["annotation \(key): \"v3\" is not v1 or v2"])
    }

    @Test func whoMayCome() throws {
        let policy = read([
            "whitelist-source-range": "10.0.0.0/8, 192.0.2.1,2001:db8::/32", "denylist-source-range": "10.1.0.0/16",
        ]).policy
        let access = try #require(policy.access)
        func admits(_ text: String) -> Bool { access.admits(IPAddress(text)) }
        #expect(admits("10.2.3.4") && admits("192.0.2.1") && admits("2001:db8::5"))
        #expect(!admits("10.1.2.3") && !admits("192.0.2.2") && !admits("2001:db9::5") && !access.admits(nil))
    }

    @Test(arguments: [
        ("whitelist-source-range", "10.0.0.0/33"), ("whitelist-source-range", ""), ("denylist-source-range", "all"),
        ("auth-type", "digest"), ("auth-type", "a\r\nb"), ("auth-type", "basic"), ("auth-url", "https://auth.test/"),
        ("auth-tls-secret", "default/ca"),
    ])
    func aRuleOfAccessThatCannotBeReadClosesTheRoute(name: String, value: String) {
        let result = read([name: value])
        #expect(result.policy.failure?.status == 503)
        #expect(!result.problems[0].utf8.contains { $0 < 0x20 })
        #expect(result.problems.count == 1 && result.problems[0].contains("nginx.ingress.kubernetes.io/"))
    }

    @Test func basicAuthenticationComesFromASecretOfTheSameNamespace() {
        let annotations = ["auth-type": "basic", "auth-secret": "users", "auth-realm": "Staff"]
        var builder = RouteObjects.builder(RouteObjects.ingress(annotations: annotations))
        #expect(builder.table.policy()?.failure?.status == 503)
        #expect(builder.problems.map(\.message) == ["secret \"users\" not found: the route is closed"])
        func secret(_ namespace: String, _ data: [String: String]) -> JSON {
            [
                "metadata": ["name": "users", "namespace": .string(namespace)],
                "data": JSON(data.mapValues { Base64.encode(Array($0.utf8)) }),
            ]
        }
        builder.put(secret("default", ["auth": "# us\nann:$apr1$x$y\n\nbob:{SHA}z:more\nann:second\n"]), kind: .secret)
        builder.update()
        let rules = builder.table.policy()?.authentication
        #expect(rules?.hashes == ["ann": "$apr1$x$y", "bob": "{SHA}z"] && rules?.challenge == "Basic realm=\"Staff\"")
        #expect(builder.table.policy()?.failure == nil && builder.problems.isEmpty)

        var map = annotations
        map["auth-secret-type"] = "auth-map"
        builder.put(RouteObjects.ingress(annotations: map), kind: .ingress)
        builder.put(secret("default", ["ann": "h1\n", "bob": "h2"]), kind: .secret)
        builder.update()
        #expect(builder.table.policy()?.authentication?.hashes == ["ann": "h1", "bob": "h2"])

        var foreign = annotations
        foreign["auth-secret"] = "other/users"
        builder.put(secret("other", ["auth": "ann:h"]), kind: .secret)
        builder.put(RouteObjects.ingress(annotations: foreign), kind: .ingress)
        builder.update()
        #expect(builder.table.policy()?.failure?.status == 503)
    }

    @Test(arguments: [
        ("$2y$14$a", true), ("$2b$15$a", false), ("$2y$31$a", false), ("$2y$x$a", false), ("$6$salt$x", true),
        ("$6$rounds=1000000$s$x", true), ("$5$rounds=999999999$s$x", false), ("$y$j9T$s$x", true),
        ("$y$jBT$s$x", true), ("$y$jFT$s$x", false), ("$y$j9z$s$x", false), ("$y$j9T5$s$x", false), ("$7$C6$x", false),
        ("$md5,rounds=4294967295$s$x", false), ("_zzzzsalt", false), ("$apr1$s$x", true), ("$1$s$x", true),
        ("{SHA}x", true), ("aaDESDESDESDE", true), ("", true),
    ])
    func hashesThatTakeTooLongAreNotBorne(hash: String, isBearable: Bool) {
        #expect(BasicAuthentication.isBearable(hash) == isBearable)
    }

    @Test func theLongestPausesOfAllRoutesAreKnown() {
        var builder = RouteObjects.builder(RouteObjects.ingress(annotations: ["proxy-read-timeout": "120"]))
        #expect(builder.longestPauses.read == .seconds(120) && builder.longestPauses.send == nil)
        builder.put(RouteObjects.ingress(annotations: [:]), kind: .ingress)
        builder.update()
        #expect(builder.longestPauses == RouteTimeouts())
    }

    @Test func namesWithHashesThatTakeTooLongAreTold() {
        var builder = RouteObjects.builder(
            RouteObjects.ingress(annotations: ["auth-type": "basic", "auth-secret": "users"]))
        let file = Base64.encode(Array("ann:$2y$31$a\nbob:$apr1$x$y\n".utf8))
        builder.put(
            ["metadata": ["name": "users", "namespace": "default"], "data": ["auth": .string(file)]], kind: .secret)
        builder.update()
        #expect(builder.table.policy()?.authentication?.hashes == ["bob": "$apr1$x$y"])
        #expect(builder.problems.count == 1 && builder.problems[0].message.contains("\"ann\" among them"))
    }

    @Test func credentialsAreReadAndNothingElseIs() {
        func read(_ text: String?) -> [String]? {
            BasicAuthentication.credentials(in: text).map { [$0.name, $0.password] }
        }
        #expect(read("Basic " + Base64.encode(Array("ann:a:b".utf8))) == ["ann", "a:b"])
        #expect(read("basic " + Base64.encode(Array(":".utf8))) == ["", ""])
        for text in [nil, "", "Basic", "Basic !!", "Bearer abc", "Basic " + Base64.encode(Array("ann".utf8))] {
            #expect(read(text) == nil)
        }
    }

    @Test func otherOrigins() {
        let on = read(["enable-cors": "true"]).policy.cors
        // Nobody's visitors who have logged in are read by just anybody.
        for origin in ["https://a.test", "null", nil] {
            let fields = on?.fields(for: origin, isPreflight: false).map { "\($0.name): \($0.value)" }
            #expect(fields == ["access-control-allow-origin: *"])
        }
        let some = read([
            "enable-cors": "true", "cors-allow-origin": "https://*.a.test, http://b.test:8080",
            "cors-allow-methods": "GET, PUT", "cors-allow-headers": "X-A", "cors-expose-headers": "X-B",
            "cors-allow-credentials": "false", "cors-max-age": "600",
        ]).policy.cors
        #expect(some?.allowed("https://x.a.test") == "https://x.a.test")
        #expect(some?.allowed("http://b.test:8080") == "http://b.test:8080")
        for origin in [
            "https://a.test", "http://x.a.test", "https://xa.test", "https://x.a.test.evil.test", "http://b.test",
            "https://evil.test/.a.test", "https://x.y.a.test", "null", nil,
        ] {
            #expect(some?.allowed(origin) == nil)
        }
        let fields = some?.fields(for: "http://b.test:8080", isPreflight: true) ?? []
        #expect(
            fields.map { "\($0.name): \($0.value)" } == [
                "access-control-allow-origin: http://b.test:8080", "vary: Origin",
                "access-control-allow-methods: GET, PUT", "access-control-allow-headers: X-A",
                "access-control-max-age: 600",
            ])
        #expect(
            some?.fields(for: "http://b.test:8080", isPreflight: false).map(\.name) == [
                "access-control-allow-origin", "vary", "access-control-expose-headers",
            ])
        let bad = read(["enable-cors": "true", "cors-allow-origin": "https://a b"])
        #expect(bad.policy.cors?.allowed("https://a") == nil && bad.problems.count == 1)
        #expect(read(["cors-allow-origin": "*"]).policy.cors == nil)
    }

    @Test func unknownAnnotationsAreNamedAndForeignOnesAreNot() {
        var object = RouteObjects.ingress(annotations: ["server-snippet": "x", "affinity-mode": "persistent"])
        object["metadata", "annotations", "example.com/other"] = "x"
        #expect(
            RouteObjects.builder(object).problems.map(\.message) == [
                "annotation nginx.ingress.kubernetes.io/server-snippet is not supported"
            ])
    }

    @Test func limits() {
        let limits = read([
            "limit-rps": "10", "limit-rpm": "100", "limit-connections": "3", "limit-burst-multiplier": "2",
            "limit-whitelist": "10.0.0.0/8",
        ]).policy.limits
        #expect(limits.perSecond == 10 && limits.perMinute == 100 && limits.connections == 3 && limits.burst == 2)
        #expect(limits.exempt == [IPRange("10.0.0.0/8")!])
    }
}

@Suite("Canaries") struct CanaryTests {
    private func table(_ annotations: [String: String]) -> RouteTable {
        var all = annotations
        all["canary"] = "true"
        return RouteObjects.builder(
            RouteObjects.ingress("main", ["P / a", "P /other c"]),
            RouteObjects.ingress("canary", ["P / b", "P /none b"], annotations: all)
        ).table
    }

    private func takes(_ annotations: [String: String], _ fields: [String: String] = [:], draw: UInt64 = 99) -> Bool? {
        table(annotations).policy()?.canaries.first?.takes(draw: draw) { fields[$0] }
    }

    @Test func theyStandBesideTheRuleOfTheSameHostAndPathAlone() {
        let table = table(["canary-weight": "10"])
        #expect(table.service("h.test", "/") == "default/a")
        let canary = table.policy()?.canaries.first
        #expect(canary?.slot.map { table.backends[$0].service } == "default/b")
        #expect(table.policy("h.test", "/other")?.canaries == [])
        #expect(table.service("h.test", "/none") == "default/a")
    }

    @Test func theHeaderGoesBeforeTheCookieAndThatBeforeTheWeight() {
        let both = ["canary-by-header": "X-Canary", "canary-by-cookie": "try", "canary-weight": "100"]
        #expect(takes(both, ["x-canary": "never", "cookie": "try=always"]) == false)
        #expect(takes(both, ["x-canary": "always", "cookie": "try=never"]) == true)
        #expect(takes(both, ["x-canary": "maybe", "cookie": "a=b; try=never"]) == false)
        #expect(takes(both, ["cookie": "try=maybe"]) == true)
        #expect(takes(["canary-by-cookie": "try"], ["cookie": "retry=always"]) == false)
    }

    @Test func valuesAndPatterns() {
        let value = ["canary-by-header": "X-Canary", "canary-by-header-value": "blue"]
        #expect(takes(value, ["x-canary": "blue"]) == true)
        #expect(takes(value, ["x-canary": "always"]) == false)
        let pattern = ["canary-by-header": "X-Canary", "canary-by-header-pattern": "^v[0-9]+$"]
        #expect(takes(pattern, ["x-canary": "v12"]) == true)
        #expect(takes(pattern, ["x-canary": "w12"]) == false)
    }

    @Test func weightsAreSharesOfTheTotal() {
        for (weight, total, draw, isTaken) in [
            ("30", "100", UInt64(29), true), ("30", "100", 30, false), ("1", "1000", 0, true), ("1", "1000", 1, false),
        ] {
            #expect(takes(["canary-weight": weight, "canary-weight-total": total], draw: draw) == isTaken)
        }
        #expect(takes([:], draw: 0) == false)
    }
}

@Suite("Rates and stickiness") struct RateTests {
    private let origin = RouteOrigin(kind: "Ingress", namespace: "default", name: "i")
    private let client = IPAddress("192.0.2.1")!

    @Test func aClientMayBurstAndThenKeepsTheRate() {
        var limiter = RateLimiter()
        var limits = RouteLimits()
        limits.perSecond = 2
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var admitted = 0
        for _ in 0..<50 where limiter.admits(client, to: origin, limits, now: now) { admitted += 1 }
        #expect(admitted == 11, "one, and five times the rate at once")
        now = now + .seconds(1)
        admitted = 0
        for _ in 0..<50 where limiter.admits(client, to: origin, limits, now: now) { admitted += 1 }
        #expect(admitted == 2)
        let other = limiter.admits(IPAddress("192.0.2.2")!, to: origin, limits, now: now)
        #expect(other, "others are others")
        limits.exempt = [IPRange("192.0.2.0/24")!]
        let exempt = limiter.admits(client, to: origin, limits, now: now)
        #expect(exempt)
    }

    @Test func aClientBelowTheRateIsAdmittedHoweverOftenItComes() {
        var limiter = RateLimiter()
        var limits = RouteLimits()
        (limits.perSecond, limits.burst) = (2000, 1)
        var now = MonotonicTime(nanoseconds: 1)
        var refused = 0
        for _ in 0..<20_000 {
            if !limiter.admits(client, to: origin, limits, now: now) { refused += 1 }
            now = now + .microseconds(550)
        }
        #expect(refused == 0)
    }

    @Test func aNetworkOfIPv6IsOneClient() throws {
        var limiter = RateLimiter()
        var limits = RouteLimits()
        limits.perSecond = 1
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        func admitted(_ text: (Int) -> String) throws -> Int {
            try (1...50).count { number in
                limiter.admits(try #require(IPAddress(text(number))), to: origin, limits, now: now)
            }
        }
        #expect(try admitted { "2001:db8::\($0)" } == 6, "one, and five times the rate at once")
        #expect(try admitted { "2001:db8::1:\($0)" } == 0)
        #expect(try admitted { "2001:db8:0:\($0)::1" } == 50)
        #expect(try admitted { "::ffff:192.0.2.\($0)" } == 50, "these are addresses of IPv4")
        limits.exempt = [IPRange("2001:db8::7/128")!]
        let exempt = limiter.admits(try #require(IPAddress("2001:db8::7")), to: origin, limits, now: now)
        #expect(exempt, "who is exempt is said by addresses")
    }

    @Test func manyClientsCostNoMoreThanTheBound() {
        var limiter = RateLimiter()
        var limits = RouteLimits()
        limits.perMinute = 1
        let now = MonotonicTime(nanoseconds: 1)
        for number in 0..<UInt32(RateLimiter.mostClients + 10) {
            let isIn = limiter.admits(IPAddress(ipv4: number), to: origin, limits, now: now)
            if !isIn { Issue.record("client \(number) was refused") }
        }
    }

    @Test func aCookieKeepsItsEndpointWhileThatIsThere() throws {
        let backend = Backend(service: "default/a", endpoints: (1...5).map { .ip("10.0.0.\($0)", port: 80) })
        var moved = 0
        for key in 0..<200 as Range<UInt64> {
            let choice = try #require(
                StickyChoice(StickyChoice(key: key &* 0x9E37_79B9_7F4A_7C15, backend: backend).text))
            #expect(choice.isFor(backend) && !choice.isFor(Backend(service: "default/b", endpoints: [])))
            let own = choice.order(backend.endpoints)[0]
            #expect(choice.order(backend.endpoints.reversed())[0] == own)
            let left = backend.endpoints.filter { $0 != .ip("10.0.0.3", port: 80) }
            if own != .ip("10.0.0.3", port: 80) { #expect(choice.order(left)[0] == own) } else { moved += 1 }
        }
        #expect((10...90).contains(moved), "about a fifth had it: \(moved)")
        for text in ["", "-", "x", "0123456789abcdef-0123456", "0123456789abcdeg-01234567"] {
            #expect(StickyChoice(text) == nil)
        }
    }
}
