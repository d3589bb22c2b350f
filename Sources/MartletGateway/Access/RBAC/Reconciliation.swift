internal import MartletObject
internal import MartletStore

/// What becomes at a start of a role or binding that every cluster has and that is there already.
enum RoleReconciliation: Sendable, Hashable {
    case keep
    case update(JSON)
    /// A binding's role cannot be changed: the binding is made anew.
    case replace(JSON)

    /// As upstream: nothing is taken away that somebody has added, and nothing is touched whose annotation
    /// `rbac.authorization.kubernetes.io/autoupdate` is `false`.
    init(existing: JSON, expected: JSON) {
        if existing.annotations["rbac.authorization.kubernetes.io/autoupdate"] == "false" {
            self = .keep
            return
        }
        var wanted = existing
        for part in ["labels", "annotations"] {
            for (name, text) in expected["metadata", part]?.stringMap ?? [:]
            where existing["metadata", part, name] == nil {
                wanted["metadata", part, name] = .string(text)
            }
        }
        if expected["roleRef"] != nil {
            if existing["roleRef"] != expected["roleRef"] {
                self = .replace(expected)
                return
            }
            let subjects = existing["subjects"]?.array ?? []
            let missing = (expected["subjects"]?.array ?? []).filter { !subjects.contains($0) }
            if !missing.isEmpty { wanted["subjects"] = .array(subjects + missing) }
        } else if let rule = expected["aggregationRule"] {
            wanted["aggregationRule"] = existing["aggregationRule"] ?? rule
        } else {
            let rules = PolicyRule.rules(of: existing)
            let missing = PolicyRule.missing(in: rules, of: PolicyRule.rules(of: expected))
            if !missing.isEmpty { wanted["rules"] = .array((existing["rules"]?.array ?? []) + missing.map(\.json)) }
        }
        self = wanted == existing ? .keep : .update(wanted)
    }
}

extension Registry {
    /// Makes the roles and bindings that every cluster has, and brings those that are there up to date.
    func reconcileRoles() async throws(APIError) {
        var missing: [BootstrapRoles.Entry] = []
        for entry in BootstrapRoles.all {
            let target = Target(
                kind: entry.kind, namespace: entry.namespace, name: entry.object.name, subresource: "")
            guard let pair = await storage.get(Keys.object(target)) else {
                missing.append(entry)
                continue
            }
            switch RoleReconciliation(existing: try pair.object(), expected: entry.object) {
            case .keep: continue
            case .update(let object):
                _ = try await modify(target, part: .whole, options: WriteOptions()) { _ throws(APIError) in (object, [])
                }
            case .replace(let object):
                _ = try await delete(target, options: DeleteOptions())
                missing.append(BootstrapRoles.Entry(kind: entry.kind, namespace: entry.namespace, object: object))
            }
        }
        try await seed(Self.aggregated(missing))
    }

    /// Many new objects at once; those whose keys are taken by then are left as they are.
    private func seed(_ entries: [BootstrapRoles.Entry]) async throws(APIError) {
        var rest = entries[...]
        while !rest.isEmpty {
            var transaction = Transaction(when: [], then: [])
            for entry in rest.prefix(Limits.seededAtOnce) {
                let key = Keys.object(entry.kind, namespace: entry.namespace, name: entry.object.name)
                transaction.conditions.append(.modRevision(key: key, is: 0))
                transaction.success.append(.put(key: key, value: StoredObject(stamped(entry.object)).bytes))
            }
            let result = try await storage.commit(transaction)
            if !result.succeeded {
                for entry in rest.prefix(Limits.seededAtOnce) { try await ensure(entry.object, entry.kind) }
            }
            rest = rest.dropFirst(Limits.seededAtOnce)
        }
    }

    /// The roles that gather rules, with those of the roles beside them: there may be no controller to do it.
    static func aggregated(_ entries: [BootstrapRoles.Entry]) -> [BootstrapRoles.Entry] {
        var entries = entries
        // One that gathers may be gathered itself (admin gathers edit, which gathers view): three rounds are enough.
        for _ in 1...3 {
            let roles = entries.filter { $0.kind == .clusterRole }.map(\.object)
            for index in entries.indices {
                guard let rules = RoleAggregation.rules(for: entries[index].object, among: roles) else { continue }
                entries[index].object["rules"] = .array(rules)
            }
        }
        return entries
    }
}
