extension OpenAPIBuilder {
    /// A reference to the form of a kind's objects, or lists of them.
    mutating func schema(of kind: ResourceKind, isList: Bool = false) -> JSON {
        guard let custom = kind.custom else {
            return schema(kind: kind.kind + (isList ? "List" : ""), in: kind.apiVersion)
        }
        let package = kind.group.split(separator: ".").reversed().joined(separator: ".")
        let name = "\(package).\(kind.version).\(kind.kind)"
        if self.custom[name] == nil {
            self.custom[name] = definition(of: kind, custom)
            self.custom["\(name)List"] = listDefinition(of: kind, item: reference(name))
        }
        return reference(isList ? "\(name)List" : name)
    }

    private mutating func definition(of kind: ResourceKind, _ custom: CustomKind) -> JSON {
        var schema = published(custom.document)
        schema["type"] = "object"
        schema["properties", "apiVersion"] = [
            "type": "string", "description": "The version of the form that the object has.",
        ]
        schema["properties", "kind"] = ["type": "string", "description": "What the object is."]
        schema["properties", "metadata"] = metadata("ObjectMeta")
        schema["x-kubernetes-group-version-kind"] = [groupVersionKind(kind.apiVersion, kind.kind)]
        return schema
    }

    private mutating func listDefinition(of kind: ResourceKind, item: JSON) -> JSON {
        [
            "type": "object", "description": .string("\(kind.kind)List, \(kind.apiVersion)"), "required": ["items"],
            "properties": [
                "apiVersion": ["type": "string"], "kind": ["type": "string"],
                "items": ["type": "array", "items": item], "metadata": metadata("ListMeta"),
            ],
            "x-kubernetes-group-version-kind": [groupVersionKind(kind.apiVersion, "\(kind.kind)List")],
        ]
    }

    private mutating func metadata(_ type: String) -> JSON {
        let known = schema(type: type, in: "meta/v1")
        return form == .v3 ? ["allOf": [known], "description": "The name, and what holds for every object."] : known
    }

    /// A schema as the document's form can say it: the second version knows neither alternatives nor null.
    private func published(_ schema: JSON) -> JSON {
        guard form == .v2, case .object(var members) = schema else { return schema }
        for name in ["oneOf", "anyOf", "allOf", "not", "default", "example"] { members[name] = nil }
        let isOpen = members["nullable"] == true || members["x-kubernetes-preserve-unknown-fields"] == true
        members["nullable"] = nil
        if isOpen { for name in ["type", "items", "properties", "additionalProperties"] { members[name] = nil } }
        if case .object(var properties) = members["properties"] {
            for name in properties.keys { properties[name] = properties[name].map(published) }
            members["properties"] = .object(properties)
        }
        for name in ["items", "additionalProperties"] { members[name] = members[name].map(published) }
        return .object(members)
    }
}
