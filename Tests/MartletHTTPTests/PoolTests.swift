import MartletBase
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
        await pool.keep(oldest)
        await pool.keep(newest)
        await endOfOldest.closeWrite()
        #expect(try await endOfOldest.read(atMost: 1) == [])
        #expect(pool.count == 1)
        #expect(await pool.take() === newest)
        withExtendedLifetime(endOfNewest) {}
    }

    @Test func keepsNoConnectionThatHasEndedBefore() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (connection, far) = connection()
        await far.closeWrite()
        await pool.keep(connection)
        #expect(try await far.read(atMost: 1) == [])
        #expect(pool.count == 0)
    }

    @Test func closesWhatNobodyNeededThoughALaterOneIsUsedAllTheTime() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (oldest, endOfOldest) = connection()
        let (busy, endOfBusy) = connection()
        await pool.keep(oldest)
        await pool.keep(busy)
        world.advance(by: HTTPBounds.clientIdle - .seconds(1))
        #expect(await pool.take() === busy)
        await pool.keep(busy)
        #expect(pool.count == 2)
        world.advance(by: .seconds(1))
        #expect(await pool.take() === busy)
        #expect(pool.count == 0)
        #expect(try await endOfOldest.read(atMost: 1) == [])
        withExtendedLifetime(endOfBusy) {}
    }

    @Test func leavesAConnectionThatSomebodyHasTakenToThem() async throws {
        let pool = ConnectionPool(limit: 8, world: world)
        let (connection, far) = connection()
        await pool.keep(connection)
        let taken = try #require(await pool.take())
        await far.closeWrite()
        // Its user learns of the end, and may still send.
        #expect(try await taken.inbound.awaitBytes() == false)
        try await taken.stream.write([7])
        #expect(try await far.read(atMost: 10) == [7])
    }
}
