internal import MartletBase
internal import MartletRaft

// What peers say to each other over a stream. The side that connected begins with a hello, the other answers with a
// welcome or a refusal; then the first sends messages and requests, and the other answers requests.
//
//   frame    count u32 of what follows, kind u8, then by kind:
//    1 hello     magic u32 "MPEE", version u8, cluster u64, from u64, to u64
//    2 welcome   the same, from the other side
//    3 refusal   text
//    4 message   a RaftMessage, see RaftMessageCodec.swift
//    5 request   number u64, bytes
//    6 answer    number u64, bytes
//    7 failure   number u64, text
//    8 ping
//    9 pong
//
// Numbers are little-endian. A guest, who has no id yet, says hello with cluster and from 0, and may only ask.

/// Who speaks.
struct PeerHello: Sendable, Hashable {
    /// The version of frames and messages.
    static let version: UInt8 = 1
    static let magic: UInt32 = 0x4545_504D

    var version = Self.version
    var cluster: UInt64
    var from: UInt64
    var to: UInt64
}

/// One frame.
enum PeerFrame: Sendable, Hashable {
    case hello(PeerHello)
    case welcome(PeerHello)
    case refusal(String)
    case message(RaftMessage)
    case request(UInt64, [UInt8])
    case answer(UInt64, [UInt8])
    case failure(UInt64, String)
    case ping
    case pong

    /// About how many bytes the frame takes, for the bounds of queues.
    var cost: Int {
        switch self {
        case .message(let message): 96 + message.payloadBytes
        case .request(_, let bytes), .answer(_, let bytes): 32 + bytes.count
        case .refusal(let text), .failure(_, let text): 32 + text.utf8.count
        case .hello, .welcome, .ping, .pong: 48
        }
    }

    /// The frame, or a failure in the place of an answer that the other side would not take.
    var withinBounds: PeerFrame {
        guard case .answer(let number, let bytes) = self, bytes.count + 9 > Limits.peerFrameBytes else { return self }
        return .failure(number, "the answer has \(bytes.count) bytes; at most \(Limits.peerFrameBytes - 9) are sent")
    }

    /// Appends the frame.
    func encode(into writer: inout ByteWriter) {
        let start = writer.bytes.count
        writer.u32(0)
        switch self {
        case .hello(let hello): encode(hello, 1, &writer)
        case .welcome(let hello): encode(hello, 2, &writer)
        case .refusal(let text):
            writer.u8(3)
            writer.raw(Array(text.utf8))
        case .message(let message):
            writer.u8(4)
            message.encoded(into: &writer)
        case .request(let number, let bytes): encode(number, bytes, 5, &writer)
        case .answer(let number, let bytes): encode(number, bytes, 6, &writer)
        case .failure(let number, let text): encode(number, Array(text.utf8), 7, &writer)
        case .ping: writer.u8(8)
        case .pong: writer.u8(9)
        }
        writer.setU32(UInt32(writer.bytes.count - start - 4), at: start)
    }

    private func encode(_ hello: PeerHello, _ kind: UInt8, _ writer: inout ByteWriter) {
        writer.u8(kind)
        writer.u32(PeerHello.magic)
        writer.u8(hello.version)
        for number in [hello.cluster, hello.from, hello.to] { writer.u64(number) }
    }

    private func encode(_ number: UInt64, _ bytes: [UInt8], _ kind: UInt8, _ writer: inout ByteWriter) {
        writer.u8(kind)
        writer.u64(number)
        writer.raw(bytes)
    }

    /// Reads what follows a frame's count.
    init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        switch try reader.u8() {
        case 1: self = .hello(try Self.hello(&reader))
        case 2: self = .welcome(try Self.hello(&reader))
        case 3: self = .refusal(String(decoding: reader.rest(), as: UTF8.self))
        case 4: self = .message(try RaftMessage(decoding: bytes, offset: 1))
        case 5: self = .request(try reader.u64(), reader.rest())
        case 6: self = .answer(try reader.u64(), reader.rest())
        case 7: self = .failure(try reader.u64(), String(decoding: reader.rest(), as: UTF8.self))
        case 8:
            try reader.end()
            self = .ping
        case 9:
            try reader.end()
            self = .pong
        case let kind: throw ByteCodecError(offset: 0, what: "frame of unknown kind \(kind)")
        }
    }

    private static func hello(_ reader: inout ByteReader) throws(ByteCodecError) -> PeerHello {
        guard try reader.u32() == PeerHello.magic else {
            throw ByteCodecError(offset: 1, what: "the other side is no member of a Martlet store")
        }
        let hello = PeerHello(
            version: try reader.u8(), cluster: try reader.u64(), from: try reader.u64(), to: try reader.u64())
        // A later version may say more.
        if hello.version == PeerHello.version { try reader.end() }
        return hello
    }
}

/// Puts frames together from the pieces in which a stream delivers them.
struct PeerFrameReader: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0

    /// Takes what a stream delivered.
    mutating func feed(_ bytes: [UInt8]) {
        if start == buffer.count {
            buffer = bytes
        } else {
            if start > 0 { buffer.removeFirst(start) }
            buffer += bytes
        }
        start = 0
    }

    /// The next whole frame; nil when more bytes are needed.
    mutating func next() throws(ByteCodecError) -> PeerFrame? {
        var reader = ByteReader(buffer, offset: start)
        guard reader.remaining >= 4 else { return nil }
        let count = Int(try reader.u32())
        guard count > 0, count <= Limits.peerFrameBytes else {
            throw ByteCodecError(
                offset: start, what: "a frame of \(count) bytes; at most \(Limits.peerFrameBytes) are taken")
        }
        guard reader.remaining >= count else { return nil }
        let body = Array(buffer[reader.offset..<reader.offset + count])
        start = reader.offset + count
        return try PeerFrame(decoding: body)
    }
}
