/// What an entry of the log asks of the store. Applying it is deterministic.
public struct Command: Sendable, Hashable {
    /// What is to be done.
    public enum Kind: Sendable, Hashable {
        /// A change of keys.
        case transaction(Transaction)
        /// A new lease of `ttl` seconds. The id is chosen by the proposer and not 0.
        case grantLease(id: Int64, ttl: Int64)
        /// Ends a lease and deletes its keys.
        case revokeLease(id: Int64)
        /// Forgets the history before a revision.
        case compact(Int64)
        /// A change of users, roles or their rule.
        case auth(AuthCommand)
        /// A change of the directory of members.
        case member(MemberCommand)
        /// Compares the state after the entry `index` with that of the member who proposed this.
        case check(index: UInt64, hash: UInt64)
    }

    /// What is to be done.
    public var kind: Kind
    /// The revision of the users and roles under which the proposer allowed it. Where rules have changed since, the
    /// command is refused with ``CommandRefusal/authRevisionChanged``: allow it anew and propose again. Nil: no matter.
    public var authRevision: UInt64?

    /// A command.
    public init(_ kind: Kind, authRevision: UInt64? = nil) {
        self.kind = kind
        self.authRevision = authRevision
    }
}

/// What became of a command that was not refused.
public enum CommandResult: Sendable, Hashable {
    /// A transaction's answers.
    case transaction(TransactionResult)
    /// The lease that was granted.
    case lease(id: Int64, ttl: Int64)
    /// Done; the store's revision after it.
    case done(revision: Int64)
}

/// Why a command changed nothing. The same on every member: refusals are results, not faults.
public enum CommandRefusal: Error, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// There is no such lease.
    case leaseNotFound
    /// A lease of that id exists.
    case leaseExists
    /// The lease's time is longer than ``Lease/longestTTL``.
    case leaseTooLong
    /// The revision is older than the kept history.
    case compacted
    /// The revision has not happened yet.
    case futureRevision
    /// A put that leaves value or lease as they are found no key.
    case keyNotFound
    /// A transaction might change a key twice.
    case duplicateKey
    /// Users or roles have changed since the command was allowed.
    case authRevisionChanged
    /// Rules cannot be switched on without a user `root`.
    case rootUserMissing
    /// Rules cannot be switched on as long as user `root` lacks the role `root`.
    case rootRoleMissing
    /// User or role `root` cannot lose this while rules are on.
    case rootIsNeeded
    /// A user's name is empty.
    case userEmpty
    /// There is a user of that name.
    case userExists
    /// There is no user of that name.
    case userNotFound
    /// A user that needs a password was given none.
    case passwordMissing
    /// A role's name is empty.
    case roleEmpty
    /// There is a role of that name.
    case roleExists
    /// There is no role of that name.
    case roleNotFound
    /// The user does not have the role.
    case roleNotGranted
    /// The role does not have the permission.
    case permissionNotGranted
    /// There is no such member.
    case memberNotFound
    /// There is a member of that id.
    case memberExists
    /// Another member has one of these peer URLs.
    case peerURLExists
    /// The member votes already.
    case memberNotLearner
    /// The cluster has begun already.
    case alreadyBegun

    /// One line for people.
    public var description: String {
        switch self {
        case .leaseNotFound: "there is no such lease; grant one first"
        case .leaseExists: "there is a lease of that id; choose another"
        case .leaseTooLong: "the lease is longer than \(Lease.longestTTL) seconds"
        case .compacted: "the revision is older than the kept history"
        case .futureRevision: "the revision is newer than the store's"
        case .keyNotFound: "there is no such key whose value or lease could be left as it is"
        case .duplicateKey: "the transaction might change a key twice; divide it"
        case .authRevisionChanged: "users or roles changed meanwhile; try again"
        case .rootUserMissing: "add the user root before rules are switched on"
        case .rootRoleMissing: "grant the role root to the user root before rules are switched on"
        case .rootIsNeeded: "switch rules off before root loses this"
        case .userEmpty: "a user needs a name"
        case .userExists: "there is a user of that name"
        case .userNotFound: "there is no user of that name"
        case .passwordMissing: "this user needs a password"
        case .roleEmpty: "a role needs a name"
        case .roleExists: "there is a role of that name"
        case .roleNotFound: "there is no role of that name"
        case .roleNotGranted: "the user does not have that role"
        case .permissionNotGranted: "the role does not have that permission"
        case .memberNotFound: "there is no such member"
        case .memberExists: "there is a member of that id"
        case .peerURLExists: "another member has one of these peer URLs"
        case .memberNotLearner: "the member votes already"
        case .alreadyBegun: "the cluster has begun already"
        }
    }
}

/// What an entry did.
public struct Applied: Sendable, Hashable {
    /// Two members whose states differ: this one must stop.
    public struct Divergence: Error, Sendable, Hashable, CustomStringConvertible {
        /// After which entry.
        public var index: UInt64
        /// The other member's hash.
        public var expected: UInt64
        /// This member's.
        public var found: UInt64
        /// One line for people.
        public var description: String {
            "after entry \(index) this member's state differs from its leader's (hash \(found), not \(expected)); "
                + "remove it from its cluster, empty its data folder, and let it join anew, or, when it is the only "
                + "member, restore a snapshot"
        }
    }

    /// The answer for whoever proposed it.
    public var result: Result<CommandResult, CommandRefusal>
    /// What changed, in order. All of one revision, the one below.
    public var events: [StoreEvent]
    /// The store's revision after the entry.
    public var revision: Int64
    /// Set when a check found another state than the one here.
    public var divergence: Divergence?

    /// What an entry did, from its parts.
    public init(
        result: Result<CommandResult, CommandRefusal>, events: [StoreEvent] = [], revision: Int64,
        divergence: Divergence? = nil
    ) {
        self.result = result
        self.events = events
        self.revision = revision
        self.divergence = divergence
    }

    /// The answers of a transaction; nil for other commands and refused ones.
    public var transaction: TransactionResult? {
        if case .success(.transaction(let result)) = result { result } else { nil }
    }
}
