import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

private typealias G = GatewayObjects

@Suite("A rule that cannot be read refuses, and no other answers in its place") struct UnreadableRuleTests {
    @Test(
        "what begins like an expression that cannot be read is closed, in any case",
        arguments: [
            ("/admin(", "/admin/users", true), ("/admin(", "/ADMINISTRATION", true), ("/admin(", "/adm", false),
            ("^/admin(", "/admin", true), ("/adm[in", "/admin", true), ("/ab?(", "/a", true), ("/ab+(", "/a", false),
            ("/a|/b(", "/b", true), ("/a(x|y", "/b", false), ("/a(x|y)[", "/b", false), ("/a\\(|/b(", "/b", true),
            ("/a[(]|/b(", "/b", true), ("/a)|(/b", "/c", true), ("/é(", "/x", true), ("(", "/x", true),
        ])
    func unreadable(expression: String, path: String, isClosed: Bool) {
        let guarded = RouteObjects.ingress(
            "guarded", ["I \(expression) b"],
            annotations: ["use-regex": "true", "whitelist-source-range": "192.0.2.0/24"])
        let ingresses = RouteObjects.builder(guarded, RouteObjects.ingress("open", ["P / a"]))
        #expect(served(ingresses, "h.test", path) == (isClosed ? "503" : "default/a"))
        #expect(ingresses.problems.map(\.object.name) == ["guarded"])
        let routes = G.builder(
            G.gateway(), G.route("guarded", [G.rule([G.path(expression, "RegularExpression")], to: [G.backend("b")])]),
            G.route("open"))
        #expect(served(routes, "h.test", path) == (isClosed ? "500" : "default/a"))
        #expect(routes.parent("guarded", "Accepted") == "False UnsupportedValue")
        #expect(routes.parent("open", "Accepted") == "True Accepted")
        #expect(routes.listener("http")?["attachedRoutes"] == 1)
    }

    @Test("a backend that is no Service answers 500 where its rule holds")
    func backends() {
        var object = RouteObjects.ingress("i", ["P /admin b"])
        object["spec", "rules"] = [
            [
                "host": "h.test",
                "http": ["paths": [["path": "/admin", "pathType": "Prefix", "backend": ["resource": ["name": "x"]]]]],
            ]
        ]
        let builder = RouteObjects.builder(object, RouteObjects.ingress("open", ["P / a"]))
        #expect(served(builder, "h.test", "/admin/x") == "500" && served(builder, "h.test", "/x") == "default/a")
    }

    @Test("a match that cannot be read refuses what it covers; the others of its path and rule answer, and it is named")
    func matches() {
        let bad: JSON = ["headers": [["name": "version", "type": "RegularExpression", "value": "v["]]]
        let good: JSON = ["headers": [["name": "beta", "value": "yes"]]]
        let builder = G.builder(
            G.gateway(),
            G.route([
                G.rule([G.path("/x", more: good), G.path("/x", more: bad)], to: [G.backend("b")]),
                G.rule([G.path("/x")]),
            ]))
        #expect(served(builder, "h.test", "/x", ["version": "v1"]) == "500")
        #expect(served(builder, "h.test", "/x", ["beta": "yes"]) == "default/b")
        #expect(served(builder, "h.test", "/x") == "default/a", "without the field it is not this match")
        #expect(builder.parent("PartiallyInvalid") == "True UnsupportedValue")
        let conditions = builder.status(.httpRoute, "r")?["parents"]?[0]?["conditions"]?.array
        #expect(conditions?.last?["message"]?.string == "rule 0: match 1: \"v[\" is not a regular expression")
    }

    @Test("an expression that needs too many steps for a request refuses it")
    func steps() {
        let builder = RouteObjects.builder(
            RouteObjects.ingress("i", ["I /(?:a{0,9}){0,99}x b", "P / a"], annotations: ["use-regex": "true"]))
        #expect(served(builder, "h.test", "/" + String(repeating: "a", count: 400)) == "400")
        #expect(served(builder, "h.test", "/aax") == "default/b")
        #expect(served(builder, "h.test", "/aay") == "default/a")
    }
}

@Suite("A path that servers read differently") struct PathReadingTests {
    /// `/admin` leads to b, what is left to a.
    private static let builder = RouteObjects.builder(
        RouteObjects.ingress("i", ["P /admin b", "P /@team c"]), RouteObjects.ingress("j", ["P / a"]))

    @Test(
        "the rule that all ways of reading lead to has it",
        arguments: [
            ("/admin", "b"), ("//admin", "b"), ("/%61dmin", "b"), ("/admin?x=%2F../", "b"), ("/admin/.", "b"),
            ("/admin/a%2Fb", "b"), ("/admin/x/../y", "b"), ("/admin/x;v=1", "b"), ("/admin/100%25", "b"),
            ("/x%2Fy", "a"), ("/x;v=1", "a"), ("/x/../y", "a"), ("/a%2520b", "a"), ("/.well-known/x", "a"),
            ("/administration", "a"), ("/a%20b", "a"), ("/%40team/x", "c"), ("/@team", "c"),
        ])
    func leads(path: String, service: String) {
        #expect(served(Self.builder, "h.test", path) == "default/" + service)
    }

    @Test(
        "one that leads to another rule when it is read in another way is refused",
        arguments: [
            "/admin%2Fx", "/admin%2fx", "/admin%5Cx", "/admin\\x", "/admin;x", "/admin;x/y", "/admin%3Bx", "/;x/admin",
            "/%2Fadmin", "/admin%252Fx", "/%2561dmin", "/x/../admin", "/./admin", "/%2e/admin", "/admin/../x",
        ])
    func refuses(path: String) { #expect(served(Self.builder, "h.test", path) == "400") }

    @Test(
        "one that climbs, and hides it, is refused wherever it may lead",
        arguments: [
            "/x/..%2Fadmin", "/x%2F..%2Fadmin", "/x/%2e%2e/admin", "/x/.%2E/y", "/..;/admin", "/x/..;a/y",
            "/x/..%5Cadmin", "/x\\..\\admin", "/x/%252e%252e/admin", "/x%252F..%252Fy", "/admin/z%5C..%5C..%5C..%5Cy",
        ])
    func climbing(path: String) { #expect(served(Self.builder, "h.test", path) == "400") }

    @Test("what no rule covers is not shown by another way of reading it, and two rules that do the same are one")
    func others() {
        let public_ = RouteObjects.builder(RouteObjects.ingress("i", ["P /public a"]))
        #expect(served(public_, "h.test", "/public/../secret") == nil)
        #expect(served(public_, "h.test", "/secret/../public") == "400")
        let same = RouteObjects.builder(RouteObjects.ingress("i", ["P /x a", "P / a"]))
        #expect(served(same, "h.test", "/x%2Fy") == "default/a")
    }

    /// The elements of a path, as a server with these habits finds them.
    private func elements(
        _ path: String, decodings: Int, cut: Int, turns: Bool, resolves: Bool
    ) -> [String] {
        func parts(_ text: String) -> [String] {
            text.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        }
        func cutting(_ parts: [String]) -> [String] { parts.map { String($0.prefix { $0 != ";" }) } }
        var path = path
        if cut == 1 { path = "/" + cutting(parts(path)).joined(separator: "/") }
        for _ in 0..<decodings { path = PercentCoding.decode(path) }
        if turns { path = String(path.map { $0 == "\\" ? "/" : $0 }) }
        var found = cut == 2 ? cutting(parts(path)) : parts(path)
        if decodings == 0 { found = found.map { PercentCoding.decode($0) } }
        if !resolves { return found.filter { !$0.isEmpty } }
        var result: [String] = []
        for element in found where !element.isEmpty && element != "." {
            if element == ".." { _ = result.popLast() } else { result.append(element) }
        }
        return result
    }

    @Test("no server, whatever its habits, finds what one rule guards behind another")
    func fuzzedReadings() {
        var random = SplitMix64(seed: Fuzz.seed(31))
        let pieces = [
            "/", "/", "admin", "admin", "x", "..", ".", ";", "%2F", "%2f", "%5C", "\\", "%2e", "%252F", "%252e", "%25",
            "%3B", "%253B", "%61dmin", "%2561dmin", "%", "a",
        ]
        var outcomes: [String: Int] = [:]
        for _ in 0..<Fuzz.runs(6000) {
            let count = Int.random(in: 1...9, using: &random)
            let path = "/" + (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            let answer = served(Self.builder, "h.test", path) ?? "404"
            outcomes[answer, default: 0] += 1
            if answer == "400" { continue }
            for decodings in 0...2 {
                for cut in 0...2 {
                    for (turns, resolves) in [(false, false), (false, true), (true, false), (true, true)] {
                        let found = elements(path, decodings: decodings, cut: cut, turns: turns, resolves: resolves)
                        guard (found.first == "admin") == (answer == "default/b") else {
                            Issue.record("\(path) leads to \(answer), and is read \(found)")
                            return
                        }
                    }
                }
            }
        }
        #expect(outcomes["default/a", default: 0] > 100 && outcomes["default/b", default: 0] > 100)
    }
}
