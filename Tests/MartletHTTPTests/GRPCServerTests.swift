import HTTPTypes
import Logging
import MartletBase
import MartletIO
import MartletPKI
import Synchronization
import Testing

@testable import MartletHTTP

/// A service made of closures.
struct Methods: GRPCService {
    var methods: [String: GRPCMethod]
    func method(at path: String) -> GRPCMethod? { methods[path] }

    static let echo = Methods(methods: [
        "/t.T/Echo": .unary { request, _ in request },
        "/t.T/Fail": .unary { request, _ in
            throw GRPCStatus(code: 5, message: String(decoding: request, as: UTF8.self))
        },
        "/t.T/Whoami": .unary { _, context in
            Array("\(context.metadata["token"] ?? "-") \(context.peer.certificate?.commonName ?? "-")".utf8)
        },
        "/t.T/Each": .stream { call in
            call.setTrailers(["x-count": "all"])
            while let message = try await call.next() { try await call.send(message) }
        },
    ])
}

/// Runs a story in the pipe world, with a server of these methods and a channel to it.
func withServer(
    _ service: any GRPCService = Methods.echo, limits: GRPCServerLimits = .init(),
    _ story: (GRPCChannel, GRPCServer, PipeWorld) async throws -> Void
) async throws {
    let world = PipeWorld()
    let server = try await GRPCServer.start(
        on: .unix("grpc"), in: world, limits: limits, logger: Logger(label: "test"), service: service)
    let channel = GRPCChannel(endpoint: .unix("grpc"), authority: "localhost", in: world)
    try await story(channel, server, world)
    channel.close()
    await server.shutdown(grace: .zero)
}

/// The outcome of a call that must not succeed.
func failure(_ call: () async throws -> Void) async -> GRPCStatus? {
    do {
        try await call()
        return nil
    } catch {
        return error as? GRPCStatus
    }
}

@Suite(.timeLimit(.minutes(1))) struct GRPCServerCalls {
    @Test func unaryCallsAreAnswered() async throws {
        try await withServer { channel, _, _ in
            for count in [3, 0, 3_000_000] {
                let message = [UInt8](repeating: 7, count: count)
                let answer = try await channel.unary("/t.T/Echo", message, timeout: .seconds(5))
                #expect(answer == message)
            }
        }
    }

    /// As etcdctl 3.4 names it, against HTTP's rules.
    @Test func anAuthorityMayBeAURL() async throws {
        try await withServer { _, _, world in
            let channel = GRPCChannel(endpoint: .unix("grpc"), authority: "http://127.0.0.1:2379", in: world)
            defer { channel.close() }
            let answer = try await channel.unary("/t.T/Echo", [1], timeout: .seconds(5))
            #expect(answer == [1])
        }
    }

    @Test func manyCallsShareOneConnection() async throws {
        try await withServer { channel, _, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let message = Array("\(number)".utf8)
                        return try await channel.unary("/t.T/Echo", message, timeout: .seconds(20)) == message
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func failuresAreToldInWords() async throws {
        try await withServer { channel, _, _ in
            let told = await failure {
                _ = try await channel.unary("/t.T/Fail", Array("nö: 50%\n".utf8), timeout: .seconds(5))
            }
            #expect(told == GRPCStatus(code: 5, message: "nö: 50%\n"))
            let unknown = await failure { _ = try await channel.unary("/t.T/No", [], timeout: .seconds(5)) }
            #expect(unknown == GRPCStatus(code: 12, message: "unknown method /t.T/No"))
        }
    }

    @Test func metadataReachesTheMethod() async throws {
        try await withServer { channel, _, _ in
            let answer = try await channel.unary(
                "/t.T/Whoami", [], metadata: ["token": "abc"], timeout: .seconds(5))
            #expect(answer == Array("abc -".utf8))
        }
    }

    @Test func messagesStreamBothWays() async throws {
        try await withServer { channel, _, _ in
            let stream = try channel.stream("/t.T/Each")
            for number in 0..<50 {
                try await stream.send([UInt8(number)])
                #expect(try await stream.next() == [UInt8(number)])
            }
            stream.closeSend()
            #expect(try await stream.next() == nil)
            #expect(stream.metadata["x-count"] == "all")
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct GRPCServerOverTLS {
    /// Runs a story on a real reactor, over loopback and TLS with client certificates.
    func onLoopback(_ story: @escaping @Sendable (GRPCChannel) async throws -> Void) async throws {
        let authorities = try TestCertificates.trusted().keyPair.certificatePEM
        let tls = try TLSServer(
            identity: try TestCertificates.server(), clients: .required(authoritiesPEM: authorities), alpn: ["h2"])
        let trust = try TLSClient(
            authoritiesPEM: authorities, identity: try TestCertificates.client("jane"), alpn: ["h2"])
        let world = try Reactor(name: "test")
        let result = await world.spawnValue { () -> Result<Void, any Error> in
            do {
                let server = try await GRPCServer.start(
                    on: .ip("127.0.0.1", port: 0), in: world, tls: tls, logger: Logger(label: "test"),
                    service: Methods.echo)
                let channel = GRPCChannel(endpoint: server.endpoint, authority: "api.test", in: world, tls: trust)
                try await story(channel)
                channel.close()
                await server.shutdown(grace: .zero)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        world.shutdown()
        try result.get()
    }

    @Test func theClientCertificateNamesThePeer() async throws {
        try await onLoopback { channel in
            let answer = try await channel.unary("/t.T/Whoami", [], timeout: .seconds(20))
            #expect(answer == Array("- jane".utf8))
        }
    }

    @Test func callsAndStreamsRunTogether() async throws {
        try await onLoopback { channel in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let message = [UInt8](repeating: UInt8(number & 255), count: number * 37)
                        return try await channel.unary("/t.T/Echo", message, timeout: .seconds(20)) == message
                    }
                }
                for number in 0..<20 {
                    group.addTask {
                        let stream = try channel.stream("/t.T/Each")
                        let message = [UInt8](repeating: UInt8(number), count: 50_000)
                        for _ in 0..<20 { try await stream.send(message) }
                        stream.closeSend()
                        var count = 0
                        while let answer = try await stream.next() { count += answer == message ? 1 : 0 }
                        return count == 20
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }
}
