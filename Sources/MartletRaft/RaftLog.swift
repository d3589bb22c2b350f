internal import DequeModule

/// The part of the log that is in memory: all entries after `start`.
struct RaftLog: Sendable {
    /// The position before the first entry held: that of the snapshot, or (0, 0).
    private(set) var start: (index: UInt64, term: UInt64)
    private var entries: Deque<RaftEntry> = []
    /// What all entries cost.
    private(set) var bytes = 0

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
        if keep < entries.count {
            for entry in entries[keep...] { bytes -= entry.cost }
            entries.removeLast(entries.count - keep)
        }
        entries.append(entry)
        bytes += entry.cost
    }

    /// The entries from `first` through `last`, cut after about `bytes` (at least one).
    func slice(from first: UInt64, through last: UInt64, bytes limit: Int = .max) -> [RaftEntry] {
        guard first > start.index, first <= min(last, lastIndex) else { return [] }
        let lower = Int(first - start.index - 1)
        let upper = Int(min(last, lastIndex) - start.index)
        var end = lower
        var size = 0
        while end < upper {
            size += entries[end].cost
            if size > limit, end > lower { break }
            end += 1
        }
        return Array(entries[lower..<end])
    }

    /// Forgets the entries through `index`.
    mutating func drop(through index: UInt64) {
        guard index > start.index, index <= lastIndex, let term = term(at: index) else { return }
        let count = Int(index - start.index)
        for entry in entries.prefix(count) { bytes -= entry.cost }
        entries.removeFirst(count)
        start = (index, term)
    }

    /// The highest index, not after `limit`, whose entry's term is at most `term`: where logs that differ may be equal.
    func lastIndex(ofTermAtMost term: UInt64, notAfter limit: UInt64) -> UInt64 {
        guard limit > start.index else { return limit }
        var low = 0
        var high = Int(min(limit, lastIndex) - start.index)
        // Terms never fall along a log: of the entries before `low` all have a term in reach, from `high` on none.
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].term <= term { low = middle + 1 } else { high = middle }
        }
        return start.index + UInt64(low)
    }
}

extension RaftEntry {
    /// What the entry counts toward bounds in bytes.
    var cost: Int { payload.count + 32 }
}
