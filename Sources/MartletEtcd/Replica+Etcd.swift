internal import MartletReplica
internal import MartletStore

/// What the services ask of the replica, each in one visit.
extension Replica {
    /// Looks at the store; says also its revision and the term.
    func look<Value: Sendable>(
        _ body: @Sendable (borrowing Store) throws -> Value
    ) rethrows -> (value: Value, revision: Int64, term: UInt64) {
        (try withStore(body), revision, term)
    }
}
