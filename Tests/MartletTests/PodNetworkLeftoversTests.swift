import MartletIO
import MartletTesting
import Testing

@testable import Martlet

/// A host for pods in a network namespace of its own.
private struct Host {
    let namespace: String
    let world: any World

    init(_ namespace: String, _ address: String, in world: any World) async throws {
        self.namespace = namespace
        self.world = world
        try await Self.check(["netns", "add", namespace], world)
        try await run("ip link set lo up && ip link add uplink type bridge && ip link set uplink up")
        try await run("ip addr add \(address)/24 dev uplink")
    }

    func down() async { _ = try? await Self.check(["netns", "delete", namespace], world) }

    @discardableResult
    func run(_ command: String) async throws -> String {
        try await Self.check(["netns", "exec", namespace, "sh", "-c", command], world)
    }

    @discardableResult
    private static func check(_ words: [String], _ world: any World) async throws -> String {
        let ip = try #require(ChildProcess.find("ip"))
        let result = try await ChildProcess.run(ip, words, timeout: .seconds(10), in: world)
        #expect(result.status == 0, "\(words): \(String(decoding: result.errors, as: UTF8.self))")
        return String(decoding: result.output, as: UTF8.self)
    }

    /// Its tables, its devices, and the routes that are ours, a line each.
    func traces() async throws -> String {
        try await run("nft list tables; ip -o link | cut -d: -f2; ip route show proto 77; ip -6 route show proto 77")
    }
}

@Suite("What a worker's pod network leaves in the kernel") struct PodNetworkLeftoversTests {
    private func node(_ number: Int) -> JSON {
        let address = "192.168.57.2\(number)"
        return [
            "metadata": [
                "name": .string("worker\(number)"),
                "annotations": [
                    "flannel.alpha.coreos.com/backend-type": "vxlan",
                    "flannel.alpha.coreos.com/backend-data": "{\"VNI\":1,\"VtepMAC\":\"02:00:00:00:00:02\"}",
                    "flannel.alpha.coreos.com/public-ip": .string(address),
                    "flannel.alpha.coreos.com/kube-subnet-manager": "true",
                ],
            ],
            "spec": ["podCIDR": .string("10.244.\(number).0/24")],
            "status": ["addresses": [["type": "InternalIP", "address": .string(address)]]],
        ]
    }

    @Test(
        .timeLimit(.minutes(1)),
        .enabled(
            if: Machine.isRoot && ChildProcess.find("ip") != nil && ChildProcess.find("nft") != nil,
            "needs root, ip and nft for a network namespace"))
    func allOfItIsRemovedWithNoMasterToAsk() async throws {
        try await TestCluster.run(configure: { $0.roles = [.gateway, .controlPlane] }) { cluster in
            for number in 1...2 { _ = try await cluster.client.create(.node, node(number)) }
            let host = try await Host("mlt-left", "192.168.57.21", in: cluster.world)
            do { try await leaveAndRemove(host, cluster) } catch { Issue.record(error) }
            await host.down()
        }
    }

    private func leaveAndRemove(_ host: Host, _ cluster: Cluster) async throws {
        let namespace = "/run/netns/\(host.namespace)"
        let bare = try await host.traces()
        var configuration = ClusterConfiguration(
            roles: [.worker], dataDirectory: "", nodeName: "worker1", nodeAddress: "192.168.57.21")
        configuration.overlay = .vxlan
        configuration.serviceProxy = true
        configuration.networkPolicy = true
        configuration.dnsEndpoint = .ip("169.254.20.10", port: 53)
        configuration.bridge = "mlt0"
        let clients = Worker.Clients(all: cluster.client)
        let network = try #require(
            try await Martlet.PodNetwork.start(configuration, clients, namespace: namespace, in: cluster.world))
        let made = ["mlt0-overlay", "mlt0-services", "mlt0-policies", "mlt0-dns", "flannel.1", "10.244.2.0/24"]
        while true {
            let traces = try await host.traces()
            if made.allSatisfy({ traces.contains($0) }) { break }
            try await cluster.world.sleep(for: .milliseconds(50))
        }
        // As when the process ends: pods talk on.
        await network.stop(removing: false)
        let left = try await host.traces()
        #expect(made.allSatisfy { left.contains($0) }, "\(left)")

        try await Martlet.PodNetwork.removeLeftovers(configuration, namespace: namespace, in: cluster.world)
        #expect(try await host.traces() == bare)
        // Where there is nothing it is no fault, and nothing is made.
        try await Martlet.PodNetwork.removeLeftovers(configuration, namespace: namespace, in: cluster.world)
        #expect(try await host.traces() == bare)
    }
}
