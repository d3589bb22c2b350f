internal import DequeModule
internal import MartletBase
internal import MartletStore

/// Those who wait for their proposals, by the sequences of these: a queue with gaps, so that none of them costs a
/// search, a timer or a task.
struct Waiters {
    typealias Continuation = UnsafeContinuation<CommandResult, any Error>

    private struct Slot {
        var continuation: Continuation?
        var deadline: MonotonicTime
        var isSettled = false
    }

    private var slots: Deque<Slot> = []
    private var first: UInt64 = 1

    /// How many sequences are between the oldest that is not settled and the newest.
    var count: Int { slots.count }

    /// Takes the next sequence.
    mutating func add(_ continuation: Continuation, until deadline: MonotonicTime) -> UInt64 {
        slots.append(Slot(continuation: continuation, deadline: deadline))
        return first + UInt64(slots.count) - 1
    }

    /// The proposal is decided: returns who waits for it.
    mutating func settle(_ sequence: UInt64) -> Continuation? {
        guard sequence >= first, sequence - first < UInt64(slots.count) else { return nil }
        let place = Int(sequence - first)
        let continuation = slots[place].continuation
        slots[place].continuation = nil
        slots[place].isSettled = true
        while slots.first?.isSettled == true {
            slots.removeFirst()
            first += 1
        }
        return continuation
    }

    /// Those whose time is over, oldest first. They are settled by this.
    mutating func expire(_ now: MonotonicTime) -> [(sequence: UInt64, continuation: Continuation?)] {
        var expired: [(sequence: UInt64, continuation: Continuation?)] = []
        while let slot = slots.first, slot.isSettled || slot.deadline < now {
            if !slot.isSettled { expired.append((first, slot.continuation)) }
            slots.removeFirst()
            first += 1
        }
        return expired
    }

    /// All that wait. They are settled by this.
    mutating func takeAll() -> [Continuation] {
        let all = slots.compactMap(\.continuation)
        first += UInt64(slots.count)
        slots = []
        return all
    }
}
