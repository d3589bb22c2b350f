internal import MartletBase

// What members ask each other beside Raft's messages.
//
//   request  version u8 (1), kind u8, then by kind:
//    1 keepAlive      lease i64
//    2 timeToLive     lease i64
//    3 isMember       member u64
//    4 join           asLearner u8, count u32, peer URLs as blobs
//    5 openSnapshot   index u64
//    6 piece          snapshot u64, number u64
//   answer   version u8 (1), kind u8, then by kind:
//    1 notLeader
//    2 seconds        i64
//    3 lease          remaining i64, granted i64
//    4 yes
//    5 no
//    6 joined         cluster u64, member u64
//    7 snapshot       id u64
//    8 piece          bytes of all pieces u64, the rest
//    9 end
//   10 notYet
//
// Numbers are little-endian.

/// A question.
enum PeerRequest: Sendable, Hashable {
    static let version: UInt8 = 1

    /// Give a lease its whole time again.
    case keepAlive(Int64)
    /// How long does a lease still have?
    case timeToLive(Int64)
    /// Is this one a member? Only answered when that is sure.
    case isMember(UInt64)
    /// Add the asker.
    case join(peerURLs: [String], asLearner: Bool)
    /// Prepare a snapshot that reaches this index or further.
    case openSnapshot(index: UInt64)
    /// The next piece of a snapshot, or the last one again.
    case piece(snapshot: UInt64, number: UInt64)

    /// The question's bytes.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.u8(Self.version)
        switch self {
        case .keepAlive(let lease):
            writer.u8(1)
            writer.i64(lease)
        case .timeToLive(let lease):
            writer.u8(2)
            writer.i64(lease)
        case .isMember(let member):
            writer.u8(3)
            writer.u64(member)
        case .join(let peerURLs, let asLearner):
            writer.u8(4)
            writer.u8(asLearner ? 1 : 0)
            writer.u32(UInt32(peerURLs.count))
            for url in peerURLs { writer.blob(Array(url.utf8)) }
        case .openSnapshot(let index):
            writer.u8(5)
            writer.u64(index)
        case .piece(let snapshot, let number):
            writer.u8(6)
            writer.u64(snapshot)
            writer.u64(number)
        }
        return writer.bytes
    }

    /// Reads a question.
    init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        try reader.version(Self.version)
        switch try reader.u8() {
        case 1: self = .keepAlive(try reader.i64())
        case 2: self = .timeToLive(try reader.i64())
        case 3: self = .isMember(try reader.u64())
        case 4:
            let asLearner = try reader.u8() != 0
            self = .join(peerURLs: try reader.blobs().map { String(decoding: $0, as: UTF8.self) }, asLearner: asLearner)
        case 5: self = .openSnapshot(index: try reader.u64())
        case 6: self = .piece(snapshot: try reader.u64(), number: try reader.u64())
        case let kind: throw ByteCodecError(offset: 1, what: "question of unknown kind \(kind)")
        }
        try reader.end()
    }
}

/// An answer.
enum PeerAnswer: Sendable, Hashable {
    /// Ask the leader.
    case notLeader
    /// A time.
    case seconds(Int64)
    /// A lease's time.
    case lease(LeaseTime)
    case yes
    case no
    /// The asker is a member of that cluster, under that id.
    case joined(cluster: UInt64, member: UInt64)
    /// A snapshot is made, or ready, under that name.
    case snapshot(id: UInt64)
    /// A piece of it, and how many bytes all pieces have together.
    case piece([UInt8], of: UInt64)
    /// There are no more.
    case end
    /// The piece is not there yet: ask again.
    case notYet

    /// The answer's bytes.
    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.u8(PeerRequest.version)
        switch self {
        case .notLeader: writer.u8(1)
        case .seconds(let seconds):
            writer.u8(2)
            writer.i64(seconds)
        case .lease(let time):
            writer.u8(3)
            writer.i64(time.remaining)
            writer.i64(time.granted)
        case .yes: writer.u8(4)
        case .no: writer.u8(5)
        case .joined(let cluster, let member):
            writer.u8(6)
            writer.u64(cluster)
            writer.u64(member)
        case .snapshot(let id):
            writer.u8(7)
            writer.u64(id)
        case .piece(let bytes, let total):
            writer.u8(8)
            writer.u64(total)
            writer.raw(bytes)
        case .end: writer.u8(9)
        case .notYet: writer.u8(10)
        }
        return writer.bytes
    }

    /// Reads an answer.
    init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        try reader.version(PeerRequest.version)
        switch try reader.u8() {
        case 1: self = .notLeader
        case 2: self = .seconds(try reader.i64())
        case 3: self = .lease(LeaseTime(remaining: try reader.i64(), granted: try reader.i64()))
        case 4: self = .yes
        case 5: self = .no
        case 6: self = .joined(cluster: try reader.u64(), member: try reader.u64())
        case 7: self = .snapshot(id: try reader.u64())
        case 8:
            let total = try reader.u64()
            self = .piece(reader.rest(), of: total)
        case 9: self = .end
        case 10: self = .notYet
        case let kind: throw ByteCodecError(offset: 1, what: "answer of unknown kind \(kind)")
        }
        try reader.end()
    }
}

extension ByteReader {
    fileprivate mutating func version(_ expected: UInt8) throws(ByteCodecError) {
        let found = try u8()
        guard found == expected else { throw ByteCodecError(offset: 0, what: "a question of unknown version \(found)") }
    }

    fileprivate mutating func blobs() throws(ByteCodecError) -> [[UInt8]] {
        var blobs: [[UInt8]] = []
        for _ in 0..<(try count(ofItemsOfAtLeast: 4)) { blobs.append(try blob()) }
        return blobs
    }
}
