internal import MartletStore

/// What the changes since the last checkpoint come to. A version that was made and has gone meanwhile never reaches the
/// file.
struct CheckpointBatch: ~Copyable {
    private let events: [StoreEvent]
    /// The events of the file's next revisions; those before are in it already.
    private let new: Range<Int>
    /// What there is to say of each of the new events.
    private var facts: [Fact] = []

    private struct Fact {
        var revision: Int64
        /// The revision of the key's row before it, one that is written; 0 for none.
        var previous: Int64
        /// Whether its row is written.
        var isKept = true
    }

    /// - Parameters:
    ///   - events: in order; those not after `revision` are in the file already.
    ///   - oldest: the oldest revision that can still be read.
    init(_ events: [StoreEvent], after revision: Int64, oldest: Int64) {
        self.events = events
        let start = events.partitioningIndex { $0.pair.modRevision > revision }
        new = start..<events.count
        facts.reserveCapacity(new.count)
        events.withUnsafeBufferPointer { events in
            for at in new { note(events, at, oldest: oldest) }
        }
    }

    private mutating func note(_ events: UnsafeBufferPointer<StoreEvent>, _ at: Int, oldest: Int64) {
        let revision = events[at].pair.modRevision
        var fact = Fact(revision: revision, previous: events[at].previous?.modRevision ?? 0)
        // Of a key's changes through `oldest`, and of those in one revision, only the last one can be seen: it takes the
        // place of what the first one did.
        if fact.previous > 0, fact.previous == revision || revision <= oldest,
            let before = place(of: events[at].pair.key, at: fact.previous, events)
        {
            fact.previous = facts[before].previous
            facts[before].previous = 0
            facts[before].isKept = false
        }
        // There is nothing in the file that such a deletion must cover.
        if events[at].isDeletion, revision <= oldest, fact.previous == 0 { fact.isKept = false }
        facts.append(fact)
    }

    /// Which of the facts tells of a key's last change at a revision.
    private func place(
        of key: borrowing [UInt8], at revision: Int64, _ events: UnsafeBufferPointer<StoreEvent>
    ) -> Int? {
        var at = facts.partitioningIndex { $0.revision >= revision }
        var found: Int?
        while at < facts.count, facts[at].revision == revision {
            if events[new.lowerBound + at].pair.key == key { found = at }
            at += 1
        }
        return found
    }

    /// Hands out the rows in chunks, and what each of them will make dead.
    consuming func forEach(
        chunk: (Chunk, [UInt8]) throws -> Void, replacement: (Replacement) -> Void
    ) throws {
        try events.withUnsafeBufferPointer { events in
            var next = 0
            while next < facts.count {
                let range = next..<endOfChunk(from: next, events)
                if let (made, body) = encode(range, events) { try chunk(made, body) }
                for at in range { if let made = self.replacement(at, events) { replacement(made) } }
                next = range.upperBound
            }
        }
    }

    /// Where a chunk ends that begins there: when it has its size, and never within a revision.
    private func endOfChunk(from start: Int, _ events: UnsafeBufferPointer<StoreEvent>) -> Int {
        var bytes = 0
        var end = start
        while end < facts.count {
            if bytes >= Chunk.target, facts[end].revision != facts[end - 1].revision { break }
            if facts[end].isKept { bytes += VersionRows.size(of: events[new.lowerBound + end]) }
            end += 1
        }
        return end
    }

    private func encode(_ range: Range<Int>, _ events: UnsafeBufferPointer<StoreEvent>) -> (Chunk, [UInt8])? {
        var bytes = 0
        var rows = 0
        var first: Int64 = 0
        for at in range where facts[at].isKept {
            bytes += VersionRows.size(of: events[new.lowerBound + at])
            if rows == 0 { first = facts[at].revision }
            rows += 1
        }
        guard rows > 0 else { return nil }
        let body = [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            guard var place = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            for at in range where facts[at].isKept {
                VersionRows.write(events[new.lowerBound + at], previous: facts[at].previous, to: &place)
            }
            count = bytes
        }
        return (Chunk(first: first, rows: rows, bytes: bytes), body)
    }

    private func replacement(_ at: Int, _ events: UnsafeBufferPointer<StoreEvent>) -> Replacement? {
        let fact = facts[at]
        let isDeletion = events[new.lowerBound + at].isDeletion
        guard fact.isKept, fact.previous > 0 || isDeletion else { return nil }
        let tag = events[new.lowerBound + at].pair.key.withUnsafeBytes { KeyTag($0) }
        return Replacement(revision: fact.revision, previous: fact.previous, tag: tag, isDeletion: isDeletion)
    }

    /// The same changes without those that nobody can see any more: of each key's changes through `oldest` the last
    /// one, which takes the place of what the first one did.
    static func visible(of events: [StoreEvent], oldest: Int64) -> [StoreEvent] {
        var kept: [StoreEvent?] = []
        var places: [[UInt8]: Int] = [:]
        for var event in events {
            if event.pair.modRevision <= oldest {
                if let earlier = places[event.pair.key] {
                    event.previous = kept[earlier]?.previous
                    kept[earlier] = nil
                }
                places[event.pair.key] = kept.count
            }
            kept.append(event)
        }
        return kept.compactMap { $0 }
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
