import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import Synchronization
import Testing

@testable import MartletNet

@Suite("Patience with exchanges") struct PatienceTests {
    @Test("an exchange that stands still is given up; one that moves may take as long as it likes")
    func stillAndMoving() async throws {
        let world = try Reactor()
        let patience = Patience(.milliseconds(100), in: world)
        await #expect(throws: NetworkError.timedOut("the answer")) {
            try await patience.wait("the answer") { _ in try await world.sleep(for: .seconds(60)) }
        }
        let answer = try await patience.wait("the answer") { exchange in
            for _ in 0..<20 {
                try await world.sleep(for: .milliseconds(20))
                exchange.moved()
            }
            return 42
        }
        #expect(answer == 42)
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
            let forwarder = Forwarder(
                world: net.world, logger: Logger(label: "test"), answerLimit: .milliseconds(200))
            let goOn = Signal()
            let pod = try await net.backend { request in
                if request.head.method == .get { await goOn.wait() }
                let body = (try? await request.body.collect(limit: 1000)) ?? []
                return text("\(body.count)")
            }
            func forward(_ method: HTTPRequest.Method, _ body: RequestBody = .bytes([])) async -> Response {
                let head = net.request("web.test", "/", method)
                return await forwarder.forward(head, Request(head: head, body: body), to: [pod.endpoint], of: "web")
            }
            #expect(await forward(.get).head.status == .gatewayTimeout)
            goOn.set()
            let left = Counter()
            let slow = RequestBody.stream {
                try await net.world.sleep(for: .milliseconds(50))
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
}
