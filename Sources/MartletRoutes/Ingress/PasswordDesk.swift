public import MartletBase

/// What is thought of a name and a password.
public enum PasswordVerdict: Sendable, Hashable {
    /// They are right.
    case good
    /// They are not.
    case bad
    /// Nobody looked at them.
    case unknown(PasswordLine.Refusal)
}

/// Who comes with which name and password, and who makes the hash that says whether they are right. A pair that is
/// known to be good costs none; of those who come with the same pair at the same time one makes it for all. The others
/// stand in a ``PasswordLine``.
public struct PasswordDesk: Sendable {
    /// So many good pairs are remembered, so that a client pays for the hash once.
    public static let memory = 4096
    /// How long a pair is remembered that nobody comes with.
    public static let remembered = Duration.seconds(600)

    /// A digest of a pair of hash and password, with a key of the process.
    public typealias Mark = [UInt8]

    /// What is said to somebody who came.
    public enum Word: Sendable, Hashable {
        /// It is its turn: it makes the hash, and tells ``end(_:_:at:)``.
        case look
        /// What was found out.
        case verdict(PasswordVerdict)
    }

    /// Pairs that are good, and when somebody last came with each.
    private var good: [Mark: MonotonicTime] = [:]
    /// Those whose pair is not known: one for each pair.
    private var line = PasswordLine()
    /// The pairs of those in line and of the one whose turn it is.
    private var pairs: [Int: Mark] = [:]
    /// Who came with each of these pairs; the first one stands for all.
    private var guests: [Mark: [Int]] = [:]

    /// A desk that nobody has come to.
    public init() {}

    /// Somebody comes. Gives what is said to whom, by their tickets: who is not among them waits.
    /// - Parameters:
    ///   - ticket: names who comes.
    ///   - client: its address, if it has one.
    public mutating func come(
        _ ticket: Int, with mark: Mark, of client: IPAddress?, to route: RouteOrigin, at now: MonotonicTime
    ) -> [Int: Word] {
        if recall(mark, at: now) { return [ticket: .verdict(.good)] }
        if guests[mark] != nil {
            guests[mark]?.append(ticket)
            return [:]
        }
        guests[mark] = [ticket]
        pairs[ticket] = mark
        switch line.join(ticket, of: client, to: route) {
        case .turn: return [ticket: .look]
        case .waits(let dropped): return dropped.map { leave($0, .unknown(.full)) } ?? [:]
        case .refused(let refusal): return leave(ticket, .unknown(refusal))
        }
    }

    /// Who was told to look has done so. Gives what is said to whom.
    public mutating func end(_ ticket: Int, _ verdict: PasswordVerdict, at now: MonotonicTime) -> [Int: Word] {
        if verdict == .good, let mark = pairs[ticket] { remember(mark, now) }
        var words = leave(ticket, verdict)
        if let next = line.next() { words[next] = .look }
        return words
    }

    /// Whether a pair is known to be good; if so, it is for a while more.
    public mutating func recall(_ mark: Mark, at now: MonotonicTime) -> Bool {
        guard let last = good[mark], now - last < Self.remembered else { return false }
        good[mark] = now
        return true
    }

    /// Takes note of a good pair, in place of the one that nobody came with for the longest when there are many.
    private mutating func remember(_ mark: Mark, _ now: MonotonicTime) {
        if good.count >= Self.memory, let oldest = good.min(by: { $0.value < $1.value })?.key { good[oldest] = nil }
        good[mark] = now
    }

    /// Somebody waits or looks no longer, and those for whom it did hear why.
    private mutating func leave(_ ticket: Int, _ verdict: PasswordVerdict) -> [Int: Word] {
        guard let mark = pairs.removeValue(forKey: ticket), let all = guests.removeValue(forKey: mark) else {
            return [:]
        }
        return Dictionary(uniqueKeysWithValues: all.map { ($0, .verdict(verdict)) })
    }
}
