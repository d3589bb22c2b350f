import MartletBase
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
}
