/// A field line in its plainest form, by places in the bytes it stands in: a name of letters, digits and hyphens, a
/// colon, one blank, and a value of visible ASCII that neither begins nor ends with a blank.
///
/// What is passed on without being looked at closely is passed on in this form only: all servers read it the same way.
/// Anything else that HTTP allows is for the way that knows all of it (``FieldLines``).
struct PlainLine {
    /// Where the name begins, and with it the line.
    var start: Int
    /// Behind the name.
    var nameEnd: Int
    /// Behind the value; CR and LF follow.
    var end: Int

    var name: Range<Int> { start..<nameEnd }
    var value: Range<Int> { (nameEnd + 2)..<end }
    /// The line with its end.
    var whole: Range<Int> { start..<(end + 2) }

    /// What stands at a place in a head.
    enum Next {
        case line(PlainLine)
        /// The empty line that ends the head; it ends before this place.
        case end(Int)
        /// Not in this form, or not all here.
        case other
    }

    /// Reads the line that begins at a place.
    static func next(in bytes: Span<UInt8>, at start: Int) -> Next {
        var at = start
        while at < bytes.count, isNameByte(bytes[at]) { at += 1 }
        if at == start {
            let isEnd = at + 1 < bytes.count && bytes[at] == Characters.cr && bytes[at + 1] == Characters.lf
            return isEnd ? .end(at + 2) : .other
        }
        let nameEnd = at
        guard at + 2 < bytes.count, bytes[at] == Characters.colon, bytes[at + 1] == Characters.space else {
            return .other
        }
        at += 2
        let value = at
        while at < bytes.count, isValueByte(bytes[at]) { at += 1 }
        guard at > value, at + 1 < bytes.count, bytes[at] == Characters.cr, bytes[at + 1] == Characters.lf,
            bytes[value] != Characters.space, bytes[at - 1] != Characters.space
        else { return .other }
        return .line(PlainLine(start: start, nameEnd: nameEnd, end: at))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || byte == 0x2D
    }

    private static func isValueByte(_ byte: UInt8) -> Bool { byte &- 0x20 < 0x5F }

    /// Whether the name is this one.
    /// - Parameter word: in lower case.
    @inline(__always)
    func isNamed(_ word: StaticString, in bytes: Span<UInt8>) -> Bool {
        Self.range(name, in: bytes, is: word)
    }

    /// Whether bytes spell a word, in any case.
    /// - Parameter word: in lower case.
    @inline(__always)
    static func range(_ range: Range<Int>, in bytes: Span<UInt8>, is word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        let letters = unsafe word.utf8Start
        for offset in 0..<range.count {
            if unsafe Characters.lower(bytes[range.lowerBound + offset]) != letters[offset] { return false }
        }
        return true
    }

    /// A number of at most nine digits, and nothing else.
    static func number(_ range: Range<Int>, in bytes: Span<UInt8>) -> Int? {
        guard (1...9).contains(range.count) else { return nil }
        var number = 0
        for index in range {
            guard Characters.isDigit(bytes[index]) else { return nil }
            number = number * 10 + Int(bytes[index] - 48)
        }
        return number
    }
}
