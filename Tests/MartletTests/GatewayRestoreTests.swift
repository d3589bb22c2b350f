import MartletHTTP
import MartletPKI
import MartletTesting
import Testing

@testable import Martlet

@Suite("Snapshots go back into folders without machine.json") struct GatewayRestoreTests {
    private func request(_ name: String) -> JSON { ["metadata": ["name": .string(name), "namespace": "default"]] }

    @Test func aGatewayAloneIsRestored() async throws {
        let folder = "/tmp/martlet-gateway-restore-\(UInt32.random(in: .min ... .max))"
        defer { try? remove(folder) }
        var configuration = ClusterConfiguration.local(dataDirectory: folder)
        configuration.roles = [.gateway]
        var cluster = try await Cluster.start(configuration)
        _ = try await cluster.client.create(.configMap, request("kept"))
        let own = ClusterPKI(directory: folder + "/pki")
        var wanted = CertificateRequest(commonName: "admin")
        wanted.organizations = ["system:masters"]
        wanted.isClient = true
        let identity = try TLSIdentity(own.authority("ca").issue(wanted, now: cluster.world.wallTime()))
        let tls = try TLSClient(authoritiesPEM: own.trusted("ca"), identity: identity)
        let http = HTTPClient(endpoint: cluster.apiEndpoint, serverName: "127.0.0.1", in: cluster.world, tls: tls)
        _ = try await ClusterSnapshot.save(to: folder + ".snapshot", through: HTTPSTransport(http)) { _, _ in }
        defer { try? remove(folder + ".snapshot") }
        _ = try await cluster.client.create(.configMap, request("later"))
        // Not while it runs.
        await #expect(throws: ClusterError.self) { try await ClusterSnapshot.check(folder) }
        let now = cluster.world.wallTime()
        await cluster.stop()

        try await ClusterSnapshot.check(folder)
        let (_, former) = try await ClusterSnapshot.restore(folder + ".snapshot", into: folder, at: now)
        #expect(former != nil)
        cluster = try await Cluster.start(configuration)
        let names = try await cluster.client.list(.configMap, namespace: "default").items.map(\.name)
        #expect(names.contains("kept") && !names.contains("later"))
        await cluster.stop()
        // Where there is no store, nobody can tell whose it would be.
        await #expect(throws: ClusterError.self) { try await ClusterSnapshot.check(folder + "/pki") }
    }

    @Test func whoEntersAClusterWithoutItsAuthoritiesIsRefused() async throws {
        let folder = "/tmp/martlet-gateway-joins-\(UInt32.random(in: .min ... .max))"
        defer { try? remove(folder) }
        var configuration = ClusterConfiguration.local(dataDirectory: folder)
        configuration.roles = [.gateway]
        configuration.storePeers = PeerConfiguration(
            name: "b", listen: .ip("127.0.0.1", port: 0), peerURLs: ["http://127.0.0.1:1"],
            bootstrap: .join(via: [.ip("127.0.0.1", port: 1)], asLearner: true), security: nil)
        do {
            let cluster = try await Cluster.start(configuration)
            await cluster.stop()
            Issue.record("it made authorities of its own")
        } catch {
            #expect("\(error)".contains("copy the folder pki"), "\(error)")
        }
    }
}
