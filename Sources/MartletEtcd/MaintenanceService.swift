internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `etcdserverpb.Maintenance`.
extension EtcdService {
    func maintenanceMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "Status": unary { service, _, _ in try await service.status() }
        case "Hash": unary { try await $0.hash($2) }
        case "HashKV": unary(EtcdHashKVRequest.self) { try await $0.hashKV($1, $2) }
        case "Snapshot": stream { try await $0.snapshot($1) }
        case "MoveLeader": unary(EtcdMoveLeaderRequest.self) { try await $0.moveLeader($1, $2) }
        // No alarm ever turns the cluster read-only, so there is none to list, raise or end.
        case "Alarm": unary { service, _, _ in await service.header().alone }
        // Space is used again as it comes free.
        case "Defragment": unary { try await $0.administrators($2).alone }
        default: nil
        }
    }

    private func administrators(_ context: GRPCContext) async throws -> Header {
        try await look(context) { _, warrant in try warrant.needAdministrator() }.header
    }

    private func status() async throws -> [UInt8] {
        let header = await header()
        let status = await replica.status
        return try Self.encode(
            EtcdStatusResponse.with {
                $0.header = header.message
                $0.version = Self.version
                $0.dbSize = Int64(clamping: status.databaseBytes)
                $0.dbSizeInUse = Int64(clamping: status.databaseBytes)
                $0.leader = status.leader ?? 0
                $0.raftIndex = status.commitIndex
                $0.raftTerm = status.term
                $0.raftAppliedIndex = status.appliedIndex
                $0.isLearner = status.isLearner
                if status.leader == nil { $0.errors.append(Refusal.noLeader.reason) }
                if let failure = status.failure { $0.errors.append(failure) }
            })
    }

    private func hash(_ context: GRPCContext) async throws -> [UInt8] {
        let (hash, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator()
            return try store.hashKV(at: 0).hash
        }
        return try Self.encode(
            EtcdHashResponse.with {
                $0.header = header.message
                $0.hash = hash
            })
    }

    private func hashKV(_ request: EtcdHashKVRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let (found, header) = try await look(context) { store, warrant in
            try warrant.needAdministrator()
            return try store.hashKV(at: request.revision)
        }
        return try Self.encode(
            EtcdHashKVResponse.with {
                $0.header = header.message
                $0.hash = found.hash
                $0.compactRevision = found.compactRevision
                $0.hashRevision = request.revision > 0 ? request.revision : header.revision
            })
    }

    /// The checkpoint as of now. Its last bytes are its SHA-256, by which etcd's clients know that it is whole.
    private func snapshot(_ call: GRPCServerCall) async throws {
        _ = try await administrators(call.context)
        guard try await call.next() != nil else { throw Refusal.malformed("no request") }
        let header = await header()
        let reader = try await replica.snapshot()
        var left = reader.totalBytes
        while let piece = try await reader.next() {
            left -= min(left, piece.count)
            try await call.send(Self.snapshotResponse(piece, left: UInt64(left), header))
        }
    }

    private static func snapshotResponse(_ blob: [UInt8], left: UInt64, _ header: Header) -> [UInt8] {
        var writer = WireWriter(capacity: header.size + blob.count + 40)
        header.write(to: &writer)
        writer.uint(2, left)
        writer.blob(3, blob)
        writer.text(4, version)
        return writer.bytes
    }

    private func moveLeader(_ request: EtcdMoveLeaderRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let header = try await administrators(context)
        let status = await replica.status
        guard status.leader == status.member else { throw Refusal.notLeader }
        do { try await replica.transferLeadership(to: request.targetID) } catch ReplicaError.membership {
            throw Refusal.badTransferee
        }
        return header.alone
    }
}
