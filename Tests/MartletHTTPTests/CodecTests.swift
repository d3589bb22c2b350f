import FuzzSupport
import HTTPTypes
import Testing

@testable import MartletHTTP

private func parse(_ text: String) throws -> RequestHead? {
    var buffer = InputBuffer()
    buffer.append(Array(text.utf8))
    var scanner = HeadScanner()
    guard let length = try scanner.length(in: buffer, limit: 4096) else { return nil }
    return try RequestHead(buffer.bytes, 0..<length, scheme: "http")
}

private func parseAnswer(_ text: String, to method: HTTPRequest.Method = .get) throws -> ResponseHead {
    let bytes = Array(text.utf8)
    return try ResponseHead(bytes, 0..<bytes.count, to: method)
}

/// The whole body that `text` encodes, fed in pieces of `size` bytes, and what is left behind it.
private func decode(
    _ text: String, _ framing: BodyFraming, pieces size: Int = .max, limit: Int = 1 << 20
) throws -> (body: String, rest: String, isWhole: Bool) {
    var decoder = BodyDecoder(framing, limit: limit)
    var buffer = InputBuffer()
    var body: [UInt8] = []
    var input = Array(text.utf8)[...]
    while true {
        switch try decoder.step(&buffer) {
        case .piece(let bytes): body += bytes
        case .end:
            let rest = Array(buffer.bytes[buffer.start...]) + input
            return (String(decoding: body, as: UTF8.self), String(decoding: rest, as: UTF8.self), true)
        case .needsMore:
            if input.isEmpty { return (String(decoding: body, as: UTF8.self), "", false) }
            buffer.append(Array(input.prefix(size)))
            input = input.dropFirst(size)
        }
    }
}

@Suite struct RequestHeads {
    @Test func aPlainRequestIsReadWhole() throws {
        let head = try #require(
            try parse(
                "GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: example.org:6443\r\nAccept:  a/b \t\r\nX-y: \r\n\r\nrest"))
        #expect(head.request.method == .get)
        #expect(head.request.path == "/api/v1/pods?watch=1")
        #expect(head.request.authority == "example.org:6443")
        #expect(head.request.headerFields[.accept] == "a/b")
        #expect(head.request.headerFields[HTTPField.Name("x-y")!] == "")
        #expect(head.framing == .none && head.keepAlive && !head.isOld && !head.expectsContinue)
    }

    @Test func aHeadIsFoundHoweverItIsCut() throws {
        let text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        for cut in 1..<text.utf8.count {
            var buffer = InputBuffer()
            var scanner = HeadScanner()
            buffer.append(Array(text.utf8.prefix(cut)))
            var length = try scanner.length(in: buffer, limit: 4096)
            if length == nil {
                buffer.append(Array(text.utf8.dropFirst(cut)))
                length = try scanner.length(in: buffer, limit: 4096)
            }
            #expect(length == text.utf8.count - 3)
        }
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: foo , CLOSE\r\n", false), ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
    ])
    func aConnectionIsKeptAsVersionAndFieldSay(version: String, field: String, keeps: Bool) throws {
        #expect(try parse("GET / \(version)\r\nHost: h\r\n\(field)\r\n")?.keepAlive == keeps)
    }

    @Test(arguments: [
        ("http://a.b:80/x?y", "a.b:80", "/x?y"), ("HTTPS://a.b", "a.b", "/"), ("http://a.b?q", "a.b", "/?q"),
        ("/x", "h", "/x"),
    ])
    func anAbsoluteTargetWinsOverHost(target: String, authority: String, path: String) throws {
        let head = try #require(try parse("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n"))
        #expect(head.request.authority == authority)
        #expect(head.request.path == path)
    }

    /// Each of these was or could be read in two ways by two programs in a row.
    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\tX: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{0}: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\u{0}z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\u{7F}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.11\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{B}chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\r\n\r\n",
        "\r\n\r\n",
    ])
    func whatCouldBeReadInTwoWaysIsRefused(_ text: String) {
        #expect(throws: HTTPError.self) { try parse(text) }
    }

    @Test func aHeadOverTheLimitIsRefusedBeforeItsEnd() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 5000)
        #expect(throws: HTTPError.headTooLarge(limit: 4096)) { try parse(text) }
        let lines = String(repeating: "a:\r\n", count: 500)
        #expect(throws: HTTPError.self) { try parse("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n") }
    }
}

@Suite struct ResponseHeads {
    @Test func theFramingOfAnAnswerFollowsRequestAndStatus() throws {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        #expect(try parseAnswer(length).framing == .length(5))
        #expect(try parseAnswer(length, to: .head).framing == .none)
        #expect(try parseAnswer("HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n").framing == .none)
        #expect(try parseAnswer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").framing == .none)
        #expect(try parseAnswer("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n").framing == .chunked)
        let open = try parseAnswer("HTTP/1.1 200\r\n\r\n")
        #expect(open.framing == .untilClose && !open.keepAlive)
    }

    @Test(arguments: [
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "200 OK\r\n\r\n\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n", "HTTP/1.1 200 \u{0}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    ])
    func anUnclearAnswerIsRefused(_ text: String) {
        #expect(throws: HTTPError.self) { try parseAnswer(text) }
    }
}

@Suite struct Bodies {
    @Test(arguments: [0, 1, 9, 10, 15, 16, 255, 256, 4096, 65_535, 1_234_567])
    func aChunkSaysItsSize(count: Int) {
        #expect(HeadWriter.chunkHead(count) == Array("\(String(count, radix: 16))\r\n".utf8))
        let bytes = [UInt8](repeating: 7, count: count)
        #expect(HeadWriter.chunk(bytes) == HeadWriter.chunkHead(count) + bytes + HeadWriter.chunkEnd)
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func chunksAreJoinedHoweverTheyAreCut(size: Int) throws {
        let text = "4;ext=\"1\"\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n000\r\nTrailer: x\r\n\r\nGET /"
        let (body, rest, isWhole) = try decode(text, .chunked, pieces: size)
        #expect(body == "Wikipedia in\r\n\r\nchunks.")
        #expect(rest == "GET /" && isWhole)
    }

    @Test func aLengthLeavesTheNextMessageAlone() throws {
        let (body, rest, isWhole) = try decode("abcdefGET /", .length(6), pieces: 4)
        #expect(body == "abcdef" && rest == "GET /" && isWhole)
    }

    @Test(arguments: [
        "4\r\nWikiX\r\n0\r\n\r\n", "4\nWiki\r\n0\r\n\r\n", "\r\n", "x\r\n", "-4\r\n", "+4\r\n", "0x4\r\nWiki",
        "4 \r\nWiki\r\n", " 4\r\nWiki\r\n", "4;\rx\r\nWiki", "4;a\nb\r\n", "ffffffffffffffff\r\n",
        "fffffffffffffff0\r\n", "4\r\nWiki\n\r0\r\n", "0\r\nno colon\r\n\r\n", "0\r\n folded: x\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ])
    func aBrokenChunkIsRefused(_ text: String) {
        #expect(throws: HTTPError.self) { try decode(text + String(repeating: " ", count: 2000), .chunked) }
    }

    @Test func boundsHold() {
        #expect(throws: HTTPError.bodyTooLarge(limit: 5)) { try decode("6\r\nabcdef\r\n0\r\n\r\n", .chunked, limit: 5) }
        let trailers = "0\r\n" + String(repeating: "a: bcd\r\n", count: 4000)
        #expect(throws: HTTPError.self) { try decode(trailers, .chunked) }
        #expect(throws: HTTPError.self) { try decode(String(repeating: "1", count: 5000), .chunked) }
    }

    @Test func anEndInTheMiddleIsSeen() throws {
        for framing in [BodyFraming.length(3), .chunked] {
            var decoder = BodyDecoder(framing, limit: 100)
            #expect(throws: HTTPError.unexpectedEnd) { try decoder.finish() }
        }
        var decoder = BodyDecoder(.untilClose, limit: 100)
        try decoder.finish()
        var buffer = InputBuffer()
        #expect(try decoder.step(&buffer) == .end)
    }
}

@Suite struct Writing {
    @Test func aRequestIsWrittenAsItIsRead() throws {
        var request = HTTPRequest(method: .put, scheme: "https", authority: "h:1", path: "/a?b=c")
        request.headerFields[.accept] = "x/y"
        request.headerFields[.contentLength] = "999"
        request.headerFields[.connection] = "close"
        let bytes = try HeadWriter.request(request, framing: .length(3), defaultHost: "d")
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text == "PUT /a?b=c HTTP/1.1\r\nHost: h:1\r\nAccept: x/y\r\nContent-Length: 3\r\n\r\n")
        let back = try RequestHead(bytes, 0..<bytes.count, scheme: "https")
        #expect(back.framing == .length(3) && back.request.authority == "h:1")
    }

    @Test(arguments: ["/a b", "a", "/a\r\nX: y", "", "*"])
    func aPathThatWouldBreakTheLineIsRefused(_ path: String) {
        let request = HTTPRequest(method: .get, scheme: "http", authority: "h", path: path)
        #expect(throws: HTTPError.self) { try HeadWriter.request(request, framing: .none, defaultHost: "d") }
    }

    @Test(arguments: [(404, "Not Found"), (409, "Conflict"), (422, "Unprocessable Entity"), (299, "")])
    func anAnswerHasThePhraseOfItsStatus(code: Int, phrase: String) {
        let response = HTTPResponse(status: .init(code: code))
        let bytes = HeadWriter.response(response, length: 0, isChunked: false, connection: nil, date: [])
        #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 \(code) \(phrase)\r\n"))
    }

    @Test func aFieldCannotSmuggleALine() throws {
        var response = HTTPResponse(status: .ok)
        response.headerFields[.location] = "/x\r\nSet-Cookie: evil"
        let bytes = HeadWriter.response(response, length: 0, isChunked: false, connection: nil, date: [])
        #expect(!String(decoding: bytes, as: UTF8.self).contains("\nSet-Cookie"))
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00"), (784_111_777, "Sun, 06 Nov 1994 08:49:37"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00"), (-1, "Wed, 31 Dec 1969 23:59:59"),
    ])
    func datesAreWrittenAsTheRFCWantsThem(second: Int64, text: String) {
        #expect(String(decoding: DateLine.bytes(at: second), as: UTF8.self) == "Date: \(text) GMT\r\n")
    }
}

@Suite struct Fuzzing {
    private static let good = [
        "GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nConnection: keep-alive, close\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n0\r\nT: x\r\n\r\nGET / ",
        "PUT /x HTTP/1.0\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\nhello world!",
        "HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\na;b=c\r\n0123456789\r\n0\r\n\r\n",
        "HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nabc",
    ].map { Array($0.utf8) }

    /// Reads a request and an answer out of the bytes, cut in pieces: nothing may trap, and nothing may be lost.
    private static func read(_ bytes: [UInt8], cut: Int) throws {
        for isRequest in [true, false] {
            var buffer = InputBuffer()
            var scanner = HeadScanner()
            buffer.append(Array(bytes.prefix(cut)))
            var length = try scanner.length(in: buffer, limit: 2048)
            if length == nil {
                buffer.append(Array(bytes.dropFirst(cut)))
                length = try scanner.length(in: buffer, limit: 2048)
            }
            guard let length else { continue }
            #expect(length <= buffer.count)
            let framing: BodyFraming? =
                isRequest
                ? try? RequestHead(buffer.bytes, 0..<length, scheme: "http").framing
                : try? ResponseHead(buffer.bytes, 0..<length, to: .get).framing
            guard let framing else { continue }
            buffer.consume(length)
            var decoder = BodyDecoder(framing, limit: 100)
            var body = 0
            steps: while true {
                switch try decoder.step(&buffer) {
                case .piece(let piece):
                    #expect(!piece.isEmpty)
                    body += piece.count
                case .end, .needsMore: break steps
                }
            }
            #expect(body <= 100 && body <= bytes.count)
        }
    }

    @Test func mutatedMessagesNeverTrap() {
        var random = SplitMix64(state: Fuzz.seed(7))
        var refused = 0
        let runs = Fuzz.runs(10_000)
        for _ in 0..<runs {
            var bytes = Self.good[Int.random(in: 0..<Self.good.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert([13, 10, 32, 58, 48][Int.random(in: 0..<5, using: &random)], at: at)
                case 3: bytes.replaceSubrange(at..., with: bytes[at...].reversed())
                default: bytes += bytes[at...]
                }
                if bytes.isEmpty { bytes = [0] }
            }
            do {
                try Self.read(bytes, cut: Int.random(in: 0...bytes.count, using: &random))
            } catch {
                refused += 1
            }
        }
        #expect(refused > runs / 10 && refused < runs)
    }
}
