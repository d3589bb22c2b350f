internal import DequeModule

/// The part of the log that is in memory: all entries after `start`.
struct RaftLog: Sendable {
    /// The position before the first entry held: that of the snapshot, or (0, 0).
    private(set) var start: (index: UInt64, term: UInt64)
    private var entries: Deque<RaftEntry> = []

    init(startIndex: UInt64, startTerm: UInt64) { start = (startIndex, startTerm) }

    var lastIndex: UInt64 { start.index + UInt64(entries.count) }
    var lastTerm: UInt64 { entries.last?.term ?? start.term }

    /// The term of the entry at `index`; nil when it is not held.
    func term(at index: UInt64) -> UInt64? {
        if index == start.index { return start.term }
        guard index > start.index, index <= lastIndex else { return nil }
        return entries[Int(index - start.index - 1)].term
    }

    /// Appends an entry, which replaces the one of its index and all after it.
    mutating func place(_ entry: RaftEntry) {
        precondition(entry.index > start.index && entry.index <= lastIndex + 1, "a gap in the log")
        let keep = Int(entry.index - start.index - 1)
        if keep < entries.count { entries.removeLast(entries.count - keep) }
        entries.append(entry)
    }

    /// The entries from `first` through `last`, cut after about `bytes` (at least one).
    func slice(from first: UInt64, through last: UInt64, bytes limit: Int = .max) -> [RaftEntry] {
        guard first > start.index, first <= min(last, lastIndex) else { return [] }
        let lower = Int(first - start.index - 1)
        let upper = Int(min(last, lastIndex) - start.index)
        var size = 0
        var result: [RaftEntry] = []
        for position in lower..<upper {
            size += entries[position].payload.count + 32
            if size > limit, !result.isEmpty { break }
            result.append(entries[position])
        }
        return result
    }

    /// Forgets the entries through `index`.
    mutating func drop(through index: UInt64) {
        guard index > start.index, index <= lastIndex, let term = term(at: index) else { return }
        entries.removeFirst(Int(index - start.index))
        start = (index, term)
    }

    /// The first index of the run of entries that share the term of `index`.
    func firstIndex(ofTermAt index: UInt64) -> UInt64 {
        guard let term = term(at: index) else { return index }
        var first = index
        while first > start.index + 1, self.term(at: first - 1) == term { first -= 1 }
        return first
    }
}
