import HTTPTypes
import Logging
import MartletBase
import MartletIO
import MartletPKI
import Synchronization
import Testing

@testable import MartletHTTP

/// Runs a story on a real reactor, with a server on loopback.
private func onLoopback(
    limits: HTTPServerLimits = .init(), tls: TLSServer? = nil, client trust: TLSClient? = nil,
    _ answer: @escaping @Sendable (Request) async -> Response,
    _ story: @escaping @Sendable (HTTPClient, HTTPServer, Reactor) async throws -> Void
) async throws {
    let world = try Reactor(name: "test")
    let result = await world.spawnValue { () -> Result<Void, any Error> in
        do {
            let server = try await HTTPServer.start(
                on: .ip("127.0.0.1", port: 0), in: world, tls: tls, limits: limits, logger: Logger(label: "test"),
                handler: Handler(answer))
            let client = HTTPClient(endpoint: server.endpoint, serverName: "api.test", in: world, tls: trust)
            let story = await { () async -> Result<Void, any Error> in
                do {
                    try await story(client, server, world)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }()
            client.close()
            await server.shutdown(grace: .zero)
            return story
        } catch {
            return .failure(error)
        }
    }
    world.shutdown()
    try result.get()
}

private func get(_ path: String) -> HTTPRequest {
    HTTPRequest(method: .get, scheme: "http", authority: nil, path: path)
}

private func post(_ path: String) -> HTTPRequest {
    HTTPRequest(method: .post, scheme: "http", authority: nil, path: path)
}

/// Answers with the request's body, piece by piece.
private func echo(_ request: Request) async -> Response {
    guard case .stream(let next) = request.body else {
        return Response(status: .ok, contentType: "x/y", bytes: (try? await request.body.collect(limit: 1 << 20)) ?? [])
    }
    return Response(
        head: HTTPResponse(status: .ok),
        body: .stream { out in while let piece = try await next() { try await out.write(piece) } })
}

@Suite struct Loopback {
    @Test func aThousandRequestsTakeOneConnection() async throws {
        let peers = Mutex<Set<String>>([])
        try await onLoopback { request in
            peers.withLock { _ = $0.insert("\(request.peer.endpoint.map(\.description) ?? "")") }
            return text(request.head.path ?? "")
        } _: { client, _, _ in
            for number in 0..<1000 {
                let answer = try await client.send(get("/\(number)"))
                #expect(try await answer.body.collect(limit: 100) == Array("/\(number)".utf8))
            }
        }
        #expect(peers.withLock { $0.count } == 1)
    }

    /// Each answer of a server that leaves ends its connection, and the client comes again until it has heard: between
    /// two of its connections there is nobody.
    @Test func aServerThatLeavesWaitsForThoseWhoComeAgain() async throws {
        try await onLoopback { _ in
            text("ok")
        } _: { client, server, world in
            _ = try await client.send(get("/")).body.collect(limit: 100)
            let leaving = world.spawn { await server.drain(settle: .seconds(4), grace: .seconds(1)) }
            for _ in 0..<5 {
                try await world.sleep(for: .milliseconds(100))
                let answer = try await client.send(post("/"), body: .bytes([1]))
                #expect(answer.head.status == .ok)
                _ = try await answer.body.collect(limit: 100)
            }
            await leaving.value
        }
    }

    /// A client that sends its whole body before it reads: a reset would cost it the answer.
    @Test(arguments: ["Connection: close", "Expect: 100-continue", "Connection: keep-alive"])
    func anAnswerBeforeTheEndOfTheBodyArrives(field: String) async throws {
        let size = 24 << 20
        var limits = HTTPServerLimits()
        limits.body = 1 << 30
        try await onLoopback(limits: limits) { _ in
            text("too large", status: .contentTooLarge)
        } _: { _, server, world in
            let stream = try await world.connect(to: server.endpoint)
            let head = "POST / HTTP/1.1\r\nHost: x\r\n\(field)\r\nContent-Length: \(size)\r\n\r\n"
            try await stream.write(Array(head.utf8))
            let piece = [UInt8](repeating: 7, count: 64 << 10)
            for _ in 0..<size / piece.count { try await stream.write(piece) }
            await stream.closeWrite()
            var bytes: [UInt8] = []
            while true {
                let more = try await stream.read(atMost: 1024)
                if more.isEmpty { break }
                bytes += more
            }
            let answer = String(decoding: bytes, as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix("too large"))
            stream.close()
        }
    }

    @Test func twoHundredConnectionsAreServedAtOnce() async throws {
        let open = Mutex(0)
        let all = Signal()
        try await onLoopback { _ in
            if open.withLock({ count in
                count += 1
                return count == 200
            }) {
                all.set()
            }
            await all.wait()
            return text("x")
        } _: { client, _, _ in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<200 { group.addTask { try await client.send(get("/")).head.status.code } }
                for try await code in group { #expect(code == 200) }
            }
        }
    }

    @Test(arguments: [1, 40_000, 3_000_000])
    func aBodyComesBackAsItWasSent(size: Int) async throws {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await onLoopback(echo) { client, _, _ in
            let whole = try await client.send(post("/"), body: .bytes(body))
            #expect(try await whole.body.collect(limit: .max) == body)
            let rest = Mutex(body[...])
            let streamed = try await client.send(
                post("/"),
                body: .stream {
                    rest.withLock { rest in
                        defer { rest = rest.dropFirst(10_000) }
                        return rest.isEmpty ? nil : Array(rest.prefix(10_000))
                    }
                })
            #expect(try await streamed.body.collect(limit: .max) == body)
            // The connection is still in step.
            #expect(try await client.send(get("/")).head.status == .ok)
        }
    }

    @Test func anAnswerThatIsDroppedEndsItsProducer() async throws {
        let ended = Signal()
        try await onLoopback { _ in
            Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    defer { ended.set() }
                    try await out.write([65])
                    await untilCancelled()
                })
        } _: { client, _, _ in
            do {
                let answer = try await client.send(get("/"))
                guard case .stream(let next) = answer.body else { throw NetworkError.closed }
                #expect(try await next() == [65])
            }
            await ended.wait()
        }
    }

    @Test func aCancelledRequestEndsItsConnection() async throws {
        let started = Signal()
        let ended = Signal()
        try await onLoopback { request in
            if request.head.path == "/quick" { return text("x") }
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { out in
                    defer { ended.set() }
                    try await out.write([65])
                    started.set()
                    await untilCancelled()
                })
        } _: { client, _, world in
            let reading = world.spawn {
                do {
                    _ = try await client.send(get("/")).body.collect(limit: 100)
                    Issue.record("the body has no end")
                } catch {
                    #expect(error is CancellationError)
                }
            }
            await started.wait()
            reading.cancel()
            await reading.value
            await ended.wait()
            let next = try await client.send(get("/quick"))
            #expect(next.head.status == .ok)
        }
    }

    @Test func aConnectionThatTheServerClosedIsReplaced() async throws {
        var limits = HTTPServerLimits()
        limits.idleTimeout = .milliseconds(50)
        try await onLoopback(limits: limits) { _ in
            text("x")
        } _: { client, _, world in
            for _ in 0..<3 {
                let answer = try await client.send(post("/"), body: .bytes([1]))
                #expect(answer.head.status == .ok)
                // Longer than the server keeps it.
                try await world.sleep(for: .milliseconds(150))
            }
        }
    }

    @Test func anUpgradedConnectionCarriesBytesBothWays() async throws {
        try await onLoopback { _ in
            var head = HTTPResponse(status: .switchingProtocols)
            head.headerFields[.upgrade] = "echo"
            return Response(
                head: head,
                body: .upgrade { stream in
                    try? await stream.write(Array("hello".utf8))
                    while let bytes = try? await stream.read(atMost: 100), !bytes.isEmpty {
                        try? await stream.write(bytes)
                    }
                })
        } _: { client, _, _ in
            var request = get("/")
            request.headerFields[.connection] = "Upgrade"
            request.headerFields[.upgrade] = "echo"
            let answer = try await client.send(request)
            let stream = try #require(answer.upgraded)
            var all: [UInt8] = []
            while all.count < 5 { all += try await stream.read(atMost: 100) }
            try await stream.write(Array(" you".utf8))
            while all.count < 9 { all += try await stream.read(atMost: 100) }
            #expect(String(decoding: all, as: UTF8.self) == "hello you")
            await stream.closeWrite()
            #expect(try await stream.read(atMost: 100) == [])
        }
    }

    @Test func aServerThatIsGoneIsAnError() async throws {
        try await onLoopback { _ in
            text("x")
        } _: { client, server, _ in
            let answer = try await client.send(get("/"))
            #expect(answer.head.status == .ok)
            await server.shutdown(grace: .zero)
            await #expect(throws: NetworkError.self) { _ = try await client.send(get("/")) }
        }
    }

    @Test func anEarlyRefusalIsReadThoughTheBodyIsStillGoingOut() async throws {
        var limits = HTTPServerLimits()
        limits.body = 1000
        try await onLoopback(limits: limits) { _ in
            text("never")
        } _: { client, _, _ in
            let answer = try await client.send(post("/"), body: .bytes([UInt8](repeating: 0, count: 200_000)))
            #expect(answer.head.status.code == 413)
        }
    }

    @Test func theHandlerSeesWhoAsksOverTLSAndGarbageHarmsNobody() async throws {
        let authority = try TestCertificates.trusted().keyPair.certificatePEM
        let tls = try TLSServer(
            identity: try TestCertificates.server(), clients: .optional(authoritiesPEM: authority))
        let trust = try TLSClient(
            authoritiesPEM: authority, identity: try TestCertificates.client("jane", groups: ["a", "b"]))
        try await onLoopback(tls: tls, client: trust) { request in
            let who = request.peer.certificate
            return text("\(request.head.scheme ?? "") \(who?.commonName ?? "nobody") \(who?.organizations ?? [])")
        } _: { client, server, world in
            let garbage = try await world.connect(to: server.endpoint)
            try await garbage.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            while let bytes = try? await garbage.read(atMost: 100), !bytes.isEmpty {}
            for _ in 0..<3 {
                let answer = try await client.send(get("/"))
                let body = try await answer.body.collect(limit: 100)
                #expect(String(decoding: body, as: UTF8.self) == "https jane [\"a\", \"b\"]")
            }
        }
    }
}
