internal import MartletObject

/// Which role.
struct RoleName: Sendable, Hashable {
    /// Empty for a ClusterRole.
    var namespace: String
    var name: String

    var kind: String { namespace.isEmpty ? "ClusterRole" : "Role" }
    /// `clusterrole.rbac.authorization.k8s.io "x" not found`
    var absence: String { "\(kind.lowercased()).rbac.authorization.k8s.io \"\(name)\" not found" }
}

/// Whom a binding is for: a user, or a group. A service account is the user of that name.
enum RoleSubject: Sendable, Hashable {
    case user(String)
    case group(String)

    /// Reads a binding's subject; a service account without a namespace is one of the binding's.
    init?(_ subject: JSON, in namespace: String) {
        guard let name = subject["name"]?.string else { return nil }
        switch subject["kind"]?.string {
        case "User": self = .user(name)
        case "Group": self = .group(name)
        case "ServiceAccount":
            let stated = subject["namespace"]?.string ?? ""
            let home = stated.isEmpty ? namespace : stated
            if home.isEmpty { return nil }
            self = .user(Identity.user(ofServiceAccount: name, in: home))
        default: return nil
        }
    }

    /// As reasons name it.
    func text(in binding: RoleBinding) -> String {
        switch self {
        case .group(let name): return "Group \"\(name)\""
        case .user(let name):
            if let account = Identity.serviceAccount(name) {
                return "ServiceAccount \"\(account.name)/\(account.namespace)\""
            }
            return "User \"\(name)\""
        }
    }
}

/// A RoleBinding or ClusterRoleBinding, without its subjects.
struct RoleBinding: Sendable, Hashable, CustomStringConvertible {
    /// Empty for a ClusterRoleBinding.
    var namespace: String
    var name: String
    var role: RoleName

    /// `RoleBinding "NAME/NAMESPACE" of Role "ROLE"`
    var description: String {
        let what =
            namespace.isEmpty ? "ClusterRoleBinding \"\(name)\"" : "RoleBinding \"\(name)/\(namespace)\""
        return "\(what) of \(role.kind) \"\(role.name)\""
    }
}

/// Who may do what by roles: all Roles, ClusterRoles and their bindings, laid out so that a decision is a few look-ups.
/// It holds what the store holds of these kinds, and no more.
struct RoleTable: Sendable {
    private var roles: [RoleName: [PolicyRule]] = [:]
    private var bindings: [[UInt8]: (binding: RoleBinding, subjects: [RoleSubject])] = [:]
    private var bySubject: [RoleSubject: [RoleBinding]] = [:]

    /// Decides a request. What is allowed is allowed by the first binding that is met; when nothing allows it, bindings
    /// whose role is missing are named.
    func decide(_ request: AccessRequest) -> Verdict {
        let combined = request.combinedResource
        var dangling: [RoleBinding] = []
        for subject in Self.subjects(request.identity) {
            for binding in bySubject[subject] ?? []
            where binding.namespace.isEmpty || binding.namespace == request.namespace {
                guard let rules = roles[binding.role] else {
                    dangling.append(binding)
                    continue
                }
                if rules.contains(where: { $0.allows(request, combined: combined) }) {
                    return .allowed(.binding(binding, subject))
                }
            }
        }
        return .refused(Self.reason(dangling))
    }

    /// All rules that somebody has in a namespace, and the roles that are missing.
    func rules(of identity: Identity, in namespace: String) -> (rules: [PolicyRule], faults: [String]) {
        var found: [RoleBinding] = []
        for subject in Self.subjects(identity) {
            found += (bySubject[subject] ?? []).filter { $0.namespace.isEmpty || $0.namespace == namespace }
        }
        let ordered = Self.ordered(found)
        return (
            ordered.flatMap { roles[$0.role] ?? [] },
            ordered.filter { roles[$0.role] == nil }.map(\.role.absence)
        )
    }

    /// The rules of a role; nil when there is none of that name.
    func rules(of role: RoleName) -> [PolicyRule]? { roles[role] }

    private static func subjects(_ identity: Identity) -> [RoleSubject] {
        [.user(identity.user)] + identity.groups.map { .group($0) }
    }

    /// Cluster-wide bindings first, then by name, each once.
    private static func ordered(_ bindings: [RoleBinding]) -> [RoleBinding] {
        Set(bindings).sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
    }

    private static func reason(_ dangling: [RoleBinding]) -> String {
        let texts = ordered(dangling).map(\.role.absence)
        switch texts.count {
        case 0: return ""
        case 1: return "RBAC: \(texts[0])"
        default: return "RBAC: [\(texts.joined(separator: ", "))]"
        }
    }
}

extension RoleTable: FollowedIndex {
    static let ranges = [Keys.group("rbac.authorization.k8s.io")]

    mutating func apply(_ key: [UInt8], _ value: [UInt8]?) {
        // .../roles/NAMESPACE/NAME, .../clusterroles/NAME
        let parts = String(decoding: key, as: UTF8.self).split(separator: "/").dropFirst(2).map(String.init)
        guard let plural = parts.first, let name = parts.last else { return }
        let namespace = parts.count > 2 ? parts[1] : ""
        switch plural {
        case "roles", "clusterroles":
            let object = value.flatMap { try? JSON(parsing: $0) }
            roles[RoleName(namespace: namespace, name: name)] = object.map(PolicyRule.rules(of:))
        case "rolebindings", "clusterrolebindings":
            forget(key)
            if let object = value.flatMap({ try? JSON(parsing: $0) }) { learn(key, object, namespace, name) }
        default: return
        }
    }

    private mutating func forget(_ key: [UInt8]) {
        guard let known = bindings.removeValue(forKey: key) else { return }
        for subject in known.subjects {
            bySubject[subject]?.removeAll { $0 == known.binding }
            if bySubject[subject]?.isEmpty == true { bySubject[subject] = nil }
        }
    }

    private mutating func learn(_ key: [UInt8], _ object: JSON, _ namespace: String, _ name: String) {
        let reference = object["roleRef"]
        guard let role = reference?["name"]?.string, let kind = reference?["kind"]?.string else { return }
        let binding = RoleBinding(
            namespace: namespace, name: name,
            role: RoleName(namespace: kind == "Role" ? namespace : "", name: role))
        let subjects = Set((object["subjects"]?.array ?? []).compactMap { RoleSubject($0, in: namespace) })
        bindings[key] = (binding, Array(subjects))
        for subject in subjects { bySubject[subject, default: []].append(binding) }
    }
}
