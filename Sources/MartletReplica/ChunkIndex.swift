internal import DequeModule

/// Neighbouring rows of the checkpoint that are stored together. No revision is divided.
struct Chunk: Sendable {
    /// The revision of its first row: its name in the file.
    var first: Int64
    var rows: Int
    var bytes: Int
    /// Those of its rows that nobody can see any more.
    var dead: [DeadRow] = []

    /// What the dead rows take, about.
    var deadBytes: Int { dead.count * bytes / max(rows, 1) }

    /// The size that a chunk has, about.
    static let target = 64 << 10
}

/// A row of the checkpoint that nobody can see any more.
struct DeadRow: Sendable, Hashable {
    var revision: Int64
    var tag: KeyTag
    /// Whether it says that its key is gone. As long as older rows of the key are in the file, it must be too: else the
    /// key would be there again when the file is read.
    var isDeletion: Bool
    /// From which round on it may go.
    var notBefore = 0

    /// Where it stands in a list that is searched.
    var place: (Int64, KeyTag) { (revision, tag) }

    func isRow(_ row: EncodedRow) -> Bool {
        row.revision == revision && row.isDeletion == isDeletion && row.tag == tag
    }
}

/// What a row makes dead when the oldest revision that can be read reaches it.
struct Replacement: Sendable {
    var revision: Int64
    /// The revision of the row of the same key before it; 0 for none.
    var previous: Int64
    var tag: KeyTag
    /// Then it is dead itself.
    var isDeletion: Bool
}

/// What is known of the rows in the file without reading them: the chunks, which rows are dead, and which will be.
///
/// Rows lie in the order of their revisions, and those that die together are far apart. So dead rows stay a while, and
/// are removed in rounds through the chunks, and what is left of neighbours is packed together.
struct ChunkIndex: Sendable {
    private(set) var chunks: [Chunk] = []
    /// The rows after the oldest revision, in order.
    private var waiting: Deque<Replacement> = []
    private(set) var deadBytes = 0
    private(set) var rows = 0
    /// Where in its round the removal stands.
    private var cursor: Int64 = 0
    private var round = 0

    private static let roundsAtOnce = 3

    /// Takes note of a new chunk, behind all others.
    mutating func append(_ chunk: Chunk) {
        chunks.append(chunk)
        rows += chunk.rows
        deadBytes += chunk.deadBytes
    }

    /// Takes note of what a row, the newest so far, will make dead.
    mutating func append(_ replacement: Replacement) { waiting.append(replacement) }

    /// Revisions up to this one cannot be read any more.
    mutating func pass(_ oldest: Int64) {
        while let next = waiting.first, next.revision <= oldest {
            waiting.removeFirst()
            if next.previous > 0 {
                markDead(DeadRow(revision: next.previous, tag: next.tag, isDeletion: false))
            }
            if next.isDeletion {
                // Older rows of the key that this round has passed by already go in the next one.
                markDead(
                    DeadRow(revision: next.revision, tag: next.tag, isDeletion: true, notBefore: round + 2))
            }
        }
    }

    private mutating func markDead(_ row: DeadRow) {
        let at = chunks.partitioningIndex { $0.first > row.revision } - 1
        guard at >= 0 else { return }
        let before = chunks[at].deadBytes
        chunks[at].dead.append(row)
        deadBytes += chunks[at].deadBytes - before
    }

    // MARK: Removal

    /// Removes dead rows until no more than `limit` bytes of them are left, or enough was read and written for once.
    mutating func clean(downTo limit: Int, _ table: borrowing ChunkTable, chunkBytes: Int) throws {
        var budget = Limits.checkpointCopyBytes
        var ended = 0
        while deadBytes > limit, budget > 0, ended < Self.roundsAtOnce {
            let start = chunks.partitioningIndex { $0.first >= cursor }
            var at = start
            var packing = Packing(round: round, chunkBytes: chunkBytes)
            while at < chunks.count, deadBytes > limit, budget > 0 {
                deadBytes -= chunks[at].deadBytes
                budget -= try packing.take(chunks[at], table)
                at += 1
            }
            try packing.flush(table)
            rows -= packing.removed
            let isRoundOver = at == chunks.count
            cursor = isRoundOver ? 0 : chunks[at].first
            chunks.replaceSubrange(start..<at, with: packing.chunks)
            for row in packing.dead { markDead(row) }
            if isRoundOver {
                round += 1
                ended += 1
            }
        }
    }
}

/// Takes chunks that follow each other, and packs what is left of them.
private struct Packing {
    let round: Int
    let chunkBytes: Int
    /// What takes the place of the chunks that were taken.
    private(set) var chunks: [Chunk] = []
    /// The dead rows that had to stay.
    private(set) var dead: [DeadRow] = []
    private(set) var removed = 0
    private var open: Chunk?
    private var last: Int64 = 0
    private var body: [UInt8] = []

    init(round: Int, chunkBytes: Int) {
        self.round = round
        self.chunkBytes = chunkBytes
    }

    /// Takes a chunk, and removes those of its dead rows that may go. Returns how many bytes were copied.
    mutating func take(_ chunk: Chunk, _ table: borrowing ChunkTable) throws -> Int {
        dead += chunk.dead.filter { $0.notBefore > round }
        // One change may delete any number of keys: the rows of a revision are searched by their tags, too.
        let leaving = chunk.dead.filter { $0.notBefore <= round }.sorted { $0.place < $1.place }
        guard !leaving.isEmpty else {
            try flush(table)
            var rest = chunk
            rest.dead = []
            chunks.append(rest)
            return 0
        }
        let bytes = try table.read(chunk.first)
        try table.remove(chunk.first)
        var next = 0
        _ = try VersionRows.forEach(in: bytes) { row in
            while next < leaving.count, leaving[next].revision < row.revision { next += 1 }
            if next < leaving.count, leaving[next].revision == row.revision {
                let place = (row.revision, row.tag)
                let at = leaving.partitioningIndex { $0.place >= place }
                if at < leaving.count, leaving[at].isRow(row) {
                    removed += 1
                    return
                }
            }
            try keep(row, of: bytes, table)
        }
        return bytes.count
    }

    private mutating func keep(_ row: EncodedRow, of bytes: [UInt8], _ table: borrowing ChunkTable) throws {
        if body.count >= chunkBytes, row.revision != last { try flush(table) }
        body += bytes[row.range]
        last = row.revision
        open = open ?? Chunk(first: row.revision, rows: 0, bytes: 0)
        open?.rows += 1
        open?.bytes = body.count
    }

    /// Writes what is packed so far.
    mutating func flush(_ table: borrowing ChunkTable) throws {
        guard let made = open else { return }
        try table.insert(made, body)
        chunks.append(made)
        open = nil
        body.removeAll(keepingCapacity: true)
    }
}

/// Finds out from all rows in their order what there is to know of them.
struct ChunkIndexReader {
    private let oldest: Int64
    private var index = ChunkIndex()
    /// Of each key that is there, its last row so far. What a row says that it took the place of is no help here: that
    /// row may be gone, and older ones of the key may not.
    private var last: [KeyTag: Int64] = [:]

    init(oldest: Int64) { self.oldest = oldest }

    /// Takes note of the next chunk.
    mutating func see(_ chunk: Chunk) { index.append(chunk) }

    /// Takes note of the next row of the last chunk.
    mutating func see(_ row: EncodedRow) {
        let tag = row.tag
        let previous = last.updateValue(row.revision, forKey: tag) ?? 0
        if previous > 0 || row.isDeletion {
            index.append(
                Replacement(revision: row.revision, previous: previous, tag: tag, isDeletion: row.isDeletion))
        }
        if row.isDeletion { last[tag] = nil }
    }

    /// What was found.
    consuming func finish() -> ChunkIndex {
        index.pass(oldest)
        return index
    }
}
