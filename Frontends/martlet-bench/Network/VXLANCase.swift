import Foundation
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes

/// One pod on each of two hosts: what Martlet's overlay carries between them, and what the same device by hand does.
struct VXLANCase {
    private let network: BenchNetwork
    private let client: Client
    private let seconds: Int
    private let runs: Int
    private static let port = "26201"
    private static let target = "10.244.2.10"

    init(_ network: BenchNetwork, _ client: Client, seconds: Int, runs: Int) {
        (self.network, self.client, self.seconds, self.runs) = (network, client, seconds, runs)
    }

    func run() async throws {
        try await network.hosts("up")
        try await network.hosts("pod", "worker1", "a", "10.244.1.10/24")
        try await network.hosts("pod", "worker2", "c", "10.244.2.10/24")
        for number in 1...2 { try await makeNode(number) }
        var rows: [String: [[Double]]] = [:]
        for _ in 0..<runs {
            rows["martlet", default: []].append(try await withAgents { try await measure() })
            rows["by hand", default: []].append(try await byHand { try await measure() })
        }
        print("\nVXLAN between pods of two hosts, TCP, \(runs) runs of \(seconds) s")
        print(Self.line(["", "Gbit/s", "CPU s/GB", "round trip us"]))
        func medians(_ kind: String) -> [Double] {
            (0..<3).map { column in BenchNetwork.median((rows[kind] ?? []).map { $0[column] }) }
        }
        let (ours, hand) = (medians("martlet"), medians("by hand"))
        for (name, figures) in [
            ("martlet", ours), ("by hand", hand), ("ratio", zip(ours, hand).map { $0 / $1 }),
        ] {
            print(Self.line([name] + figures.map { String(format: "%.2f", $0) }))
        }
        await network.down()
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { String(repeating: " ", count: max(0, 16 - $0.count)) + $0 }.joined()
    }

    private func makeNode(_ number: Int) async throws {
        let range = "10.244.\(number).0/24"
        var node = try await client.create(
            .node,
            [
                "metadata": ["name": .string("worker\(number)")],
                "spec": ["podCIDR": .string(range), "podCIDRs": [.string(range)]],
            ])
        node["status", "addresses"] = [
            ["type": "InternalIP", "address": .string("192.168.57.2\(number)")]
        ]
        _ = try await client.updateStatus(.node, node)
    }

    // MARK: The two ways

    private func withAgents(_ body: () async throws -> [Double]) async throws -> [Double] {
        var agents: [OverlayAgent] = []
        var kernels: [KernelNetwork] = []
        for number in 1...2 {
            let kernel = try await network.kernel("worker\(number)")
            kernels.append(kernel)
            let settings = OverlaySettings(
                nodeName: "worker\(number)", backend: .vxlan,
                clusterRanges: [IPRange("10.244.0.0/16")].compactMap { $0 }, table: "martlet0-overlay")
            agents.append(
                await OverlayAgent.start(
                    settings, nodes: client, own: client, kernel: kernel, in: network.world,
                    logger: BenchNetwork.logger))
        }
        let figures: Result<[Double], any Error>
        do { figures = .success(try await body()) } catch { figures = .failure(error) }
        for agent in agents { await agent.stop(removing: true) }
        for kernel in kernels { kernel.stop() }
        return try figures.get()
    }

    private func byHand(_ body: () async throws -> [Double]) async throws -> [Double] {
        for number in 1...2 {
            let other = 3 - number
            try await network.hosts(
                "exec", "worker\(number)", "sh", "-ec",
                """
                ip link add flannel.1 address 02:00:00:00:00:0\(number) mtu 1450 type vxlan id 1 dstport 8472 \
                    local 192.168.57.2\(number) dev eth0 nolearning
                ip link set flannel.1 up
                ip addr add 10.244.\(number).0/32 dev flannel.1
                ip neigh add 10.244.\(other).0 lladdr 02:00:00:00:00:0\(other) dev flannel.1 nud permanent
                bridge fdb add 02:00:00:00:00:0\(other) dev flannel.1 dst 192.168.57.2\(other)
                ip route add 10.244.\(other).0/24 via 10.244.\(other).0 dev flannel.1 onlink
                """)
        }
        let figures: Result<[Double], any Error>
        do { figures = .success(try await body()) } catch { figures = .failure(error) }
        for number in 1...2 {
            try await network.hosts("exec", "worker\(number)", "ip", "link", "del", "flannel.1")
        }
        return try figures.get()
    }

    // MARK: Figures

    /// Gbit/s, CPU seconds of the whole machine per GB, round trip in microseconds.
    private func measure() async throws -> [Double] {
        for _ in 0..<100 {
            if (try? await network.hosts("exec", "worker1/a", "ping", "-c1", "-W1", Self.target)) != nil {
                break
            }
            try await network.world.sleep(for: .milliseconds(100))
        }
        let ping = try await network.hosts(
            "exec", "worker1/a", "ping", "-q", "-c", "500", "-i", "0.002", Self.target)
        let server = network.world.spawn { [network] in
            _ = try? await network.hosts("exec", "worker2/c", "iperf3", "-s", "-1", "-p", Self.port)
        }
        try await network.world.sleep(for: .milliseconds(500))
        let before = Self.busySeconds()
        let text = try await network.hosts(
            "exec", "worker1/a", "iperf3", "-c", Self.target, "-p", Self.port, "-t", "\(seconds)", "-J")
        let busy = Self.busySeconds() - before
        await server.value
        let json = try JSON(parsing: Array(text.utf8))
        guard let received = json["end", "sum_received"], let bytes = received["bytes"]?.int,
            case .double(let rate)? = received["bits_per_second"], bytes > 0
        else { throw BenchFailure(description: "iperf3: \(text)") }
        let average = ping.split(separator: "\n").last { $0.contains("rtt") }?.split(separator: "/")
        guard let average, average.count > 4, let trip = Double(average[4]) else {
            throw BenchFailure(description: "ping: \(ping)")
        }
        return [rate / 1e9, busy / (Double(bytes) / 1e9), trip * 1000]
    }

    /// All but idle time of all cores.
    private static func busySeconds() -> Double {
        let text = (try? Files.read("/proc/stat")) ?? []
        let fields = String(decoding: text.prefix { $0 != 10 }, as: UTF8.self).split(separator: " ")
            .dropFirst()
        let times = fields.compactMap { Double($0) }
        guard times.count > 4 else { return 0 }
        return (times.prefix(8).reduce(0, +) - times[3] - times[4])
            / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
