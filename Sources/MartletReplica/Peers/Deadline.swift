internal import MartletBase

/// Runs `body` for at most `limit`; past it `body` is cancelled.
/// - Throws: ``NetworkError/timedOut(_:)``, or what `body` throws.
func within<Value: Sendable>(
    _ limit: Duration, _ what: String, in world: any World, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask(executorPreference: world.executor) { try await body() }
        group.addTask(executorPreference: world.executor) {
            try await world.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() ?? nil else { throw NetworkError.timedOut(what) }
        return value
    }
}
