internal import FoundationEssentials
public import MartletBase
public import MartletEtcdMessages
public import MartletHTTP
public import SwiftProtobuf

/// A client of etcd's v3 API, of ours or of etcd's own: one member, one connection, many calls at a time.
///
/// It holds what programs of this project need of the API; ``call(_:_:answer:)`` reaches the rest.
public final class EtcdClient: Sendable {
    /// The channel, for streams.
    public let channel: GRPCChannel
    private let timeout: Duration

    /// A client of the member at `endpoint`. `authority` is the name that its certificate must carry.
    public init(
        endpoint: Endpoint, authority: String = "localhost", in world: any World, tls: TLSClient? = nil,
        timeout: Duration = .seconds(5)
    ) {
        channel = GRPCChannel(endpoint: endpoint, authority: authority, in: world, tls: tls)
        self.timeout = timeout
    }

    /// Closes the connection.
    public func close() { channel.close() }

    /// Calls a method of `etcdserverpb`, named as `KV/Put`.
    /// - Throws: ``GRPCStatus``, or what the decoder says of an answer that is none.
    public func call<Request: Message, Answer: Message>(
        _ method: String, _ request: Request, answer: Answer.Type = Answer.self
    ) async throws -> Answer {
        let bytes: [UInt8] = try request.serializedBytes()
        return try Answer(serializedBytes: try await channel.unary("/etcdserverpb.\(method)", bytes, timeout: timeout))
    }

    // MARK: Keys

    /// Sets a key; returns the revision of the change.
    /// - Throws: ``GRPCStatus``.
    @discardableResult
    public func put(_ key: String, _ value: String) async throws -> Int64 {
        try await call("KV/Put", Self.putRequest(key, value), answer: EtcdPutResponse.self).header.revision
    }

    /// One key's value, nil where there is none; linearizable unless `isSerializable` is set.
    /// - Throws: ``GRPCStatus``.
    public func get(_ key: String, isSerializable: Bool = false) async throws -> String? {
        var request = EtcdRangeRequest()
        request.key = Data(key.utf8)
        request.serializable = isSerializable
        let answer = try await call("KV/Range", request, answer: EtcdRangeResponse.self)
        return answer.kvs.first.map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// Sets a key if it holds `expected` (nil: if it is absent); returns whether it did.
    /// - Throws: ``GRPCStatus``.
    public func swap(_ key: String, from expected: String?, to value: String) async throws -> Bool {
        var comparison = EtcdCompare()
        comparison.key = Data(key.utf8)
        comparison.result = .equal
        if let expected {
            comparison.target = .value
            comparison.value = Data(expected.utf8)
        } else {
            comparison.target = .version
            comparison.version = 0
        }
        var step = EtcdRequestOp()
        step.requestPut = Self.putRequest(key, value)
        var request = EtcdTxnRequest()
        request.compare = [comparison]
        request.success = [step]
        return try await call("KV/Txn", request, answer: EtcdTxnResponse.self).succeeded
    }

    private static func putRequest(_ key: String, _ value: String) -> EtcdPutRequest {
        var request = EtcdPutRequest()
        request.key = Data(key.utf8)
        request.value = Data(value.utf8)
        return request
    }

    // MARK: Members

    /// What the member says of itself.
    /// - Throws: ``GRPCStatus``.
    public func status() async throws -> EtcdStatusResponse {
        try await call("Maintenance/Status", EtcdHeaderOnlyResponse())
    }

    /// The members, as this member knows them.
    /// - Throws: ``GRPCStatus``.
    public func members() async throws -> [EtcdMember] {
        try await call("Cluster/MemberList", EtcdMemberListRequest(), answer: EtcdMemberListResponse.self).members
    }

    /// Adds a member by its peer URLs; it is told of by its new id. Then it may be started.
    /// - Throws: ``GRPCStatus``.
    public func addMember(peerURLs: [String], asLearner: Bool) async throws -> EtcdMemberAddResponse {
        var request = EtcdMemberAddRequest()
        request.peerUrls = peerURLs
        request.isLearner = asLearner
        return try await call("Cluster/MemberAdd", request)
    }

    /// Removes a member.
    /// - Throws: ``GRPCStatus``.
    public func removeMember(_ id: UInt64) async throws -> [EtcdMember] { try await change("MemberRemove", id) }

    /// Lets a learner vote.
    /// - Throws: ``GRPCStatus``.
    public func promoteMember(_ id: UInt64) async throws -> [EtcdMember] { try await change("MemberPromote", id) }

    private func change(_ method: String, _ id: UInt64) async throws -> [EtcdMember] {
        var request = EtcdMemberRemoveRequest()
        request.id = id
        return try await call("Cluster/\(method)", request, answer: EtcdMemberListResponse.self).members
    }

    /// Changes where the others reach a member.
    /// - Throws: ``GRPCStatus``.
    public func updateMember(_ id: UInt64, peerURLs: [String]) async throws -> [EtcdMember] {
        var request = EtcdMemberUpdateRequest()
        request.id = id
        request.peerUrls = peerURLs
        return try await call("Cluster/MemberUpdate", request, answer: EtcdMemberListResponse.self).members
    }

    // MARK: Upkeep

    /// A snapshot of all that the member holds, piece by piece.
    /// - Throws: ``GRPCStatus``, or what `take` throws.
    public func snapshot(_ take: (EtcdSnapshotResponse) throws -> Void) async throws {
        let next = try await channel.serverStream("/etcdserverpb.Maintenance/Snapshot", [])
        while let bytes = try await next() { try take(try EtcdSnapshotResponse(serializedBytes: bytes)) }
    }

    /// A digest of all that the member holds at `revision` (0: its present one): equal on members with equal contents.
    /// - Throws: ``GRPCStatus``.
    public func hash(at revision: Int64 = 0) async throws -> EtcdHashKVResponse {
        var request = EtcdHashKVRequest()
        request.revision = revision
        return try await call("Maintenance/HashKV", request)
    }
}
