internal import MartletBase
internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `v3lockpb.Lock`: the oldest key below the lock's name holds it, the others wait for the one before them.
extension EtcdService {
    /// The time to live of leases that a lock or an election makes for who comes without one, in seconds.
    static let sessionSeconds: Int64 = 60

    func lockMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "Lock": unary(EtcdLockRequest.self) { try await $0.lock($1, $2) }
        case "Unlock": unary(EtcdUnlockRequest.self) { try await $0.unlock($1, $2) }
        default: nil
        }
    }

    private func lock(_ request: EtcdLockRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let lease = try await session(request.lease, context)
        let prefix = Array(request.name) + [UInt8(ascii: "/")]
        let key = Self.candidate(prefix, lease)
        let owner = Operation.range(Self.first(below: prefix))
        let transaction = Transaction(
            when: [.createRevision(key: key, is: 0)], then: [.put(Put(key, [], lease: lease)), owner],
            otherwise: [.get(key: key), owner])
        var (result, header) = try await propose(transaction, context)
        let ours = result.succeeded ? result.revision : result.results.first??.createRevision ?? 0
        if let holder = result.results.last ?? nil, holder.createRevision != ours {
            do {
                try await waitForDeletions(below: prefix, before: ours, context)
                header = try await self.holds(key, context)
            } catch {
                // Who gives up must not stand in the way of those behind.
                await abandon(key, made: ours)
                throw error
            }
        }
        return try Self.encode(
            EtcdLockResponse.with {
                $0.header = header.message
                $0.key = protobufBytes(key)
            })
    }

    private func unlock(_ request: EtcdUnlockRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let key = Array(request.key)
        if key.isEmpty { throw Refusal.emptyKey }
        return try await propose(Transaction(then: [.delete(key: key)]), context).1.alone
    }

    // MARK: What locks and elections share

    /// The lease of who comes: the one that is named, beaten once, or a new one.
    func session(_ lease: Int64, _ context: GRPCContext) async throws -> Int64 {
        if lease == 0 { return try await grantLease(0, seconds: Self.sessionSeconds, context).id }
        guard try await replica.keepAlive(lease: lease) > 0 else { throw Refusal.leaseNotFound }
        return lease
    }

    /// The key of a candidate: the prefix and its lease, as etcd's clients write it.
    static func candidate(_ prefix: [UInt8], _ lease: Int64) -> [UInt8] {
        prefix + Array(String(UInt64(bitPattern: lease), radix: 16).utf8)
    }

    /// Finds the oldest key below a prefix.
    static func first(below prefix: [UInt8]) -> RangeQuery {
        RangeQuery(KeyRange(prefix: prefix), limit: 1, order: RangeQuery.Order(.create))
    }

    /// Returns when no key below `prefix` is older than `revision`.
    func waitForDeletions(below prefix: [UInt8], before revision: Int64, _ context: GRPCContext) async throws {
        for _ in 0..<limits.waits {
            var query = RangeQuery(
                KeyRange(prefix: prefix), limit: 1, order: RangeQuery.Order(.create, descending: true), keysOnly: true)
            query.maxCreate = revision - 1
            try await replica.confirmRead()
            let wanted = query
            let (found, _) = try await look(context) { store, warrant in
                try warrant.need(.read, wanted.range)
                return try store.range(wanted)
            }
            guard let last = found.pairs.first else { return }
            try await waitForDeletion(of: last.key, after: found.revision)
        }
        throw Refusal.timedOut
    }

    private func waitForDeletion(of key: [UInt8], after revision: Int64) async throws {
        let range = KeyRange(key: key)
        let watch = try await replica.watch(from: range.from, to: range.to, after: revision)
        while let (events, _) = try await watch.next() {
            if events.contains(where: { $0.isDeletion }) { return }
        }
        throw Refusal.stopped
    }

    /// Whether the key is still there: the lease may have ended while it waited.
    private func holds(_ key: [UInt8], _ context: GRPCContext) async throws -> Header {
        try await replica.confirmRead()
        let (pair, header) = try await look(context) { store, _ in store.get(key) }
        guard pair != nil else { throw Refusal.sessionExpired }
        return header
    }

    /// Takes a candidate's key away, whatever became of its call.
    func abandon(_ key: [UInt8], made revision: Int64) async {
        let transaction = Transaction(
            when: [.createRevision(key: key, is: revision)], then: [.delete(key: key)])
        // In a task of its own: that of the call may be cancelled. When it fails, the lease ends the key.
        let replica = replica
        await world.spawn { _ = try? await replica.propose(transaction) }.value
    }
}
