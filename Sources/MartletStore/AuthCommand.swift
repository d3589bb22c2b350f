/// What a role may do with a range of keys.
public struct Permission: Sendable, Hashable {
    /// What may be done, with etcd's numbers.
    public enum Kind: UInt8, Sendable, Hashable {
        /// Reading.
        case read = 0
        /// Writing and deleting.
        case write
        /// Both.
        case readWrite
    }
    /// What may be done.
    public var kind: Kind
    /// With which keys.
    public var range: KeyRange
    /// A permission.
    public init(_ kind: Kind, _ range: KeyRange) {
        self.kind = kind
        self.range = range
    }
}

/// A change of users, roles or their rule.
public enum AuthCommand: Sendable, Hashable {
    /// Switches rules on; needs a user root with the role root.
    case enable
    /// Switches rules off.
    case disable
    /// A new user. The hash of the password is opaque here; nil: a user without one, known by certificate.
    case addUser(name: String, passwordHash: [UInt8]?)
    /// Removes a user.
    case deleteUser(name: String)
    /// Gives a user another password; users without one stay so.
    case changePassword(name: String, passwordHash: [UInt8])
    /// Gives a role to a user.
    case grantRole(user: String, role: String)
    /// Takes a role from a user.
    case revokeRole(user: String, role: String)
    /// A new role, without permissions.
    case addRole(name: String)
    /// Removes a role, also from its users.
    case deleteRole(name: String)
    /// Gives a permission to a role, or changes the kind of the one for the same range.
    case grantPermission(role: String, Permission)
    /// Takes the permission for exactly this range from a role.
    case revokePermission(role: String, KeyRange)
}
