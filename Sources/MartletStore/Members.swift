/// A member as the directory knows it.
public struct MemberInfo: Sendable, Hashable {
    /// Its id, for good.
    public var id: UInt64
    /// Its name; empty until it has started.
    public var name: String
    /// Where its peers reach it.
    public var peerURLs: [String]
    /// Where clients reach it; empty until it has started.
    public var clientURLs: [String]
    /// Whether it does not vote.
    public var isLearner: Bool
    /// A member from its parts.
    public init(id: UInt64, name: String = "", peerURLs: [String], clientURLs: [String] = [], isLearner: Bool = false) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.isLearner = isLearner
    }
}

/// A change of the directory of members. Who votes is Raft's; this is who they are and where.
public enum MemberCommand: Sendable, Hashable {
    /// The cluster begins: its id, and its first members.
    case genesis(clusterID: UInt64, members: [MemberInfo])
    /// A member joins.
    case add(MemberInfo)
    /// A member leaves.
    case remove(id: UInt64)
    /// A member moves.
    case update(id: UInt64, peerURLs: [String])
    /// A learner votes from now on.
    case promote(id: UInt64)
    /// What a member says of itself when it starts.
    case describe(id: UInt64, name: String, clientURLs: [String])
    /// The whole directory, put in the place of the one before: recovery from a lost quorum.
    case replace([MemberInfo])
}
