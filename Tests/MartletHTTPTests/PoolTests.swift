import MartletBase
import Synchronization
import Testing

@testable import MartletHTTP

// A server's end of a pipe reads nothing more once the client has closed its own: that is how these tests see it.
@Suite(.timeLimit(.minutes(1))) struct TheConnectionPool {
    private let world = PipeWorld()

    /// A connection and its server's end.
    private func connection() -> (ClientConnection, PipeStream) {
        let (near, far) = PipeStream.pair()
        return (ClientConnection(near, in: world), far)
    }

    @Test func closesAConnectionThatItsServerEndsWhileItIsIdle() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (oldest, endOfOldest) = connection()
        let (newest, endOfNewest) = connection()
        pool.keep(oldest)
        pool.keep(newest)
        await endOfOldest.closeWrite()
        #expect(try await endOfOldest.read(atMost: 1) == [])
        #expect(pool.count == 1)
        #expect(pool.take() === newest)
        withExtendedLifetime(endOfNewest) {}
    }

    @Test func keepsNoConnectionThatHasEndedBefore() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (connection, far) = connection()
        await far.closeWrite()
        pool.keep(connection)
        #expect(try await far.read(atMost: 1) == [])
        #expect(pool.count == 0)
    }

    /// An answer that was still coming when its client was given up.
    @Test func keepsNoneOnceItHasEnded() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (idle, endOfIdle) = connection()
        let (late, endOfLate) = connection()
        pool.keep(idle)
        pool.end()
        pool.keep(late)
        #expect(try await endOfIdle.read(atMost: 1) == [])
        #expect(try await endOfLate.read(atMost: 1) == [])
        #expect(pool.count == 0)
    }

    @Test func closesWhatNobodyNeededThoughALaterOneIsUsedAllTheTime() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (oldest, endOfOldest) = connection()
        let (busy, endOfBusy) = connection()
        pool.keep(oldest)
        pool.keep(busy)
        world.advance(by: HTTPBounds.clientIdle - .seconds(1))
        #expect(pool.take() === busy)
        pool.keep(busy)
        #expect(pool.count == 2)
        world.advance(by: .seconds(1))
        #expect(pool.take() === busy)
        #expect(pool.count == 0)
        #expect(try await endOfOldest.read(atMost: 1) == [])
        withExtendedLifetime(endOfBusy) {}
    }

    @Test func findsWhatComesWhileAReadIsPendingOrBeforeOneIs() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in UInt8(0)..<8 {
                let pool = ConnectionPool(limit: 1, world: world)
                let (connection, far) = connection()
                group.addTask {
                    for round in UInt8(0)..<50 {
                        pool.keep(connection)
                        let taken = try #require(pool.take())
                        try await far.write([number, round])
                        #expect(try await taken.inbound.read(atMost: 1) == [number])
                        #expect(try await taken.inbound.read(atMost: 1) == [round])
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func leavesAConnectionThatSomebodyHasTakenToThem() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (connection, far) = connection()
        pool.keep(connection)
        let taken = try #require(pool.take())
        await far.closeWrite()
        // Its user learns of the end, and may still send.
        #expect(try await taken.inbound.awaitBytes() == false)
        try await taken.stream.write([7])
        #expect(try await far.read(atMost: 10) == [7])
    }
}

@Suite(.timeLimit(.minutes(1))) struct ABreaker {
    @Test func endsWhatItIsArmedWithOnceAndAtOnceWhenItIsBrokenBefore() {
        let ended = Mutex<[String]>([])
        let breaker = Breaker()
        breaker.arm { ended.withLock { $0.append("old") } }
        breaker.arm { ended.withLock { $0.append("new") } }
        #expect(!breaker.isBroken)
        breaker.break()
        breaker.break()
        #expect(breaker.isBroken && ended.withLock { $0 } == ["new"])
        breaker.arm { ended.withLock { $0.append("late") } }
        #expect(ended.withLock { $0 } == ["new", "late"])
    }

    @Test func endsNothingThatIsDisarmed() {
        let breaker = Breaker()
        breaker.arm { Issue.record("nobody waits any more") }
        breaker.disarm()
        breaker.break()
    }
}
