/// Finds the ranges that hold a key: single keys by their hash, wider ones in a tree over their ends.
///
/// New wider ranges stand in a short list beside the tree first, so that not each of them costs a new tree.
public struct RangeIndex<Value: AnyObject> {
    private struct Entry {
        var range: KeyRange
        /// Nil when the range was removed.
        var value: Value?
    }
    private var values: [KeyRange: Value] = [:]
    private var singles: [[UInt8]: Value] = [:]
    /// Wider ranges, by their ends.
    private var wide: [Entry] = []
    /// For the middle of each part of `wide`, as the search halves it: the greatest end in that part.
    private var reach: [[UInt8]] = []
    /// Wider ranges that are not in `wide` yet, in the order in which they came.
    private var recent: [Entry] = []
    /// How many of `wide` were removed.
    private var removed = 0

    /// An empty one.
    public init() {}

    /// Whether there is no range.
    public var isEmpty: Bool { values.isEmpty }

    /// What was put for exactly this range.
    public subscript(range: KeyRange) -> Value? { values[range] }

    /// Puts a value for a range that has none.
    public mutating func insert(_ value: Value, for range: KeyRange) {
        values[range] = value
        if range.isSingleKey {
            singles[range.from] = value
            return
        }
        recent.append(Entry(range: range, value: value))
        // Between few trees and a short list.
        if recent.count * recent.count > max(256, wide.count) { build() }
    }

    /// Removes a range.
    public mutating func remove(_ range: KeyRange) {
        guard values.removeValue(forKey: range) != nil else { return }
        if range.isSingleKey {
            singles[range.from] = nil
        } else if let index = recent.firstIndex(where: { $0.range == range }) {
            recent.remove(at: index)
        } else if let index = index(of: range) {
            wide[index].value = nil
            removed += 1
            if removed > wide.count / 2 { build() }
        }
    }

    /// Tells of each range that holds `key`, in an order that depends on the ranges and their making alone.
    public func forEach(containing key: [UInt8], _ body: (Value) -> Void) {
        if !singles.isEmpty, let single = singles[key] { body(single) }
        search(0..<wide.count, key, body)
        for entry in recent where entry.range.contains(key) {
            if let value = entry.value { body(value) }
        }
    }

    private static func precedes(_ left: KeyRange, _ right: KeyRange) -> Bool {
        let order = ByteOrder.compare(left.from, right.from)
        return order == 0 ? ByteOrder.compare(left.to, right.to) < 0 : order < 0
    }

    private func index(of range: KeyRange) -> Int? {
        var (low, high) = (0, wide.count)
        while low < high {
            let middle = (low + high) / 2
            if Self.precedes(wide[middle].range, range) { low = middle + 1 } else { high = middle }
        }
        return low < wide.count && wide[low].range == range ? low : nil
    }

    private mutating func build() {
        wide = wide.filter { $0.value != nil } + recent
        recent = []
        removed = 0
        wide.sort { Self.precedes($0.range, $1.range) }
        reach = wide.map(\.range.to)
        _ = measure(0..<wide.count)
    }

    /// Sets the reach of a part, and returns it; nil for an empty part. An empty end is beyond all others.
    private mutating func measure(_ part: Range<Int>) -> [UInt8]? {
        if part.isEmpty { return nil }
        let middle = (part.lowerBound + part.upperBound) / 2
        for other in [measure(part.lowerBound..<middle), measure(middle + 1..<part.upperBound)] {
            guard let other, !reach[middle].isEmpty else { continue }
            if other.isEmpty || ByteOrder.compare(reach[middle], other) < 0 { reach[middle] = other }
        }
        return reach[middle]
    }

    private func search(_ part: Range<Int>, _ key: [UInt8], _ body: (Value) -> Void) {
        if part.isEmpty { return }
        let middle = (part.lowerBound + part.upperBound) / 2
        if !reach[middle].isEmpty, ByteOrder.compare(key, reach[middle]) >= 0 { return }
        search(part.lowerBound..<middle, key, body)
        if ByteOrder.compare(key, wide[middle].range.from) < 0 { return }
        if wide[middle].range.endsAfter(key), let value = wide[middle].value { body(value) }
        search(middle + 1..<part.upperBound, key, body)
    }
}
