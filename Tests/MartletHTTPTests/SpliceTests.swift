import MartletBase
import Synchronization
import Testing

@testable import MartletHTTP

@Suite struct SpliceTests {
    /// Waits until `isTrue`, with time standing still.
    private func settle(_ isTrue: () -> Bool) async {
        while !isTrue() { await Task.yield() }
    }

    @Test(.timeLimit(.minutes(1))) func aClientThatHangsIsLeftAMomentAfterTheServersEnd() async throws {
        let world = PipeWorld()
        let (user, client) = PipeStream.pair()
        let (server, backend) = PipeStream.pair()
        let done = Task {
            await Splice.run(client, server, idle: .seconds(3600), farewell: .seconds(5), in: world)
        }
        try await backend.write(Array("last words".utf8))
        await backend.closeWrite()
        #expect(try await user.read(atMost: 100) == Array("last words".utf8))
        #expect(try await user.read(atMost: 100) == [])
        // The user says nothing and closes nothing.
        await settle { world.sleepers == 2 }
        world.advance(by: .seconds(5))
        await done.value
        await #expect(throws: NetworkError.self) { try await client.read(atMost: 1) }
    }

    @Test(.timeLimit(.minutes(1))) func aClientThatHasSaidAllIsServedOn() async throws {
        let world = PipeWorld()
        let (user, client) = PipeStream.pair()
        let (server, backend) = PipeStream.pair()
        let done = Task {
            await Splice.run(client, server, idle: .seconds(3600), farewell: .seconds(5), in: world)
        }
        await user.closeWrite()
        #expect(try await backend.read(atMost: 1) == [])
        await settle { world.sleepers == 1 }
        world.advance(by: .seconds(60))
        try await backend.write([7])
        #expect(try await user.read(atMost: 1) == [7])
        await backend.closeWrite()
        await done.value
    }

    @Test(.timeLimit(.minutes(1))) func lastWordsOfAServerThatTakesNoMoreAreCarried() async throws {
        let (user, client) = PipeStream.pair()
        let server = Deaf(lastWords: Array("got hi".utf8))
        let done = Task {
            await Splice.run(client, server, idle: .seconds(3600), farewell: .zero, in: PipeWorld())
        }
        try await user.write([1])
        #expect(try await user.read(atMost: 100) == Array("got hi".utf8))
        #expect(try await user.read(atMost: 100) == [])
        await user.closeWrite()
        await done.value
    }
}

/// A side that has gone: it takes nothing, and what it said before is read only after that was noticed.
private final class Deaf: ByteStream {
    private let refusals: AsyncStream<Void>
    private let refused: AsyncStream<Void>.Continuation
    private let words: Mutex<[UInt8]>

    init(lastWords: [UInt8]) {
        (refusals, refused) = AsyncStream.makeStream()
        words = Mutex(lastWords)
    }

    var peer: Endpoint? { nil }
    func write(_ bytes: [UInt8]) async throws {
        refused.finish()
        throw NetworkError.closed
    }
    func read(atMost limit: Int) async throws -> [UInt8] {
        for await _ in refusals {}
        return words.withLock { words in
            defer { words = [] }
            return words
        }
    }
    func closeWrite() async {}
    func close() { words.withLock { $0 = [] } }
}
