internal import MartletStore

/// The changes since the last checkpoint, in order, as the rows that it will write.
///
/// They are encoded when they happen: to hold on to the store's own keys and values until the checkpoint would keep
/// memory from those who free it, and make another thread free it.
struct ChangeLog: Sendable {
    private struct Change {
        var revision: Int64
        /// The revision of the key's row before it, one that is written; 0 for none.
        var previous: Int64
        /// Where its row stands.
        var start: Int
        var end: Int
        var isDeletion: Bool
        /// Whether its row will be written.
        var isKept = true
    }

    private var bytes: [UInt8] = []
    private var changes: [Change] = []

    /// How many there are.
    var count: Int { changes.count }
    var isEmpty: Bool { changes.isEmpty }
    /// What their rows take, with those that were dropped.
    var size: Int { bytes.count }

    /// Takes note of the next change.
    mutating func append(_ event: borrowing StoreEvent) {
        let start = bytes.count
        VersionRows.append(event, to: &bytes)
        changes.append(
            Change(
                revision: event.pair.modRevision, previous: event.previous?.modRevision ?? 0, start: start,
                end: bytes.count, isDeletion: event.isDeletion))
    }

    /// Adds the changes that came after these.
    mutating func append(_ later: ChangeLog) {
        let shift = bytes.count
        bytes += later.bytes
        for var change in later.changes {
            change.start += shift
            change.end += shift
            changes.append(change)
        }
    }

    // MARK: What nobody can see

    /// Drops the changes that are in a file already, and those that nobody can see any more: of a key's changes through
    /// `oldest`, and of those in one revision, all but the last one, which takes the place of what the first one did.
    mutating func drop(after revision: Int64 = 0, oldest: Int64) {
        for at in changes.indices where changes[at].isKept {
            if changes[at].revision <= revision {
                changes[at].isKept = false
                changes[at].previous = 0
                continue
            }
            let (now, previous) = (changes[at].revision, changes[at].previous)
            if previous > revision, previous == now || now <= oldest, let before = place(ofKeyAt: at, previous) {
                changes[at].previous = changes[before].previous
                changes[before].previous = 0
                changes[before].isKept = false
            }
            // There is nothing in a file that such a deletion must cover.
            if changes[at].isDeletion, now <= oldest, changes[at].previous == 0 { changes[at].isKept = false }
        }
    }

    /// Gives up the memory of those that were dropped.
    mutating func compact() {
        var rest = ChangeLog()
        for var change in changes where change.isKept {
            let row = bytes[change.start..<change.end]
            change.start = rest.bytes.count
            rest.bytes += row
            change.end = rest.bytes.count
            rest.changes.append(change)
        }
        self = rest
    }

    /// Which change before the one at `at` was the same key's last one at a revision.
    private func place(ofKeyAt at: Int, _ revision: Int64) -> Int? {
        var place = changes.partitioningIndex { $0.revision >= revision }
        var found: Int?
        while place < at, changes[place].revision == revision {
            if haveOneKey(place, at) { found = place }
            place += 1
        }
        return found
    }

    private func haveOneKey(_ a: Int, _ b: Int) -> Bool {
        bytes.withUnsafeBytes { all in
            let (left, right) = (EncodedRow(in: all, at: changes[a].start), EncodedRow(in: all, at: changes[b].start))
            guard let left, let right else { return false }
            return left.key.elementsEqual(right.key)
        }
    }

    // MARK: Chunks

    /// Hands out the rows in chunks, and what each of them will make dead.
    func forEach(
        ofAbout bytes: Int, chunk: (Chunk, [UInt8]) throws -> Void, replacement: (Replacement) -> Void
    ) throws {
        var next = 0
        while next < changes.count {
            let range = next..<endOfChunk(from: next, bytes)
            if let (made, body) = encode(range) { try chunk(made, body) }
            for at in range { if let made = self.replacement(at) { replacement(made) } }
            next = range.upperBound
        }
    }

    /// Where a chunk ends that begins there: when it has its size, and never within a revision.
    private func endOfChunk(from start: Int, _ bytes: Int) -> Int {
        var size = 0
        var end = start
        while end < changes.count {
            if size >= bytes, changes[end].revision != changes[end - 1].revision { break }
            if changes[end].isKept { size += changes[end].end - changes[end].start }
            end += 1
        }
        return end
    }

    private func encode(_ range: Range<Int>) -> (Chunk, [UInt8])? {
        var made: Chunk?
        var body: [UInt8] = []
        body.reserveCapacity(changes[range].reduce(0) { $0 + $1.end - $1.start })
        for change in changes[range] where change.isKept {
            body += bytes[change.start..<change.end]
            made = made ?? Chunk(first: change.revision, rows: 0, bytes: 0)
            made?.rows += 1
        }
        made?.bytes = body.count
        return made.map { ($0, body) }
    }

    private func replacement(_ at: Int) -> Replacement? {
        let change = changes[at]
        guard change.isKept, change.previous > 0 || change.isDeletion else { return nil }
        let tag = bytes.withUnsafeBytes { EncodedRow(in: $0, at: change.start)?.tag }
        return tag.map {
            Replacement(
                revision: change.revision, previous: change.previous, tag: $0, isDeletion: change.isDeletion)
        }
    }
}

extension Array {
    /// The first place of which `belongs` holds; it must hold of all behind it, too.
    func partitioningIndex(where belongs: (borrowing Element) -> Bool) -> Int {
        withUnsafeBufferPointer { elements in
            var (low, high) = (0, elements.count)
            while low < high {
                let middle = (low + high) / 2
                if belongs(elements[middle]) { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }
}
