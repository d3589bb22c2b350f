import MartletIO
import MartletPKI
import MartletTesting

@testable import Martlet

/// Three masters of one cluster in one process, over loopback, with mutual TLS.
struct Masters {
    static let names = ["deadlock", "coup", "autocrat"]
    let folder: String
    let peers: [String: UInt16]
    let apis: [String: UInt16]

    init() async throws {
        folder = "/tmp/martlet-masters-\(UInt32.random(in: .min ... .max))"
        let world = try Reactor()
        defer { world.shutdown() }
        let ports = try await Task(executorPreference: world.executor) {
            try await Self.freePorts(2 * Self.names.count, world)
        }.value
        peers = Dictionary(uniqueKeysWithValues: zip(Self.names, ports))
        apis = Dictionary(uniqueKeysWithValues: zip(Self.names, ports.dropFirst(Self.names.count)))
        let authorities = try ClusterPKI.ensure(
            directory: folder + "/pki", nodeName: "x", names: [], addresses: [], now: world.wallTime())
        for name in Self.names {
            try Files.makeDirectory("\(folder)/\(name)/pki", mode: 0o700)
            try Files.write(Array("1\n".utf8), to: "\(folder)/\(name)/FORMAT")
            try ClusterPKI(directory: "\(folder)/\(name)/pki").install(authorities.sharedFiles())
        }
    }

    private static func freePorts(_ count: Int, _ world: Reactor) async throws -> [UInt16] {
        var listeners: [any StreamListener] = []
        for _ in 0..<count { listeners.append(try await world.listen(on: .ip("127.0.0.1", port: 0))) }
        defer { for listener in listeners { listener.close() } }
        return listeners.compactMap { if case .ip(_, let port) = $0.endpoint { port } else { nil } }
    }

    func configuration(_ name: String) -> ClusterConfiguration {
        var configuration = ClusterConfiguration(
            roles: [.gateway, .controlPlane], dataDirectory: "\(folder)/\(name)", nodeName: name,
            nodeAddress: "127.0.0.1")
        configuration.apiEndpoint = .ip("127.0.0.1", port: apis[name] ?? 0)
        func url(_ name: String) -> String { "https://127.0.0.1:\(peers[name] ?? 0)" }
        configuration.storePeers = PeerConfiguration(
            name: name, listen: .ip("127.0.0.1", port: peers[name] ?? 0), peerURLs: [url(name)],
            clientURLs: ["https://127.0.0.1:\(apis[name] ?? 0)"],
            bootstrap: .cluster(
                token: "test", members: Self.names.map { .init(name: $0, peerURLs: [url($0)]) }), security: nil)
        return configuration
    }

    func start() async throws -> [String: Cluster] {
        try await withThrowingTaskGroup(of: (String, Cluster).self) { group in
            for name in Self.names {
                let configuration = configuration(name)
                group.addTask { (name, try await Cluster.start(configuration)) }
            }
            var started: [String: Cluster] = [:]
            for try await (name, cluster) in group { started[name] = cluster }
            return started
        }
    }
}
