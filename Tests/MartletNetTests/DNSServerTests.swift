import Logging
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes
import Testing

/// A question for an address, recursion desired.
private func question(_ name: String, id: UInt8 = 7) -> [UInt8] {
    var bytes: [UInt8] = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
    return bytes + [0, 0, 1, 0, 1]
}

/// Its answer with one address.
private func answer(_ question: some Collection<UInt8>, _ address: [UInt8]) -> [UInt8] {
    var bytes = Array(question)
    bytes[2] |= 0x80
    bytes[7] = 1
    return bytes + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4] + address
}

@Suite("A node's DNS") struct DNSServerTests {
    private let api = TestAPI()

    /// One of its own: a port that datagrams have found free is nobody's for connections either.
    private static let address = "127.0.0.54"

    private func run(
        upstreams: [Endpoint] = [], _ body: (DNSServer, Endpoint, Reactor) async throws -> Void
    ) async throws {
        let world = try Reactor()
        try await withTaskExecutorPreference(world.executor) {
            let client = Client(transport: InProcessTransport(in: world) { [api] in await api.handle($0) }, in: world)
            api.put(.service, TestService.web)
            var configuration = DNSServerConfiguration(endpoint: .ip(Self.address, port: 0))
            configuration.upstreams = upstreams
            let server = try await DNSServer.start(
                configuration, client: client, in: world,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            for _ in 0..<1000 where !server.isSynced { try await world.sleep(for: .milliseconds(10)) }
            try await body(server, try #require(server.endpoint), world)
            await server.stop()
            #expect(server.endpoint == nil)
        }
        world.shutdown()
    }

    private enum TestService {
        static let web: JSON = [
            "metadata": ["name": "web", "namespace": "default"],
            "spec": ["clusterIP": "10.96.0.9", "ports": [["port": 80]]],
        ]
    }

    private func ask(_ name: String, _ endpoint: Endpoint, _ world: Reactor) async throws -> [UInt8] {
        let stream = try world.datagramStream(to: endpoint, from: 0)
        defer { stream.close() }
        try await stream.write(question(name))
        return try await stream.read(atMost: 4096)
    }

    @Test("answers over UDP and TCP, and hears of changes")
    func answers() async throws {
        try await run { _, endpoint, world in
            let name = "web.default.svc.cluster.local"
            #expect(try await ask(name, endpoint, world).suffix(4) == [10, 96, 0, 9])
            let stream = try await world.connect(to: endpoint)
            let message = question(name)
            // Two questions in one write, cut where it hurts.
            let frames = [0, UInt8(message.count)] + message
            try await stream.write(frames + frames.prefix(9))
            var got: [UInt8] = []
            while got.count < 4 { got += try await stream.read(atMost: 4096) }
            try await stream.write(Array(frames.dropFirst(9)))
            let length = Int(got[1]) + 2
            while got.count < 2 * length { got += try await stream.read(atMost: 4096) }
            #expect(got[..<length] == got[length...])
            #expect(got.suffix(4) == [10, 96, 0, 9])
            stream.close()
            var moved = TestService.web
            moved["spec", "clusterIP"] = "10.96.0.10"
            api.put(.service, moved)
            var last: [UInt8] = []
            for _ in 0..<500 where last.suffix(4) != [10, 96, 0, 10] {
                last = try await ask(name, endpoint, world)
                try await world.sleep(for: .milliseconds(10))
            }
            #expect(last.suffix(4) == [10, 96, 0, 10])
        }
    }

    @Test("a client that holds all connections is left one fewer when another comes")
    func crowded() async throws {
        try await run { _, endpoint, world in
            var idle: [any ByteStream] = []
            for _ in 0..<128 { idle.append(try await world.connect(to: endpoint)) }
            let message = question("web.default.svc.cluster.local")
            let frame = [0, UInt8(message.count)] + message
            // The last one's answer says that all are held; the oldest, asking after it, is not the idlest.
            for index in [127, 0] {
                try await idle[index].write(frame)
                #expect(try await idle[index].read(atMost: 4096).isEmpty == false)
            }
            let fresh = try await world.connect(to: endpoint)
            try await fresh.write(frame)
            #expect(try await fresh.read(atMost: 4096).isEmpty == false)
            try await idle[0].write(frame)
            #expect(try await idle[0].read(atMost: 4096).isEmpty == false)
            #expect((try? await idle[1].read(atMost: 4096))?.isEmpty ?? true)
            fresh.close()
            for stream in idle { stream.close() }
        }
    }

    @Test("asks another resolver, from a port of its own, and keeps the answer")
    func forwards() async throws {
        let world = try Reactor()
        let upstream = try world.receiveDatagrams(on: .ip("127.0.0.1", port: 0)) { bytes, _, reply in
            var copy: [UInt8] = []
            for index in 0..<max(0, bytes.count - 11) { copy.append(bytes[index]) }
            if copy.count > 12 { copy[11] = 0 }
            // The probe for loops is another type, and of no interest.
            if copy.count > 12, copy[copy.count - 3] == 1 { reply = answer(copy, [192, 0, 2, 9]) }
        }
        try await run(upstreams: [upstream.endpoint]) { _, endpoint, world in
            let fresh = try await ask("www.outside.test", endpoint, world)
            #expect(fresh.suffix(4) == [192, 0, 2, 9])
            upstream.close()
            let kept = try await ask("www.outside.test", endpoint, world)
            #expect(kept.suffix(4) == [192, 0, 2, 9])
        }
        world.shutdown()
    }

    @Test("a resolver that refuses at once does not cost a client its time")
    func refused() async throws {
        let world = try Reactor()
        let gone = try world.receiveDatagrams(on: .ip("127.0.0.1", port: 0)) { _, _, _ in }
        let endpoint = gone.endpoint
        gone.close()
        world.shutdown()
        try await Task.sleep(for: .milliseconds(50))
        try await run(upstreams: [endpoint]) { _, endpoint, world in
            let began = world.now()
            let answer = try await ask("www.outside.test", endpoint, world)
            #expect(answer[3] & 15 == 2)
            #expect(world.now() - began < .seconds(1))
        }
    }
}
