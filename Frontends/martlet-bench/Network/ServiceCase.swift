import Foundation
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes

/// Many Services, of which one changes: how long until the kernel has it.
struct ServiceCase {
    private let network: BenchNetwork
    private let client: Client
    private let count: Int
    private let changes: Int
    private static let writers = 16

    init(_ network: BenchNetwork, _ client: Client, count: Int, changes: Int) {
        (self.network, self.client, self.count, self.changes) = (network, client, count, changes)
    }

    func run() async throws {
        try await network.hosts("up", names: "worker1")
        let kernel = try await network.kernel("worker1")
        let observer = try await network.kernel("worker1")
        try await makeServices()
        let settings = ServiceSettings(
            nodeName: "worker1", podRanges: [IPRange("10.244.0.0/16")].compactMap { $0 },
            serviceRanges: [IPRange("10.96.0.0/16")].compactMap { $0 }, table: "martlet0-services")
        let start = network.world.now()
        let proxy = await ServiceProxy.start(
            settings, client: client, kernel: kernel, in: network.world, logger: BenchNetwork.logger)
        while try await chains(observer) < count {
            try await network.world.sleep(for: .milliseconds(20))
        }
        let load = network.world.now() - start
        var (all, acknowledged): ([Double], [Double]) = ([], [])
        for round in 0..<changes {
            let name = "service-\(round &* 7919 % count)"
            var slice = try await client.get(.endpointSlice, namespace: "default", name: name)
            slice["endpoints"] = Self.endpoints(["10.244.3.\(round % 250 + 1)", "10.244.2.10"])
            let generation = try await generation(observer)
            let before = network.world.now()
            _ = try await client.update(.endpointSlice, slice)
            acknowledged.append(milliseconds(network.world.now() - before))
            while try await self.generation(observer) == generation {}
            all.append(milliseconds(network.world.now() - before))
        }
        all.sort()
        print(
            "\n\(count) Services with two endpoints each, from the REST gateway to the kernel's nftables, ms"
        )
        print("first load of all \(Self.shown(milliseconds(load)))")
        print(
            "change of one: median \(Self.shown(all[all.count / 2])), 99 % \(Self.shown(all[all.count * 99 / 100])), "
                + "slowest \(Self.shown(all[all.count - 1])); of which the write itself, median "
                + Self.shown(BenchNetwork.median(acknowledged)))
        await proxy.stop(removing: true)
        kernel.stop()
        observer.stop()
        await network.down()
    }

    private func milliseconds(_ duration: Duration) -> Double { Double(duration.nanoseconds) / 1e6 }
    private static func shown(_ value: Double) -> String { String(format: "%.1f", value) }

    private func chains(_ kernel: KernelNetwork) async throws -> Int {
        try await kernel.ask(.listChains(.ipv4)).compactMap { try NftListing.chain($0) }
            .count { $0.name.hasPrefix("service-") }
    }

    private func generation(_ kernel: KernelNetwork) async throws -> UInt32? {
        try await kernel.ask(.getGeneration).compactMap { try NftListing.generation($0) }.first
    }

    private func makeServices() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<Self.writers {
                group.addTask { [client, count] in
                    for number in stride(from: writer, to: count, by: Self.writers) {
                        try await Self.make(number, client)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func make(_ number: Int, _ client: Client) async throws {
        let name = "service-\(number)"
        let service: JSON = [
            "metadata": ["name": .string(name), "namespace": "default"],
            "spec": ["ports": [["name": "http", "port": 80]]],
        ]
        _ = try await client.create(.service, service)
        let slice: JSON = [
            "metadata": [
                "name": .string(name), "namespace": "default",
                "labels": ["kubernetes.io/service-name": .string(name)],
            ],
            "addressType": "IPv4", "ports": [["name": "http", "port": 8080]],
            "endpoints": endpoints(["10.244.1.10", "10.244.2.10"]),
        ]
        _ = try await client.create(.endpointSlice, slice)
    }

    private static func endpoints(_ addresses: [String]) -> JSON {
        .array(addresses.map { ["addresses": [.string($0)], "conditions": ["ready": true]] })
    }
}
