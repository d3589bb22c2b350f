internal import MartletEtcdMessages
internal import MartletHTTP
internal import MartletReplica
internal import MartletStore
internal import SwiftProtobuf

/// `etcdserverpb.Cluster`.
extension EtcdService {
    func clusterMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "MemberList": unary(EtcdMemberListRequest.self) { try await $0.listMembers($1, $2) }
        case "MemberAdd": unary(EtcdMemberAddRequest.self) { try await $0.addMember($1, $2) }
        case "MemberRemove":
            unary(EtcdMemberRemoveRequest.self) { service, request, context in
                try await service.changeMembers(context) { try await $0.remove(member: request.id) }
            }
        case "MemberUpdate":
            unary(EtcdMemberUpdateRequest.self) { service, request, context in
                try Self.checkURLs(request.peerUrls)
                return try await service.changeMembers(context) {
                    try await $0.updateMember(request.id, peerURLs: request.peerUrls)
                }
            }
        case "MemberPromote":
            unary(EtcdMemberRemoveRequest.self) { service, request, context in
                try await service.changeMembers(context) { replica in
                    do { try await replica.promote(member: request.id) } catch ReplicaError.membership(.alreadyMember) {
                        throw Refusal.notLearner
                    }
                }
            }
        default: nil
        }
    }

    private func listMembers(_ request: EtcdMemberListRequest, _ context: GRPCContext) async throws -> [UInt8] {
        if request.linearizable { try await replica.confirmRead() }
        return try await members()
    }

    private func addMember(_ request: EtcdMemberAddRequest, _ context: GRPCContext) async throws -> [UInt8] {
        try Self.checkURLs(request.peerUrls)
        _ = try await look(context) { _, warrant in try warrant.needAdministrator() }
        let added = try await replica.addMember(peerURLs: request.peerUrls, isLearner: request.isLearner)
        let header = await header().at(0)
        let members = await replica.members
        return try Self.encode(
            EtcdMemberAddResponse.with {
                $0.header = header.message
                $0.member = Self.message(added)
                $0.members = members.map(Self.message)
            })
    }

    /// A change that only root's role may make, and the members after it.
    private func changeMembers(
        _ context: GRPCContext, _ change: @Sendable (Replica) async throws -> Void
    ) async throws -> [UInt8] {
        _ = try await look(context) { _, warrant in try warrant.needAdministrator() }
        try await change(replica)
        return try await members()
    }

    private func members() async throws -> [UInt8] {
        let header = await header().at(0)
        let members = await replica.members
        return try Self.encode(
            EtcdMemberListResponse.with {
                $0.header = header.message
                $0.members = members.map(Self.message)
            })
    }

    private static func message(_ member: MemberInfo) -> EtcdMember {
        .with {
            $0.id = member.id
            $0.name = member.name
            $0.peerUrls = member.peerURLs
            $0.clientUrls = member.clientURLs
            $0.isLearner = member.isLearner
        }
    }

    /// At least one URL, each with a scheme, a host, a port and no path, as etcd wants them.
    static func checkURLs(_ urls: [String]) throws(Refusal) {
        guard !urls.isEmpty else { throw .badMemberURLs }
        for url in urls {
            var rest = Substring(url)
            guard let scheme = ["https://", "http://", "unix://", "unixs://"].first(where: rest.hasPrefix) else {
                throw .badMemberURLs
            }
            rest = rest.dropFirst(scheme.count)
            if scheme.hasPrefix("unix") {
                if rest.isEmpty { throw .badMemberURLs }
                continue
            }
            guard let colon = rest.lastIndex(of: ":"), colon > rest.startIndex,
                UInt16(rest[rest.index(after: colon)...]) != nil, !rest.contains("/")
            else { throw .badMemberURLs }
        }
    }
}
