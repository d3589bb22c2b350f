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

    private static let info: JSON = ["title": "Kubernetes", "version": "v1.36.0"]
}

/// Makes paths, and the definitions that they refer to.
private struct OpenAPIBuilder {
    enum Form { case v2, v3 }

    let form: Form
    private let tables = SchemaTables.all
    /// The types to define, in the order they were met; those before ``done`` are defined.
    private var wanted: OrderedSet<Int> = []
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
        for name in scalars { result.append((name, Self.scalarDefinitions[name] ?? ["type": "object"])) }
        result.append((Self.patch, ["type": "object", "description": "A patch in one of the forms of PATCH."]))
        result.sort { $0.0 < $1.0 }
        return .object(OrderedDictionary(uniqueKeysWithValues: result))
    }

    private static let patch = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
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

    private mutating func definition(of type: SchemaType) -> JSON {
        var properties: OrderedDictionary<String, JSON> = [:]
        for field in type.fields { properties[field.name] = property(field) }
        var schema: JSON = ["type": "object", "description": .string("\(type.name), \(type.groupVersion)")]
        let required = type.fields.filter(\.isRequired).map { JSON.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        schema["properties"] = .object(properties)
        if type.isKind, type.groupVersion != "meta/v1" {
            schema["x-kubernetes-group-version-kind"] = [groupVersionKind(type.groupVersion, type.name)]
        }
        return schema
    }

    private func groupVersionKind(_ groupVersion: String, _ kind: String) -> JSON {
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

    private mutating func reference(_ name: String) -> JSON {
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
            case .alias(let target): return schema(target)
            case .choice(let values): return ["type": "string", "enum": .array(values.map(JSON.string))]
            }
        }
    }

    private mutating func schema(kind: String, in groupVersion: String) -> JSON {
        guard let place = tables.place(of: kind, in: groupVersion) else { return ["type": "object"] }
        return schema(.named(place))
    }

    // MARK: Paths

    mutating func paths(of kinds: [ResourceKind]) -> JSON {
        var paths: [(String, JSON)] = []
        for kind in kinds {
            let root = kind.group.isEmpty ? "/api/\(kind.version)" : "/apis/\(kind.group)/\(kind.version)"
            let collection =
                kind.isNamespaced ? "\(root)/namespaces/{namespace}/\(kind.plural)" : "\(root)/\(kind.plural)"
            if kind.isNamespaced { paths.append(("\(root)/\(kind.plural)", item(kind, ["list"], at: "/"))) }
            paths.append((collection, item(kind, ["list", "post", "deletecollection"], at: collection)))
            paths.append(
                ("\(collection)/{name}", item(kind, ["get", "put", "delete", "patch"], at: "\(collection)/{name}")))
            for subresource in kind.subresources where subresource == "status" || subresource == "scale" {
                let path = "\(collection)/{name}/\(subresource)"
                paths.append((path, item(kind, ["get", "put", "patch"], at: path, subresource: subresource)))
            }
        }
        paths.sort { $0.0 < $1.0 }
        return .object(OrderedDictionary(uniqueKeysWithValues: paths))
    }

    private mutating func item(_ kind: ResourceKind, _ actions: [String], at path: String, subresource: String = "")
        -> JSON
    {
        var item: JSON = [:]
        for action in actions {
            let verb = ["list": "get", "deletecollection": "delete"][action] ?? action
            item[verb] = operation(kind, action, at: path, subresource: subresource)
        }
        let places = ["name", "namespace"].filter { path.contains("{\($0)}") }
        let parameters = places.map { parameter($0, in: "path", isRequired: true) }
        if !parameters.isEmpty { item["parameters"] = .array(parameters) }
        return item
    }

    private func parameter(_ name: String, in place: String, type: String = "string", isRequired: Bool = false) -> JSON
    {
        var parameter: JSON = ["name": .string(name), "in": .string(place)]
        if isRequired { parameter["required"] = true }
        switch form {
        case .v2: parameter["type"] = .string(type)
        case .v3: parameter["schema"] = ["type": .string(type)]
        }
        return parameter
    }

    private static let patchTypes = [
        "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    ]
    private static let queries: [String: [(String, String)]] = [
        "list": [
            ("continue", "string"), ("fieldSelector", "string"), ("labelSelector", "string"), ("limit", "integer"),
            ("resourceVersion", "string"), ("watch", "boolean"),
        ],
        "post": [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        "put": [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        "patch": [
            ("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean"),
        ],
        "delete": [("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("propagationPolicy", "string")],
        "deletecollection": [("fieldSelector", "string"), ("labelSelector", "string")],
        "get": [("resourceVersion", "string")],
    ]

    private mutating func operation(_ kind: ResourceKind, _ action: String, at path: String, subresource: String)
        -> JSON
    {
        let isScale = subresource == "scale"
        let version = isScale ? "autoscaling/v1" : kind.apiVersion
        let name = isScale ? "Scale" : kind.kind
        let group = (kind.group.isEmpty ? "core" : kind.group.split(separator: ".").first.map(String.init)) ?? ""
        let scope = path == "/" ? "ForAllNamespaces" : path.contains("{namespace}") ? "Namespaced" : ""
        let object = schema(kind: name, in: version)
        let answer = action == "list" ? schema(kind: name + "List", in: version) : object
        let status = schema(kind: "Status", in: "meta/v1")
        var operation: JSON = [
            "tags": [.string("\(group)_\(kind.version)")],
            "operationId": .string("\(action)_\(group)_\(kind.version)_\(scope)_\(kind.kind)_\(subresource)"),
            "x-kubernetes-action": .string(action),
            "x-kubernetes-group-version-kind": groupVersionKind(version, name),
        ]
        var parameters = (Self.queries[action] ?? []).map { parameter($0.0, in: "query", type: $0.1) }
        let body: JSON? =
            switch action {
            case "post", "put": object
            case "patch": reference(Self.patch)
            case "delete", "deletecollection": schema(kind: "DeleteOptions", in: "meta/v1")
            default: nil
            }
        let accepted = action == "patch" ? Self.patchTypes : ["application/json"]
        let responses = ["200": action.hasPrefix("delete") ? status : answer]
        switch form {
        case .v2:
            if let body { parameters.append(["name": "body", "in": "body", "required": true, "schema": body]) }
            operation["consumes"] = .array(accepted.map(JSON.string))
            operation["produces"] = ["application/json"]
        case .v3:
            if let body { operation["requestBody"] = ["content": content(accepted, body)] }
        }
        operation["parameters"] = .array(parameters)
        for (code, schema) in responses {
            let described: JSON = ["description": "OK"]
            operation["responses", code] = described
            switch form {
            case .v2: operation["responses", code, "schema"] = schema
            case .v3: operation["responses", code, "content"] = content(["application/json"], schema)
            }
        }
        return operation
    }

    private func content(_ types: [String], _ schema: JSON) -> JSON {
        .object(OrderedDictionary(uniqueKeysWithValues: types.map { ($0, ["schema": schema]) }))
    }
}
