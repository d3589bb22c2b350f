/// A key with its value and history, as etcd's KeyValue.
///
/// Key and value are arrays of their own, shared by all who hold the pair: live state, history, watchers and answers.
/// A pair of a 30-byte key and 1,000 bytes takes about 1.2 KB in the store, all included.
public struct KeyValue: Sendable, Hashable {
    /// The key.
    public var key: [UInt8]
    /// The value.
    public var value: [UInt8]
    /// The revision at which the key was made.
    public var createRevision: Int64
    /// The revision of its last change.
    public var modRevision: Int64
    /// Counts its changes since it was made; the first is 1.
    public var version: Int64
    /// The lease that the key hangs on; 0 when on none.
    public var lease: Int64
    /// A key with its value.
    public init(
        key: [UInt8], value: [UInt8], createRevision: Int64, modRevision: Int64, version: Int64, lease: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// A change that watchers see.
public struct StoreEvent: Sendable, Hashable {
    /// The pair after the change; for a deletion only `key` and `modRevision`, that of the deletion, are set.
    public var pair: KeyValue
    /// The pair before, nil when the key was made.
    public var previous: KeyValue?
    /// Whether the key is gone.
    public var isDeletion: Bool
    /// A change from its parts.
    public init(pair: KeyValue, previous: KeyValue?, isDeletion: Bool) {
        self.pair = pair
        self.previous = previous
        self.isDeletion = isDeletion
    }
}

/// Why the store refuses a read or watch.
public enum StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The revision is older than the history that is kept.
    case compacted(oldest: Int64)
    /// The revision has not happened yet.
    case future(current: Int64)

    /// One line for people.
    public var description: String {
        switch self {
        case .compacted(let oldest): "the revision is older than the kept history, which begins at \(oldest)"
        case .future(let current): "the revision is newer than the store's, which is \(current)"
        }
    }
}
