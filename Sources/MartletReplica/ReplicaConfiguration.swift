internal import Logging
public import MartletBase
public import MartletRaft
public import MartletStore

/// How a replica is set up.
public struct ReplicaConfiguration: Sendable {
    /// The folder of its log and checkpoint; made when absent. Empty means: all in memory, for tests.
    public var directory: String
    /// How many revisions of history are kept for watches and old reads.
    public var historyLimit: Int
    /// How it meets the other members; nil: a group of one without a network.
    public var peers: PeerConfiguration?
    /// Whether a leader answers reads without asking its followers first. That trusts that no two members' clocks
    /// differ in speed by more than a fifth, and slows the election of a new leader.
    public var leaseReads = false

    /// A replica whose files live in `directory`.
    public init(directory: String, historyLimit: Int = 10_000, peers: PeerConfiguration? = nil) {
        self.directory = directory
        self.historyLimit = historyLimit
        self.peers = peers
    }
}

/// A member among others.
public struct PeerConfiguration: Sendable {
    /// Its name; unique among the first members of a cluster.
    public var name: String
    /// Where it listens for its peers.
    public var listen: Endpoint
    /// Where its peers reach it: `https://10.0.0.1:2380`.
    public var peerURLs: [String]
    /// Where clients reach it, for those who ask for the members.
    public var clientURLs: [String]
    /// How it begins, when its folder is new. A folder with data goes on with that.
    public var bootstrap: Bootstrap
    /// Mutual TLS; nil: everybody who reaches the endpoint is believed.
    public var security: PeerSecurity?

    /// A member from its parts.
    public init(
        name: String, listen: Endpoint, peerURLs: [String], clientURLs: [String] = [], bootstrap: Bootstrap,
        security: PeerSecurity?
    ) {
        self.name = name
        self.listen = listen
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.bootstrap = bootstrap
        self.security = security
    }
}

/// How a member without data begins.
public enum Bootstrap: Sendable, Hashable {
    /// As the only member of a new cluster.
    case alone
    /// As one of the first members of a new cluster. All of them are given the same token and members.
    case cluster(token: String, members: [FirstMember])
    /// By asking members of a running cluster to be added; as one that votes once it has caught up, or as a learner
    /// for good.
    case join(via: [Endpoint], asLearner: Bool)
    /// As a member that was added to a running cluster under these ids.
    case added(cluster: UInt64, member: UInt64)
    /// Not at all: there must be data.
    case existing

    /// One of a cluster's first members.
    public struct FirstMember: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Where its peers reach it.
        public var peerURLs: [String]
        /// A member from its parts.
        public init(name: String, peerURLs: [String]) {
            self.name = name
            self.peerURLs = peerURLs
        }
    }

    /// The ids that follow from this for the member `name`; nil where they are drawn or given by others.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the names contradict each other.
    public func identifiers(of name: String) throws(ReplicaError) -> (cluster: UInt64, member: UInt64)? {
        switch self {
        case .cluster(let token, let members):
            let genesis = try Genesis.cluster(
                token: token, members: members.map { ($0.name, $0.peerURLs) }, name: name)
            return (genesis.identity.cluster, genesis.identity.member)
        case .added(let cluster, let member): return (cluster, member)
        case .alone, .join, .existing: return nil
        }
    }
}

/// Mistakes made on purpose, for tests that must find them; none in production.
public struct ReplicaMutations: Sendable, Hashable {
    /// One of Raft's.
    public var raft: RaftMutation?
    /// One of the store's.
    public var store: StoreMutation?
    /// Which.
    public init(raft: RaftMutation? = nil, store: StoreMutation? = nil) {
        self.raft = raft
        self.store = store
    }
}

extension PeerConfiguration {
    /// Checks, before anything is written, that a new member can begin so.
    /// - Throws: ``ReplicaError/unusable(_:)`` or ``PeerError/badURL(_:)``.
    func checkBootstrap() throws {
        if case .alone = bootstrap { return }
        let own = try peerURLs.map { try PeerURL.endpoint($0) }
        guard case .cluster(_, let members) = bootstrap else { return }
        _ = try bootstrap.identifiers(of: name)
        for member in members {
            let listed = try member.peerURLs.map { try PeerURL.endpoint($0) }
            if member.name == name, Set(listed) != Set(own) {
                throw ReplicaError.unusable(
                    "the first members' list has \(name) at \(member.peerURLs.joined(separator: ",")), but this member "
                        + "is to be reached at \(peerURLs.joined(separator: ",")): make --initial-cluster and "
                        + "--advertise-peer (or else --listen-peer) agree")
            }
        }
    }

    /// What a member with this configuration begins with when it has no data. `logger` is told why it takes long.
    func genesis(in world: any World, logger: Logger) async throws -> Genesis? {
        switch bootstrap {
        case .alone:
            return .alone(.drawn(in: world), name: name, peerURLs: peerURLs, clientURLs: clientURLs)
        case .cluster(let token, let members):
            for url in members.flatMap(\.peerURLs) { _ = try PeerURL.endpoint(url) }
            return try .cluster(token: token, members: members.map { ($0.name, $0.peerURLs) }, name: name)
        case .join(let endpoints, let asLearner): return try await join(via: endpoints, asLearner, in: world, logger)
        case .added(let cluster, let member): return .joining(cluster: cluster, member: member)
        case .existing: return nil
        }
    }
}

extension ReplicaIdentity {
    /// New ids. 0 is nobody, and the ids stay positive where they are shown as signed numbers.
    static func drawn(in world: any World) -> ReplicaIdentity {
        ReplicaIdentity(cluster: world.random() >> 1 | 1, member: world.random() >> 1 | 1)
    }
}
