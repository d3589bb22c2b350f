public import MartletBase
internal import Synchronization

/// A world in which everything follows from one seed: time, chance, the order of jobs, and the network. It runs on the
/// thread that calls ``run(jobLimit:_:)``, at full speed: when nothing is ready the clock jumps to the next sleeper.
///
/// ```swift
/// let world = SimWorld(seed: 42)
/// try world.run {
///     try await world.sleep(for: .seconds(3600))  // takes no time at all
/// }
/// ```
///
/// A world is also its first host. More hosts (``host(_:)``) share its clock and network and can be paused or cut off
/// one by one. Tasks must stay on the executors of the world's hosts: start them with `spawn`; a job that comes from
/// another thread ends the process.
///
/// The order in which `Set` and `Dictionary` list their elements is drawn anew in each process, unless the variable
/// SWIFT_DETERMINISTIC_HASHING is set in its environment: set it where a run is to be repeated.
public final class SimWorld: World {
    /// What everything follows from.
    public let seed: UInt64
    /// The network between this world's hosts.
    public let network: SimNetwork
    let scheduler: SimScheduler
    private let own: SimHost
    private let trace: Mutex<SimTrace>

    /// A world before its first moment.
    /// - Parameters:
    ///   - shuffle: one in so many jobs is drawn from all that are ready, the others are the oldest ready one; 0: the
    ///     order is that of arrival. Nil draws it from the seed.
    ///   - traceLines: how many of the last lines of the story are kept; 0 for none.
    public init(seed: UInt64, shuffle: UInt64? = nil, traceLines: Int = 0) {
        self.seed = seed
        var random = SplitMix64(seed: seed)
        let drawn: UInt64 = [0, 1, 4, 20][Int(random.next() % 4)]
        scheduler = SimScheduler(random: SplitMix64(seed: random.next()), shuffle: shuffle ?? drawn)
        network = SimNetwork(scheduler, SplitMix64(seed: random.next()))
        own = SimHost(0, seed: random.next(), scheduler, network)
        trace = Mutex(SimTrace(limit: traceLines))
    }

    /// Host number `number`, from 1. A second call makes a second host of the same number, as after a restart.
    public func host(_ number: Int) -> SimHost {
        var random = SplitMix64(seed: seed &+ UInt64(number) &* 0xA076_1D64_78BD_642F ^ scheduler.now)
        return SimHost(number, seed: random.next(), scheduler, network)
    }

    /// Runs `body`, and all that it starts, until it ends; then cancels who sleeps and lets the rest wind down.
    /// - Throws: what `body` throws, or ``SimulationError``.
    public func run<Value: Sendable>(
        jobLimit: Int = 200_000_000, _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        let result = Mutex<Result<Value, any Error>?>(nil)
        let done = Once()
        spawn {
            let outcome: Result<Value, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            result.withLock { $0 = outcome }
            done.set()
        }
        defer {
            scheduler.end()
            network.end()
        }
        try scheduler.run(jobLimit: jobLimit) { done.isSet }
        guard let outcome = result.withLock({ $0 }) else { throw SimulationError.stuck(at: now()) }
        return try outcome.get()
    }

    /// Lets what was set going after the run's end wind down as well.
    public func windDown() { scheduler.end() }

    /// Calls `action` after a while, on the world's thread and outside any task.
    public func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) {
        scheduler.after(UInt64(max(duration.nanoseconds, 0)), action)
    }

    /// Follows from every step so far: runs that are equal have equal ones.
    public var fingerprint: UInt64 { scheduler.fingerprint }

    /// How many jobs were run.
    public var jobCount: Int { scheduler.jobs }

    // MARK: The story

    /// Adds a line to the story, if anybody wants it.
    public func note(_ line: @autoclosure () -> String) {
        trace.withLock { trace in
            if trace.limit > 0 { trace.add(line(), at: scheduler.now) }
        }
    }

    /// The last lines of the story, each with its time in milliseconds.
    public var story: [String] { trace.withLock { $0.lines } }

    // MARK: World

    /// The executor of the world's own host.
    public var executor: any TaskExecutor { own.executor }
    /// Virtual time.
    public func now() -> MonotonicTime { own.now() }
    /// Virtual time, from a day in 2026 on.
    public func wallTime() -> WallTime { own.wallTime() }
    /// Sleeps in virtual time.
    public func sleep(until deadline: MonotonicTime) async throws { try await own.sleep(until: deadline) }
    /// Drawn from the seed.
    public func random() -> UInt64 { own.random() }
    /// Connects through the simulated network.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream { try await own.connect(to: endpoint) }
    /// Listens in the simulated network.
    public func listen(on endpoint: Endpoint) async throws -> any StreamListener { try await own.listen(on: endpoint) }
}

/// One machine of a simulated world.
public final class SimHost: World {
    /// Names it in the network.
    public let number: Int
    private let hostExecutor: HostExecutor
    private let scheduler: SimScheduler
    private let network: SimNetwork
    private let generator: Mutex<SplitMix64>

    init(_ number: Int, seed: UInt64, _ scheduler: SimScheduler, _ network: SimNetwork) {
        self.number = number
        self.scheduler = scheduler
        self.network = network
        hostExecutor = HostExecutor(host: number, scheduler: scheduler)
        generator = Mutex(SplitMix64(seed: seed))
    }

    /// Runs none of this host's jobs until ``resume()``, as a process that is stopped. Time goes on.
    public func pause() { scheduler.pause(number) }

    /// Goes on.
    public func resume() { scheduler.resume(number) }

    /// Where this host's tasks run.
    public var executor: any TaskExecutor { hostExecutor }
    /// Virtual time.
    public func now() -> MonotonicTime { MonotonicTime(nanoseconds: scheduler.now) }
    /// Virtual time, from a day in 2026 on.
    public func wallTime() -> WallTime {
        WallTime(nanoseconds: 1_780_000_000_000_000_000 + Int64(clamping: scheduler.now))
    }
    /// Sleeps in virtual time.
    public func sleep(until deadline: MonotonicTime) async throws {
        try await scheduler.sleep(until: deadline.nanoseconds)
    }
    /// Drawn from the seed.
    public func random() -> UInt64 { generator.withLock { $0.next() } }
    /// Connects through the simulated network.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        try await network.connect(from: number, to: endpoint)
    }
    /// Listens in the simulated network.
    public func listen(on endpoint: Endpoint) async throws -> any StreamListener {
        try network.listen(at: number, on: endpoint)
    }
}

/// Whether something has happened.
final class Once: Sendable {
    private let flag = Atomic(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

/// The last lines of a story.
struct SimTrace: Sendable {
    let limit: Int
    private var kept: [String] = []

    init(limit: Int) { self.limit = limit }

    var lines: [String] { Array(kept.suffix(limit)) }

    mutating func add(_ line: String, at time: UInt64) {
        let micros = (time - SimScheduler.start) / 1000
        let fraction = String(micros % 1000 + 1000).dropFirst()
        kept.append("\(micros / 1000).\(fraction) ms  \(line)")
        if kept.count > 2 * limit { kept.removeFirst(kept.count - limit) }
    }
}
