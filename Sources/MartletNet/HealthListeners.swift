internal import HTTPTypes
internal import Logging
internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletObject
internal import MartletRoutes
internal import Synchronization

/// Tells load balancers outside whether this host has endpoints of a Service: at each `healthCheckNodePort`, by IPv4
/// and, where the host has it, IPv6.
actor HealthListeners {
    /// Services that are told of; more are not.
    static let limit = 1024

    private struct Port {
        let answer: HealthAnswer
        var servers: [String: HTTPServer] = [:]
        /// Why it does not listen everywhere, as last said.
        var fault = ""
    }
    private var ports: [UInt16: Port] = [:]
    private let world: any World
    private let logger: Logger
    private let retryEvery: Duration
    private var retry: Task<Void, Never>?
    private let addresses: [String]

    /// - Parameter retryEvery: how soon a port that another program has is tried again.
    init(_ world: any World, _ logger: Logger, retryEvery: Duration = .seconds(5)) {
        self.world = world
        self.logger = logger
        self.retryEvery = retryEvery
        addresses = ["0.0.0.0"] + (Files.exists("/proc/net/if_inet6") ? ["::"] : [])
    }

    /// Listens at these ports and no others.
    func keep(_ wanted: [UInt16: ServiceHealth]) async {
        for (number, port) in ports where wanted[number] == nil {
            ports[number] = nil
            for server in port.servers.values { await server.shutdown(grace: .seconds(1)) }
        }
        for (number, health) in wanted {
            if let port = ports[number] {
                port.answer.health.withLock { $0 = health }
            } else if ports.count < Self.limit {
                ports[number] = Port(answer: HealthAnswer(health))
            }
        }
        await listen()
        if isComplete {
            retry?.cancel()
            retry = nil
        } else if retry == nil {
            retry = world.spawn { [weak self] in await self?.listenUntilComplete() }
        }
    }

    private var isComplete: Bool { ports.values.allSatisfy { $0.servers.count == addresses.count } }

    private func listenUntilComplete() async {
        while !isComplete, (try? await world.sleep(for: retryEvery)) != nil { await listen() }
        if !Task.isCancelled { retry = nil }
    }

    private func listen() async {
        for (number, port) in ports {
            for address in addresses where port.servers[address] == nil {
                var server: HTTPServer?
                var fault = ""
                do {
                    server = try await HTTPServer.start(
                        on: .ip(address, port: number), in: world, logger: logger, handler: port.answer)
                } catch { fault = "\(error)" }
                // Another call may have been as quick, or the port is not wanted any more.
                guard ports[number]?.answer === port.answer, ports[number]?.servers[address] == nil else {
                    await server?.shutdown(grace: .zero)
                    continue
                }
                ports[number]?.servers[address] = server
                if fault.isEmpty || fault == ports[number]?.fault { continue }
                ports[number]?.fault = fault
                let service = port.answer.health.withLock { $0.service }
                logger.warning(
                    "the health of \(service) is not told at \(address) port \(number): it is tried again",
                    metadata: ["error": "\(fault)"])
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
