public import MartletBase

/// How entries, hard states and restarts stand in the log device's records.
///
/// ```
/// entry:       1, term u64, index u64, kind u8 (0 command, 1 membership), session u64, sequence u64, payload (rest)
/// hard state:  2, term u64, vote u64 (0: none), commit u64
/// restart:     3, index u64, term u64, membership (see Membership)
/// ```
/// Numbers are little-endian. The device checks the bytes' integrity; this codec checks their shape.
/// An entry whose index was seen before replaces that entry and all after it, so a log is never cut at its end.
/// After a restart no earlier entry counts: a snapshot stands for all through its index.
public enum RaftRecord: Sendable, Hashable {
    /// An entry.
    case entry(RaftEntry)
    /// A hard state.
    case hardState(HardState)
    /// A snapshot took the place of the log.
    case restart(SnapshotPosition)

    /// What an entry adds to its payload, in bytes.
    public static let entryOverhead = 34

    /// The record's bytes.
    public func encoded() -> [UInt8] {
        switch self {
        case .entry(let entry):
            var writer = ByteWriter(capacity: Self.entryOverhead + entry.payload.count)
            writer.u8(1)
            writer.u64(entry.term)
            writer.u64(entry.index)
            writer.u8(entry.kind.rawValue)
            writer.u64(entry.id.session)
            writer.u64(entry.id.sequence)
            writer.raw(entry.payload)
            return writer.bytes
        case .hardState(let state):
            var writer = ByteWriter(capacity: 25)
            writer.u8(2)
            writer.u64(state.term)
            writer.u64(state.vote?.number ?? 0)
            writer.u64(state.commit)
            return writer.bytes
        case .restart(let position):
            var writer = ByteWriter(capacity: 128)
            writer.u8(3)
            writer.u64(position.index)
            writer.u64(position.term)
            position.membership.encode(into: &writer)
            return writer.bytes
        }
    }

    /// Reads a record.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        switch try reader.u8() {
        case 1:
            let term = try reader.u64()
            let index = try reader.u64()
            guard index > 0, index < .max else { throw ByteCodecError(offset: 9, what: "no index of an entry") }
            let kind = try reader.entryKind()
            let id = ProposalID(session: try reader.u64(), sequence: try reader.u64())
            self = .entry(RaftEntry(index: index, term: term, kind: kind, id: id, payload: reader.rest()))
        case 2:
            let term = try reader.u64()
            let vote = try reader.u64()
            let commit = try reader.u64()
            try reader.end()
            self = .hardState(HardState(term: term, vote: vote == 0 ? nil : MemberID(vote), commit: commit))
        case 3:
            let index = try reader.u64()
            let term = try reader.u64()
            guard index < .max else { throw ByteCodecError(offset: 1, what: "no index of a snapshot") }
            let membership = try Membership(from: &reader)
            try reader.end()
            self = .restart(SnapshotPosition(index: index, term: term, membership: membership))
        case let kind:
            throw ByteCodecError(offset: 0, what: "record of unknown kind \(kind)")
        }
    }
}

extension ByteReader {
    mutating func entryKind() throws(ByteCodecError) -> RaftEntry.Kind {
        let at = offset
        let number = try u8()
        guard let kind = RaftEntry.Kind(rawValue: number) else {
            throw ByteCodecError(offset: at, what: "entry of unknown kind \(number)")
        }
        return kind
    }
}
