/// The bounds of etcd's API.
public struct EtcdLimits: Sendable {
    /// Bytes of a request that changes something. etcd's own bound is the same.
    public var request = 3 << 19
    /// Conditions, and steps in each branch, of a transaction; those inside count for their outer ones.
    public var operations = 128
    /// How long a token is good for, in seconds. Clients ask for another by themselves.
    public var tokenLifetime: Int64 = 3600
    /// How often quiet watches that asked for it are told how far the store is.
    public var progressInterval: Duration = .seconds(600)
    /// Bytes of one message to a watcher, about: a revision is divided only where the watcher allows it.
    public var watchMessage = 1 << 20
    /// Watches on one stream.
    public var watchesPerStream = 100_000
    /// Revisions of history that are looked at in one step for a watch that lags.
    public var scannedRevisions = 4096
    /// Events that one step for a watch that lags hands on, about.
    public var eventsPerStep = 1024
    /// How often a call is judged anew because users or roles changed under it.
    public var authAttempts = 8
    /// After so many seconds without a leader, streams whose clients asked for one end.
    public var leaderPatience = 3
    /// How often a call that waits for a lock or an election looks at the keys before its own, at most.
    public var waits = 1_000_000

    /// etcd's bounds.
    public init() {}
}
