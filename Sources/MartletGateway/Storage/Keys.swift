internal import MartletObject

/// How objects are named in the store: `/registry/GROUP/PLURAL/[NAMESPACE/]NAME`, with `core` for the core group. All
/// versions of a kind have the same keys.
/// Beside them, `/registry/allocations/...` holds who has a cluster IP, a node port, a range of pod addresses or the
/// names of a custom kind.
enum Keys {
    /// A range of keys: from `from` up to, not including, `to`.
    struct Range: Sendable, Hashable {
        var from: [UInt8]
        var to: [UInt8]
    }

    static func object(_ kind: ResourceKind, namespace: String, name: String) -> [UInt8] {
        prefix(kind, namespace: namespace) + Array(name.utf8)
    }

    static func object(_ target: Target) -> [UInt8] {
        object(target.kind, namespace: target.namespace, name: target.name)
    }

    /// The objects of a kind, of one namespace unless that is empty.
    static func collection(_ kind: ResourceKind, namespace: String) -> Range {
        let from = prefix(kind, namespace: namespace)
        return Range(from: from, to: from.dropLast() + [UInt8(ascii: "/") + 1])
    }

    /// All objects of a group.
    static func group(_ group: String) -> Range {
        let from = Array("/registry/\(group.isEmpty ? "core" : group)/".utf8)
        return Range(from: from, to: from.dropLast() + [UInt8(ascii: "/") + 1])
    }

    /// One key alone.
    static func single(_ key: [UInt8]) -> Range { Range(from: key, to: after(key)) }

    /// The smallest key after `key`.
    static func after(_ key: [UInt8]) -> [UInt8] { key + [0] }

    /// Who has `value` out of `pool` (`serviceips`, `servicenodeports`, `podcidrs`, `kindnames`).
    static func allocation(_ pool: String, _ value: String) -> [UInt8] {
        Array("/registry/allocations/\(pool)/\(value)".utf8)
    }

    /// Changes with what the quotas of a namespace count.
    static func quotaTerms(_ namespace: String) -> [UInt8] { Array("/registry/quotaterms/\(namespace)".utf8) }

    private static func prefix(_ kind: ResourceKind, namespace: String) -> [UInt8] {
        let root = "/registry/\(kind.storedGroup.isEmpty ? "core" : kind.storedGroup)/\(kind.plural)/"
        return Array((kind.isNamespaced && !namespace.isEmpty ? "\(root)\(namespace)/" : root).utf8)
    }
}
