internal import MartletObject

/// Writes OpenAPI documents as the protocol buffers `openapi.v2.Document`, which kubectl asks for, and
/// `openapi.v3.Document`. What goes where is said by ``OpenAPIMessage``.
struct OpenAPIProtobuf {
    /// The media types that ask for this form: the older one is not a valid media type, and still the one asked for.
    static let mediaTypes = [
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    ]
    /// What the answer calls itself.
    static let contentType = mediaTypes[1]

    /// Members that have no field, as `schema.moon`. None are written.
    private(set) var unknown: Set<String> = []

    /// The same for `openapi.v3.Document`.
    static let mediaTypes3 = [
        "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
    ]

    /// The bytes of a document of version 2.
    static func encode(_ document: JSON) -> [UInt8] {
        var encoder = OpenAPIProtobuf()
        return encoder.encode(document, as: .document)
    }

    /// The bytes of a document of version 3.
    static func encode3(_ document: JSON) -> [UInt8] {
        var encoder = OpenAPIProtobuf()
        return encoder.encode(document, as: .document3)
    }

    /// The fields of one message.
    mutating func encode(_ value: JSON, as message: OpenAPIMessage) -> [UInt8] {
        let layout = message.layout
        var output: [UInt8] = []
        for (name, value) in value.members {
            if let field = layout.fields[name] {
                write(value, field.shape, as: field.number, to: &output)
            } else if let number = layout.extensions, name.hasPrefix("x-") {
                write(named: name, value, .any, as: number, to: &output)
            } else if let others = layout.others {
                write(named: name, value, others.shape, as: others.number, to: &output)
            } else {
                unknown.insert("\(message).\(name)")
            }
        }
        return output
    }

    private mutating func write(
        _ value: JSON, _ shape: OpenAPIMessage.Shape, as number: Int, to output: inout [UInt8]
    ) {
        switch shape {
        case .text: Self.append(Array((value.string ?? "").utf8), as: number, to: &output)
        case .flag: Self.append(UInt64(value.bool == true ? 1 : 0), as: number, to: &output)
        case .whole: Self.append(UInt64(bitPattern: Int64(value.int ?? 0)), as: number, to: &output)
        case .real: Self.append(Self.real(value), as: number, to: &output)
        case .any:
            var any: [UInt8] = []
            Self.append(value.encoded(), as: 2, to: &any)
            Self.append(any, as: number, to: &output)
        case .message(let message): Self.append(encode(value, as: message), as: number, to: &output)
        case .list(let element):
            for value in value.array ?? [value] { write(value, element, as: number, to: &output) }
        case .named(let element):
            for (name, value) in value.members { write(named: name, value, element, as: number, to: &output) }
        case .wrapped(let inner, let shape):
            var message: [UInt8] = []
            write(value, shape, as: inner, to: &message)
            Self.append(message, as: number, to: &output)
        case .parameter, .response, .additionalProperties, .orReference, .additionalProperties3, .plainValue:
            write(value, Self.branch(of: shape, for: value), as: number, to: &output)
        }
    }

    /// One `NamedX`.
    private mutating func write(
        named name: String, _ value: JSON, _ shape: OpenAPIMessage.Shape, as number: Int, to output: inout [UInt8]
    ) {
        var entry: [UInt8] = []
        Self.append(Array(name.utf8), as: 1, to: &entry)
        write(value, shape, as: 2, to: &entry)
        Self.append(entry, as: number, to: &output)
    }

    /// The branch of a `oneof` that fits `value`.
    private static func branch(of shape: OpenAPIMessage.Shape, for value: JSON) -> OpenAPIMessage.Shape {
        let isReference = value["$ref"] != nil
        switch shape {
        case .parameter where isReference: return .wrapped(2, .message(.reference))
        case .parameter:
            switch value["in"]?.string {
            case "body": return .wrapped(1, .wrapped(1, .message(.bodyParameter)))
            case "path": return .wrapped(1, .wrapped(2, .wrapped(4, .message(.pathParameter))))
            default: return .wrapped(1, .wrapped(2, .wrapped(3, .message(.queryParameter))))
            }
        case .response: return isReference ? .wrapped(2, .message(.reference)) : .wrapped(1, .message(.response))
        case .additionalProperties:
            return value.bool != nil ? .wrapped(2, .flag) : .wrapped(1, .message(.schema))
        case .orReference(let message):
            return .wrapped(isReference ? 2 : 1, .message(isReference ? .reference3 : message))
        case .additionalProperties3:
            return value.bool != nil ? .wrapped(2, .flag) : .wrapped(1, .orReference(.schema3))
        case .plainValue:
            if value.string != nil { return .wrapped(3, .text) }
            return value.bool != nil ? .wrapped(2, .flag) : .wrapped(1, .real)
        default: return shape
        }
    }

    private static func real(_ value: JSON) -> Double {
        if case .double(let number) = value { return number }
        return Double(value.int ?? 0)
    }
}

/// The wire format of protocol buffers: a key of field number and wire type, then the value.
/// What is there is written, and be it a default: the branch of a `oneof` is chosen by its being there.
extension OpenAPIProtobuf {
    private static func append(varint value: UInt64, to output: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(rest))
    }

    private static func append(_ value: UInt64, as number: Int, to output: inout [UInt8]) {
        append(varint: UInt64(number) << 3, to: &output)
        append(varint: value, to: &output)
    }

    private static func append(_ value: Double, as number: Int, to output: inout [UInt8]) {
        append(varint: UInt64(number) << 3 | 1, to: &output)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            output.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
        }
    }

    /// Text, or a message.
    private static func append(_ bytes: [UInt8], as number: Int, to output: inout [UInt8]) {
        append(varint: UInt64(number) << 3 | 2, to: &output)
        append(varint: UInt64(bytes.count), to: &output)
        output += bytes
    }
}
