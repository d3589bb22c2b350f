internal import HTTPTypes

/// Whom a request acts as, when that is not who sent it: the headers `Impersonate-User`, `Impersonate-Group`,
/// `Impersonate-Uid` and `Impersonate-Extra-...`. Nothing here looks at a uid or extras, so those two change nothing.
struct Impersonation: Sendable, Hashable {
    var user: String
    var groups: [String]

    private static let prefix = "impersonate-"

    /// Nil when the headers ask for none.
    /// - Throws: 400 when something is asked for, but no user.
    init?(_ fields: HTTPFields) throws(APIError) {
        var user = ""
        var groups: [String] = []
        var others: [String] = []
        for field in fields {
            let name = field.name.canonicalName
            guard name.hasPrefix(Self.prefix), !field.value.isEmpty else { continue }
            switch name.dropFirst(Self.prefix.count) {
            case "user": user = user.isEmpty ? field.value : user
            case "group": groups.append(field.value)
            case "uid": others.append("uid")
            case let rest where rest.hasPrefix("extra-"): others.append(String(rest))
            default: continue
            }
        }
        if user.isEmpty {
            let asked = groups.map { "group \($0)" } + others
            if asked.isEmpty { return nil }
            throw .badRequest("requested [\(asked.joined(separator: ", "))] without impersonating a user")
        }
        self.user = user
        self.groups = groups
    }

    /// Who the request acts as from here on.
    /// - Throws: 403 when `caller` may not: only `system:masters` may.
    func identity(for caller: Identity) throws(APIError) -> Identity {
        guard caller.groups.contains("system:masters") else {
            var access = AccessRequest(identity: caller, verb: "impersonate")
            access.resource = "users"
            access.name = user
            if let (namespace, name) = serviceAccount {
                access.resource = "serviceaccounts"
                access.namespace = namespace
                access.name = name
            }
            throw .forbidden(access)
        }
        var groups = groups
        if groups.isEmpty, let (namespace, _) = serviceAccount {
            groups = ["system:serviceaccounts", "system:serviceaccounts:\(namespace)"]
        }
        let standing = user == "system:anonymous" ? "system:unauthenticated" : "system:authenticated"
        if !groups.contains(standing) { groups.append(standing) }
        return Identity(user: user, groups: groups)
    }

    /// The parts of `system:serviceaccount:NAMESPACE:NAME`.
    private var serviceAccount: (namespace: String, name: String)? {
        let parts = user.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount", !parts[2].isEmpty,
            !parts[3].isEmpty
        else { return nil }
        return (String(parts[2]), String(parts[3]))
    }
}
