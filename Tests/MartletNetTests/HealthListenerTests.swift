import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import Testing

@testable import MartletNet
@testable import MartletRoutes

@Suite("Where the health of Services is told") struct HealthListenerTests {
    @Test("by both kinds of addresses, and at a port that another program has had as soon as that is gone")
    func everywhereAtLast() async throws {
        let world = try Reactor()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        // Another program is there first.
        let other = try await HTTPServer.start(
            on: .ip("0.0.0.0", port: 0), in: world, logger: logger, handler: Nobody())
        guard case .ip(_, let port) = other.endpoint else { return }
        let health = ServiceHealth(service: ServiceName(namespace: "ns", name: "web"), localEndpoints: 2)
        let listeners = HealthListeners(world, logger, retryEvery: .milliseconds(20))
        await listeners.keep([port: health])
        func told(_ address: String) async -> Int? {
            let client = HTTPClient(endpoint: .ip(address, port: port), serverName: "", in: world)
            defer { client.close() }
            let request = HTTPRequest(method: .get, scheme: "http", authority: "health", path: "/healthz")
            guard let answer = try? await client.send(request), answer.head.status == .ok else { return nil }
            return try? await answer.body.collect(limit: 4096).count
        }
        #expect(await told("127.0.0.1") == nil)
        if Files.exists("/proc/net/if_inet6") { #expect(await told("::1") ?? 0 > 0) }
        await other.shutdown(grace: .zero)
        while await told("127.0.0.1") == nil { try await world.sleep(for: .milliseconds(10)) }
        await listeners.keep([:])
        #expect(await told("127.0.0.1") == nil)
        world.shutdown()
    }
}

private final class Nobody: RequestHandler {
    func handle(_ request: Request) async -> Response {
        Response(status: .notFound, contentType: "text/plain", bytes: [])
    }
}
