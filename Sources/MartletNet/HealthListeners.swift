internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletObject
internal import MartletRoutes
internal import Synchronization

/// Tells load balancers outside whether this host has endpoints of a Service: one HTTP server a `healthCheckNodePort`.
actor HealthListeners {
    /// Services that are told of; more are not.
    static let limit = 1024

    private var servers: [UInt16: (server: HTTPServer, answer: HealthAnswer)] = [:]
    private let world: any World
    private let logger: Logger

    init(_ world: any World, _ logger: Logger) {
        self.world = world
        self.logger = logger
    }

    /// Listens at these ports and no others.
    func keep(_ wanted: [UInt16: ServiceHealth]) async {
        for (port, entry) in servers where wanted[port] == nil {
            servers[port] = nil
            await entry.server.shutdown(grace: .seconds(1))
        }
        for (port, health) in wanted {
            if let entry = servers[port] {
                entry.answer.health.withLock { $0 = health }
                continue
            }
            if servers.count >= Self.limit { continue }
            let answer = HealthAnswer(health)
            do {
                let server = try await HTTPServer.start(
                    on: .ip("0.0.0.0", port: port), in: world, logger: logger, handler: answer)
                servers[port] = (server, answer)
            } catch {
                logger.warning("the health of \(health.service) is not told", metadata: ["error": "\(error)"])
            }
        }
    }
}

/// kube-proxy's answer.
private final class HealthAnswer: RequestHandler {
    let health: Mutex<ServiceHealth>

    init(_ health: ServiceHealth) { self.health = Mutex(health) }

    func handle(_ request: Request) async -> Response {
        let health = self.health.withLock { $0 }
        let body: JSON = [
            "service": ["namespace": .string(health.service.namespace), "name": .string(health.service.name)],
            "localEndpoints": .int(Int64(health.localEndpoints)), "serviceProxyHealthy": true,
        ]
        var response = Response(
            status: health.localEndpoints > 0 ? .ok : .serviceUnavailable, contentType: "application/json",
            bytes: body.encoded())
        if let weight = HTTPField.Name("X-Load-Balancing-Endpoint-Weight") {
            response.head.headerFields[weight] = String(health.localEndpoints)
        }
        return response
    }
}
