internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// What is served, said in the three ways that clients ask. All of it follows from the catalog of kinds.
struct Discovery: Sendable {
    let catalog: KindCatalog

    /// The groups in the order of discovery; the core group is the empty one.
    private var groups: [String] { catalog.groups.map(\.name) }

    private func versions(of group: String) -> [String] {
        catalog.groups.first { $0.name == group }?.versions.map(\.name) ?? []
    }

    private func kinds(_ group: String, _ version: String) -> [ResourceKind] {
        catalog.groups.first { $0.name == group }?.versions.first { $0.name == version }?.kinds ?? []
    }

    private static func verbs(_ kind: ResourceKind) -> JSON { .array(kind.verbs.map { .string($0) }) }

    /// The document, in the aggregated form when that is asked for and there is one.
    func document(_ document: DiscoveryDocument, _ representation: Representation, address: String) -> JSON? {
        switch (document, representation) {
        case (.coreVersions, .discovery(let version)): return aggregated([""], version)
        case (.groups, .discovery(let version)): return aggregated(groups.filter { !$0.isEmpty }, version)
        case (.coreVersions, _):
            return [
                "kind": "APIVersions", "versions": .array(versions(of: "").map { .string($0) }),
                "serverAddressByClientCIDRs": [
                    ["clientCIDR": "0.0.0.0/0", "serverAddress": .string(address)]
                ],
            ]
        case (.groups, _):
            return [
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": .array(groups.filter { !$0.isEmpty }.map { group($0) }),
            ]
        case (.group(let name), _):
            var document = group(name)
            document["kind"] = "APIGroup"
            document["apiVersion"] = "v1"
            return document
        case (.resources(let group, let version), _): return resources(group, version)
        }
    }

    private func group(_ name: String) -> JSON {
        let versions = versions(of: name).map { version -> JSON in
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        return ["name": .string(name), "versions": .array(versions), "preferredVersion": versions.first ?? .null]
    }

    private func resources(_ group: String, _ version: String) -> JSON {
        var list: [JSON] = []
        for kind in kinds(group, version) {
            var resource: JSON = [
                "name": .string(kind.plural), "singularName": .string(kind.singular),
                "namespaced": .bool(kind.isNamespaced), "kind": .string(kind.kind), "verbs": Self.verbs(kind),
            ]
            if !kind.shortNames.isEmpty { resource["shortNames"] = .array(kind.shortNames.map { .string($0) }) }
            if !kind.categories.isEmpty { resource["categories"] = .array(kind.categories.map { .string($0) }) }
            if kind.verbs.contains("list") { resource["storageVersionHash"] = .string(Self.storageHash(kind)) }
            list.append(resource)
            for subresource in subresources(of: kind) {
                var entry: JSON = [
                    "name": .string("\(kind.plural)/\(subresource.name)"), "singularName": "",
                    "namespaced": .bool(kind.isNamespaced), "kind": .string(subresource.kind(of: kind)),
                    "verbs": .array(subresource.verbs.map { .string($0) }),
                ]
                if let group = subresource.group, !group.isEmpty { entry["group"] = .string(group) }
                if subresource.group != nil { entry["version"] = subresource.version.map { .string($0) } }
                list.append(entry)
            }
        }
        return [
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"), "resources": .array(list),
        ]
    }

    /// Of the form that objects are stored in: clients see by it whether that has changed.
    private static func storageHash(_ kind: ResourceKind) -> String {
        let stored = kind.stored?.apiVersion ?? kind.apiVersion
        let path = stored.contains("/") ? stored : "/\(stored)"
        return Base64.encode(Array(Digest.sha256(Array("\(path)/\(kind.kind)".utf8)).prefix(8)))
    }

    private func subresources(of kind: ResourceKind) -> [Subresource] {
        kind.subresources.compactMap { Subresource.table[$0] }
    }

    private func aggregated(_ groups: [String], _ apiVersion: String) -> JSON {
        let items = groups.map { group -> JSON in
            var metadata: JSON = ["creationTimestamp": .null]
            if !group.isEmpty { metadata["name"] = .string(group) }
            let versions = versions(of: group).map { version -> JSON in
                [
                    "version": .string(version), "freshness": "Current",
                    "resources": .array(kinds(group, version).map { aggregated($0) }),
                ]
            }
            return ["metadata": metadata, "versions": .array(versions)]
        }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(apiVersion)"),
            "metadata": [:], "items": .array(items),
        ]
    }

    private func aggregated(_ kind: ResourceKind) -> JSON {
        func responseKind(_ group: String, _ version: String, _ kind: String) -> JSON {
            ["group": .string(group), "version": .string(version), "kind": .string(kind)]
        }
        var entry: JSON = [
            "resource": .string(kind.plural), "responseKind": responseKind(kind.group, kind.version, kind.kind),
            "scope": kind.isNamespaced ? "Namespaced" : "Cluster", "singularResource": .string(kind.singular),
            "verbs": Self.verbs(kind),
        ]
        if !kind.shortNames.isEmpty { entry["shortNames"] = .array(kind.shortNames.map { .string($0) }) }
        if !kind.categories.isEmpty { entry["categories"] = .array(kind.categories.map { .string($0) }) }
        let subresources = subresources(of: kind).map { subresource -> JSON in
            [
                "subresource": .string(subresource.name),
                "responseKind": responseKind(
                    subresource.group ?? kind.group, subresource.version ?? kind.version,
                    subresource.kind(of: kind)),
                "verbs": .array(subresource.verbs.map { .string($0) }),
            ]
        }
        if !subresources.isEmpty { entry["subresources"] = .array(subresources) }
        return entry
    }
}
