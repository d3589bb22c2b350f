/// The live pairs in the order of their keys: a sorted list of sorted chunks. A lookup is two binary searches; a change
/// moves at most one chunk's pairs.
struct OrderedKeys: Sendable {
    /// A chunk that grows past this is halved.
    static let chunkLimit = 256

    private var chunks: [[KeyValue]] = []
    private(set) var count = 0

    /// A place in the list; valid until the next change.
    struct Position: Sendable, Hashable {
        fileprivate var chunk: Int
        fileprivate var offset: Int
    }

    subscript(key: [UInt8]) -> KeyValue? {
        let (position, found) = find(key)
        return found ? chunks[position.chunk][position.offset] : nil
    }

    /// Sets a pair and returns the one before.
    @discardableResult
    mutating func set(_ pair: KeyValue) -> KeyValue? {
        let (position, found) = find(pair.key)
        if found {
            let before = chunks[position.chunk][position.offset]
            chunks[position.chunk][position.offset] = pair
            return before
        }
        count += 1
        if chunks.isEmpty {
            chunks.append([pair])
            return nil
        }
        // A key after all others goes to the end of the last chunk.
        let isLast = position.chunk == chunks.count
        let chunk = isLast ? chunks.count - 1 : position.chunk
        let offset = isLast ? chunks[chunk].count : position.offset
        chunks[chunk].insert(pair, at: offset)
        if chunks[chunk].count > Self.chunkLimit { split(chunk) }
        return nil
    }

    /// Removes a pair and returns it.
    mutating func remove(_ key: [UInt8]) -> KeyValue? {
        let (position, found) = find(key)
        guard found else { return nil }
        count -= 1
        let before = chunks[position.chunk].remove(at: position.offset)
        if chunks[position.chunk].isEmpty { chunks.remove(at: position.chunk) }
        return before
    }

    /// The pairs of a range, in order; ends early when `body` returns false.
    func forEach(in range: KeyRange, _ body: (KeyValue) -> Bool) {
        var (position, _) = find(range.from)
        while position.chunk < chunks.count {
            let chunk = chunks[position.chunk]
            for offset in position.offset..<chunk.count {
                let pair = chunk[offset]
                if ByteOrder.compare(pair.key, range.to) >= 0 || !body(pair) { return }
            }
            position = Position(chunk: position.chunk + 1, offset: 0)
        }
    }

    /// Where `key` is, or would be put.
    private func find(_ key: [UInt8]) -> (Position, Bool) {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.compare(chunks[middle][chunks[middle].count - 1].key, key) < 0 {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low < chunks.count else { return (Position(chunk: low, offset: 0), false) }
        let chunk = low
        low = 0
        high = chunks[chunk].count
        while low < high {
            let middle = (low + high) / 2
            let order = ByteOrder.compare(chunks[chunk][middle].key, key)
            if order == 0 { return (Position(chunk: chunk, offset: middle), true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (Position(chunk: chunk, offset: low), false)
    }

    private mutating func split(_ chunk: Int) {
        let half = chunks[chunk].count / 2
        let upper = Array(chunks[chunk][half...])
        chunks[chunk].removeLast(upper.count)
        chunks.insert(upper, at: chunk + 1)
    }
}
