internal import MartletObject

/// The `paths` of an OpenAPI v3 document: which verbs there are, and which query parameters they read. kubectl looks
/// here before it leaves the checking of fields to the server.
struct OpenAPIPaths: Sendable {
    let kinds: [ResourceKind]

    /// `document` with the paths of a group and version, unless it has some; a document of paths alone when nil.
    func complete(_ document: JSON?, group: String, version: String) -> JSON {
        var document =
            document ?? ["openapi": "3.0.0", "info": ["title": "Kubernetes", "version": .string(version)]]
        guard (document["paths"]?.members ?? []).isEmpty else { return document }
        var paths: JSON = [:]
        for kind in kinds where kind.group == group && kind.version == version {
            let namespace = kind.isNamespaced ? "{namespace}" : nil
            paths[kind.path(namespace: namespace)] = operations(kind, ["get": "list", "post": "post"], named: false)
            paths[kind.path(namespace: namespace, name: "{name}")] = operations(
                kind, ["delete": "delete", "get": "get", "patch": "patch", "put": "put"], named: true)
        }
        document["paths"] = paths
        return document
    }

    private func operations(_ kind: ResourceKind, _ actions: [String: String], named: Bool) -> JSON {
        var item: JSON = [:]
        for (method, action) in actions.sorted(by: { $0.key < $1.key }) {
            var operation: JSON = [
                "operationId": .string("\(action)\(kind.group)\(kind.version)\(kind.kind)"),
                "parameters": .array(Self.query(of: action).map { Self.parameter($0, "query") }),
                "responses": ["200": ["description": "OK"], "401": ["description": "Unauthorized"]],
                "x-kubernetes-action": .string(action),
                "x-kubernetes-group-version-kind": [
                    "group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind),
                ],
            ]
            if action == "post" || action == "put" || action == "patch" {
                operation["requestBody"] = ["content": ["*/*": ["schema": ["type": "object"]]]]
            }
            item[method] = operation
        }
        var parameters: [JSON] = []
        if named { parameters.append(Self.parameter("name", "path")) }
        if kind.isNamespaced { parameters.append(Self.parameter("namespace", "path")) }
        if !parameters.isEmpty { item["parameters"] = .array(parameters) }
        return item
    }

    private static func query(of action: String) -> [String] {
        switch action {
        case "list":
            [
                "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty",
                "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
            ]
        case "delete": ["dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy"]
        case "post", "put", "patch": ["dryRun", "fieldManager", "fieldValidation", "pretty"]
        default: ["pretty"]
        }
    }

    private static func parameter(_ name: String, _ place: String) -> JSON {
        var parameter: JSON = ["name": .string(name), "in": .string(place), "schema": ["type": "string"]]
        if place == "path" { parameter["required"] = true }
        return parameter
    }
}
