import HTTPTypes
import MartletBase
import MartletHTTP
import Synchronization
import Testing

/// Counts what has gone through somewhere.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add(_ amount: Int) { count.withLock { $0 += amount } }
}

@Suite("Bodies through the proxy") struct BodyTests {
    static let piece = [UInt8](repeating: 7, count: 64 * 1024)
    /// More than all buffers between a client and a pod hold: sockets, TLS and read-ahead of three hops.
    static let pieces = 1600

    @Test("a body of 100 MB goes up and its like comes down, whole")
    func large() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                guard case .stream(let next) = request.body else { return text("no stream") }
                var head = HTTPResponse(status: .ok)
                head.headerFields[.contentType] = "application/octet-stream"
                return Response(
                    head: head,
                    body: .stream { writer in while let piece = try await next() { try await writer.write(piece) } })
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let left = Mutex(Self.pieces)
            let body = RequestBody.stream {
                left.withLock { left in
                    left -= 1
                    return left >= 0 ? Self.piece : nil
                }
            }
            let answer = try await net.client().send(net.request("web.test", "/", .post), body: body)
            guard case .stream(let next) = answer.body else {
                Issue.record("the answer did not stream")
                return
            }
            var received = 0
            while let piece = try await next() { received += piece.count }
            #expect(received == Self.pieces * Self.piece.count)
        }
    }

    @Test("a pod that reads nothing holds its client back; nothing in between takes it all in")
    func slowPod() async throws {
        try await TestNet.run { net in
            let goOn = Signal()
            let pod = try await net.backend { request in
                guard request.head.method == .post else { return text("ready") }
                await goOn.wait()
                var count = 0
                guard case .stream(let next) = request.body else { return text("no stream") }
                while let piece = try? await next() { count += piece.count }
                return text("\(count)")
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let sent = Counter()
            let body = RequestBody.stream {
                guard sent.value < Self.pieces else { return nil }
                sent.add(1)
                return Self.piece
            }
            async let answer = net.ask("web.test", "/", .post, body: body)
            // Held back, the client comes to a halt: two looks a while apart see the same.
            var before = -1
            try await net.until {
                defer { before = sent.value }
                try await net.world.sleep(for: .milliseconds(200))
                return sent.value > 0 && sent.value == before
            }
            #expect(sent.value < Self.pieces / 2, "\(sent.value) pieces were taken from the client")
            goOn.set()
            #expect(try await answer.body == "\(Self.pieces * Self.piece.count)")
        }
    }

    @Test("a client that reads nothing holds its pod back, and a client that leaves stops it")
    func slowClient() async throws {
        try await TestNet.run { net in
            let written = Counter()
            let ended = Signal()
            let pod = try await net.backend { request in
                guard request.head.path == "/endless" else { return text("ready") }
                return Response(
                    head: HTTPResponse(status: .ok),
                    body: .stream { writer in
                        defer { ended.set() }
                        while true {
                            try await writer.write(Self.piece)
                            written.add(1)
                        }
                    })
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            var answer: ClientResponse? = try await net.client().send(net.request("web.test", "/endless"))
            var before = -1
            try await net.until {
                defer { before = written.value }
                try await net.world.sleep(for: .milliseconds(200))
                return written.value > 0 && written.value == before
            }
            #expect(written.value < Self.pieces / 2, "\(written.value) pieces were taken from the pod")
            #expect(answer?.head.status == .ok)
            answer = nil
            await ended.wait()
        }
    }

    @Test("each piece of a streamed answer arrives when it is written, not when the next one is")
    func promptly() async throws {
        try await TestNet.run { net in
            let seen = Signal()
            let pod = try await net.backend { request in
                guard request.head.path == "/events" else { return text("ready") }
                return Response(
                    head: HTTPResponse(status: .ok),
                    body: .stream { writer in
                        try await writer.write(Array("one".utf8))
                        await seen.wait()
                        try await writer.write(Array("two".utf8))
                    })
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            let answer = try await net.client().send(net.request("web.test", "/events"))
            guard case .stream(let next) = answer.body else {
                Issue.record("the answer did not stream")
                return
            }
            #expect(try await next() == Array("one".utf8))
            seen.set()
            #expect(try await next() == Array("two".utf8))
            #expect(try await next() == nil)
        }
    }

    @Test("a pod that breaks in the middle of its answer does not look as if it had ended")
    func brokenAnswer() async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { request in
                guard request.head.path == "/breaks" else { return text("ready") }
                return Response(
                    head: HTTPResponse(status: .ok),
                    body: .stream { writer in
                        try await writer.write(Array("half".utf8))
                        throw NetworkError.closed
                    })
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            await #expect(throws: (any Error).self) { try await net.ask("web.test", "/breaks") }
        }
    }

    @Test("an upgrade goes through both hops and carries bytes both ways until one side ends")
    func upgrade() async throws {
        try await TestNet.run { net in
            let ended = Signal()
            let pod = try await net.backend { request in
                guard request.head.headerFields[.upgrade] == "websocket" else { return text("ready") }
                var head = HTTPResponse(status: .switchingProtocols)
                head.headerFields[.upgrade] = "websocket"
                head.headerFields[.secWebSocketAccept] = "yes"
                return Response(
                    head: head,
                    body: .upgrade { stream in
                        try? await stream.write(Array("welcome".utf8))
                        while let bytes = try? await stream.read(atMost: 1024), !bytes.isEmpty {
                            try? await stream.write(bytes.reversed())
                        }
                        ended.set()
                    })
            }
            net.serve("web.test", [pod.endpoint])
            try await net.eventually("web.test") { $0.code == 200 }
            var head = net.request("web.test", "/socket")
            head.headerFields[.connection] = "keep-alive, Upgrade"
            head.headerFields[.upgrade] = "websocket"
            let answer = try await net.client().send(head)
            #expect(answer.head.status == .switchingProtocols)
            #expect(answer.head.headerFields[.upgrade] == "websocket")
            #expect(answer.head.headerFields[.secWebSocketAccept] == "yes")
            let stream = try #require(answer.upgraded)
            func expect(_ text: String) async throws {
                var bytes: [UInt8] = []
                while bytes.count < text.utf8.count { bytes += try await stream.read(atMost: 1024) }
                #expect(String(decoding: bytes, as: UTF8.self) == text)
            }
            try await expect("welcome")
            for word in ["abc", "12345"] {
                try await stream.write(Array(word.utf8))
                try await expect(String(word.reversed()))
            }
            await stream.closeWrite()
            await ended.wait()
            #expect(try await stream.read(atMost: 1).isEmpty)
        }
    }
}
