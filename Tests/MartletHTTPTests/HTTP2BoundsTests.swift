import FuzzSupport
import HTTPTypes
import Logging
import MartletBase
import Synchronization
import Testing

@testable import MartletHTTP

/// A client made of frames, to say what no client of ours says. A client link that is not connected to anything
/// understands the answers.
private final class WebFrames: Sendable {
    let stream: any ByteStream
    private let ear: WebClientLink
    private let heard = Mutex<[UInt8]>([])

    init(to web: Web) async throws {
        stream = try await web.world.connect(to: .unix("web"))
        ear = WebClientLink(in: web.world, authority: "x", isSecure: false) { throw NetworkError.closed }
        try await stream.write(FrameClient.preface)
    }

    static func head(
        _ more: [(String, String)] = [], method: String = "GET", path: String? = "/"
    ) -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":authority", "web.test")]
            + (path.map { [(":path", $0)] } ?? []) + more
    }

    func send(_ frames: Frame...) async throws { try await stream.write(frames.flatMap(\.bytes)) }

    /// Begins a request with these fields.
    func begin(_ fields: [(String, String)], ends: Bool = true) async throws -> WebClientStream {
        let head = HTTPRequest(method: .get, scheme: "http", authority: "x", path: "/")
        let stream = try #require(ear.begin(head, hasBody: !ends, length: nil))
        hear([])
        try await send(.fields(UInt32(stream.id), fields, ends: ends))
        return stream
    }

    /// The status that a request gets; nil when its stream is reset.
    func status(_ fields: [(String, String)], ends: Bool = true) async throws -> Int? {
        try await status(of: begin(fields, ends: ends))
    }

    func status(of stream: WebClientStream) async throws -> Int? {
        while true {
            let (response, isOver) = ear.locked { (stream.response, stream.isOver) }
            if let response { return response.status.code }
            if isOver { return nil }
            let bytes = try await self.stream.read(atMost: 1 << 16)
            if bytes.isEmpty { throw NetworkError.closed }
            hear(bytes)
        }
    }

    /// The error code by which the server has reset a stream, as far as was heard; nil when it has not.
    func resetCode(of stream: WebClientStream) -> UInt8? {
        var rest = heard.withLock { $0 }[...]
        while rest.count >= 9 {
            let length = rest.prefix(3).reduce(0) { $0 << 8 | Int($1) }
            let frame = rest.prefix(9 + length)
            rest = rest.dropFirst(9 + length)
            let isReset = frame.dropFirst(3).first == Frame.reset
            if isReset, frame.dropFirst(5).prefix(4).elementsEqual([0, 0, 0, UInt8(stream.id)]) { return frame.last }
        }
        return nil
    }

    /// Reads until the server has said all of an answer.
    func hearEnd(of stream: WebClientStream) async throws {
        while ear.locked({ !stream.isReadToEnd && !stream.isOver }) {
            let bytes = try await self.stream.read(atMost: 1 << 16)
            if bytes.isEmpty { throw NetworkError.closed }
            hear(bytes)
        }
    }

    private func hear(_ bytes: [UInt8]) {
        heard.withLock { $0 += bytes }
        var answer: [UInt8] = []
        ear.locked {
            if !bytes.isEmpty { _ = ear.receive(bytes) }
            _ = ear.session?.output(into: &answer)
        }
    }

    /// Reads until the server closes: what came.
    func readToEnd() async -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try? await stream.read(atMost: 1 << 16), !bytes.isEmpty { all += bytes }
        return all
    }
}

@Suite(.timeLimit(.minutes(1))) struct HTTP2Refusals {
    @Test(
        "a request that HTTP forbids is refused, and its connection is good for more",
        arguments: [
            [("connection", "close")], [("transfer-encoding", "chunked")], [("upgrade", "h2c")], [("te", "gzip")],
            [("keep-alive", "1")], [("proxy-connection", "x")], [("X-Upper", "1")], [("x y", "1")], [("", "1")],
            [("x", "a\r\nb: c")], [("x", "a\0b")], [(":late", "1")], [(":path", "/again")], [("host", "other.test")],
            [("host", "web.test"), ("host", "web.test")], [("content-length", "-1")], [("content-length", "1, 1")],
            [("content-length", "1"), ("content-length", "2")], [("content-length", "5")], [("x", "\u{7f}")],
        ])
    func malformedRequests(more: [(String, String)]) async throws {
        let web = try await Web { _ in text("taken") }
        let frames = try await WebFrames(to: web)
        let status = try await frames.status(WebFrames.head(more))
        #expect(status == nil || status == 400)
        #expect(try await frames.status(WebFrames.head()) == 200)
        await web.stop()
    }

    @Test(
        "so is one without a whole head",
        arguments: [
            WebFrames.head(path: nil), WebFrames.head(path: ""), WebFrames.head(path: "no"), WebFrames.head(path: "*"),
            WebFrames.head(path: "/a b"), WebFrames.head(path: "/a\tb"), WebFrames.head(path: "/#"),
            WebFrames.head(path: "http://other.test/"), WebFrames.head(method: "G T"), WebFrames.head(method: ""),
            WebFrames.head(method: "CONNECT", path: nil), [(":scheme", "http"), (":path", "/"), (":authority", "x")],
            [(":method", "GET"), (":path", "/"), (":authority", "x")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "user@x")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a/b")],
            [("x", "1"), (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")],
        ])
    func malformedHeads(fields: [(String, String)]) async throws {
        let web = try await Web { _ in text("taken") }
        let frames = try await WebFrames(to: web)
        let status = try await frames.status(fields)
        #expect(status == nil || status == 400)
        #expect(try await frames.status(WebFrames.head()) == 200)
        await web.stop()
    }

    @Test func aBodyThatIsNotAsLongAsItSaysIsRefused() async throws {
        let taken = Mutex<[UInt8]?>(nil)
        let web = try await Web { request in
            let body = try? await request.body.collect(limit: 100)
            taken.withLock { $0 = body }
            return text("")
        }
        for (length, flags) in [("2", UInt8(1)), ("5", 1)] {
            let frames = try await WebFrames(to: web)
            let call = try await frames.begin(
                WebFrames.head([("content-length", length)], method: "POST"), ends: false)
            try await frames.send(Frame(type: Frame.data, flags: flags, stream: UInt32(call.id), payload: [1, 2, 3]))
            #expect(try await frames.status(of: call) == nil)
            #expect(taken.withLock { $0 } == nil)
        }
        await web.stop()
    }

    @Test func cookiesThatCameApartAreOne() async throws {
        let web = try await Web { request in
            let isOne = request.head.headerFields[values: .cookie] == ["a=1; b=2; c=3"]
            return text("", status: isOne ? .ok : .internalServerError)
        }
        let frames = try await WebFrames(to: web)
        #expect(try await frames.status(WebFrames.head([("cookie", "a=1"), ("cookie", "b=2; c=3")])) == 200)
        await web.stop()
    }

    @Test func headsOverTheLimitAreToldSo() async throws {
        let web = try await Web(Web.limits { $0.head = 4096 }) { _ in text("") }
        let frames = try await WebFrames(to: web)
        let value = String(repeating: "x", count: 100)
        #expect(try await frames.status(WebFrames.head((0..<20).map { ("field-\($0)", value) })) == 200)
        #expect(try await frames.status(WebFrames.head((0..<40).map { ("field-\($0)", value) })) == 431)
        #expect(try await frames.status(WebFrames.head((0..<120).map { ("field-\($0)", value) })) == nil)
        #expect(try await frames.status(WebFrames.head()) == 200)
        let many = try await Web { _ in text("") }
        let others = try await WebFrames(to: many)
        #expect(try await others.status(WebFrames.head((0..<300).map { ("f\($0)", "") })) == 431)
        await many.stop()
        await web.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct HTTP2Bounds {
    @Test func rapidResetsEndTheConnectionAndFewRequestsRun() async throws {
        let running = Mutex(0)
        let web = try await Web(
            Web.limits {
                $0.http2?.resets = 50
                $0.http2?.streams = 20
            }
        ) { _ in
            running.withLock { $0 += 1 }
            try? await Task.sleep(for: .seconds(3600))
            return text("")
        }
        let frames = try await WebFrames(to: web)
        async let heard = frames.readToEnd()
        var sent = 0
        do {
            for number in 0..<Flood.most {
                let stream = UInt32(number * 2 + 1)
                try await frames.send(
                    .fields(stream, WebFrames.head(), ends: true),
                    Frame(type: Frame.reset, stream: stream, payload: [0, 0, 0, 8]))
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most && running.withLock { $0 } <= 60)
        // GOAWAY, and why: ENHANCE_YOUR_CALM.
        let bytes = await heard
        #expect(bytes.count < 100_000)
        let isTold = bytes.indices.contains { at in
            bytes[at...].starts(with: [7, 0, 0, 0, 0, 0]) && bytes[at...].dropFirst(10).starts(with: [0, 0, 0, 11])
        }
        #expect(isTold)
        await web.stop()
    }

    @Test func resetsThatTheClientProvokesCountToo() async throws {
        let web = try await Web(Web.limits { $0.http2?.resets = 50 }) { _ in
            try? await Task.sleep(for: .seconds(3600))
            return text("")
        }
        let frames = try await WebFrames(to: web)
        async let heard = frames.readToEnd()
        var sent = 0
        do {
            for number in 0..<Flood.most {
                let stream = UInt32(number * 2 + 1)
                // A window that grows by nothing (RFC 9113, 6.9).
                try await frames.send(
                    .fields(stream, WebFrames.head(), ends: true),
                    Frame(type: Frame.windowUpdate, stream: stream, payload: [0, 0, 0, 0]))
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most)
        #expect(await heard.count < 100_000)
        await web.stop()
    }

    @Test(
        "frames that move nothing end the connection when they flood",
        arguments: [
            Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]), Frame(type: Frame.settings, stream: 0),
            Frame(type: 2, stream: 1, payload: [0, 0, 0, 3, 9]),
            Frame(type: Frame.windowUpdate, stream: 0, payload: [0, 0, 0, 1]), Frame(type: Frame.data, stream: 1),
        ])
    func floods(frame: Frame) async throws {
        let web = try await Web { request in
            _ = try? await request.body.collect(limit: 10)
            return text("")
        }
        let frames = try await WebFrames(to: web)
        async let heard = frames.readToEnd()
        try await frames.send(.fields(1, WebFrames.head(method: "POST"), ends: false))
        var sent = 0
        do {
            while sent < Flood.most {
                try await frames.send(frame)
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most)
        #expect(await heard.count < 200_000)
        await web.stop()
    }

    @Test func aHeadWithoutAnEndEndsTheConnection() async throws {
        let web = try await Web { _ in text("") }
        let frames = try await WebFrames(to: web)
        async let heard = frames.readToEnd()
        var first = Frame.fields(1, WebFrames.head(), ends: true)
        first.flags = 1
        var more = Frame.fields(1, [("x", "y")], ends: false)
        (more.type, more.flags) = (9, 0)
        var sent = 0
        do {
            try await frames.send(first)
            while sent < Flood.most {
                try await frames.send(more)
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most)
        #expect(await heard.count < 1000)
        await web.stop()
    }

    /// A request whose body goes on, and its early answer: 404.
    private func askedEarly() async throws -> (web: Web, frames: WebFrames, call: WebClientStream) {
        let web = try await Web { _ in text("nothing", status: .notFound) }
        let frames = try await WebFrames(to: web)
        let call = try await frames.begin(WebFrames.head(method: "POST"), ends: false)
        #expect(try await frames.status(of: call) == 404)
        // All of it: until then, what comes is kept for whoever may read it.
        try await frames.hearEnd(of: call)
        return (web, frames, call)
    }

    private func data(_ call: WebClientStream, _ count: Int, ends: Bool = false) -> Frame {
        Frame(
            type: Frame.data, flags: ends ? 1 : 0, stream: UInt32(call.id),
            payload: [UInt8](repeating: 120, count: count))
    }

    @Test func anEarlyAnswerIsNotCutByTheRestOfItsRequest() async throws {
        let (web, frames, call) = try await askedEarly()
        // More than both windows: they are given back.
        for _ in 0..<200 { try await frames.send(data(call, 16_384)) }
        try await frames.send(data(call, 1, ends: true))
        #expect(try await frames.status(WebFrames.head()) == 404)
        #expect(frames.resetCode(of: call) == nil)
        await web.stop()
    }

    @Test(
        "the rest of a request that was answered is told to end, without an error",
        arguments: [(pause: Duration.seconds(3), times: 1..<4), (.seconds(1), 30..<35)])
    func lingering(pause: Duration, times: Range<Int>) async throws {
        let (web, frames, call) = try await askedEarly()
        var sent = 0
        while frames.resetCode(of: call) == nil, sent < 50 {
            try await frames.send(data(call, 1))
            sent += 1
            web.world.advance(by: pause)
            for _ in 0..<50 { await Task.yield() }
            #expect(try await frames.status(WebFrames.head()) == 404)
        }
        #expect(frames.resetCode(of: call) == 0 && times.contains(sent), "\(sent) pauses")
        await web.stop()
    }

    @Test func aClientThatFloodsAfterItsAnswerHasHadEnough() {
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        var lingering = Lingering(at: now)
        for _ in 0..<HTTPBounds.lingerBytes / 16_384 { lingering.take(16_384, at: now) }
        #expect(!lingering.isOver(at: now))
        lingering.take(1, at: now)
        #expect(lingering.isOver(at: now))
    }

    @Test func aMegabyteOfFieldsIsRefused() async throws {
        let web = try await Web { _ in text("") }
        let frames = try await WebFrames(to: web)
        async let heard = frames.readToEnd()
        do {
            // One field of a megabyte, in frames as large as they may be.
            let length: [UInt8] = [0x7F, 0x81, 0xFF, 0x3F]
            let begin = Frame.fields(1, WebFrames.head(), ends: true).payload + [0, 1, UInt8(ascii: "x")] + length
            try await frames.send(Frame(type: Frame.headers, flags: 1, stream: 1, payload: begin))
            for _ in 0..<64 {
                try await frames.send(
                    Frame(type: 9, stream: 1, payload: [UInt8](repeating: 120, count: 16_384)))
            }
        } catch {}
        #expect(await heard.count < 1000)
        #expect(try await web.ask().code == 200)
        await web.stop()
    }

    @Test func moreStreamsThanThereMayBeAreRefused() async throws {
        let running = Mutex(0)
        let web = try await Web(Web.limits { $0.http2?.streams = 5 }) { _ in
            running.withLock { $0 += 1 }
            try? await Task.sleep(for: .seconds(3600))
            return text("")
        }
        let frames = try await WebFrames(to: web)
        for number in 0..<50 {
            do { try await frames.send(.fields(UInt32(number * 2 + 1), WebFrames.head(), ends: true)) } catch {}
        }
        for _ in 0..<200 { await Task.yield() }
        #expect(running.withLock { $0 } <= 5)
        frames.stream.close()
        await web.stop()
    }

    @Test(
        "a client that dawdles is given up",
        arguments: [
            // In the middle of a head.
            Array(Frame.fields(1, WebFrames.head(), ends: true).bytes.dropLast()),
            // Before any request.
            [],
            // In the middle of a body.
            Frame.fields(1, WebFrames.head(method: "POST"), ends: false).bytes,
        ])
    func dawdlers(bytes: [UInt8]) async throws {
        let web = try await Web { request in
            do { return text("\(try await request.body.collect(limit: 100).count)") } catch { return text("cut") }
        }
        let frames = try await WebFrames(to: web)
        try await frames.stream.write(bytes)
        let isOver = Mutex(false)
        async let end: Void = {
            _ = await frames.readToEnd()
            isOver.withLock { $0 = true }
        }()
        // What moves nothing does not help.
        for _ in 0..<400 where !isOver.withLock({ $0 }) {
            web.world.advance(by: .seconds(1))
            for _ in 0..<20 { await Task.yield() }
            if bytes.isEmpty { try? await frames.send(Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8])) }
        }
        if isOver.withLock({ $0 }) == false { frames.stream.close() }
        await end
        #expect(isOver.withLock { $0 })
        await web.stop()
    }
}

@Suite struct HTTP2Fuzz {
    @Test func spoiltFramesNeverTrapEitherSide() async throws {
        let world = PipeWorld()
        var random = SplitMix64(state: Fuzz.seed(23))
        let request =
            Frame.fields(1, WebFrames.head([("cookie", "a=b"), ("content-length", "3")], method: "POST"), ends: false)
            .bytes + Frame(type: Frame.data, flags: 1, stream: 1, payload: [1, 2, 3]).bytes
            + Frame.fields(3, WebFrames.head([("expect", "100-continue")], method: "PUT"), ends: false).bytes
            + Frame(type: Frame.data, stream: 3, payload: [1, 2, 3]).bytes
            + Frame.fields(3, [("x-trailer", "1")], ends: true).bytes
            + Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]).bytes
            + Frame(type: Frame.reset, stream: 3, payload: [0, 0, 0, 8]).bytes
        let answer =
            Frame(type: Frame.settings, stream: 0).bytes
            + Frame.fields(1, [(":status", "103"), ("link", "x")], ends: false).bytes
            + Frame.fields(1, [(":status", "200"), ("content-length", "3")], ends: false).bytes
            + Frame(type: Frame.data, stream: 1, payload: [1, 2, 3]).bytes
            + Frame.fields(1, [("grpc-status", "0")], ends: true).bytes
            + Frame(type: Frame.goAway, stream: 0, payload: [0, 0, 0, 1, 0, 0, 0, 0]).bytes
        let server = try await Web { text($0.head.path ?? "") }
        let core = ServerCore(
            listener: try await world.listen(on: .unix("core")), world: world, tls: nil, limits: Web.limits(),
            logger: Logger(label: "test"), handler: Handler { text($0.head.path ?? "") })
        var (ended, answered) = (0, 0)
        for _ in 0..<Fuzz.runs(3000) {
            let record = ServerRecord(PipeStream.pair().0, in: world)
            let link = WebServerLink(core, HTTP2Limits(), peer: Peer(), record: record)
            _ = link.take(FrameClient.preface + Fuzz.spoiled(request, &random))
            let isOver = link.locked {
                var out: [UInt8] = []
                _ = link.session?.output(into: &out)
                return link.session?.isOver == true
            }
            if isOver { ended += 1 }
            link.fail("done")
            let client = WebClientLink(in: world, authority: "x", isSecure: false) { throw NetworkError.closed }
            let head = HTTPRequest(method: .get, scheme: "http", authority: "x", path: "/")
            guard let stream = client.begin(head, hasBody: false, length: nil) else { continue }
            var out: [UInt8] = []
            client.locked {
                _ = client.session?.output(into: &out)
                _ = client.receive(Fuzz.spoiled(answer, &random))
                if stream.response?.status == .ok { answered += 1 }
                client.end("done")
            }
        }
        #expect(ended > 0 && answered > 0)
        await server.stop()
    }

    @Test func spoiltHeadsNeverTrap() {
        var random = SplitMix64(state: Fuzz.seed(29))
        let good: [(String, String)] = [
            (":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "a.test:1"), (":status", "200"),
            ("cookie", "a"), ("cookie", "b"), ("content-length", "12"), ("te", "trailers"), ("host", "a.test:1"),
        ]
        var (requests, responses) = (0, 0)
        for _ in 0..<Fuzz.runs(20_000) {
            var head = WebHead(limit: 400)
            for (name, value) in good where Int.random(in: 0..<12, using: &random) > 0 {
                let isSpoilt = Int.random(in: 0..<12, using: &random) == 0
                let name = isSpoilt ? Fuzz.spoiled(Array(name.utf8), &random) : Array(name.utf8)
                let value = isSpoilt ? Fuzz.spoiled(Array(value.utf8), &random) : Array(value.utf8)
                let goesOn = name.withUnsafeBufferPointer { name in
                    value.withUnsafeBufferPointer { head.add(name, $0) }
                }
                if !goesOn { break }
            }
            if let request = try? head.request(scheme: "https") {
                requests += 1
                #expect(request.path?.first == "/" || request.path == "*" && request.method == .options)
                #expect(request.method.rawValue.utf8.allSatisfy { Characters.token[Int($0)] })
            }
            if (try? head.response()) != nil { responses += 1 }
            _ = try? head.trailers()
        }
        #expect(requests > 0 && responses > 0)
    }

    /// However pieces come and however they are taken, the bytes are the same.
    @Test func piecesKeepTheirBytes() {
        var random = SplitMix64(state: Fuzz.seed(31))
        for _ in 0..<300 {
            var pieces = WebPieces()
            var (expected, taken): ([UInt8], [UInt8]) = ([], [])
            for _ in 0..<Int.random(in: 1...30, using: &random) {
                let count = [0, 1, 100, 20_000].randomElement(using: &random) ?? 0
                let piece = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                expected += piece
                if Bool.random(using: &random) {
                    pieces.append(piece)
                } else {
                    piece.withUnsafeBufferPointer { pieces.append($0) }
                }
                switch Int.random(in: 0..<4, using: &random) {
                case 0: taken += pieces.popFirst() ?? []
                case 1: pieces.take(.random(in: 0...30_000, using: &random), into: &taken)
                default: break
                }
                #expect(pieces.count == expected.count - taken.count)
            }
            taken += pieces.takeAll()
            #expect(taken == expected && pieces.count == 0)
        }
    }
}
