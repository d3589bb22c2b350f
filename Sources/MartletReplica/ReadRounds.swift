internal import MartletBase
internal import MartletRaft

/// Linearizable reads on their way. All that arrive together are asked about together; while some questions are open,
/// the next ones gather.
struct ReadRounds {
    typealias Continuation = CheckedContinuation<Void, any Error>

    private struct Reader {
        var continuation: Continuation
        var deadline: MonotonicTime
    }
    private struct Round {
        var number: UInt64
        var readers: [Reader]
    }
    private struct Parked {
        var index: UInt64
        var readers: [Reader]
    }

    private var gathered: [Reader] = []
    private var open: [Round] = []
    /// Confirmed, and waiting for entries to be applied.
    private var parked: [Parked] = []
    private var lastNumber: UInt64 = 0
    /// Set when nobody confirmed: the next question waits for the next tick.
    private var mustPause = false
    private(set) var count = 0

    /// Whether Raft should be asked now.
    var areDue: Bool { !gathered.isEmpty && !mustPause && open.count < Limits.readRounds }

    mutating func add(_ continuation: Continuation, until deadline: MonotonicTime) {
        gathered.append(Reader(continuation: continuation, deadline: deadline))
        count += 1
    }

    /// Opens a question for all that are gathered. Returns its number.
    mutating func ask() -> UInt64? {
        guard areDue else { return nil }
        lastNumber += 1
        open.append(Round(number: lastNumber, readers: gathered))
        gathered = []
        return lastNumber
    }

    /// These may be answered from the state after entry `index`.
    mutating func confirm(_ numbers: [UInt64], from index: UInt64, applied: UInt64) {
        for number in numbers {
            guard let place = open.firstIndex(where: { $0.number == number }) else { continue }
            let readers = open.remove(at: place).readers
            if index <= applied { resume(readers) } else { parked.append(Parked(index: index, readers: readers)) }
        }
    }

    /// Entries through `index` are applied.
    mutating func applied(through index: UInt64) {
        guard !parked.isEmpty else { return }
        let ready = parked.filter { $0.index <= index }
        parked.removeAll { $0.index <= index }
        for round in ready { resume(round.readers) }
    }

    /// Nobody confirmed these.
    mutating func askAgain(_ numbers: [UInt64]) {
        for number in numbers {
            guard let place = open.firstIndex(where: { $0.number == number }) else { continue }
            gathered = open.remove(at: place).readers + gathered
            mustPause = true
        }
    }

    /// A tick has passed: those whose time is over fail. What is confirmed does not arrive while the log has no room.
    mutating func tick(_ now: MonotonicTime, roomFailure: String?) {
        mustPause = false
        guard count > 0 else { return }
        var late: [Reader] = []
        let now = roomFailure == nil ? now : now + (Limits.read - Limits.roomPatience)
        let error = roomFailure.map(ReplicaError.noRoom) ?? .notLeader
        func sift(_ readers: inout [Reader]) {
            guard readers.contains(where: { $0.deadline < now }) else { return }
            late += readers.filter { $0.deadline < now }
            readers.removeAll { $0.deadline < now }
        }
        sift(&gathered)
        for place in open.indices { sift(&open[place].readers) }
        for place in parked.indices { sift(&parked[place].readers) }
        open.removeAll { $0.readers.isEmpty }
        parked.removeAll { $0.readers.isEmpty }
        count -= late.count
        for reader in late { reader.continuation.resume(throwing: error) }
    }

    mutating func fail(with error: ReplicaError) {
        let all = parked.flatMap(\.readers) + open.flatMap(\.readers) + gathered
        parked = []
        open = []
        gathered = []
        count = 0
        for reader in all { reader.continuation.resume(throwing: error) }
    }

    private mutating func resume(_ readers: [Reader]) {
        count -= readers.count
        for reader in readers { reader.continuation.resume() }
    }
}

extension Replica {
    /// Returns when reads of this member's state are linearizable: they see all that was answered before this was
    /// called, on any member. A group of one returns at once.
    /// - Throws: ``ReplicaError``: `notLeader` when no leader confirmed in time, `noRoom` when the log has no room for
    ///   what the leader has confirmed.
    public func confirmRead() async throws {
        if isAlone, core.role == .leader { return }
        if let stopReason { throw ReplicaError.stopped(stopReason) }
        guard reads.count < Limits.waiters else { throw ReplicaError.overloaded }
        try await withCheckedThrowingContinuation { continuation in
            reads.add(continuation, until: world.now() + Limits.read)
            if reads.areDue { wake() }
        }
    }

    /// Whether reads need ``confirmRead()`` to be linearizable: not in a group of one.
    public var needsConfirmedReads: Bool { !isAlone }

    func askReads() {
        while let number = reads.ask() { core.step(.read(number), into: &effects) }
    }
}
