/// Finds a key in a sorted list, mostly without looking at the keys themselves.
///
/// All keys of the list share their first ``shared`` bytes; of each, the eight bytes after those are kept as a number
/// that orders as they do. A search runs over these numbers, which lie side by side, and reads a key only where two
/// numbers are equal. Without it each step of a search waits for a key somewhere in memory.
struct KeyHeads: Sendable {
    /// How many first bytes all keys share, at least.
    private(set) var shared = 0
    private var heads: ContiguousArray<UInt64> = []

    /// The heads of a sorted list of keys.
    init(count: Int, key: (Int) -> [UInt8]) {
        guard count > 0 else { return }
        shared = Self.commonPrefix(key(0), key(count - 1))
        heads.reserveCapacity(count)
        for index in 0..<count { heads.append(Self.head(key(index), after: shared)) }
    }

    /// Where `wanted` is; nil when it is not there, or only ``find(_:key:)`` can tell. It reads one key of the list.
    @inline(__always)
    func guess(_ wanted: [UInt8], key: (Int) -> [UInt8]) -> Int? {
        guard wanted.count >= shared else { return nil }
        let index = lowerBound(Self.head(wanted, after: shared))
        guard index < heads.count, ByteOrder.compare(key(index), wanted) == 0 else { return nil }
        return index
    }

    /// The first key whose head is not before `head`.
    @inline(__always)
    private func lowerBound(_ head: UInt64) -> Int {
        unsafe heads.withUnsafeBufferPointer { heads in
            var low = 0
            var size = heads.count
            // Halving without branches that depend on the keys: those could not be foreseen.
            while size > 0 {
                let half = size / 2
                let goesUp = unsafe heads[low + half] < head
                low = goesUp ? low + half + 1 : low
                size = goesUp ? size - half - 1 : half
            }
            return low
        }
    }

    /// Where `wanted` is, or would be put; `key` gives the list's keys.
    @inline(__always)
    func find(_ wanted: [UInt8], key: (Int) -> [UInt8]) -> (index: Int, found: Bool) {
        if heads.isEmpty { return (0, false) }
        if shared > 0 {
            let order = Self.comparePrefix(wanted, key(0), shared)
            if order != 0 { return (order < 0 ? 0 : heads.count, false) }
        }
        let head = Self.head(wanted, after: shared)
        var low = 0
        var high = heads.count
        while low < high {
            let middle = (low + high) / 2
            let other = heads[middle]
            var order = other < head ? -1 : 1
            if other == head {
                order = ByteOrder.compare(key(middle), wanted)
                if order == 0 { return (middle, true) }
            }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// Takes note that `new` was put at `index` of the list, which `key` gives with it.
    mutating func insert(_ new: [UInt8], at index: Int, key: (Int) -> [UInt8]) {
        let count = heads.count + 1
        if count > 1 {
            let common = Self.commonPrefix(new, key(index == 0 ? 1 : 0))
            if common < shared {
                self = KeyHeads(count: count, key: key)
                return
            }
        }
        heads.insert(Self.head(new, after: shared), at: index)
    }

    /// Takes note that the key at `index` was removed.
    mutating func remove(at index: Int) { heads.remove(at: index) }

    private static func commonPrefix(_ a: [UInt8], _ b: [UInt8]) -> Int {
        let count = min(a.count, b.count)
        var index = 0
        while index < count, a[index] == b[index] { index += 1 }
        return index
    }

    /// How `a` stands to the first `count` bytes of `b`, which has as many; 0 when it begins with them.
    @inline(__always)
    private static func comparePrefix(_ a: [UInt8], _ b: [UInt8], _ count: Int) -> Int {
        unsafe a.withUnsafeBytes { left in
            unsafe b.withUnsafeBytes { right in
                let shared = min(left.count, count)
                var index = 0
                while index + 8 <= shared {
                    let l = unsafe left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    let r = unsafe right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    if l != r { return l.bigEndian < r.bigEndian ? -1 : 1 }
                    index += 8
                }
                while index < shared {
                    if unsafe left[index] != right[index] { return unsafe left[index] < right[index] ? -1 : 1 }
                    index += 1
                }
                return left.count < count ? -1 : 0
            }
        }
    }

    /// The eight bytes after the first `skipped`, as a number; missing ones are 0.
    @inline(__always)
    private static func head(_ key: [UInt8], after skipped: Int) -> UInt64 {
        unsafe key.withUnsafeBytes { bytes in
            if bytes.count - skipped >= 8 {
                return unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: skipped, as: UInt64.self))
            }
            var head: UInt64 = 0
            var index = skipped
            while index < bytes.count {
                head |= unsafe UInt64(bytes[index]) << UInt64(56 - 8 * (index - skipped))
                index += 1
            }
            return head
        }
    }
}
