/// Why bytes are not an object in Kubernetes' protobuf form.
public struct ProtobufError: Error, Sendable, Hashable, CustomStringConvertible {
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
    mutating func field() throws(ProtobufError) -> (number: Int, value: Value)? {
        if position == end { return nil }
        let start = position
        let key = try varint()
        guard let number = Int(exactly: key >> 3), number > 0, number < 1 << 29 else {
            throw ProtobufError("protobuf: field number \(key >> 3) is out of range", offset: start)
        }
        switch key & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 2: return (number, .counted(try counted()))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        default: throw ProtobufError("protobuf: wire type \(key & 7) is not read", offset: start)
        }
    }

    /// A number in groups of seven bits, the lowest first; ten bytes at most.
    mutating func varint() throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw truncated }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw ProtobufError("protobuf: a number has more than ten bytes", offset: position)
    }

    /// A little-endian number of so many bytes.
    mutating func fixed(_ width: Int) throws(ProtobufError) -> UInt64 {
        guard width <= end - position else { throw truncated }
        let value = bytes[position..<position + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        position += width
        return value
    }

    private mutating func counted() throws(ProtobufError) -> Range<Int> {
        guard let count = Int(exactly: try varint()), count <= end - position else { throw truncated }
        defer { position += count }
        return position..<position + count
    }

    private var truncated: ProtobufError { ProtobufError("protobuf: unexpected end", offset: position) }
}
