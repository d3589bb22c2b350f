internal import MartletBase

/// What a question to other resolvers is known by.
struct DNSQuestion: Sendable, Hashable {
    var name: DNSName
    var type: UInt16
    var recordClass: UInt16
    var wantsSignatures = false
    var disablesChecking = false
}

/// Answers of other resolvers, while they are good. When there is no room, what was not asked for again goes first.
struct DNSCache: Sendable {
    private struct Entry {
        var reply: DNSReply
        var born: MonotonicTime
        var seconds: UInt32
        var wasUsed = false
        /// Which of the keys in the ring is this entry's.
        var turn: UInt64
    }
    private var entries: [DNSQuestion: Entry] = [:]
    /// The keys in the order in which they are looked at; those before `next` are done with.
    private var ring: [(key: DNSQuestion, turn: UInt64)] = []
    private var next = 0
    private var turns: UInt64 = 0
    private(set) var bytes = 0
    private let most: Int
    private let mostBytes: Int

    init(most: Int = DNSLimits.cachedAnswers, mostBytes: Int = DNSLimits.cachedBytes) {
        self.most = most
        self.mostBytes = mostBytes
    }

    var count: Int { entries.count }

    /// The answer and its age in seconds.
    mutating func find(_ key: DNSQuestion, at now: MonotonicTime) -> (reply: DNSReply, age: UInt32)? {
        guard let entry = entries[key] else { return nil }
        let age = max(0, (now - entry.born).nanoseconds / 1_000_000_000)
        guard age < Int64(entry.seconds) else {
            drop(key)
            return nil
        }
        if !entry.wasUsed { entries[key]?.wasUsed = true }
        return (entry.reply, UInt32(age))
    }

    mutating func put(_ reply: DNSReply, for key: DNSQuestion, seconds: UInt32, at now: MonotonicTime) {
        drop(key)
        let size = Self.size(reply)
        guard seconds > 0, size <= mostBytes else { return }
        while entries.count >= most || bytes + size > mostBytes { evictOne(at: now) }
        turns += 1
        entries[key] = Entry(reply: reply, born: now, seconds: seconds, turn: turns)
        ring.append((key, turns))
        bytes += size
        if ring.count > 2 * most + 16 {
            ring = ring[next...].filter { entries[$0.key]?.turn == $0.turn }
            next = 0
        }
    }

    /// What an entry takes, about: its records, and what is kept to find it.
    private static func size(_ reply: DNSReply) -> Int {
        reply.records.count + 8 * (reply.ends.count + reply.times.count) + 512
    }

    private mutating func drop(_ key: DNSQuestion) {
        if let entry = entries.removeValue(forKey: key) { bytes -= Self.size(entry.reply) }
    }

    private mutating func evictOne(at now: MonotonicTime) {
        while next < ring.count {
            let (key, turn) = ring[next]
            next += 1
            guard let entry = entries[key], entry.turn == turn else { continue }
            let isOld = (now - entry.born).nanoseconds / 1_000_000_000 >= Int64(entry.seconds)
            if !entry.wasUsed || isOld { return drop(key) }
            entries[key]?.wasUsed = false
            ring.append((key, turn))
        }
    }
}
