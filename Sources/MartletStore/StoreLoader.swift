/// A pair as a checkpoint keeps it: one row for each change.
public struct StoredVersion: Sendable, Hashable {
    /// The pair after the change; for a deletion only `key` and `modRevision` are set.
    public var pair: KeyValue
    /// Whether the change was a deletion.
    public var isDeletion: Bool
    /// A version from its parts.
    public init(_ pair: KeyValue, isDeletion: Bool = false) {
        self.pair = pair
        self.isDeletion = isDeletion
    }
    /// The version that an event made.
    public init(_ event: StoreEvent) { self.init(event.pair, isDeletion: event.isDeletion) }
}

/// Why a checkpoint's rows make no store.
public enum StoreImageError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The rows do not come in the order of their revisions, or name one outside the image's.
    case disordered(revision: Int64)
    /// There is no row of a revision that must have one.
    case missing(revision: Int64)
    /// A key is deleted that was not there, or its history does not follow.
    case inconsistent(key: [UInt8], revision: Int64)
    /// There are more or fewer keys than the image counts.
    case miscounted(found: Int, expected: Int)
    /// The state has another digest than the image says.
    case different(found: UInt64, expected: UInt64)

    /// One line for people.
    public var description: String {
        switch self {
        case .disordered(let revision): "a row of revision \(revision) is out of place"
        case .missing(let revision): "there is no row of revision \(revision)"
        case .inconsistent(let key, let revision):
            "the row of key \(String(decoding: key, as: UTF8.self)) at revision \(revision) does not follow that before"
        case .miscounted(let found, let expected): "\(found) keys where \(expected) are counted"
        case .different(let found, let expected): "the rows' hash is \(found), not \(expected)"
        }
    }
}

extension Store {
    /// A store of pairs alone: no history, leases, rules and members.
    public init(historyLimit: Int, revision: Int64, appliedIndex: UInt64, pairs: some Sequence<KeyValue>) {
        self.init(historyLimit: historyLimit)
        self.revision = revision
        self.appliedIndex = appliedIndex
        history.restart(at: revision)
        for pair in pairs {
            keys.set(pair)
            sums.pairs &+= StateHash.of(pair)
        }
    }

    /// Makes a store from an image and the versions that a checkpoint kept, in the order of their revisions and, within
    /// one, in the order of its events.
    ///
    /// Wanted are, of each key, all versions after the image's oldest revision and the last one up to it. Older
    /// ones may be there and do no harm; neither does a deletion up to the oldest revision.
    public struct Loader {
        private let image: StoreImage
        private var store: Store
        private let oldest: Int64
        private var last: Int64 = 0

        /// A loader for `image`. The bounds of history are the program's, not the checkpoint's.
        public init(_ image: StoreImage, historyLimit: Int, historyByteLimit: Int = Store.defaultHistoryBytes) {
            self.image = image
            store = Store(historyLimit: historyLimit, historyByteLimit: historyByteLimit)
            store.revision = image.revision
            store.appliedIndex = image.appliedIndex
            // What is more than the program keeps is not even read.
            oldest = max(image.oldestRevision, image.revision - Int64(store.historyLimit))
            store.history.restart(at: oldest)
            store.auth = image.auth
            store.sums.auth = store.auth.digest
            try? store.directory.apply(.replace(image.members))
            store.directory.clusterID = image.clusterID
            store.sums.members = store.directory.digest
            for (id, ttl) in image.leases {
                store.leases[id] = Lease(id: id, ttl: ttl)
                store.sums.leases &+= StateHash.of(lease: id, ttl: ttl)
            }
        }

        /// Takes the next version.
        public mutating func add(_ version: StoredVersion) throws(StoreImageError) {
            let pair = version.pair
            let revision = pair.modRevision
            guard revision >= last, revision > 0, revision <= image.revision else {
                throw .disordered(revision: revision)
            }
            last = revision
            // A file may say anything: nothing is added before it was compared.
            if revision > oldest, revision - 1 > store.history.newest {
                throw .missing(revision: store.history.newest + 1)
            }
            let isHistory = revision > oldest
            let previous: KeyValue?
            if version.isDeletion {
                previous = store.keys.remove(pair.key)
                if previous == nil, isHistory { throw .inconsistent(key: pair.key, revision: revision) }
            } else {
                previous =
                    store.keys.update(pair.key) { before in
                        var pair = pair
                        if let before { pair.key = before.key }
                        return pair
                    }.before
                guard (1...revision).contains(pair.createRevision), (1...revision).contains(pair.version) else {
                    throw .inconsistent(key: pair.key, revision: revision)
                }
                if isHistory, pair.version - 1 != previous?.version ?? 0 {
                    throw .inconsistent(key: pair.key, revision: revision)
                }
            }
            guard isHistory else { return }
            var event = StoreEvent(pair: pair, previous: previous, isDeletion: version.isDeletion)
            if let previous { event.pair.key = previous.key }
            store.history.load(event, revision: revision)
        }

        /// The store.
        /// - Throws: ``StoreImageError`` when the rows are not those of the image.
        public consuming func finish() throws(StoreImageError) -> Store {
            guard store.history.newest == image.revision else {
                throw .missing(revision: store.history.newest + 1)
            }
            store.history.finishLoading()
            guard store.count == image.pairCount else {
                throw .miscounted(found: store.count, expected: image.pairCount)
            }
            var sum: UInt64 = 0
            var hanging: [Int64: Set<[UInt8]>] = [:]
            store.keys.forEach(in: .all) { pair in
                sum &+= StateHash.of(pair)
                if pair.lease != 0 { hanging[pair.lease, default: []].insert(pair.key) }
                return true
            }
            store.sums.pairs = sum
            for (id, keys) in hanging { store.leases[id]?.keys = keys }
            guard store.stateHash.value == image.stateHash else {
                throw .different(found: store.stateHash.value, expected: image.stateHash)
            }
            return store
        }
    }
}
