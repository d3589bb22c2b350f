internal import MartletBase
internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `v3electionpb.Election`: the oldest key below the election's name leads, and its value is what it proclaims.
extension EtcdService {
    func electionMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "Campaign": unary(EtcdCampaignRequest.self) { try await $0.campaign($1, $2) }
        case "Proclaim": unary(EtcdProclaimRequest.self) { try await $0.proclaim($1, $2) }
        case "Leader": unary(EtcdLeaderRequest.self) { try await $0.leader($1, $2) }
        case "Resign": unary(EtcdResignRequest.self) { try await $0.resign($1, $2) }
        case "Observe": stream { try await $0.observe($1) }
        default: nil
        }
    }

    private func campaign(_ request: EtcdCampaignRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let lease = try await session(request.lease, context)
        let prefix = Array(request.name) + [UInt8(ascii: "/")]
        let key = Self.candidate(prefix, lease)
        let value = Array(request.value)
        let transaction = Transaction(
            when: [.createRevision(key: key, is: 0)], then: [.put(Put(key, value, lease: lease))],
            otherwise: [.get(key: key)])
        let (result, header) = try await propose(transaction, context)
        var made = result.revision
        if !result.succeeded {
            guard let pair = result.results.first ?? nil else { throw Refusal.electionNotLeader }
            made = pair.createRevision
            if pair.value != value { try await self.proclaim(value, key, made: made, lease, context) }
        }
        do {
            try await waitForDeletions(below: prefix, before: made, context)
        } catch {
            await abandon(key, made: made)
            throw error
        }
        return try Self.encode(
            EtcdCampaignResponse.with {
                $0.header = header.message
                $0.leader.name = request.name
                $0.leader.key = protobufBytes(key)
                $0.leader.rev = made
                $0.leader.lease = lease
            })
    }

    private func proclaim(_ request: EtcdProclaimRequest, _ context: GRPCContext) async throws -> [UInt8] {
        guard request.hasLeader else { throw Refusal.leaderKeyMissing }
        let leader = request.leader
        let header = try await proclaim(
            Array(request.value), Array(leader.key), made: leader.rev, leader.lease, context)
        return header.alone
    }

    @discardableResult
    private func proclaim(
        _ value: [UInt8], _ key: [UInt8], made revision: Int64, _ lease: Int64, _ context: GRPCContext
    ) async throws -> Header {
        if key.isEmpty { throw Refusal.emptyKey }
        let transaction = Transaction(
            when: [.createRevision(key: key, is: revision)], then: [.put(Put(key, value, lease: lease))])
        let (result, header) = try await propose(transaction, context)
        guard result.succeeded else { throw Refusal.electionNotLeader }
        return header
    }

    private func resign(_ request: EtcdResignRequest, _ context: GRPCContext) async throws -> [UInt8] {
        guard request.hasLeader else { throw Refusal.leaderKeyMissing }
        let key = Array(request.leader.key)
        if key.isEmpty { throw Refusal.emptyKey }
        let transaction = Transaction(
            when: [.createRevision(key: key, is: request.leader.rev)], then: [.delete(key: key)])
        return try await propose(transaction, context).1.alone
    }

    private func leader(_ request: EtcdLeaderRequest, _ context: GRPCContext) async throws -> [UInt8] {
        let (found, header) = try await first(below: Array(request.name) + [UInt8(ascii: "/")], context)
        guard let pair = found else { throw Refusal.electionNoLeader }
        return Self.leaderResponse(pair, header)
    }

    /// The leader now and each later one, each with all it proclaims.
    private func observe(_ call: GRPCServerCall) async throws {
        guard let bytes = try await call.next() else { throw Refusal.malformed("no request") }
        let request: EtcdLeaderRequest = try Self.decode(bytes)
        let prefix = Array(request.name) + [UInt8(ascii: "/")]
        while true {
            var (found, header) = try await first(below: prefix, call.context)
            if found == nil {
                found = try await firstPut(below: prefix, after: header.revision)
                header = header.at(found?.modRevision ?? header.revision)
            }
            guard let pair = found else { return }
            try await call.send(Self.leaderResponse(pair, header))
            try await follow(pair.key, after: header.revision, header, call)
        }
    }

    private func firstPut(below prefix: [UInt8], after revision: Int64) async throws -> KeyValue? {
        let range = KeyRange(prefix: prefix)
        let watch = try await replica.watch(from: range.from, to: range.to, after: revision)
        while let (events, _) = try await watch.next() {
            if let put = events.first(where: { !$0.isDeletion }) { return put.pair }
        }
        throw Refusal.stopped
    }

    /// Tells what a leader proclaims until it is gone.
    private func follow(
        _ key: [UInt8], after revision: Int64, _ header: Header, _ call: GRPCServerCall
    ) async throws {
        let range = KeyRange(key: key)
        let watch = try await replica.watch(from: range.from, to: range.to, after: revision)
        while let (events, through) = try await watch.next() {
            for event in events {
                if event.isDeletion { return }
                try await call.send(Self.leaderResponse(event.pair, header.at(through)))
            }
        }
        throw Refusal.stopped
    }

    private func first(below prefix: [UInt8], _ context: GRPCContext) async throws -> (KeyValue?, Header) {
        try await replica.confirmRead()
        let (found, header) = try await look(context) { store, warrant in
            let query = Self.first(below: prefix)
            try warrant.need(.read, query.range)
            return try store.range(query)
        }
        return (found.pairs.first, header)
    }

    private static func leaderResponse(_ pair: KeyValue, _ header: Header) -> [UInt8] {
        var writer = WireWriter(capacity: header.size + KeyResponses.size(pair) + 6)
        header.write(to: &writer)
        KeyResponses.write(pair, 2, to: &writer)
        return writer.bytes
    }
}
