internal import MartletBase

/// Nobody took a connection: not a byte of the request has left, so that any request may go elsewhere.
struct NotConnected: Error, CustomStringConvertible {
    var cause: any Error
    var description: String { "\(cause)" }
}

/// A world in which a connection is taken soon or not at all. A pod whose machine has vanished answers nothing, not
/// even a refusal; the kernel would ask for it for two minutes.
struct ConnectLimit: World {
    let world: any World
    let limit: Duration

    var executor: any TaskExecutor { world.executor }
    func now() -> MonotonicTime { world.now() }
    func wallTime() -> WallTime { world.wallTime() }
    func sleep(until deadline: MonotonicTime) async throws { try await world.sleep(until: deadline) }
    func random() -> UInt64 { world.random() }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener { try await world.listen(on: endpoint) }

    func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        do {
            return try await withThrowingTaskGroup(of: (any ByteStream)?.self) { group in
                group.addTask { try await world.connect(to: endpoint) }
                group.addTask {
                    try await world.sleep(for: limit)
                    return nil
                }
                defer { group.cancelAll() }
                guard let stream = try await group.next() ?? nil else {
                    throw NetworkError.timedOut("the connection to \(endpoint)")
                }
                return stream
            }
        } catch {
            throw NotConnected(cause: error)
        }
    }
}
