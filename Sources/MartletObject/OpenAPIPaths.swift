internal import OrderedCollections

/// The paths of the OpenAPI documents: what may be done where, named as Kubernetes names it. kubectl looks up there
/// what a kind can do (`--dry-run=server`, `--validate`).
extension OpenAPIBuilder {
    /// One operation.
    private struct Operation {
        var kind: ResourceKind
        /// `list`, `post`, `get`, ...: `x-kubernetes-action`.
        var action: String
        /// The HTTP method, in lower case.
        var method: String
        var path: String
        var subresource: Subresource?
    }

    mutating func paths(of kinds: [ResourceKind]) -> JSON {
        var paths: [(String, JSON)] = []
        for kind in kinds {
            let root = kind.group.isEmpty ? "/api/\(kind.version)" : "/apis/\(kind.group)/\(kind.version)"
            let collection =
                kind.isNamespaced ? "\(root)/namespaces/{namespace}/\(kind.plural)" : "\(root)/\(kind.plural)"
            let object = "\(collection)/{name}"
            if kind.isNamespaced { add(kind, [("list", "get")], at: "\(root)/\(kind.plural)", to: &paths) }
            add(
                kind, [("list", "get"), ("post", "post"), ("deletecollection", "delete")], at: collection, to: &paths)
            add(
                kind, [("get", "get"), ("put", "put"), ("delete", "delete"), ("patch", "patch")], at: object,
                to: &paths)
            for subresource in kind.subresources.compactMap({ Subresource.table[$0] }) {
                add(kind, subresource, at: "\(object)/\(subresource.name)", to: &paths)
                if subresource.name == "proxy" {
                    add(kind, subresource, at: "\(object)/proxy/{path}", to: &paths)
                }
            }
        }
        paths.sort { $0.0 < $1.0 }
        return .object(JSON.Members(OrderedDictionary(paths, uniquingKeysWith: { first, _ in first })))
    }

    /// The verb that allows an action.
    private static let verbs = [
        "list": "list", "post": "create", "deletecollection": "deletecollection", "get": "get", "put": "update",
        "delete": "delete", "patch": "patch",
    ]
    /// Subresources that are not asked but connected to.
    private static let connections: Set<String> = ["exec", "attach", "portforward", "proxy"]

    private mutating func add(
        _ kind: ResourceKind, _ actions: [(String, String)], at path: String, to paths: inout [(String, JSON)]
    ) {
        let allowed = actions.filter { kind.verbs.contains(Self.verbs[$0.0] ?? "") }
        if allowed.isEmpty { return }
        let operations = allowed.map { Operation(kind: kind, action: $0.0, method: $0.1, path: path) }
        paths.append((path, item(operations, at: path)))
    }

    private mutating func add(
        _ kind: ResourceKind, _ subresource: Subresource, at path: String, to paths: inout [(String, JSON)]
    ) {
        let methods = ["get": "get", "update": "put", "patch": "patch", "create": "post", "delete": "delete"]
        let operations = subresource.verbs.compactMap { methods[$0] }.map { method in
            let action = Self.connections.contains(subresource.name) ? "connect" : method
            return Operation(kind: kind, action: action, method: method, path: path, subresource: subresource)
        }
        paths.append((path, item(operations, at: path)))
    }

    private mutating func item(_ operations: [Operation], at path: String) -> JSON {
        var item: JSON = [:]
        for one in operations { item[one.method] = operation(one) }
        let places = ["name", "namespace", "path"].filter { path.contains("{\($0)}") }
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
        "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ]
    private static let listQueries = [
        ("allowWatchBookmarks", "boolean"), ("continue", "string"), ("fieldSelector", "string"),
        ("labelSelector", "string"), ("limit", "integer"), ("resourceVersion", "string"),
        ("resourceVersionMatch", "string"), ("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer"),
        ("watch", "boolean"),
    ]
    private static let writeQueries = [
        ("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"),
    ]
    private static let deleteQueries = [
        ("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("orphanDependents", "boolean"),
        ("propagationPolicy", "string"),
    ]
    private static let queries: [String: [(String, String)]] = [
        "list": listQueries, "post": writeQueries, "put": writeQueries,
        "patch": writeQueries + [("force", "boolean")], "delete": deleteQueries,
        "deletecollection": deleteQueries + listQueries.filter { $0.0 != "watch" && $0.0 != "allowWatchBookmarks" },
        "get": [("resourceVersion", "string")], "connect": [],
    ]

    /// `core_v1`, `rbacAuthorization_v1`.
    private static func tag(_ kind: ResourceKind) -> String {
        var group = kind.group.isEmpty ? "core" : kind.group
        if group.hasSuffix(".k8s.io") { group = String(group.dropLast(".k8s.io".count)) }
        let parts = group.split(separator: ".").map(String.init)
        return (parts.first ?? "") + parts.dropFirst().map(capitalized).joined() + "_\(kind.version)"
    }

    private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    /// `listCoreV1NamespacedPod`, `replaceAppsV1NamespacedDeploymentStatus`.
    private static func identifier(_ operation: Operation) -> String {
        let words = ["list": "list", "post": "create", "get": "read", "put": "replace", "deletecollection": "delete"]
        var text = words[operation.action] ?? operation.action
        text += tag(operation.kind).split(separator: "_").map { capitalized(String($0)) }.joined()
        if operation.action == "connect" { text += capitalized(operation.method) }
        if operation.action == "deletecollection" { text += "Collection" }
        let isNamespaced = operation.path.contains("{namespace}")
        if isNamespaced { text += "Namespaced" }
        text += operation.kind.kind
        if let name = operation.subresource?.name { text += capitalized(name) }
        if operation.path.hasSuffix("{path}") { text += "WithPath" }
        if operation.kind.isNamespaced && !isNamespaced { text += "ForAllNamespaces" }
        return text
    }

    private mutating func operation(_ operation: Operation) -> JSON {
        let (kind, action) = (operation.kind, operation.action)
        let subresource = operation.subresource
        var version = kind.apiVersion
        if let group = subresource?.group {
            version = (group.isEmpty ? "" : "\(group)/") + (subresource?.version ?? kind.version)
        }
        let name = subresource?.kind(of: kind) ?? kind.kind
        var result: JSON = [
            "tags": [.string(Self.tag(kind))], "operationId": .string(Self.identifier(operation)),
            "x-kubernetes-action": .string(action),
            "x-kubernetes-group-version-kind": groupVersionKind(version, name),
        ]
        var parameters = (Self.queries[action] ?? []).map { parameter($0.0, in: "query", type: $0.1) }
        let isText = action == "connect" || subresource?.name == "log"
        let own = subresource?.kind == nil
        let object: JSON = isText ? ["type": "string"] : own ? schema(of: kind) : schema(kind: name, in: version)
        let body: JSON? =
            switch action {
            case "post", "put": object
            case "patch": reference(Self.patch)
            case "delete", "deletecollection": schema(kind: "DeleteOptions", in: "meta/v1")
            default: nil
            }
        let produced = isText ? ["text/plain"] : ["application/json", "application/yaml"]
        let patchTypes = Self.patchTypes.filter { kind.custom == nil || $0 != PatchType.strategic.rawValue }
        let accepted = action == "patch" ? patchTypes : ["application/json", "application/yaml"]
        switch form {
        case .v2:
            let isRequired = !action.hasPrefix("delete")
            if let body {
                var parameter: JSON = ["name": "body", "in": "body", "schema": body]
                if isRequired { parameter["required"] = true }
                parameters.append(parameter)
            }
            result["consumes"] = .array(accepted.map(JSON.string))
            result["produces"] = .array(produced.map(JSON.string))
        case .v3:
            if let body { result["requestBody"] = ["content": content(accepted, body)] }
        }
        result["parameters"] = .array(parameters)
        result["responses"] = responses(action, object, kind, produced)
        return result
    }

    /// Kinds whose deletion answers with the object, and not with a Status.
    static let returningDeleted: Set<ResourceKind> = [
        .pod, .podTemplate, .service, .serviceAccount, .persistentVolume, .persistentVolumeClaim, .resourceQuota,
        .storageClass, .volumeAttachment, .csiDriver, .csiNode, .volumeAttributesClass,
    ]

    private mutating func responses(
        _ action: String, _ object: JSON, _ kind: ResourceKind, _ produced: [String]
    ) -> JSON {
        let answer =
            switch action {
            case "list": schema(of: kind, isList: true)
            case "delete" where Self.returningDeleted.contains(kind): object
            case "delete", "deletecollection": schema(kind: "Status", in: "meta/v1")
            default: object
            }
        let codes: [(String, String)] =
            switch action {
            case "post": [("200", "OK"), ("201", "Created"), ("202", "Accepted")]
            case "put", "patch": [("200", "OK"), ("201", "Created")]
            case "delete": [("200", "OK"), ("202", "Accepted")]
            default: [("200", "OK")]
            }
        var responses: JSON = [:]
        for (code, about) in codes {
            var response: JSON = ["description": .string(about)]
            switch form {
            case .v2: response["schema"] = answer
            case .v3: response["content"] = content(produced, answer)
            }
            responses[code] = response
        }
        responses["401"] = ["description": "Unauthorized"]
        return responses
    }

    private func content(_ types: [String], _ schema: JSON) -> JSON {
        .object(JSON.Members(unique: types.map { ($0, ["schema": schema]) }))
    }
}
