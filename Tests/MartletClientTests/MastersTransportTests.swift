import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import Synchronization
import Testing

@testable import MartletClient

/// A master that may fall silent: then it takes requests and answers nothing.
private final class Pretender: RequestHandler {
    let name: String
    let isSilent = Atomic<Bool>(false)
    let isLed = Atomic<Bool>(true)
    private let world: any World

    init(_ name: String, _ world: any World) {
        self.name = name
        self.world = world
    }

    func handle(_ request: Request) async -> Response {
        if isSilent.load(ordering: .relaxed) { try? await world.sleep(for: .seconds(60)) }
        switch request.head.path {
        case "/readyz":
            let code = isLed.load(ordering: .relaxed) ? 200 : 500
            return Response(status: .init(code: code), contentType: "text/plain", bytes: [])
        case "/watch":
            let world = self.world
            return Response(
                head: HTTPResponse(status: .ok),
                body: .stream { writer in
                    try await writer.write(Array("first\n".utf8))
                    try await world.sleep(for: .seconds(60))
                })
        default: return Response(status: .ok, contentType: "text/plain", bytes: Array(name.utf8))
        }
    }
}

private func withMasters(
    _ body: @escaping @Sendable (MastersTransport, [Pretender], [HTTPServer], Reactor) async throws -> Void
) async throws {
    let world = try Reactor()
    defer { world.shutdown() }
    try await Task(executorPreference: world.executor) {
        let masters = ["a", "b"].map { Pretender($0, world) }
        var servers: [HTTPServer] = []
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        for master in masters {
            servers.append(
                try await HTTPServer.start(
                    on: .ip("127.0.0.1", port: 0), in: world, tls: nil, logger: logger, handler: master))
        }
        let transport = MastersTransport(servers.map(\.endpoint), in: world, tls: nil)
        transport.start()
        try await body(transport, masters, servers, world)
        transport.stop()
        for server in servers { await server.shutdown(grace: .zero) }
    }.value
}

private func name(_ transport: MastersTransport) async throws -> String {
    let answer = try await transport.send(Client.request(.get, "/name"), body: [])
    return String(decoding: try await answer.body.collect(limit: 100), as: UTF8.self)
}

@Suite(.serialized) struct MastersTransportTests {
    @Test func aMasterThatFallsSilentIsLeftWithinASecond() async throws {
        try await withMasters { transport, masters, _, world in
            let first = try await name(transport)
            let answer = try await transport.send(Client.request(.get, "/watch"), body: [])
            guard case .stream(let next) = answer.body else { throw CancellationError() }
            #expect(try await next() == Array("first\n".utf8))
            masters.first { $0.name == first }?.isSilent.store(true, ordering: .relaxed)
            let began = world.now()
            await #expect(throws: (any Error).self) { while try await next() != nil {} }
            let took = world.now() - began
            #expect(took < .milliseconds(1500), "the watch ended after \(took)")
            #expect(try await name(transport) != first)
        }
    }

    @Test func requestsUnderWayAreSentToAnotherWhereThatIsSafe() async throws {
        try await withMasters { transport, masters, _, _ in
            let first = try await name(transport)
            masters.first { $0.name == first }?.isSilent.store(true, ordering: .relaxed)
            #expect(try await name(transport) != first)
        }
        try await withMasters { transport, masters, _, _ in
            let first = try await name(transport)
            masters.first { $0.name == first }?.isSilent.store(true, ordering: .relaxed)
            await #expect(throws: (any Error).self) {
                _ = try await transport.send(Client.request(.post, "/name"), body: [])
            }
        }
    }

    @Test func aMasterWithoutLeaderOrThatIsGoneIsLeft() async throws {
        try await withMasters { transport, masters, servers, world in
            let first = try await name(transport)
            masters.first { $0.name == first }?.isLed.store(false, ordering: .relaxed)
            try await world.sleep(for: .milliseconds(900))
            let second = try await name(transport)
            #expect(second != first)
            let gone = try #require(masters.firstIndex { $0.name == second })
            masters[1 - gone].isLed.store(true, ordering: .relaxed)
            await servers[gone].shutdown(grace: .zero)
            try await world.sleep(for: .milliseconds(100))
            // Not a byte has left: even a POST goes elsewhere.
            let answer = try await transport.send(Client.request(.post, "/name"), body: [])
            #expect(try await answer.body.collect(limit: 10) == Array(first.utf8))
        }
    }

    @Test func anotherListLeavesTheOneInUseWhereItIs() async throws {
        try await withMasters { transport, _, servers, _ in
            let first = try await name(transport)
            let more = Endpoint.ip("127.0.0.1", port: 9)
            transport.setEndpoints([more] + servers.map(\.endpoint))
            #expect(try await name(transport) == first)
            #expect(transport.endpoints.count == 3)
            transport.setEndpoints([more])
            #expect(transport.endpoints == [more])
        }
    }
}
