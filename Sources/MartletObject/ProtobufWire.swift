internal import MartletBase

/// Reads the fields of one protobuf message, in the order they were written.
/// (https://protobuf.dev/programming-guides/encoding)
struct WireReader {
    /// A field's value, as far as the wire tells it.
    enum Value {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64(UInt64)
        /// Text, bytes, a message or packed numbers: their place in the input.
        case counted(Range<Int>)
    }

    let bytes: [UInt8]
    private(set) var position: Int
    private let end: Int

    /// Reads from `range`, which must lie within `bytes`.
    init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; nil at the end of the message.
    mutating func field() throws(ByteCodecError) -> (number: Int, value: Value)? {
        if position == end { return nil }
        let start = position
        let key = try varint()
        guard let number = Int(exactly: key >> 3), number > 0, number < 1 << 29 else {
            throw ByteCodecError(offset: start, what: "protobuf: field number \(key >> 3) is out of range")
        }
        switch key & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 2: return (number, .counted(try counted()))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        default: throw ByteCodecError(offset: start, what: "protobuf: wire type \(key & 7) is not read")
        }
    }

    /// A number in groups of seven bits, the lowest first; ten bytes at most.
    mutating func varint() throws(ByteCodecError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw truncated }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw ByteCodecError(offset: position, what: "protobuf: a number has more than ten bytes")
    }

    /// A little-endian number of so many bytes.
    mutating func fixed(_ width: Int) throws(ByteCodecError) -> UInt64 {
        guard width <= end - position else { throw truncated }
        let value = bytes[position..<position + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        position += width
        return value
    }

    private mutating func counted() throws(ByteCodecError) -> Range<Int> {
        guard let count = Int(exactly: try varint()), count <= end - position else { throw truncated }
        defer { position += count }
        return position..<position + count
    }

    private var truncated: ByteCodecError { ByteCodecError(offset: position, what: "protobuf: unexpected end") }
}
