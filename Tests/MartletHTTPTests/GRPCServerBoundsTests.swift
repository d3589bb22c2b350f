import HTTPTypes
import Logging
import MartletBase
import Synchronization
import Testing

@testable import MartletHTTP

/// A client that floods. The server ends it after some hundred or thousand frames of those it has looked at, but where
/// the machine has other things to do, many more wait on the way by then.
enum Flood {
    /// More than may be on any way.
    static let most = 1_000_000
}

/// A client made of frames, to say what no client of ours says. A client link that is not connected to anything
/// understands the answers.
final class FrameClient: Sendable {
    let stream: any ByteStream
    private let ear: GRPCClientLink

    init(to world: PipeWorld) async throws {
        stream = try await world.connect(to: .unix("grpc"))
        ear = GRPCClientLink(in: world, name: "ear") {
            try await world.sleep(for: .seconds(1_000_000))
            throw NetworkError.closed
        }
        try await stream.write(Self.preface)
    }

    deinit { ear.fail("done") }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame(type: Frame.settings, stream: 0).bytes

    static func head(
        _ path: String, method: String = "POST", type: String = "application/grpc", _ more: [(String, String)] = []
    ) -> [(String, String)] {
        [
            (":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"),
            ("content-type", type),
        ] + more
    }

    func send(_ frames: Frame...) async throws { try await stream.write(frames.flatMap(\.bytes)) }

    /// Begins a call; what it is called with is the server's matter only.
    func begin(_ fields: [(String, String)], ends: Bool = false) async throws -> GRPCCall {
        let call = try #require(try ear.begin(.init(path: "/"), message: []))
        hear([])
        try await send(.fields(UInt32(call.id), fields, ends: ends))
        return call
    }

    /// The outcome of a call with these fields and this body.
    func outcome(_ fields: [(String, String)], _ body: [UInt8]) async throws -> GRPCStatus {
        let call = try await begin(fields)
        try await send(Frame(type: Frame.data, flags: 1, stream: UInt32(call.id), payload: body))
        return try await outcome(of: call)
    }

    func outcome(of call: GRPCCall) async throws -> GRPCStatus {
        while true {
            if let outcome = call.outcome { return outcome }
            let bytes = try await stream.read(atMost: 1 << 16)
            if bytes.isEmpty { throw NetworkError.closed }
            hear(bytes)
        }
    }

    private func hear(_ bytes: [UInt8]) {
        var answer: [UInt8] = []
        ear.locked {
            if !bytes.isEmpty { _ = ear.receive(bytes) }
            _ = ear.session?.output(into: &answer)
        }
    }

    /// Reads until the server closes; how many bytes came.
    func readToEnd() async -> Int {
        var count = 0
        while let bytes = try? await stream.read(atMost: 1 << 16), !bytes.isEmpty { count += bytes.count }
        return count
    }
}

@Suite(.timeLimit(.minutes(1))) struct GRPCServerRefusals {
    @Test func whatIsNoGRPCIsRefusedByHTTP() async throws {
        try await withServer { _, _, world in
            let client = try await FrameClient(to: world)
            let json = try await client.outcome(FrameClient.head("/t.T/Echo", type: "application/json"), [])
            #expect(json.message == "HTTP status 415")
            let get = try await client.outcome(FrameClient.head("/t.T/Echo", method: "GET"), [])
            #expect(get.message == "HTTP status 405")
            // The connection is good for more.
            let good = try await client.outcome(FrameClient.head("/t.T/Echo"), GRPCDeframer.frame([1]))
            #expect(good.code == 0)
        }
    }

    @Test func whatIsMalformedHasItsStatus() async throws {
        var limits = GRPCServerLimits()
        limits.message = 1000
        try await withServer(limits: limits) { _, _, world in
            let client = try await FrameClient(to: world)
            let good = GRPCDeframer.frame([1, 2, 3])
            let echo = FrameClient.head("/t.T/Echo")
            #expect(try await client.outcome(echo, [1] + good.dropFirst()).code == 12)
            #expect(try await client.outcome(echo, [0, 0, 0, 4, 0]).code == 8)
            #expect(try await client.outcome(echo, Array(good.dropLast())).code == 13)
            #expect(try await client.outcome(echo, []).code == 13)
            #expect(try await client.outcome(echo, good + good).code == 13)
            let zipped = FrameClient.head("/t.T/Echo", [("grpc-encoding", "gzip")])
            #expect(try await client.outcome(zipped, good).code == 12)
            let timed = FrameClient.head("/t.T/Echo", [("grpc-timeout", "soon")])
            #expect(try await client.outcome(timed, good).code == 13)
            let value = String(repeating: "x", count: 127)
            let fat = FrameClient.head("/t.T/Echo", (0..<200).map { ("field-\($0)", value) })
            // Over the limit that the settings name: nghttp2 or we refuse it, but the connection may end with it.
            let other = try await FrameClient(to: world)
            #expect(try await other.outcome(fat, good).code != 0)
        }
    }

    @Test func requestsOfHTTP1GoElsewhere() async throws {
        let world = PipeWorld()
        struct Web: RequestHandler {
            func handle(_ request: Request) async -> Response {
                Response(status: .ok, contentType: "text/plain", bytes: Array((request.head.path ?? "").utf8))
            }
        }
        for web in [Web(), nil] {
            let server = try await GRPCServer.start(
                on: .unix("grpc"), in: world, logger: Logger(label: "test"), service: Methods.echo, web: web)
            let client = HTTPClient(endpoint: .unix("grpc"), serverName: "x", in: world)
            let request = HTTPRequest(method: .get, scheme: "http", authority: nil, path: "/health")
            let answer = try await client.send(request)
            let code = web == nil ? 400 : 200
            #expect(answer.head.status.code == code)
            let body = try await answer.body.collect(limit: 1000)
            #expect(web == nil || body == Array("/health".utf8))
            client.close()
            await server.shutdown(grace: .zero)
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct GRPCServerBounds {
    /// A method that waits until its task is cancelled, and counts.
    final class Waits: Sendable {
        let begun = Mutex(0)
        let cancelled = Mutex(0)

        func service(in world: PipeWorld) -> Methods {
            Methods(methods: [
                "/t.T/Wait": .unary { _, _ in
                    self.begun.withLock { $0 += 1 }
                    defer { if Task.isCancelled { self.cancelled.withLock { $0 += 1 } } }
                    try await world.sleep(for: .seconds(1_000_000))
                    return []
                }
            ])
        }
    }

    func start(
        _ world: PipeWorld, _ service: any GRPCService, _ limits: GRPCServerLimits = .init()
    ) async throws -> GRPCServer {
        try await GRPCServer.start(
            on: .unix("grpc"), in: world, limits: limits, logger: Logger(label: "test"), service: service)
    }

    /// Lets other tasks run until something is so.
    func until(_ condition: () -> Bool) async {
        while !condition() { await Task.yield() }
    }

    @Test func aCallEndsWhenItsTimeIsUp() async throws {
        let (world, waits) = (PipeWorld(), Waits())
        let server = try await start(world, waits.service(in: world))
        let client = try await FrameClient(to: world)
        let head = FrameClient.head("/t.T/Wait", [("grpc-timeout", "2S")])
        let outcome = try await asTimePasses(in: world) { try await client.outcome(head, GRPCDeframer.frame([])) }
        #expect(outcome.code == 4)
        await until { waits.cancelled.withLock { $0 } == 1 }
        await server.shutdown(grace: .zero)
    }

    @Test func aCallThatIsGivenUpIsCancelled() async throws {
        let (world, waits) = (PipeWorld(), Waits())
        let server = try await start(world, waits.service(in: world))
        let channel = GRPCChannel(endpoint: .unix("grpc"), authority: "localhost", in: world)
        let task = Task { try await channel.unary("/t.T/Wait", [], timeout: .seconds(100)) }
        await until { waits.begun.withLock { $0 } == 1 }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        await until { waits.cancelled.withLock { $0 } == 1 }
        // And so is one whose connection is lost.
        let lost = Task { try await channel.unary("/t.T/Wait", [], timeout: .seconds(100)) }
        await until { waits.begun.withLock { $0 } == 2 }
        channel.close()
        await until { waits.cancelled.withLock { $0 } == 2 }
        await #expect(throws: GRPCStatus.self) { _ = try await lost.value }
        await server.shutdown(grace: .zero)
    }

    @Test func rapidResetsEndTheConnection() async throws {
        let (world, waits) = (PipeWorld(), Waits())
        var limits = GRPCServerLimits()
        limits.resets = 50
        let server = try await start(world, waits.service(in: world), limits)
        let client = try await FrameClient(to: world)
        let head = FrameClient.head("/t.T/Wait")
        async let heard = client.readToEnd()
        var sent = 0
        do {
            for number in 0..<Flood.most {
                let stream = UInt32(number * 2 + 1)
                try await client.send(
                    .fields(stream, head, ends: false),
                    Frame(type: Frame.data, flags: 1, stream: stream, payload: GRPCDeframer.frame([])),
                    Frame(type: Frame.reset, stream: stream, payload: [0, 0, 0, 8]))
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most)
        #expect(waits.begun.withLock { $0 } < 200)
        #expect(await heard < 100_000)
        await server.shutdown(grace: .zero)
    }

    @Test func pingsWhoseAnswersAreNotReadEndTheConnection() async throws {
        let world = PipeWorld()
        let server = try await start(world, Methods.echo)
        let client = try await FrameClient(to: world)
        var sent = 0
        do {
            while sent < Flood.most {
                try await client.send(Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]))
                sent += 1
            }
        } catch {}
        #expect(sent < Flood.most)
        await server.shutdown(grace: .zero)
    }

    @Test func aSlowReaderHoldsNoMoreThanItsBound() async throws {
        let world = PipeWorld()
        var limits = GRPCServerLimits()
        limits.queuedPerCall = 100_000
        let offered = Mutex<Int?>(nil)
        let isSent = Mutex(false)
        let flood = Methods(methods: [
            "/t.T/Flood": .stream { call in
                let message = [UInt8](repeating: 1, count: 1000)
                var count = 0
                while call.offer(message) { count += 1 }
                offered.withLock { $0 = count }
                try await call.send(message)
                isSent.withLock { $0 = true }
            }
        ])
        let server = try await start(world, flood, limits)
        let client = try await FrameClient(to: world)
        let call = try await client.begin(FrameClient.head("/t.T/Flood"), ends: true)
        await until { offered.withLock { $0 } != nil }
        // The client's windows are as HTTP/2 begins: 65,535 bytes may be on their way, and a pipe holds as many.
        let count = offered.withLock { $0 } ?? 0
        #expect(count >= 100 && count <= 240)
        // It is served to its end when it reads.
        try await client.send(
            Frame(type: Frame.windowUpdate, stream: 0, payload: [0, 16, 0, 0]),
            Frame(type: Frame.windowUpdate, stream: UInt32(call.id), payload: [0, 16, 0, 0]))
        #expect(try await client.outcome(of: call).code == 0)
        #expect(isSent.withLock { $0 })
        await server.shutdown(grace: .zero)
    }

    @Test func aSlowMethodHoldsNoMoreThanItsBound() async throws {
        let world = PipeWorld()
        var limits = GRPCServerLimits()
        limits.queuedPerCall = 100_000
        let go = Mutex(false)
        let count = Mutex(0)
        let slow = Methods(methods: [
            "/t.T/Slow": .stream { call in
                while !go.withLock({ $0 }) { await Task.yield() }
                while try await call.next() != nil { count.withLock { $0 += 1 } }
            }
        ])
        let server = try await start(world, slow, limits)
        let channel = GRPCChannel(endpoint: .unix("grpc"), authority: "localhost", in: world)
        let stream = try channel.stream("/t.T/Slow")
        let sent = Mutex(0)
        let message = [UInt8](repeating: 1, count: 10_000)
        let sender = Task {
            for _ in 0..<1000 {
                try await stream.send(message)
                sent.withLock { $0 += 1 }
            }
            stream.closeSend()
        }
        var last = -1
        for _ in 0..<1000 where sent.withLock({ $0 }) != last || last < 100 {
            last = sent.withLock { $0 }
            for _ in 0..<100 { await Task.yield() }
        }
        // A stream's window, what we queue, and what lies in the pipe.
        let bound = Int(HTTP2Settings().streamWindow) + limits.queuedPerCall + GRPCClientLink.queueLimit + 200_000
        let bytes = sent.withLock { $0 } * message.count
        #expect(bytes <= bound)
        go.withLock { $0 = true }
        #expect(try await stream.next() == nil)
        #expect(count.withLock { $0 } == 1000)
        try await sender.value
        channel.close()
        await server.shutdown(grace: .zero)
    }

    @Test func callsOverTheLimitWaitAtTheClient() async throws {
        var limits = GRPCServerLimits()
        limits.calls = 4
        try await withServer(limits: limits) { channel, _, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        let message = [UInt8(number)]
                        return try await channel.unary("/t.T/Echo", message, timeout: .seconds(20)) == message
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func aServerThatStopsLetsCallsEnd() async throws {
        let world = PipeWorld()
        let go = Mutex(false)
        let begun = Mutex(false)
        let slow = Methods(methods: [
            "/t.T/Slow": .unary { request, _ in
                begun.withLock { $0 = true }
                while !go.withLock({ $0 }) { await Task.yield() }
                return request
            }
        ])
        let server = try await start(world, slow)
        let channel = GRPCChannel(endpoint: .unix("grpc"), authority: "localhost", in: world)
        async let answer = channel.unary("/t.T/Slow", [9], timeout: .seconds(100))
        await until { begun.withLock { $0 } }
        async let stopped: Void = server.shutdown(grace: .seconds(1000))
        let refused = await failure { _ = try await channel.unary("/t.T/Slow", [1], timeout: .seconds(100)) }
        #expect(refused == nil || refused?.code == 14)
        go.withLock { $0 = true }
        #expect(try await answer == [9])
        await stopped
    }

    @Test func aClientThatReadsNothingIsClosed() async throws {
        let world = PipeWorld()
        let server = try await start(world, Methods.echo)
        let client = try await FrameClient(to: world)
        // Answers fill the pipe; nobody reads them.
        for number in 0..<40 {
            let stream = UInt32(number * 2 + 1)
            try? await client.send(
                .fields(stream, FrameClient.head("/t.T/Echo"), ends: false),
                Frame(
                    type: Frame.data, flags: 1, stream: stream,
                    payload: GRPCDeframer.frame([UInt8](repeating: 1, count: 4000))))
        }
        // Over its time, the connection is closed: then nothing can be sent.
        await #expect(throws: NetworkError.self) {
            while true {
                for _ in 0..<100 {
                    world.advance(by: .seconds(1))
                    for _ in 0..<20 { await Task.yield() }
                }
                try await client.send(Frame(type: 0xFF, stream: 0))
            }
        }
        await server.shutdown(grace: .zero)
    }

    @Test func mutatedFramesNeverTrapTheServer() throws {
        let world = PipeWorld()
        var random = SplitMix64(state: 11)
        let good =
            FrameClient.preface + Frame.fields(1, FrameClient.head("/t.T/Echo"), ends: false).bytes
            + Frame(type: Frame.data, flags: 1, stream: 1, payload: GRPCDeframer.frame([1, 2, 3])).bytes
            + Frame.fields(3, FrameClient.head("/t.T/Each", [("grpc-timeout", "5S"), ("token", "x")]), ends: false)
            .bytes
            + Frame(type: Frame.data, stream: 3, payload: GRPCDeframer.frame([1, 2, 3])).bytes
            + Frame(type: 6, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8]).bytes
            + Frame(type: Frame.reset, stream: 3, payload: [0, 0, 0, 8]).bytes
        let serving = GRPCServing(service: Methods.echo, limits: .init())
        var (ended, answered) = (0, 0)
        for round in 0..<4000 {
            var bytes = good
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                let place = Int.random(in: 24..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.remove(at: place)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                default: bytes[place] = UInt8.random(in: 0...255, using: &random)
                }
            }
            let record = ServerRecord(PipeStream.pair().0, in: world)
            let link = GRPCServerLink(serving, in: world, peer: Peer(), record: record, isStopping: false)
            var output: [UInt8] = []
            for piece in bytes.chunked(by: round % 2 == 0 ? 7 : bytes.count) where !link.take(piece) { break }
            link.locked {
                _ = link.session?.output(into: &output)
                if link.session?.isOver == true { ended += 1 }
                link.end("over")
            }
            if output.count > 100 { answered += 1 }
            #expect(output.count < 10_000 && link.held == 0)
        }
        #expect(ended > 100 && answered > 100)
    }
}
