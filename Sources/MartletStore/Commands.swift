/// A change to the store, as it stands in the replicated log: conditions, and what to do when all hold, or not.
/// etcd's Txn. Applying it is deterministic.
public struct Transaction: Sendable, Hashable {
    /// All must hold for ``success`` to be carried out.
    public var conditions: [Condition]
    /// Done when all conditions hold.
    public var success: [Operation]
    /// Done otherwise.
    public var failure: [Operation]

    /// A transaction from its parts.
    public init(when conditions: [Condition] = [], then success: [Operation], otherwise failure: [Operation] = []) {
        self.conditions = conditions
        self.success = success
        self.failure = failure
    }
}

/// A condition on one key.
public enum Condition: Sendable, Hashable {
    /// The key's last change was at this revision; 0 means that there is no such key.
    case modRevision(key: [UInt8], is: Int64)
    /// The key was made at this revision; 0 means that there is no such key.
    case createRevision(key: [UInt8], is: Int64)
}

/// One step of a transaction. All steps of one transaction share one revision.
public enum Operation: Sendable, Hashable {
    /// Sets a key.
    case put(key: [UInt8], value: [UInt8])
    /// Deletes a key; nothing happens when it is absent.
    case delete(key: [UInt8])
    /// Deletes all keys from `from` up to, not including, `to`.
    case deleteRange(from: [UInt8], to: [UInt8])
    /// Reads a key at the transaction's moment.
    case get(key: [UInt8])
}

/// A key with its value and history, as etcd's KeyValue.
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
    /// A key with its value.
    public init(key: [UInt8], value: [UInt8], createRevision: Int64, modRevision: Int64, version: Int64) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
    }
}

/// What became of a transaction.
public struct TransactionResult: Sendable, Hashable {
    /// Whether the conditions held.
    public var succeeded: Bool
    /// The store's revision after it.
    public var revision: Int64
    /// What each step found: for `get` the pair, for `delete` and `put` the pair before, nil where there was none.
    public var results: [KeyValue?]
    /// A result from its parts.
    public init(succeeded: Bool, revision: Int64, results: [KeyValue?]) {
        self.succeeded = succeeded
        self.revision = revision
        self.results = results
    }
}

/// A change that watchers see.
public struct StoreEvent: Sendable, Hashable {
    /// The pair after the change; for a deletion its value is empty and `modRevision` is that of the deletion.
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
