import MartletBase
import MartletObject
import Testing

/// A seeded generator, so that a failing run can be repeated.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    /// One to eight bytes changed, inserted, removed or copied.
    mutating func mutated(_ input: [UInt8]) -> [UInt8] {
        var bytes = input
        for _ in 0..<Int.random(in: 1...8, using: &self) {
            let index = Int.random(in: 0...bytes.count, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0 where index < bytes.count: bytes[index] = UInt8.random(in: 0...255, using: &self)
            case 1 where index < bytes.count: bytes.remove(at: index)
            case 2: bytes.insert(Array("{}[]\",:\\u0-9eE. tfn".utf8).randomElement(using: &self) ?? 0, at: index)
            case 3 where index < bytes.count: bytes.removeSubrange(index..<min(bytes.count, index + 5))
            default: bytes.insert(contentsOf: bytes[..<(index / 4)], at: index)
            }
        }
        return bytes
    }
}

/// JSON from a literal; a test that gives bad text fails.
func json(_ text: String) throws -> JSON { try JSON(parsing: Array(text.utf8)) }

@Suite struct JSONTests {
    @Test(
        arguments: [
            ("null", JSON.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("-12", -12),
            ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
            ("9223372036854775808", .double(9223372036854775808)), ("1.5", 1.5), ("1e3", .double(1000)),
            ("-2.5E-1", -0.25), (#""""#, ""), (#""a\n\"\\\/\b\f\r\t""#, "a\n\"\\/\u{8}\u{C}\r\t"),
            (#""\u00e9\ud83d\ude00""#, "é😀"), (#""\ud83dx""#, "\u{FFFD}x"), (#""\ude00""#, "\u{FFFD}"),
            (#""\ud83d\u0041""#, "\u{FFFD}A"), ("\"é😀\"", "é😀"), ("[]", []), ("[1,[2],{}]", [1, [2], [:]]),
            ("{\"a\":1,\"b\":{\"c\":null}}", ["a": 1, "b": ["c": nil]]), ("{\"a\":1,\"a\":2}", ["a": 2]),
        ] as [(String, JSON)])
    func readsEveryForm(text: String, value: JSON) throws {
        #expect(try json(text) == value)
    }

    @Test(arguments: [
        ("", "unexpected end of JSON input"), ("{", "unexpected end of JSON input"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"), ("01", "invalid character '1' after top-level value"),
        ("1.", "unexpected end of JSON input"), ("-", "unexpected end of JSON input"),
        ("+1", "invalid character '+' looking for beginning of value"), ("1e999", "number 1e999 is out of range"),
        ("nul", "unexpected end of JSON input"), ("trux", "invalid character 'x' in literal true"),
        ("\"\t\"", "invalid character '\\x09' in string literal"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
    ])
    func refusesBadText(text: String, message: String) {
        #expect { try json(text) } throws: { ($0 as? JSONError)?.message == message }
    }

    @Test func refusesBadUTF8() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0x5C, 0x6E, 0xC3, 0x22]) }
    }

    @Test func boundsNesting() throws {
        let deep = { (count: Int) in String(repeating: "[", count: count) + String(repeating: "]", count: count) }
        _ = try json(deep(512))
        #expect(throws: JSONError.self) { try json(deep(513)) }
        #expect(throws: JSONError.self) { try json(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func namesGivenTwiceAreToldWithTheirPaths() throws {
        let text = Array(#"{"a":{"b":[{"c":1,"c":2}]},"d":[[{"e":1,"e":1}]],"a":3}"#.utf8)
        var duplicates: [String] = []
        let value = try JSON(parsing: text, duplicates: &duplicates)
        #expect(duplicates == ["a.b[0].c", "d[0][0].e", "a"])
        #expect(value["a"] == 3)
        #expect { try JSON(parsing: text, strict: true) } throws: {
            ($0 as? JSONError)?.message == "duplicate field \"a.b[0].c\""
        }
    }

    @Test func writesCanonicalText() throws {
        let value: JSON = ["b": [1, -5, 1.5, nil, true], "a": "x\"\\\n\u{1}<é>", "e": [:], "f": []]
        #expect(
            String(decoding: value.encoded(), as: UTF8.self)
                == #"{"b":[1,-5,1.5,null,true],"a":"x\"\\\n\u0001<é>","e":{},"f":[]}"#)
        #expect(String(decoding: JSON.int(.min).encoded(), as: UTF8.self) == "-9223372036854775808")
    }

    @Test func writesIndentedText() throws {
        let value: JSON = ["a": [1, ["b": "c"]], "e": [:], "f": []]
        let text = """
            {
                "a": [
                    1,
                    {
                        "b": "c"
                    }
                ],
                "e": {},
                "f": []
            }
            """
        #expect(String(decoding: value.encodedPretty(), as: UTF8.self) == text)
        #expect(try json(text) == value)
    }

    @Test func whatIsWrittenReadsBackAndMutationsNeverTrap() throws {
        let seed = Array(
            #"{"kind":"Pod","n":[0,-1,1.5e10],"s":"a\u00e9\ud83d\ude00\n","m":{"t":true,"f":false,"z":null}}"#
                .utf8)
        var generator = SplitMix64(seed: 1)
        var good = 0
        for _ in 0..<10_000 {
            let bytes = generator.mutated(seed)
            guard let value = try? JSON(parsing: bytes) else { continue }
            good += 1
            #expect(try JSON(parsing: value.encoded()) == value)
            #expect(try JSON(parsing: value.encodedPretty()) == value)
        }
        #expect(good > 50)
    }
}

@Suite struct TimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_767_225_599, "2025-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"), (4_102_444_800, "2100-01-01T00:00:00Z"),
            (1_136_214_245, "2006-01-02T15:04:05Z"),
        ] as [(Int64, String)])
    func secondsAreWrittenAndRead(seconds: Int64, text: String) {
        #expect(WallTime(seconds: seconds).rfc3339 == text)
        #expect(WallTime(rfc3339: text) == WallTime(seconds: seconds))
    }

    @Test func microsecondsKeepSixDigits() {
        let time = WallTime(nanoseconds: 1_136_214_245_000_042_999)
        #expect(time.rfc3339Micro == "2006-01-02T15:04:05.000042Z")
        #expect(time.rfc3339 == "2006-01-02T15:04:05Z")
        #expect(WallTime(nanoseconds: -1000).rfc3339Micro == "1969-12-31T23:59:59.999999Z")
    }

    @Test func offsetsAndFractionsAreRead() {
        let time = WallTime(seconds: 1_136_214_245)
        #expect(WallTime(rfc3339: "2006-01-02T16:04:05+01:00") == time)
        #expect(WallTime(rfc3339: "2006-01-02T08:34:05-06:30") == time)
        #expect(WallTime(rfc3339: "2006-01-02T15:04:05.5Z")?.nanoseconds == 1_136_214_245_500_000_000)
    }

    @Test(arguments: [
        "", "2006-01-02", "2006-01-02T15:04:05", "2006-02-30T00:00:00Z", "2006-13-01T00:00:00Z",
        "2006-01-02T24:00:00Z", "2006-01-02 15:04:05Z", "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05Zx",
        "2006-01-02T15:04:05+0100", "9999-01-01T00:00:00Z",
    ])
    func otherTextIsNoTime(text: String) { #expect(WallTime(rfc3339: text) == nil) }

    @Test func everyDayHasItsDateAndBack() {
        var time = WallTime(rfc3339: "1900-01-01T12:00:00Z") ?? WallTime(seconds: 0)
        for _ in 0..<100_000 {
            time = WallTime(seconds: time.seconds + 86_400)
            #expect(WallTime(rfc3339: time.rfc3339) == time)
        }
    }
}
