/// A lease: a time to live that keys hang on. When it ends its keys are deleted.
public struct Lease: Sendable, Hashable {
    /// Its id.
    public var id: Int64
    /// Its time to live in seconds, as it was granted.
    public var ttl: Int64
    /// The keys that hang on it.
    public var keys: Set<[UInt8]>
    /// The longest time to live, in seconds; etcd's.
    public static let longestTTL: Int64 = 9_000_000_000
    /// A lease from its parts.
    public init(id: Int64, ttl: Int64, keys: Set<[UInt8]> = []) {
        self.id = id
        self.ttl = ttl
        self.keys = keys
    }
}
