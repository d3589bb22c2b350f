public import MartletBase

/// How entries and hard states stand in the log device's records.
///
/// ```
/// entry:       1, term u64, index u64, payload (the rest)
/// hard state:  2, term u64, vote u64 (0: none), commit u64
/// ```
/// Numbers are little-endian. The device checks the bytes' integrity; this codec checks their shape.
/// An entry whose index was seen before replaces that entry and all after it, so a log is never cut at its end.
public enum RaftRecord: Sendable, Hashable {
    /// An entry.
    case entry(RaftEntry)
    /// A hard state.
    case hardState(HardState)

    /// What an entry adds to its payload, in bytes.
    public static let entryOverhead = 17

    /// The record's bytes.
    public func encoded() -> [UInt8] {
        switch self {
        case .entry(let entry):
            var writer = ByteWriter(capacity: Self.entryOverhead + entry.payload.count)
            writer.u8(1)
            writer.u64(entry.term)
            writer.u64(entry.index)
            writer.raw(entry.payload)
            return writer.bytes
        case .hardState(let state):
            var writer = ByteWriter(capacity: 25)
            writer.u8(2)
            writer.u64(state.term)
            writer.u64(state.vote?.number ?? 0)
            writer.u64(state.commit)
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
            self = .entry(RaftEntry(index: index, term: term, payload: reader.rest()))
        case 2:
            let term = try reader.u64()
            let vote = try reader.u64()
            let commit = try reader.u64()
            try reader.end()
            self = .hardState(HardState(term: term, vote: vote == 0 ? nil : MemberID(vote), commit: commit))
        case let kind:
            throw ByteCodecError(offset: 0, what: "record of unknown kind \(kind)")
        }
    }
}
