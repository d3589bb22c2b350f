import MartletBase
import MartletPKI
import Testing

@testable import MartletHTTP

@Suite("TLS streams") struct TLSStreamTests {
    typealias Certificates = TestCertificates

    /// Both ends of a connection, and the transport under each.
    struct Link {
        var server: TLSStream
        var client: TLSStream
        var underServer: TLSMemoryPipe
        var underClient: TLSMemoryPipe
    }

    func link() async throws -> Link {
        let server = try TLSServer(identity: try Certificates.server())
        let client = try TLSClient(authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM)
        let (here, there) = TLSMemoryPipe.pair()
        async let accepted = server.accept(here)
        let connected = try await client.connect(there, serverName: "api.test")
        return Link(server: try await accepted, client: connected, underServer: here, underClient: there)
    }

    /// Bytes that a shifted or reordered copy would not match.
    static func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = MartletBase.SplitMix64(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    static func readAll(_ stream: TLSStream) async throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let bytes = try await stream.read(atMost: 100_000)
            if bytes.isEmpty { return all }
            all += bytes
        }
    }

    @Test("ten megabytes go each way at once, whole and in order")
    func bothWaysAtOnce() async throws {
        let link = try await link()
        let (up, down) = (Self.pattern(10_000_000, seed: 1), Self.pattern(10_000_000, seed: 2))
        async let received = Self.readAll(link.server)
        async let answered = Self.readAll(link.client)
        async let sent: Void = {
            try await link.client.write(up)
            await link.client.closeWrite()
        }()
        try await link.server.write(down)
        await link.server.closeWrite()
        try await sent
        #expect(try await received == up)
        #expect(try await answered == down)
        #expect(link.server.endedCleanly)
        #expect(link.client.endedCleanly)
    }

    @Test("after one side's end the other may still write")
    func halfClose() async throws {
        let link = try await link()
        try await link.client.write([1])
        await link.client.closeWrite()
        await link.client.closeWrite()
        #expect(try await Self.readAll(link.server) == [1])
        try await link.server.write([2, 3])
        await link.server.closeWrite()
        #expect(try await Self.readAll(link.client) == [2, 3])
        await #expect(throws: NetworkError.closed) { try await link.client.write([4]) }
    }

    @Test("a stream cut without close_notify ends, but not cleanly")
    func truncation() async throws {
        let link = try await link()
        try await link.client.write([1])
        await link.underClient.closeWrite()
        #expect(try await Self.readAll(link.server) == [1])
        #expect(!link.server.endedCleanly)
    }

    @Test("a record changed on its way is an error on one side and an alert on the other")
    func changedRecord() async throws {
        let link = try await link()
        try await link.underClient.write([23, 3, 3, 0, 32] + [UInt8](repeating: 7, count: 32))
        do {
            _ = try await Self.readAll(link.server)
            Issue.record("a forged record was taken")
        } catch {
            #expect("\(error)".hasPrefix("a record was changed on its way"))
        }
        do {
            _ = try await Self.readAll(link.client)
            Issue.record("the alert was not seen")
        } catch {
            #expect("\(error)".hasPrefix("a record was changed on its way"))
        }
    }

    @Test("a write that fails ends the stream: nothing is sent after lost records")
    func failedWrite() async throws {
        let link = try await link()
        link.underServer.close()
        for _ in 0..<2 {
            await #expect(throws: NetworkError.closed) { try await link.client.write([1]) }
        }
        await #expect(throws: NetworkError.closed) { try await link.client.read(atMost: 1) }
    }

    @Test("closing lets a reader go")
    func closing() async throws {
        let link = try await link()
        async let reading = outcome { try await link.server.read(atMost: 10) }
        link.server.close()
        link.server.close()
        let result = await reading
        #expect(throws: NetworkError.closed) { try result.get() }
    }

    private func outcome(_ work: () async throws -> [UInt8]) async -> Result<[UInt8], any Error> {
        do { return .success(try await work()) } catch { return .failure(error) }
    }

    @Test("many small writes from one task arrive whole")
    func smallWrites() async throws {
        let link = try await link()
        async let received = Self.readAll(link.server)
        for count in 0..<500 { try await link.client.write([UInt8](repeating: UInt8(count & 255), count: count)) }
        await link.client.closeWrite()
        #expect(try await received == (0..<500).flatMap { [UInt8](repeating: UInt8($0 & 255), count: $0) })
    }

    @Test("turns are taken in the order of asking")
    func turns() async {
        let turn = Turn()
        await turn.take()
        #expect(!turn.takeIfFree())
        async let second: Void = turn.take()
        turn.pass()
        await second
        #expect(!turn.takeIfFree())
        turn.pass()
        #expect(turn.takeIfFree())
    }
}
