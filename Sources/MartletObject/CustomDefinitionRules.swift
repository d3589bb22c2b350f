/// What holds for CustomResourceDefinitions, with upstream's words.
enum CustomDefinitionRules {
    private static let columnTypes = ["boolean", "date", "integer", "number", "string"]

    @Sendable static func check(_ definition: JSON, _ faults: inout Faults) {
        let spec = definition["spec"] ?? [:]
        let group = spec["group"]?.string ?? ""
        let wanted = "\(spec["names", "plural"]?.string ?? "").\(group)"
        if definition.name != wanted {
            faults.invalid("metadata.name", .string(definition.name), "must be spec.names.plural+\".\"+spec.group")
        }
        checkGroup(definition, group, &faults)
        switch spec["scope"]?.string ?? "" {
        case "": faults.required("spec.scope")
        case "Cluster", "Namespaced": break
        default: faults.notSupported("spec.scope", spec["scope"] ?? "", ["Cluster", "Namespaced"])
        }
        checkNames("spec.names", spec["names"] ?? [:], &faults)
        checkVersions(spec, &faults)
        checkConversion(spec, &faults)
        if spec["preserveUnknownFields"]?.bool == true {
            faults.invalid(
                "spec.preserveUnknownFields", true,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema "
                    + "instead")
        }
        checkStored(definition, &faults)
    }

    @Sendable static func checkChange(_ definition: JSON, _ old: JSON, _ faults: inout Faults) {
        if CustomDefinition.condition("Established", of: old) {
            faults.immutable("spec.scope", definition["spec", "scope"], old["spec", "scope"])
            faults.immutable("spec.names.kind", definition["spec", "names", "kind"], old["spec", "names", "kind"])
        }
        faults.immutable("spec.group", definition["spec", "group"], old["spec", "group"])
        faults.immutable("spec.names.plural", definition["spec", "names", "plural"], old["spec", "names", "plural"])
    }

    private static func checkGroup(_ definition: JSON, _ group: String, _ faults: inout Faults) {
        if group.isEmpty {
            faults.required("spec.group")
        } else if let fault = Names.subdomainFault(group) {
            faults.invalid("spec.group", .string(group), fault)
        } else if !group.contains(".") {
            faults.invalid("spec.group", .string(group), "should be a domain with at least one dot")
        }
        let isProtected = ["k8s.io", "kubernetes.io"].contains { group == $0 || group.hasSuffix(".\($0)") }
        let approval = definition.annotations["api-approved.kubernetes.io"] ?? ""
        if isProtected, approval.isEmpty {
            faults.required(
                "metadata.annotations[api-approved.kubernetes.io]",
                "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
                    + "https://github.com/kubernetes/enhancements/pull/1111")
        }
    }

    private static func checkNames(_ path: String, _ names: JSON, _ faults: inout Faults) {
        for field in ["plural", "singular", "kind", "listKind"] {
            let text = names[field]?.string ?? ""
            if text.isEmpty {
                faults.required("\(path).\(field)")
                continue
            }
            let mayMixCase = field.lowercased().hasSuffix("kind")
            if let fault = Names.dns1035LabelFault(mayMixCase ? text.lowercased() : text) {
                let start = mayMixCase ? "may have mixed case, but should otherwise match: " : ""
                faults.invalid("\(path).\(field)", .string(text), start + fault)
            }
        }
        for field in ["shortNames", "categories"] {
            for (index, name) in (names[field]?.array ?? []).enumerated() {
                faults.name("\(path).\(field)[\(index)]", name.string ?? "", Names.dns1035LabelFault)
            }
        }
        if let kind = names["kind"], kind != "", kind == names["listKind"] {
            faults.invalid("\(path).listKind", kind, "kind and listKind may not be the same")
        }
    }

    private static func checkVersions(_ spec: JSON, _ faults: inout Faults) {
        let versions = spec["versions"]?.array ?? []
        let shown = JSON.array(versions.map { $0["name"] ?? "" })
        var names: Set<String> = []
        var isUnique = true
        for (index, version) in versions.enumerated() {
            let path = "spec.versions[\(index)]"
            let name = version["name"]?.string ?? ""
            if !names.insert(name).inserted { isUnique = false }
            faults.name("\(path).name", name, Names.dns1035LabelFault)
            checkVersion(path, version, &faults)
        }
        if !isUnique { faults.invalid("spec.versions", shown, "must contain unique version names") }
        if versions.count(where: { $0["storage"]?.bool == true }) != 1 {
            faults.invalid("spec.versions", shown, "must have exactly one version marked as storage version")
        }
    }

    private static func checkVersion(_ path: String, _ version: JSON, _ faults: inout Faults) {
        if let warning = version["deprecationWarning"]?.string {
            let field = "\(path).deprecationWarning"
            if version["deprecated"]?.bool != true {
                faults.invalid(field, .string(warning), "can only be set for deprecated versions")
            }
            if warning.isEmpty || warning.utf8.count > 256 {
                faults.invalid(field, .string(warning), "must have 1 to 256 bytes")
            }
        }
        if let schema = version["schema", "openAPIV3Schema"] {
            CustomSchemaRules.check(schema, at: "\(path).schema.openAPIV3Schema", &faults)
        } else {
            faults.required("\(path).schema.openAPIV3Schema", "schemas are required")
        }
        checkScale("\(path).subresources.scale", version["subresources", "scale"], &faults)
        checkColumns("\(path).additionalPrinterColumns", version["additionalPrinterColumns"], &faults)
        checkSelectable("\(path).selectableFields", version, &faults)
    }

    private static func isSimplePath(_ path: String, below roots: [String]) -> Bool {
        guard let expression = try? RegularExpression("^(\\.[a-zA-Z_][-a-zA-Z0-9_]*)+$") else { return false }
        return expression.matches(path) && roots.contains { path.hasPrefix("\($0).") }
    }

    private static func checkScale(_ path: String, _ scale: JSON?, _ faults: inout Faults) {
        guard let scale else { return }
        for (field, roots) in [("specReplicasPath", [".spec"]), ("statusReplicasPath", [".status"])] {
            let text = scale[field]?.string ?? ""
            if text.isEmpty {
                faults.required("\(path).\(field)")
            } else if !isSimplePath(text, below: roots) {
                faults.invalid("\(path).\(field)", .string(text), "should be a json path under \(roots[0])")
            }
        }
        if let text = scale["labelSelectorPath"]?.string, !text.isEmpty,
            !isSimplePath(text, below: [".spec", ".status"])
        {
            faults.invalid(
                "\(path).labelSelectorPath", .string(text), "should be a json path under either .spec or .status")
        }
    }

    private static func checkColumns(_ path: String, _ columns: JSON?, _ faults: inout Faults) {
        for (index, column) in (columns?.array ?? []).enumerated() {
            let path = "\(path)[\(index)]"
            if (column["name"]?.string ?? "").isEmpty { faults.required("\(path).name") }
            let type = column["type"]?.string ?? ""
            if type.isEmpty {
                faults.required("\(path).type", "must be one of \(columnTypes.joined(separator: ","))")
            } else if !columnTypes.contains(type) {
                faults.invalid(
                    "\(path).type", .string(type), "must be one of \(columnTypes.joined(separator: ","))")
            }
            let text = column["jsonPath"]?.string ?? ""
            if text.isEmpty {
                faults.required("\(path).jsonPath")
            } else if JSONPath(text) == nil {
                faults.invalid("\(path).jsonPath", .string(text), "is no JSONPath that is known here")
            }
        }
    }

    private static func checkSelectable(_ path: String, _ version: JSON, _ faults: inout Faults) {
        let fields = version["selectableFields"]?.array ?? []
        if fields.count > 8 { faults.tooMany(path, fields.count, most: 8) }
        var seen: Set<String> = []
        for (index, field) in fields.enumerated() {
            let text = field["jsonPath"]?.string ?? ""
            let place = "\(path)[\(index)].jsonPath"
            if text.isEmpty {
                faults.required(place)
                continue
            }
            if !seen.insert(text).inserted { faults.duplicate(place, .string(text)) }
            var schema = version["schema", "openAPIV3Schema"]
            for step in text.split(separator: ".") { schema = schema?["properties"]?[String(step)] }
            let type = schema?["type"]?.string ?? ""
            if text.hasPrefix(".metadata") {
                faults.invalid(place, .string(text), "must not point to fields in metadata")
            } else if !["string", "boolean", "integer"].contains(type) {
                faults.invalid(
                    place, .string(text), "must point to a field of type string, boolean or integer in the schema")
            }
        }
    }

    /// Objects are never sent to a webhook here; with one version there is nothing to convert.
    private static func checkConversion(_ spec: JSON, _ faults: inout Faults) {
        switch spec["conversion", "strategy"]?.string ?? "" {
        case "": if spec["conversion"] != nil { faults.required("spec.conversion.strategy") }
        case "None":
            if spec["conversion", "webhook"] != nil {
                faults.forbidden("spec.conversion.webhook", "should not be set when strategy is not set to Webhook")
            }
        case "Webhook":
            if spec["versions"]?.array?.count != 1 {
                faults.forbidden(
                    "spec.conversion.strategy",
                    "conversion by webhook is not served: use None, and versions that differ in apiVersion only")
            }
        default: faults.notSupported("spec.conversion.strategy", spec["conversion", "strategy"] ?? "", ["None"])
        }
    }

    private static func checkStored(_ definition: JSON, _ faults: inout Faults) {
        let names = (definition["spec", "versions"]?.array ?? []).map { $0["name"] }
        guard let stored = definition["status", "storedVersions"]?.array else { return }
        for (index, version) in stored.enumerated() where !names.contains(version) {
            faults.invalid("status.storedVersions[\(index)]", version, "must appear in spec.versions")
        }
    }
}
