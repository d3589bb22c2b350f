import Glibc
import Histogram
import MartletBase
import MartletIO
import Synchronization

/// What a load measured.
struct Sample: Sendable {
    var operations = 0
    var failures = 0
    var seconds = 0.0
    /// Microseconds of the operations: from the moment at which each was meant to begin.
    var latencies = Histogram<UInt64>(highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: .three)
    /// CPU seconds of all members, and of the client.
    var serverCPU = 0.0
    var clientCPU = 0.0

    var rate: Double { Double(operations) / max(seconds, 1e-9) }
    func milliseconds(_ percentile: Double) -> Double { Double(latencies.valueAtPercentile(percentile)) / 1000 }
}

/// Runs an operation many times and measures a window of it.
final class Load: Sendable {
    typealias Operation = @Sendable (_ worker: Int, _ turn: Int) async throws -> Void

    private enum Phase: UInt8, AtomicRepresentable { case warmingUp, measuring, over }

    /// CPU seconds so far of each process that serves.
    private let serverCPUSeconds: @Sendable () -> [Double]
    private let world: Reactor
    private let phase = Atomic<Phase>(.warmingUp)
    private let sample = Mutex(Sample())
    private let nextTurn = Atomic<Int>(0)

    init(in world: Reactor, serverCPUSeconds: @escaping @Sendable () -> [Double]) {
        self.serverCPUSeconds = serverCPUSeconds
        self.world = world
    }

    convenience init(_ cluster: BenchCluster, in world: Reactor) {
        self.init(in: world) { cluster.cpuSeconds() }
    }

    /// So many workers, each of which begins the next operation when its last one has ended: the most that goes.
    func closed(
        workers: Int, warmUp: Duration, window: Duration, _ operation: @escaping Operation
    ) async throws -> Sample {
        try await run(workers: workers, warmUp: warmUp, window: window) { [self] worker in
            var turn = 0
            while phase.load(ordering: .relaxed) != .over {
                await measure(from: world.now()) { try await operation(worker, turn) }
                turn += 1
            }
        }
    }

    /// A fixed number of operations a second. Their times are set beforehand, and latency counts from them: what waits
    /// because the store is slow counts as slow.
    func open(
        rate: Double, workers: Int, warmUp: Duration, window: Duration, _ operation: @escaping Operation
    ) async throws -> Sample {
        let start = world.now()
        return try await run(workers: workers, warmUp: warmUp, window: window) { [self] worker in
            while phase.load(ordering: .relaxed) != .over {
                let turn = nextTurn.wrappingAdd(1, ordering: .relaxed).oldValue
                let meant = start + .nanoseconds(Int64(Double(turn) / rate * 1e9))
                if meant > world.now() { try await world.sleep(until: meant) }
                await measure(from: meant) { try await operation(worker, turn) }
            }
        }
    }

    /// So many operations in all, by so many workers.
    func count(_ total: Int, workers: Int, _ operation: @escaping Operation) async throws -> Sample {
        let before = (serverCPUSeconds(), Self.ownCPUSeconds(), world.now())
        phase.store(.measuring, ordering: .relaxed)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<workers {
                group.addTask { [self] in
                    while true {
                        let turn = nextTurn.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard turn < total else { return }
                        await measure(from: world.now()) { try await operation(worker, turn) }
                    }
                }
            }
            try await group.waitForAll()
        }
        return finish(before)
    }

    private func run(
        workers: Int, warmUp: Duration, window: Duration, _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws -> Sample {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<workers { group.addTask { try await body(worker) } }
            try await world.sleep(for: warmUp)
            let before = (serverCPUSeconds(), Self.ownCPUSeconds(), world.now())
            phase.store(.measuring, ordering: .relaxed)
            try await world.sleep(for: window)
            phase.store(.over, ordering: .relaxed)
            let sample = finish(before)
            // Sleepers of an open loop need not wait for their time.
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
            return sample
        }
    }

    private func finish(_ before: ([Double], Double, MonotonicTime)) -> Sample {
        var sample = sample.withLock { $0 }
        sample.seconds = Double((world.now() - before.2).nanoseconds) / 1e9
        sample.serverCPU = zip(serverCPUSeconds(), before.0).reduce(0) { $0 + $1.0 - $1.1 }
        sample.clientCPU = Self.ownCPUSeconds() - before.1
        return sample
    }

    private func measure(from meant: MonotonicTime, _ operation: () async throws -> Void) async {
        do {
            try await operation()
        } catch {
            if phase.load(ordering: .relaxed) == .measuring && !Task.isCancelled {
                sample.withLock { $0.failures += 1 }
            }
            // An operation that fails at once must not become a busy loop.
            try? await world.sleep(for: .milliseconds(10))
            return
        }
        guard phase.load(ordering: .relaxed) == .measuring else { return }
        let microseconds = UInt64(max(0, (world.now() - meant).nanoseconds) / 1000)
        sample.withLock { sample in
            sample.operations += 1
            _ = sample.latencies.record(min(microseconds, 120_000_000))
        }
    }

    /// CPU seconds of this process so far.
    static func ownCPUSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
