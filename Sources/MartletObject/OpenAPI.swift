internal import MartletBase
internal import OrderedCollections

/// The OpenAPI documents, made from the tables.
public enum OpenAPI {
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION`; nil when the group is not served.
    public static func v3(
        _ catalog: KindCatalog = .builtIn, group: String, version: String
    ) -> JSON? {
        let kinds = catalog.kinds.filter { $0.group == group && $0.version == version }
        if kinds.isEmpty { return nil }
        var builder = OpenAPIBuilder(form: .v3)
        let paths = builder.paths(of: kinds)
        return [
            "openapi": "3.0.0", "info": info, "paths": paths, "components": ["schemas": builder.definitions()],
        ]
    }

    /// `/openapi/v2`
    public static func v2(_ catalog: KindCatalog = .builtIn) -> JSON {
        var builder = OpenAPIBuilder(form: .v2)
        let paths = builder.paths(of: catalog.kinds)
        return ["swagger": "2.0", "info": info, "paths": paths, "definitions": builder.definitions()]
    }

    private static let info: JSON = ["title": "Kubernetes", "version": .string(MartletVersion.kubernetes)]
}

/// Makes paths, and the definitions that they refer to.
struct OpenAPIBuilder {
    enum Form { case v2, v3 }

    let form: Form
    private let tables = SchemaTables.all
    /// The types to define, in the order they were met; those before ``done`` are defined.
    private var wanted: OrderedSet<Int> = []
    /// Definitions of custom kinds, by name.
    var custom: JSON.Members = [:]
    private var scalars: OrderedSet<String> = []

    init(form: Form) { self.form = form }

    // MARK: Definitions

    /// All types that were referred to, and those that they refer to.
    mutating func definitions() -> JSON {
        var result: [(String, JSON)] = []
        var done = 0
        while done < wanted.count {
            let type = tables.types[wanted[done]]
            done += 1
            result.append(("\(type.package).\(type.name)", definition(of: type)))
        }
        for (name, definition) in custom { result.append((name, definition)) }
        for name in scalars { result.append((name, scalarDefinition(name))) }
        result.append((Self.patch, ["type": "object", "description": "A patch in one of the forms of PATCH."]))
        result.sort { $0.0 < $1.0 }
        return .object(JSON.Members(unique: result))
    }

    static let patch = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
    private static let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    private static let intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    private static let time = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
    private static let microTime = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
    private static let raw = "io.k8s.apimachinery.pkg.runtime.RawExtension"
    private static let scalarDefinitions: [String: JSON] = [
        quantity: ["type": "string", "description": "An amount with a suffix: 500m, 1Gi."],
        intOrString: ["type": "string", "format": "int-or-string", "description": "A number, or text."],
        time: ["type": "string", "format": "date-time", "description": "A time in RFC 3339."],
        microTime: ["type": "string", "format": "date-time", "description": "A time in RFC 3339 with microseconds."],
        raw: ["type": "object", "description": "Any object."],
    ]
    /// What the newer form can say of them: either of two types.
    private static let alternatives: [String: JSON] = [
        quantity: [["type": "string"], ["type": "number"]],
        intOrString: [["type": "integer"], ["type": "string"]],
    ]

    private func scalarDefinition(_ name: String) -> JSON {
        var definition = Self.scalarDefinitions[name] ?? ["type": "object"]
        if form == .v3, let either = Self.alternatives[name] {
            definition["type"] = nil
            definition["oneOf"] = either
        }
        return definition
    }

    private mutating func definition(of type: SchemaType) -> JSON {
        var properties: JSON.Members = [:]
        for field in type.fields {
            var property = property(field)
            if let text = FieldTexts.text(of: field.name, in: type.name) { property["description"] = .string(text) }
            properties[field.name] = property
        }
        let about = FieldTexts.kinds[type.name] ?? "\(type.name) of \(type.groupVersion)."
        var schema: JSON = ["type": "object", "description": .string(about)]
        let required = type.fields.filter(\.isRequired).map { JSON.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        schema["properties"] = .object(properties)
        if type.isKind, type.groupVersion != "meta/v1" {
            schema["x-kubernetes-group-version-kind"] = [groupVersionKind(type.groupVersion, type.name)]
        }
        return schema
    }

    func groupVersionKind(_ groupVersion: String, _ kind: String) -> JSON {
        let parts = groupVersion.split(separator: "/").map(String.init)
        return [
            "group": .string(parts.count == 2 ? parts[0] : ""), "version": .string(parts.last ?? ""),
            "kind": .string(kind),
        ]
    }

    private mutating func property(_ field: SchemaField) -> JSON {
        var schema = schema(field.type)
        if schema["$ref"] != nil, form == .v3 { schema = ["allOf": [schema]] }
        if case .list = tables.resolved(field.type) {
            switch field.listKind {
            case .atomic: schema["x-kubernetes-list-type"] = "atomic"
            case .set: schema["x-kubernetes-list-type"] = "set"
            case .map(let keys):
                schema["x-kubernetes-list-map-keys"] = .array(keys.map(JSON.string))
                schema["x-kubernetes-list-type"] = "map"
            }
        }
        if field.isAtomicMap { schema["x-kubernetes-map-type"] = "atomic" }
        if let key = field.mergeKey { schema["x-kubernetes-patch-merge-key"] = .string(key) }
        let strategy = [field.merges ? "merge" : nil, field.retainsKeys ? "retainKeys" : nil].compactMap(\.self)
        if !strategy.isEmpty { schema["x-kubernetes-patch-strategy"] = .string(strategy.joined(separator: ",")) }
        return schema
    }

    mutating func reference(_ name: String) -> JSON {
        ["$ref": .string((form == .v2 ? "#/definitions/" : "#/components/schemas/") + name)]
    }

    private mutating func scalar(_ name: String) -> JSON {
        scalars.append(name)
        return reference(name)
    }

    private mutating func schema(_ type: FieldType) -> JSON {
        switch type {
        case .string: return ["type": "string"]
        case .bool: return ["type": "boolean"]
        case .int32: return ["type": "integer", "format": "int32"]
        case .int64: return ["type": "integer", "format": "int64"]
        case .double: return ["type": "number", "format": "double"]
        case .bytes: return ["type": "string", "format": "byte"]
        case .quantity: return scalar(Self.quantity)
        case .intOrString: return scalar(Self.intOrString)
        case .time: return scalar(Self.time)
        case .microTime: return scalar(Self.microTime)
        case .any: return scalar(Self.raw)
        case .list(let element): return ["type": "array", "items": schema(element)]
        case .map(let element): return ["type": "object", "additionalProperties": schema(element)]
        case .named(let place):
            let named = tables.types[place]
            switch named.form {
            case .structure:
                wanted.append(place)
                return reference("\(named.package).\(named.name)")
            // Unlike a field of any object, one with a name of its own for it takes any value.
            case .alias(.any): return ["description": "Any value."]
            case .alias(let target): return schema(target)
            case .choice(let values): return ["type": "string", "enum": .array(values.map(JSON.string))]
            }
        }
    }

    mutating func schema(type: String, in groupVersion: String) -> JSON {
        guard let place = tables.place(ofType: type, in: groupVersion) else { return ["type": "object"] }
        return schema(.named(place))
    }

    mutating func schema(kind: String, in groupVersion: String) -> JSON {
        guard let place = tables.place(of: kind, in: groupVersion) else { return ["type": "object"] }
        return schema(.named(place))
    }
}
