extension UnsafeBufferPointer<UInt8> {
    /// Whether both hold the same bytes. Looks at eight at a time, at the last eight maybe twice.
    func hasSameBytes(as other: UnsafeBufferPointer<UInt8>) -> Bool {
        guard count == other.count else { return false }
        guard count >= 8, let start = baseAddress, let otherStart = other.baseAddress else {
            return elementsEqual(other)
        }
        func isSameWord(at index: Int) -> Bool {
            UnsafeRawPointer(start + index).loadUnaligned(as: UInt64.self)
                == UnsafeRawPointer(otherStart + index).loadUnaligned(as: UInt64.self)
        }
        var index = 0
        while index + 8 < count {
            if !isSameWord(at: index) { return false }
            index += 8
        }
        return isSameWord(at: count - 8)
    }

    /// The first place from `start` on of a byte that does not stand for itself in a JSON string (a quote, a
    /// backslash, a control character); the end when there is none. Looks at eight bytes at a time.
    func endOfPlainText(from start: Int) -> Int {
        var index = start
        while index + 8 <= count, let base = baseAddress {
            let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self).littleEndian
            let odd = Self.oddBytes(word)
            if odd != 0 { return index + odd.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < count, Self.isPlain(self[index]) { index += 1 }
        return index
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    /// The high bits of bytes that do not stand for themselves. The lowest bit set is right; those above it may not be.
    private static func oddBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word }
        let controls = (word &- ones &* 0x20) & ~word
        let quotes = zeros(word ^ ones &* UInt64(UInt8(ascii: "\"")))
        let backslashes = zeros(word ^ ones &* UInt64(UInt8(ascii: "\\")))
        return (controls | quotes | backslashes) & (ones &* 0x80)
    }
}
