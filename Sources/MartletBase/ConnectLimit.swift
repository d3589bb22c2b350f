/// A world in front of another one: all but what it says itself is the other's.
public protocol WorldInFront: World {
    /// The world behind.
    var world: any World { get }
}

extension WorldInFront {
    /// The other's.
    public var executor: any TaskExecutor { world.executor }
    /// The other's.
    public func now() -> MonotonicTime { world.now() }
    /// The other's.
    public func wallTime() -> WallTime { world.wallTime() }
    /// The other's.
    public func sleep(until deadline: MonotonicTime) async throws { try await world.sleep(until: deadline) }
    /// The other's.
    public func random() -> UInt64 { world.random() }
    /// The other's.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream { try await world.connect(to: endpoint) }
    /// The other's.
    public func listen(on endpoint: Endpoint) async throws -> any StreamListener {
        try await world.listen(on: endpoint)
    }
}

/// Nobody took a connection: not a byte of the request has left, so that any request may go elsewhere.
public struct NotConnected: Error, CustomStringConvertible {
    /// Why not.
    public var cause: any Error
    /// The cause's text.
    public var description: String { "\(cause)" }
}

/// A world in which a connection is taken soon or not at all. A machine that has vanished answers nothing, not even a
/// refusal; the kernel would ask for it for two minutes.
public struct ConnectLimit: WorldInFront {
    /// The world behind.
    public let world: any World
    private let limit: Duration
    private let silence: Duration?

    /// `world`, in which connecting takes at most `limit`, and connections whose peer's machine acknowledges nothing
    /// for `silence` fail.
    public init(world: any World, limit: Duration, silence: Duration? = nil) {
        self.world = world
        self.limit = limit
        self.silence = silence
    }

    /// Connects in time.
    /// - Throws: ``NotConnected``.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        do {
            let stream = try await world.limited(to: limit, "the connection to \(endpoint)") { [world] in
                try await world.connect(to: endpoint)
            }
            if let silence { stream.limitSilence(silence) }
            return stream
        } catch {
            throw NotConnected(cause: error)
        }
    }
}
