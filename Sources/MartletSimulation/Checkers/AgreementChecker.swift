/// Checks that members agree: whoever applies an entry applies the same one as all others, with the same effect.
public struct AgreementChecker: Sendable {
    /// What a member made of an entry of the log.
    public struct Applied: Sendable, Hashable {
        /// A digest of the entry.
        public var entry: UInt64
        /// The store's revision after it.
        public var revision: Int64
        /// The store's digest after it.
        public var stateHash: UInt64
        /// What it changed.
        public var changes: [KeyChange]
        /// What a member made of an entry.
        public init(entry: UInt64, revision: Int64, stateHash: UInt64, changes: [KeyChange]) {
            self.entry = entry
            self.revision = revision
            self.stateHash = stateHash
            self.changes = changes
        }
    }

    private var seen: [UInt64: (applied: Applied, member: String)] = [:]
    /// The last entry that each member applied in its life.
    private var last: [String: UInt64] = [:]
    /// What members disagreed on.
    public private(set) var violations: [Violation] = []

    /// Members that have done nothing yet.
    public init() {}

    /// A member begins a new life, in which its next entry is the one after `index`.
    public mutating func begin(_ member: String, after index: UInt64) { last[member] = index }

    /// A member applied an entry.
    public mutating func apply(_ applied: Applied, at index: UInt64, by member: String) {
        if let before = last[member], index != before + 1 {
            violations.append(
                Violation("entries are applied in order, once", "\(member) applied \(index) after \(before)"))
        }
        last[member] = index
        guard let (first, by) = seen[index] else {
            seen[index] = (applied, member)
            lastIndex = max(lastIndex, index)
            return
        }
        if first == applied { return }
        let what =
            first.entry != applied.entry
            ? "another entry" : first.changes != applied.changes ? "other changes" : "another state"
        violations.append(
            Violation(
                "members agree",
                "entry \(index): \(member) has \(what) than \(by) (revision \(applied.revision), "
                    + "state \(String(applied.stateHash, radix: 16)); \(first.revision), "
                    + "\(String(first.stateHash, radix: 16)))"))
    }

    /// The last entry that anybody applied.
    public private(set) var lastIndex: UInt64 = 0

    /// The history that the members agreed on, from `beginning` on. Entries whose revisions do not follow one another
    /// end it.
    public func history(after beginning: Int64 = 1) -> StoreHistory {
        var history = StoreHistory(after: beginning)
        for index in seen.keys.sorted() {
            guard let applied = seen[index]?.applied, !applied.changes.isEmpty else { continue }
            guard applied.revision == history.revision + 1 else { break }
            history.append(applied.changes)
        }
        return history
    }
}
