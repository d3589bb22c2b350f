/// What to read, as etcd's RangeRequest.
public struct RangeQuery: Sendable, Hashable {
    /// By what an answer is sorted.
    public enum Target: UInt8, Sendable, Hashable {
        /// By key.
        case key = 0
        /// By the count of changes.
        case version
        /// By the revision at which the key was made.
        case create
        /// By the revision of the last change.
        case mod
        /// By value.
        case value
    }
    /// How an answer is sorted; equals stay in the order of their keys.
    public struct Order: Sendable, Hashable {
        /// By what.
        public var target: Target
        /// The greatest first.
        public var descending: Bool
        /// An order from its parts.
        public init(_ target: Target, descending: Bool = false) {
            self.target = target
            self.descending = descending
        }
    }

    /// Which keys.
    public var range: KeyRange
    /// The most pairs to return; 0 or less: all.
    public var limit: Int
    /// As of which revision; 0 or less: now.
    public var revision: Int64
    /// The order; nil: by key. The limit is applied after sorting.
    public var order: Order?
    /// Leaves the values out.
    public var keysOnly: Bool
    /// Returns the count alone.
    public var countOnly: Bool
    /// Leaves out what was last changed before this revision; 0: nothing.
    public var minMod: Int64 = 0
    /// Leaves out what was last changed after this revision; 0: nothing.
    public var maxMod: Int64 = 0
    /// Leaves out what was made before this revision; 0: nothing.
    public var minCreate: Int64 = 0
    /// Leaves out what was made after this revision; 0: nothing.
    public var maxCreate: Int64 = 0

    /// A query; the bounds on revisions are set afterwards.
    public init(
        _ range: KeyRange, limit: Int = 0, revision: Int64 = 0, order: Order? = nil, keysOnly: Bool = false,
        countOnly: Bool = false
    ) {
        self.range = range
        self.limit = limit
        self.revision = revision
        self.order = order
        self.keysOnly = keysOnly
        self.countOnly = countOnly
    }

    /// Whether a bound on revisions is set.
    var isFiltered: Bool { minMod != 0 || maxMod != 0 || minCreate != 0 || maxCreate != 0 }

    /// Whether the bounds on revisions let the pair through.
    func admits(_ pair: KeyValue) -> Bool {
        (minMod == 0 || pair.modRevision >= minMod) && (maxMod == 0 || pair.modRevision <= maxMod)
            && (minCreate == 0 || pair.createRevision >= minCreate)
            && (maxCreate == 0 || pair.createRevision <= maxCreate)
    }
}

/// What a range held, as etcd's RangeResponse.
public struct RangeResult: Sendable, Hashable {
    /// The pairs.
    public var pairs: [KeyValue]
    /// How many keys the range has, whatever limit and bounds left out.
    public var count: Int
    /// Whether the limit cut the list.
    public var more: Bool
    /// The store's revision when it was read, also for a read of the past.
    public var revision: Int64
    /// A result from its parts.
    public init(pairs: [KeyValue], count: Int, more: Bool, revision: Int64) {
        self.pairs = pairs
        self.count = count
        self.more = more
        self.revision = revision
    }
}
