public import MartletBase

/// Who takes part. All lists are sorted and without repeats.
public struct Membership: Sendable, Hashable {
    /// Who votes.
    public var voters: [MemberID]
    /// Not empty while one membership passes into the next: the voters of the old one, whose majority is needed too.
    public var outgoing: [MemberID]
    /// Who gets the log and has no vote.
    public var learners: [MemberID]
    /// Those of the learners that become voters once they have caught up.
    public var autoPromoting: [MemberID]

    /// A membership; the lists are put in order.
    public init(
        voters: [MemberID] = [], outgoing: [MemberID] = [], learners: [MemberID] = [], autoPromoting: [MemberID] = []
    ) {
        self.voters = Self.ordered(voters)
        self.outgoing = Self.ordered(outgoing)
        self.learners = Self.ordered(learners)
        self.autoPromoting = Self.ordered(autoPromoting)
    }

    private static func ordered(_ members: [MemberID]) -> [MemberID] { Array(Set(members)).sorted() }

    /// Whether one membership is passing into the next.
    public var isJoint: Bool { !outgoing.isEmpty }
    /// All that the membership names, in order.
    public var all: [MemberID] { Self.ordered(voters + outgoing + learners) }
    /// Whether `member` has a vote.
    public func hasVote(_ member: MemberID) -> Bool { voters.contains(member) || outgoing.contains(member) }
    /// Whether `member` is named.
    public func contains(_ member: MemberID) -> Bool { hasVote(member) || learners.contains(member) }

    /// The membership's bytes: a version, then each list as a count and the numbers.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 17 + 8 * (voters.count + outgoing.count + learners.count))
        encode(into: &writer)
        return writer.bytes
    }

    func encode(into writer: inout ByteWriter) {
        writer.u8(1)
        for list in [voters, outgoing, learners, autoPromoting] { writer.members(list) }
    }

    /// Reads a membership.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.end()
    }

    init(from reader: inout ByteReader) throws(ByteCodecError) {
        let version = try reader.u8()
        guard version == 1 else { throw ByteCodecError(offset: 0, what: "membership of unknown version \(version)") }
        voters = try reader.sortedMembers()
        outgoing = try reader.sortedMembers()
        learners = try reader.sortedMembers()
        autoPromoting = try reader.sortedMembers()
    }
}

/// The payload of an entry of kind ``RaftEntry/Kind/membership``.
public struct MembershipEntry: Sendable, Hashable {
    /// In force from the moment that the entry is in a member's log.
    public var membership: Membership
    /// What the application wants applied with it; empty for changes that the leader makes by itself.
    public var context: [UInt8]
    /// An entry's payload from its parts.
    public init(membership: Membership, context: [UInt8] = []) {
        self.membership = membership
        self.context = context
    }

    /// The membership, then the context.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        membership.encode(into: &writer)
        writer.raw(context)
        return writer.bytes
    }

    /// Reads a payload.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        membership = try Membership(from: &reader)
        context = reader.rest()
    }
}

/// A wish for another membership. Where voters change, it passes through a joint membership (paper, section 6).
public enum MembershipChange: Sendable, Hashable {
    /// A new member without a vote; with `autoPromote` it gets one as soon as it has caught up.
    case addLearner(MemberID, autoPromote: Bool)
    /// A new member, or a learner, gets a vote at once.
    case addVoter(MemberID)
    /// A learner that has caught up gets a vote.
    case promote(MemberID)
    /// The member is one no more.
    case remove(MemberID)
    /// Exactly these.
    case replace(voters: [MemberID], learners: [MemberID])
}

extension ByteWriter {
    mutating func members(_ list: [MemberID]) {
        u32(UInt32(list.count))
        for member in list { u64(member.number) }
    }
}

extension ByteReader {
    mutating func members() throws(ByteCodecError) -> [MemberID] {
        let count = try count(ofItemsOfAtLeast: 8)
        var list: [MemberID] = []
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(MemberID(try u64())) }
        return list
    }

    mutating func sortedMembers() throws(ByteCodecError) -> [MemberID] {
        let start = offset
        let list = try members()
        for (earlier, later) in zip(list, list.dropFirst()) where earlier >= later {
            throw ByteCodecError(offset: start, what: "members that are not in order")
        }
        return list
    }
}
