import Foundation
import Logging
import MartletBase
import MartletIO
import MartletNet
import MartletRoutes
import Testing

/// Virtual addresses between two hosts of one link, with real packets. Needs root.
@Suite(.serialized, .enabled(if: Hosts.obstacle == nil, "\(Hosts.obstacle ?? "")"))
struct VirtualIPTests {
    private let four = "192.168.57.100"
    private let six = "fd57::100"

    private func onTwoHosts(_ body: @escaping @Sendable (Hosts, Reactor) async throws -> Void) async throws {
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        let hosts = try await Hosts.up(["deadlock", "coup"], prefix: "mi\(System.processID)", in: world)
        do { try await body(hosts, world) } catch {
            await hosts.down()
            throw error
        }
        await hosts.down()
    }

    private func start(
        _ host: String, _ hosts: Hosts, _ world: Reactor, address: String, priority: UInt8,
        _ change: (inout VirtualIPConfiguration) -> Void = { _ in }
    ) async throws -> VirtualIP {
        var configuration = VirtualIPConfiguration(addresses: [try #require(VirtualAddress(address))])
        configuration.interface = "eth0"
        configuration.namespace = hosts.path(host)
        configuration.priority = priority
        change(&configuration)
        return try await VirtualIP.start(configuration, in: world, logger: Logger(label: "test"))
    }

    private func holds(_ host: String, _ hosts: Hosts, _ address: String) async throws -> Bool {
        try await hosts.check(host, "ip", "-o", "address", "show", "dev", "eth0").contains(" \(address)/")
    }

    /// Waits until exactly these hosts hold the address.
    private func wait(for expected: [String], _ hosts: Hosts, _ address: String, _ world: Reactor) async throws {
        var found: [String] = []
        for _ in 0..<200 {
            found = []
            for host in ["deadlock", "coup"] where try await holds(host, hosts, address) { found.append(host) }
            if found == expected { return }
            try await world.sleep(for: .milliseconds(50))
        }
        Issue.record("\(address) is held by \(found) and not by \(expected)")
    }

    private func story(
        _ address: String, length: Int, _ change: @escaping @Sendable (inout VirtualIPConfiguration) -> Void
    )
        async throws
    {
        let written = "\(address)/\(length)"
        try await onTwoHosts { hosts, world in
            // What an earlier run left is removed, whatever its length.
            try await hosts.check("coup", "ip", "address", "add", "\(address)/\(length + 4)", "dev", "eth0")
            let low = try await start("coup", hosts, world, address: written, priority: 100, change)
            try await wait(for: [], hosts, address, world)
            low.isFit(for: .seconds(1000))
            try await wait(for: ["coup"], hosts, address, world)
            let high = try await start("deadlock", hosts, world, address: written, priority: 200) {
                change(&$0)
                $0.preempts = true
            }
            high.isFit(for: .seconds(1000))
            try await wait(for: ["deadlock"], hosts, address, world)
            #expect(high.status.state == .active && low.status.state == .backup)
            #expect(low.status.holder == high.status.holder)
            high.isUnfit("the edge is dead")
            try await wait(for: ["coup"], hosts, address, world)
            high.isFit(for: .seconds(1000))
            try await wait(for: ["deadlock"], hosts, address, world)
            high.yield()
            try await wait(for: ["coup"], hosts, address, world)
            await low.stop()
            try await wait(for: ["deadlock"], hosts, address, world)
            await high.stop()
            try await wait(for: [], hosts, address, world)
        }
    }

    @Test func anAddressIsHeldInTurnByMulticast() async throws {
        try await story(four, length: 24) { _ in }
    }

    @Test func andOfIPv6() async throws {
        try await story(six, length: 64) { _ in }
    }

    @Test func andByUnicast() async throws {
        try await story(four, length: 24) {
            $0.checksum = .pseudoHeader
            $0.peers = [11, 12].compactMap { IPAddress("192.168.57.\($0)") }
        }
    }

    @Test func theKernelTakesTheAddressBackWhenNobodyAsksForItOn() async throws {
        try await onTwoHosts { hosts, world in
            let kernel = try await KernelNetwork(namespace: hosts.path("deadlock"))
            let link = try #require(try await kernel.ask(.getLink("eth0")).compactMap { try NetworkLink($0) }.first)
            let entry = LinkAddress(link: link.index, address: try #require(IPAddress(four)), length: 24)
            try await kernel.perform([.lendAddress(entry, seconds: 1), .lendAddress(entry, seconds: 1)])
            #expect(try await holds("deadlock", hosts, four))
            try await wait(for: [], hosts, four, world)
            kernel.stop()
        }
    }

    @Test func whatTheKernelRefusesIsGivenUp() async throws {
        try await onTwoHosts { hosts, world in
            let one = try await start("deadlock", hosts, world, address: "\(four)/24", priority: 100)
            one.isFit(for: .seconds(1000))
            try await wait(for: ["deadlock"], hosts, four, world)
            let other = try await start("coup", hosts, world, address: "\(four)/24", priority: 50)
            other.isFit(for: .seconds(1000))
            // The device is gone, and with it all that it could hold.
            try await hosts.check("deadlock", "ip", "link", "delete", "eth0")
            for _ in 0..<200 where one.status.state == .active { try await world.sleep(for: .milliseconds(50)) }
            #expect(one.status.state == .initialize)
            one.isFit(for: .seconds(1000))
            try await world.sleep(for: .milliseconds(600))
            #expect(one.status.state == .initialize)
            await one.stop()
            await other.stop()
        }
    }

    @Test func neighboursAreToldOfTheNewHolder() async throws {
        try await onTwoHosts { hosts, world in
            let one = try await start("deadlock", hosts, world, address: "\(four)/24", priority: 100)
            one.isFit(for: .seconds(1000))
            try await wait(for: ["deadlock"], hosts, four, world)
            // An entry that is there is changed by the announcement; this one is wrong.
            try await hosts.check(
                "coup", "ip", "neigh", "replace", four, "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", "eth0")
            let mac = try await hosts.check("deadlock", "cat", "/sys/class/net/eth0/address")
            var table = ""
            for _ in 0..<100 {
                table = try await hosts.check("coup", "ip", "neigh", "show", four)
                if table.contains(mac.trimmingCharacters(in: .whitespacesAndNewlines)) { break }
                try await world.sleep(for: .milliseconds(50))
            }
            #expect(table.contains(mac.trimmingCharacters(in: .whitespacesAndNewlines)))
            await one.stop()
        }
    }

    @Test func whereItCannotBeHeldItSaysSo() async throws {
        try await onTwoHosts { hosts, world in
            let wrong = await #expect(throws: VirtualAddressProblem.self) {
                _ = try await start("coup", hosts, world, address: "\(four)/24", priority: 1) { $0.interface = "eth7" }
            }
            #expect(wrong?.description.contains("--vip-interface") == true)
            let own = await #expect(throws: VirtualAddressProblem.self) {
                _ = try await start("coup", hosts, world, address: "fd57::1/64", priority: 1) { $0.version = .two }
            }
            #expect(own?.description.contains("version 2 has no IPv6") == true)
        }
    }
}
