/// What a client did with a lease. Times are those of the calls, in nanoseconds.
public struct LeaseRecord: Sendable, Hashable {
    /// Its id.
    public var id: Int64
    /// Its time to live in seconds.
    public var ttl: Int64
    /// When the grant and each renewal that succeeded were asked for.
    public var renewals: [UInt64] = []
    /// The values that were put under it.
    public var values: [String] = []
    /// Whether its client may have ended it.
    public var isRevoked = false

    /// A lease that nothing is known of yet.
    public init(id: Int64, ttl: Int64) {
        self.id = id
        self.ttl = ttl
    }
}

/// Checks what becomes of keys that hang on leases: they stay as long as their lease lives, a key that hangs on none
/// stays for good, and nothing else is removed but by those who asked for it.
public enum LeaseChecker {
    /// What is wrong.
    /// - Parameters:
    ///   - times: when each revision was first applied anywhere.
    public static func violations(
        of leases: [LeaseRecord], _ calls: [StoreCall], in history: StoreHistory, times: [Int64: UInt64]
    ) -> [Violation] {
        var found: [Violation] = []
        var leaseOfValue: [String: LeaseRecord] = [:]
        for lease in leases { for value in lease.values { leaseOfValue[value] = lease } }
        let removers = Dictionary(
            grouping: calls.filter { $0.kind == .write && $0.outcome != .refused }.flatMap { call in
                (call.success + call.failure).filter { $0.value == nil }.map { ($0.key, call) }
            }, by: \.0)
        for (place, changes) in history.changes.enumerated() {
            let revision = history.beginning + Int64(place) + 1
            for change in changes where change.value == nil {
                let isAsked = removers[change.key, default: []].contains { _, call in
                    call.outcome == .unknown || call.revision == revision
                }
                if isAsked { continue }
                guard let value = history.value(of: change.key, at: revision - 1) else { continue }
                guard let lease = leaseOfValue[value] else {
                    found.append(
                        Violation(
                            "keys without a lease stay",
                            "\(change.key)=\(value) was removed at revision \(revision) by nobody"))
                    continue
                }
                let due = (lease.renewals.max() ?? 0) + UInt64(lease.ttl) * 1_000_000_000
                if !lease.isRevoked, let time = times[revision], time < due {
                    found.append(
                        Violation(
                            "leases live as long as they are renewed",
                            "\(change.key) was removed with lease \(lease.id) at \(time / 1_000_000) ms, before "
                                + "\(due / 1_000_000) ms"))
                }
            }
        }
        return found
    }
}
