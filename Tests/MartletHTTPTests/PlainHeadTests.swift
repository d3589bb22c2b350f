import FuzzSupport
import HTTPTypes
import MartletBase
import Testing

@testable import MartletHTTP

/// Heads that are read where they lie: what is taken means the same to the reader that knows all of HTTP.
@Suite struct PlainHeads {
    private static func read(_ text: String) -> PlainRequest? {
        let request = PlainRequest()
        return request.read(Array(text.utf8).span) == nil ? nil : request
    }

    @Test func aPlainRequestIsTakenAndSentOnAsItStands() throws {
        let head = "GET /a?b=c HTTP/1.1\r\nHost: web.test:8080\r\nConnection: keep-alive\r\nAccept: a, b\r\n\r\n"
        let request = PlainRequest()
        #expect(request.read(Array((head + "GET / HT").utf8).span) == head.utf8.count)
        #expect(request.method == "GET" && request.authority == "web.test:8080" && request.path == "/a?b=c")
        #expect(request.field("accept") == "a, b" && request.field("host") == nil)
        #expect(request.has("connection") && !request.has("accept-language"))
        var out: [UInt8] = []
        request.write(to: &out, adding: Array("X: y\r\n".utf8))
        let sent = "GET /a?b=c HTTP/1.1\r\nHost: web.test:8080\r\nAccept: a, b\r\nX: y\r\n\r\n"
        #expect(String(decoding: out, as: UTF8.self) == sent)
    }

    @Test func aHeadThatIsTooLongOrHasTooManyLinesIsLeftAlone() {
        let request = PlainRequest()
        func head(_ lines: Int) -> [UInt8] {
            Array(("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: lines) + "\r\n").utf8)
        }
        #expect(request.read(head(100).span, limit: 627) == 627 && request.read(head(100).span, limit: 626) == nil)
        #expect(request.read(head(HTTPBounds.fields - 1).span) != nil)
        #expect(request.read(head(HTTPBounds.fields).span) == nil)
    }

    /// A name that is the connection's own for one reader is so for all.
    @Test(arguments: HopByHop.names.map(\.rawName))
    func whatIsTheConnectionsIsNoPlainLine(name: String) {
        #expect(Self.read("GET / HTTP/1.1\r\nHost: a\r\n\(name): x\r\n\r\n") == nil)
        let answer = Self.answer("HTTP/1.1 200 OK\r\n\(name): x\r\nContent-Length: 0\r\n\r\n")
        #expect(answer?.told.contains(name) != true)
    }

    @Test func oneReaderReadsMany() {
        let request = PlainRequest()
        #expect(request.read(Array("DELETE /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".utf8).span) != nil)
        #expect(request.method == "DELETE")
        #expect(request.read(Array("GET / HTTP/1.1\r\nHost: b\r\n\r\n".utf8).span) != nil)
        #expect(request.method == "GET" && request.authority == "b" && !request.has("connection"))
    }

    @Test(arguments: [
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEADS / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX:y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUPGRADE: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-real-ip\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX_Y: z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nProxy: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:  y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{e4}\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r", "",
    ])
    func whatIsNotPlainIsLeftAlone(head: String) { #expect(Self.read(head) == nil) }

    private static func answer(_ text: String, isToHead: Bool = false) -> (answer: PlainAnswer, told: String)? {
        let date = Array("Date: now\r\n".utf8)
        var out: [UInt8] = []
        guard let answer = PlainAnswer(Array(text.utf8).span, isToHead: isToHead, date: date, to: &out) else {
            return nil
        }
        return (answer, String(decoding: out, as: UTF8.self))
    }

    @Test func aPlainAnswerIsPassedOnButForWhatIsTheConnections() throws {
        let head =
            "HTTP/1.1 404 Not Found\r\nDate: then\r\nServer: s\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n"
            + "Connection: keep-alive\r\nA: b\r\n\r\n"
        let (answer, told) = try #require(Self.answer(head + "abc"))
        #expect(answer.status == 404 && answer.framing == .length(3) && answer.end == head.utf8.count)
        #expect(told == "HTTP/1.1 404 Not Found\r\nServer: s\r\nContent-Length: 3\r\nA: b\r\nDate: now\r\n\r\n")
        let unchanged = try #require(Self.answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"))
        #expect(unchanged.answer.framing == .none)
    }

    @Test(arguments: [false, true], ["204 None\r\n", "304 Not Modified\r\n", "304 Not\r\nContent-Length: 9\r\n"])
    func someAnswersHaveNoBody(isToHead: Bool, head: String) throws {
        let (answer, told) = try #require(Self.answer("HTTP/1.1 \(head)\r\n", isToHead: isToHead))
        #expect(answer.framing == .none)
        let chunked = isToHead && head == "304 Not Modified\r\n" ? "Transfer-Encoding: chunked\r\n" : ""
        #expect(told == "HTTP/1.1 \(head)\(chunked)Date: now\r\n\r\n")
    }

    @Test(arguments: ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""])
    func anAnswerToHeadHasNoBodyWhateverItSays(line: String) throws {
        let head = "HTTP/1.1 200 OK\r\n\(line)\r\n"
        let (answer, told) = try #require(Self.answer(head + "hello", isToHead: true))
        #expect(answer.framing == .none && answer.end == head.utf8.count)
        let said = line.isEmpty ? "Transfer-Encoding: chunked\r\n" : line
        #expect(told == "HTTP/1.1 200 OK\r\n\(said)Date: now\r\n\r\n")
    }

    @Test(arguments: [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTrailer: x\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "",
    ])
    func anAnswerThatIsNotPlainIsLeftAlone(head: String) { #expect(Self.answer(head) == nil) }

    @Test(arguments: [
        "", "5", "5\r\nabcde", "5\r\nabcde\r\n", "0\r\n", "0\r\nA: b\r\n",
    ])
    func chunksThatAreNotWholeAreWaitedFor(body: String) {
        var (chunks, out) = (PlainChunks(), [UInt8]())
        #expect(chunks.pass(Array(body.utf8).span, to: &out) == body.utf8.count && !chunks.isWhole)
    }

    @Test(arguments: [
        "\r\n", "g\r\n", "5 \r\nabcde\r\n", "5\nabcde\r\n", "5\r\nabcdef\r\n", "5\r\nabcde\rX",
        "+5\r\n", "0000000000000005\r\n",
        ";a\r\n", "0\r\n\n", "0\r\nA\u{1}: b\r\n",
    ])
    func chunksThatAreNotWellFormedAreRefused(body: String) {
        var (chunks, out) = (PlainChunks(), [UInt8]())
        #expect(chunks.pass(Array(body.utf8).span, to: &out) == nil)
    }

    /// In pieces of any size: what is passed on is what the reader that knows all of HTTP reads, and so is the end.
    @Test func fuzzedChunksMeanTheSameToBothReaders() throws {
        var random = SplitMix64(state: Fuzz.seed(32))
        let good = Array("3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nGET /".utf8)
        let spice = Array("\r\n;0aF: g".utf8)
        var whole = 0
        for _ in 0..<Fuzz.runs(20_000) {
            var bytes = good
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = spice.randomElement(using: &random) ?? 0
            }
            var (chunks, out, taken, isGood) = (PlainChunks(), [UInt8](), 0, true)
            while isGood, taken < bytes.count, !chunks.isWhole {
                let end = min(bytes.count, taken + Int.random(in: 1...9, using: &random))
                let piece = Array(bytes[taken..<end])
                if let count = chunks.pass(piece.span, to: &out) { taken += count } else { isGood = false }
            }
            guard isGood, chunks.isWhole else { continue }
            whole += 1
            let passed = try Self.decoded(out)
            // Trailers are left out, whatever they are; the other reader refuses some.
            guard let sent = try? Self.decoded(bytes) else { continue }
            #expect(sent.body == passed.body && sent.rest == bytes.count - taken && passed.rest == 0)
        }
        #expect(whole > 0)
    }

    private static func decoded(_ bytes: [UInt8]) throws -> (body: [UInt8], rest: Int) {
        var (decoder, buffer, body) = (BodyDecoder(.chunked, limit: .max), InputBuffer(), [UInt8]())
        buffer.append(bytes)
        while case .piece(let piece) = try decoder.step(&buffer) { body += piece }
        return (body, buffer.count)
    }

    @Test func fuzzedHeadsMeanTheSameToBothReaders() throws {
        var random = SplitMix64(state: Fuzz.seed(31))
        let good = [
            "GET /a/b?c=d HTTP/1.1\r\nHost: web.test\r\nAccept: */*\r\nConnection: keep-alive\r\nX-A: 1, 2\r\n\r\n",
            "OPTIONS /x HTTP/1.1\r\nHost: a.b:80\r\nOrigin: https://c\r\nUser-Agent: d (e; f)\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world!",
            "HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\nDate: y\r\nContent-Length: 0\r\n\r\n",
            "HEAD /x HTTP/1.1\r\nHost: a.b\r\n\r\n", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ].map { Array($0.utf8) }
        let spice = Array(" \t\r\n:,;-_#/?0aZ\u{7f}".utf8)
        let request = PlainRequest()
        var taken = 0
        for _ in 0..<Fuzz.runs(20_000) {
            var bytes = good[Int.random(in: 0..<good.count, using: &random)]
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = spice.randomElement(using: &random) ?? 0
                case 1: bytes.insert(spice.randomElement(using: &random) ?? 0, at: at)
                default: bytes.remove(at: at)
                }
            }
            if let length = request.read(bytes.span) {
                taken += 1
                let head = try RequestHead(bytes, 0..<length, scheme: "http")
                #expect(head.request.method.rawValue == request.method && head.request.path == request.path)
                #expect(head.request.authority == request.authority)
                #expect(head.framing == .none && head.keepAlive && !head.isOld && !head.expectsContinue)
                for field in head.request.headerFields {
                    #expect(request.field(field.name.canonicalName) == head.request.headerFields[field.name])
                }
            }
            var out: [UInt8] = []
            let isToHead = Bool.random(using: &random)
            if let answer = PlainAnswer(bytes.span, isToHead: isToHead, date: [], to: &out) {
                taken += 1
                let head = try ResponseHead(bytes, 0..<answer.end, to: isToHead ? .head : .get)
                #expect(head.response.status.code == answer.status && head.keepAlive)
                #expect(head.framing == (answer.framing == .length(0) ? .none : answer.framing))
                // What the client is told means the same but for what is left out.
                let told = try ResponseHead(out, 0..<out.count, to: isToHead ? .head : .get)
                var fields = head.response.headerFields
                for name in [HTTPField.Name.date, .connection, HTTPField.Name("Keep-Alive")!] { fields[name] = nil }
                #expect(told.response.headerFields == fields && told.framing == head.framing)
            }
        }
        #expect(taken > 0)
    }
}
