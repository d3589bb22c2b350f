internal import MartletHTTP
internal import MartletReplica
internal import MartletStore

/// What others refuse, in etcd's words.
extension Refusal {
    /// The outcome of a call that failed with `error`.
    static func status(of error: any Error) -> GRPCStatus {
        switch error {
        case let status as GRPCStatus: status
        case let refusal as Refusal: refusal.status
        case let error as WireError: Refusal.malformed("\(error.what) at byte \(error.offset)").status
        case let refusal as CommandRefusal: Refusal(refusal).status
        case let error as StoreError: Refusal(error).status
        case let error as ReplicaError: Refusal(error).status
        case is CancellationError: Refusal.canceled.status
        default: Refusal.other("etcdserver: \(error)").status
        }
    }

    init(_ error: StoreError) {
        switch error {
        case .compacted: self = .compacted
        case .future: self = .futureRevision
        }
    }

    init(_ refusal: CommandRefusal) {
        switch refusal {
        case .leaseNotFound: self = .leaseNotFound
        case .leaseExists: self = .leaseExists
        case .leaseTooLong: self = .leaseTTLTooLarge
        case .compacted: self = .compacted
        case .futureRevision: self = .futureRevision
        case .keyNotFound: self = .keyNotFound
        case .duplicateKey: self = .duplicateKey
        case .authRevisionChanged: self = .oldAuthRevision
        case .rootUserMissing: self = .rootUserMissing
        case .rootRoleMissing: self = .rootRoleMissing
        case .rootIsNeeded: self = .invalidManagement
        case .userEmpty: self = .userEmpty
        case .userExists: self = .userExists
        case .userNotFound: self = .userNotFound
        case .passwordMissing: self = .authenticationFailed
        case .roleEmpty: self = .roleEmpty
        case .roleExists: self = .roleExists
        case .roleNotFound: self = .roleNotFound
        case .roleNotGranted: self = .roleNotGranted
        case .permissionNotGranted: self = .permissionNotGranted
        case .memberNotFound: self = .memberNotFound
        case .memberExists: self = .memberExists
        case .peerURLExists: self = .peerURLExists
        case .memberNotLearner: self = .notLearner
        case .alreadyBegun: self = .other("etcdserver: \(refusal)")
        }
    }

    init(_ error: ReplicaError) {
        switch error {
        case .notLeader: self = .noLeader
        case .tooLarge: self = .tooLarge
        case .overloaded: self = .tooManyRequests
        case .timedOut: self = .timedOut
        case .noRoom: self = .noSpace
        case .undecided: self = .other("etcdserver: no space; \(error)")
        case .membership(let refusal): self = Refusal(refusal)
        case .stopped: self = .stopped
        case .unusable(let why): self = .other("etcdserver: \(why)")
        }
    }

    init(_ refusal: MembershipRefusal) {
        switch refusal {
        case .changeInProgress, .quorumLost: self = .unhealthy
        case .alreadyMember: self = .memberExists
        case .notMember: self = .memberNotFound
        case .learnerNotReady: self = .learnerNotReady
        case .lastVoter: self = .notEnoughStarted
        case .badURL: self = .badMemberURLs
        case .urlTaken: self = .peerURLExists
        }
    }
}
