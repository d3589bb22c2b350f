/// Users, roles and whether they rule.
public struct AuthState: Sendable, Hashable {
    /// A user.
    public struct User: Sendable, Hashable {
        /// The hash of the password, opaque here; nil: the user has none and is known by a certificate.
        public var passwordHash: [UInt8]?
        /// The user's roles, sorted.
        public var roles: [String]
        /// A user from its parts.
        public init(passwordHash: [UInt8]?, roles: [String] = []) {
            self.passwordHash = passwordHash
            self.roles = roles
        }
    }
    /// A role.
    public struct Role: Sendable, Hashable {
        /// What it allows, sorted by the ranges' first keys.
        public var permissions: [Permission]
        /// A role from its parts.
        public init(permissions: [Permission] = []) { self.permissions = permissions }
    }
    /// What somebody wants to do with a range.
    public enum Access: Sendable, Hashable {
        /// Read it.
        case read
        /// Write or delete in it.
        case write
    }

    /// The name of the user and of the role that may do all.
    public static let root = "root"

    /// Whether rules are on.
    public var enabled = false
    /// Rises with each change; begins with 1.
    public var revision: UInt64 = 1
    /// By name.
    public var users: [String: User] = [:]
    /// By name.
    public var roles: [String: Role] = [:]

    /// No users, no roles, no rules.
    public init() {}

    /// Whether `user` may do that with all of `range`. Permissions that touch are taken together. Always so while rules
    /// are off.
    public func check(user: String, range: KeyRange, _ access: Access) -> Bool {
        guard enabled else { return true }
        guard let found = users[user] else { return false }
        if isRoot(found) { return true }
        var allowed: [KeyRange] = []
        for role in found.roles {
            for permission in roles[role]?.permissions ?? [] where Self.allows(permission.kind, access) {
                if !permission.range.isEmpty { allowed.append(permission.range) }
            }
        }
        allowed.sort { ByteOrder.compare($0.from, $1.from) < 0 }
        // The first key that is not known to be allowed moves up range by range.
        var missing = range.from
        for next in allowed {
            if ByteOrder.compare(next.from, missing) > 0 { return false }
            if next.to.isEmpty { return true }
            if ByteOrder.compare(next.to, missing) > 0 { missing = next.to }
            if !range.to.isEmpty, ByteOrder.compare(missing, range.to) >= 0 { return true }
        }
        return false
    }

    /// Whether `user` may change users, roles, members and leases of others: root's role. Always while rules are off.
    public func isAdministrator(_ user: String) -> Bool { !enabled || users[user].map(isRoot) ?? false }

    /// What a role allows, as it is shown: everything for root's.
    public func permissions(ofRole name: String) -> [Permission]? {
        guard let role = roles[name] else { return nil }
        return name == Self.root ? [Permission(.readWrite, .all)] : role.permissions
    }

    private func isRoot(_ user: User) -> Bool { user.roles.contains(Self.root) }

    private static func allows(_ kind: Permission.Kind, _ access: Access) -> Bool {
        kind == .readWrite || kind == (access == .read ? .read : .write)
    }
}

// MARK: Changes

extension AuthState {
    /// Carries out a change.
    mutating func apply(_ command: AuthCommand) throws(CommandRefusal) {
        switch command {
        case .enable:
            if enabled { return }
            guard let root = users[Self.root] else { throw .rootUserMissing }
            guard isRoot(root) else { throw .rootRoleMissing }
            enabled = true
        case .disable:
            if !enabled { return }
            enabled = false
        case .addUser(let name, let passwordHash):
            if name.isEmpty { throw .userEmpty }
            if users[name] != nil { throw .userExists }
            users[name] = User(passwordHash: passwordHash)
        case .deleteUser(let name):
            if enabled, name == Self.root { throw .rootIsNeeded }
            if users.removeValue(forKey: name) == nil { throw .userNotFound }
        case .changePassword(let name, let passwordHash):
            guard let user = users[name] else { throw .userNotFound }
            if user.passwordHash != nil {
                if passwordHash.isEmpty { throw .passwordMissing }
                users[name]?.passwordHash = passwordHash
            }
        case .grantRole(let user, let role):
            if try !grant(role, to: user) { return }
        case .revokeRole(let user, let role):
            if enabled, user == Self.root, role == Self.root { throw .rootIsNeeded }
            guard let found = users[user] else { throw .userNotFound }
            guard let index = found.roles.firstIndex(of: role) else { throw .roleNotGranted }
            users[user]?.roles.remove(at: index)
        default: try applyToRoles(command)
        }
        revision += 1
    }

    /// Gives a role; false when the user has it. The role root need not have been made.
    private mutating func grant(_ role: String, to user: String) throws(CommandRefusal) -> Bool {
        guard let found = users[user] else { throw .userNotFound }
        if role != Self.root, roles[role] == nil { throw .roleNotFound }
        if found.roles.contains(role) { return false }
        users[user]?.roles.append(role)
        users[user]?.roles.sort { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        return true
    }

    private mutating func applyToRoles(_ command: AuthCommand) throws(CommandRefusal) {
        switch command {
        case .addRole(let name):
            if name.isEmpty { throw .roleEmpty }
            if roles[name] != nil { throw .roleExists }
            roles[name] = Role()
        case .deleteRole(let name):
            if enabled, name == Self.root { throw .rootIsNeeded }
            if roles.removeValue(forKey: name) == nil { throw .roleNotFound }
            for user in users.keys { users[user]?.roles.removeAll { $0 == name } }
        case .grantPermission(let name, let permission):
            guard var role = roles[name] else { throw .roleNotFound }
            if let index = role.permissions.firstIndex(where: { $0.range == permission.range }) {
                role.permissions[index] = permission
            } else {
                let index =
                    role.permissions.firstIndex { ByteOrder.compare($0.range.from, permission.range.from) > 0 }
                    ?? role.permissions.count
                role.permissions.insert(permission, at: index)
            }
            roles[name] = role
        case .revokePermission(let name, let range):
            guard let role = roles[name] else { throw .roleNotFound }
            guard let index = role.permissions.firstIndex(where: { $0.range == range }) else {
                throw .permissionNotGranted
            }
            roles[name]?.permissions.remove(at: index)
        default: return
        }
    }
}
