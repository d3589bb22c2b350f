internal import MartletStore

/// Finds the ranges that hold a key: single keys by their hash, wider ones in a tree over their ends.
struct RangeIndex<Value: AnyObject> {
    private var values: [KeyRange: Value] = [:]
    private var singles: [[UInt8]: Value] = [:]
    /// The wider ranges by their first keys; built when the next key is looked for.
    private var wide: [(range: KeyRange, value: Value)] = []
    /// For the middle of each part of `wide`, as the search halves it: the greatest end in that part.
    private var reach: [[UInt8]] = []
    private var isStale = false

    var isEmpty: Bool { values.isEmpty }
    var all: some Collection<Value> { values.values }

    subscript(range: KeyRange) -> Value? { values[range] }

    mutating func insert(_ value: Value, for range: KeyRange) {
        values[range] = value
        if range.isSingleKey { singles[range.from] = value } else { isStale = true }
    }

    mutating func remove(_ range: KeyRange) {
        values[range] = nil
        if range.isSingleKey { singles[range.from] = nil } else { isStale = true }
    }

    /// Tells of each range that holds `key`.
    mutating func forEach(containing key: [UInt8], _ body: (Value) -> Void) {
        if isStale { build() }
        if !singles.isEmpty, let single = singles[key] { body(single) }
        search(0..<wide.count, key, body)
    }

    private mutating func build() {
        isStale = false
        wide = values.filter { !$0.key.isSingleKey }.map { ($0.key, $0.value) }
        wide.sort { $0.range.from.lexicographicallyPrecedes($1.range.from) }
        reach = wide.map(\.range.to)
        _ = measure(0..<wide.count)
    }

    /// Sets the reach of a part, and returns it; nil for an empty part. An empty end is beyond all others.
    private mutating func measure(_ part: Range<Int>) -> [UInt8]? {
        if part.isEmpty { return nil }
        let middle = (part.lowerBound + part.upperBound) / 2
        for other in [measure(part.lowerBound..<middle), measure(middle + 1..<part.upperBound)] {
            guard let other, !reach[middle].isEmpty else { continue }
            if other.isEmpty || reach[middle].lexicographicallyPrecedes(other) { reach[middle] = other }
        }
        return reach[middle]
    }

    private func search(_ part: Range<Int>, _ key: [UInt8], _ body: (Value) -> Void) {
        if part.isEmpty { return }
        let middle = (part.lowerBound + part.upperBound) / 2
        if !reach[middle].isEmpty, !key.lexicographicallyPrecedes(reach[middle]) { return }
        search(part.lowerBound..<middle, key, body)
        if key.lexicographicallyPrecedes(wide[middle].range.from) { return }
        if wide[middle].range.contains(key) { body(wide[middle].value) }
        search(middle + 1..<part.upperBound, key, body)
    }
}
