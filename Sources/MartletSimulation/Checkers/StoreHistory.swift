/// One change of a key.
public struct KeyChange: Sendable, Hashable {
    /// The key.
    public var key: String
    /// The new value; nil when the key was removed.
    public var value: String?
    /// A change from its parts.
    public init(key: String, value: String?) {
        self.key = key
        self.value = value
    }
}

/// All changes of a store in the order of their revisions: what a cluster agreed on.
public struct StoreHistory: Sendable {
    /// The revision before the first change.
    public let beginning: Int64
    /// The changes of each revision after it.
    public private(set) var changes: [[KeyChange]] = []
    /// Where each key changed.
    private var places: [String: [(revision: Int64, value: String?)]] = [:]

    /// A history without changes; the first one will have the revision after `beginning`.
    public init(after beginning: Int64 = 1) { self.beginning = beginning }

    /// The last revision.
    public var revision: Int64 { beginning + Int64(changes.count) }

    /// Adds the changes of the next revision.
    public mutating func append(_ next: [KeyChange]) {
        changes.append(next)
        for change in next { places[change.key, default: []].append((revision, change.value)) }
    }

    /// The changes of one revision; nil when there is none of that number.
    public func changes(at revision: Int64) -> [KeyChange]? {
        let place = revision - beginning - 1
        return place >= 0 && place < Int64(changes.count) ? changes[Int(place)] : nil
    }

    /// What a key held when that revision was the last.
    public func value(of key: String, at revision: Int64) -> String? {
        guard let found = places[key] else { return nil }
        var (low, high) = (0, found.count)
        while low < high {
            let middle = (low + high) / 2
            if found[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : found[low - 1].value
    }

    /// All keys that were ever changed.
    public var keys: [String] { places.keys.sorted() }
}

/// What a client asked of a store, and what came of it.
public struct StoreCall: Sendable {
    /// How much its answer promises.
    public enum Kind: Sendable, Hashable {
        /// Changes something, if its comparison holds.
        case write
        /// Reads what is newest.
        case linearizableRead
        /// Reads what one member has.
        case serializableRead
    }
    /// What became of it.
    public enum Outcome: Sendable, Hashable {
        /// It was answered.
        case answered
        /// It was refused: nothing happened.
        case refused
        /// Nobody knows.
        case unknown
    }

    /// Names the call.
    public var number: Int
    /// Who made it.
    public var client: Int
    /// What it promises.
    public var kind: Kind
    /// When it was made.
    public var start: UInt64
    /// When it ended for the client, in whatever way.
    public var end: UInt64
    /// What became of it.
    public var outcome: Outcome
    /// A write's comparison: these keys must hold these values (nil: must be absent).
    public var conditions: [KeyChange] = []
    /// What a write does if they hold. Values are unlike those of all other calls.
    public var success: [KeyChange] = []
    /// What it does if not.
    public var failure: [KeyChange] = []
    /// Whether the comparison held, as answered.
    public var hasSucceeded = true
    /// The revision that was answered: of the change, or at which was read.
    public var revision: Int64 = 0
    /// What was read: each key with its value, nil for one that was absent.
    public var reads: [KeyChange] = []

    /// A call that has no outcome yet.
    public init(number: Int, client: Int, kind: Kind, start: UInt64) {
        self.number = number
        self.client = client
        self.kind = kind
        self.start = start
        end = .max
        outcome = .unknown
    }
}

/// What a checker found to be wrong, for people.
public struct Violation: Error, Sendable, Hashable, CustomStringConvertible {
    /// Which promise was broken.
    public var promise: String
    /// How it shows.
    public var detail: String
    /// A violation from its parts.
    public init(_ promise: String, _ detail: String) {
        self.promise = promise
        self.detail = detail
    }
    /// One line.
    public var description: String { "\(promise): \(detail)" }
}
