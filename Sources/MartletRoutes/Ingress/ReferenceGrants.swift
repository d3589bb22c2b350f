internal import MartletObject

/// Who may name objects of other namespaces (ReferenceGrant).
struct ReferenceGrants: Sendable {
    private struct Side: Hashable {
        var group: String
        var kind: String
        /// A namespace of those who name, a name of what is named; nil for all.
        var place: String?
    }
    /// By the namespace of what is named.
    private var grants: [String: [String: (from: [Side], to: [Side])]] = [:]

    mutating func put(_ object: JSON) {
        func sides(_ field: String, _ place: String) -> [Side] {
            (object["spec", field]?.array ?? []).map { side in
                Side(
                    group: side["group"]?.string ?? "", kind: side["kind"]?.string ?? "",
                    place: side[place]?.string.flatMap { $0.isEmpty ? nil : $0 })
            }
        }
        grants[object.namespace, default: [:]][object.name] = (sides("from", "namespace"), sides("to", "name"))
    }

    mutating func remove(namespace: String, name: String) { grants[namespace]?[name] = nil }

    /// Whether an object of Gateway API may name an object of the core group.
    func allow(_ kind: String, in namespace: String, toName target: String, _ name: String, in other: String) -> Bool {
        if namespace == other { return true }
        return (grants[other] ?? [:]).values.contains { grant in
            grant.from.contains { $0.group == GatewayState.group && $0.kind == kind && $0.place == namespace }
                && grant.to.contains { $0.group == "" && $0.kind == target && ($0.place == nil || $0.place == name) }
        }
    }
}
