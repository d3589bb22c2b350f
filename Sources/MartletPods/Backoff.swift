/// The delay between restarts of one container, or pulls of one image: 10 s, doubled at each, at most 5 min, and
/// forgotten after 10 min without one (client-go's flowcontrol.Backoff as kubelet sets it). Milliseconds.
struct CrashBackoff: Sendable, Hashable {
    static let first: Int64 = 10_000
    static let longest: Int64 = 300_000

    /// The delay that the last restart set up for the next.
    private(set) var delay: Int64 = 0
    private var updatedAt: Int64 = 0

    /// When something that ended (or failed) at `since` may be tried again. The first time is at once.
    func dueAt(since: Int64) -> Int64 {
        if delay == 0 || since - updatedAt > 2 * Self.longest { return since }
        return since + delay
    }

    /// Notes that it is tried again now, after an end at `since`.
    mutating func next(since: Int64, now: Int64) {
        if delay == 0 || since - updatedAt > 2 * Self.longest {
            delay = Self.first
        } else {
            delay = min(delay * 2, Self.longest)
        }
        updatedAt = now
    }
}

/// Tries again after failures that are not the pod's fault: 1 s, doubled at each, at most 10 s. Milliseconds.
struct Retry: Sendable, Hashable {
    private var delay: Int64 = 0
    /// Not before this.
    private(set) var at: Int64 = 0

    mutating func failed(now: Int64) {
        delay = delay == 0 ? 1000 : min(delay * 2, 10_000)
        at = now + delay
    }

    mutating func succeeded() { self = Retry() }
}
