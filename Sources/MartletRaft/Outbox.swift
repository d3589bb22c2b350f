internal import DequeModule

/// A member's own proposals that are not settled, in the order of their sequences.
struct Outbox: Sendable {
    struct Item: Sendable {
        var sequence: UInt64
        var content: Content
        /// The latest term in which it was sent to the leader, or written by this one; 0: never.
        var sentTerm: UInt64 = 0
        var sentAt = 0
        /// Nothing more is to be done about it.
        var isSettled = false

        var cost: Int {
            switch content {
            case .command(let payload): payload.count + 32
            case .change(_, let context): context.count + 64
            }
        }
    }

    enum Content: Sendable {
        case command([UInt8])
        case change(MembershipChange, context: [UInt8])
    }

    private(set) var items: Deque<Item> = []
    /// How many of the first ones were sent in this term.
    private(set) var sent = 0
    /// Cost of all that is not settled.
    private(set) var bytes = 0
    private var last: UInt64 = 0

    /// All sequences under this one are settled.
    var floor: UInt64 { items.first?.sequence ?? last + 1 }
    /// The first one that was not sent in this term.
    var next: Item? { sent < items.count ? items[sent] : nil }

    /// Takes a proposal in. Its sequence must be higher than any before.
    mutating func add(_ sequence: UInt64, _ content: Content) {
        precondition(sequence > last, "the sequences of a session's proposals must rise")
        last = sequence
        let item = Item(sequence: sequence, content: content)
        bytes += item.cost
        items.append(item)
    }

    /// Marks the next one as sent.
    mutating func markSent(term: UInt64, at now: Int) {
        items[sent].sentTerm = term
        items[sent].sentAt = now
        sent += 1
    }

    /// Passes over the next one, which is settled.
    mutating func skip() { sent += 1 }

    /// A new term has begun: all is to be looked at again.
    mutating func rewind() { sent = 0 }

    /// Those sent in this term that nothing was heard of since `time`, about `limit` bytes of them; marked as sent now.
    mutating func overdue(since time: Int, at now: Int, bytes limit: Int) -> [Item] {
        var result: [Item] = []
        var size = 0
        for place in 0..<sent where !items[place].isSettled && items[place].sentAt <= time {
            size += items[place].cost
            if size > limit, !result.isEmpty { break }
            items[place].sentAt = now
            result.append(items[place])
        }
        return result
    }

    /// Nothing more is to be done about this one. Returns whether there was something.
    @discardableResult mutating func settle(_ sequence: UInt64) -> Bool {
        guard let place = place(of: sequence), !items[place].isSettled else { return false }
        bytes -= items[place].cost
        items[place].isSettled = true
        items[place].content = .command([])
        while let first = items.first, first.isSettled {
            items.removeFirst()
            sent = max(sent - 1, 0)
        }
        return true
    }

    /// As ``settle(_:)``, for one that was sent in `term`.
    mutating func settle(_ sequence: UInt64, sentIn term: UInt64) -> Bool {
        guard let place = place(of: sequence), items[place].sentTerm == term else { return false }
        return settle(sequence)
    }

    /// Settles all that were sent in `term` or before, and returns them.
    mutating func loseAll(sentBy term: UInt64) -> [UInt64] {
        let doomed = items.filter { !$0.isSettled && $0.sentTerm > 0 && $0.sentTerm <= term }.map(\.sequence)
        for sequence in doomed { settle(sequence) }
        return doomed
    }

    private func place(of sequence: UInt64) -> Int? {
        guard let first = items.first, sequence >= first.sequence else { return nil }
        if first.sequence == sequence { return 0 }
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low < items.count && items[low].sequence == sequence ? low : nil
    }
}
