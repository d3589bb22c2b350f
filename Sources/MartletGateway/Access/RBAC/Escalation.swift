internal import MartletObject

/// Whoever writes a role or binds one gives nothing away that they do not have: as upstream's checks of the kinds of
/// `rbac.authorization.k8s.io`.
struct Escalation: Sendable {
    let access: AccessControl
    let identity: Identity

    /// What a write of a role or binding must be checked for; nil for other kinds, and for changes that give nothing.
    enum Question: Sendable, Hashable {
        /// All these rules must be had.
        case rules([PolicyRule], gathers: Bool)
        /// All rules of this role must be had.
        case role(RoleName)

        init?(_ kind: ResourceKind, _ object: JSON, old: JSON?) {
            if let old, Self.changesNothing(old, object) { return nil }
            switch kind {
            case .role, .clusterRole:
                let gathers = [object, old].contains { $0?["aggregationRule"] != nil }
                self = .rules(PolicyRule.rules(of: object), gathers: gathers)
            case .roleBinding, .clusterRoleBinding:
                let isLocal = object["roleRef", "kind"]?.string == "Role"
                self = .role(
                    RoleName(
                        namespace: isLocal ? object.namespace : "", name: object["roleRef", "name"]?.string ?? ""))
            default: return nil
            }
        }

        /// Whether a change is about nothing but what the end of an object waits for. A new label may give rights
        /// away: roles are gathered by labels.
        private static func changesNothing(_ old: JSON, _ object: JSON) -> Bool {
            func bare(_ object: JSON) -> JSON {
                var object = object
                for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
                    object["metadata", field] = nil
                }
                return object
            }
            return bare(old) == bare(object)
        }
    }

    /// - Throws: 403, or 404 for a binding whose role is not there.
    func check(_ question: Question, _ kind: ResourceKind, _ object: JSON) async throws(APIError) {
        if identity.isMaster { return }
        let subject = Subject(kind: kind, name: object.name)
        switch question {
        case .rules(let rules, let gathers):
            if try await may("escalate", kind.plural, object.namespace, object.name) { return }
            try await confirm(rules, in: object.namespace, subject)
            guard gathers else { return }
            // What gathers can come to hold anything.
            let (owned, _) = try await access.rules(of: identity, in: object.namespace)
            if !PolicyRule.missing(in: owned, of: Self.everything).isEmpty {
                throw .forbidden(subject, "must have cluster-admin privileges to use the aggregationRule")
            }
        case .role(let role):
            let plural = role.namespace.isEmpty ? "clusterroles" : "roles"
            if try await may("bind", plural, object.namespace, role.name) { return }
            guard let rules = try await access.rules(of: role) else {
                let details: JSON = [
                    "name": .string(role.name), "group": "rbac.authorization.k8s.io",
                    "kind": .string(role.kind.lowercased()),
                ]
                throw APIError(404, .notFound, role.absence, details: details)
            }
            try await confirm(rules, in: object.namespace, subject)
        }
    }

    private static let everything: [PolicyRule] = {
        var resources = PolicyRule()
        resources.verbs = ["*"]
        resources.apiGroups = ["*"]
        resources.resources = ["*"]
        var paths = PolicyRule()
        paths.verbs = ["*"]
        paths.nonResourceURLs = ["*"]
        return [resources, paths]
    }()

    private func may(
        _ verb: String, _ plural: String, _ namespace: String, _ name: String
    ) async throws(APIError) -> Bool {
        var request = AccessRequest(identity: identity, verb: verb)
        request.group = "rbac.authorization.k8s.io"
        request.resource = plural
        request.namespace = namespace
        request.name = name
        return try await access.decide(request).isAllowed
    }

    private func confirm(
        _ rules: [PolicyRule], in namespace: String, _ subject: Subject
    ) async throws(APIError) {
        let (owned, faults) = try await access.rules(of: identity, in: namespace)
        let missing = PolicyRule.missing(in: owned, of: rules)
        if missing.isEmpty { return }
        let texts = Set(missing.map(\.description)).sorted()
        var why = "user \"\(identity.user)\" (groups=\(PolicyRule.quoted(identity.groups))) is attempting to grant "
        why += "RBAC permissions not currently held:\n\(texts.joined(separator: "\n"))"
        if !faults.isEmpty { why += "; resolution errors: [\(faults.joined(separator: ", "))]" }
        throw .forbidden(subject, why)
    }
}
