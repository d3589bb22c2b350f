import MartletBase
import MartletRaft
import Testing

@testable import MartletReplica

@Suite struct APeersFrame {
    private static let hello = PeerHello(cluster: 1, from: 2, to: 3)
    private static let frames: [PeerFrame] = [
        .hello(hello), .welcome(hello), .refusal("no"), .request(7, [1, 2, 3]), .answer(7, []), .failure(8, "why"),
        .ping, .pong,
        .message(RaftMessage(from: MemberID(1), to: MemberID(2), term: 3, body: .heartbeat(round: 4, commit: 5))),
    ]

    @Test func comesOutAsItWentInHoweverItIsCut() throws {
        var writer = ByteWriter()
        for frame in Self.frames { frame.encode(into: &writer) }
        for size in [1, 3, 17, 1000] {
            var reader = PeerFrameReader()
            var found: [PeerFrame] = []
            for start in stride(from: 0, to: writer.bytes.count, by: size) {
                reader.feed(Array(writer.bytes[start..<min(start + size, writer.bytes.count)]))
                while let frame = try reader.next() { found.append(frame) }
            }
            #expect(found == Self.frames)
        }
    }

    @Test func ofTooManyBytesIsRefusedBeforeTheyCome() {
        var reader = PeerFrameReader()
        reader.feed([0xFF, 0xFF, 0xFF, 0x7F, 1])
        #expect(throws: ByteCodecError.self) { _ = try reader.next() }
    }

    @Test func thatIsDamagedIsReadOrRefused() {
        var random = SplitMix64(seed: 3)
        var writer = ByteWriter()
        for frame in Self.frames { frame.encode(into: &writer) }
        let questions: [PeerRequest] = [
            .keepAlive(1), .timeToLive(2), .isMember(3), .join(peerURLs: ["a", "b"], asLearner: true),
            .openSnapshot(index: 4), .piece(snapshot: 5, number: 6),
        ]
        let answers: [PeerAnswer] = [
            .notLeader, .seconds(-1), .lease(LeaseTime(remaining: 1, granted: 2)), .yes, .no,
            .joined(cluster: 1, member: 2), .snapshot(id: 1), .piece([9], of: 2), .end, .notYet,
        ]
        for question in questions { #expect((try? PeerRequest(decoding: question.encoded())) == question) }
        for answer in answers { #expect((try? PeerAnswer(decoding: answer.encoded())) == answer) }
        for _ in 0..<3000 {
            var bytes = writer.bytes
            for _ in 0...random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            var reader = PeerFrameReader()
            reader.feed(bytes)
            while let frame = try? reader.next() { _ = frame.cost }
            for whole in [questions[Int(random.next() % 6)].encoded(), answers[Int(random.next() % 10)].encoded()] {
                var part = whole
                part[Int(random.next() % UInt64(part.count))] = UInt8(truncatingIfNeeded: random.next())
                part.removeLast(Int(random.next() % UInt64(part.count)))
                _ = try? PeerRequest(decoding: part)
                _ = try? PeerAnswer(decoding: part)
            }
        }
    }

    @Test func ofAURLIsAnAddressAndAPort() throws {
        #expect(try PeerURL.endpoint("https://10.0.0.1:2380") == .ip("10.0.0.1", port: 2380))
        #expect(try PeerURL.endpoint("http://[::1]:80/") == .ip("::1", port: 80))
        for text in ["https://host:1", "https://1.2.3.4", "1.2.3:4", "https://1.2.3.4:0", "", "http://1.2.3.4.5:6"] {
            #expect(throws: PeerError.self) { try PeerURL.endpoint(text) }
        }
    }
}
