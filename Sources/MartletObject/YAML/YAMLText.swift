/// How the text of scalars is written.
extension YAMLParser {
    // MARK: Plain

    /// A scalar without quotes. It goes on in lines to the right of `indent`, joined by a blank (or by line breaks, one
    /// fewer than there are), until `: `, ` #` or, in a flow collection (nil), one of its indicators.
    mutating func plainScalar(indent: Int?) throws(YAMLError) -> String {
        guard startsPlain(inFlow: indent == nil) else { throw error("found character that cannot start any token") }
        let start = cursor.position
        var end = plainLine(inFlow: indent == nil)
        var joined: [UInt8] = []
        while true {
            // Blanks and breaks belong to the scalar only when it goes on behind them.
            let resume = cursor
            guard let breaks = try nextPlainLine(indent: indent) else {
                cursor = resume
                break
            }
            if joined.isEmpty { joined += cursor.bytes(from: start, to: end) }
            joined += breaks == 1 ? [0x20] : Array(repeating: 0x0A, count: breaks - 1)
            let next = cursor.position
            end = plainLine(inFlow: indent == nil)
            joined += cursor.bytes(from: next, to: end)
        }
        if joined.isEmpty { return String(decoding: cursor.bytes(from: start, to: end), as: UTF8.self) }
        return String(decoding: joined, as: UTF8.self)
    }

    private func startsPlain(inFlow: Bool) -> Bool {
        switch cursor.current {
        case UInt8(ascii: "-"): !cursor.isSpace(1)
        case UInt8(ascii: "?"), UInt8(ascii: ":"): !inFlow && !cursor.isSpace(1)
        case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"),
            UInt8(ascii: "#"), UInt8(ascii: "&"), UInt8(ascii: "*"), UInt8(ascii: "!"), UInt8(ascii: "|"),
            UInt8(ascii: ">"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "%"), UInt8(ascii: "@"),
            UInt8(ascii: "`"):
            false
        default: !cursor.isSpace(0)
        }
    }

    /// Moves to the end of the scalar in this line, and returns where its last word ends.
    private mutating func plainLine(inFlow: Bool) -> Int {
        var end = cursor.position
        while true {
            while !cursor.isSpace(0) {
                if cursor.isIndicator(":") || inFlow && isFlowIndicator { return end }
                cursor.advance()
                end = cursor.position
            }
            var rest = cursor
            rest.skipLineBlanks()
            if rest.isBreak || rest.isAtEnd || rest.current == UInt8(ascii: "#") { return end }
            cursor = rest
        }
    }

    private var isFlowIndicator: Bool { [0x2C, 0x5B, 0x5D, 0x7B, 0x7D].contains(cursor.current) }

    /// Moves to the next line that continues the scalar, and tells how many breaks are before it; nil: there is none.
    private mutating func nextPlainLine(indent: Int?) throws(YAMLError) -> Int? {
        var breaks = 0
        var hasTab = false
        cursor.skipLineBlanks()
        while cursor.isBreak {
            cursor.skipBreak()
            breaks += 1
            hasTab = false
            while cursor.isBlank {
                if cursor.current == 0x09, cursor.column <= indent ?? -1 { hasTab = true }
                cursor.advance()
            }
        }
        guard breaks > 0, !cursor.isAtEnd, !cursor.isDocumentMarker, cursor.current != UInt8(ascii: "#"),
            cursor.column > indent ?? -1
        else { return nil }
        if hasTab { throw error("found a tab character that violates indentation") }
        if cursor.isIndicator(":") || indent == nil && isFlowIndicator { return nil }
        return breaks
    }

    // MARK: Quoted

    mutating func singleQuoted() throws(YAMLError) -> String {
        cursor.advance()
        var text: [UInt8] = []
        while true {
            let start = cursor.position
            while cursor.current != UInt8(ascii: "'") && !cursor.isSpace(0) { cursor.advance() }
            text += cursor.bytes(from: start, to: cursor.position)
            if cursor.current == UInt8(ascii: "'") {
                cursor.advance()
                guard cursor.current == UInt8(ascii: "'") else { return String(decoding: text, as: UTF8.self) }
                text.append(UInt8(ascii: "'"))
                cursor.advance()
            } else {
                try fold(into: &text)
            }
        }
    }

    mutating func doubleQuoted() throws(YAMLError) -> String {
        cursor.advance()
        var text: [UInt8] = []
        while true {
            let start = cursor.position
            while !cursor.isSpace(0), cursor.current != UInt8(ascii: "\""), cursor.current != UInt8(ascii: "\\") {
                cursor.advance()
            }
            text += cursor.bytes(from: start, to: cursor.position)
            switch cursor.current {
            case UInt8(ascii: "\""):
                cursor.advance()
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &text)
            default: try fold(into: &text)
            }
        }
    }

    /// Blanks in a line stay; around line breaks they go, and the breaks are folded.
    private mutating func fold(into text: inout [UInt8], afterEscapedBreak: Bool = false) throws(YAMLError) {
        if cursor.isAtEnd { throw error("found unexpected end of stream") }
        let start = cursor.position
        cursor.skipLineBlanks()
        if !cursor.isBreak {
            if !afterEscapedBreak { text += cursor.bytes(from: start, to: cursor.position) }
            return
        }
        var breaks = 0
        while cursor.isBreak {
            cursor.skipBreak()
            breaks += 1
            if cursor.isDocumentMarker { throw error("found unexpected document indicator") }
            cursor.skipLineBlanks()
        }
        if afterEscapedBreak { breaks += 1 }
        text += breaks == 1 ? [0x20] : Array(repeating: 0x0A, count: breaks - 1)
    }

    private static let escapes: [UInt8: [UInt8]] = [
        UInt8(ascii: "0"): [0], UInt8(ascii: "a"): [7], UInt8(ascii: "b"): [8], UInt8(ascii: "t"): [9], 0x09: [9],
        UInt8(ascii: "n"): [10], UInt8(ascii: "v"): [11], UInt8(ascii: "f"): [12], UInt8(ascii: "r"): [13],
        UInt8(ascii: "e"): [27], 0x20: [0x20], UInt8(ascii: "\""): [0x22], UInt8(ascii: "'"): [0x27],
        UInt8(ascii: "/"): [0x2F], UInt8(ascii: "\\"): [0x5C], UInt8(ascii: "N"): [0xC2, 0x85],
        UInt8(ascii: "_"): [0xC2, 0xA0], UInt8(ascii: "L"): [0xE2, 0x80, 0xA8],
        UInt8(ascii: "P"): [0xE2, 0x80, 0xA9],
    ]

    private mutating func escape(into text: inout [UInt8]) throws(YAMLError) {
        let letter = cursor.peek(1)
        if letter == 0x0A || letter == 0x0D {
            cursor.advance()
            cursor.skipBreak()
            if cursor.isDocumentMarker { throw error("found unexpected document indicator") }
            return cursor.isSpace(0) ? try fold(into: &text, afterEscapedBreak: true) : ()
        }
        if let plain = Self.escapes[letter] {
            text += plain
            return cursor.advance(2)
        }
        let digits: Int
        switch letter {
        case UInt8(ascii: "x"): digits = 2
        case UInt8(ascii: "u"): digits = 4
        case UInt8(ascii: "U"): digits = 8
        default: throw error("found unknown escape character")
        }
        cursor.advance(2)
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Character(Unicode.Scalar(cursor.current)).hexDigitValue else {
                throw error("did not find expected hexadecimal number")
            }
            code = code << 4 | UInt32(digit)
            cursor.advance()
        }
        guard let scalar = Unicode.Scalar(code) else { throw error("found invalid Unicode character escape code") }
        text += Array(String(Character(scalar)).utf8)
    }

    // MARK: Block

    private enum Chomping {
        case clip
        case keep
        case strip
    }

    /// `|` or `>` and the lines below that are to the right of `indent`.
    mutating func blockScalar(indent: Int) throws(YAMLError) -> String {
        let isFolded = cursor.current == UInt8(ascii: ">")
        let (chomping, increment) = try blockHeader()
        var column = increment.map { max(indent, 0) + $0 }
        var text: [UInt8] = []
        var hasBreak = false
        var wasBlank = false
        var breaks = try blockIndentation(&column, indent)
        while cursor.column == column && !cursor.isAtEnd {
            let startsBlank = cursor.isBlank
            if hasBreak {
                let isJoined = isFolded && !wasBlank && !startsBlank
                if !isJoined { text.append(0x0A) } else if breaks == 0 { text.append(0x20) }
            }
            text += repeatElement(0x0A, count: breaks)
            wasBlank = startsBlank
            let start = cursor.position
            cursor.skipToBreak()
            text += cursor.bytes(from: start, to: cursor.position)
            hasBreak = cursor.isBreak
            if hasBreak { cursor.skipBreak() }
            breaks = try blockIndentation(&column, indent)
        }
        if hasBreak && chomping != .strip { text.append(0x0A) }
        if chomping == .keep { text += repeatElement(0x0A, count: breaks) }
        return String(decoding: text, as: UTF8.self)
    }

    /// `|2-`: how the end is treated, and how far the lines are indented, in any order; up to the next line.
    private mutating func blockHeader() throws(YAMLError) -> (Chomping, increment: Int?) {
        var chomping: Chomping?
        var increment: Int?
        cursor.advance()
        while true {
            switch cursor.current {
            case UInt8(ascii: "+") where chomping == nil: chomping = .keep
            case UInt8(ascii: "-") where chomping == nil: chomping = .strip
            case UInt8(ascii: "0") where increment == nil: throw error("found an indentation indicator equal to 0")
            case UInt8(ascii: "1")...UInt8(ascii: "9") where increment == nil: increment = Int(cursor.current) - 0x30
            default:
                cursor.skipLineBlanks()
                if cursor.current == UInt8(ascii: "#") { cursor.skipToBreak() }
                guard cursor.isBreak || cursor.isAtEnd else {
                    throw error("did not find expected comment or line break")
                }
                if cursor.isBreak { cursor.skipBreak() }
                return (chomping ?? .clip, increment)
            }
            cursor.advance()
        }
    }

    /// Skips empty lines and the indentation of the next other one; how many were skipped. The first such line says how
    /// far all are indented, when the header does not.
    private mutating func blockIndentation(_ column: inout Int?, _ indent: Int) throws(YAMLError) -> Int {
        var breaks = 0
        var widest = 0
        while true {
            while cursor.current == 0x20 && cursor.column < column ?? Int.max { cursor.advance() }
            widest = max(widest, cursor.column)
            if cursor.current == 0x09 && cursor.column < column ?? Int.max {
                throw error("found a tab character where an indentation space is expected")
            }
            guard cursor.isBreak else { break }
            cursor.skipBreak()
            breaks += 1
        }
        if column == nil { column = max(widest, indent + 1, 1) }
        return breaks
    }
}
