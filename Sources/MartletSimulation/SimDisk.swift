public import MartletBase
internal import Synchronization

/// What is planted in a simulated disk to see whether the checkers find it. Never in production.
public enum DiskMutation: String, Sendable, Hashable, CaseIterable {
    /// An append returns before it is durable.
    case skipsFsync
    /// Opening drops the last record that was durable.
    case losesTail
    /// A write that fails is reported as done.
    case swallowsErrors
}

/// What a simulated disk is like.
public struct DiskWeather: Sendable, Hashable {
    /// How long a sync takes.
    public var sync: ClosedRange<Duration>
    /// One in so many syncs takes up to ``stall``; 0: none.
    public var stallOneIn: UInt64
    /// The longest stall.
    public var stall: Duration

    /// A weather from its parts.
    public init(
        sync: ClosedRange<Duration> = .microseconds(100) ... .milliseconds(2), stallOneIn: UInt64 = 0,
        stall: Duration = .seconds(2)
    ) {
        self.sync = sync
        self.stallOneIn = stallOneIn
        self.stall = stall
    }
}

/// A disk with one write-ahead log on it, which outlives the process that writes it.
///
/// What a crash may do: everything that a returned append wrote stays; of what was being written any part reached the
/// disk, and as each record is chained to the one before it, what a reader then finds is a prefix of it. Rot is found
/// when the log is opened or read, as the real log's checksums find it.
public final class SimDisk: Sendable {
    struct State {
        var random: SplitMix64
        var weather = DiskWeather()
        var records: [LogRecord] = []
        var first: UInt64 = 1
        /// Through how many of `records` the disk has synced.
        var synced = 0
        var rotten: Set<UInt64> = []
        /// Counts openings: a log of an earlier one is dead.
        var life = 0
        var isFull = false
        var failsNextSync = false
        var failure: LogError?
        var mutation: DiskMutation?
    }

    /// Names the disk in errors.
    public let name: String
    let world: any World
    let state: Mutex<State>

    /// An empty disk. Its draws follow from `seed`, its time from `world`.
    public init(_ name: String, in world: any World, seed: UInt64, mutation: DiskMutation? = nil) {
        self.name = name
        self.world = world
        state = Mutex(State(random: SplitMix64(seed: seed), mutation: mutation))
    }

    // MARK: Faults

    /// What the disk is like from now on.
    public var weather: DiskWeather {
        get { state.withLock { $0.weather } }
        set { state.withLock { $0.weather = newValue } }
    }

    /// Whether there is no room: appends are refused.
    public var isFull: Bool {
        get { state.withLock { $0.isFull } }
        set { state.withLock { $0.isFull = newValue } }
    }

    /// The next sync fails, and with it the log until it is opened again.
    public func failNextSync() { state.withLock { $0.failsNextSync = true } }

    /// Turns a bit of one stored record; false when there is none.
    public func rot() -> Bool {
        state.withLock { state in
            guard state.synced > 0 else { return false }
            state.rotten.insert(state.first + state.random.next() % UInt64(state.synced))
            return true
        }
    }

    /// Whether a record is rotten that a reader would still see.
    public var isRotten: Bool {
        state.withLock { state in state.rotten.contains { $0 >= state.first } }
    }

    /// Power is lost: the log that is open is dead, and what was not synced survives in part.
    public func crash() {
        state.withLock { state in
            state.life += 1
            state.failure = nil
            state.failsNextSync = false
            let unsynced = state.records.count - state.synced
            guard unsynced > 0 else { return }
            // Often nothing or everything, as on real disks.
            let survivors =
                switch state.random.next() % 4 {
                case 0: 0
                case 1: unsynced
                default: Int(state.random.next() % UInt64(unsynced + 1))
                }
            state.records.removeLast(unsynced - survivors)
            state.synced = state.records.count
        }
    }

    /// Opens the log. One that was opened before is dead from then on.
    /// - Throws: ``LogError/corrupt(file:offset:what:)`` when a record has rotted.
    public func open() throws -> any LogDevice {
        try state.withLock { state in
            state.life += 1
            state.failure = nil
            // What was written and not synced is in the page cache, and is still read after a process ends.
            if state.mutation == .losesTail, state.synced > 0, state.records.count == state.synced {
                state.records.removeLast()
            }
            state.synced = state.records.count
            if let index = state.rotten.filter({ $0 >= state.first }).min() { throw corrupt(index) }
            return SimLog(on: self, life: state.life)
        }
    }

    func corrupt(_ index: UInt64) -> LogError {
        .corrupt(file: "\(name)/wal", offset: index * 64, what: "the checksum of record \(index) is wrong")
    }
}

/// A log on a simulated disk, in one life of its process.
final class SimLog: LogDevice {
    private let disk: SimDisk
    private let life: Int

    init(on disk: SimDisk, life: Int) {
        self.disk = disk
        self.life = life
    }

    /// Works on the disk, if this log may.
    private func work<Value>(_ body: (inout SimDisk.State) throws -> Value) throws -> Value {
        try disk.state.withLock { state in
            guard state.life == life else { throw LogError.failed("the machine has lost power") }
            if let failure = state.failure { throw failure }
            return try body(&state)
        }
    }

    var bounds: Range<UInt64> {
        get async { disk.state.withLock { $0.first..<$0.first + UInt64($0.records.count) } }
    }

    func append(_ records: [LogRecord]) async throws {
        guard !records.isEmpty else { return }
        let (delay, end, mutation) = try work { state in
            if state.isFull {
                throw LogError.refused(operation: "append", file: "\(disk.name)/wal", .noSpace)
            }
            for record in records {
                let next = state.first + UInt64(state.records.count)
                guard record.index == next else {
                    throw LogError.outOfRange(index: record.index, held: state.first..<next)
                }
                state.records.append(record)
            }
            return (state.syncTime(), state.first + UInt64(state.records.count), state.mutation)
        }
        if mutation == .skipsFsync { return }
        await pause(for: delay)
        do {
            try work { state in
                if state.failsNextSync {
                    state.failsNextSync = false
                    state.failure = .failed("fdatasync: Input/output error")
                    throw LogError.failed("fdatasync: Input/output error")
                }
                guard end >= state.first else { return }
                state.synced = max(state.synced, min(Int(end - state.first), state.records.count))
            }
        } catch {
            guard mutation == .swallowsErrors else { throw error }
            disk.state.withLock { $0.failure = nil }
        }
    }

    func read(from index: UInt64, limit: Int) async throws -> [LogRecord] {
        try work { state in
            let held = state.first..<state.first + UInt64(state.records.count)
            guard held.contains(index) || index == held.upperBound else {
                throw LogError.outOfRange(index: index, held: held)
            }
            let found = Array(state.records[Int(index - state.first)...].prefix(limit))
            for record in found where state.rotten.contains(record.index) { throw disk.corrupt(record.index) }
            return found
        }
    }

    func truncateSuffix(from index: UInt64) async throws {
        try work { state in
            guard index >= state.first else { return state.records = [] }
            state.records.removeLast(max(0, state.records.count - Int(index - state.first)))
            state.synced = min(state.synced, state.records.count)
            state.rotten = state.rotten.filter { $0 < index }
        }
        await pause(for: disk.state.withLock { $0.syncTime() })
    }

    func truncatePrefix(before index: UInt64) async throws {
        try work { state in
            guard index > state.first else { return }
            let count = min(Int(index - state.first), state.records.count)
            state.records.removeFirst(count)
            state.synced = max(0, state.synced - count)
            state.first = index
        }
    }

    func close() async {
        disk.state.withLock { state in if state.life == life { state.life += 1 } }
    }

    /// Takes its time. A world that ends, or a task that is cancelled, does not shorten what the disk does.
    private func pause(for duration: Duration) async { try? await disk.world.sleep(for: duration) }
}

extension SimDisk.State {
    /// How long the next sync takes.
    mutating func syncTime() -> Duration {
        let least = weather.sync.lowerBound.nanoseconds
        let most = weather.sync.upperBound.nanoseconds
        var time = least + Int64(random.next() % UInt64(max(most - least + 1, 1)))
        if weather.stallOneIn > 0, random.next() % weather.stallOneIn == 0 {
            time += Int64(random.next() % UInt64(max(weather.stall.nanoseconds, 1)))
        }
        return .nanoseconds(time)
    }
}
