internal import MartletBase

/// The field tables of the served kinds: names, types, list kinds and merge keys, as data.
public enum Schema {
    /// Checks every field's type against the tables, drops fields that the tables do not know, and returns the paths
    /// of those dropped (`spec.template.spec.containers[0].imagee`), in document order.
    ///
    /// The result has the fields in the tables' order, maps sorted by key, quantities and times in their canonical
    /// form, and no nulls: equal objects have equal bytes.
    /// - Throws: ``SchemaError`` when a field has the wrong type.
    public static func conform(_ object: JSON, to kind: ResourceKind, words: SchemaWords = .reader)
        throws(SchemaError) -> (object: JSON, unknown: [String])
    {
        if let custom = kind.custom { return try conform(object, to: custom) }
        return try conform(object, groupVersion: kind.apiVersion, kind: kind.kind, words: words)
    }

    /// As ``conform(_:to:words:)`` for what is no resource: `DeleteOptions` and `Status` of `meta/v1`, `Scale` of
    /// `autoscaling/v1`, `Eviction` of `policy/v1`, `Binding` of `v1`. What the tables do not know passes unchanged.
    /// - Throws: ``SchemaError`` when a field has the wrong type.
    public static func conform(
        _ object: JSON, groupVersion: String, kind: String, words: SchemaWords = .reader
    ) throws(SchemaError) -> (object: JSON, unknown: [String]) {
        let tables = SchemaTables.all
        guard let place = tables.place(of: kind, in: groupVersion) else { return (object, []) }
        guard case .object = object else {
            throw SchemaError(
                "json: cannot unmarshal \(object.goKind) into Go value of type " + tables.goName(.named(place)))
        }
        var conformer = Conformer(tables: tables, words: words)
        let conformed = try conformer.conform(object, to: .named(place))
        return (conformed, conformer.unknown)
    }
}

extension Schema {
    /// A scalar in its canonical form; nil when it is of another type.
    static func conform(_ value: JSON, toScalar type: FieldType) -> JSON? {
        try? Conformer(tables: .all).conformScalar(value, to: type, type: type)
    }

    /// The metadata by the tables, all else by the custom kind's schema. Wrong types outside of the metadata are left
    /// to validation, which has better words for them.
    private static func conform(_ object: JSON, to custom: CustomKind) throws(SchemaError) -> (
        object: JSON, unknown: [String]
    ) {
        var object = object
        var unknown: [String] = []
        if let metadata = object["metadata"] {
            let tables = SchemaTables.all
            guard let place = tables.place(ofType: "ObjectMeta", in: "meta/v1") else { return (object, []) }
            var conformer = Conformer(tables: tables, below: "metadata")
            object["metadata"] = try conformer.conform(metadata, to: .named(place))
            unknown = conformer.unknown
        }
        let pruned = custom.schema.pruned(object, isRoot: true, unknown: &unknown)
        return (pruned, unknown)
    }
}

/// A field of the wrong type, with Kubernetes' words.
public struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// In whose words a field of the wrong type is refused.
public enum SchemaWords: Sendable {
    /// Those of Go's reader of JSON, which name the field.
    case reader
    /// Those of upstream's converter from untyped objects to typed ones, which does so after a strategic merge patch.
    case converter
}

extension JSON {
    /// What Go's reader of JSON calls the type of a value.
    public var goKind: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// The type that Go's reader of JSON gives to a value that no type waits for.
    fileprivate var goType: String {
        switch self {
        case .null: "invalid"
        case .bool: "bool"
        case .int: "int64"
        case .double: "float64"
        case .string: "string"
        case .array: "slice"
        case .object: "map"
        }
    }
}

/// Walks an object along the tables.
private struct Conformer {
    let tables: SchemaTables
    var words = SchemaWords.reader
    private(set) var unknown: [String] = []
    private var path: [Step] = []
    /// The type whose field is being read: Go names it in errors.
    private var owner = ""

    private enum Step {
        case field(String)
        case key(String)
        case index(Int)
    }

    init(tables: SchemaTables, words: SchemaWords = .reader) {
        self.tables = tables
        self.words = words
    }

    /// For a value that is the member `name` of an object.
    init(tables: SchemaTables, below name: String) {
        self.tables = tables
        path = [.field(name)]
    }

    mutating func conform(_ value: JSON, to type: FieldType) throws(SchemaError) -> JSON {
        switch tables.resolved(type) {
        case .named(let index): return try conform(value, to: tables.types[index], type: type)
        case .list(let element): return try conformList(value, of: element, type: type)
        case .map(let element): return try conformMap(value, of: element, type: type)
        case let scalar: return try conformScalar(value, to: scalar, type: type)
        }
    }

    private mutating func conform(_ value: JSON, to structure: SchemaType, type: FieldType) throws(SchemaError) -> JSON
    {
        if value == .null { return .object([:]) }
        guard case .object(let members) = value else { throw mismatch(value, type) }
        let fields = structure.fields
        var found: [(place: Int, value: JSON)] = []
        found.reserveCapacity(members.count)
        let outerOwner = owner
        owner = structure.name
        defer { owner = outerOwner }
        for (name, member) in members {
            path.append(.field(name))
            defer { path.removeLast() }
            guard let place = structure.places[name] else {
                unknown.append(shownPath)
                continue
            }
            if member == .null { continue }
            found.append((place, try conform(member, to: fields[place].type)))
        }
        found.sort { $0.place < $1.place }
        return .object(JSON.Members(unique: found.map { (fields[$0.place].name, $0.value) }))
    }

    private mutating func conformList(_ value: JSON, of element: FieldType, type: FieldType) throws(SchemaError) -> JSON
    {
        guard case .array(let elements) = value else { throw mismatch(value, type) }
        var result: [JSON] = []
        result.reserveCapacity(elements.count)
        for (index, value) in elements.enumerated() {
            path.append(.index(index))
            defer { path.removeLast() }
            result.append(try conform(value, to: element))
        }
        return .array(result)
    }

    private mutating func conformMap(_ value: JSON, of element: FieldType, type: FieldType) throws(SchemaError) -> JSON
    {
        guard case .object(let members) = value else { throw mismatch(value, type) }
        var result: [JSON.Members.Element] = []
        result.reserveCapacity(members.count)
        for (key, value) in members {
            path.append(.key(key))
            defer { path.removeLast() }
            result.append((key, try conform(value, to: element)))
        }
        result.sort { $0.0 < $1.0 }
        return .object(JSON.Members(unique: result))
    }

    func conformScalar(_ value: JSON, to scalar: FieldType, type: FieldType) throws(SchemaError) -> JSON {
        switch (scalar, value) {
        case (.any, _), (.string, .string), (.bool, .bool), (.int64, .int), (.double, .double), (.double, .int),
            (.intOrString, .string):
            return value
        case (.int32, .int(let number)), (.intOrString, .int(let number)):
            guard Int32(exactly: number) != nil else { throw mismatch(value, scalar == .int32 ? type : .int32) }
            return value
        case (_, .null): return Self.zero(of: scalar)
        case (.bytes, .string(let text)):
            guard let fault = Base64.fault(text) else { return value }
            let prefix = words == .converter ? "error decoding from json: " : ""
            throw SchemaError("\(prefix)illegal base64 data at input byte \(fault)")
        case (.quantity, _): return try quantity(value)
        case (.time, .string(let text)): return .string(try time(text).rfc3339)
        case (.microTime, .string(let text)): return .string(try time(text).rfc3339Micro)
        case (.time, _), (.microTime, _):
            throw SchemaError("json: cannot unmarshal \(value.goKind) into Go value of type string")
        case (.intOrString, _):
            throw SchemaError("json: cannot unmarshal \(value.goKind) into Go value of type int32")
        default: throw mismatch(value, type)
        }
    }

    private static func zero(of scalar: FieldType) -> JSON {
        switch scalar {
        case .string, .bytes: ""
        case .quantity: "0"
        case .bool: false
        case .int32, .int64, .double, .intOrString: 0
        default: nil
        }
    }

    private func quantity(_ value: JSON) throws(SchemaError) -> JSON {
        let text: String
        switch value {
        case .string(let given): text = given
        case .int(let number): text = String(number)
        case .double(let number): text = number.description
        default: throw SchemaError(Self.quantityForm)
        }
        guard let canonical = Quantity.canonical(text) else {
            throw SchemaError(text.isEmpty ? "quantities must not be empty" : Self.quantityForm)
        }
        return .string(canonical)
    }

    private static let quantityForm =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

    private func time(_ text: String) throws(SchemaError) -> WallTime {
        if let time = WallTime(rfc3339: text) { return time }
        throw SchemaError(
            "parsing time \"\(text)\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\(text)\" as \"2006\"")
    }

    /// Go's error: the fields without list indices, and the structure that holds the last one.
    private func mismatch(_ value: JSON, _ type: FieldType) -> SchemaError {
        let resolved = tables.resolved(type)
        if words == .converter { return SchemaError(conversionFault(value, type, resolved)) }
        var given = value.goKind
        if resolved == .int32 || resolved == .int64 {
            switch value {
            case .int(let number): given += " \(number)"
            case .double(let number): given += " \(number)"
            default: break
            }
        }
        let fields = path.compactMap { if case .field(let name) = $0 { name } else { nil } }.joined(separator: ".")
        return SchemaError(
            "json: cannot unmarshal \(given) into Go struct field \(owner).\(fields) of type \(tables.goName(type))")
    }

    /// The converter's error. What Go could convert and JSON may not is told apart from what has nothing in common.
    private func conversionFault(_ value: JSON, _ type: FieldType, _ resolved: FieldType) -> String {
        switch (resolved, value) {
        case (.named, _): "cannot restore struct from: \(value.goType)"
        case (.map, _): "cannot restore map from \(value.goType)"
        case (.list, _), (.bytes, _): "cannot restore slice from \(value.goType)"
        case (.string, .int), (.int32, .int), (.int32, .double), (.int64, .double):
            "cannot convert \(value.goType) to \(tables.goName(type))"
        default: "unrecognized type: \(tables.goName(resolved))"
        }
    }

    private var shownPath: String {
        path.reduce(into: "") { text, step in
            switch step {
            case .field(let name), .key(let name): text += text.isEmpty ? name : ".\(name)"
            case .index(let index): text += "[\(index)]"
            }
        }
    }
}
