import MartletObject
import Testing

@Suite("Groups of regular expressions") struct RegularExpressionGroupTests {
    private func groups(_ expression: String, _ text: String) throws -> [String?]? {
        try RegularExpression(expression, keepsGroups: true).firstMatch(in: text)?.map { $0.map(String.init) }
    }

    @Test(
        arguments: [
            ("a(b)?c", "xabcx", ["abc", "b"]), ("a(b)?c", "ac", ["ac", nil]), ("(a+)(a*)", "aaa", ["aaa", "aaa", ""]),
            ("(a+?)(a*)", "aaa", ["aaa", "a", "aa"]), ("(?:a)(b)", "ab", ["ab", "b"]),
            (
                "(a|ab)(c|bcd)(d*)", "abcd",
                ["abcd", "a", "bcd", ""]
            ), ("(?P<n>x)(?<m>y)", "xy", ["xy", "x", "y"]),
            (
                "^/v(/|$)(.*)", "/v/é/z",
                ["/v/é/z", "/", "é/z"]
            ), ("(a)*", "aa", ["aa", "a"]), ("(?U)(a+)(a*)", "aaa", ["a", "a", ""]),
            ("(?i)^(?:FOO)(.*)", "foobar", ["foobar", "bar"]), ("", "abc", [""]), ("x*", "aaa", [""]),
            ("(b)$", "ab", ["b", "b"]),
        ] as [(String, String, [String?])])
    func theFirstMatchAndItsGroups(expression: String, text: String, wanted: [String?]) throws {
        #expect(try groups(expression, text) == wanted)
    }

    @Test func whatTakesTooManyStepsIsNeitherAMatchNorNone() throws {
        let expression = try RegularExpression("^(a*)b", keepsGroups: true)
        #expect(expression.test("aaaaaaaaab", steps: 10) == nil && expression.test("aaaaaaaaab") == true)
        #expect(expression.test("aaaaaaaaac", steps: 100) == false)
        #expect(expression.firstMatch(in: "aaaaaaaaab", steps: 10) == nil)
        #expect(expression.firstMatch(in: "aaaaaaaaab", steps: 200)?.last == "aaaaaaaaa")
    }

    @Test func withoutAMatchThereAreNone() throws {
        #expect(try groups("a(b)", "ac") == nil)
        #expect(try RegularExpression("a(b)").firstMatch(in: "ab")?.count == 1, "groups are kept on demand")
    }

    @Test func noExpressionTakesLong() throws {
        let text = String(repeating: "a", count: 2000)
        #expect(try groups("(a*)*(a*)*b", text) == nil)
        #expect(try groups("((((a?){20}){20})*)c", text) == nil)
    }
}
