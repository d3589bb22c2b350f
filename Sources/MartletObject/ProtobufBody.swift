public import MartletBase

/// Objects in Kubernetes' protobuf form, which newer clients send for kinds that they were built with: four bytes
/// `k8s\0`, then `runtime.Unknown`, which names the kind and holds the object's message.
public enum ProtobufBody {
    /// What every such body begins with.
    public static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]
    /// How deep messages may nest.
    public static let maximumDepth = 64

    /// Reads an object: `apiVersion`, `kind` and the fields by their JSON names. Fields that the tables do not know are
    /// skipped. Go writes a plain field even when it is zero; such a zero is left out here, as it is in JSON. The
    /// result's size is bounded by the input's: each value took at least one byte.
    /// - Throws: ``ByteCodecError`` when the bytes are malformed, compressed, or of a kind that the tables do not have.
    public static func decode(_ bytes: [UInt8]) throws(ByteCodecError) -> JSON {
        guard bytes.starts(with: magic) else {
            throw ByteCodecError(offset: 0, what: "protobuf: the object does not begin with k8s\\0")
        }
        let decoder = ProtobufDecoder(tables: SchemaTables.all, bytes: bytes)
        return try decoder.unknown(magic.count..<bytes.count)
    }
}

/// Reads messages along the tables.
private struct ProtobufDecoder {
    let tables: SchemaTables
    let bytes: [UInt8]

    /// The fields of a message that were met so far, by their places in the type.
    private struct Draft {
        var values: [Int: JSON] = [:]
        var lists: [Int: [JSON]] = [:]
        var maps: [Int: JSON.Members] = [:]
    }

    // MARK: Messages

    /// runtime.Unknown: 1 TypeMeta, 2 the object's message, 3 the encoding of that, 4 its media type.
    func unknown(_ range: Range<Int>) throws(ByteCodecError) -> JSON {
        var reader = WireReader(bytes, in: range)
        var (apiVersion, kind) = ("", "")
        var raw = range.upperBound..<range.upperBound
        while let (number, value) = try reader.field() {
            guard case .counted(let part) = value else { continue }
            switch number {
            case 1: (apiVersion, kind) = try typeMeta(part)
            case 2: raw = part
            case 3 where !part.isEmpty:
                throw ByteCodecError(
                    offset: part.lowerBound, what: "protobuf: the encoding \(try text(part)) is not read")
            default: break
            }
        }
        // DeleteOptions come under the group and version of what is to be deleted.
        guard let place = tables.place(of: kind, in: apiVersion) ?? tables.place(of: kind, in: "meta/v1") else {
            throw ByteCodecError(
                offset: range.lowerBound,
                what: "protobuf: no kind \"\(kind)\" is registered for version \"\(apiVersion)\"")
        }
        var object = try message(raw, as: tables.types[place], depth: 1)
        object["apiVersion"] = .string(apiVersion)
        object["kind"] = .string(kind)
        return object
    }

    private func typeMeta(_ range: Range<Int>) throws(ByteCodecError) -> (apiVersion: String, kind: String) {
        var reader = WireReader(bytes, in: range)
        var (apiVersion, kind) = ("", "")
        while let (number, value) = try reader.field() {
            guard case .counted(let part) = value else { continue }
            if number == 1 { apiVersion = try text(part) }
            if number == 2 { kind = try text(part) }
        }
        return (apiVersion, kind)
    }

    private func message(_ range: Range<Int>, as type: SchemaType, depth: Int) throws(ByteCodecError) -> JSON {
        var draft = Draft()
        try read(range, type.wire, of: type, into: &draft, depth: depth)
        var members: JSON.Members = [:]
        for (place, field) in type.fields.enumerated() {
            if let list = draft.lists[place] {
                members[field.name] = .array(list)
            } else if let map = draft.maps[place] {
                members[field.name] = .object(map)
            } else if let value = draft.values[place], !saysNothing(value, field) {
                members[field.name] = value
            }
        }
        return .object(members)
    }

    /// Whether Go's JSON would leave the value out: a plain field's zero, or a time that is none.
    private func saysNothing(_ value: JSON, _ field: SchemaField) -> Bool {
        if value == .null { return true }
        if field.isPointer || field.isRequired { return false }
        return switch tables.resolved(field.type) {
        case .string, .bool, .int32, .int64, .double: ["", false, 0, .double(0)].contains(value)
        default: false
        }
    }

    private func read(
        _ range: Range<Int>, _ fields: WireFields, of type: SchemaType, into draft: inout Draft, depth: Int
    ) throws(ByteCodecError) {
        if depth > ProtobufBody.maximumDepth {
            throw ByteCodecError(offset: range.lowerBound, what: "protobuf: exceeded max depth")
        }
        var reader = WireReader(bytes, in: range)
        while let (number, value) = try reader.field() {
            switch fields.entries[number] {
            case nil: continue
            case .inlined(let inner):
                guard case .counted(let part) = value else { throw mismatch("a message", reader) }
                try read(part, inner, of: type, into: &draft, depth: depth + 1)
            case .field(let place):
                let field = type.fields[place]
                switch tables.resolved(field.type) {
                case .list(let element):
                    try add(value, to: &draft.lists[place, default: []], of: element, reader, depth: depth + 1)
                case .map(let element):
                    guard case .counted(let part) = value else { throw mismatch("a map's entry", reader) }
                    let (key, member) = try entry(part, of: element, depth: depth + 1)
                    draft.maps[place, default: [:]][key] = member
                case let single: draft.values[place] = try self.value(value, as: single, reader, depth: depth + 1)
                }
            }
        }
    }

    /// Adds one element, or several numbers that were packed into one field.
    private func add(
        _ value: WireReader.Value, to list: inout [JSON], of element: FieldType, _ reader: WireReader, depth: Int
    ) throws(ByteCodecError) {
        let element = tables.resolved(element)
        guard case .counted(let part) = value, [.bool, .int32, .int64, .double].contains(element) else {
            list.append(try self.value(value, as: element, reader, depth: depth))
            return
        }
        var packed = WireReader(bytes, in: part)
        while packed.position < part.upperBound {
            let number: WireReader.Value =
                element == .double ? .fixed64(try packed.fixed(8)) : .varint(try packed.varint())
            list.append(try self.value(number, as: element, packed, depth: depth))
        }
    }

    /// One member of a map: 1 its key, 2 its value.
    private func entry(_ range: Range<Int>, of element: FieldType, depth: Int) throws(ByteCodecError) -> (String, JSON)
    {
        var reader = WireReader(bytes, in: range)
        var key = ""
        var value = WireReader.Value.counted(range.upperBound..<range.upperBound)
        while let (number, found) = try reader.field() {
            if number == 1, case .counted(let part) = found { key = try text(part) }
            if number == 2 { value = found }
        }
        return (key, try self.value(value, as: tables.resolved(element), reader, depth: depth))
    }

    // MARK: Values

    /// A value of a type that is no list, no map and no other name.
    private func value(
        _ value: WireReader.Value, as type: FieldType, _ reader: WireReader, depth: Int
    ) throws(ByteCodecError) -> JSON {
        switch (type, value) {
        case (.bool, .varint(let number)): return .bool(number != 0)
        case (.int32, .varint(let number)): return .int(Int64(Int32(truncatingIfNeeded: number)))
        case (.int64, .varint(let number)): return .int(Int64(bitPattern: number))
        case (.double, .fixed64(let bits)): return .double(Double(bitPattern: bits))
        case (.string, .counted(let part)): return .string(try text(part))
        case (.bytes, .counted(let part)): return .string(Base64.encode(Array(bytes[part])))
        case (.quantity, .counted(let part)): return .string(try quantity(part))
        case (.intOrString, .counted(let part)): return try intOrString(part)
        case (.time, .counted(let part)): return try time(part).map { .string($0.rfc3339) } ?? .null
        case (.microTime, .counted(let part)): return try time(part).map { .string($0.rfc3339Micro) } ?? .null
        case (.any, .counted(let part)): return try any(part)
        case (.named(let place), .counted(let part)): return try message(part, as: tables.types[place], depth: depth)
        default: throw mismatch(tables.goName(type), reader)
        }
    }

    private func mismatch(_ wanted: String, _ reader: WireReader) -> ByteCodecError {
        ByteCodecError(offset: reader.position, what: "protobuf: wrong wire type for \(wanted)")
    }

    private func text(_ range: Range<Int>) throws(ByteCodecError) -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw ByteCodecError(offset: range.lowerBound, what: "protobuf: text is not UTF-8")
        }
        return text
    }

    /// resource.Quantity: 1 its text.
    private func quantity(_ range: Range<Int>) throws(ByteCodecError) -> String {
        var reader = WireReader(bytes, in: range)
        var quantity = ""
        while let (number, value) = try reader.field() {
            if number == 1, case .counted(let part) = value { quantity = try text(part) }
        }
        return quantity.isEmpty ? "0" : quantity
    }

    /// intstr.IntOrString: 1 whether it is text, 2 the number, 3 the text.
    private func intOrString(_ range: Range<Int>) throws(ByteCodecError) -> JSON {
        var reader = WireReader(bytes, in: range)
        var isText = false
        var whole: Int64 = 0
        var words = ""
        while let (number, value) = try reader.field() {
            switch (number, value) {
            case (1, .varint(let type)): isText = type != 0
            case (2, .varint(let value)): whole = Int64(Int32(truncatingIfNeeded: value))
            case (3, .counted(let part)): words = try text(part)
            default: break
            }
        }
        return isText ? .string(words) : .int(whole)
    }

    /// metav1.Time and MicroTime: 1 seconds since 1970, 2 nanoseconds. Nil for no time, which is an empty message.
    private func time(_ range: Range<Int>) throws(ByteCodecError) -> WallTime? {
        if range.isEmpty { return nil }
        var reader = WireReader(bytes, in: range)
        var (seconds, nanoseconds) = (Int64(0), Int64(0))
        while let (number, value) = try reader.field() {
            guard case .varint(let bits) = value else { continue }
            if number == 1 { seconds = Int64(bitPattern: bits) }
            if number == 2 { nanoseconds = Int64(Int32(truncatingIfNeeded: bits)) }
        }
        // What nanoseconds in 64 bits hold, in whole years as for times in text: 1678 to 2261.
        let (scaled, isTooFar) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (total, isPast) = scaled.addingReportingOverflow(nanoseconds)
        if isTooFar || isPast || !(-9_214_560_000..<9_214_646_400).contains(seconds) {
            throw ByteCodecError(offset: range.lowerBound, what: "protobuf: the time is out of range")
        }
        return WallTime(nanoseconds: total)
    }

    /// runtime.RawExtension and metav1.FieldsV1: 1 JSON text.
    private func any(_ range: Range<Int>) throws(ByteCodecError) -> JSON {
        var reader = WireReader(bytes, in: range)
        while let (number, value) = try reader.field() {
            guard number == 1, case .counted(let part) = value, !part.isEmpty else { continue }
            do {
                return try JSON(parsing: bytes[part])
            } catch {
                throw ByteCodecError(offset: part.lowerBound + error.offset, what: "protobuf: \(error.message)")
            }
        }
        return .null
    }
}
