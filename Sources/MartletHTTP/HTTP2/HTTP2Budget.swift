internal import MartletBase

/// How much of something a peer may still do: so much at once, and some more each second. A pure value.
struct HTTP2Budget: Sendable {
    private let limit: Double
    private let perSecond: Double
    private var left: Double
    private var last: MonotonicTime

    init(_ limit: Int, perSecond: Int, at now: MonotonicTime) {
        self.limit = Double(limit)
        self.perSecond = Double(perSecond)
        left = self.limit
        last = now
    }

    /// Whether something is left.
    var isLeft: Bool { left > 0 }

    /// Takes one; false when that was the last.
    mutating func take(at now: MonotonicTime) -> Bool {
        left = min(limit, left + Double((now - last).nanoseconds) / 1e9 * perSecond) - 1
        last = now
        return isLeft
    }

    /// Gives some back, for work that explains them.
    mutating func earn(_ count: Int) { left = min(limit, left + Double(count)) }
}
