public import MartletBase

/// When leases end, as the member that leads sees it. Pure: it is told the time.
///
/// The store knows which leases there are; time is only the leader's. A new leader gives each lease its whole time
/// again (``promote(_:now:extension:)``), so that no lease ends early because leaders changed. Granting, renewing and
/// revoking cost O(log n), promotion O(n); a mass expiry comes out in portions, by the limit given to ``due(now:limit:)``.
public struct LeaseClock: Sendable {
    /// How long a lease that was given out by ``due(now:limit:)`` waits before it is given out again, in case that
    /// its revocation was lost.
    public static let retry: Duration = .seconds(3)

    private struct Slot: Sendable {
        var deadline: MonotonicTime
        var id: Int64
        /// By time, then by id: what comes out does not depend on how it went in.
        static func < (a: Slot, b: Slot) -> Bool { a.deadline == b.deadline ? a.id < b.id : a.deadline < b.deadline }
    }
    private struct Known: Sendable {
        /// Where in the heap.
        var place: Int
        var ttl: Int64
        /// When it ends; the heap's deadline may be that of a retry.
        var end: MonotonicTime
    }

    /// A binary heap, the earliest first; each lease is in it once.
    private var heap: [Slot] = []
    private var known: [Int64: Known] = [:]

    /// A clock of no leases.
    public init() {}

    /// How many leases run.
    public var count: Int { heap.count }
    /// When ``due(now:limit:)`` will have something; nil when nothing runs.
    public var next: MonotonicTime? { heap.first?.deadline }

    /// Begins with these leases (times to live in seconds, by id): each has its whole time from `now`, and `extension`
    /// more.
    public mutating func promote(_ leases: [Int64: Int64], now: MonotonicTime, extension extra: Duration = .zero) {
        heap = []
        known = [:]
        heap.reserveCapacity(leases.count)
        known.reserveCapacity(leases.count)
        for (id, ttl) in leases {
            let end = Self.end(ttl, now) + extra
            known[id] = Known(place: heap.count, ttl: ttl, end: end)
            heap.append(Slot(deadline: end, id: id))
        }
        for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    /// Forgets all: this member leads no more.
    public mutating func demote() {
        heap = []
        known = [:]
    }

    /// A lease begins.
    public mutating func grant(_ id: Int64, ttl: Int64, now: MonotonicTime) {
        let end = Self.end(ttl, now)
        if known[id] == nil {
            known[id] = Known(place: heap.count, ttl: ttl, end: end)
            heap.append(Slot(deadline: end, id: id))
            rise(heap.count - 1)
        } else {
            known[id]?.ttl = ttl
            _ = renew(id, now: now)
        }
    }

    /// A lease has its whole time again, which is returned in seconds; nil when it does not run or has ended.
    public mutating func renew(_ id: Int64, now: MonotonicTime) -> Int64? {
        guard let lease = known[id], lease.end > now else { return nil }
        let end = Self.end(lease.ttl, now)
        known[id]?.end = end
        move(lease.place, to: end)
        return lease.ttl
    }

    /// A lease is gone.
    public mutating func revoke(_ id: Int64) {
        guard let place = known.removeValue(forKey: id)?.place else { return }
        let last = heap.removeLast()
        if place == heap.count { return }
        let before = heap[place]
        heap[place] = last
        known[last.id]?.place = place
        if last < before { rise(place) } else { sink(place) }
    }

    /// How long a lease still has; zero when it has ended, nil when it does not run.
    public func remaining(_ id: Int64, now: MonotonicTime) -> Duration? {
        guard let lease = known[id] else { return nil }
        return lease.end > now ? .nanoseconds(Int64(clamping: lease.end.nanoseconds - now.nanoseconds)) : .zero
    }

    /// Leases that have ended, at most `limit`: propose to revoke them. Each comes again after ``retry`` unless
    /// ``revoke(_:)`` tells that it is gone.
    public mutating func due(now: MonotonicTime, limit: Int) -> [Int64] {
        var found: [Int64] = []
        while found.count < limit, let first = heap.first, first.deadline <= now {
            found.append(first.id)
            move(0, to: now + Self.retry)
        }
        return found
    }

    private static func end(_ ttl: Int64, _ now: MonotonicTime) -> MonotonicTime { now + .seconds(ttl) }

    // MARK: The heap

    private mutating func move(_ place: Int, to deadline: MonotonicTime) {
        let before = heap[place].deadline
        heap[place].deadline = deadline
        if deadline < before { rise(place) } else { sink(place) }
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            swap(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && heap[child] < heap[least] { least = child }
            if least == place { return }
            swap(place, least)
            place = least
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        known[heap[a].id]?.place = a
        known[heap[b].id]?.place = b
    }
}
