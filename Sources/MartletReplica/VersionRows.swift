internal import MartletStore

/// Rows in their encoding, one behind the other:
///
///     8   revision          the four numbers are little-endian
///     8   created           0 for a deletion
///     8   version           0 for a deletion
///     8   lease             0 for none
///     1   1 for a deletion, else 0
///     4   the key's bytes, little-endian
///     4   the value's, 0 for a deletion
///     key, value
enum VersionRows {
    /// What a row takes beside its key and value.
    static let head = 41

    /// Adds an event's row.
    static func append(_ event: borrowing StoreEvent, to bytes: inout [UInt8]) {
        let isDeletion = event.isDeletion
        withUnsafeTemporaryAllocation(byteCount: head, alignment: 8) { row in
            func put(_ number: Int64, at offset: Int) {
                row.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Int64.self)
            }
            put(event.pair.modRevision, at: 0)
            put(isDeletion ? 0 : event.pair.createRevision, at: 8)
            put(isDeletion ? 0 : event.pair.version, at: 16)
            put(isDeletion ? 0 : event.pair.lease, at: 24)
            row.storeBytes(of: isDeletion ? 1 : 0, toByteOffset: 32, as: UInt8.self)
            row.storeBytes(of: UInt32(event.pair.key.count).littleEndian, toByteOffset: 33, as: UInt32.self)
            let valueCount = isDeletion ? 0 : event.pair.value.count
            row.storeBytes(of: UInt32(valueCount).littleEndian, toByteOffset: 37, as: UInt32.self)
            bytes.append(contentsOf: UnsafeRawBufferPointer(row))
        }
        bytes.append(contentsOf: event.pair.key)
        if !isDeletion { bytes.append(contentsOf: event.pair.value) }
    }

    /// Goes through encoded rows, in place.
    /// - Returns: how many there are; nil when the bytes are no whole rows.
    static func forEach(in bytes: [UInt8], _ body: (EncodedRow) throws -> Void) rethrows -> Int? {
        try bytes.withUnsafeBytes { all in
            var offset = 0
            var count = 0
            while offset < all.count {
                guard let row = EncodedRow(in: all, at: offset) else { return nil }
                try body(row)
                offset = row.range.upperBound
                count += 1
            }
            return count
        }
    }
}

/// A row among encoded ones. Lent: it must not outlive the bytes.
struct EncodedRow {
    /// Where it stands.
    let range: Range<Int>
    let revision: Int64
    let isDeletion: Bool
    private let all: UnsafeRawBufferPointer
    private let keyCount: Int

    /// The row at `offset`; nil when there is no whole one.
    init?(in all: UnsafeRawBufferPointer, at offset: Int) {
        guard all.count - offset >= VersionRows.head else { return nil }
        func number<I: FixedWidthInteger>(_ at: Int) -> I {
            I(littleEndian: all.loadUnaligned(fromByteOffset: offset + at, as: I.self))
        }
        keyCount = Int(number(33) as UInt32)
        let size = VersionRows.head + keyCount + Int(number(37) as UInt32)
        guard all.count - offset >= size, all[offset + 32] <= 1 else { return nil }
        range = offset..<offset + size
        revision = number(0)
        isDeletion = all[offset + 32] == 1
        self.all = all
    }

    private var keyStart: Int { range.lowerBound + VersionRows.head }

    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: all[keyStart..<keyStart + keyCount]) }

    /// What tells its key from the others of one revision.
    var tag: KeyTag { KeyTag(key) }

    /// What it says, by itself.
    var version: StoredVersion {
        func number(_ at: Int) -> Int64 {
            Int64(littleEndian: all.loadUnaligned(fromByteOffset: range.lowerBound + at, as: Int64.self))
        }
        let pair = KeyValue(
            key: Array(key), value: Array(all[keyStart + keyCount..<range.upperBound]),
            createRevision: number(8), modRevision: revision, version: number(16), lease: number(24))
        return StoredVersion(pair, isDeletion: isDeletion)
    }
}

/// A key's hash of 128 bits, with a seed of this process that nobody outside knows. It stands for the key: that two
/// keys of a store share one is less likely than that its memory errs.
struct KeyTag: Sendable, Hashable, Comparable {
    private let first: Int
    private let second: Int

    static func < (a: KeyTag, b: KeyTag) -> Bool { (a.first, a.second) < (b.first, b.second) }

    init(_ key: UnsafeRawBufferPointer) {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        first = hasher.finalize()
        hasher = Hasher()
        hasher.combine(UInt8(1))
        hasher.combine(bytes: key)
        second = hasher.finalize()
    }
}
