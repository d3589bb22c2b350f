/// What a schema must be to be structural, with upstream's words: every field is named outside of `allOf`, `anyOf`,
/// `oneOf` and `not`, which may only narrow values.
struct CustomSchemaRules {
    private enum Level { case root, item, field }

    private var faults = Faults()

    /// Adds what is wrong with the schema of a version, in the order of the texts.
    static func check(_ schema: JSON, at path: String, _ faults: inout Faults) {
        var rules = CustomSchemaRules()
        rules.checkNode(schema, .root, at: path)
        rules.checkComplete(schema, at: path)
        faults.add(rules.faults.list.sorted { $0.description < $1.description })
        // A default is held against a schema that is one.
        guard rules.faults.list.isEmpty else { return }
        checkDefaults(schema, at: path, isRoot: true, &faults)
    }

    // MARK: Structure

    private mutating func checkNode(_ schema: JSON, _ level: Level, at path: String) {
        checkForbidden(schema, at: path)
        checkType(schema, level, at: path)
        checkExtensions(schema, at: path)
        checkList(schema, at: path)
        checkMetadata(schema, level, at: path)
        if let items = schema["items"] {
            checkNode(items, .item, at: "\(path).items")
        } else if schema["type"] == "array" {
            faults.required("\(path).items", "must be specified")
        }
        for (name, member) in schema["properties"]?.object ?? [:] {
            checkNode(member, .field, at: "\(path).properties[\(name)]")
        }
        if let additional = schema["additionalProperties"] {
            let place = "\(path).additionalProperties"
            if level == .root { faults.forbidden(place, "must not be used at the root") }
            if additional.object != nil { checkNode(additional, .field, at: place) }
            if additional != true, schema["properties"]?.object?.isEmpty == false {
                faults.forbidden(place, "additionalProperties and properties are mutual exclusive")
            }
        }
        checkValues(schema, skipping: Self.intOrStringPattern(schema), at: path)
    }

    private mutating func checkForbidden(_ schema: JSON, at path: String) {
        let unsupported = ["additionalItems", "patternProperties", "definitions", "dependencies", "$ref", "id"]
        for field in unsupported where schema[field] != nil {
            faults.forbidden("\(path).\(field)", "\(field) is not supported")
        }
        if schema["uniqueItems"]?.bool == true {
            faults.forbidden(
                "\(path).uniqueItems",
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
        }
        if schema["nullable"]?.bool == true, schema["x-kubernetes-list-type"] == "set" {
            faults.forbidden("\(path).nullable", "nullable cannot be true when x-kubernetes-list-type is set")
        }
    }

    private mutating func checkType(_ schema: JSON, _ level: Level, at path: String) {
        let type = schema["type"]?.string ?? ""
        let known = ["array", "boolean", "integer", "number", "object", "string"]
        if type == "null" {
            faults.forbidden("\(path).type", "type cannot be set to null, use nullable as an alternative")
        } else if !type.isEmpty, !known.contains(type) {
            faults.notSupported("\(path).type", .string(type), known)
        }
        if schema["x-kubernetes-embedded-resource"]?.bool == true, type != "object" {
            let why = "must be object if x-kubernetes-embedded-resource is true"
            if type.isEmpty {
                faults.required("\(path).type", why)
            } else {
                faults.invalid("\(path).type", .string(type), why)
            }
        } else if type.isEmpty, schema["x-kubernetes-int-or-string"]?.bool != true,
            schema["x-kubernetes-preserve-unknown-fields"]?.bool != true
        {
            switch level {
            case .root: faults.required("\(path).type", "must not be empty at the root")
            case .item: faults.required("\(path).type", "must not be empty for specified array items")
            case .field: faults.required("\(path).type", "must not be empty for specified object fields")
            }
        }
        if level == .root, !type.isEmpty, type != "object" {
            faults.invalid("\(path).type", .string(type), "must be object at the root")
        }
    }

    private mutating func checkExtensions(_ schema: JSON, at path: String) {
        let preserves = "x-kubernetes-preserve-unknown-fields"
        let embeds = "x-kubernetes-embedded-resource"
        if schema[preserves] == false {
            faults.invalid("\(path).\(preserves)", false, "must be true or undefined")
        }
        if schema["x-kubernetes-int-or-string"]?.bool == true {
            for field in [preserves, embeds] where schema[field]?.bool == true {
                faults.invalid("\(path).\(field)", true, "must be false if x-kubernetes-int-or-string is true")
            }
            if let type = schema["type"], type != "" {
                faults.invalid("\(path).type", type, "must be empty if x-kubernetes-int-or-string is true")
            }
        }
        guard schema[embeds]?.bool == true else { return }
        if schema["additionalProperties"] != nil {
            faults.forbidden(
                "\(path).additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
        }
        if schema[preserves]?.bool != true, schema["properties"]?.object?.isEmpty ?? true {
            faults.required(
                "\(path).properties",
                "must not be empty if x-kubernetes-embedded-resource is true without \(preserves)")
        }
    }

    private mutating func checkMetadata(_ schema: JSON, _ level: Level, at path: String) {
        let isResource = level == .root || schema["x-kubernetes-embedded-resource"]?.bool == true
        guard isResource else { return }
        for name in ["kind", "apiVersion"] {
            if let type = schema["properties"]?[name]?["type"], type != "string" {
                faults.invalid("\(path).properties[\(name)].type", type, "must be string")
            }
        }
        guard let metadata = schema["properties"]?["metadata"] else { return }
        let place = "\(path).properties[metadata]"
        if metadata["type"] != "object" {
            faults.invalid("\(place).type", metadata["type"] ?? "", "must be object")
        }
        guard level == .root else { return }
        let properties = (metadata["properties"] ?? [:]).members
        let isNarrow = properties.allSatisfy { ["name", "generateName"].contains($0.key) }
        let others = metadata.members.filter { !["type", "properties", "description"].contains($0.key) }
        if !isNarrow || !others.isEmpty {
            faults.forbidden(
                place,
                "must not specify anything other than name and generateName, but metadata is implicitly specified")
        }
    }

    // MARK: Lists and maps

    private mutating func checkList(_ schema: JSON, at path: String) {
        let field = "x-kubernetes-list-type"
        let keys = schema["x-kubernetes-list-map-keys"]?.array ?? []
        let type = schema[field]?.string
        if let type {
            if !["atomic", "set", "map"].contains(type) {
                faults.notSupported("\(path).\(field)", .string(type), ["atomic", "map", "set"])
            }
            if schema["type"] == nil {
                faults.required("\(path).type", "must be array if \(field) is specified")
            } else if schema["type"] != "array" {
                faults.invalid("\(path).type", schema["type"] ?? "", "must be array if \(field) is specified")
            }
        }
        if !keys.isEmpty, type != "map" {
            let why = "must be map if x-kubernetes-list-map-keys is non-empty"
            if let type {
                faults.invalid("\(path).\(field)", .string(type), why)
            } else {
                faults.required("\(path).\(field)", why)
            }
        }
        if type == "map" { checkMapKeys(keys, schema, at: path) }
        if let mapType = schema["x-kubernetes-map-type"] {
            if mapType != "granular", mapType != "atomic" {
                faults.notSupported("\(path).x-kubernetes-map-type", mapType, ["atomic", "granular"])
            }
            if schema["type"] != "object" {
                faults.invalid(
                    "\(path).type", schema["type"] ?? "", "must be object if x-kubernetes-map-type is specified")
            }
        }
    }

    private mutating func checkMapKeys(_ keys: [JSON], _ schema: JSON, at path: String) {
        let field = "x-kubernetes-list-map-keys"
        if keys.isEmpty {
            faults.required("\(path).\(field)", "must not be empty if x-kubernetes-list-type is map")
        }
        guard let items = schema["items"] else {
            faults.required("\(path).items", "must have a schema if x-kubernetes-list-type is map")
            return
        }
        if items["type"] != "object" {
            faults.invalid(
                "\(path).items.type", items["type"] ?? "",
                "must be object if parent array's x-kubernetes-list-type is map")
        }
        var seen: Set<JSON> = []
        for key in keys {
            let name = key.string ?? ""
            guard let property = items["properties"]?[name] else {
                faults.invalid("\(path).\(field)", .array(keys), "entries must all be names of item properties")
                return
            }
            let place = "\(path).items.properties[\(name)]"
            if ["array", "object"].contains(property["type"]?.string ?? "") {
                faults.invalid(
                    "\(place).type", property["type"] ?? "",
                    "must be a scalar type if parent array's x-kubernetes-list-type is map")
            }
            let isRequired = items["required"]?.array?.contains(key) ?? false
            if property["default"] == nil, !isRequired {
                faults.required(
                    "\(place).default",
                    "this property is in \(field), so it must have a default or be a required property")
            }
            if !seen.insert(key).inserted {
                faults.invalid("\(path).\(field)", .array(keys), "must not contain duplicate entries")
            }
        }
    }

    // MARK: Values

    /// What the list of alternatives that stands for `x-kubernetes-int-or-string` may say beside the extension.
    private enum Pattern { case none, anyOf, firstOfAllOf }

    private static func intOrStringPattern(_ schema: JSON) -> Pattern {
        guard schema["x-kubernetes-int-or-string"]?.bool == true else { return .none }
        let pattern: JSON = [["type": "integer"], ["type": "string"]]
        if schema["anyOf"] == pattern { return .anyOf }
        return schema["allOf"]?[0]?["anyOf"] == pattern ? .firstOfAllOf : .none
    }

    private mutating func checkValues(_ schema: JSON, skipping pattern: Pattern, at path: String) {
        if let text = schema["pattern"]?.string, !text.isEmpty {
            do { _ = try RegularExpression(text) } catch {
                faults.invalid(
                    "\(path).pattern", .string(text),
                    "must be a valid regular expression, but isn't: \(error.description)")
            }
        }
        for field in ["allOf", "anyOf", "oneOf"] where !(field == "anyOf" && pattern == .anyOf) {
            for (index, nested) in (schema[field]?.array ?? []).enumerated() {
                let skips = field == "allOf" && index == 0 && pattern == .firstOfAllOf
                checkNested(nested, skipping: skips ? .anyOf : .none, at: "\(path).\(field)[\(index)]")
            }
        }
        if let not = schema["not"] { checkNested(not, skipping: .none, at: "\(path).not") }
    }

    private static let forbiddenInside: [(field: String, why: String)] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"), ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"), ("nullable", "must be false to be structural"),
        ("externalDocs", "must be undefined to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ]

    private mutating func checkNested(_ schema: JSON, skipping pattern: Pattern, at path: String) {
        for (field, why) in Self.forbiddenInside {
            guard let value = schema[field], value != "", value != false, value != [] else { continue }
            faults.forbidden("\(path).\(field)", why)
        }
        if let items = schema["items"] { checkNested(items, skipping: .none, at: "\(path).items") }
        for (name, member) in schema["properties"]?.object ?? [:] {
            checkNested(member, skipping: .none, at: "\(path).properties[\(name)]")
        }
        if schema["properties"]?["metadata"] != nil {
            faults.forbidden("\(path).properties[metadata]", "must not be specified in a nested context")
        }
        checkValues(schema, skipping: pattern, at: path)
    }

    /// Every field that an alternative names is named outside, too.
    private mutating func checkComplete(_ schema: JSON, at path: String) {
        for field in ["allOf", "anyOf", "oneOf"] {
            for (index, nested) in (schema[field]?.array ?? []).enumerated() {
                checkComplete(nested, in: schema, at: path, definedAt: "\(path).\(field)[\(index)]")
            }
        }
        if let not = schema["not"] { checkComplete(not, in: schema, at: path, definedAt: "\(path).not") }
        if let items = schema["items"] { checkComplete(items, at: "\(path).items") }
        for (name, member) in schema["properties"]?.object ?? [:] {
            checkComplete(member, at: "\(path).properties[\(name)]")
        }
        if let additional = schema["additionalProperties"], additional.object != nil {
            checkComplete(additional, at: "\(path).additionalProperties")
        }
    }

    private mutating func checkComplete(
        _ nested: JSON, in schema: JSON?, at path: String, definedAt place: String
    ) {
        if let items = nested["items"] {
            if schema?["items"] == nil {
                faults.required("\(path).items", "because it is defined in \(place).items")
            } else {
                checkComplete(items, in: schema?["items"], at: "\(path).items", definedAt: "\(place).items")
            }
        }
        for (name, member) in nested["properties"]?.object ?? [:] {
            let field = "properties[\(name)]"
            if let known = schema?["properties"]?[name] {
                checkComplete(member, in: known, at: "\(path).\(field)", definedAt: "\(place).\(field)")
            } else {
                faults.required("\(path).\(field)", "because it is defined in \(place).\(field)")
            }
        }
        for field in ["allOf", "anyOf", "oneOf"] {
            for (index, inner) in (nested[field]?.array ?? []).enumerated() {
                checkComplete(inner, in: schema, at: path, definedAt: "\(place).\(field)[\(index)]")
            }
        }
        if let not = nested["not"] { checkComplete(not, in: schema, at: path, definedAt: "\(place).not") }
    }

    // MARK: Defaults

    /// A default must be what the schema allows.
    private static func checkDefaults(_ schema: JSON, at path: String, isRoot: Bool, _ faults: inout Faults) {
        if var value = schema["default"] {
            if isRoot { faults.forbidden("\(path).default", "must not be set at the root") }
            let form = StructuralSchema(schema)
            form.fillDefaults(of: &value)
            for fault in StructuralValidator.faults(of: value, form) {
                let place = fault.field == "<nil>" ? "\(path).default" : "\(path).default.\(fault.field)"
                faults.add([FieldError(fault.reason, field: place, message: fault.message)])
            }
            var unknown: [String] = []
            _ = form.pruned(value, isRoot: false, unknown: &unknown)
            if let first = unknown.first {
                faults.invalid("\(path).default", value, "must not have unknown fields: \(first)")
            }
        }
        if let items = schema["items"] { checkDefaults(items, at: "\(path).items", isRoot: false, &faults) }
        for (name, member) in schema["properties"]?.object ?? [:] {
            checkDefaults(member, at: "\(path).properties[\(name)]", isRoot: false, &faults)
        }
        if let additional = schema["additionalProperties"], additional.object != nil {
            checkDefaults(additional, at: "\(path).additionalProperties", isRoot: false, &faults)
        }
    }
}
