internal import MartletBase
internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `etcdserverpb.Lease`.
extension EtcdService {
    func leaseMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "LeaseGrant": unary(EtcdLeaseGrantRequest.self) { try await $0.grant($1, $2) }
        case "LeaseRevoke": unary(EtcdLeaseRevokeRequest.self) { try await $0.revoke($1, $2) }
        case "LeaseKeepAlive": stream { try await $0.keepAlive($1) }
        case "LeaseTimeToLive": unary(EtcdLeaseTimeToLiveRequest.self) { try await $0.timeToLive($1, $2) }
        case "LeaseLeases": unary { try await $0.leases($2) }
        default: nil
        }
    }

    private func grant(_ request: EtcdLeaseGrantRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let lease = try await grantLease(request.id, seconds: request.ttl, context)
        return try Self.encode(
            EtcdLeaseGrantResponse.with {
                $0.header = lease.header.message
                $0.id = lease.id
                $0.ttl = lease.seconds
            })
    }

    /// Grants a lease; one with id 0 gets an id.
    func grantLease(_ id: Int64, seconds: Int64, _ context: GRPCContext) async throws -> (
        id: Int64, seconds: Int64, header: Header
    ) {
        let chosen = id == 0 ? Int64(bitPattern: world.random() >> 1 | 1) : id
        let (result, header) = try await propose(.grantLease(id: chosen, ttl: seconds), context) { _, warrant in
            try warrant.needUser()
        }
        guard case .lease(let id, let seconds) = result else { throw Refusal.other("etcdserver: no lease") }
        return (id, seconds, header)
    }

    private func revoke(_ request: EtcdLeaseRevokeRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let (result, header) = try await propose(.revokeLease(id: request.id), context) { store, warrant in
            try warrant.needUser()
            for key in store.leases[request.id]?.keys ?? [] { try warrant.need(.write, KeyRange(key: key)) }
        }
        if case .done(let revision) = result { return header.at(revision).alone }
        return header.alone
    }

    /// Beats of any number of leases, in turn.
    private func keepAlive(_ call: GRPCServerCall) async throws {
        while let bytes = try await call.next() {
            var reader = WireReader(bytes)
            var lease: Int64 = 0
            while let field = try reader.next() {
                if field == 1 { lease = try reader.int64() } else { try reader.skip() }
            }
            let seconds = try await replica.keepAlive(lease: lease)
            let header = await header()
            var writer = WireWriter(capacity: header.size + 24)
            header.write(to: &writer)
            writer.int(2, lease)
            writer.int(3, seconds)
            try await call.send(writer.bytes)
        }
    }

    private func timeToLive(_ request: EtcdLeaseTimeToLiveRequest, _ context: GRPCContext) async throws -> [UInt8] {
        _ = try await look(context) { _, warrant in try warrant.needUser() }
        let lease = try await replica.timeToLive(lease: request.id)
        // The leader only knows the time better: the keys are here, too, and may be many.
        if request.keys { try await replica.confirmRead() }
        let (keys, header) = try await look(context) { store, warrant -> [[UInt8]] in
            guard request.keys, let keys = store.leases[request.id]?.keys else { return [] }
            for key in keys { try warrant.need(.read, KeyRange(key: key)) }
            return keys.sorted { $0.lexicographicallyPrecedes($1) }
        }
        return try Self.encode(
            EtcdLeaseTimeToLiveResponse.with {
                $0.header = header.message
                $0.id = request.id
                $0.ttl = lease.remaining
                $0.grantedTtl = lease.granted
                $0.keys = keys.map { protobufBytes($0) }
            })
    }

    private func leases(_ context: GRPCContext) async throws -> [UInt8] {
        let (ids, header) = try await look(context) { store, warrant in
            try warrant.needUser()
            return store.leases.keys.sorted()
        }
        return try Self.encode(
            EtcdLeaseLeasesResponse.with { answer in
                answer.header = header.message
                answer.leases = ids.map { id in EtcdLeaseStatus.with { $0.id = id } }
            })
    }
}

/// Bytes in the form in which generated messages hold them.
func protobufBytes<Bytes: RangeReplaceableCollection>(_ bytes: [UInt8]) -> Bytes where Bytes.Element == UInt8 {
    Bytes(bytes)
}
