import HTTPTypes
import Logging
import MartletBase
import MartletIO
import MartletPKI
import Synchronization
import Testing

@testable import MartletHTTP

/// A server of HTTP/2 and HTTP/1.1 in memory, and a client of it.
struct Web: Sendable {
    let world = PipeWorld()
    let server: HTTPServer
    let client: HTTP2Client

    static func limits(_ change: (inout HTTPServerLimits) -> Void = { _ in }) -> HTTPServerLimits {
        var limits = HTTPServerLimits()
        limits.http2 = HTTP2Limits()
        change(&limits)
        return limits
    }

    init(
        _ limits: HTTPServerLimits = Web.limits(), _ answer: @escaping @Sendable (Request) async -> Response
    ) async throws {
        server = try await HTTPServer.start(
            on: .unix("web"), in: world, limits: limits, logger: Logger(label: "test"), handler: Handler(answer))
        client = HTTP2Client(endpoint: .unix("web"), serverName: "web.test", in: world)
    }

    func ask(
        _ method: HTTPRequest.Method = .get, _ path: String = "/", body: RequestBody = .bytes([])
    ) async throws -> Got {
        let head = HTTPRequest(method: method, scheme: "http", authority: "web.test", path: path)
        return try await Got(client.send(head, body: body))
    }

    func stop() async {
        client.close()
        await server.shutdown(grace: .zero)
    }

    /// Lets other tasks run until something is so.
    func until(_ condition: () -> Bool) async { while !condition() { await Task.yield() } }
}

/// An answer, read whole.
struct Got {
    var head: HTTPResponse
    var body: [UInt8]
    var trailers: HTTPFields?
    var code: Int { head.status.code }

    init(_ answer: ClientResponse) async throws {
        head = answer.head
        body = try await answer.body.collect(limit: 1 << 26)
        trailers = answer.trailers?()
    }
}

/// A body that comes in these pieces.
func pieces(_ pieces: [[UInt8]]) -> RequestBody {
    let left = Mutex(pieces)
    return .stream { left.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
}

@Suite(.timeLimit(.minutes(1))) struct HTTP2Exchanges {
    static let big = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }

    @Test func aRequestIsAsHTTP1WouldHandItOver() async throws {
        let web = try await Web { request in
            #expect(request.head.method == .post && request.head.scheme == "http" && request.peer.isHTTP2)
            #expect(request.head.authority == "web.test" && request.head.path == "/a%2Fb?c=d")
            #expect(request.head.headerFields[HTTPField.Name("X-One")!] == "1")
            let body = (try? await request.body.collect(limit: 100)) ?? []
            return Response(status: .created, contentType: "text/plain", bytes: body + body)
        }
        var head = HTTPRequest(method: .post, scheme: "http", authority: "web.test", path: "/a%2Fb?c=d")
        head.headerFields[HTTPField.Name("X-One")!] = "1"
        let got = try await Got(web.client.send(head, body: .bytes([1, 2])))
        #expect(got.code == 201 && got.body == [1, 2, 1, 2] && got.head.headerFields[.contentType] == "text/plain")
        #expect(got.head.headerFields[.contentLength] == "4" && got.head.headerFields[.date] != nil)
        await web.stop()
    }

    @Test func bodiesOfAnySizeStreamBothWays() async throws {
        let web = try await Web { request in
            guard case .stream(let next) = request.body else {
                // One that its window has room for may be here already.
                let body = (try? await request.body.collect(limit: 1 << 24)) ?? []
                return Response(head: HTTPResponse(status: .ok), body: .stream { try await $0.write(body) })
            }
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { writer in while let piece = try await next() { try await writer.write(piece) } })
        }
        for count in [1, 60_000, 1_500_000] {
            let body = Array(Self.big.prefix(count))
            let cut = pieces([[], Array(body.prefix(7)), Array(body.dropFirst(7))])
            #expect(try await web.ask(.put, body: cut).body == body)
        }
        let whole = try await Web { request in
            Response(
                status: .ok, contentType: "x/y", bytes: (try? await request.body.collect(limit: 1 << 24)) ?? [])
        }
        #expect(try await whole.ask(.put, body: .bytes(Self.big)).body == Self.big)
        await whole.stop()
        await web.stop()
    }

    @Test func trailersAreKeptBothWays() async throws {
        let web = try await Web { request in
            let body = (try? await request.body.collect(limit: 100)) ?? []
            var response = Response(head: HTTPResponse(status: .ok), body: .bytes(body))
            if body.isEmpty { response.body = .stream { _ in } }
            let behind = request.trailers?()
            response.trailers = { behind }
            return response
        }
        let name = HTTPField.Name("grpc-status")!
        let head = HTTPRequest(method: .post, scheme: "http", authority: "web.test", path: "/")
        for body: RequestBody in [.bytes([1]), pieces([[1], [2]]), .bytes([])] {
            let got = try await Got(web.client.send(head, body: body, trailers: { [name: "0"] }))
            #expect(got.trailers == [name: "0"])
        }
        #expect(try await web.ask(.post, body: .bytes([1])).trailers == nil)
        await web.stop()
    }

    @Test func answersWithoutABodyHaveNone() async throws {
        let web = try await Web { request in
            switch request.head.path {
            case "/none": Response(head: HTTPResponse(status: .noContent))
            case "/same": Response(head: HTTPResponse(status: .notModified), body: .stream { _ in Issue.record("run") })
            default: text("hello")
            }
        }
        #expect(try await web.ask(.get, "/none").code == 204)
        #expect(try await web.ask(.get, "/same").code == 304)
        let head = try await web.ask(.head)
        #expect(head.code == 200 && head.body.isEmpty)
        #expect(try await web.ask().body == Array("hello".utf8))
        await web.stop()
    }

    @Test func manyRequestsShareAFewConnections() async throws {
        let connections = Mutex(Set<Bool>())
        let web = try await Web(Web.limits { $0.http2?.streams = 10 }) { request in
            connections.withLock { _ = $0.insert(request.peer.isHTTP2) }
            await Task.yield()
            return text(request.head.path ?? "")
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<400 {
                group.addTask { try await web.ask(.get, "/\(number)").body == Array("/\(number)".utf8) }
            }
            for try await isRight in group { #expect(isRight) }
        }
        await web.stop()
    }

    @Test func aPortSpeaksBothProtocols() async throws {
        let web = try await Web { text($0.peer.isHTTP2 ? "2" : "1") }
        let old = HTTPClient(endpoint: .unix("web"), serverName: "x", in: web.world)
        for _ in 0..<3 {
            #expect(try await web.ask().body == Array("2".utf8))
            let answer = try await old.send(HTTPRequest(method: .get, scheme: "http", authority: "x", path: "/"))
            #expect(try await answer.body.collect(limit: 10) == Array("1".utf8))
        }
        old.close()
        await web.stop()
    }

    @Test func anUpgradeIsSentToHTTP1() async throws {
        let web = try await Web { _ in
            Response(head: HTTPResponse(status: .switchingProtocols), body: .upgrade { _ in Issue.record("run") })
        }
        await #expect(throws: StreamReset.self) { _ = try await web.ask() }
        await web.stop()
    }

    @Test func aHandlerThatBreaksOffIsSeenToDoSo() async throws {
        let web = try await Web { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { writer in
                    try await writer.write([1, 2, 3])
                    throw NetworkError.closed
                })
        }
        await #expect(throws: StreamReset.self) { _ = try await web.ask() }
        await web.stop()
    }

    @Test func piecesThatAreJoinedComeInTheirOrder() async throws {
        let web = try await Web { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { writer in
                    try await writer.write(joining: [[1, 2], [], [3]])
                    try await writer.write(joining: [])
                    try await writer.write(joining: [[4]])
                })
        }
        #expect(try await web.ask().body == [1, 2, 3, 4])
        await web.stop()
    }

    @Test func aClientThatLeavesCancelsItsHandler() async throws {
        let begun = Mutex(false)
        let cancelled = Mutex(false)
        let web = try await Web { _ in
            begun.withLock { $0 = true }
            try? await Task.sleep(for: .seconds(3600))
            cancelled.withLock { $0 = true }
            return text("")
        }
        let task = Task { try await web.ask() }
        await web.until { begun.withLock { $0 } }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        await web.until { cancelled.withLock { $0 } }
        await web.stop()
    }

    @Test func aSlowReaderHoldsNeitherMuchNorTheOthers() async throws {
        let written = Mutex(0)
        let web = try await Web { request in
            if request.head.path == "/quick" { return text("quick") }
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { writer in
                    for _ in 0..<1000 {
                        try await writer.write([UInt8](repeating: 1, count: 10_000))
                        written.withLock { $0 += 10_000 }
                    }
                })
        }
        let head = HTTPRequest(method: .get, scheme: "http", authority: "web.test", path: "/slow")
        var answers: [ClientResponse] = []
        for _ in 0..<20 { answers.append(try await web.client.send(head)) }
        var last = -1
        for _ in 0..<2000 where written.withLock({ $0 }) != last || last == 0 {
            last = written.withLock { $0 }
            for _ in 0..<100 { await Task.yield() }
        }
        let bound = 20 * (HTTPBounds.clientStreamWindow + WebLink.queueLimit + 20_000) + 400_000
        #expect(last > 0 && last <= bound)
        #expect(try await web.ask(.get, "/quick").body == Array("quick".utf8))
        #expect(try await answers[7].body.collect(limit: 1 << 24).count == 10_000_000)
        answers = []
        await web.stop()
    }

    @Test func aBodyOverTheLimitIsRefused() async throws {
        let web = try await Web(Web.limits { $0.body = 1000 }) { request in
            do { return text("\(try await request.body.collect(limit: .max).count)") } catch {
                return text("\(error)", status: .contentTooLarge)
            }
        }
        #expect(try await web.ask(.post, body: .bytes([UInt8](repeating: 1, count: 1000))).code == 200)
        #expect(try await web.ask(.post, body: .bytes([UInt8](repeating: 1, count: 1001))).code == 413)
        let endless = RequestBody.stream { [UInt8](repeating: 1, count: 100) }
        #expect(try await web.ask(.post, body: endless).code == 413)
        #expect(try await web.ask().code == 200)
        await web.stop()
    }

    @Test func aServerThatStopsAnswersWhatHasBegun() async throws {
        let begun = Mutex(false)
        let go = Mutex(false)
        let web = try await Web { request in
            begun.withLock { $0 = true }
            while !go.withLock({ $0 }) { await Task.yield() }
            return text("done")
        }
        async let answer = web.ask()
        await web.until { begun.withLock { $0 } }
        async let stopped: Void = web.server.shutdown(grace: .seconds(1000))
        for _ in 0..<500 { await Task.yield() }
        go.withLock { $0 = true }
        #expect(try await answer.body == Array("done".utf8))
        await stopped
        await #expect(throws: (any Error).self) { _ = try await web.ask() }
        web.client.close()
    }

    @Test func connectionsThatRetireLoseNoRequest() async throws {
        let web = try await Web { request in
            for _ in 0..<5 { await Task.yield() }
            return text(request.head.path ?? "")
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<8 {
                group.addTask {
                    for turn in 0..<40 {
                        let path = "/\(number)/\(turn)"
                        if try await web.ask(.post, path, body: .bytes([1])).body != Array(path.utf8) { return false }
                    }
                    return true
                }
            }
            for _ in 0..<20 {
                web.server.retireConnections()
                for _ in 0..<200 { await Task.yield() }
            }
            for try await isRight in group { #expect(isRight) }
        }
        await web.stop()
    }

    /// As many clients as servers restart: no request of the one before is lost.
    @Test func aClientGoesOnWithTheNextServer() async throws {
        let web = try await Web { _ in text("one") }
        #expect(try await web.ask().body == Array("one".utf8))
        await web.server.shutdown(grace: .seconds(5))
        let next = try await HTTPServer.start(
            on: .unix("web"), in: web.world, limits: Web.limits(), logger: Logger(label: "test"),
            handler: Handler { _ in text("two") })
        #expect(try await web.ask().body == Array("two".utf8))
        await next.shutdown(grace: .zero)
        web.client.close()
    }

    @Test func overTLSTheProtocolIsAgreedOn() async throws {
        let authorities = try TestCertificates.trusted().keyPair.certificatePEM
        let tls = try TLSServer(identity: try TestCertificates.server(), alpn: ["h2", "http/1.1"])
        let world = try Reactor(name: "test")
        let result = await world.spawnValue { () -> Result<Void, any Error> in
            do {
                let server = try await HTTPServer.start(
                    on: .ip("127.0.0.1", port: 0), in: world, tls: tls, limits: Web.limits(),
                    logger: Logger(label: "test"),
                    handler: Handler { text("\($0.peer.isHTTP2) \($0.head.scheme ?? "")") })
                let new = HTTP2Client(
                    endpoint: server.endpoint, serverName: "api.test", in: world,
                    tls: try TLSClient(authoritiesPEM: authorities, alpn: ["h2"]))
                let old = HTTPClient(
                    endpoint: server.endpoint, serverName: "api.test", in: world,
                    tls: try TLSClient(authoritiesPEM: authorities))
                let head = HTTPRequest(method: .get, scheme: "https", authority: "api.test", path: "/")
                #expect(try await Got(new.send(head)).body == Array("true https".utf8))
                #expect(try await Got(old.send(head)).body == Array("false https".utf8))
                new.close()
                old.close()
                await server.shutdown(grace: .zero)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        world.shutdown()
        try result.get()
    }
}
