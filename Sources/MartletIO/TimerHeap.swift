internal import MartletBase

/// A sleep that waits for its time.
///
/// `@unchecked Sendable`: after `init` only the reactor's thread touches it.
class Timer: @unchecked Sendable {
    let deadline: MonotonicTime
    /// Order of arrival, so that equal deadlines end in the order in which they were asked for.
    fileprivate(set) var sequence: UInt64 = 0
    /// Where it stands in the heap; -1 when it does not.
    fileprivate(set) var position = -1

    init(deadline: MonotonicTime) { self.deadline = deadline }

    /// Its time has come.
    func fire() {}
    /// Its time will not come.
    func cancel() {}
}

/// Timers by deadline; a removed timer leaves at once and costs no memory until its time.
struct TimerHeap {
    private var entries: [Timer] = []
    private var arrivals: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }
    var next: MonotonicTime? { entries.first?.deadline }

    mutating func insert(_ timer: Timer) {
        arrivals += 1
        timer.sequence = arrivals
        timer.position = entries.count
        entries.append(timer)
        rise(timer.position)
    }

    mutating func remove(_ timer: Timer) {
        let at = timer.position
        guard at >= 0 else { return }
        swapEntries(at, entries.count - 1)
        entries.removeLast()
        timer.position = -1
        if at < entries.count {
            rise(at)
            sink(at)
        }
    }

    /// Takes out the earliest timer if its time has come.
    mutating func popExpired(at now: MonotonicTime) -> Timer? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        remove(first)
        return first
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        let (a, b) = (entries[a], entries[b])
        return a.deadline == b.deadline ? a.sequence < b.sequence : a.deadline < b.deadline
    }

    private mutating func swapEntries(_ a: Int, _ b: Int) {
        entries.swapAt(a, b)
        entries[a].position = a
        entries[b].position = b
    }

    private mutating func rise(_ start: Int) {
        var at = start
        while at > 0, precedes(at, (at - 1) / 2) {
            swapEntries(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    private mutating func sink(_ start: Int) {
        var at = start
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < entries.count && precedes(child, least) {
                least = child
            }
            guard least != at else { return }
            swapEntries(at, least)
            at = least
        }
    }
}
