internal import MartletBase

extension JSON {
    /// The value as a YAML document in block style.
    public func yamlEncoded() -> [UInt8] {
        var output: [UInt8] = []
        var writer = YAMLWriter()
        writer.write(encoded(), into: &output)
        writer.finish(into: &output)
        return output
    }
}

/// Turns JSON text into YAML in block style, piece by piece as it comes: beside the string or number it is in, it keeps
/// only where it is. The text must be JSON; of other text, something comes out that is no YAML.
public struct YAMLWriter: Sendable {
    /// A collection that is being written.
    private struct Frame {
        var isArray: Bool
        /// The column of its entries.
        var indent: Int
        /// How its first entry follows what is before it.
        var lead: Lead
        var isEmpty = true
        /// Whether the next string is the name of a member.
        var expectsKey: Bool
    }
    private enum Lead {
        /// At the start of the document.
        case start
        /// After `name:`
        case key
        /// After `-`
        case dash
    }
    private enum Token {
        case none
        case string
        case escape
        case word
    }

    private var frames: [Frame] = []
    private var token = Token.none
    private var text: [UInt8] = []

    /// A writer at the start of a document.
    public init() {}

    /// Takes the next piece of the text.
    public mutating func write(_ json: some Sequence<UInt8>, into output: inout [UInt8]) {
        for byte in json {
            switch token {
            case .string where byte == UInt8(ascii: "\""):
                token = .none
                string(into: &output)
            case .string:
                text.append(byte)
                if byte == UInt8(ascii: "\\") { token = .escape }
            case .escape:
                text.append(byte)
                token = .string
            case .word where !Self.ends.contains(byte): text.append(byte)
            case .word:
                scalar(text, into: &output)
                token = .none
                structure(byte, into: &output)
            case .none: structure(byte, into: &output)
            }
        }
    }

    /// Ends the document.
    public mutating func finish(into output: inout [UInt8]) {
        if token == .word { scalar(text, into: &output) }
        self = YAMLWriter()
        output.append(0x0A)
    }

    private static let ends: Set<UInt8> = Set(", \t\r\n]}".utf8)

    private mutating func structure(_ byte: UInt8, into output: inout [UInt8]) {
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ":"): break
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let lead = lead(into: &output)
            let isArray = byte == UInt8(ascii: "[")
            // A list below its key stands in the key's column, as Go's writer has it.
            let step = lead == .start || lead == .key && isArray ? 0 : 2
            frames.append(
                Frame(
                    isArray: isArray, indent: (frames.last?.indent ?? 0) + step, lead: lead, expectsKey: !isArray))
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            guard let frame = frames.popLast(), frame.isEmpty else { return }
            if frame.lead != .start { output.append(0x20) }
            output.append(contentsOf: (frame.isArray ? "[]" : "{}").utf8)
        case UInt8(ascii: ","):
            if let last = frames.indices.last { frames[last].expectsKey = !frames[last].isArray }
        case UInt8(ascii: "\""):
            text.removeAll(keepingCapacity: true)
            token = .string
        default:
            text = [byte]
            token = .word
        }
    }

    /// Comes before each value: an element of a list gets its dash.
    private mutating func lead(into output: inout [UInt8]) -> Lead {
        guard let frame = frames.last else { return .start }
        if !frame.isArray { return .key }
        beginEntry(into: &output)
        output.append(UInt8(ascii: "-"))
        return .dash
    }

    private mutating func beginEntry(into output: inout [UInt8]) {
        guard let last = frames.indices.last else { return }
        let frame = frames[last]
        frames[last].isEmpty = false
        if frame.isEmpty && frame.lead == .start { return }
        if frame.isEmpty && frame.lead == .dash { return output.append(0x20) }
        newLine(frame.indent, into: &output)
    }

    private func newLine(_ indent: Int, into output: inout [UInt8]) {
        output.append(0x0A)
        output.append(contentsOf: repeatElement(0x20, count: indent))
    }

    private mutating func scalar(_ text: [UInt8], into output: inout [UInt8]) {
        if lead(into: &output) != .start { output.append(0x20) }
        output += text
    }

    // MARK: Strings

    /// Keys longer than this are written after a `?`: readers look for the `:` of others only so far.
    private static let longKey = 1000

    private mutating func string(into output: inout [UInt8]) {
        guard let last = frames.indices.last, frames[last].expectsKey else { return value(into: &output) }
        frames[last].expectsKey = false
        beginEntry(into: &output)
        let isLong = text.count > Self.longKey
        if isLong { output += "? ".utf8 }
        output += YAMLText.isPlain(text) ? text : YAMLText.quoted(text)
        if isLong { newLine(frames[last].indent, into: &output) }
        output.append(UInt8(ascii: ":"))
    }

    private mutating func value(into output: inout [UInt8]) {
        if YAMLText.isPlain(text) { return scalar(text, into: &output) }
        guard let lines = YAMLText.lines(text) else { return scalar(YAMLText.quoted(text), into: &output) }
        if lead(into: &output) != .start { output.append(0x20) }
        // The last piece is empty when the text ends with a break, which is what `|` alone says.
        var chomping = "-"
        var content = lines[...]
        if content.last?.isEmpty == true {
            content = content.dropLast()
            chomping = content.last?.isEmpty == true ? "+" : ""
        }
        output += "|\(chomping)".utf8
        for line in content {
            output.append(0x0A)
            if line.isEmpty { continue }
            output.append(contentsOf: repeatElement(0x20, count: (frames.last?.indent ?? 0) + 2))
            output += line
        }
    }
}

/// How text of JSON, as it stands between its quotes, is written in YAML.
enum YAMLText {
    /// Bytes that no plain scalar may begin with here; more than those that must not.
    private static let indicators: Set<UInt8> = Set(",[]{}#&*!|>'\"%@`?:= \t".utf8)

    private static let signs = ["- ", "---", "...", "<<"]

    /// Whether the text may stand without quotes, and is read as the same text everywhere.
    static func isPlain(_ text: [UInt8]) -> Bool {
        guard let first = text.first, let last = text.last, !indicators.contains(first),
            last != 0x20, last != UInt8(ascii: ":")
        else { return false }
        for (index, byte) in text.enumerated() {
            switch byte {
            case UInt8(ascii: "\\"), 0x7F..., ..<0x20: return false
            case UInt8(ascii: ":") where text[index + 1] == 0x20: return false
            case UInt8(ascii: "#") where text[index - 1] == 0x20: return false
            default: break
            }
        }
        if text == [UInt8(ascii: "-")] || signs.contains(where: { text.starts(with: $0.utf8) }) { return false }
        let isNumeric = "+-.0123456789".utf8.contains(first)
        if !isNumeric { return YAMLScalar.means(text: String(decoding: text, as: UTF8.self)) }
        // Times and numbers to the base 60, which others read.
        let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
        if digits == 4, text.count > 4, text[4] == UInt8(ascii: "-") { return false }
        return !text.contains(UInt8(ascii: ":")) && YAMLScalar.means(text: String(decoding: text, as: UTF8.self))
    }

    /// The text in double quotes. JSON's escapes are YAML's too; some characters need one in YAML only.
    static func quoted(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = [UInt8(ascii: "\"")]
        if text.allSatisfy({ $0 < 0x7F }) {
            output += text
        } else {
            for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
                switch scalar.value {
                case 0x7F..<0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                    let digits = String(scalar.value, radix: 16)
                    output += "\\u".utf8
                    output += repeatElement(UInt8(ascii: "0"), count: 4 - digits.count)
                    output += digits.utf8
                default: output += Array(String(Character(scalar)).utf8)
                }
            }
        }
        output.append(UInt8(ascii: "\""))
        return output
    }

    /// The lines of a text that can stand as it is below a `|`; nil for all others.
    static func lines(_ text: [UInt8]) -> [ArraySlice<UInt8>]? {
        guard text.contains(UInt8(ascii: "\\")),
            case .string(let decoded)? = try? JSON(parsing: [UInt8(ascii: "\"")] + text + [UInt8(ascii: "\"")])
        else { return nil }
        let bytes = Array(decoded.utf8)
        guard bytes.contains(0x0A), let first = bytes.first, ![0x20, 0x09, 0x0A].contains(first) else { return nil }
        let isPrintable = decoded.unicodeScalars.allSatisfy {
            switch $0.value {
            case 0x09, 0x0A, 0x20..<0x7F, 0xA0..<0x2028, 0x202A..<0xFEFF, 0xFF00..<0xFFFE, 0x10000...: true
            default: false
            }
        }
        guard isPrintable else { return nil }
        return bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    }
}

extension YAMLScalar {
    /// Whether plain text means itself, and no number, truth or nothing.
    static func means(text: String) -> Bool {
        guard case .string? = try? YAMLScalar(text: text, isPlain: true, line: 0).value(nil) else { return false }
        return true
    }
}
