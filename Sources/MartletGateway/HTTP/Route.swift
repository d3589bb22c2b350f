internal import MartletBase
internal import MartletObject

/// Where a path leads.
enum Route: Sendable, Hashable {
    /// A resource of the tables.
    case resource(Target)
    /// A discovery document.
    case discovery(DiscoveryDocument)
    /// `/openapi/v2`, or under `/openapi/v3`: the rest of the path.
    case openAPIv2
    case openAPIv3(path: String)
    /// `/version`
    case version
    /// `/healthz`, `/livez`, `/readyz`, and one check below them.
    case health(check: String?)
    /// `/metrics`
    case metrics
    /// `/metrics/slis`: how the checks of health came out.
    case checkMetrics
    /// `/.well-known/openid-configuration`, and `/openid/v1/jwks` (OpenID Connect Discovery 1.0): who signs service
    /// account tokens, and by which keys.
    case tokenIssuer
    case tokenKeys
    /// `/cacerts`: the certificates of the authorities that this API is known by.
    case authorities
    /// Under `/martlet/`: the rest of the path.
    case door(path: String)
    /// `/`
    case index
    /// Nothing is here.
    case nothing

    /// Whether everybody may read it (upstream's `system:public-info-viewer`).
    var isPublic: Bool {
        switch self {
        case .version, .health, .authorities: true
        default: false
        }
    }

    /// Whether it is a document that is made of the kinds that are served.
    var isMadeOfKinds: Bool {
        switch self {
        case .discovery, .openAPIv2, .openAPIv3: true
        default: false
        }
    }
}

/// The resource that a path names.
struct Target: Sendable, Hashable {
    var kind: ResourceKind
    /// Empty: cluster-wide, or all namespaces.
    var namespace: String
    /// Empty: the collection.
    var name: String
    /// Empty: the object itself.
    var subresource: String
    /// Whether the path itself asks for a watch, as upstream's old ones do: `/api/v1/watch/pods`.
    var isWatched = false

    var subject: Subject { Subject(kind: kind, name: name) }
}

/// Which discovery document.
enum DiscoveryDocument: Sendable, Hashable {
    /// `/api`
    case coreVersions
    /// `/apis`
    case groups
    /// `/apis/GROUP`
    case group(String)
    /// `/api/v1`, `/apis/GROUP/VERSION`
    case resources(group: String, version: String)
}

extension Route {
    /// Reads a path (without its query). A pure function of the kinds that are served.
    init(path: Substring, catalog: KindCatalog) {
        // What follows `proxy` is the path of what is behind it.
        let path = ProxyTarget.split(path)?.own ?? path
        var segments: [String] = []
        for segment in path.split(separator: "/").prefix(Limits.pathSegments + 1) {
            segments.append(PercentCoding.decode(segment))
        }
        guard segments.count <= Limits.pathSegments, segments.allSatisfy(Self.isSafe) else {
            self = .nothing
            return
        }
        self = Self.route(segments, catalog)
    }

    /// Whether a segment may stand in a key of the store.
    static func isSafe(_ segment: String) -> Bool {
        !segment.isEmpty && segment != "." && segment != ".." && segment.utf8.count <= 512
            && segment.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "%") }
    }

    private static func route(_ segments: [String], _ catalog: KindCatalog) -> Route {
        guard let first = segments.first else { return .index }
        let rest = Array(segments.dropFirst())
        switch first {
        case "api": return core(rest, catalog)
        case "apis": return groups(rest, catalog)
        case "version": return rest.isEmpty ? .version : .nothing
        case "healthz", "livez", "readyz": return rest.count <= 1 ? .health(check: rest.first) : .nothing
        case "cacerts": return rest.isEmpty ? .authorities : .nothing
        case "martlet": return .door(path: rest.joined(separator: "/"))
        case "metrics" where rest == ["slis"]: return .checkMetrics
        case "metrics": return rest.isEmpty ? .metrics : .nothing
        case ".well-known" where rest == ["openid-configuration"]: return .tokenIssuer
        case "openid" where rest == ["v1", "jwks"]: return .tokenKeys
        case "openapi" where rest == ["v2"]: return .openAPIv2
        case "openapi" where rest.first == "v3": return .openAPIv3(path: rest.dropFirst().joined(separator: "/"))
        default: return .nothing
        }
    }

    private static func core(_ rest: [String], _ catalog: KindCatalog) -> Route {
        guard let version = rest.first else { return .discovery(.coreVersions) }
        return resource(group: "", version: version, Array(rest.dropFirst()), catalog)
    }

    private static func groups(_ rest: [String], _ catalog: KindCatalog) -> Route {
        guard let group = rest.first else { return .discovery(.groups) }
        guard !group.isEmpty, catalog.has(group: group) else { return .nothing }
        guard rest.count > 1 else { return .discovery(.group(group)) }
        return resource(group: group, version: rest[1], Array(rest.dropFirst(2)), catalog)
    }

    private static func resource(
        group: String, version: String, _ rest: [String], _ catalog: KindCatalog
    ) -> Route {
        guard catalog.has(group: group, version: version) else { return .nothing }
        if rest.isEmpty { return .discovery(.resources(group: group, version: version)) }
        if rest[0] == "watch", rest.count > 1 {
            let route = resource(group: group, version: version, Array(rest.dropFirst()), catalog)
            guard case .resource(var target) = route, target.subresource.isEmpty, target.kind.verbs.contains("watch")
            else { return .nothing }
            target.isWatched = true
            return .resource(target)
        }
        if rest[0] == "namespaces", rest.count >= 3,
            let kind = catalog.kind(group: group, version: version, plural: rest[2]), kind.isNamespaced
        {
            return target(kind, namespace: rest[1], Array(rest.dropFirst(3)))
        }
        guard let kind = catalog.kind(group: group, version: version, plural: rest[0]) else { return .nothing }
        // A namespaced kind without a namespace is all of them: there is only the collection.
        if kind.isNamespaced && rest.count > 1 { return .nothing }
        return target(kind, namespace: "", Array(rest.dropFirst()))
    }

    private static func target(_ kind: ResourceKind, namespace: String, _ rest: [String]) -> Route {
        guard rest.count <= 2, rest.count < 2 || kind.subresources.contains(rest[1]) else { return .nothing }
        return .resource(
            Target(
                kind: kind, namespace: namespace, name: rest.first ?? "",
                subresource: rest.count == 2 ? rest[1] : ""))
    }
}
