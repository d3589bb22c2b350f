public import MartletBase

/// When leases end, as the member that leads sees it. Pure: it is told the time.
///
/// The store knows which leases there are; time is only the leader's. A new leader gives each lease its whole time
/// again (``promote(_:now:extension:)``), so that no lease ends early because leaders changed. Granting, renewing and
/// revoking cost O(log n), promotion O(n); a mass expiry comes out in portions, by the limit of ``due(now:limit:)``.
public struct LeaseClock: Sendable {
    /// How long a lease that was given out by ``due(now:limit:)`` waits before it is given out again, in case that
    /// its revocation was lost.
    public static let retry: Duration = .seconds(3)

    private struct Running: Sendable {
        var id: Int64
        var ttl: Int64
        /// When it ends.
        var end: MonotonicTime
        /// When it is given out: at its end, and then after each ``retry``.
        var deadline: MonotonicTime
        /// Where it stands in the heap.
        var place: Int
    }

    /// The leases, in no order.
    private var running: [Running] = []
    /// Where in `running` a lease is.
    private var slots: [Int64: Int] = [:]
    /// A binary heap of places in `running`, the earliest first.
    private var heap: [Int] = []

    /// A clock of no leases.
    public init() {}

    /// How many leases run.
    public var count: Int { heap.count }
    /// When ``due(now:limit:)`` will have something; nil when nothing runs.
    public var next: MonotonicTime? { heap.first.map { running[$0].deadline } }

    /// Begins with these leases (times to live in seconds, by id): each has its whole time from `now`, and `extension`
    /// more.
    public mutating func promote(_ leases: [Int64: Int64], now: MonotonicTime, extension extra: Duration = .zero) {
        demote()
        running.reserveCapacity(leases.count)
        slots.reserveCapacity(leases.count)
        for (id, ttl) in leases {
            let end = Self.end(ttl, now) + extra
            slots[id] = running.count
            running.append(Running(id: id, ttl: ttl, end: end, deadline: end, place: running.count))
        }
        heap = Array(running.indices)
        for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    /// Forgets all: this member leads no more.
    public mutating func demote() {
        running = []
        slots = [:]
        heap = []
    }

    /// A lease begins.
    public mutating func grant(_ id: Int64, ttl: Int64, now: MonotonicTime) {
        if slots[id] != nil { revoke(id) }
        let end = Self.end(ttl, now)
        slots[id] = running.count
        heap.append(running.count)
        running.append(Running(id: id, ttl: ttl, end: end, deadline: end, place: heap.count - 1))
        rise(heap.count - 1)
    }

    /// A lease has its whole time again, which is returned in seconds; nil when it does not run or has ended.
    public mutating func renew(_ id: Int64, now: MonotonicTime) -> Int64? {
        guard let slot = slots[id], running[slot].end > now else { return nil }
        let end = Self.end(running[slot].ttl, now)
        running[slot].end = end
        move(slot, to: end)
        return running[slot].ttl
    }

    /// A lease is gone.
    public mutating func revoke(_ id: Int64) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        let place = running[slot].place
        let last = heap.removeLast()
        if place < heap.count {
            heap[place] = last
            running[last].place = place
            rise(place)
            sink(running[last].place)
        }
        // The last lease of the list takes the free place.
        let moved = running.removeLast()
        if slot < running.count {
            running[slot] = moved
            heap[moved.place] = slot
            slots[moved.id] = slot
        }
    }

    /// How long a lease still has; zero when it has ended, nil when it does not run.
    public func remaining(_ id: Int64, now: MonotonicTime) -> Duration? {
        guard let slot = slots[id] else { return nil }
        let end = running[slot].end
        return end > now ? .nanoseconds(Int64(clamping: end.nanoseconds - now.nanoseconds)) : .zero
    }

    /// Leases that have ended, at most `limit`: propose to revoke them. Each comes again after ``retry`` unless
    /// ``revoke(_:)`` tells that it is gone.
    public mutating func due(now: MonotonicTime, limit: Int) -> [Int64] {
        var found: [Int64] = []
        while found.count < limit, let first = heap.first, running[first].deadline <= now {
            found.append(running[first].id)
            move(first, to: now + Self.retry)
        }
        return found
    }

    private static func end(_ ttl: Int64, _ now: MonotonicTime) -> MonotonicTime { now + .seconds(ttl) }

    // MARK: The heap

    private mutating func move(_ slot: Int, to deadline: MonotonicTime) {
        running[slot].deadline = deadline
        rise(running[slot].place)
        sink(running[slot].place)
    }

    /// By time, then by id: what comes out does not depend on how it went in.
    private func isEarlier(_ a: Int, _ b: Int) -> Bool {
        let (left, right) = (running[a].deadline, running[b].deadline)
        return left == right ? running[a].id < running[b].id : left < right
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0, isEarlier(heap[place], heap[(place - 1) / 2]) {
            swap(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            let child = 2 * place + 1
            if child < heap.count, isEarlier(heap[child], heap[least]) { least = child }
            if child + 1 < heap.count, isEarlier(heap[child + 1], heap[least]) { least = child + 1 }
            if least == place { return }
            swap(place, least)
            place = least
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        running[heap[a]].place = a
        running[heap[b]].place = b
    }
}
