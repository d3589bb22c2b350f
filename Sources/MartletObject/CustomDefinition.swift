/// What follows from CustomResourceDefinitions (apiextensions.k8s.io/v1) beside the kinds that they make.
public enum CustomDefinition {
    /// The finalizer that holds a definition until all objects of its kind are gone.
    public static let cleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io"

    /// Whether a condition of that type is true.
    public static func condition(_ type: String, of definition: JSON) -> Bool {
        definition["status", "conditions"]?.array?.contains { $0["type"]?.string == type && $0["status"] == "True" }
            ?? false
    }

    /// Sets a condition; the time of its last change is kept while its status stays.
    public static func set(
        _ type: String, _ status: Bool, reason: String, message: String, of definition: inout JSON, now: String
    ) {
        var conditions = definition["status", "conditions"]?.array ?? []
        let place = conditions.firstIndex { $0["type"]?.string == type }
        let value: JSON = status ? "True" : "False"
        var condition: JSON = ["type": .string(type), "status": value]
        let old = place.map { conditions[$0] }
        condition["lastTransitionTime"] = old?["status"] == value ? old?["lastTransitionTime"] : .string(now)
        condition["reason"] = .string(reason)
        condition["message"] = .string(message)
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        definition["status", "conditions"] = .array(conditions)
    }

    /// What of a new or changed definition the server fills in: defaults, and the list of versions that objects may
    /// be stored in.
    static func fillDefaults(of definition: inout JSON) {
        guard definition["spec"]?.object != nil else { return }
        let kind = definition["spec", "names", "kind"]?.string ?? ""
        func fill(_ name: String, _ text: String) {
            let given = definition["spec", "names", name]?.string ?? ""
            if given.isEmpty, !kind.isEmpty { definition["spec", "names", name] = .string(text) }
        }
        fill("singular", kind.lowercased())
        fill("listKind", "\(kind)List")
        if definition["spec", "conversion"] == nil { definition["spec", "conversion"] = ["strategy": "None"] }
        if definition["spec", "conversion", "webhook", "clientConfig", "service"] != nil,
            definition["spec", "conversion", "webhook", "clientConfig", "service", "port"] == nil
        {
            definition["spec", "conversion", "webhook", "clientConfig", "service", "port"] = 443
        }
    }

    /// Notes the storage version among those that objects may be stored in.
    public static func noteStorageVersion(of definition: inout JSON) {
        let versions = definition["spec", "versions"]?.array ?? []
        guard let stored = versions.first(where: { $0["storage"]?.bool == true })?["name"] else { return }
        var list = definition["status", "storedVersions"]?.array ?? []
        if !list.contains(stored) { list.append(stored) }
        definition["status", "storedVersions"] = .array(list)
    }

    /// Warnings for whoever writes the definition.
    public static func warnings(of definition: JSON) -> [String] {
        var warnings: [String] = []
        for (index, version) in (definition["spec", "versions"]?.array ?? []).enumerated() {
            guard let schema = version["schema", "openAPIV3Schema"],
                let path = firstRule(in: schema, at: "spec.versions[\(index)].schema.openAPIV3Schema")
            else { continue }
            warnings.append("\(path): x-kubernetes-validations are kept, but not enforced")
        }
        return warnings
    }

    private static func firstRule(in schema: JSON, at path: String) -> String? {
        if !(schema["x-kubernetes-validations"]?.array ?? []).isEmpty { return path }
        for (name, member) in schema["properties"]?.object ?? [:] {
            if let found = firstRule(in: member, at: "\(path).properties[\(name)]") { return found }
        }
        for name in ["items", "additionalProperties"] {
            guard let member = schema[name], member.object != nil else { continue }
            if let found = firstRule(in: member, at: "\(path).\(name)") { return found }
        }
        return nil
    }

    /// The definition with the status that its names ask for, given all other definitions: names that nobody else in
    /// its group has are accepted, and with all of them accepted the kind is established.
    public static func named(_ definition: JSON, among others: [JSON], now: String) -> JSON {
        var result = definition
        let group = definition["spec", "group"]?.string ?? ""
        var taken: Set<String> = []
        var takenKinds: Set<String> = []
        for other in others where other["spec", "group"]?.string == group && other.uid != definition.uid {
            let names = other["status", "acceptedNames"] ?? [:]
            for name in ["plural", "singular"] { taken.insert(names[name]?.string ?? "") }
            for name in names["shortNames"]?.array ?? [] { taken.insert(name.string ?? "") }
            for name in ["kind", "listKind"] { takenKinds.insert(names[name]?.string ?? "") }
        }
        // A definition of a built-in kind itself changes nothing, and is fine.
        let own = [definition["spec", "names", "plural"]?.string, definition["spec", "names", "kind"]?.string]
        for kind in ResourceKind.all where kind.group == group && own != [kind.plural, kind.kind] {
            taken.formUnion([kind.plural, kind.singular] + kind.shortNames)
            takenKinds.formUnion([kind.kind, "\(kind.kind)List"])
        }
        taken.remove("")
        takenKinds.remove("")
        let wanted = definition["spec", "names"] ?? [:]
        var accepted = definition["status", "acceptedNames"] ?? [:]
        var fault: (reason: String, name: String)?
        func accept(_ field: String, _ reason: String, _ names: [String], _ taken: Set<String>) {
            if let name = names.first(where: { taken.contains($0) }) {
                fault = fault ?? (reason, name)
            } else {
                accepted[field] = wanted[field]
            }
        }
        func text(_ field: String) -> [String] { [wanted[field]?.string ?? ""] }
        accept("plural", "PluralConflict", text("plural"), taken)
        accept("singular", "SingularConflict", text("singular"), taken)
        accept(
            "shortNames", "ShortNamesConflict", (wanted["shortNames"]?.array ?? []).compactMap(\.string), taken)
        accept("kind", "KindConflict", text("kind"), takenKinds)
        accept("listKind", "ListKindConflict", text("listKind"), takenKinds)
        accepted["categories"] = wanted["categories"]
        result["status", "acceptedNames"] = accepted
        if let fault {
            set(
                "NamesAccepted", false, reason: fault.reason, message: "\"\(fault.name)\" is already in use",
                of: &result, now: now)
            if !condition("Established", of: definition) {
                set(
                    "Established", false, reason: "NotAccepted", message: "not all names are accepted", of: &result,
                    now: now)
            }
            return result
        }
        set("NamesAccepted", true, reason: "NoConflicts", message: "no conflicts found", of: &result, now: now)
        if !condition("Established", of: definition) {
            set(
                "Established", true, reason: "InitialNamesAccepted",
                message: "the initial names have been accepted", of: &result, now: now)
        }
        return result
    }
}
