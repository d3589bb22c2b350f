internal import MartletBase
internal import MartletHTTP
internal import MartletRaft
internal import MartletStore

/// What a member that has no data yet begins with.
///
/// A cluster's log begins with one entry, term 1, that holds the cluster's id, its first members and who of them
/// votes. Each first member writes the same bytes by itself before it starts, so no election has to agree on them. A
/// member that joins later begins with nothing and is told by the leader.
struct Genesis: Sendable, Hashable {
    /// Who this member is.
    var identity: ReplicaIdentity
    /// The cluster's first members; empty for one that joins.
    var members: [MemberInfo]

    /// A cluster of one.
    static func alone(_ identity: ReplicaIdentity, name: String, peerURLs: [String], clientURLs: [String]) -> Genesis {
        Genesis(
            identity: identity,
            members: [MemberInfo(id: identity.member, name: name, peerURLs: peerURLs, clientURLs: clientURLs)])
    }

    /// The member `name` of a cluster whose first members are given, the same on each of them. Ids come from token and
    /// name, never from an address.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the names contradict each other.
    static func cluster(token: String, members: [(name: String, peerURLs: [String])], name: String)
        throws(ReplicaError) -> Genesis
    {
        var infos: [MemberInfo] = []
        for (name, urls) in members {
            let id = number(of: ["martlet member", token, name])
            guard !name.isEmpty, !infos.contains(where: { $0.name == name || $0.id == id }) else {
                throw .unusable("the first members of a cluster need names of their own; \"\(name)\" is not")
            }
            infos.append(MemberInfo(id: id, name: name, peerURLs: urls))
        }
        infos.sort { $0.id < $1.id }
        guard let own = infos.first(where: { $0.name == name }) else {
            throw .unusable("this member's name, \"\(name)\", is not among the first members of the cluster")
        }
        let names = infos.map(\.name).sorted()
        let identity = ReplicaIdentity(cluster: number(of: ["martlet cluster", token] + names), member: own.id)
        return Genesis(identity: identity, members: infos)
    }

    /// The member that `options` name of a cluster that begins with a snapshot, the same on each that restores the same
    /// file with the same options, and another cluster with other members than that of the snapshot or of any other
    /// one: a member that still has the old data is refused by its cluster's id.
    /// - Parameter digest: the SHA-256 of the snapshot.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the names contradict each other.
    static func restored(_ digest: [UInt8], _ options: RestoreOptions) throws(ReplicaError) -> Genesis {
        let members = options.members.map { "\($0.name)=\($0.peerURLs.sorted().joined(separator: ","))" }.sorted()
        let bytes = digest.map { String($0, radix: 16) }.joined(separator: ".")
        // What is restored with another revision or history is another state.
        let state = "bump \(options.bumpRevision), history \(options.forgetsHistory ? "forgotten" : "kept")"
        let token = number(of: ["martlet restored", options.token, bytes, state] + members)
        return try cluster(token: String(token, radix: 16), members: options.members, name: options.name)
    }

    /// A member that was added to a running cluster.
    static func joining(cluster: UInt64, member: UInt64) -> Genesis {
        Genesis(identity: ReplicaIdentity(cluster: cluster, member: member), members: [])
    }

    /// The only member of the cluster that goes on from a member's state after the loss of a quorum.
    static func recovered(from identity: ReplicaIdentity, at index: UInt64, _ term: UInt64, member: MemberInfo)
        -> Genesis
    {
        let parts = [identity.cluster, identity.member, index, term].map { String($0, radix: 16) }
        let cluster = number(of: ["martlet recovered"] + parts)
        return Genesis(identity: ReplicaIdentity(cluster: cluster, member: identity.member), members: [member])
    }

    /// The first 8 bytes of the parts' SHA-256, each with its length. Positive where shown as a signed number, not 0.
    private static func number(of parts: [String]) -> UInt64 {
        var writer = ByteWriter()
        for part in parts { writer.blob(Array(part.utf8)) }
        let digest = Digest.sha256(writer.bytes)
        return digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } >> 1 | 1
    }

    /// Who the member of a group of one is, by the first entry of its log; nil when that is gone.
    static func identity(ofOneIn device: any LogDevice) async throws -> ReplicaIdentity? {
        let log = try await RecoveredLog(reading: device)
        guard let first = log.entries.first, first.kind == .membership,
            let content = try? MembershipEntry(decoding: first.payload), let member = content.membership.voters.first,
            case .genesis(let cluster, _) = try? MemberCommand(decoding: content.context)
        else { return nil }
        return ReplicaIdentity(cluster: cluster, member: member.number)
    }

    /// The voters of the first entry.
    var membership: Membership { Membership(voters: members.map { MemberID($0.id) }) }

    /// The log's first entry; nil for a member that joins.
    var entry: RaftEntry? {
        guard !members.isEmpty else { return nil }
        let command = MemberCommand.genesis(clusterID: identity.cluster, members: members)
        let payload = MembershipEntry(membership: membership, context: command.encoded()).encoded()
        return RaftEntry(index: 1, term: 1, kind: .membership, payload: payload)
    }

    /// What is in the log when the member starts for the first time: there is always something, so that a log that was
    /// lost is noticed.
    var records: [RaftRecord] {
        guard let entry else { return [.hardState(HardState())] }
        return [.hardState(HardState(term: 1, vote: nil, commit: 1)), .entry(entry)]
    }
}
