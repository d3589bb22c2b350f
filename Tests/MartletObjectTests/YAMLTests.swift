import FuzzSupport
import MartletBase
import MartletObject
import Testing

/// YAML as sigs.k8s.io/yaml reads it: each row was held to that library.
@Suite struct YAMLTests {
    private static func read(_ text: String) throws -> JSON {
        var duplicates: [String] = []
        return try JSON(yaml: Array(text.utf8), duplicates: &duplicates)
    }

    @Test(
        arguments: [
            ("", .null), ("# only a comment\n", .null), ("---\n", .null), ("--- a\n...\n", "a"),
            ("%YAML 1.1\n---\na", "a"),
            ("a: b\nc:\n  d: e\n", ["a": "b", "c": ["d": "e"]]), ("a:\n- b\n- c\nd: e", ["a": ["b", "c"], "d": "e"]),
            ("- - a\n  - b\n- c: d\n  e: f\n", [["a", "b"], ["c": "d", "e": "f"]]),
            ("-\n  a: b\n-\n", [["a": "b"], nil]),
            ("? a\n: b\n? c\n", ["a": "b", "c": nil]), ("a: # note\n  b\n", ["a": "b"]),
            ("a:\r\n  b: c\r\n", ["a": ["b": "c"]]),
            ("{a: b, c: [d, {e: f}], g, \"h\":1}", ["a": "b", "c": ["d", ["e": "f"]], "g": nil, "h": 1]),
            ("[a, b: c, ? d : e,]", ["a", ["b": "c"], ["d": "e"]]),
            ("{\n  a: b, # note\n  c:\n    d\n}", ["a": "b", "c": "d"]),
            ("a: b c\n  d\n\n  e\n", ["a": "b c d\ne"]),
            ("a:b: c#d #e\nf: http://g:80/\n", ["a:b": "c#d", "f": "http://g:80/"]),
            ("a: 'it''s\n  one'\n", ["a": "it's one"]),
            (#"a: "\x41\u00e9\U0001F600\n\t\/\e""#, ["a": "A\u{E9}\u{1F600}\n\t/\u{1B}"]),
            ("a: \"b\\\n   c \\\n  d\n\n  e\"", ["a": "bc d\ne"]),
            ("a: |\n  b\n   c\n\n  d\n\n", ["a": "b\n c\n\nd\n"]), ("a: |-\n  b\n", ["a": "b"]),
            ("a: |+\n  b\n\n", ["a": "b\n\n"]),
            ("a: >\n  b\n  c\n\n  d\n   e\n  f\n", ["a": "b c\nd\n e\nf\n"]), ("a: |2\n   b\n", ["a": " b\n"]),
            ("- >-\n a\n- |1-\n  b", ["a", " b"]), ("a: |\nb: c", ["a": "", "b": "c"]),
            ("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n", ["a": ["b": 1], "c": ["b": 1], "d": ["b": 1, "e": 2]]),
            ("- &x {a: 1}\n- &y {a: 2, b: 3}\n- <<: [*x, *y]\n", [["a": 1], ["a": 2, "b": 3], ["a": 1, "b": 3]]),
            ("&m\n&k a: &v b\n*k : *v", ["a": "b"]),
            ("a: !!str 1\nb: !!int \"2\"\nc: !x 3\nd: !!binary aGk=", ["a": "1", "b": 2, "c": "3", "d": "hi"]),
            (
                "a: [yes, No, on, OFF, y, true, ~, null, Null, '', \"no\"]",
                ["a": [true, false, true, false, true, true, nil, nil, nil, "", "no"]]
            ),
            (
                "[0x1F, 0o17, 017, 0b11, 1_000, -5, +6, 08, 1e3, .5, 5., 1.0]",
                [31, 15, 15, 3, 1000, -5, 6, 8, 1000, 0.5, 5, 1]
            ),
            (
                "[1:30, 2001-01-01, 0x, 1e, '1', 9223372036854775808]",
                ["1:30", "2001-01-01", "0x", "1e", "1", 9223372036854775808.0]
            ),
            ("1: a\ntrue: b\n1.5: c", ["1": "a", "true": "b", "1.5": "c"]),
        ] as [(String, JSON)]) func reads(_ text: String, as value: JSON) throws
    {
        #expect(try Self.read(text) == value, "\(text)")
    }

    @Test(arguments: [
        ("a: b: c", 1, "mapping values are not allowed in this context"),
        ("a: - b", 1, "block sequence entries are not allowed in this context"),
        ("a: b\n c: d\n", 2, "mapping values are not allowed in this context"),
        ("a:\n    b: 1\n  c: 2", 3, "did not find expected key"),
        ("a:\n\tb: c", 2, "found character that cannot start any token"),
        ("a: 1\nb\nc: 2", 3, "could not find expected ':'"),
        ("- a\nb: c", 2, "did not find expected '-' indicator"),
        ("a: @b", 1, "found character that cannot start any token"),
        ("[a, b", 1, "did not find expected node content"), ("[a,, b]", 1, "did not find expected node content"),
        ("{a: b]", 1, "did not find expected ',' or '}'"), ("a: 'b", 1, "found unexpected end of stream"),
        ("a: \"\\q\"", 1, "found unknown escape character"),
        ("a: \"\\ud800\"", 1, "found invalid Unicode character escape code"),
        ("a: |0\n b", 1, "found an indentation indicator equal to 0"), ("a: *b", 1, "unknown anchor 'b' referenced"),
        ("a: &x [*x]", 1, "unknown anchor 'x' referenced"),
        ("? [a]\n: b", 1, "invalid map key: a key must be a scalar"),
        ("~: a", 1, "unsupported map key: null"), ("a:\n  b: .nan", 2, "unsupported value: .nan is no number in JSON"),
        ("a: !!int b", 1, "cannot decode !!str `b` as a !!int"),
        ("<<: a", 1, "map merge requires map or sequence of maps as the value"),
        ("a\n---\nb\n", 2, "a second document begins, and only one is read"),
        ("a: \u{1}", 1, "control characters are not allowed"),
    ]) func refuses(_ text: String, line: Int, why: String) {
        let error = #expect(throws: YAMLError.self) { try Self.read(text) }
        #expect(error?.message == why)
        // What is missing at the end of a line is sometimes seen at the beginning of the next one.
        #expect(abs((error?.line ?? 0) - line) <= 1, "\(text): \(error.map(String.init(describing:)) ?? "")")
    }

    @Test func keysGivenTwiceAreToldByLine() throws {
        var duplicates: [String] = []
        let text = "a: 1\nb:\n  c: 2\n  c: 3\na:\n  4\n"
        #expect(try JSON(yaml: Array(text.utf8), duplicates: &duplicates) == ["a": 4, "b": ["c": 3]])
        #expect(duplicates == [#"line 4: key "c" already set in map"#, #"line 6: key "a" already set in map"#])
    }

    @Test func aStreamHoldsManyDocuments() throws {
        let stream = "a: 1\n---\n---\n- b\n...\n---\nc\n"
        #expect(try JSON.documents(yaml: Array(stream.utf8)) == [["a": 1], nil, ["b"], "c"])
    }

    @Test func depthAndExpansionAreBounded() {
        let deep = [
            String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000),
            String(repeating: "- ", count: 100_000), String(repeating: "? ", count: 100_000),
            (0..<2000).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        ]
        for text in deep {
            let error = #expect(throws: YAMLError.self) { try Self.read(text) }
            #expect(error?.message == "exceeded max depth of 512")
        }
        let long = "a: &a \(String(repeating: "x", count: 1 << 20))\nb: [*a, *a, *a, *a, *a]\n"
        let error = #expect(throws: YAMLError.self) { try Self.read(long) }
        #expect(error?.message == "document contains excessive aliasing")
    }

    @Test func hardTextsTakeLinearTime() throws {
        let clock = ContinuousClock()
        let texts = [
            String(repeating: "a: b\n", count: 60_000), String(repeating: "- x\n", count: 70_000),
            "a: " + String(repeating: "\n", count: 300_000), "[" + String(repeating: "a,", count: 100_000) + "]",
            String(repeating: "a ", count: 150_000), "\"" + String(repeating: " \n", count: 150_000) + "\"",
            "a: |\n" + String(repeating: " \n", count: 100_000), String(repeating: "x:\n \n", count: 50_000),
        ]
        for text in texts {
            let took = clock.measure { _ = try? Self.read(text) }
            #expect(took < .seconds(10), "\(text.prefix(10)): \(took)")
        }
    }

    @Test(
        arguments: [
            ["a": "b", "c": ["d", ["e": [], "f": [:]], ["g"]], "h": [["i": 1, "j": nil], [[true]]]], [], [:], "text",
            1.5,
            ["yes": "no", "1": "1", "": "", "a: b": "- c", "x": "2001-01-01", "y": "1:20", "t": "a\tb", "#": "a #b"],
            ["lines": "one\ntwo\n", "bare": "one\n two", "kept": "a\n\n\n", "blank": " a\nb", "end": "a \n"],
            ["wide": "\u{E9}\u{85}\u{2028}\u{FEFF}\u{1F600}\u{7F}", "zero": "\u{0}\"\\", "crlf": "a\r\nb"],
            .array([.string(String(repeating: "k", count: 2000)), ["\(String(repeating: "long", count: 500))": [1]]]),
        ] as [JSON]) func whatIsWrittenReadsTheSame(_ value: JSON) throws
    {
        let text = value.yamlEncoded()
        var duplicates: [String] = []
        #expect(try JSON(yaml: text, duplicates: &duplicates) == value, "\(String(decoding: text, as: UTF8.self))")
        // Piece by piece, the same comes out.
        var pieces: [UInt8] = []
        var writer = YAMLWriter()
        for byte in value.encoded() { writer.write([byte], into: &pieces) }
        writer.finish(into: &pieces)
        #expect(pieces == text)
    }

    @Test func isWrittenAsPeopleWriteIt() {
        let value: JSON = [
            "kind": "Pod", "list": [["name": "a", "args": ["x", "0"]]], "text": "one\ntwo\n", "none": [:],
        ]
        #expect(
            String(decoding: value.yamlEncoded(), as: UTF8.self) == """
                kind: Pod
                list:
                - name: a
                  args:
                  - x
                  - "0"
                text: |
                  one
                  two
                none: {}

                """)
    }

    @Test(.timeLimit(.minutes(60))) func fuzzedTextsNeverTrap() {
        let seeds = [
            "a: &x {b: [1, 'c'], \"d\": e}\nf: *x\ng:\n  <<: *x\n- h\n? i\n: |2-\n  j\n\n k: >+\n l\n...\n---\n%YAML",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a # b\nspec:\n  containers:\n  - {name: c, args: [\"\\u00e9\\\n x\"]}\n",
        ].map { Array($0.utf8) }
        var random = SplitMix64(seed: Fuzz.seed(2026))
        for round in 0..<Fuzz.runs(10_000) {
            let text = Fuzz.spoiled(seeds[round % seeds.count], &random)
            var duplicates: [String] = []
            guard let value = try? JSON(yaml: text, duplicates: &duplicates) else { continue }
            #expect((try? JSON(yaml: value.yamlEncoded(), duplicates: &duplicates)) == value)
        }
    }
}
