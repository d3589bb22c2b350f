import HTTPTypes
import Logging
import MartletBase
import Synchronization
import Testing

@testable import MartletHTTP

/// A handler made of a closure.
struct Handler: RequestHandler {
    var answer: @Sendable (Request) async -> Response
    init(_ answer: @escaping @Sendable (Request) async -> Response) { self.answer = answer }
    func handle(_ request: Request) async -> Response { await answer(request) }
}

func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(status: status, contentType: "text/plain", bytes: Array(text.utf8))
}

/// Something that a test waits for.
final class Signal: Sendable {
    private let state = Mutex((isSet: false, waiting: [CheckedContinuation<Void, Never>]()))
    func set() {
        let waiting = state.withLock { state in
            state.isSet = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state in
                if !state.isSet { state.waiting.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }
}

/// A server in memory and one raw connection to it.
struct Wire {
    let world = PipeWorld()
    let server: HTTPServer
    let stream: any ByteStream

    init(limits: HTTPServerLimits = .init(), _ answer: @escaping @Sendable (Request) async -> Response) async throws {
        try await self.init(limits: limits, handler: Handler(answer))
    }

    init(limits: HTTPServerLimits, handler: any RequestHandler) async throws {
        let endpoint = Endpoint.unix("test")
        server = try await HTTPServer.start(
            on: endpoint, in: world, limits: limits, logger: Logger(label: "test"), handler: handler)
        stream = try await world.connect(to: endpoint)
    }

    func send(_ text: String) async throws { try await stream.write(Array(text.utf8)) }

    /// Reads until `mark` has come.
    func read(until mark: String) async throws -> String {
        var all: [UInt8] = []
        while !String(decoding: all, as: UTF8.self).contains(mark) {
            let bytes = try await stream.read(atMost: 1)
            if bytes.isEmpty { break }
            all += bytes
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Reads to the end of the connection.
    func readAll() async throws -> String {
        var all: [UInt8] = []
        while true {
            let bytes = try await stream.read(atMost: 4096)
            if bytes.isEmpty { break }
            all += bytes
        }
        return String(decoding: all, as: UTF8.self)
    }
}

private let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

@Suite struct ServerTranscripts {
    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        let wire = try await Wire { request in text("\(request.head.method) \(request.head.path ?? "")") }
        try await wire.send(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                + "\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let answers = try await wire.readAll()
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\(date)Content-Length: "
        #expect(
            answers == head + "6\r\n\r\nGET /1" + head + "7\r\n\r\nPOST /2" + head
                + "6\r\nConnection: close\r\n\r\nGET /3")
    }

    @Test func headHasTheFieldsWithoutTheBody() async throws {
        let wire = try await Wire { _ in text("hello") }
        try await wire.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let answer = try await wire.readAll()
        #expect(answer.contains("Content-Length: 5\r\n") && answer.hasSuffix("\r\n\r\n"))
    }

    @Test func noContentHasNoLength() async throws {
        let wire = try await Wire { _ in Response(head: HTTPResponse(status: .noContent)) }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(try await wire.readAll() == "HTTP/1.1 204 No Content\r\n\(date)Connection: close\r\n\r\n")
    }

    @Test func aStreamIsChunkedForNewClientsAndEndsWithTheConnectionForOldOnes() async throws {
        let answer: @Sendable (Request) async -> Response = { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    try await out.write(Array("one".utf8))
                    try await out.write([])
                    try await out.write(joining: ["twentysix ", "letters ", "are here"].map { Array($0.utf8) })
                })
        }
        let new = try await Wire(answer)
        try await new.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let chunks = try await new.read(until: "0\r\n\r\n")
        #expect(chunks.hasSuffix("\r\n\r\n3\r\none\r\n1a\r\ntwentysix letters are here\r\n0\r\n\r\n"))
        #expect(chunks.contains("Transfer-Encoding: chunked"))
        let old = try await Wire(answer)
        try await old.send("GET / HTTP/1.0\r\n\r\n")
        let whole = try await old.readAll()
        #expect(whole.hasSuffix("Connection: close\r\n\r\nonetwentysix letters are here"))
        #expect(!whole.contains("chunked"))
    }

    @Test func aStreamThatFailsIsCutShort() async throws {
        struct Broken: Error {}
        let wire = try await Wire { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    try await out.write([65])
                    throw Broken()
                })
        }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try await wire.readAll()
        #expect(answer.hasSuffix("1\r\nA\r\n"))
    }

    @Test func aWaitingClientIsToldToGoOnWhenTheBodyIsWanted() async throws {
        let wire = try await Wire { request in
            let body = (try? await request.body.collect(limit: 100)) ?? []
            return text("got " + String(decoding: body, as: UTF8.self))
        }
        try await wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        #expect(try await wire.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        try await wire.send("abc")
        #expect(try await wire.read(until: "abc").hasSuffix("\r\n\r\ngot abc"))
    }

    @Test func aWaitingClientThatIsRefusedGetsTheAnswerAndTheEnd() async throws {
        let wire = try await Wire { _ in text("no", status: .forbidden) }
        try await wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        let answer = try await wire.readAll()
        #expect(answer.hasPrefix("HTTP/1.1 403") && answer.contains("Connection: close"))
    }

    @Test func anUnreadBodyDoesNotSpillIntoTheNextRequest() async throws {
        let wire = try await Wire { request in text(request.head.path ?? "") }
        let body = String(repeating: "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", count: 500)
        try await wire.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        try await wire.send("GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        let answers = try await wire.readAll()
        #expect(answers.components(of: "HTTP/1.1 200") == 2 && answers.hasSuffix("/2") && !answers.contains("evil"))
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", "400"), ("garbage\n", "400"), ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 3000), "431"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", "413"),
    ])
    func aBadRequestIsToldSoAndCutOff(request: String, status: String) async throws {
        var limits = HTTPServerLimits()
        limits.head = 2048
        limits.body = 1000
        let wire = try await Wire(limits: limits) { _ in text("never") }
        try await wire.send(request)
        let answer = try await wire.readAll()
        #expect(answer.hasPrefix("HTTP/1.1 \(status)") && answer.contains("Connection: close"))
    }

    /// Says what the server refuses in a form of its own.
    private struct Worded: RequestHandler {
        func handle(_ request: Request) async -> Response { text("never") }
        func refusal(_ status: HTTPResponse.Status, _ text: String) -> (contentType: String, body: [UInt8]) {
            ("application/json", Array("{\"code\":\(status.code)}".utf8))
        }
    }

    @Test(arguments: [
        ("garbage\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 3000), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", 413),
    ])
    func theHandlerWordsWhatTheServerRefuses(request: String, status: Int) async throws {
        var limits = HTTPServerLimits()
        limits.head = 2048
        limits.body = 1000
        let wire = try await Wire(limits: limits, handler: Worded())
        try await wire.send(request)
        let answer = try await wire.readAll()
        #expect(answer.hasPrefix("HTTP/1.1 \(status)") && answer.hasSuffix("\r\n\r\n{\"code\":\(status)}"))
        #expect(answer.lowercased().contains("content-type: application/json"))
    }

    @Test func aChunkedBodyOverTheLimitFailsForTheHandlerAndEndsTheConnection() async throws {
        var limits = HTTPServerLimits()
        limits.body = 1000
        let wire = try await Wire(limits: limits) { request in
            do {
                return text("\(try await request.body.collect(limit: 5000).count)")
            } catch {
                return text("\(error)", status: .contentTooLarge)
            }
        }
        let chunk = "200\r\n" + String(repeating: "x", count: 512) + "\r\n"
        try await wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
        #expect(try await wire.read(until: "1000 bytes").hasPrefix("HTTP/1.1 413"))
    }

    @Test func aConnectionTooManyIsTurnedAwayWhenAllAreAtWork() async throws {
        var limits = HTTPServerLimits()
        limits.connections = 1
        let (begun, end) = (Signal(), Signal())
        let wire = try await Wire(limits: limits) { _ in
            begun.set()
            await end.wait()
            return text("x")
        }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        let second = try await wire.world.connect(to: wire.server.endpoint)
        let answer = try await second.read(atMost: 4096)
        #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 503"))
        end.set()
        #expect(try await wire.read(until: "\r\n\r\nx").hasPrefix("HTTP/1.1 200"))
    }

    @Test func whoWaitsTheLongestGivesWayToNewConnections() async throws {
        var limits = HTTPServerLimits()
        limits.connections = 3
        let wire = try await Wire(limits: limits) { _ in text("x") }
        let request = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        // The first waits for its second request, for two minutes; the second for its first, for half a minute.
        try await wire.stream.write(request)
        _ = try await wire.read(until: "\r\n\r\nx")
        let silent = try await wire.world.connect(to: wire.server.endpoint)
        // They stay: one that left would make room by itself.
        var others: [any ByteStream] = []
        for _ in 0..<4 {
            let next = try await wire.world.connect(to: wire.server.endpoint)
            others.append(next)
            try await next.write(request)
            #expect(String(decoding: try await next.read(atMost: 4096), as: UTF8.self).hasPrefix("HTTP/1.1 200"))
        }
        #expect(try await silent.read(atMost: 4096).isEmpty)
        withExtendedLifetime(others) {}
    }

    @Test func anUpgradeHandsOverTheBytesThatWereReadAhead() async throws {
        let wire = try await Wire { _ in
            var head = HTTPResponse(status: .switchingProtocols)
            head.headerFields[.upgrade] = "echo"
            return Response(
                head: head,
                body: .upgrade { stream in
                    while let bytes = try? await stream.read(atMost: 100), !bytes.isEmpty {
                        try? await stream.write(bytes)
                    }
                })
        }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nahead")
        let head = try await wire.read(until: "ahead")
        #expect(head.contains("Upgrade: echo\r\n") && head.contains("Connection: Upgrade\r\n"))
        #expect(head.hasSuffix("\r\n\r\nahead"))
        try await wire.send("more")
        #expect(try await wire.read(until: "more") == "more")
        await wire.stream.closeWrite()
        #expect(try await wire.readAll() == "")
    }
}

extension String {
    func components(of needle: String) -> Int { split(separator: needle, omittingEmptySubsequences: false).count - 1 }
}

@Suite struct ServerLives {
    @Test func aClientThatLeavesEndsItsStream() async throws {
        let started = Signal()
        let cancelled = Signal()
        let wire = try await Wire { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    try await out.write([65])
                    started.set()
                    await untilCancelled()
                    cancelled.set()
                    throw CancellationError()
                })
        }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await started.wait()
        wire.stream.close()
        await cancelled.wait()
    }

    @Test func whatAClientSendsDuringAStreamIsAnsweredAfterIt() async throws {
        let go = Signal()
        let wire = try await Wire { request in
            guard request.head.path == "/stream" else { return text("after") }
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    try await out.write([65])
                    await go.wait()
                    try await out.write([66])
                })
        }
        try await wire.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try await wire.read(until: "1\r\nA\r\n")
        try await wire.send(
            "GET /next HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        go.set()
        let rest = try await wire.readAll()
        #expect(rest.hasPrefix("1\r\nB\r\n0\r\n\r\nHTTP/1.1 200 OK"))
        #expect(rest.components(of: "\r\n\r\nafter") == 2)
    }

    @Test func aSlowHeadIsToldTheTimeIsUp() async throws {
        var limits = HTTPServerLimits()
        limits.headTimeout = .seconds(2)
        let wire = try await Wire(limits: limits) { _ in text("x") }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try await wire.read(until: "\r\n\r\nx")
        try await wire.send("GET / HT")
        let answer = try await asTimePasses(in: wire.world) { try await wire.readAll() }
        #expect(answer.hasPrefix("HTTP/1.1 408"))
    }

    @Test func anIdleConnectionIsClosedAndABusyOneIsNot() async throws {
        var limits = HTTPServerLimits()
        limits.idleTimeout = .seconds(10)
        let started = Signal()
        let go = Signal()
        let wire = try await Wire(limits: limits) { _ in
            started.set()
            await go.wait()
            return text("x")
        }
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await started.wait()
        for _ in 0..<100 {
            wire.world.advance(by: .seconds(5))
            await Task.yield()
        }
        go.set()
        _ = try await wire.read(until: "\r\n\r\nx")
        let rest = try await asTimePasses(in: wire.world) { try await wire.readAll() }
        #expect(rest == "")
    }

    @Test func shutdownLetsARequestEndAndCutsWhatDoesNot() async throws {
        let started = Signal()
        let go = Signal()
        let wire = try await Wire { request in
            if request.head.path == "/quick" { return text("quick") }
            guard request.head.path == "/long" else {
                started.set()
                await go.wait()
                return text("done")
            }
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    try await out.write([65])
                    await untilCancelled()
                })
        }
        let quick = Array("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        func answer(on stream: any ByteStream) async throws -> String {
            var text = ""
            while !text.hasSuffix("quick") {
                text += String(decoding: try await stream.read(atMost: 4096), as: UTF8.self)
            }
            return text
        }
        let idle = try await wire.world.connect(to: wire.server.endpoint)
        try await idle.write(quick)
        #expect(try await !answer(on: idle).contains("Connection: close"))
        // Has connected, and not asked yet.
        let fresh = try await wire.world.connect(to: wire.server.endpoint)
        let long = try await wire.world.connect(to: wire.server.endpoint)
        try await long.write(Array("GET /long HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        _ = try await long.read(atMost: 1)
        try await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await started.wait()
        async let stopping: Void = wire.server.shutdown(grace: .seconds(5))
        #expect(try await idle.read(atMost: 1) == [])
        try await fresh.write(quick)
        #expect(try await answer(on: fresh).contains("Connection: close"))
        go.set()
        let last = try await wire.readAll()
        #expect(last.hasSuffix("Connection: close\r\n\r\ndone"))
        #expect(try await asTimePasses(in: wire.world) { try await long.read(atMost: 4096) } != [])
        #expect(try await asTimePasses(in: wire.world) { try await long.read(atMost: 4096) } == [])
        await stopping
        await #expect(throws: NetworkError.self) { _ = try await wire.world.connect(to: wire.server.endpoint) }
    }

    @Test func drainingServesOnceMoreAndLetsConnectionsEndWithTheirAnswers() async throws {
        let wire = try await Wire { _ in text("quick") }
        let quick = Array("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        func answer(on stream: any ByteStream) async throws -> String {
            var text = ""
            while !text.hasSuffix("quick") {
                text += String(decoding: try await stream.read(atMost: 4096), as: UTF8.self)
            }
            return text
        }
        let (kept, quiet) = (wire.stream, try await wire.world.connect(to: wire.server.endpoint))
        for stream in [kept, quiet] {
            try await stream.write(quick)
            #expect(try await !answer(on: stream).contains("Connection: close"))
        }
        let (server, ended) = (wire.server, Signal())
        wire.world.spawn {
            await server.drain(settle: .seconds(2), grace: .seconds(5))
            ended.set()
        }
        var last = ""
        while !last.contains("Connection: close") {
            let late = try await wire.world.connect(to: wire.server.endpoint)
            try await late.write(quick)
            last = try await answer(on: late)
        }
        try await kept.write(quick)
        #expect(try await answer(on: kept).contains("Connection: close"))
        #expect(try await kept.read(atMost: 1) == [])
        #expect(try await asTimePasses(in: wire.world) { try await quiet.read(atMost: 1) } == [])
        try await asTimePasses(in: wire.world) { await ended.wait() }
        await #expect(throws: NetworkError.self) { _ = try await wire.world.connect(to: wire.server.endpoint) }
    }

    @Test func connectionsThatAreRetiredEndAndNewOnesDoNot() async throws {
        let wire = try await Wire { _ in text("quick") }
        let quick = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"
        try await wire.send(quick)
        #expect(try await !wire.read(until: "quick").contains("Connection: close"))
        wire.server.retireConnections()
        let other = try await wire.world.connect(to: wire.server.endpoint)
        try await wire.send(quick)
        #expect(try await wire.readAll().contains("Connection: close"))
        try await other.write(Array(quick.utf8))
        var answer = ""
        while !answer.hasSuffix("quick") {
            answer += String(decoding: try await other.read(atMost: 4096), as: UTF8.self)
        }
        #expect(!answer.contains("Connection: close"))
        await wire.server.shutdown(grace: .zero)
    }
}

/// Returns when the task is cancelled.
func untilCancelled() async {
    let signal = Signal()
    await withTaskCancellationHandler {
        await signal.wait()
    } onCancel: {
        signal.set()
    }
}

/// Runs `operation` while time moves on in steps of 100 ms.
func asTimePasses<Value: Sendable>(
    in world: PipeWorld, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let isDone = Mutex(false)
    async let value = {
        defer { isDone.withLock { $0 = true } }
        return try await operation()
    }()
    while !isDone.withLock({ $0 }) {
        world.advance(by: .milliseconds(100))
        await Task.yield()
    }
    return try await value
}
