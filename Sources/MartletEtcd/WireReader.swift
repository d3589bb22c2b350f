/// Bytes that are no protobuf message.
struct WireError: Error, Hashable {
    /// Where, counted from the start of the outermost message.
    var offset: Int
    /// What is wrong there.
    var what: String
}

/// Reads one protobuf message from bytes of unknown origin: never traps, copies only what it hands out.
///
/// The keys and watches are read with this straight into the store's types; the rest of the API, which is not in a
/// hurry, goes through the generated messages.
struct WireReader {
    /// How a field is coded.
    enum Kind: UInt8 {
        case varint = 0
        case fixed64 = 1
        case counted = 2
        case startGroup = 3
        case endGroup = 4
        case fixed32 = 5
    }
    /// Groups inside of groups that are skipped at most.
    static let groupLimit = 64

    private let bytes: [UInt8]
    private(set) var offset: Int
    private let end: Int
    /// How the field that ``next()`` told of is coded.
    private var kind = Kind.varint

    /// A reader of a whole message.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The number of the next field, whose value must be taken or skipped; nil at the end.
    mutating func next() throws(WireError) -> Int? {
        guard offset < end else { return nil }
        let start = offset
        let tag = try readVarint()
        guard let kind = Kind(rawValue: UInt8(tag & 7)), tag >> 3 > 0, tag >> 3 < 1 << 29 else {
            throw WireError(offset: start, what: "no field starts with \(tag)")
        }
        self.kind = kind
        return Int(tag >> 3)
    }

    /// An integer. A field that is coded otherwise is an error.
    mutating func varint() throws(WireError) -> UInt64 {
        try expect(.varint)
        return try readVarint()
    }
    /// A signed integer, as `int64` writes it.
    mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: try varint()) }
    /// A truth value.
    mutating func bool() throws(WireError) -> Bool { try varint() != 0 }
    /// A value of an enumeration; unknown ones are kept.
    mutating func enumeration() throws(WireError) -> Int32 { Int32(truncatingIfNeeded: try varint()) }

    /// A byte string.
    mutating func blob() throws(WireError) -> [UInt8] {
        let range = try counted()
        return Array(bytes[range])
    }

    /// A message inside of this one. It shares the bytes.
    mutating func message() throws(WireError) -> WireReader { WireReader(bytes, try counted()) }

    /// Integers of a repeated field, packed or one alone.
    mutating func enumerations() throws(WireError) -> [Int32] {
        if kind == .varint { return [try enumeration()] }
        var packed = try message()
        var values: [Int32] = []
        while packed.offset < packed.end { values.append(Int32(truncatingIfNeeded: try packed.readVarint())) }
        return values
    }

    /// Passes over the value of a field that is not known.
    mutating func skip() throws(WireError) { try skip(kind, depth: 0) }

    private mutating func skip(_ kind: Kind, depth: Int) throws(WireError) {
        switch kind {
        case .varint: _ = try readVarint()
        case .fixed64: try advance(8)
        case .fixed32: try advance(4)
        case .counted: _ = try range()
        case .endGroup: throw WireError(offset: offset, what: "a group ends that has not begun")
        case .startGroup:
            guard depth < Self.groupLimit else { throw WireError(offset: offset, what: "too many groups in groups") }
            while true {
                guard try next() != nil else { throw truncated() }
                if self.kind == .endGroup { return }
                try skip(self.kind, depth: depth + 1)
            }
        }
    }

    private func expect(_ wanted: Kind) throws(WireError) {
        guard kind == wanted else { throw WireError(offset: offset, what: "a field is coded as no such field is") }
    }

    private mutating func counted() throws(WireError) -> Range<Int> {
        try expect(.counted)
        return try range()
    }

    private mutating func range() throws(WireError) -> Range<Int> {
        let count = try readVarint()
        guard count <= UInt64(end - offset) else { throw truncated() }
        let start = offset
        offset += Int(count)
        return start..<offset
    }

    private mutating func advance(_ count: Int) throws(WireError) {
        guard count <= end - offset else { throw truncated() }
        offset += count
    }

    private mutating func readVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < end {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift >= 70 { throw WireError(offset: offset, what: "an integer is too long") }
        }
        throw truncated()
    }

    private func truncated() -> WireError { WireError(offset: end, what: "ends too early") }
}
