/// Everything a part of Martlet may wait for: time, chance and the network. Code that takes a `World` runs unchanged
/// on the io_uring reactor and in the simulated world, where all of it follows from one seed.
///
/// A world has one executor, and all tasks of a world run on it: start them with ``spawn(_:)`` and not with `Task {}`,
/// so that one thread owns what hangs on the world's ring and a simulation can choose the order of jobs.
public protocol World: Sendable {
    /// Where the tasks of this world run. Tasks, child tasks and default actors entered from them stay on it.
    var executor: any TaskExecutor { get }

    /// Nanoseconds since an arbitrary start; never goes back.
    func now() -> MonotonicTime

    /// The calendar's time; may jump.
    func wallTime() -> WallTime

    /// Returns when `deadline` has passed.
    /// - Throws: `CancellationError` when the task is cancelled first.
    func sleep(until deadline: MonotonicTime) async throws

    /// 64 random bits. The real world draws from the kernel, a simulated one from its seed.
    func random() -> UInt64

    /// Opens a byte stream to a peer.
    /// - Throws: ``NetworkError``, or `CancellationError`.
    func connect(to endpoint: Endpoint) async throws -> any ByteStream

    /// Listens for byte streams. Port 0 takes a free port; ``StreamListener/endpoint`` says which.
    /// - Throws: ``NetworkError``.
    func listen(on endpoint: Endpoint) async throws -> any StreamListener
}

extension World {
    /// Starts an unstructured task on this world's executor.
    @discardableResult
    public func spawn(_ operation: sending @escaping () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: executor, operation: operation)
    }

    /// Returns when `duration` has passed.
    /// - Throws: `CancellationError` when the task is cancelled first.
    public func sleep(for duration: Duration) async throws {
        try await sleep(until: now() + duration)
    }

    /// Runs `operation`, and cancels it when it takes longer than `limit`.
    /// - Throws: ``NetworkError/timedOut(_:)`` with `what`, or what `operation` throws.
    public func limited<Value: Sendable>(
        to limit: Duration, _ what: String, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let world = self
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask(executorPreference: executor) { try await operation() }
            group.addTask(executorPreference: executor) {
                try await world.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() ?? nil else { throw NetworkError.timedOut(what) }
            return value
        }
    }
}

/// Nanoseconds since an arbitrary start, on one machine, in one boot.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    /// The count of nanoseconds.
    public var nanoseconds: UInt64

    /// A point in time, `nanoseconds` after the arbitrary start.
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The point `duration` later, never before the start and never past the largest.
    public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let delta = duration.nanoseconds
        let isLater = delta >= 0
        let (sum, overflow) =
            isLater
            ? time.nanoseconds.addingReportingOverflow(delta.magnitude)
            : time.nanoseconds.subtractingReportingOverflow(delta.magnitude)
        return MonotonicTime(nanoseconds: overflow ? (isLater ? .max : 0) : sum)
    }

    /// How long after `start` this is.
    public static func - (end: MonotonicTime, start: MonotonicTime) -> Duration {
        .nanoseconds(Int64(bitPattern: end.nanoseconds &- start.nanoseconds))
    }

    /// Whether `a` comes before `b`.
    public static func < (a: MonotonicTime, b: MonotonicTime) -> Bool { a.nanoseconds < b.nanoseconds }
}

extension Duration {
    /// The whole duration in nanoseconds, clamped to what fits (about 292 years).
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }
}

/// Calendar time in UTC, as nanoseconds since 1970-01-01T00:00:00Z.
public struct WallTime: Sendable, Hashable, Comparable {
    /// Nanoseconds since the epoch; negative before it.
    public var nanoseconds: Int64

    /// A time, `nanoseconds` after the epoch.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    /// A time, `seconds` after the epoch.
    /// One beyond what nanoseconds in 64 bits hold (1678 to 2261) is the last or the first that they do.
    public init(seconds: Int64) {
        let (nanoseconds, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self.nanoseconds = overflows ? (seconds < 0 ? .min : .max) : nanoseconds
    }

    /// Whole seconds since the epoch, rounded down.
    public var seconds: Int64 {
        nanoseconds / 1_000_000_000 - (nanoseconds % 1_000_000_000 < 0 ? 1 : 0)
    }

    /// The time `duration` later.
    public static func + (time: WallTime, duration: Duration) -> WallTime {
        WallTime(nanoseconds: time.nanoseconds &+ duration.nanoseconds)
    }
    /// How long after `start` this is.
    public static func - (end: WallTime, start: WallTime) -> Duration {
        .nanoseconds(end.nanoseconds &- start.nanoseconds)
    }
    /// Whether `a` comes before `b`.
    public static func < (a: WallTime, b: WallTime) -> Bool { a.nanoseconds < b.nanoseconds }
}
