/// What one version of a CustomResourceDefinition says of its kind, beside its names. Immutable.
public final class CustomKind: Sendable {
    /// One of `additionalPrinterColumns`.
    public struct Column: Sendable {
        /// Its heading.
        public var name: String
        /// `string`, `integer`, `number`, `boolean` or `date`.
        public var type: String
        /// OpenAPI format; may be empty.
        public var format: String
        /// What it shows.
        public var about: String
        /// 0 always, above it with `-o wide`.
        public var priority: Int
        /// Where its value is.
        var path: JSONPath
    }
    /// `subresources.scale`: where the numbers and the selector are.
    public struct Scale: Sendable, Hashable {
        /// Member names down to the number wanted.
        public var specReplicas: [String]
        /// Member names down to the number there is.
        public var statusReplicas: [String]
        /// Member names down to the selector's text; nil when there is none.
        public var selector: [String]?
    }

    /// The form of objects.
    public let schema: StructuralSchema
    /// The form as appliers see it.
    let shape: Shape
    /// The schema as the definition has it, for OpenAPI.
    let document: JSON
    /// The columns of tables; empty: name and age.
    public let columns: [Column]
    /// `subresources.scale`; nil when there is none.
    public let scale: Scale?
    /// Whether `status` is a subresource.
    public let hasStatus: Bool
    /// What field selectors may name beside `metadata.name` and `metadata.namespace`, as `spec.color`.
    public let selectableFields: [String]
    /// Whether clients are warned of this version, and with which words when not the usual ones.
    public let deprecation: (isDeprecated: Bool, warning: String?)
    /// The version to use instead of a deprecated one; nil when there is no better one.
    public let successor: String?
    /// Tells two definitions of one kind apart: the definition's uid and generation.
    public let identity: String
    /// What watches of the kind hang on: the identity, but it outlives the beginning of the definition's deletion.
    public let lineage: String
    /// Whether reading stored objects fills something in.
    public var completesOnRead: Bool { schema.hasDefaults }

    /// Whether this version stands for all where every object is to be met once: the stored version, or when that is
    /// not served the first one.
    public let isHome: Bool
    /// Whether the definition is being deleted: nothing new is made.
    public let isTerminating: Bool

    /// Reads one element of a definition's `spec.versions`.
    public init(
        version: JSON, identity: String, isHome: Bool = true, isTerminating: Bool = false,
        successor: String? = nil, lineage: String? = nil
    ) {
        self.lineage = lineage ?? identity
        self.isTerminating = isTerminating
        self.isHome = isHome
        document = version["schema", "openAPIV3Schema"] ?? [:]
        schema = StructuralSchema(document)
        shape = Shape(schema)
        columns = (version["additionalPrinterColumns"]?.array ?? []).map { column in
            Column(
                name: column["name"]?.string ?? "", type: column["type"]?.string ?? "string",
                format: column["format"]?.string ?? "", about: column["description"]?.string ?? "",
                priority: column["priority"]?.int ?? 0, path: JSONPath(column["jsonPath"]?.string ?? "") ?? JSONPath())
        }
        func steps(_ name: String) -> [String]? {
            version["subresources", "scale", name]?.string.flatMap { text in
                text.isEmpty ? nil : text.split(separator: ".").map(String.init)
            }
        }
        if let specReplicas = steps("specReplicasPath"), let statusReplicas = steps("statusReplicasPath") {
            scale = Scale(
                specReplicas: specReplicas, statusReplicas: statusReplicas, selector: steps("labelSelectorPath"))
        } else {
            scale = nil
        }
        hasStatus = version["subresources", "status"] != nil
        selectableFields = (version["selectableFields"]?.array ?? []).compactMap { field in
            field["jsonPath"]?.string.map { String($0.drop { $0 == "." }) }
        }
        deprecation = (version["deprecated"]?.bool ?? false, version["deprecationWarning"]?.string)
        self.successor = successor
        self.identity = identity
    }

    /// Fills in what a stored object lacks.
    func completeRead(_ object: inout JSON) { if completesOnRead { schema.fillDefaults(of: &object) } }
}

extension ResourceKind {
    /// The kind under which all objects of a definition are reached, also when no version of it is served any longer.
    public static func home(of definition: JSON) -> ResourceKind? {
        var whole = definition
        whole["spec", "versions"] = .array(
            (definition["spec", "versions"]?.array ?? []).map { version in
                var version = version
                version["served"] = true
                return version
            })
        return custom(of: whole).first { $0.custom?.isHome == true }
    }

    /// The kinds of a CustomResourceDefinition, one for each version that is served; none before its names are
    /// accepted.
    /// - Parameter lineage: that of the kinds which these take the place of without an end of their watches.
    public static func custom(of definition: JSON, lineage: String? = nil) -> [ResourceKind] {
        guard CustomDefinition.condition("Established", of: definition) else { return [] }
        let spec = definition["spec"] ?? [:]
        let names = definition["status", "acceptedNames"] ?? [:]
        let versions = spec["versions"]?.array ?? []
        let group = spec["group"]?.string ?? ""
        let plural = names["plural"]?.string ?? ""
        let kind = names["kind"]?.string ?? ""
        guard let stored = versions.first(where: { $0["storage"]?.bool == true })?["name"]?.string, !plural.isEmpty,
            !kind.isEmpty, !group.isEmpty
        else { return [] }
        let form = StoredForm(group: group, version: stored, conversion: .apiVersion)
        func texts(_ name: String) -> [String] { (names[name]?.array ?? []).compactMap(\.string) }
        let served = versions.filter { $0["served"]?.bool == true }
        let home = (served.first { $0["name"]?.string == stored } ?? served.first)?["name"]
        let best = served.filter { $0["deprecated"]?.bool != true }.compactMap { $0["name"]?.string }
            .max { VersionPriority($0) < VersionPriority($1) }
        return served.compactMap { version in
            guard let name = version["name"]?.string else { return nil }
            let custom = CustomKind(
                version: version, identity: "\(definition.uid)/\(definition.generation)",
                isHome: version["name"] == home,
                isTerminating: definition.isTerminating,
                successor: best.flatMap { VersionPriority($0) > VersionPriority(name) ? $0 : nil },
                lineage: lineage)
            var subresources: [String] = []
            if custom.hasStatus { subresources.append("status") }
            if custom.scale != nil { subresources.append("scale") }
            return ResourceKind(
                group: group, version: name, kind: kind, plural: plural, singular: names["singular"]?.string ?? "",
                shortNames: texts("shortNames"), categories: texts("categories"),
                isNamespaced: spec["scope"]?.string == "Namespaced", subresources: subresources, stored: form,
                custom: custom)
        }
    }
}
