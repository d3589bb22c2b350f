/// Who the members are, and of which cluster.
struct MemberDirectory: Sendable, Hashable {
    /// The cluster's id; 0 before it has begun.
    var clusterID: UInt64 = 0
    /// By id.
    var members: [UInt64: MemberInfo] = [:]

    /// Carries out a change.
    mutating func apply(_ command: MemberCommand) throws(CommandRefusal) {
        switch command {
        case .genesis(let clusterID, let first):
            if self.clusterID != 0 { throw .alreadyBegun }
            self.clusterID = clusterID
            members = Self.byID(first)
        case .add(let member):
            if members[member.id] != nil { throw .memberExists }
            if isTaken(member.peerURLs, by: member.id) { throw .peerURLExists }
            members[member.id] = member
        case .remove(let id):
            if members.removeValue(forKey: id) == nil { throw .memberNotFound }
        case .update(let id, let peerURLs):
            if members[id] == nil { throw .memberNotFound }
            if isTaken(peerURLs, by: id) { throw .peerURLExists }
            members[id]?.peerURLs = peerURLs
        case .promote(let id):
            guard let member = members[id] else { throw .memberNotFound }
            if !member.isLearner { throw .memberNotLearner }
            members[id]?.isLearner = false
        case .describe(let id, let name, let clientURLs):
            if members[id] == nil { throw .memberNotFound }
            members[id]?.name = name
            members[id]?.clientURLs = clientURLs
        case .replace(let all): members = Self.byID(all)
        }
    }

    private func isTaken(_ peerURLs: [String], by id: UInt64) -> Bool {
        members.values.contains { other in other.id != id && other.peerURLs.contains { peerURLs.contains($0) } }
    }

    private static func byID(_ list: [MemberInfo]) -> [UInt64: MemberInfo] {
        Dictionary(list.map { ($0.id, $0) }) { _, last in last }
    }
}
