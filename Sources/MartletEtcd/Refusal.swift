internal import MartletHTTP

/// Why a call is refused, with etcd's codes and words (etcd's `rpctypes/error.go`): clients compare both.
enum Refusal: Error, Hashable {
    // Keys.
    case emptyKey, keyNotFound, valueProvided, leaseProvided, tooManyOperations, duplicateKey, compacted, futureRevision
    case tooLarge, tooManyRequests, noSpace
    // Leases.
    case leaseNotFound, leaseExists, leaseTTLTooLarge
    // Members.
    case memberExists, peerURLExists, notEnoughStarted, badMemberURLs, memberNotFound, notLearner, learnerNotReady
    case tooManyLearners, badTransferee, unhealthy, learnerCannotServe
    // Users and roles.
    case rootUserMissing, rootRoleMissing, userExists, userEmpty, userNotFound, roleExists, roleNotFound, roleEmpty
    case authenticationFailed, permissionNotGiven, permissionDenied, roleNotGranted, permissionNotGranted
    case authenticationOff, invalidToken, invalidManagement, oldAuthRevision
    // The cluster.
    case noLeader, notLeader, leaderChanged, stopped, timedOut, corrupt, canceled, notCapable
    // Locks and elections.
    case electionNotLeader, electionNoLeader, leaderKeyMissing, sessionExpired
    /// A request that is no message.
    case malformed(String)
    /// A method that there is not.
    case unknownMethod(String)
    /// Something that etcd has no words for.
    case other(String)

    /// As gRPC tells it.
    var status: GRPCStatus {
        let (code, text) = words
        return GRPCStatus(code: code, message: text)
    }

    /// As a watch's last message tells it. etcd puts the code before the words where a user was refused.
    var reason: String {
        let text = words.text
        return switch self {
        case .permissionDenied: "rpc error: code = PermissionDenied desc = \(text)"
        case .invalidToken: "rpc error: code = Unauthenticated desc = \(text)"
        case .userEmpty, .oldAuthRevision: "rpc error: code = InvalidArgument desc = \(text)"
        default: text
        }
    }

    private typealias Words = (code: Int, text: String)

    private var words: (code: Int, text: String) {
        if let words = wordsOfKeys ?? wordsOfMembers ?? wordsOfUsers ?? wordsOfCluster { return words }
        return switch self {
        case .electionNotLeader: (Self.unknown, "election: not leader")
        case .electionNoLeader: (Self.unknown, "election: no leader")
        case .leaderKeyMissing: (Self.unknown, "\"leader\" field must be provided")
        case .sessionExpired: (Self.unknown, "mutex: session is expired")
        case .malformed(let what): (Self.internalError, "grpc: error unmarshalling request: \(what)")
        case .unknownMethod(let path): (Self.unimplemented, "unknown method \(path)")
        case .other(let text): (Self.unknown, text)
        default: (Self.unknown, "etcdserver: the request failed")
        }
    }

    private var wordsOfKeys: Words? {
        switch self {
        case .emptyKey: (Self.invalid, "etcdserver: key is not provided")
        case .keyNotFound: (Self.invalid, "etcdserver: key not found")
        case .valueProvided: (Self.invalid, "etcdserver: value is provided")
        case .leaseProvided: (Self.invalid, "etcdserver: lease is provided")
        case .tooManyOperations: (Self.invalid, "etcdserver: too many operations in txn request")
        case .duplicateKey: (Self.invalid, "etcdserver: duplicate key given in txn request")
        case .compacted: (Self.outOfRange, "etcdserver: mvcc: required revision has been compacted")
        case .futureRevision: (Self.outOfRange, "etcdserver: mvcc: required revision is a future revision")
        case .tooLarge: (Self.invalid, "etcdserver: request is too large")
        case .noSpace: (Self.exhausted, "etcdserver: mvcc: database space exceeded")
        case .tooManyRequests: (Self.exhausted, "etcdserver: too many requests")
        case .leaseNotFound: (Self.notFound, "etcdserver: requested lease not found")
        case .leaseExists: (Self.precondition, "etcdserver: lease already exists")
        case .leaseTTLTooLarge: (Self.outOfRange, "etcdserver: too large lease TTL")
        default: nil
        }
    }

    private var wordsOfMembers: Words? {
        switch self {
        case .memberExists: (Self.precondition, "etcdserver: member ID already exist")
        case .peerURLExists: (Self.precondition, "etcdserver: Peer URLs already exists")
        case .notEnoughStarted:
            (
                Self.precondition,
                "etcdserver: re-configuration failed due to not enough started members"
            )
        case .badMemberURLs: (Self.invalid, "etcdserver: given member URLs are invalid")
        case .memberNotFound: (Self.notFound, "etcdserver: member not found")
        case .notLearner: (Self.precondition, "etcdserver: can only promote a learner member")
        case .learnerNotReady:
            (
                Self.precondition,
                "etcdserver: can only promote a learner member which is in sync with leader"
            )
        case .tooManyLearners: (Self.precondition, "etcdserver: too many learner members in cluster")
        case .badTransferee: (Self.precondition, "etcdserver: bad leader transferee")
        case .unhealthy: (Self.unavailable, "etcdserver: unhealthy cluster")
        case .learnerCannotServe: (Self.unavailable, "etcdserver: rpc not supported for learner")
        default: nil
        }
    }

    private var wordsOfUsers: Words? {
        switch self {
        case .rootUserMissing: (Self.precondition, "etcdserver: root user does not exist")
        case .rootRoleMissing: (Self.precondition, "etcdserver: root user does not have root role")
        case .userExists: (Self.precondition, "etcdserver: user name already exists")
        case .userEmpty: (Self.invalid, "etcdserver: user name is empty")
        case .userNotFound: (Self.precondition, "etcdserver: user name not found")
        case .roleExists: (Self.precondition, "etcdserver: role name already exists")
        case .roleNotFound: (Self.precondition, "etcdserver: role name not found")
        case .roleEmpty: (Self.invalid, "etcdserver: role name is empty")
        case .authenticationFailed:
            (Self.invalid, "etcdserver: authentication failed, invalid user ID or password")
        case .permissionNotGiven: (Self.invalid, "etcdserver: permission not given")
        case .permissionDenied: (Self.denied, "etcdserver: permission denied")
        case .roleNotGranted: (Self.precondition, "etcdserver: role is not granted to the user")
        case .permissionNotGranted: (Self.precondition, "etcdserver: permission is not granted to the role")
        case .authenticationOff: (Self.precondition, "etcdserver: authentication is not enabled")
        case .invalidToken: (Self.unauthenticated, "etcdserver: invalid auth token")
        case .invalidManagement: (Self.invalid, "etcdserver: invalid auth management")
        case .oldAuthRevision: (Self.invalid, "etcdserver: revision of auth store is old")
        default: nil
        }
    }

    private var wordsOfCluster: Words? {
        switch self {
        case .noLeader: (Self.unavailable, "etcdserver: no leader")
        case .notLeader: (Self.precondition, "etcdserver: not leader")
        case .leaderChanged: (Self.unavailable, "etcdserver: leader changed")
        case .stopped: (Self.unavailable, "etcdserver: server stopped")
        case .timedOut: (Self.unavailable, "etcdserver: request timed out")
        case .corrupt: (Self.dataLoss, "etcdserver: corrupt cluster")
        case .canceled: (Self.cancelled, "etcdserver: request cancelled")
        case .notCapable: (Self.unavailable, "etcdserver: not capable")
        default: nil
        }
    }

    // gRPC's codes (google.rpc.Code).
    private static let cancelled = 1
    private static let unknown = 2
    private static let invalid = 3
    private static let notFound = 5
    private static let denied = 7
    private static let exhausted = 8
    private static let precondition = 9
    private static let outOfRange = 11
    private static let unimplemented = 12
    private static let internalError = 13
    private static let unavailable = 14
    private static let dataLoss = 15
    private static let unauthenticated = 16
}
