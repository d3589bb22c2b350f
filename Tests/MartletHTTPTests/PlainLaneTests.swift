import HTTPTypes
import Logging
import MartletBase
import MartletIO
import Synchronization
import Testing

@testable import MartletHTTP

/// A server whose plain requests go to a backend in the test's hands, over real sockets.
@Suite(.timeLimit(.minutes(1))) struct PlainLaneTests {
    /// What a test works with.
    struct Lane: Sendable {
        let world: Reactor
        let server: HTTPServer
        let backend: any StreamListener
        let way: Way
        /// The requests that were handled: their paths, after `begun` where a lane had begun.
        let handled: Box

        /// A client's connection, and the backend's, over which one request has gone: the next finds it kept.
        func warmUp() async throws -> (client: any ByteStream, backend: any ByteStream) {
            let client = try await world.connect(to: server.endpoint)
            try await client.write(Self.get("/warm"))
            let backend = try await self.backend.accept()
            #expect(try await Self.head(from: backend).hasPrefix("GET /warm HTTP/1.1\r\n"))
            try await backend.write(Self.ok("warm"))
            #expect(try await Self.read(client, until: "warm").hasPrefix("HTTP/1.1 200 OK\r\n"))
            return (client, backend)
        }

        static func get(_ path: String) -> [UInt8] { Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8) }

        static func head(_ path: String) -> [UInt8] { Array("HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8) }

        static func ok(_ body: String) -> [UInt8] {
            Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        }

        /// Reads up to the end of a head.
        static func head(from stream: any ByteStream) async throws -> String {
            try await read(stream, until: "\r\n\r\n")
        }

        /// Reads until what has come ends in `end`, or the peer has ended.
        static func read(_ stream: any ByteStream, until end: String) async throws -> String {
            var all: [UInt8] = []
            while !all.suffix(end.utf8.count).elementsEqual(end.utf8) {
                let piece = try await stream.read(atMost: 1 << 16)
                if piece.isEmpty { break }
                all += piece
            }
            return String(decoding: all, as: UTF8.self)
        }
    }

    final class Box: Sendable {
        private let all = Mutex<[String]>([])
        var paths: [String] { all.withLock { $0 } }
        func add(_ path: String) { all.withLock { $0.append(path) } }
    }

    /// Sends everything to the backend.
    final class Way: PlainWay, @unchecked Sendable {
        final class Nobody: Sendable {}
        let client: HTTPClient
        let endpoint: Endpoint
        let limit: Duration
        var reports: [PlainReport] = []
        var answered: [Int] { reports.map(\.status) }

        init(_ endpoint: Endpoint, _ limit: Duration, in world: any World) {
            self.endpoint = endpoint
            self.limit = limit
            client = HTTPClient(endpoint: endpoint, serverName: "b", in: world)
        }

        func choose(_ request: PlainRequest, at now: MonotonicTime, adding lines: inout [UInt8]) -> PlainChoice? {
            lines += "Via: lane\r\n".utf8
            return PlainChoice(
                endpoint: endpoint, client: client, answerLimit: limit, bodyLimit: limit, origin: Nobody())
        }

        func answered(_ choice: PlainChoice, _ report: PlainReport) { reports.append(report) }
    }

    /// Handles what the lane leaves alone: tells of it, and sends it to the backend in the usual way.
    private final class Common: RequestHandler {
        let way: Way
        let handled: @Sendable (String) -> Void
        init(_ way: Way, _ handled: @escaping @Sendable (String) -> Void) {
            self.way = way
            self.handled = handled
        }

        func plainWay(for peer: Peer) -> (any PlainWay)? { way }

        func handle(_ request: Request) async -> Response {
            handled((request.begun == nil ? "" : "begun ") + (request.head.path ?? ""))
            let sender: any HTTPSender = request.begun ?? way.client
            do {
                let answer = try await sender.send(request.head, body: request.body, trailers: nil)
                guard case .stream(let next) = answer.body else {
                    return Response(head: answer.head, body: .bytes(try await answer.body.collect(limit: 1 << 20)))
                }
                return Response(
                    head: answer.head,
                    body: .stream { out in while let piece = try await next() { try await out.write(piece) } })
            } catch {
                return text("\(error)", status: .badGateway)
            }
        }
    }

    private func withLane(
        limits: HTTPServerLimits = .init(), answerLimit: Duration = .seconds(60),
        _ body: @escaping @Sendable (Lane) async throws -> Void
    ) async throws {
        let world = try Reactor(name: "test")
        let result = await world.spawnValue { () -> Result<Void, any Error> in
            do {
                let backend = try await world.listen(on: .ip("127.0.0.1", port: 0))
                let way = Way(backend.endpoint, answerLimit, in: world)
                let handled = Box()
                let server = try await HTTPServer.start(
                    on: .ip("127.0.0.1", port: 0), in: world, limits: limits, logger: Logger(label: "test"),
                    handler: Common(way) { handled.add($0) })
                defer { backend.close() }
                let outcome: Result<Void, any Error>
                do {
                    try await body(Lane(world: world, server: server, backend: backend, way: way, handled: handled))
                    outcome = .success(())
                } catch {
                    outcome = .failure(error)
                }
                await server.shutdown(grace: .zero)
                way.client.close()
                return outcome
            } catch {
                return .failure(error)
            }
        }
        world.shutdown()
        try result.get()
    }

    @Test func aRequestIsPassedOnWhereAConnectionIsKept() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/a"))
            #expect(
                try await Lane.head(from: backend) == "GET /a HTTP/1.1\r\nHost: a\r\nVia: lane\r\n\r\n")
            try await backend.write(Lane.ok("first"))
            let answer = try await Lane.read(client, until: "first")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: "))
            #expect(lane.handled.paths == ["/warm"] && lane.way.answered == [200])
        }
    }

    /// What HEAD is answered, and what the client is told; both connections go on.
    @Test(arguments: [
        ("200 OK\r\nContent-Length: 5\r\n", ""), ("200 OK\r\nTransfer-Encoding: chunked\r\n", ""),
        ("200 OK\r\nA: b\r\n", "Transfer-Encoding: chunked\r\n"), ("204 No Content\r\nA: b\r\n", ""),
        ("304 Not Modified\r\nContent-Length: 5\r\n", ""),
        ("304 Not Modified\r\nETag: x\r\n", "Transfer-Encoding: chunked\r\n"),
        ("404 Not Found\r\nContent-Length: 5\r\n", ""),
    ])
    func headIsAnsweredWithoutABody(head: String, added: String) async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            for _ in 0..<2 {
                try await client.write(Lane.head("/a"))
                #expect(try await Lane.head(from: backend) == "HEAD /a HTTP/1.1\r\nHost: a\r\nVia: lane\r\n\r\n")
                try await backend.write(Array("HTTP/1.1 \(head)\r\n".utf8))
                let told = try await Lane.head(from: client)
                #expect(told.hasPrefix("HTTP/1.1 \(head)\(added)Date: "), "\(told)")
            }
            try await client.write(Lane.get("/next"))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /next "))
            try await backend.write(Lane.ok("next"))
            #expect(try await Lane.read(client, until: "next").hasSuffix("\r\n\r\nnext"))
            #expect(lane.handled.paths == ["/warm"] && lane.way.answered.count == 3)
            #expect(lane.way.reports.map(\.bytes) == [0, 0, 4])
        }
    }

    @Test func headAndGetThatComeTogetherAreAnsweredInTurn() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.head("/a") + Lane.get("/b"))
            #expect(try await Lane.head(from: backend).hasPrefix("HEAD /a "))
            try await backend.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n".utf8))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /b "))
            try await backend.write(Lane.ok("got"))
            let both = try await Lane.read(client, until: "got")
            #expect(both.split(separator: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").count == 2)
            #expect(both.split(separator: "got").count == 1)
            #expect(lane.handled.paths == ["/warm"] && lane.way.answered == [200, 200])
        }
    }

    /// A body that HEAD is answered with is nobody's, and the connection ends that brings it.
    @Test(arguments: [true, false]) func aBodyThatHeadIsAnsweredWithIsNobodys(comesAtOnce: Bool) async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.head("/a"))
            _ = try await Lane.head(from: backend)
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
            try await backend.write(Array((head + (comesAtOnce ? "hello" : "")).utf8))
            #expect(try await Lane.head(from: client).hasPrefix("HTTP/1.1 200 OK\r\n"))
            if !comesAtOnce { try await backend.write(Array("hello".utf8)) }
            try await lane.world.sleep(for: .milliseconds(20))
            try await client.write(Lane.get("/next"))
            let second = try await lane.backend.accept()
            #expect(try await Lane.head(from: second).hasPrefix("GET /next "))
            try await second.write(Lane.ok("next"))
            let next = try await Lane.read(client, until: "next")
            #expect(next.hasPrefix("HTTP/1.1 200 OK\r\n") && !next.contains("hello"))
            #expect(lane.handled.paths == ["/warm"] + (comesAtOnce ? ["begun /a"] : []) + ["/next"])
        }
    }

    @Test func requestsThatComeTogetherAreAnsweredInTurn() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            let post = Array("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".utf8)
            try await client.write(Lane.get("/a") + post + Lane.get("/c"))
            for (path, end) in [("GET /a", "\r\n\r\n"), ("POST /b", "\r\n\r\nhi"), ("GET /c", "\r\n\r\n")] {
                #expect(try await Lane.read(backend, until: end).hasPrefix(path))
                try await backend.write(Lane.ok("to \(path)"))
                #expect(try await Lane.read(client, until: "to \(path)").hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            #expect(lane.handled.paths == ["/warm", "/b"] && lane.way.answered == [200, 200])
        }
    }

    @Test func aRequestInPiecesIsHandled() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Array("GET /a HT".utf8))
            try await lane.world.sleep(for: .milliseconds(20))
            try await client.write(Array("TP/1.1\r\nHost: a\r\n\r\n".utf8))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /a HTTP/1.1\r\n"))
            try await backend.write(Lane.ok("a"))
            #expect(try await Lane.read(client, until: "\r\n\r\na").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(lane.handled.paths == ["/warm", "/a"])
        }
    }

    /// More than the kernel takes at once, for a client that reads late.
    @Test func aLongAnswerComesWholeInPieces() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            let size = 32 << 20
            try await client.write(Lane.get("/long"))
            _ = try await Lane.head(from: backend)
            let writer = lane.world.spawn {
                try? await backend.write(Array("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8))
                for number in 0..<(size >> 16) {
                    try? await backend.write([UInt8](repeating: UInt8(number & 255), count: 1 << 16))
                }
            }
            try await lane.world.sleep(for: .milliseconds(100))
            var head = try await client.read(atMost: 1 << 16)
            let end = try #require((0..<head.count).first { head[$0...].starts(with: "\r\n\r\n".utf8) }) + 4
            head.removeFirst(end)
            var (place, isRight) = (0, true)
            var piece = head
            while true {
                for byte in piece {
                    isRight = isRight && byte == UInt8(place >> 16 & 255)
                    place += 1
                }
                if place >= size { break }
                piece = try await client.read(atMost: 1 << 16)
                if piece.isEmpty { break }
            }
            await writer.value
            #expect(place == size && isRight)
            #expect(lane.handled.paths == ["/warm"] && lane.way.answered == [200])
        }
    }

    @Test(arguments: [
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords",
        "HTTP/1.1 500 Oh\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwords",
    ])
    func anAnswerThatIsNotPlainIsHandledWithoutAskingAgain(answer: String) async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/odd"))
            _ = try await Lane.head(from: backend)
            // In two pieces: what has come is not lost, and the rest goes the same way.
            try await backend.write(Array(answer.utf8.prefix(30)))
            try await lane.world.sleep(for: .milliseconds(20))
            try await backend.write(Array(answer.utf8.dropFirst(30)))
            #expect(try await Lane.read(client, until: "words").hasSuffix("words"))
            #expect(lane.handled.paths == ["/warm", "begun /odd"])
        }
    }

    @Test func chunksArePassedOnAsTheyCome() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/chunks"))
            _ = try await Lane.head(from: backend)
            try await backend.write(
                Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nwo".utf8))
            #expect(try await Lane.read(client, until: "2\r\nwo\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await backend.write(Array("rds\r\n0\r\nT: x\r\n\r\n".utf8))
            #expect(try await Lane.read(client, until: "0\r\n\r\n") == "3\r\nrds\r\n0\r\n\r\n")
            try await client.write(Lane.get("/next"))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /next"))
            #expect(lane.handled.paths == ["/warm"] && lane.way.answered == [200])
            let report = try #require(lane.way.reports.last)
            #expect(report.bytes == 5 && !report.isBroken && report.waited > .zero && report.took > report.waited)
        }
    }

    /// A read that was left pending behind a streamed answer brings requests while the lane is busy.
    @Test func requestsThatComeDuringAnExchangeWait() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            // Handled, and streamed: the body comes in pieces.
            try await client.write(Array("GET /s HTTP/1.1\r\nHost:  a\r\n\r\n".utf8))
            _ = try await Lane.head(from: backend)
            try await backend.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".utf8))
            try await lane.world.sleep(for: .milliseconds(20))
            try await client.write(Lane.get("/2"))
            try await lane.world.sleep(for: .milliseconds(20))
            try await backend.write(Array("done".utf8))
            #expect(try await Lane.read(client, until: "done").hasSuffix("done"))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /2 "))
            try await client.write(Lane.get("/3"))
            try await lane.world.sleep(for: .milliseconds(20))
            try await backend.write(Lane.ok("to 2"))
            #expect(try await Lane.read(client, until: "to 2").hasSuffix("\r\n\r\nto 2"))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /3 "))
            await client.closeWrite()
            try await lane.world.sleep(for: .milliseconds(20))
            try await backend.write(Lane.ok("to 3"))
            #expect(try await Lane.read(client, until: "to 3").hasSuffix("\r\n\r\nto 3"))
            #expect(lane.handled.paths == ["/warm", "/s"])
        }
    }

    @Test func aClientThatLeavesInTheMiddleOfAnAnswerEndsIt() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/events"))
            _ = try await Lane.head(from: backend)
            try await backend.write(Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n".utf8))
            #expect(try await Lane.read(client, until: "1\r\na\r\n").hasSuffix("a\r\n"))
            client.close()
            #expect(((try? await backend.read(atMost: 10)) ?? []).isEmpty)
        }
    }

    @Test func theLastAnswerOfAServerThatStopsSaysSo() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/last"))
            _ = try await Lane.head(from: backend)
            let stop = lane.world.spawn { await lane.server.shutdown(grace: .seconds(20)) }
            try await lane.world.sleep(for: .milliseconds(20))
            try await backend.write(Lane.ok("bye"))
            #expect(try await Lane.read(client, until: "bye").contains("Connection: close\r\n"))
            await stop.value
            #expect(lane.handled.paths == ["/warm", "begun /last"])
        }
    }

    @Test func aBackendThatLeavesIsAskedOverANewConnection() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/again"))
            _ = try await Lane.head(from: backend)
            backend.close()
            let second = try await lane.backend.accept()
            #expect(try await Lane.head(from: second).hasPrefix("GET /again HTTP/1.1\r\n"))
            try await second.write(Lane.ok("here"))
            #expect(try await Lane.read(client, until: "here").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(lane.handled.paths == ["/warm", "/again"])
        }
    }

    @Test func anAnswerThatBreaksOffBreaksTheClientsConnection() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/half"))
            _ = try await Lane.head(from: backend)
            try await backend.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".utf8))
            #expect(try await Lane.read(client, until: "half").hasSuffix("half"))
            backend.close()
            #expect(((try? await client.read(atMost: 10)) ?? []).isEmpty)
            #expect(lane.way.answered == [200])
            #expect(lane.way.reports.last?.bytes == 4 && lane.way.reports.last?.isBroken == true)
        }
    }

    @Test func aBackendThatIsSilentIsNotAskedAgain() async throws {
        var limits = HTTPServerLimits()
        limits.headTimeout = .milliseconds(800)
        try await withLane(limits: limits, answerLimit: .milliseconds(50)) { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/late"))
            _ = try await Lane.head(from: backend)
            #expect(try await Lane.read(client, until: "timed out").hasPrefix("HTTP/1.1 502 "))
            #expect(lane.handled.paths == ["/warm", "begun /late"])
        }
    }

    @Test func whatComesBehindAnAnswerIsNobodys() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/long"))
            _ = try await Lane.head(from: backend)
            try await backend.write(Array("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc".utf8))
            #expect(try await Lane.read(client, until: "abc").hasSuffix("abc"))
            try await backend.write(Array("defHTTP/1.1 200 OK\r\n".utf8))
            #expect(try await Lane.read(client, until: "def") == "def")
            #expect(((try? await backend.read(atMost: 10)) ?? []).isEmpty)
            try await client.write(Lane.get("/next"))
            #expect(try await Lane.head(from: try await lane.backend.accept()).hasPrefix("GET /next "))
        }
    }

    @Test func aServerThatStopsDoesNotWaitForTheBackend() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/waits"))
            _ = try await Lane.head(from: backend)
            await lane.server.shutdown(grace: .milliseconds(20))
            #expect(((try? await client.read(atMost: 10)) ?? []).isEmpty)
            #expect(((try? await backend.read(atMost: 10)) ?? []).isEmpty)
            // What is told of a request that was given up is told by who handles it.
            while lane.handled.paths.count < 2 { try await lane.world.sleep(for: .milliseconds(2)) }
            #expect(lane.handled.paths == ["/warm", "begun /waits"])
        }
    }

    @Test func aClientThatEndsItsSideStillGetsItsAnswer() async throws {
        try await withLane { lane in
            let (client, backend) = try await lane.warmUp()
            try await client.write(Lane.get("/last"))
            await client.closeWrite()
            _ = try await Lane.head(from: backend)
            try await backend.write(Lane.ok("bye"))
            #expect(try await Lane.read(client, until: "bye").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try await client.read(atMost: 10).isEmpty)
            // The backend's connection is kept for others.
            let other = try await lane.world.connect(to: lane.server.endpoint)
            try await other.write(Lane.get("/other"))
            #expect(try await Lane.head(from: backend).hasPrefix("GET /other"))
        }
    }
}
