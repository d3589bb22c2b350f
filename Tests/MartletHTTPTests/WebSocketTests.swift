import FuzzSupport
import HTTPTypes
import MartletBase
import Testing

@testable import MartletHTTP

/// What a decoder says of bytes that come in pieces of `size`.
private func events(_ bytes: [UInt8], role: WebSocketRole = .server, pieces size: Int = .max, limit: Int = .max) throws
    -> [WebSocketEvent]
{
    var decoder = WebSocketDecoder(role: role, limit: limit)
    var rest = bytes[...]
    var events: [WebSocketEvent] = []
    while !rest.isEmpty {
        decoder.feed(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
        while let event = try decoder.next() { events.append(event) }
    }
    return events
}

/// The messages that pieces make.
private func messages(_ events: [WebSocketEvent]) -> [[UInt8]] {
    var messages: [[UInt8]] = []
    for case .piece(let bytes, _, let isFirst, _) in events {
        if isFirst { messages.append([]) }
        messages[messages.count - 1] += bytes
    }
    return messages
}

private let client = WebSocketEncoder(role: .client)
private let server = WebSocketEncoder(role: .server)

@Suite struct WebSocketFrames {
    @Test func theExamplesOfTheStandardAreRead() throws {
        // RFC 6455, section 5.7.
        let masked: [UInt8] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        let hello = Array("Hello".utf8)
        #expect(try events(masked) == [.piece(hello, isText: true, isFirst: true, isLast: true)])
        let parts: [UInt8] = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]
        #expect(
            try events(parts, role: .client) == [
                .piece(Array("Hel".utf8), isText: true, isFirst: true, isLast: false),
                .piece(Array("lo".utf8), isText: true, isFirst: false, isLast: true),
            ])
        #expect(try events([0x89, 0x05] + hello, role: .client) == [.ping(hello)])
        #expect(client.frame(.text, hello, mask: 0x37fa_213d) == masked)
    }

    @Test(arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
    func aMessageOfAnyLengthComesThroughHoweverItIsCut(length: Int) throws {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        for size in [1, 7, 4096, Int.max] where length < 1000 || size > 1 {
            #expect(try messages(events(client.frame(.binary, payload, mask: 0xDEAD_BEEF), pieces: size)) == [payload])
            let plain = server.frame(.binary, payload)
            #expect(try messages(events(plain, role: .client, pieces: size)) == [payload])
        }
    }

    @Test func controlFramesMayComeBetweenTheFragmentsOfAMessage() throws {
        let bytes =
            client.frame(.binary, [1], isFinal: false) + client.frame(.ping, [9])
            + client.frame(.continuation, [2], isFinal: false) + client.frame(.continuation, [])
        #expect(
            try events(bytes) == [
                .piece([1], isText: false, isFirst: true, isLast: false), .ping([9]),
                .piece([2], isText: false, isFirst: false, isLast: false),
                .piece([], isText: false, isFirst: false, isLast: true),
            ])
    }

    @Test func aCloseHasACodeAndAReasonAndNothingComesAfterIt() throws {
        let bytes = client.close(code: 1001, reason: "going") + client.frame(.binary, [1])
        #expect(try events(bytes) == [.close(code: 1001, reason: "going")])
        #expect(try events(client.frame(.close, [])) == [.close(code: nil, reason: "")])
        #expect(client.close(code: 1000, reason: String(repeating: "ä", count: 100)).count <= 2 + 4 + 125)
    }

    @Test(arguments: [
        ("reserved bits", [0xC1, 0x80, 0, 0, 0, 0], 1002), ("an opcode", [0x83, 0x80, 0, 0, 0, 0], 1002),
        ("no mask", [0x81, 0x00], 1002), ("a fragment of a ping", [0x09, 0x80, 0, 0, 0, 0], 1002),
        ("a long ping", [0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002),
        ("a padded length", [0x82, 0xFE, 0, 5, 0, 0, 0, 0], 1002),
        ("a negative length", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
        ("a continuation of nothing", [0x80, 0x80, 0, 0, 0, 0], 1002),
        ("a message in a message", [0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], 1002),
        ("half a code", [0x88, 0x81, 0, 0, 0, 0, 3], 1002),
        ("a code not to be sent", [0x88, 0x82, 0, 0, 0, 0, 3, 0xEE], 1002),
        ("no UTF-8", [0x88, 0x83, 0, 0, 0, 0, 3, 0xE8, 0xFF], 1007),
        ("too long", [0x82, 0xFE, 1, 0, 0, 0, 0, 0], 1009),
    ])
    func brokenFramesAreRefused(what: String, bytes: [UInt8], code: UInt16) {
        do {
            let got = try events(bytes, limit: 200)
            Issue.record("\(what) was taken as \(got)")
        } catch {
            #expect((error as? WebSocketError)?.code == code, "\(what): \(error)")
        }
    }

    @Test func theLimitIsOfAMessageNotOfAFrame() throws {
        let half = client.frame(.binary, Array(repeating: 0, count: 60), isFinal: false)
        let rest = client.frame(.continuation, Array(repeating: 0, count: 60))
        #expect(throws: WebSocketError.self) { try events(half + rest, limit: 100) }
        #expect(try messages(events(half + rest + half + rest, limit: 120)).count == 2)
    }

    @Test func fuzzedFramesNeverTrap() throws {
        var random = SplitMix64(state: Fuzz.seed(11))
        for _ in 0..<Fuzz.runs(400) {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let length = [0, 3, 125, 126, 300, 66_000].randomElement(using: &random) ?? 0
                let opcode: WebSocketOpcode =
                    [.binary, .text, .continuation, .ping, .close].randomElement(using: &random) ?? .ping
                bytes += client.frame(
                    opcode, Array(repeating: 7, count: opcode.isControl ? min(length, 125) : length),
                    isFinal: Bool.random(using: &random), mask: UInt32.random(in: 0 ... .max, using: &random))
            }
            bytes = Fuzz.spoiled(bytes, &random)
            var whole: [WebSocketEvent]?
            var cut: [WebSocketEvent]?
            do { whole = try events(bytes) } catch is WebSocketError {}
            do { cut = try events(bytes, pieces: Int.random(in: 1...3000, using: &random)) } catch is WebSocketError {}
            // However the bytes are cut, they say the same.
            #expect(whole.map(messages) == cut.map(messages))
        }
    }
}

@Suite struct WebSocketHandshakes {
    private static func request(_ change: (inout HTTPRequest) -> Void = { _ in }) -> HTTPRequest {
        var head = WebSocketHandshake.request(
            path: "/chat", authority: "h", protocols: ["chat", "superchat"], key: Array("the sample nonce".utf8))
        change(&head)
        return head
    }

    @Test func theExampleOfTheStandardIsAccepted() throws {
        let head = Self.request()
        #expect(head.headerFields[.secWebSocketKey] == "dGhlIHNhbXBsZSBub25jZQ==")
        #expect(WebSocketHandshake.protocols(of: head) == ["chat", "superchat"])
        let answer = try WebSocketHandshake.accept(head, subprotocol: "chat")
        #expect(answer.headerFields[.secWebSocketAccept] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(answer.headerFields[.secWebSocketProtocol] == "chat")
        #expect(WebSocketHandshake.isAccepted(answer, key: Array("the sample nonce".utf8)))
        #expect(!WebSocketHandshake.isAccepted(answer, key: Array("the sample nonse".utf8)))
    }

    @Test func whatIsNoHandshakeIsRefused() {
        let changes: [(inout HTTPRequest) -> Void] = [
            { $0.method = .post }, { $0.headerFields[.secWebSocketVersion] = "8" },
            { $0.headerFields[.secWebSocketKey] = "dGhlIHNhbXBsZSBub25jZQ" }, { $0.headerFields[.upgrade] = "h2c" },
            { $0.headerFields[.connection] = "keep-alive" }, { $0.headerFields[.secWebSocketKey] = nil },
        ]
        for change in changes {
            #expect(throws: HTTPError.self) {
                try WebSocketHandshake.accept(Self.request(change), subprotocol: nil)
            }
        }
    }
}

@Suite struct WebSocketConnections {
    @Test(.timeLimit(.minutes(1))) func pingsAreAnsweredAndACloseIsReturned() async throws {
        let world = PipeWorld()
        let (one, other) = PipeStream.pair()
        let client = WebSocketStream(one, role: .client, in: world)
        let server = WebSocketStream(other, role: .server, in: world)
        async let heard = {
            var all: [UInt8] = []
            while case .piece(let bytes, _, _, _)? = try await server.receive() { all += bytes }
            return all
        }()
        try await client.send(Array(repeating: 1, count: 100_000))
        try await client.ping()
        try await client.send([2])
        await client.close(code: 1000, reason: "done")
        // The pong is skipped; then comes the close, and the end.
        #expect(try await client.receive() == nil)
        #expect(try await heard.count == 100_001)
        await #expect(throws: NetworkError.closed) { try await client.send([3]) }
    }

    @Test(.timeLimit(.minutes(1))) func aBrokenPeerIsToldWhy() async throws {
        let (one, other) = PipeStream.pair()
        let server = WebSocketStream(other, role: .server, in: PipeWorld())
        try await one.write([0x81, 0x00])
        await #expect(throws: WebSocketError.self) { _ = try await server.receive() }
        let told = try await one.read(atMost: 100)
        #expect(Array(told.prefix(4)) == [0x88, UInt8(told.count - 2), 0x03, 0xEA])
    }
}
