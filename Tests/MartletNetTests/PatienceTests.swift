import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletRoutes
import Synchronization
import Testing

@testable import MartletNet

/// A world whose clock goes on by hand only, so that a busy machine is no slow peer.
private final class HandClock: World {
    let world: Reactor
    private let time = Mutex(MonotonicTime(nanoseconds: 1))

    init(_ world: Reactor) { self.world = world }

    func advance(_ step: Duration) { time.withLock { $0 = $0 + step } }

    var executor: any TaskExecutor { world.executor }
    func now() -> MonotonicTime { time.withLock { $0 } }
    func wallTime() -> WallTime { world.wallTime() }
    func sleep(until deadline: MonotonicTime) async throws {
        while now() < deadline { try await world.sleep(for: .milliseconds(1)) }
    }
    func random() -> UInt64 { world.random() }
    func connect(to endpoint: Endpoint) async throws -> any ByteStream { try await world.connect(to: endpoint) }
    func listen(on endpoint: Endpoint) async throws -> any StreamListener { try await world.listen(on: endpoint) }
}

@Suite("Patience with exchanges") struct PatienceTests {
    @Test("an exchange that stands still is given up; one that moves may take as long as it likes")
    func stillAndMoving() async throws {
        let world = try Reactor()
        let clock = HandClock(world)
        let patience = Patience(.seconds(10), in: clock)
        await #expect(throws: NetworkError.timedOut("the answer")) {
            try await patience.wait("the answer") { _ in
                while true {
                    clock.advance(.seconds(1))
                    try await world.sleep(for: .milliseconds(1))
                }
            }
        }
        let answer = try await patience.wait("the answer") { exchange in
            for _ in 0..<20 {
                clock.advance(.seconds(6))
                try await world.sleep(for: .milliseconds(5))
                exchange.moved()
            }
            return 42
        }
        #expect(answer == 42)
        world.shutdown()
    }

    @Test("what arms its breaker is ended by that, and needs no task of its own")
    func attended() async throws {
        let world = try Reactor()
        let clock = HandClock(world)
        let patience = Patience(.seconds(10), in: clock)
        await #expect(throws: NetworkError.timedOut("the answer")) {
            try await patience.attend("the answer") { exchange in
                let end = Signal()
                exchange.breaker.arm { end.set() }
                clock.advance(.seconds(11))
                await end.wait()
                throw NetworkError.closed
            }
        }
        // A failure of its own stays what it is.
        await #expect(throws: NetworkError.closed) {
            try await patience.attend("the answer") { _ in throw NetworkError.closed }
        }
        world.shutdown()
    }

    @Test("who waits and is cancelled gives the exchange up")
    func cancelled() async throws {
        let world = try Reactor()
        let patience = Patience(.seconds(60), in: world)
        let result = Mutex<Bool?>(nil)
        let waiting = world.spawn {
            do { try await patience.wait("it") { _ in try await world.sleep(for: .seconds(60)) } } catch {
                result.withLock { $0 = error is CancellationError }
            }
        }
        waiting.cancel()
        await waiting.value
        #expect(result.withLock { $0 } == true)
        world.shutdown()
    }

    @Test("a connection that nobody takes says that nothing was sent")
    func connectLimit() async throws {
        let world = try Reactor()
        let limited = ConnectLimit(world: world, limit: .milliseconds(50))
        await #expect(throws: NotConnected.self) { _ = try await limited.connect(to: .ip("127.2.0.1", port: 1)) }
        world.shutdown()
    }

    @Test("a pod that does not answer costs its client 504; an upload that goes on slowly is not cut")
    func forwarderIsPatient() async throws {
        try await TestNet.run { net in
            let clock = HandClock(net.world)
            let forwarder = try Forwarder(world: clock, logger: Logger(label: "test"))
            let goOn = Signal()
            let pod = try await net.backend { request in
                if request.head.method == .get {
                    clock.advance(Forwarder.answerLimit * 2)
                    await goOn.wait()
                }
                let body = (try? await request.body.collect(limit: 1000)) ?? []
                return text("\(body.count)")
            }
            func forward(_ method: HTTPRequest.Method, _ body: RequestBody = .bytes([])) async -> Response {
                let head = net.request("web.test", "/", method)
                return await forwarder.forward(
                    head, Request(head: head, body: body), to: [pod.endpoint], ForwardPlan(name: "web")
                ).response
            }
            #expect(await forward(.get).head.status == .gatewayTimeout)
            goOn.set()
            let left = Counter()
            let slow = RequestBody.stream {
                clock.advance(Forwarder.answerLimit / 2)
                try await net.world.sleep(for: .milliseconds(5))
                left.add(1)
                return left.value <= 10 ? [1] : nil
            }
            let answer = await forward(.post, slow)
            #expect(answer.head.status == .ok)
            guard case .bytes(let bytes) = answer.body else {
                Issue.record("the answer's body is not all there")
                return
            }
            #expect(bytes == Array("10".utf8))
            forwarder.keep(only: [])
        }
    }

    /// A client that says nothing and ends with its connection.
    private final class Mute: ByteStream {
        private let end = Signal()
        var peer: Endpoint? { nil }
        func read(atMost limit: Int) async throws -> [UInt8] {
            await end.wait()
            return []
        }
        func write(_ bytes: [UInt8]) async throws {}
        func closeWrite() async {}
        func close() { end.set() }
    }

    @Test(
        "an upgraded connection on which nothing moves is ended, also where its route says nothing of silence",
        .timeLimit(.minutes(1)))
    func silentUpgrade() async throws {
        try await TestNet.run { net in
            let clock = HandClock(net.world)
            let forwarder = try Forwarder(world: clock, logger: Logger(label: "test"))
            let ended = Signal()
            let pod = try await net.backend { _ in
                var head = HTTPResponse(status: .switchingProtocols)
                head.headerFields[.upgrade] = "silence"
                return Response(
                    head: head,
                    body: .upgrade { stream in
                        _ = try? await stream.read(atMost: 1)
                        ended.set()
                    })
            }
            let head = net.request("web.test", "/", .get, [.connection: "Upgrade", .upgrade: "silence"])
            let answer = await forwarder.forward(
                head, Request(head: head, body: .bytes([])), to: [pod.endpoint], ForwardPlan(name: "web")
            ).response
            guard case .upgrade(let run) = answer.body else {
                Issue.record("the answer is no upgrade")
                return
            }
            let time = net.world.spawn {
                while !Task.isCancelled {
                    clock.advance(.seconds(30))
                    try? await net.world.sleep(for: .milliseconds(1))
                }
            }
            await run(Mute())
            await ended.wait()
            time.cancel()
            forwarder.keep(only: [])
        }
    }

    @Test("an edge is no less patient than the most patient route")
    func edgePatience() {
        var longest = RouteTimeouts()
        func plan() -> RouteTimeouts { ForwardPlan(toIngressesAllowing: longest).timeouts }
        #expect(plan() == RouteTimeouts())
        (longest.read, longest.send) = (.seconds(5), .seconds(5))
        #expect(plan() == RouteTimeouts(), "others say nothing, and have the longer limits")
        (longest.read, longest.send) = (.seconds(120), .seconds(600))
        #expect(plan().read == .seconds(305) && plan().send == .seconds(605))
        longest.read = .seconds(3600)
        #expect(plan().read == .seconds(3605))
    }

    /// Asks a pod that answers with `pieces`, and gives the answer's body to `read`.
    private func stream(
        _ pieces: @escaping @Sendable (any BodyWriter) async throws -> Void,
        to read:
            @escaping @Sendable (
                _ body: @Sendable (any BodyWriter) async throws -> Void, HandClock, TestNet
            ) async throws -> Void
    ) async throws {
        try await TestNet.run { net in
            let clock = HandClock(net.world)
            let forwarder = try Forwarder(world: clock, logger: Logger(label: "test"))
            let pod = try await net.backend { _ in Response(head: HTTPResponse(status: .ok), body: .stream(pieces)) }
            let head = net.request("web.test")
            let answer = await forwarder.forward(
                head, Request(head: head, body: .bytes([])), to: [pod.endpoint], ForwardPlan(name: "web")
            ).response
            guard case .stream(let body) = answer.body else {
                Issue.record("the answer does not stream")
                return
            }
            try await read(body, clock, net)
            forwarder.keep(only: [])
        }
    }

    /// A client that does something with each piece.
    private struct Reader: BodyWriter {
        var take: @Sendable () async throws -> Void
        func write(_ bytes: [UInt8]) async throws { try await take() }
    }

    @Test("a pod that stands still in the middle of its answer is given up", .timeLimit(.minutes(1)))
    func stalledAnswer() async throws {
        let end = Signal()
        try await stream { writer in
            try await writer.write([1])
            await end.wait()
        } to: { body, clock, net in
            let time = net.world.spawn {
                while !Task.isCancelled {
                    clock.advance(.seconds(30))
                    try? await net.world.sleep(for: .milliseconds(1))
                }
            }
            await #expect(throws: NetworkError.timedOut("the answer's body")) { try await body(Reader {}) }
            time.cancel()
            end.set()
        }
    }

    @Test("an answer that goes on slowly is not cut")
    func slowAnswer() async throws {
        let taken = Counter()
        try await stream { writer in
            for number in 1...6 {
                try await writer.write([1])
                while taken.value < number { await Task.yield() }
            }
        } to: { body, clock, net in
            try await body(
                Reader {
                    clock.advance(Forwarder.bodyLimit / 2)
                    try await net.world.sleep(for: .milliseconds(5))
                    taken.add(1)
                })
            #expect(taken.value == 6)
        }
    }
}
