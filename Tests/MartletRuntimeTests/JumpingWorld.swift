import MartletBase
import Synchronization

/// A world for these tests: nothing waits, a sleep moves the clock instead.
final class JumpingWorld: World {
    private let clock = Mutex<UInt64>(1_000_000_000)
    private let generator = Mutex<UInt64>(1)

    var executor: any TaskExecutor { globalConcurrentExecutor }

    func now() -> MonotonicTime { MonotonicTime(nanoseconds: clock.withLock { $0 }) }

    func wallTime() -> WallTime { WallTime(nanoseconds: Int64(clock.withLock { $0 })) }

    func sleep(until deadline: MonotonicTime) async throws {
        try Task.checkCancellation()
        clock.withLock { $0 = max($0, deadline.nanoseconds) }
        await Task.yield()
    }

    func random() -> UInt64 {
        generator.withLock {
            $0 &+= 1
            return $0
        }
    }

    func connect(to endpoint: Endpoint) async throws -> any ByteStream { throw NetworkError.closed }

    func listen(on endpoint: Endpoint) async throws -> any StreamListener { throw NetworkError.closed }
}
