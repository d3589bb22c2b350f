public import MartletBase

/// The real world: one thread that owns one io_uring, and runs all tasks of its world.
public final class Reactor: World {
    /// Starts the thread and probes the kernel.
    /// - Throws: ``ReactorError`` when io_uring is absent or forbidden; the text names the sysctl or seccomp cause.
    public init(name: String = "martlet") throws {
        throw ReactorError("not built yet")
    }
    public var executor: any TaskExecutor { fatalError("not built yet") }
    public func now() -> MonotonicTime { MonotonicTime(nanoseconds: 0) }
    public func wallTime() -> WallTime { WallTime(nanoseconds: 0) }
    public func sleep(until deadline: MonotonicTime) async throws {}
    public func random() -> UInt64 { 0 }
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream { throw NetworkError.closed }
    public func listen(on endpoint: Endpoint) async throws -> any StreamListener { throw NetworkError.closed }
    /// Ends the thread when its tasks have ended; streams still open are closed.
    public func shutdown() {}
}

/// Why a reactor cannot start; the text says what to do.
public struct ReactorError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}
