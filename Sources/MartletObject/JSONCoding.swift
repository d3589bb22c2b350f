/// Why bytes are not JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// The byte at which it was seen.
    public var offset: Int

    /// An error at `offset`.
    public init(_ message: String, offset: Int) {
        self.message = message
        self.offset = offset
    }

    /// One line for people.
    public var description: String { "\(message) at byte \(offset)" }
}

extension JSON {
    /// How deep arrays and objects may nest.
    public static let maximumDepth = 512

    /// Whether lists and objects lie more than `levels` deep in each other, this value being the first.
    public func isDeeper(than levels: Int) -> Bool {
        switch self {
        case .array(let elements): levels == 0 || elements.contains { $0.isDeeper(than: levels - 1) }
        case .object(let members): levels == 0 || members.values.contains { $0.isDeeper(than: levels - 1) }
        default: false
        }
    }
    /// How many names given twice are remembered while parsing; further ones are not reported.
    static let maximumDuplicates = 64

    /// Reads one JSON text (RFC 8259, UTF-8). Nesting is bounded; a name given twice is an error when `strict`, else
    /// its last value counts.
    /// - Throws: ``JSONError``.
    public init(parsing bytes: some Collection<UInt8>, strict: Bool = false) throws(JSONError) {
        var duplicates: [String] = []
        self = try JSON(parsing: bytes, duplicates: &duplicates)
        if strict, let first = duplicates.first {
            throw JSONError("duplicate field \"\(first)\"", offset: 0)
        }
    }

    /// Reads one JSON text and adds to `duplicates` the paths of names given twice (`spec.containers[0].image`); the
    /// last value counts.
    /// - Throws: ``JSONError``.
    public init(parsing bytes: some Collection<UInt8>, duplicates: inout [String]) throws(JSONError) {
        func read(_ buffer: UnsafeBufferPointer<UInt8>) -> (Result<JSON, JSONError>, [String]) {
            var parser = JSONParser(buffer)
            do throws(JSONError) {
                return (.success(try parser.parseText()), parser.duplicates)
            } catch {
                return (.failure(error), [])
            }
        }
        let (result, found) =
            bytes.withContiguousStorageIfAvailable(read) ?? Array(bytes).withUnsafeBufferPointer(read)
        duplicates += found
        self = try result.get()
    }
}

/// A recursive descent parser. The byte past the end reads as 0, which no JSON text may contain unescaped, so that
/// every loop ends at the end.
struct JSONParser {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    /// The paths of names given twice, relative to the value that is being parsed.
    private(set) var duplicates: [String] = []

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

    var isAtEnd: Bool { position >= bytes.count }
    mutating func advance() { position += 1 }

    /// The bytes of a member's name without escapes; the colon after it is passed by. Nil when there is none.
    mutating func parsePlainName() -> UnsafeBufferPointer<UInt8>? {
        guard current == UInt8(ascii: "\"") else { return nil }
        let start = position + 1
        position = bytes.endOfPlainText(from: start)
        guard current == UInt8(ascii: "\"") else { return nil }
        let name = UnsafeBufferPointer(rebasing: bytes[start..<position])
        position += 1
        skipBlanks()
        guard current == UInt8(ascii: ":") else { return nil }
        position += 1
        return name
    }

    /// Passes by the colon between a name and its value.
    mutating func skipColon() throws(JSONError) {
        skipBlanks()
        guard current == UInt8(ascii: ":") else { throw unexpected("after object key") }
        position += 1
    }

    mutating func parseText() throws(JSONError) -> JSON {
        let value = try parseValue(depth: 0)
        skipBlanks()
        if position < bytes.count { throw unexpected("after top-level value") }
        return value
    }

    mutating func skipBlanks() {
        while true {
            switch current {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    /// An error in the words of Go's encoding/json, which users of Kubernetes know.
    private func unexpected(_ place: String) -> JSONError {
        guard position < bytes.count else { return JSONError("unexpected end of JSON input", offset: position) }
        let byte = bytes[position]
        let shown = byte == 0x27 ? "\\'" : byte >= 0x20 && byte < 0x7F ? String(UnicodeScalar(byte)) : hex(byte)
        return JSONError("invalid character '\(shown)' \(place)", offset: position)
    }

    private func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count < 2 ? "0" : "") + digits
    }

    mutating func parseValue(depth: Int) throws(JSONError) -> JSON {
        skipBlanks()
        switch current {
        case UInt8(ascii: "{"): return try parseObject(depth: depth + 1)
        case UInt8(ascii: "["): return try parseArray(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseLiteral("true", .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw unexpected("looking for beginning of value")
        }
    }

    private mutating func parseLiteral(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for index in 0..<text.utf8CodeUnitCount {
            if current != text.utf8Start[index] { throw unexpected("in literal \(text)") }
            position += 1
        }
        return value
    }

    private mutating func parseObject(depth: Int) throws(JSONError) -> JSON {
        if depth > JSON.maximumDepth { throw JSONError("exceeded max depth", offset: position) }
        position += 1
        var members: JSON.Members = [:]
        skipBlanks()
        if current == UInt8(ascii: "}") {
            position += 1
            return .object(members)
        }
        while true {
            skipBlanks()
            guard current == UInt8(ascii: "\"") else {
                throw unexpected("looking for beginning of object key string")
            }
            let key = try parseString()
            try skipColon()
            let mark = duplicates.count
            let value = try parseValue(depth: depth)
            if duplicates.count > mark { prefixDuplicates(from: mark, with: key) }
            if members.updateValue(value, forKey: key) != nil, duplicates.count < JSON.maximumDuplicates {
                duplicates.append(key)
            }
            skipBlanks()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(members)
            default: throw unexpected("after object key:value pair")
            }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONError) -> JSON {
        if depth > JSON.maximumDepth { throw JSONError("exceeded max depth", offset: position) }
        position += 1
        var elements: [JSON] = []
        skipBlanks()
        if current == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            let mark = duplicates.count
            let value = try parseValue(depth: depth)
            if duplicates.count > mark { prefixDuplicates(from: mark, with: "[\(elements.count)]") }
            elements.append(value)
            skipBlanks()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw unexpected("after array element")
            }
        }
    }

    private mutating func prefixDuplicates(from mark: Int, with step: String) {
        for index in mark..<duplicates.count {
            let rest = duplicates[index]
            duplicates[index] = rest.utf8.first == UInt8(ascii: "[") ? step + rest : "\(step).\(rest)"
        }
    }

    private mutating func parseNumber() throws(JSONError) -> JSON {
        let start = position
        var isWhole = true
        if current == UInt8(ascii: "-") { position += 1 }
        if current == UInt8(ascii: "0") {
            position += 1
        } else {
            try skipDigits()
        }
        if current == UInt8(ascii: ".") {
            isWhole = false
            position += 1
            try skipDigits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isWhole = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try skipDigits()
        }
        let text = UnsafeBufferPointer(rebasing: bytes[start..<position])
        if isWhole, let value = wholeNumber(text) { return .int(value) }
        guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else {
            throw JSONError("number \(String(decoding: text, as: UTF8.self)) is out of range", offset: start)
        }
        return .double(value)
    }

    private mutating func skipDigits() throws(JSONError) {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(current) else {
            throw unexpected("in numeric literal")
        }
        while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(current) { position += 1 }
    }

    private func wholeNumber(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        for byte in isNegative ? text.dropFirst() : text[...] {
            let digit = Int64(byte &- UInt8(ascii: "0"))
            let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
            // Negative values are built downwards, because the least Int64 has no positive twin.
            let (sum, overflows) =
                isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            if overflowed || overflows { return nil }
            value = sum
        }
        return value
    }

    /// Reads a string; the opening quote is at the position.
    mutating func parseString() throws(JSONError) -> String {
        position += 1
        let start = position
        position = bytes.endOfPlainText(from: start)
        if current == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
        guard current == UInt8(ascii: "\"") else { throw unexpected("in string literal") }
        defer { position += 1 }
        return try text(UnsafeBufferPointer(rebasing: bytes[start..<position]), at: start)
    }

    private func text(_ buffer: UnsafeBufferPointer<UInt8>, at start: Int) throws(JSONError) -> String {
        guard let text = String(validating: buffer, as: UTF8.self) else {
            throw JSONError("invalid UTF-8 in string literal", offset: start)
        }
        return text
    }

    /// Reads the rest of a string that has an escape at the position; `start` is where its text begins.
    private mutating func parseEscapedString(from start: Int) throws(JSONError) -> String {
        var unescaped = Array(bytes[start..<position])
        while true {
            let byte = current
            if byte < 0x20 { throw unexpected("in string literal") }
            position += 1
            if byte == UInt8(ascii: "\"") { break }
            if byte != UInt8(ascii: "\\") {
                unescaped.append(byte)
                continue
            }
            let escape = current
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(escape)
            case UInt8(ascii: "b"): unescaped.append(0x08)
            case UInt8(ascii: "f"): unescaped.append(0x0C)
            case UInt8(ascii: "n"): unescaped.append(0x0A)
            case UInt8(ascii: "r"): unescaped.append(0x0D)
            case UInt8(ascii: "t"): unescaped.append(0x09)
            case UInt8(ascii: "u"):
                position += 1
                let scalar = try parseEscapedScalar()
                unescaped.append(contentsOf: String(scalar).utf8)
                continue
            default: throw unexpected("in string escape code")
            }
            position += 1
        }
        let result: Result<String, JSONError> = unescaped.withUnsafeBufferPointer { buffer in
            do throws(JSONError) {
                return .success(try text(buffer, at: start))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Reads the four digits of `\uXXXX`, and those of a second escape when the first is half of a surrogate pair.
    /// A lone half becomes U+FFFD, as in Go.
    private mutating func parseEscapedScalar() throws(JSONError) -> Unicode.Scalar {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        let first = try parseFourDigits()
        guard (0xD800...0xDBFF).contains(first) else { return Unicode.Scalar(first) ?? replacement }
        guard current == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u")
        else { return replacement }
        let mark = position
        position += 2
        let second = try parseFourDigits()
        guard (0xDC00...0xDFFF).contains(second) else {
            position = mark  // the second escape stands for itself
            return replacement
        }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? replacement
    }

    private mutating func parseFourDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = current
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw unexpected("in \\u hexadecimal character escape")
            }
            position += 1
        }
        return value
    }
}
