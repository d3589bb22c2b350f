import FuzzSupport
import MartletBase
import Testing

@testable import MartletHTTP

/// What a decoder says of bytes that come in pieces of `size`.
private func frames(_ bytes: [UInt8], pieces size: Int = .max) throws -> [SPDYFrame] {
    var decoder = SPDYDecoder()
    var rest = bytes[...]
    var frames: [SPDYFrame] = []
    while !rest.isEmpty {
        decoder.feed(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
        while let frame = try decoder.next() { frames.append(frame) }
    }
    return frames
}

private func encoded(_ frames: [SPDYFrame]) -> [UInt8] {
    var encoder = SPDYEncoder()
    var bytes: [UInt8] = []
    for frame in frames { bytes += encoder.encode(frame) }
    return bytes
}

private let story: [SPDYFrame] = [
    .open(stream: 1, headers: [SPDYHeader("streamtype", "error")], isLast: false),
    .open(stream: 3, headers: [SPDYHeader("streamtype", "stdin"), SPDYHeader("port", "80")], isLast: true),
    .reply(stream: 1, headers: [], isLast: false), .data(stream: 1, Array("hello".utf8), isLast: false),
    .headers(stream: 1, [SPDYHeader("a", "b")], isLast: false), .ping(7), .window(stream: 1, 65_536),
    .data(stream: 1, [], isLast: true), .reset(stream: 3, status: 5), .goAway(lastStream: 3, status: 0), .settings,
]

@Suite struct SPDYFrames {
    @Test func theDictionaryIsTheStandardsOwn() {
        // Its length, and its Adler-32 as every stream names it: 78 bb e3 c6 a7 c2.
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in SPDYDictionary.bytes {
            a = (a + UInt32(byte)) % 65_521
            b = (b + a) % 65_521
        }
        #expect(SPDYDictionary.bytes.count == 1423)
        #expect(b << 16 | a == 0xe3c6_a7c2)
        let open = encoded([story[0]])
        #expect(Array(open[18..<24]).suffix(4) == [0xe3, 0xc6, 0xa7, 0xc2])
    }

    @Test func everyFrameComesThroughHoweverItIsCut() throws {
        let bytes = encoded(story)
        #expect(try frames(bytes) == story)
        for size in [1, 2, 3, 9, 64] {
            // Only DATA is passed on in pieces.
            var joined: [SPDYFrame] = []
            for frame in try frames(bytes, pieces: size) {
                if case .data(let stream, let more, let isLast) = frame,
                    case .data(stream, let before, false)? = joined.last, !before.isEmpty, !more.isEmpty
                {
                    joined[joined.count - 1] = .data(stream: stream, before + more, isLast: isLast)
                } else {
                    joined.append(frame)
                }
            }
            #expect(joined == story)
        }
    }

    @Test func longDataIsNotKeptUntilItIsWhole() throws {
        var decoder = SPDYDecoder()
        decoder.feed(encoded([.data(stream: 5, Array(repeating: 1, count: 1 << 20), isLast: true)]).dropLast(1) + [])
        guard case .data(5, let bytes, false)? = try decoder.next() else {
            Issue.record("nothing came")
            return
        }
        #expect(bytes.count == (1 << 20) - 1)
        #expect(try decoder.next() == nil)
        decoder.feed([1])
        #expect(try decoder.next() == .data(stream: 5, [1], isLast: true))
    }

    @Test(arguments: [
        ("another version", [0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]), ("DATA for stream 0", [0, 0, 0, 0, 0, 0, 0, 0]),
        ("a long control frame", [0x80, 3, 0, 1, 0, 1, 0, 1]), ("a short ping", [0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0]),
        ("a short reply", [0x80, 3, 0, 2, 0, 0, 0, 2, 0, 0]),
        ("a reply without headers", [0x80, 3, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1]),
        ("no deflate", [0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4]),
        ("a short SYN_STREAM", [0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1]),
    ])
    func brokenFramesAreRefused(what: String, bytes: [UInt8]) {
        #expect(throws: SPDYError.self, "\(what)") { try frames(bytes) }
    }

    @Test func aHeaderBlockThatGrowsWithoutEndIsRefused() {
        let bomb = SPDYHeader("x", String(repeating: "a", count: 100_000))
        #expect(throws: SPDYError.self) { try frames(encoded([.reply(stream: 1, headers: [bomb], isLast: false)])) }
        let many = (0..<100).map { SPDYHeader("h\($0)", "") }
        #expect(throws: SPDYError.self) { try frames(encoded([.reply(stream: 1, headers: many, isLast: false)])) }
    }

    @Test func fuzzedFramesNeverTrap() throws {
        var random = SplitMix64(state: Fuzz.seed(12))
        for _ in 0..<Fuzz.runs(2000) {
            let bytes = Fuzz.spoiled(encoded(story.shuffled(using: &random)), &random)
            var whole: Int?
            var cut: Int?
            func count(_ frames: [SPDYFrame]) -> Int {
                frames.reduce(0) { if case .data(_, let bytes, _) = $1 { $0 + bytes.count } else { $0 } }
            }
            do { whole = count(try frames(bytes)) } catch is SPDYError {}
            do { cut = count(try frames(bytes, pieces: Int.random(in: 1...50, using: &random))) } catch is SPDYError {}
            #expect(whole == cut)
        }
    }
}

@Suite struct SPDYConnections {
    @Test(.timeLimit(.minutes(1))) func pingsAreAnsweredAndFramesPassed() async throws {
        let (one, other) = PipeStream.pair()
        let client = SPDYConnection(one, isClient: true)
        let server = SPDYConnection(other, isClient: false)
        async let heard = {
            var all: [SPDYFrame] = []
            while let frame = try await server.receive() { all.append(frame) }
            return all
        }()
        for frame in story where frame != .ping(7) { try await client.send(frame) }
        try await client.send(.ping(9))
        await one.closeWrite()
        // Without pings, windows and settings, which are nobody's.
        let frames = try await heard
        #expect(frames.count == story.count - 3)
        #expect(frames.first == story[0])
        let answer = try await one.read(atMost: 100)
        #expect(answer == encoded([.ping(9)]))
        await other.closeWrite()
        #expect(try await client.receive() == nil)
    }
}
