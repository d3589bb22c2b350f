public import OrderedCollections

/// The schema of a custom kind or of a part of it: the structural part of an OpenAPI v3 schema, read once from a
/// CustomResourceDefinition. Immutable, and shared by all that serve the kind.
public final class StructuralSchema: Sendable {
    /// JSON's types, as OpenAPI names them.
    public enum ValueType: String, Sendable {
        /// Members by name.
        case object
        /// A list.
        case array
        /// Text.
        case string
        /// A whole number.
        case integer
        /// Any number.
        case number
        /// `true` or `false`.
        case boolean
    }
    /// What members beside ``properties`` may be.
    public enum Additional: Sendable {
        /// There are none: they are pruned.
        case none
        /// They may be anything (`additionalProperties: true`).
        case any
        /// Each is of this form: the object is a map.
        case values(StructuralSchema)
    }
    /// How a list merges when several appliers own it (`x-kubernetes-list-type`).
    public enum ListType: Sendable, Hashable {
        /// It is one value.
        case atomic
        /// Its elements are owned one by one.
        case set
        /// Its elements are objects with these keys.
        case map(keys: [String])
    }

    /// The type; nil for `x-kubernetes-int-or-string`, and where only unknown fields are preserved.
    public let type: ValueType?
    /// Members by name, in the order of names.
    public let properties: OrderedDictionary<String, StructuralSchema>
    /// Members beside those.
    public let additional: Additional
    /// The elements of a list.
    public let items: StructuralSchema?
    /// Whether `null` is a value.
    public let isNullable: Bool
    /// What an absent value becomes.
    public let defaultValue: JSON?
    /// `x-kubernetes-preserve-unknown-fields`
    public let preservesUnknownFields: Bool
    /// `x-kubernetes-embedded-resource`
    public let isEmbeddedResource: Bool
    /// `x-kubernetes-int-or-string`
    public let isIntOrString: Bool
    /// `x-kubernetes-list-type` with `x-kubernetes-list-map-keys`; lists without one are atomic.
    public let listType: ListType
    /// `x-kubernetes-map-type: atomic`
    public let isAtomicMap: Bool
    /// What else values must be.
    let rules: ValueRules
    /// Whether something in it has a default.
    public let hasDefaults: Bool

    /// Reads the JSON of a `JSONSchemaProps`. What is no schema counts as absent: the definition has been validated.
    public init(_ json: JSON) {
        type = json["type"]?.string.flatMap(ValueType.init(rawValue:))
        var properties: OrderedDictionary<String, StructuralSchema> = [:]
        for (name, schema) in json["properties"]?.object ?? [:] { properties[name] = StructuralSchema(schema) }
        properties.sort { $0.key < $1.key }
        self.properties = properties
        switch json["additionalProperties"] {
        case .some(let schema) where schema.object != nil: additional = .values(StructuralSchema(schema))
        case .some(.bool(true)): additional = .any
        default: additional = .none
        }
        items = json["items"].flatMap { $0.object == nil ? nil : StructuralSchema($0) }
        isNullable = json["nullable"]?.bool ?? false
        defaultValue = json["default"]
        preservesUnknownFields = json["x-kubernetes-preserve-unknown-fields"]?.bool ?? false
        isEmbeddedResource = json["x-kubernetes-embedded-resource"]?.bool ?? false
        isIntOrString = json["x-kubernetes-int-or-string"]?.bool ?? false
        switch json["x-kubernetes-list-type"]?.string {
        case "set": listType = .set
        case "map":
            listType = .map(keys: (json["x-kubernetes-list-map-keys"]?.array ?? []).compactMap(\.string))
        default: listType = .atomic
        }
        isAtomicMap = json["x-kubernetes-map-type"]?.string == "atomic"
        rules = ValueRules(json)
        var hasDefaults = defaultValue != nil || items?.hasDefaults == true
        hasDefaults = hasDefaults || properties.values.contains { $0.hasDefaults }
        if case .values(let values) = additional { hasDefaults = hasDefaults || values.hasDefaults }
        self.hasDefaults = hasDefaults
    }
}

/// What values must be beside their type: the value validations of OpenAPI v3.
struct ValueRules: Sendable {
    var format: String?
    /// The allowed values; nil: all.
    var choices: [JSON]?
    /// The text of `pattern`, and the expression. A pattern that cannot be read matches everything: it was refused
    /// when the definition was made.
    var pattern: (text: String, expression: RegularExpression)?
    var minimum: JSON?
    var maximum: JSON?
    var isMinimumExclusive: Bool
    var isMaximumExclusive: Bool
    var multipleOf: JSON?
    var minLength: Int?
    var maxLength: Int?
    var minItems: Int?
    var maxItems: Int?
    var minProperties: Int?
    var maxProperties: Int?
    var hasUniqueItems: Bool
    var required: [String]
    var allOf: [StructuralSchema]
    var anyOf: [StructuralSchema]
    var oneOf: [StructuralSchema]
    var not: StructuralSchema?

    init(_ json: JSON) {
        format = json["format"]?.string
        choices = json["enum"]?.array
        pattern = json["pattern"]?.string.flatMap { text in
            (try? RegularExpression(text)).map { (text, $0) }
        }
        minimum = json["minimum"]
        maximum = json["maximum"]
        isMinimumExclusive = json["exclusiveMinimum"]?.bool ?? false
        isMaximumExclusive = json["exclusiveMaximum"]?.bool ?? false
        multipleOf = json["multipleOf"]
        minLength = json["minLength"]?.int
        maxLength = json["maxLength"]?.int
        minItems = json["minItems"]?.int
        maxItems = json["maxItems"]?.int
        minProperties = json["minProperties"]?.int
        maxProperties = json["maxProperties"]?.int
        hasUniqueItems = json["uniqueItems"]?.bool ?? false
        required = (json["required"]?.array ?? []).compactMap(\.string)
        func schemas(_ name: String) -> [StructuralSchema] { (json[name]?.array ?? []).map(StructuralSchema.init) }
        allOf = schemas("allOf")
        anyOf = schemas("anyOf")
        oneOf = schemas("oneOf")
        not = json["not"].flatMap { $0.object == nil ? nil : StructuralSchema($0) }
    }
}
