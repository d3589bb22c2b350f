internal import MartletIO
internal import MartletStore

/// A change as the checkpoint keeps it.
struct VersionRow: Sendable, Hashable {
    /// The pair after the change; for a deletion only `key` and `modRevision` are set.
    var pair: KeyValue
    /// Whether the change was a deletion.
    var isDeletion: Bool
    /// The revision of the version that this one took the place of; 0 for none.
    var previous: Int64
}

/// Rows in their encoding, one behind the other:
///
///     8   revision          the five numbers are little-endian
///     8   created           0 for a deletion
///     8   version           0 for a deletion
///     8   lease             0 for none
///     8   previous          the revision of the version that this one took the place of; 0 for none
///     1   1 for a deletion, else 0
///     4   the key's bytes, little-endian
///     4   the value's, 0 for a deletion
///     key, value
enum VersionRows {
    /// What a row takes beside its key and value.
    static let head = 49

    /// What an event's row takes.
    static func size(of event: borrowing StoreEvent) -> Int {
        head + event.pair.key.count + (event.isDeletion ? 0 : event.pair.value.count)
    }

    /// Writes an event's row to where `place` points, and moves it behind that. There must be room.
    static func write(_ event: borrowing StoreEvent, previous: Int64, to place: inout UnsafeMutableRawPointer) {
        let isDeletion = event.isDeletion
        let valueCount = isDeletion ? 0 : event.pair.value.count
        func put(_ number: Int64, at offset: Int) {
            place.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Int64.self)
        }
        put(event.pair.modRevision, at: 0)
        put(isDeletion ? 0 : event.pair.createRevision, at: 8)
        put(isDeletion ? 0 : event.pair.version, at: 16)
        put(isDeletion ? 0 : event.pair.lease, at: 24)
        put(previous, at: 32)
        place.storeBytes(of: isDeletion ? 1 : 0, toByteOffset: 40, as: UInt8.self)
        place.storeBytes(of: UInt32(event.pair.key.count).littleEndian, toByteOffset: 41, as: UInt32.self)
        place.storeBytes(of: UInt32(valueCount).littleEndian, toByteOffset: 45, as: UInt32.self)
        place += head
        event.pair.key.withUnsafeBytes { append($0, to: &place) }
        if valueCount > 0 { event.pair.value.withUnsafeBytes { append($0, to: &place) } }
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, to place: inout UnsafeMutableRawPointer) {
        guard let start = bytes.baseAddress else { return }
        place.copyMemory(from: start, byteCount: bytes.count)
        place += bytes.count
    }

    /// Goes through encoded rows, in place. False from `body` ends it.
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
    let previous: Int64
    let isDeletion: Bool
    private let all: UnsafeRawBufferPointer
    private let keyCount: Int

    fileprivate init?(in all: UnsafeRawBufferPointer, at offset: Int) {
        guard all.count - offset >= VersionRows.head else { return nil }
        func number<I: FixedWidthInteger>(_ at: Int) -> I {
            I(littleEndian: all.loadUnaligned(fromByteOffset: offset + at, as: I.self))
        }
        keyCount = Int(number(41) as UInt32)
        let size = VersionRows.head + keyCount + Int(number(45) as UInt32)
        guard all.count - offset >= size, all[offset + 40] <= 1 else { return nil }
        range = offset..<offset + size
        revision = number(0)
        previous = number(32)
        isDeletion = all[offset + 40] == 1
        self.all = all
    }

    private var keyStart: Int { range.lowerBound + VersionRows.head }

    /// What tells its key from the others of one revision.
    var tag: KeyTag { KeyTag(UnsafeRawBufferPointer(rebasing: all[keyStart..<keyStart + keyCount])) }

    /// The row by itself.
    var row: VersionRow {
        func number(_ at: Int) -> Int64 {
            Int64(littleEndian: all.loadUnaligned(fromByteOffset: range.lowerBound + at, as: Int64.self))
        }
        let pair = KeyValue(
            key: Array(all[keyStart..<keyStart + keyCount]), value: Array(all[keyStart + keyCount..<range.upperBound]),
            createRevision: number(8), modRevision: revision, version: number(16), lease: number(24))
        return VersionRow(pair: pair, isDeletion: isDeletion, previous: previous)
    }
}

/// A key's hash, with a seed of this process that nobody outside knows: no two keys of one revision share it but by a
/// chance of 2 to the 64.
struct KeyTag: Sendable, Hashable {
    private let hash: Int

    init(_ key: UnsafeRawBufferPointer) {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        hash = hasher.finalize()
    }
}
