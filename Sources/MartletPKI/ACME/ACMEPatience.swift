public import MartletBase

/// When certificates that could not be got are tried again. A value without a clock.
public struct ACMEPatience: Sendable {
    /// How often something has failed, and when it is tried again.
    private struct Failure {
        var count: Int
        var due: WallTime
    }
    /// After an authority has refused: the first wait, doubled each time, up to the last. Authorities count failures,
    /// and turn away who has too many within an hour.
    static let refused = (first: Duration.seconds(300), last: Duration.seconds(24 * 3600))
    /// After it could not be reached.
    static let unreached = (first: Duration.seconds(10), last: Duration.seconds(3600))
    /// So many are remembered; when there are more, those that are due are forgotten.
    static let memory = 10_000

    private var failures: [String: Failure] = [:]

    /// Nothing has failed.
    public init() {}

    /// Whether something may be tried.
    public func allows(_ what: String, now: WallTime) -> Bool { failures[what].map { now >= $0.due } ?? true }

    /// Notes a failure.
    /// - Parameter problem: what the authority said; nil when it could not be reached.
    /// - Returns: how long it is waited.
    public mutating func failed(_ what: String, _ problem: ACMEProblem?, now: WallTime) -> Duration {
        if failures.count >= Self.memory, failures[what] == nil { failures = failures.filter { $0.value.due > now } }
        let count = min((failures[what]?.count ?? 0) + 1, 20)
        let bounds = problem == nil ? Self.unreached : Self.refused
        var wait = min(bounds.first * (1 << (count - 1)), bounds.last)
        if let asked = problem?.retryAfter { wait = max(wait, min(asked, .seconds(7 * 24 * 3600))) }
        if failures.count < Self.memory || failures[what] != nil {
            failures[what] = Failure(count: count, due: now + wait)
        }
        return wait
    }

    /// Notes a success.
    public mutating func succeeded(_ what: String) { failures[what] = nil }
}
