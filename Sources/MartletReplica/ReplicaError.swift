/// Why a replica refuses.
public enum ReplicaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No member leads that this one knows and can reach.
    case notLeader
    /// The change is larger than the log takes.
    case tooLarge(limit: Int)
    /// So many changes or reads wait that no more are taken in; nothing was changed. Try again.
    case overloaded
    /// It was not decided in time, or this member missed the decision: whether the change was made is not known.
    case timedOut
    /// The log has no room now; nothing was changed, and nothing can be read that others have changed. Says what to do.
    case noRoom(String)
    /// The log has had no room for a while: the change is made when there is room again, or not at all. Says what to
    /// do.
    case undecided(String)
    /// The membership cannot be changed so, or not now; nothing was changed.
    case membership(MembershipRefusal)
    /// The log failed or the replica was closed; whether the change was made is not known.
    case stopped(String)
    /// The data folder holds something that this program cannot use; says what, and what to do.
    case unusable(String)

    /// What a member says with ``stopped(_:)`` that is one no longer.
    public static let removal =
        "this member was removed from the cluster; to take part again it joins anew, with an empty folder"

    /// One line for people.
    public var description: String {
        switch self {
        case .notLeader: "no leader"
        case .tooLarge(let limit): "the change is over the limit of \(limit) bytes"
        case .overloaded: "too many changes are waiting to be written; try again"
        case .timedOut: "no quorum decided in time; whether the change was made is not known"
        case .noRoom(let why): "the store takes no changes now: \(why)"
        case .undecided(let why): "whether the change is made is not known: \(why)"
        case .membership(let refusal): refusal.description
        case .stopped(let why): "the store has stopped: \(why)"
        case .unusable(let why): why
        }
    }
}

/// Why the membership was not changed.
public enum MembershipRefusal: Sendable, Hashable, CustomStringConvertible {
    /// Another change is not finished.
    case changeInProgress
    /// The member is one already.
    case alreadyMember
    /// There is no such member, or no such learner.
    case notMember
    /// The learner has not caught up.
    case learnerNotReady
    /// A group keeps at least one member that votes.
    case lastVoter
    /// Too few of the members that the change leaves are alive.
    case quorumLost
    /// A peer URL cannot be used; says why.
    case badURL(String)
    /// Another member has one of these peer URLs.
    case urlTaken

    /// One line for people.
    public var description: String {
        switch self {
        case .changeInProgress: "another change of the membership is not finished; try again"
        case .alreadyMember: "it is a member already"
        case .notMember: "there is no such member"
        case .learnerNotReady: "the learner has not caught up with the leader; try again later"
        case .lastVoter: "the last member that votes cannot go"
        case .quorumLost: "too few of the members that would be left are alive; start them first"
        case .badURL(let why): why
        case .urlTaken: "another member has one of these peer URLs"
        }
    }
}
