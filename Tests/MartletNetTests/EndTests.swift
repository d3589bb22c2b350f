import HTTPTypes
import Logging
import MartletBase
import MartletClient
import MartletHTTP
import MartletNet
import MartletPKI
import Testing

/// Tells whether something is still there.
private final class Weak<Object: AnyObject & Sendable>: Sendable {
    weak let object: Object?
    init(_ object: Object) { self.object = object }
}

@Suite("After the end") struct EndTests {
    private func client(_ net: TestNet) -> Client {
        let api = net.api
        return Client(transport: InProcessTransport(in: net.world) { await api.handle($0) }, in: net.world)
    }

    private func ingressThatServedAndStopped(_ net: TestNet) async throws -> Weak<Ingress> {
        let ingress = try await Ingress.start(
            on: .ip(net.address, port: 0), nodeName: "n2", ownAddresses: [], client: client(net), node: client(net),
            in: net.world, logger: Logger(label: "test"))
        let plain = net.plainClient(try #require(ingress.endpoint))
        #expect(try await net.ask("nobody.test", through: plain).code >= 400)
        plain.close()
        await ingress.stop()
        #expect(ingress.endpoint == nil)
        return Weak(ingress)
    }

    private func edgeThatServedAndStopped(_ net: TestNet) async throws -> Weak<Edge> {
        let pair = try TestNet.certificate(for: TestNet.fallbackName)
        let fallback = try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM)
        let edge = try await Edge.start(
            EdgeConfiguration(
                secure: .ip(net.address, port: 0), plain: .ip(net.address, port: 0), fallback: fallback,
                publishedAddresses: ["192.0.2.1"]),
            client: client(net), in: net.world, logger: Logger(label: "test"))
        let secure = HTTPClient(
            endpoint: edge.endpoints[0], serverName: TestNet.fallbackName, in: net.world, tls: net.tls)
        #expect(try await net.ask("nobody.test", through: secure).code >= 400)
        secure.close()
        // As virtual addresses ask it, over connections that are kept.
        try await edge.ask()
        try await edge.ask()
        await edge.stop()
        #expect(edge.endpoints.isEmpty)
        await #expect(throws: NetworkError.self) { try await edge.ask() }
        return Weak(edge)
    }

    @Test("nothing of an ingress that was stopped stays")
    func ingressIsFreed() async throws {
        try await TestNet.run { net in
            let ingress = try await ingressThatServedAndStopped(net)
            try await net.until { ingress.object == nil }
        }
    }

    @Test("nothing of an edge that was stopped stays")
    func edgeIsFreed() async throws {
        try await TestNet.run { net in
            let edge = try await edgeThatServedAndStopped(net)
            try await net.until { edge.object == nil }
        }
    }
}
