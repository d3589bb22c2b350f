/// A kind that the API serves: one row of the schema tables, and all that the code knows of it. A new kind is a new
/// row, never a new `if`.
/// Two rows with the same names are of one kind, whatever else they say.
public struct ResourceKind: Sendable, Hashable {
    /// What a row says, kept once: kinds are handed on and compared all the time.
    private final class Row: Sendable {
        let group: String
        let version: String
        let kind: String
        let plural: String
        let singular: String
        let shortNames: [String]
        let categories: [String]
        let isNamespaced: Bool
        let subresources: [String]
        let verbs: [String]
        let stored: StoredForm?
        let custom: CustomKind?
        let apiVersion: String
        let qualifiedPlural: String

        init(
            group: String, version: String, kind: String, plural: String, singular: String, shortNames: [String],
            categories: [String], isNamespaced: Bool, subresources: [String], verbs: [String], stored: StoredForm?,
            custom: CustomKind?
        ) {
            self.group = group
            self.version = version
            self.kind = kind
            self.plural = plural
            self.singular = singular
            self.shortNames = shortNames
            self.categories = categories
            self.isNamespaced = isNamespaced
            self.subresources = subresources
            self.verbs = verbs
            self.stored = stored
            self.custom = custom
            apiVersion = group.isEmpty ? version : "\(group)/\(version)"
            qualifiedPlural = group.isEmpty ? plural : "\(plural).\(group)"
        }
    }
    private let row: Row

    /// API group; empty for the core group.
    public var group: String { row.group }
    /// API version, as `v1`.
    public var version: String { row.version }
    /// Kind, as `Deployment`.
    public var kind: String { row.kind }
    /// Plural resource name, as in URLs: `deployments`.
    public var plural: String { row.plural }
    /// Singular name: `deployment`.
    public var singular: String { row.singular }
    /// Short names: `deploy`.
    public var shortNames: [String] { row.shortNames }
    /// Categories: `all`.
    public var categories: [String] { row.categories }
    /// Whether objects live in a namespace.
    public var isNamespaced: Bool { row.isNamespaced }
    /// Subresources served: `status`, `scale`, `log`, ...
    public var subresources: [String] { row.subresources }
    /// Verbs served, in the order of discovery.
    public var verbs: [String] { row.verbs }
    /// The form that its objects are stored in; nil when they are stored as they are served.
    public var stored: StoredForm? { row.stored }
    /// What a CustomResourceDefinition says of it; nil for built-in kinds, which the tables describe.
    public var custom: CustomKind? { row.custom }

    /// The verbs of most kinds.
    public static let standardVerbs = [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]

    /// A kind by all its names.
    public init(
        group: String, version: String, kind: String, plural: String, singular: String, shortNames: [String] = [],
        categories: [String] = [], isNamespaced: Bool, subresources: [String] = [],
        verbs: [String] = ResourceKind.standardVerbs, stored: StoredForm? = nil, custom: CustomKind? = nil
    ) {
        row = Row(
            group: group, version: version, kind: kind, plural: plural, singular: singular, shortNames: shortNames,
            categories: categories, isNamespaced: isNamespaced, subresources: subresources, verbs: verbs,
            stored: stored, custom: custom)
    }

    /// A built-in kind, whose singular name is its kind in lower case.
    init(
        _ group: String, _ version: String, _ kind: String, _ plural: String, short: [String] = [],
        in categories: [String] = [], isNamespaced: Bool = true, _ subresources: [String] = [],
        verbs: [String] = ResourceKind.standardVerbs, stored: StoredForm? = nil
    ) {
        self.init(
            group: group, version: version, kind: kind, plural: plural, singular: kind.lowercased(),
            shortNames: short, categories: categories, isNamespaced: isNamespaced, subresources: subresources,
            verbs: verbs, stored: stored)
    }

    /// Whether two rows are of one kind.
    public static func == (one: ResourceKind, other: ResourceKind) -> Bool {
        if one.row === other.row { return true }
        return one.plural == other.plural && one.group == other.group && one.version == other.version
            && one.kind == other.kind
    }

    /// Only what tells kinds apart: tables are keyed by kinds.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(group)
        hasher.combine(version)
        hasher.combine(kind)
    }

    /// `v1`, or `apps/v1`: the `apiVersion` of its objects.
    public var apiVersion: String { row.apiVersion }
    /// Whether this row is where its objects are at home: they can be listed, and no other row serves the same ones
    /// in the form that they are stored in. What follows every object of the cluster follows these rows.
    public var isHome: Bool { verbs.contains("list") && isStoredForm }
    private var isStoredForm: Bool { custom?.isHome ?? stored.map { $0.apiVersion == apiVersion } ?? true }
    /// `deployments`, or `deployments.apps`: how messages name it.
    public var qualifiedPlural: String { row.qualifiedPlural }

    /// The URL path of a collection or object: `/apis/apps/v1/namespaces/NS/deployments/NAME`.
    /// A nil `namespace` of a namespaced kind means all namespaces.
    public func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace { path += "/namespaces/\(namespace)" }
        path += "/\(plural)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

extension ResourceKind {
    /// Every built-in kind, in the order of discovery: groups as they come, in a group the preferred version first.
    public static let all: [ResourceKind] = core + groups + reviews + gatewayAPI
}
