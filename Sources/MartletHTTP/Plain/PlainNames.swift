public import HTTPTypes

/// Names of fields that are looked for in plain heads.
public struct PlainNames: Sendable {
    /// All of them in lower case, one behind the other.
    private let letters: [UInt8]
    private let places: [Range<Int>]
    /// A bit for each length that one of them has: most fields are told by theirs.
    private let lengths: UInt64

    /// These.
    public init(_ names: [HTTPField.Name]) {
        var (letters, places, lengths) = ([UInt8](), [Range<Int>](), UInt64(0))
        for name in names {
            let start = letters.count
            letters += name.canonicalName.utf8
            places.append(start..<letters.count)
            lengths |= 1 << UInt64(letters.count - start)
        }
        (self.letters, self.places, self.lengths) = (letters, places, lengths)
    }

    /// Whether a line has one of them.
    func contains(_ line: PlainLine, in bytes: Span<UInt8>) -> Bool {
        let count = line.name.count
        guard lengths >> UInt64(count) & 1 == 1 else { return false }
        for place in places where place.count == count {
            var offset = 0
            while offset < count, Characters.lower(bytes[line.start + offset]) == letters[place.lowerBound + offset] {
                offset += 1
            }
            if offset == count { return true }
        }
        return false
    }
}
