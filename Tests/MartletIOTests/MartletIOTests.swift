import MartletBase
import Testing

@testable import MartletIO

/// Runs `body` as a task of a fresh reactor, and shuts the reactor down after it.
func onReactor<Value: Sendable>(
    _ body: @escaping @Sendable (Reactor) async throws -> Value
) async throws -> Value {
    let reactor = try Reactor()
    defer { reactor.shutdown() }
    return try await Task(executorPreference: reactor.executor) { try await body(reactor) }.value
}
