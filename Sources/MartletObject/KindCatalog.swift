/// The kinds that are served at one time: the built-in ones and those of CustomResourceDefinitions. A value; whoever
/// serves requests holds the current one and takes a new one when definitions change.
public struct KindCatalog: Sendable {
    /// One API group: its versions, the preferred one first, and the kinds of each.
    public struct Group: Sendable {
        /// Its name; empty for the core group.
        public var name: String
        /// Its versions in the order of preference.
        public var versions: [Version]
    }
    /// One version of a group.
    public struct Version: Sendable {
        /// Its name, as `v1`.
        public var name: String
        /// Its kinds in the order of discovery.
        public var kinds: [ResourceKind]
    }
    private struct GroupVersion: Hashable {
        var group: String
        var version: String
    }
    private struct StoredPlace: Hashable {
        var group: String
        var plural: String
    }
    private struct TypeName: Hashable {
        var apiVersion: String
        var kind: String
    }

    /// Every kind in every version: built-in ones first, in the order of discovery.
    public let kinds: [ResourceKind]
    /// The same by group and version.
    public let groups: [Group]
    /// Whether there are custom kinds.
    public let hasCustom: Bool
    private let byPlural: [GroupVersion: [String: ResourceKind]]
    private let byType: [TypeName: ResourceKind]
    private let groupNames: Set<String>
    private let homes: [StoredPlace: ResourceKind]

    /// The built-in kinds alone.
    public static let builtIn = KindCatalog()

    /// The built-in kinds and `custom`. A custom kind never takes the place of a built-in one.
    public init(custom: [ResourceKind] = []) {
        var byPlural: [GroupVersion: [String: ResourceKind]] = [:]
        var byType: [TypeName: ResourceKind] = [:]
        var homes: [StoredPlace: ResourceKind] = [:]
        var kinds: [ResourceKind] = []
        let ordered = custom.sorted { ($0.group, $0.plural) < ($1.group, $1.plural) }
        for kind in ResourceKind.all + ordered {
            let place = GroupVersion(group: kind.group, version: kind.version)
            if byPlural[place]?[kind.plural] != nil { continue }
            byPlural[place, default: [:]][kind.plural] = kind
            let name = TypeName(apiVersion: kind.apiVersion, kind: kind.kind)
            if byType[name] == nil { byType[name] = kind }
            if kind.isHome { homes[StoredPlace(group: kind.storedGroup, plural: kind.plural)] = kind }
            kinds.append(kind)
        }
        self.homes = homes
        self.kinds = kinds
        self.byPlural = byPlural
        self.byType = byType
        hasCustom = !custom.isEmpty
        groups = Self.grouped(kinds)
        groupNames = Set(groups.map(\.name))
    }

    /// The kind at `/apis/GROUP/VERSION/.../PLURAL`.
    public func kind(group: String, version: String, plural: String) -> ResourceKind? {
        byPlural[GroupVersion(group: group, version: version)]?[plural]
    }

    /// The kind of objects with this `apiVersion` and `kind`.
    public func kind(apiVersion: String, kind: String) -> ResourceKind? {
        byType[TypeName(apiVersion: apiVersion, kind: kind)]
    }

    /// The row under which the objects of a kind are met when every object is met once.
    public func home(of kind: ResourceKind) -> ResourceKind? {
        homes[StoredPlace(group: kind.storedGroup, plural: kind.plural)]
    }

    /// Whether any version of the group is served.
    public func has(group: String) -> Bool { groupNames.contains(group) }

    /// Whether the version of the group is served.
    public func has(group: String, version: String) -> Bool {
        byPlural[GroupVersion(group: group, version: version)] != nil
    }

    /// Built-in groups and versions in the order of their rows; custom ones behind them, groups by name and versions
    /// by their priority.
    private static func grouped(_ kinds: [ResourceKind]) -> [Group] {
        var groups: [Group] = []
        var places: [String: Int] = [:]
        for kind in kinds {
            let place: Int
            if let known = places[kind.group] {
                place = known
            } else {
                place = groups.count
                places[kind.group] = place
                groups.append(Group(name: kind.group, versions: []))
            }
            if let version = groups[place].versions.firstIndex(where: { $0.name == kind.version }) {
                groups[place].versions[version].kinds.append(kind)
            } else {
                groups[place].versions.append(Version(name: kind.version, kinds: [kind]))
            }
        }
        for place in groups.indices {
            let builtIn = groups[place].versions.filter { $0.kinds.contains { $0.custom == nil } }
            let custom = groups[place].versions.filter { $0.kinds.allSatisfy { $0.custom != nil } }
            groups[place].versions = builtIn + custom.sorted { VersionPriority($0.name) > VersionPriority($1.name) }
        }
        return groups
    }
}

/// The order of versions as Kubernetes has it: `v10 > v2 > v1 > v2beta1 > v1alpha3`, and then all other names, the
/// alphabetically first one first.
public struct VersionPriority: Comparable, Sendable {
    private var stability: Int
    private var major: Int
    private var minor: Int
    private var name: String

    /// The priority of a version's name.
    public init(_ name: String) {
        self.name = name
        (stability, major, minor) = (0, 0, 0)
        guard name.utf8.first == UInt8(ascii: "v") else { return }
        let rest = name.dropFirst()
        let digits = rest.prefix { ("0"..."9").contains($0) }
        guard let number = Int(digits) else { return }
        let tail = rest.dropFirst(digits.count)
        if tail.isEmpty {
            (stability, major) = (3, number)
            return
        }
        for (word, level) in [("beta", 2), ("alpha", 1)] where tail.hasPrefix(word) {
            let last = tail.dropFirst(word.count)
            guard !last.isEmpty, last.allSatisfy({ ("0"..."9").contains($0) }), let minor = Int(last) else { return }
            (stability, major, self.minor) = (level, number, minor)
        }
    }

    /// Whether the first is preferred less than the second.
    public static func < (one: VersionPriority, other: VersionPriority) -> Bool {
        if one.stability == 0, other.stability == 0 { return one.name > other.name }
        return (one.stability, one.major, one.minor) < (other.stability, other.major, other.minor)
    }
}
