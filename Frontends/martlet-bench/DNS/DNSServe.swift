import ArgumentParser
import HTTPTypes
import Logging
import MartletBase
import MartletClient
import MartletHTTP
import MartletIO
import MartletNet
import MartletObject

/// `martlet-bench dns-serve`: the node's DNS over an API of this process' own, for the bench to ask.
struct DNSServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns-serve", abstract: "The server that the bench of the DNS asks.", shouldDisplay: false)

    @Option(help: "Where to answer, on loopback.") var port: UInt16
    @Option(help: "Names of Services.") var names = 10_000
    @Flag(help: "Send every datagram back as it is.") var echo = false

    func run() async throws {
        let world = try Reactor(name: "dns")
        let endpoint = Endpoint.ip("127.0.0.1", port: port)
        if echo {
            let port = try world.receiveDatagrams(on: endpoint) { bytes, _, answer in
                bytes.withUnsafeBufferPointer { answer.append(contentsOf: $0) }
            }
            try await world.sleep(for: .seconds(86_400))
            return port.close()
        }
        let api = CannedServices(count: names)
        try await withTaskExecutorPreference(world.executor) {
            let client = Client(transport: InProcessTransport(in: world) { api.handle($0) }, in: world)
            let server = try await DNSServer.start(
                DNSServerConfiguration(endpoint: endpoint), client: client, in: world, logger: Logger(label: "dns"))
            try await world.sleep(for: .seconds(86_400))
            await server.stop()
        }
    }
}

/// An API that has Services and nothing else, and in which nothing changes.
private struct CannedServices: Sendable {
    let list: [UInt8]
    private static let nothing = #"{"metadata":{"resourceVersion":"1"},"items":[]}"#

    init(count: Int) {
        let items = (0..<count).map { number -> JSON in
            [
                "metadata": ["name": .string("service-\(number)"), "namespace": "default", "resourceVersion": "1"],
                "spec": ["clusterIP": .string(DNSNames.address(number)), "ports": [["name": "http", "port": 80]]],
            ]
        }
        list = (["metadata": ["resourceVersion": "1"], "items": .array(items)] as JSON).encoded()
    }

    func handle(_ request: Request) -> Response {
        let target = request.head.path ?? ""
        if target.contains("watch=true") {
            var head = HTTPResponse(status: .ok)
            head.headerFields[.contentType] = "application/json"
            return Response(
                head: head,
                body: .stream { _ in
                    let (never, _) = AsyncStream<Void>.makeStream()
                    for await _ in never {}
                })
        }
        let bytes = target.hasPrefix(ResourceKind.service.path()) ? list : Array(Self.nothing.utf8)
        return Response(status: .ok, contentType: "application/json", bytes: bytes)
    }
}
