import FuzzSupport
import MartletBase
import MartletObject
import Testing

@Suite struct RegularExpressionTests {
    @Test(
        arguments: [
            ("abc", "xabcx", true), ("^abc$", "xabc", false), ("^a.c$", "abc", true), ("^a.c$", "a\nc", false),
            ("(?s)^a.c$", "a\nc", true), ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "web-1", true),
            ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "web-", false), ("^(a|bc)+$", "abcbca", true),
            ("^(a|bc)+$", "abcb", false), ("^x{2,3}$", "x", false), ("^x{2,3}$", "xxx", true),
            ("^x{2,}$", "xxxxx", true), ("^x{2,3}$", "xxxx", false), ("^a{,3}$", "a{,3}", true), ("", "", true),
            ("^\\d+(s|m|h)$", "15m", true), ("^\\d+(s|m|h)$", "15d", false), ("^\\S+\\s\\w$", "a# b", true),
            ("^[^,]+$", "a,b", false), ("^[]a]$", "]", true), ("^[a-]$", "-", true), ("^[\\d.]+$", "1.2", true),
            ("^[[:alpha:]]+$", "abC", true), ("^[[:^alpha:]]$", "a", false), ("(?i)^ABC$", "abc", true),
            ("^(?i:a)B$", "AB", true), ("^(?i:a)B$", "Ab", false), ("\\bcat\\b", "a cat b", true),
            ("\\bcat\\b", "concat", false), ("^\\pL+$", "aé日", true), ("^\\p{Lu}$", "a", false),
            ("^\\x41\\x{1F600}$", "A😀", true), ("^\\Qa.b\\E$", "a.b", true), ("^\\Qa.b\\E$", "axb", false),
            ("^(?P<name>a)(?:b)?$", "a", true), ("(?m)^b$", "a\nb\nc", true), ("^a*?b$", "aaab", true),
            ("^é$", "é", true), ("a||b", "zz", true), ("^()*$", "", true),
        ] as [(String, String, Bool)])
    func matchesAsGoDoes(pattern: String, text: String, isMatch: Bool) throws {
        #expect(try RegularExpression(pattern).matches(text) == isMatch, "\(pattern) on \(text)")
    }

    @Test(
        arguments: [
            "(", ")", "a)", "[", "[z-a]", "*", "a**", "a{1001}", "a{3,2}", "\\", "\\1", "(?=a)", "(?!a)", "(?<=a)",
            "(?<!a)", "\\p{Greek}", "[[:moon:]]", "\\k", "(?P<a", "((a{1000}){1000}){1000}", "((x{0}){1000}){1000}",
            "\\x{110000}", "(?z)",
        ])
    func whatIsNoExpressionIsRefused(pattern: String) {
        #expect(throws: RegularExpressionError.self) { try RegularExpression(pattern) }
    }

    @Test func nestedRepetitionsTakeNoMoreThanLinearTime() throws {
        let expression = try RegularExpression("^(a+)+$")
        #expect(!expression.matches(String(repeating: "a", count: 20_000) + "b"))
    }

    @Test func fuzzedTextIsReadWithoutATrap() {
        let pieces = [
            "(", ")", "[", "]", "^", "$", "|", "*", "+", "?", "{2}", "{1,3}", "\\d", "\\pL", "\\x{41}", "a", "z-", "é",
            "(?i)", "(?:", "[[:alpha:]]", "\\Q", "\\E", ".", "\\", "-", "[^",
        ]
        var random = SplitMix64(seed: Fuzz.seed(11))
        for _ in 0..<Fuzz.runs(3000) {
            let pattern = (0..<Int.random(in: 0..<9, using: &random))
                .map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            guard let expression = try? RegularExpression(pattern) else { continue }
            _ = expression.matches("az-é[日\n(a")
        }
        for length in 0..<40 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = try? RegularExpression(String(decoding: bytes, as: UTF8.self))
        }
    }
}

@Suite struct JSONPathTests {
    static let object: JSON = [
        "metadata": ["name": "a", "labels": ["app.io/x": "l"]],
        "spec": ["replicas": 3, "list": [["name": "b", "on": true, "n": 1], ["name": "c", "on": false, "n": 2]]],
        "status": ["conditions": [["type": "Ready", "status": "True"], ["type": "Done", "status": "False"]]],
    ]

    @Test(
        arguments: [
            (".spec.replicas", [3]), ("{.spec.replicas}", [3]), ("$.spec.replicas", [3]),
            (".spec.list[*].name", ["b", "c"]), (".spec.list[0].name", ["b"]), (".spec.list[-1].name", ["c"]),
            (".spec.list[0:1].name", ["b"]), (".spec.list[1:].name", ["c"]), (".spec.none", []),
            (".status.conditions[?(@.type==\"Ready\")].status", ["True"]),
            (".status.conditions[?(@.type=='Done')].status", ["False"]), (".spec.list[?(@.on==true)].name", ["b"]),
            (".spec.list[?(@.n>1)].name", ["c"]), (".spec.list[?(@.on)].name", ["b", "c"]),
            (".metadata.labels['app.io/x']", ["l"]), (".metadata.labels.app\\.io/x", ["l"]),
            ("..type", ["Ready", "Done"]), (".metadata['name']", ["a"]),
        ] as [(String, [JSON])])
    func findsWhatKubectlFinds(text: String, values: [JSON]) throws {
        let path = try #require(JSONPath(text))
        #expect(path.values(in: Self.object) == values, "\(text)")
    }

    @Test(arguments: ["a b", ".a[", ".a[?(@.b]", ".a['b", ".a[x]", ".a..[?(", "{.a}{.b}"])
    func whatIsNoPathIsRefused(text: String) { #expect(JSONPath(text) == nil) }

    @Test func fuzzedTextIsReadWithoutATrap() {
        let pieces = [
            ".", "..", "a", "[", "]", "*", "?(", "@", "==", "'", "\"", ")", "0", "-1", ":", "{", "}", "\\", ",", " ",
            "true", "$", "é",
        ]
        var random = SplitMix64(seed: Fuzz.seed(12))
        for _ in 0..<Fuzz.runs(5000) {
            let text = (0..<Int.random(in: 0..<10, using: &random))
                .map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            _ = JSONPath(text)?.values(in: Self.object)
        }
    }
}
