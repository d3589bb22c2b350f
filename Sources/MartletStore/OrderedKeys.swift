/// The live pairs in the order of their keys: a sorted list of sorted chunks. A lookup is two binary searches over
/// ``KeyHeads``; a change moves at most one chunk's pairs.
struct OrderedKeys: Sendable {
    /// A full chunk is divided before it takes another pair.
    static let chunkLimit = 128

    private struct Chunk: Sendable {
        var heads: KeyHeads
        var pairs: ContiguousArray<KeyValue>

        init(_ pairs: ContiguousArray<KeyValue>) {
            self.pairs = pairs
            heads = KeyHeads(count: pairs.count) { pairs[$0].key }
        }
        /// Where `key` is, or would be put.
        @inline(__always)
        func find(_ key: [UInt8]) -> (index: Int, found: Bool) {
            if let index = heads.guess(key, key: { pairs[$0].key }) { return (index, true) }
            return search(key)
        }
        @inline(never)
        private func search(_ key: [UInt8]) -> (index: Int, found: Bool) { heads.find(key) { pairs[$0].key } }
    }

    private var chunks: ContiguousArray<Chunk> = []
    /// For each chunk a key that is not after any of its own, and after all of the chunks before it.
    private var lows: ContiguousArray<[UInt8]> = []
    /// How many pairs each chunk has, side by side for counting.
    private var sizes: ContiguousArray<Int32> = []
    private var lowHeads = KeyHeads(count: 0) { _ in [] }
    private(set) var count = 0

    /// A place in the list; valid until the next change.
    struct Position: Sendable {
        fileprivate var chunk: Int
        fileprivate var offset: Int
    }

    /// Where the first key is that is not before `key`.
    func start(at key: [UInt8]) -> Position {
        chunks.isEmpty ? Position(chunk: 0, offset: 0) : position(of: key)
    }

    /// The pair at `position`, which moves on; nil at the end.
    func next(_ position: inout Position) -> KeyValue? {
        while position.chunk < chunks.count {
            let pairs = chunks[position.chunk].pairs
            if position.offset < pairs.count {
                position.offset += 1
                return pairs[position.offset - 1]
            }
            position = Position(chunk: position.chunk + 1, offset: 0)
        }
        return nil
    }

    subscript(key: [UInt8]) -> KeyValue? {
        guard !chunks.isEmpty else { return nil }
        let chunk = chunkIndex(of: key)
        let (offset, found) = chunks[chunk].find(key)
        return found ? chunks[chunk].pairs[offset] : nil
    }

    /// Sets a pair and returns the one before.
    @discardableResult
    mutating func set(_ pair: KeyValue) -> KeyValue? { update(pair.key) { _ in pair }.before }

    /// Sets a key to what `make` gives for the pair before; `make` keeps the key.
    mutating func update(_ key: [UInt8], _ make: (KeyValue?) -> KeyValue) -> (before: KeyValue?, after: KeyValue) {
        if chunks.isEmpty {
            let pair = make(nil)
            chunks.append(Chunk([pair]))
            sizes.append(1)
            insertLow(pair.key, at: 0)
            count = 1
            return (nil, pair)
        }
        let chunk = chunkIndex(of: key)
        let (offset, found) = chunks[chunk].find(key)
        if found {
            let after = make(chunks[chunk].pairs[offset])
            // Exchanged, not copied: that would count the references to the old pair up and down again.
            var other = after
            swap(&other, &chunks[chunk].pairs[offset])
            return (other, after)
        }
        let pair = make(nil)
        count += 1
        insert(pair, chunk, offset)
        return (nil, pair)
    }

    /// Removes a pair and returns it.
    mutating func remove(_ key: [UInt8]) -> KeyValue? {
        guard !chunks.isEmpty else { return nil }
        let chunk = chunkIndex(of: key)
        let (offset, found) = chunks[chunk].find(key)
        guard found else { return nil }
        count -= 1
        let before = chunks[chunk].pairs.remove(at: offset)
        sizes[chunk] -= 1
        chunks[chunk].heads.remove(at: offset)
        shrink(chunk)
        return before
    }

    /// The pairs of a range, in order; ends early when `body` returns false.
    func forEach(in range: KeyRange, _ body: (KeyValue) -> Bool) {
        guard !chunks.isEmpty, !range.isEmpty else { return }
        var start = position(of: range.from)
        let end = range.to.isEmpty ? Position(chunk: chunks.count, offset: 0) : position(of: range.to)
        while start.chunk < chunks.count, start.chunk <= end.chunk {
            let last = start.chunk == end.chunk ? end.offset : chunks[start.chunk].pairs.count
            var offset = start.offset
            while offset < last {
                if !body(chunks[start.chunk].pairs[offset]) { return }
                offset += 1
            }
            start = Position(chunk: start.chunk + 1, offset: 0)
        }
    }

    /// How many keys a range has.
    func count(in range: KeyRange) -> Int {
        guard !chunks.isEmpty, !range.isEmpty else { return 0 }
        if range.from.isEmpty, range.to.isEmpty { return count }
        let start = position(of: range.from)
        let end = range.to.isEmpty ? Position(chunk: chunks.count, offset: 0) : position(of: range.to)
        var sum = end.offset - start.offset
        for chunk in start.chunk..<max(end.chunk, start.chunk) { sum += Int(sizes[chunk]) }
        return sum
    }

    /// The chunk that holds `key`, or would.
    @inline(__always)
    private func chunkIndex(of key: [UInt8]) -> Int {
        let (index, found) = lowHeads.find(key) { lows[$0] }
        return found ? index : max(index - 1, 0)
    }

    private func position(of key: [UInt8]) -> Position {
        let chunk = chunkIndex(of: key)
        return Position(chunk: chunk, offset: chunks[chunk].find(key).index)
    }

    private mutating func insert(_ pair: KeyValue, _ chunk: Int, _ offset: Int) {
        var (chunk, offset) = (chunk, offset)
        let size = chunks[chunk].pairs.count
        if size >= Self.chunkLimit {
            if offset == size {
                // Keys that come in order fill their chunks.
                chunks.insert(Chunk([pair]), at: chunk + 1)
                sizes.insert(1, at: chunk + 1)
                insertLow(pair.key, at: chunk + 1)
                return
            }
            let half = size / 2
            chunks.insert(Chunk(ContiguousArray(chunks[chunk].pairs[half...])), at: chunk + 1)
            chunks[chunk] = Chunk(ContiguousArray(chunks[chunk].pairs[..<half]))
            sizes[chunk] = Int32(half)
            sizes.insert(Int32(size - half), at: chunk + 1)
            insertLow(chunks[chunk + 1].pairs[0].key, at: chunk + 1)
            if offset > half {
                chunk += 1
                offset -= half
            }
        }
        chunks[chunk].pairs.insert(pair, at: offset)
        sizes[chunk] += 1
        let pairs = chunks[chunk].pairs
        chunks[chunk].heads.insert(pair.key, at: offset) { pairs[$0].key }
        // Only the first chunk takes keys before its low one.
        if chunk == 0, offset == 0 { replaceFirstLow(pair.key) }
    }

    /// Drops an empty chunk, and joins a nearly empty one with a neighbour that has room.
    private mutating func shrink(_ chunk: Int) {
        let size = chunks[chunk].pairs.count
        if size == 0 {
            chunks.remove(at: chunk)
            sizes.remove(at: chunk)
            removeLow(at: chunk)
            return
        }
        guard size < Self.chunkLimit / 8, chunks.count > 1 else { return }
        let left = chunk > 0 ? chunk - 1 : chunk
        let joined = chunks[left].pairs.count + chunks[left + 1].pairs.count
        guard joined <= Self.chunkLimit / 2 else { return }
        chunks[left] = Chunk(chunks[left].pairs + chunks[left + 1].pairs)
        chunks.remove(at: left + 1)
        sizes[left] = Int32(joined)
        sizes.remove(at: left + 1)
        removeLow(at: left + 1)
    }

    private mutating func insertLow(_ key: [UInt8], at index: Int) {
        lows.insert(key, at: index)
        let lows = lows
        lowHeads.insert(key, at: index) { lows[$0] }
    }

    private mutating func removeLow(at index: Int) {
        lows.remove(at: index)
        lowHeads.remove(at: index)
    }

    private mutating func replaceFirstLow(_ key: [UInt8]) {
        removeLow(at: 0)
        insertLow(key, at: 0)
    }
}
