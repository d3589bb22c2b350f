internal import HTTPTypes
public import MartletObject

/// Which kinds a cluster serves, custom ones among them.
extension Client {
    /// The kinds of one version of a group, without their subresources as kinds of their own; none when it is not
    /// served.
    public func kinds(group: String, version: String) async throws -> [ResourceKind] {
        let path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        do {
            return Self.kinds(in: try await call(.get, path), group: group, version: version)
        } catch let error as APIError where error.isNotFound {
            return []
        }
    }

    /// The kind of objects with this `apiVersion` and `kind`; nil when it is not served. Built-in kinds are known
    /// without asking.
    public func kind(apiVersion: String, kind: String) async throws -> ResourceKind? {
        if let known = KindCatalog.builtIn.kind(apiVersion: apiVersion, kind: kind) { return known }
        let parts = apiVersion.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return nil }
        return try await kinds(group: parts[0], version: parts[1]).first { $0.kind == kind }
    }

    /// The kind that somebody calls so: by its plural, singular, kind or a short name, perhaps with its group behind a
    /// dot. Built-in kinds go before custom ones, and preferred versions before others.
    public func kind(called name: String) async throws -> ResourceKind? {
        let wanted = name.lowercased()
        if let known = KindCatalog.builtIn.kinds.first(where: { Self.isCalled($0, wanted) }) { return known }
        for group in try await call(.get, "/apis")["groups"]?.array ?? [] {
            guard let groupName = group["name"]?.string, !KindCatalog.builtIn.has(group: groupName) else { continue }
            for version in group["versions"]?.array ?? [] {
                let kinds = try await kinds(group: groupName, version: version["version"]?.string ?? "")
                if let found = kinds.first(where: { Self.isCalled($0, wanted) }) { return found }
            }
        }
        return nil
    }

    private static func isCalled(_ kind: ResourceKind, _ name: String) -> Bool {
        let names = [kind.plural, kind.singular, kind.kind.lowercased()] + kind.shortNames
        return kind.verbs.contains("list") && names.contains { $0 == name || "\($0).\(kind.group)" == name }
    }

    /// The kinds in an APIResourceList.
    static func kinds(in list: JSON, group: String, version: String) -> [ResourceKind] {
        let resources = list["resources"]?.array ?? []
        let names = resources.compactMap { $0["name"]?.string }
        return resources.compactMap { resource in
            guard let plural = resource["name"]?.string, !plural.contains("/"), let kind = resource["kind"]?.string
            else { return nil }
            func texts(_ field: String) -> [String] { (resource[field]?.array ?? []).compactMap(\.string) }
            let subresources = names.filter { $0.hasPrefix("\(plural)/") }.map {
                String($0.dropFirst(plural.count + 1))
            }
            return ResourceKind(
                group: group, version: version, kind: kind, plural: plural,
                singular: resource["singularName"]?.string ?? kind.lowercased(), shortNames: texts("shortNames"),
                categories: texts("categories"), isNamespaced: resource["namespaced"]?.bool ?? false,
                subresources: subresources, verbs: texts("verbs"))
        }
    }
}
