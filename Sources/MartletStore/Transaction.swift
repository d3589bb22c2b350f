/// A change of keys: conditions, and what to do when all hold, or not. etcd's Txn.
///
/// All conditions, those of nested transactions too, are judged before anything is changed. Then the steps are done in
/// order; reads see the steps before them. All changes share one revision. No key is changed twice: a transaction that
/// might is refused with ``CommandRefusal/duplicateKey``.
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

/// A condition on all pairs of a range. Where the range is empty, a key that was never made is judged (all numbers 0),
/// and a condition on the value fails.
public struct Condition: Sendable, Hashable {
    /// What is compared, and with what.
    public enum Target: Sendable, Hashable {
        /// The count of changes; 0 for no key.
        case version(Int64)
        /// The revision at which the key was made; 0 for no key.
        case create(Int64)
        /// The revision of the last change; 0 for no key.
        case mod(Int64)
        /// The lease; 0 for none.
        case lease(Int64)
        /// The value.
        case value([UInt8])
    }
    /// How the pair's own has to stand to the target's.
    public enum Relation: UInt8, Sendable, Hashable {
        /// The same.
        case equal = 0
        /// The pair's is greater.
        case greater
        /// The pair's is less.
        case less
        /// Not the same.
        case notEqual
    }

    /// What is compared.
    public var target: Target
    /// How it has to stand.
    public var relation: Relation
    /// Whose.
    public var range: KeyRange

    /// A condition from its parts.
    public init(_ target: Target, _ relation: Relation, in range: KeyRange) {
        self.target = target
        self.relation = relation
        self.range = range
    }
    /// The key's last change was at this revision; 0 means that there is no such key.
    public static func modRevision(key: [UInt8], is revision: Int64) -> Condition {
        Condition(.mod(revision), .equal, in: KeyRange(key: key))
    }
    /// The key was made at this revision; 0 means that there is no such key.
    public static func createRevision(key: [UInt8], is revision: Int64) -> Condition {
        Condition(.create(revision), .equal, in: KeyRange(key: key))
    }

    /// Whether it holds for `pair`.
    func holds(for pair: KeyValue) -> Bool {
        let order =
            switch target {
            case .version(let number): Self.order(pair.version, number)
            case .create(let number): Self.order(pair.createRevision, number)
            case .mod(let number): Self.order(pair.modRevision, number)
            case .lease(let number): Self.order(pair.lease, number)
            case .value(let bytes): ByteOrder.compare(pair.value, bytes)
            }
        return switch relation {
        case .equal: order == 0
        case .notEqual: order != 0
        case .greater: order > 0
        case .less: order < 0
        }
    }
    private static func order(_ a: Int64, _ b: Int64) -> Int { a < b ? -1 : a > b ? 1 : 0 }
}

/// The setting of a key, as etcd's PutRequest.
public struct Put: Sendable, Hashable {
    /// The key.
    public var key: [UInt8]
    /// The value; no matter with ``ignoresValue``.
    public var value: [UInt8]
    /// The lease to hang the key on; 0: none. A key that hung on another is taken off that.
    public var lease: Int64
    /// Leaves the value as it is; the key must exist.
    public var ignoresValue: Bool
    /// Leaves the lease as it is; the key must exist.
    public var ignoresLease: Bool
    /// Returns the pair before.
    public var returnsPrevious: Bool
    /// A put from its parts.
    public init(
        _ key: [UInt8], _ value: [UInt8], lease: Int64 = 0, ignoresValue: Bool = false, ignoresLease: Bool = false,
        returnsPrevious: Bool = false
    ) {
        self.key = key
        self.value = value
        self.lease = lease
        self.ignoresValue = ignoresValue
        self.ignoresLease = ignoresLease
        self.returnsPrevious = returnsPrevious
    }
}

/// One step of a transaction.
public enum Operation: Sendable, Hashable {
    /// Sets a key.
    case put(Put)
    /// Deletes all keys of a range.
    case deleteRange(KeyRange, returnsPrevious: Bool)
    /// Reads at the transaction's moment.
    case range(RangeQuery)
    /// A transaction inside.
    indirect case transaction(Transaction)

    /// Sets a key and returns the pair before.
    public static func put(key: [UInt8], value: [UInt8]) -> Operation {
        .put(Put(key, value, returnsPrevious: true))
    }
    /// Deletes a key and returns it; nothing happens when it is absent.
    public static func delete(key: [UInt8]) -> Operation {
        .deleteRange(KeyRange(key: key), returnsPrevious: true)
    }
    /// Deletes all keys from `from` up to, not including, `to`.
    public static func deleteRange(from: [UInt8], to: [UInt8]) -> Operation {
        .deleteRange(KeyRange(from: from, to: to), returnsPrevious: false)
    }
    /// Reads a key.
    public static func get(key: [UInt8]) -> Operation { .range(RangeQuery(KeyRange(key: key))) }
}

/// What a step found.
public enum OperationResult: Sendable, Hashable {
    /// The pair before, where it was asked for and there was one.
    case put(previous: KeyValue?)
    /// How many keys went, and those where they were asked for.
    case deleteRange(count: Int, previous: [KeyValue])
    /// What the range held.
    case range(RangeResult)
    /// What became of the transaction inside.
    indirect case transaction(TransactionResult)
}

/// What became of a transaction.
public struct TransactionResult: Sendable, Hashable {
    /// Whether the conditions held.
    public var succeeded: Bool
    /// The store's revision after it.
    public var revision: Int64
    /// What each step found.
    public var operations: [OperationResult]
    /// A result from its parts.
    public init(succeeded: Bool, revision: Int64, operations: [OperationResult]) {
        self.succeeded = succeeded
        self.revision = revision
        self.operations = operations
    }
    /// The first pair of each step's answer, nil where there is none: for a read the pair found, for a put or the
    /// deletion of a key the pair before.
    public var results: [KeyValue?] {
        operations.map { operation in
            switch operation {
            case .put(let previous): previous
            case .deleteRange(_, let previous): previous.first
            case .range(let found): found.pairs.first
            case .transaction: nil
            }
        }
    }
}
