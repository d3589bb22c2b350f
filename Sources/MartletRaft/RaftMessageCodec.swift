public import MartletBase

/// The wire form of messages.
///
/// ```
/// version u8 (1), kind u8, from u64, to u64, term u64, then by kind:
///  1 requestPreVote  lastIndex u64, lastTerm u64
///  2 preVote         granted u8
///  3 requestVote     lastIndex u64, lastTerm u64, forTransfer u8
///  4 vote            granted u8
///  5 append          previousIndex u64, previousTerm u64, commit u64, count u32, entries
///  6 appended        match u64
///  7 conflict        previousIndex u64, hint u64, hintTerm u64
///  8 heartbeat       round u64, commit u64
///  9 heard           round u64
/// 10 snapshot        index u64, indexTerm u64, sources
/// 11 timeoutNow
/// 12 transfer        to u64
/// 13 propose         session u64, floor u64, count u32, proposals: sequence u64, payload blob
/// 14 change          session u64, floor u64, sequence u64, change, context blob
/// 15 refused         session u64, refusal u8, count u32, sequences u64
/// 16 read            session u64, token u64
/// 17 readIndex       session u64, token u64, index u64
/// entry:   term u64, kind u8, session u64, sequence u64, payload blob; indices follow previousIndex
/// change:  1 addLearner member u64, autoPromote u8; 2 addVoter, 3 promote, 4 remove member u64;
///          5 replace voters, learners
/// members: count u32, numbers u64; a blob: count u32, bytes
/// ```
/// Numbers are little-endian. Counts are checked against the bytes that are there before anything is reserved.
extension RaftMessage {
    /// The version of this form.
    public static let version: UInt8 = 1
    /// What an entry adds to its payload on the wire, in bytes.
    public static let entryOverhead = 29

    /// The message's bytes.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + payloadBytes)
        encoded(into: &writer)
        return writer.bytes
    }

    /// How many bytes of commands the message carries, about: for bounds of queues.
    public var payloadBytes: Int {
        switch body {
        case .append(_, _, let entries, _): entries.reduce(0) { $0 + $1.payload.count + Self.entryOverhead }
        case .propose(_, _, let proposals): proposals.reduce(0) { $0 + $1.payload.count + 12 }
        case .change(_, _, _, _, let context): context.count
        default: 0
        }
    }

    /// Appends the message's bytes.
    public func encoded(into writer: inout ByteWriter) {
        writer.u8(Self.version)
        writer.u8(body.number)
        for number in [from.number, to.number, term] { writer.u64(number) }
        switch body {
        case .append(let previousIndex, let previousTerm, let entries, let commit):
            for number in [previousIndex, previousTerm, commit] { writer.u64(number) }
            writer.u32(UInt32(entries.count))
            for entry in entries { writer.entry(entry) }
        case .propose(let session, let floor, let proposals):
            writer.u64(session)
            writer.u64(floor)
            writer.u32(UInt32(proposals.count))
            for proposal in proposals {
                writer.u64(proposal.sequence)
                writer.blob(proposal.payload)
            }
        case .change(let session, let floor, let sequence, let change, let context):
            for number in [session, floor, sequence] { writer.u64(number) }
            writer.change(change)
            writer.blob(context)
        case .refused(let session, let sequences, let refusal):
            writer.u64(session)
            writer.u8(refusal.rawValue)
            writer.u32(UInt32(sequences.count))
            for sequence in sequences { writer.u64(sequence) }
        default: encodeSmall(into: &writer)
        }
    }

    /// The bodies that are a few numbers.
    private func encodeSmall(into writer: inout ByteWriter) {
        switch body {
        case .requestPreVote(let lastIndex, let lastTerm):
            writer.u64(lastIndex)
            writer.u64(lastTerm)
        case .requestVote(let lastIndex, let lastTerm, let forTransfer):
            writer.u64(lastIndex)
            writer.u64(lastTerm)
            writer.u8(forTransfer ? 1 : 0)
        case .preVote(let granted), .vote(let granted): writer.u8(granted ? 1 : 0)
        case .appended(let number), .heard(let number): writer.u64(number)
        case .conflict(let a, let b, let c), .readIndex(let a, let b, let c):
            for number in [a, b, c] { writer.u64(number) }
        case .heartbeat(let a, let b), .read(let a, let b):
            writer.u64(a)
            writer.u64(b)
        case .snapshot(let index, let indexTerm, let sources):
            writer.u64(index)
            writer.u64(indexTerm)
            writer.members(sources)
        case .transfer(let to): writer.u64(to.number)
        case .timeoutNow, .append, .propose, .change, .refused: break
        }
    }

    /// Reads a message that fills `bytes` from `offset` on.
    public init(decoding bytes: [UInt8], offset: Int = 0) throws(ByteCodecError) {
        var reader = ByteReader(bytes, offset: offset)
        let version = try reader.u8()
        guard version == Self.version else {
            throw ByteCodecError(offset: offset, what: "message of unknown version \(version)")
        }
        let number = try reader.u8()
        from = MemberID(try reader.u64())
        to = MemberID(try reader.u64())
        term = try reader.u64()
        guard term < .max else { throw ByteCodecError(offset: offset + 18, what: "no term") }
        body = try Body(number, from: &reader)
        try reader.end()
    }
}

extension RaftMessage.Body {
    fileprivate var number: UInt8 {
        switch self {
        case .requestPreVote: 1
        case .preVote: 2
        case .requestVote: 3
        case .vote: 4
        case .append: 5
        case .appended: 6
        case .conflict: 7
        case .heartbeat: 8
        case .heard: 9
        case .snapshot: 10
        case .timeoutNow: 11
        case .transfer: 12
        case .propose: 13
        case .change: 14
        case .refused: 15
        case .read: 16
        case .readIndex: 17
        }
    }

    fileprivate init(_ number: UInt8, from reader: inout ByteReader) throws(ByteCodecError) {
        switch number {
        case 1: self = .requestPreVote(lastIndex: try reader.u64(), lastTerm: try reader.u64())
        case 2: self = .preVote(granted: try reader.flag())
        case 3:
            self = .requestVote(
                lastIndex: try reader.u64(), lastTerm: try reader.u64(), forTransfer: try reader.flag())
        case 4: self = .vote(granted: try reader.flag())
        case 5: try self.init(appendFrom: &reader)
        case 6: self = .appended(match: try reader.u64())
        case 7: self = .conflict(previousIndex: try reader.u64(), hint: try reader.u64(), hintTerm: try reader.u64())
        case 8: self = .heartbeat(round: try reader.u64(), commit: try reader.u64())
        case 9: self = .heard(round: try reader.u64())
        case 10:
            self = .snapshot(index: try reader.u64(), indexTerm: try reader.u64(), sources: try reader.members())
        case 11: self = .timeoutNow
        case 12: self = .transfer(to: MemberID(try reader.u64()))
        case 13: try self.init(proposeFrom: &reader)
        case 14:
            self = .change(
                session: try reader.u64(), floor: try reader.u64(), sequence: try reader.u64(),
                change: try reader.change(), context: try reader.blob())
        case 15: try self.init(refusedFrom: &reader)
        case 16: self = .read(session: try reader.u64(), token: try reader.u64())
        case 17: self = .readIndex(session: try reader.u64(), token: try reader.u64(), index: try reader.u64())
        default: throw ByteCodecError(offset: 1, what: "message of unknown kind \(number)")
        }
    }

    private init(appendFrom reader: inout ByteReader) throws(ByteCodecError) {
        let previousIndex = try reader.u64()
        let previousTerm = try reader.u64()
        let commit = try reader.u64()
        let count = try reader.count(ofItemsOfAtLeast: RaftMessage.entryOverhead)
        guard previousIndex < .max - UInt64(count) - 1 else {
            throw ByteCodecError(offset: reader.offset, what: "an index past the last one")
        }
        var entries: [RaftEntry] = []
        entries.reserveCapacity(count)
        for offset in 0..<UInt64(count) {
            let term = try reader.u64()
            let kind = try reader.entryKind()
            let id = ProposalID(session: try reader.u64(), sequence: try reader.u64())
            entries.append(
                RaftEntry(
                    index: previousIndex + 1 + offset, term: term, kind: kind, id: id, payload: try reader.blob()))
        }
        self = .append(previousIndex: previousIndex, previousTerm: previousTerm, entries: entries, commit: commit)
    }

    private init(proposeFrom reader: inout ByteReader) throws(ByteCodecError) {
        let session = try reader.u64()
        let floor = try reader.u64()
        let count = try reader.count(ofItemsOfAtLeast: 12)
        var proposals: [Proposal] = []
        proposals.reserveCapacity(count)
        for _ in 0..<count { proposals.append(Proposal(sequence: try reader.u64(), payload: try reader.blob())) }
        self = .propose(session: session, floor: floor, proposals: proposals)
    }

    private init(refusedFrom reader: inout ByteReader) throws(ByteCodecError) {
        let session = try reader.u64()
        let at = reader.offset
        let number = try reader.u8()
        guard let refusal = RaftRefusal(rawValue: number) else {
            throw ByteCodecError(offset: at, what: "unknown refusal \(number)")
        }
        let count = try reader.count(ofItemsOfAtLeast: 8)
        var sequences: [UInt64] = []
        sequences.reserveCapacity(count)
        for _ in 0..<count { sequences.append(try reader.u64()) }
        self = .refused(session: session, sequences: sequences, refusal: refusal)
    }
}

extension ByteWriter {
    fileprivate mutating func entry(_ entry: RaftEntry) {
        u64(entry.term)
        u8(entry.kind.rawValue)
        u64(entry.id.session)
        u64(entry.id.sequence)
        blob(entry.payload)
    }

    fileprivate mutating func change(_ change: MembershipChange) {
        switch change {
        case .addLearner(let member, let autoPromote):
            u8(1)
            u64(member.number)
            u8(autoPromote ? 1 : 0)
        case .addVoter(let member):
            u8(2)
            u64(member.number)
        case .promote(let member):
            u8(3)
            u64(member.number)
        case .remove(let member):
            u8(4)
            u64(member.number)
        case .replace(let voters, let learners):
            u8(5)
            members(voters)
            members(learners)
        }
    }
}

extension ByteReader {
    fileprivate mutating func flag() throws(ByteCodecError) -> Bool {
        let at = offset
        switch try u8() {
        case 0: return false
        case 1: return true
        case let other: throw ByteCodecError(offset: at, what: "\(other) is neither yes nor no")
        }
    }

    fileprivate mutating func change() throws(ByteCodecError) -> MembershipChange {
        let at = offset
        switch try u8() {
        case 1: return .addLearner(MemberID(try u64()), autoPromote: try flag())
        case 2: return .addVoter(MemberID(try u64()))
        case 3: return .promote(MemberID(try u64()))
        case 4: return .remove(MemberID(try u64()))
        case 5: return .replace(voters: try members(), learners: try members())
        case let other: throw ByteCodecError(offset: at, what: "unknown change \(other)")
        }
    }
}
