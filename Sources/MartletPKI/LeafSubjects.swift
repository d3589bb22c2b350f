/// Whom the leaves of a master are made out for.
public struct LeafSubjects: Sendable, Hashable {
    /// Its name in the cluster.
    public var nodeName: String
    /// Further names of its API.
    public var names: [String]
    /// Its addresses.
    public var addresses: [String]
    /// How long each is good for.
    public var lifetime: Duration

    /// Subjects from their parts.
    public init(
        nodeName: String, names: [String], addresses: [String], lifetime: Duration = ClusterPKI.standardLifetime
    ) {
        self.nodeName = nodeName
        self.names = names
        self.addresses = addresses
        self.lifetime = lifetime
    }
}
