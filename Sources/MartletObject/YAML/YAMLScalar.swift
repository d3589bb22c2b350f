internal import MartletBase

/// A tag, as far as it means something here.
enum YAMLTag: Hashable {
    /// `!`: as if it were not quoted.
    case plain
    /// One of YAML's own: `!!str` is `str`.
    case core(String)
    /// Any other: the value stays text.
    case other
}

extension YAMLParser {
    /// The tag that begins here.
    mutating func tag() throws(YAMLError) -> YAMLTag {
        let start = cursor.position
        let inFlow: [UInt8] = [0x2C, 0x5B, 0x5D, 0x7B, 0x7D]
        let isVerbatim = cursor.peek(1) == UInt8(ascii: "<")
        while !cursor.isSpace(0), isVerbatim || !inFlow.contains(cursor.current) { cursor.advance() }
        let text = String(decoding: cursor.bytes(from: start, to: cursor.position), as: UTF8.self)
        if isVerbatim {
            guard text.utf8.last == UInt8(ascii: ">") else { throw error("did not find the expected '>'") }
            let name = text.dropFirst(2).dropLast()
            let core = "tag:yaml.org,2002:"
            return name.hasPrefix(core) ? .core(String(name.dropFirst(core.count))) : .other
        }
        if text == "!" { return .plain }
        if text.hasPrefix("!!") { return .core(String(text.dropFirst(2))) }
        if text.dropFirst().contains("!") { throw error("found undefined tag handle") }
        return .other
    }
}

/// A scalar's text on its way to a value, by the rules of go-yaml's second version (resolve.go).
struct YAMLScalar {
    let text: String
    /// Whether it was written without quotes.
    let isPlain: Bool
    let line: Int

    /// - Throws: when the text is not what its tag says, or no value of JSON.
    func value(_ tag: YAMLTag?) throws(YAMLError) -> JSON {
        switch tag {
        case nil: return isPlain ? try resolved().value : .string(text)
        case .plain: return try resolved().value
        case .other, .core("str"): return .string(text)
        case .core("binary"):
            guard let bytes = Base64.decode(text.filter { $0 != "\n" && $0 != "\r" }) else {
                throw YAMLError("!!binary value contains invalid base64 data", line: line)
            }
            return .string(String(decoding: bytes, as: UTF8.self))
        case .core(let name):
            guard ["null", "bool", "int", "float", "timestamp"].contains(name) else { return .string(text) }
            // Times are text in JSON.
            if name == "timestamp" { return .string(text) }
            let (found, value) = try resolved()
            if found == name { return value }
            if name == "float" && found == "int" { return value }
            throw YAMLError("cannot decode !!\(found) `\(text)` as a !!\(name)", line: line)
        }
    }

    private static let words: [String: JSON] = {
        var words: [String: JSON] = ["": .null, "~": .null]
        let tables: [(JSON, [String])] = [
            (.null, ["null"]), (.bool(true), ["y", "yes", "true", "on"]), (.bool(false), ["n", "no", "false", "off"]),
        ]
        for (value, names) in tables {
            for name in names {
                words[name] = value
                words[name.uppercased()] = value
                words[name.prefix(1).uppercased() + name.dropFirst()] = value
            }
        }
        return words
    }()

    private static let infinities: Set<String> = [
        ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
    ]

    /// What the text means when nothing says more, and the name of the tag that says so.
    private func resolved() throws(YAMLError) -> (tag: String, value: JSON) {
        switch text.utf8.first ?? 0x7E {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            if Self.infinities.contains(text) {
                throw YAMLError("unsupported value: \(text) is no number in JSON", line: line)
            }
            if let number = YAMLNumber(text) { return number.isWhole ? ("int", number.json) : ("float", number.json) }
        default:
            if let word = Self.words[text] { return (word == .null ? "null" : "bool", word) }
        }
        return ("str", .string(text))
    }
}

/// A number as Go reads it: `0x1F`, `0o17`, `017`, `0b11`, `1_000`, `1e3`, `.5`.
struct YAMLNumber {
    let json: JSON
    /// Whether it is written as a whole number.
    let isWhole: Bool

    init?(_ text: String) {
        var digits = Array(text.utf8)
        // A number that begins with a point is read as it is.
        if digits.first != UInt8(ascii: ".") { digits.removeAll { $0 == UInt8(ascii: "_") } }
        var rest = digits[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        if let magnitude = Self.whole(rest), !isNegative || magnitude <= Int64.min.magnitude {
            isWhole = true
            if let number = Int64(exactly: magnitude) {
                json = .int(isNegative ? -number : number)
            } else {
                json = isNegative ? .int(.min) : .double(Double(magnitude))
            }
            return
        }
        guard Self.isFloat(rest), let number = Double(String(decoding: digits, as: UTF8.self)), number.isFinite else {
            return nil
        }
        isWhole = false
        // On its way through JSON, 1.0 becomes 1.
        json = Int64(exactly: number).map { .int($0) } ?? .double(number)
    }

    /// Without its sign.
    private static func whole(_ text: ArraySlice<UInt8>) -> UInt64? {
        var rest = text
        var radix = 10
        if rest.count > 1, rest.first == UInt8(ascii: "0") {
            switch rest[rest.startIndex + 1] | 0x20 {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: radix = 0
            }
            rest = rest.dropFirst(radix == 0 ? 1 : 2)
            if radix == 0 { radix = 8 }
        }
        // The library takes a sign, which Go does not here.
        guard let first = rest.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return UInt64(String(decoding: rest, as: UTF8.self), radix: radix)
    }

    /// `.5`, `5.`, `5.5e-7`, without its sign.
    private static func isFloat(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        func skipDigits() -> Int {
            let count = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        let before = skipDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            if skipDigits() == 0 && before == 0 { return false }
        } else if before == 0 {
            return false
        }
        guard let letter = rest.first else { return true }
        guard letter | 0x20 == UInt8(ascii: "e") else { return false }
        rest = rest.dropFirst()
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { rest = rest.dropFirst() }
        return skipDigits() > 0 && rest.isEmpty
    }
}
