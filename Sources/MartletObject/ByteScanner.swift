/// Finds values in JSON bytes without building a tree. It trusts nothing: on bytes that are not JSON it finds nothing
/// or something, but never leaves the buffer. Names are compared byte by byte, so an escaped name is not found; the
/// canonical text does not escape the names of fields.
struct ByteScanner {
    let bytes: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private func byte(at index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    /// The first index from `start` on that is no blank.
    func skipBlanks(_ start: Int) -> Int {
        var index = start
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return index
            }
        }
        return index
    }

    /// The index after the string whose opening quote is at `start`; nil when it does not end.
    private func skipString(_ start: Int) -> Int? {
        var index = start + 1
        while true {
            index = bytes.endOfPlainText(from: index)
            guard index < bytes.count else { return nil }
            switch bytes[index] {
            case UInt8(ascii: "\""): return index + 1
            case UInt8(ascii: "\\"): index += 2
            default: index += 1
            }
        }
    }

    /// The index after the value that begins at `start`; nil when it does not end.
    func skipValue(_ start: Int) -> Int? {
        var index = start
        var depth = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                guard let end = skipString(index) else { return nil }
                index = end
                if depth == 0 { return index }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return index }
                depth -= 1
                index += 1
                if depth == 0 { return index }
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x09, 0x0A, 0x0D:
                if depth == 0 { return index == start ? nil : index }
                index += 1
            default: index += 1
            }
        }
        return depth == 0 && index > start ? index : nil
    }

    /// Calls `body` with each member's name, without quotes, and the place where its value begins, until it returns
    /// false. `start` is the index of the opening brace, or of blanks before it.
    private func eachStart(ofObjectAt start: Int, _ body: (Range<Int>, Int) -> Bool) {
        var index = skipBlanks(start)
        guard byte(at: index) == UInt8(ascii: "{") else { return }
        repeat {
            let name = skipBlanks(index + 1)
            guard byte(at: name) == UInt8(ascii: "\""), let nameEnd = skipString(name) else { return }
            let colon = skipBlanks(nameEnd)
            guard byte(at: colon) == UInt8(ascii: ":") else { return }
            let value = skipBlanks(colon + 1)
            guard body(name + 1..<nameEnd - 1, value), let end = skipValue(value) else { return }
            index = skipBlanks(end)
        } while byte(at: index) == UInt8(ascii: ",")
    }

    /// Calls `body` with the ranges of each member's name (without quotes) and value, until it returns false.
    func eachMember(ofObjectAt start: Int, _ body: (Range<Int>, Range<Int>) -> Bool) {
        eachStart(ofObjectAt: start) { name, value in
            guard let end = skipValue(value) else { return false }
            return body(name, value..<end)
        }
    }

    /// Where the value of the member `name` begins; its end is not looked for.
    func startOfMember(_ name: String, ofObjectAt start: Int) -> Int? {
        var found: Int?
        eachStart(ofObjectAt: start) { key, value in
            if isEqual(key, name) { found = value }
            return found == nil
        }
        return found
    }

    /// Where the value of the member `name` is.
    func member(_ name: String, ofObjectAt start: Int) -> Range<Int>? {
        guard let value = startOfMember(name, ofObjectAt: start), let end = skipValue(value) else { return nil }
        return value..<end
    }

    /// Where the value at a path of member names is.
    func value(at path: some Sequence<String>) -> Range<Int>? {
        var start = 0
        for name in path {
            guard let next = startOfMember(name, ofObjectAt: start) else { return nil }
            start = next
        }
        return skipValue(start).map { start..<$0 }
    }

    private func isEqual(_ range: Range<Int>, _ name: String) -> Bool {
        range.count == name.utf8.count && bytes[range].elementsEqual(name.utf8)
    }

    /// The text of a range that holds a JSON string with its quotes; nil when it holds something else.
    func string(_ range: Range<Int>) -> String? {
        guard byte(at: range.lowerBound) == UInt8(ascii: "\"") else { return nil }
        let inner = UnsafeBufferPointer(rebasing: bytes[range])
        return (try? JSON(parsing: inner))?.string
    }
}
