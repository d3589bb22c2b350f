import Foundation
import MartletBase
import MartletIO
import MartletNet
import MartletRoutes
import Testing

/// The kernel takes what we write, and tells it back. Needs root.
@Suite(.serialized, .enabled(if: Hosts.obstacle == nil, "\(Hosts.obstacle ?? "")"))
struct KernelNetworkTests {
    private func inNamespace(_ body: (KernelNetwork, Hosts) async throws -> Void) async throws {
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        let hosts = try await Hosts.up(["worker1"], prefix: "mk\(System.processID)", in: world)
        do {
            let kernel = try await KernelNetwork(namespace: hosts.path("worker1"))
            try await body(kernel, hosts)
            kernel.stop()
        } catch {
            await hosts.down()
            throw error
        }
        await hosts.down()
    }

    @Test func devicesAddressesRoutesAndNeighboursAreMadeReadAndRemoved() async throws {
        try await inNamespace { kernel, hosts in
            let uplink = try #require(try await kernel.ask(.getLink("eth0")).compactMap { try NetworkLink($0) }.first)
            #expect(uplink.isUp && uplink.kind == "veth")
            let local = try #require(IPAddress("192.168.57.21"))
            let settings = VXLANSettings(id: 1, port: 8472, local: local, isLearning: false, uplink: uplink.index)
            let mac = HardwareAddress(from: "worker1/1")
            try await kernel.perform([.addVXLAN("flannel.1", settings, hardwareAddress: mac, mtu: 1450)])
            let device = try #require(
                try await kernel.ask(.getLink("flannel.1")).compactMap { try NetworkLink($0) }.first)
            #expect(device.vxlan == settings && device.hardwareAddress == mac && device.mtu == 1450 && !device.isUp)
            let own = LinkAddress(link: device.index, address: try #require(IPAddress("10.244.1.0")), length: 32)
            let remote = try #require(IPRange("10.244.2.0/24"))
            let peer = try #require(IPAddress("192.168.57.22"))
            let neighbour = NetworkNeighbour(
                link: device.index, address: remote.base, hardwareAddress: HardwareAddress(from: "worker2/1"))
            let behind = NetworkNeighbour(link: device.index, address: peer, hardwareAddress: neighbour.hardwareAddress)
            let route = NetworkRoute(destination: remote, gateway: remote.base, link: device.index, isOnLink: true)
            try await kernel.perform([
                .changeLink(device.index, isUp: true, mtu: 1400), .addAddress(own), .putNeighbour(neighbour),
                .putForwarding(behind), .putRoute(route), .putRoute(route),
            ])
            #expect(try await kernel.ask(.listAddresses).compactMap { try LinkAddress($0) }.contains(own))
            #expect(try await kernel.ask(.listRoutes(.ipv4)).compactMap { try NetworkRoute($0) } == [route])
            let neighbours = try await kernel.ask(.listNeighbours(.ipv4, link: device.index))
            #expect(try neighbours.compactMap { try NetworkNeighbour($0) }.contains(neighbour))
            let database = try await kernel.ask(.listForwarding(link: device.index))
            #expect(try database.compactMap { try NetworkNeighbour($0) }.contains(behind))
            let shown = try await hosts.check("worker1", "ip", "-d", "link", "show", "flannel.1")
            #expect(shown.contains("dstport 8472") && shown.contains("nolearning") && shown.contains("mtu 1400"))
            try await kernel.perform([
                .removeRoute(route), .removeForwarding(behind), .removeNeighbour(neighbour), .removeAddress(own),
                .removeLink(device.index),
            ])
            let refusal = await #expect(throws: NetlinkError.self) { try await kernel.ask(.getLink("flannel.1")) }
            #expect(refusal?.isAbsent == true)
        }
    }

    @Test func tablesOfNftablesAreMadeChangedReadAndRemoved() async throws {
        try await inNamespace { kernel, hosts in
            var transaction = NftTransaction(.ipv4, table: "martlet0-test")
            let address = try #require(IPAddress("10.96.0.10"))
            let key = NftKey(address, protocolNumber: 6, port: 80)
            transaction.changes = [
                .addTable, .addSet(NftSet("services", key: [.ipv4, .protocolNumber, .port], isVerdictMap: true)),
                .addSet(NftSet("clients", key: [.ipv4], timeoutSeconds: 10)),
                .addChain(NftChain("one", everyExpression)), .addChain(NftChain("leaf")),
                .addChain(
                    NftChain("pick", [[.random(modulus: 2), .ownVerdictMap(.first, [.goto("leaf"), .goto("leaf")])]])),
                .addElements(set: "services", [NftElement(key, .goto("pick"))]),
                .addChain(
                    NftChain(
                        "nat", hook: NftHook(.nat, .prerouting, -100),
                        [
                            [
                                .payload(.network, offset: 16, length: 4), .meta(.protocolNumber, into: NftRegister(1)),
                                .payload(.transport, offset: 2, length: 2, into: NftRegister(2)),
                                .verdictMap(map: "services"),
                            ]
                        ])),
            ]
            try await kernel.commit(transaction)
            let shown = try await hosts.check("worker1", "nft", "list", "table", "ip", "martlet0-test")
            for line in [
                "10.96.0.10 . tcp . 80 : goto pick", "numgen random mod 2 vmap { 0 : goto leaf, 1 : goto leaf }",
                "ip daddr . meta l4proto . th dport vmap @services", "type nat hook prerouting priority dstnat",
                "update @clients { ip saddr }", "dnat to 10.244.1.2:8080", "masquerade fully-random", "reject",
                "tcp option maxseg size set rt mtu", "fib saddr type local", "ct state new", "timeout 10s",
                "oifname \"flannel.1\"",
            ] { #expect(shown.contains(line), "\(line) is not in\n\(shown)") }
            let elements = try await kernel.ask(.listElements(.ipv4, table: "martlet0-test", set: "services"))
            #expect(try elements.flatMap { try NftListing.elements($0) } == [NftElement(key, .goto("pick"))])

            // All or nothing.
            transaction.changes = [.removeElements(set: "services", [key]), .removeChain("absent")]
            let refusal = await #expect(throws: NetlinkError.self) { try await kernel.commit(transaction) }
            #expect(refusal?.description.contains("remove the chain absent: No such file or directory") == true)
            let still = try await kernel.ask(.listElements(.ipv4, table: "martlet0-test", set: "services"))
            #expect(try still.flatMap { try NftListing.elements($0) }.count == 1)

            transaction.changes = [
                .removeElements(set: "services", [key]), .addElements(set: "services", [NftElement(key, .drop)]),
                .emptyChain("pick"), .removeChain("pick"),
            ]
            try await kernel.commit(transaction)
            let chains = try await kernel.ask(.listChains(.ipv4)).compactMap { try NftListing.chain($0)?.name }
            #expect(Set(chains) == ["one", "leaf", "nat"])
            let rules = try await kernel.ask(.listRules(.ipv4, table: "martlet0-test"))
            #expect(
                try rules.compactMap { try NftListing.rule($0)?.chain }.filter { $0 == "one" }.count
                    == everyExpression.count)
            try await kernel.commit(.removal(.ipv4, table: "martlet0-test"))
            try await kernel.commit(.removal(.ipv4, table: "martlet0-test"))
            #expect(try await kernel.ask(.listTables(.ipv4)).compactMap { try NftListing.table($0) }.isEmpty)
        }
    }

    /// A rule with each of them.
    private var everyExpression: [NftRule] {
        let pod = IPAddress("10.244.1.2")?.bytes ?? []
        let name = Array("flannel.1".utf8)
        return [
            [.payload(.network, offset: 12, length: 4), .updateSet("clients")],
            [.payload(.network, offset: 12, length: 4), .lookup(set: "clients", isInverted: true), .verdict(.return)],
            [.meta(.mark), .bitwise(mask: [255, 191, 255, 255], flip: [0, 64, 0, 0]), .setMark()],
            [
                .connectionState(), .bitwise(mask: [8, 0, 0, 0], flip: [0, 0, 0, 0]),
                .compare(.first, .unequal, [0, 0, 0, 0]),
                .reject(.ipv4),
            ],
            [.addressKind(ofSource: true), .compare(.first, .equal, [2, 0, 0, 0]), .verdict(.drop)],
            [
                .meta(.protocolNumber), .compare(.first, .equal, [6]), .constant(pod, into: .first),
                .constant([0x1f, 0x90], into: NftRegister(1)),
                .translateDestination(.ipv4, address: .first, port: NftRegister(1)),
            ],
            [.masquerade],
            [
                .meta(.outputName), .compare(.first, .equal, name + [UInt8](repeating: 0, count: 16 - name.count)),
                .meta(.protocolNumber), .compare(.first, .equal, [6]),
                .routeSegmentSize(), .setSegmentSize(),
            ],
        ]
    }

    private static let answered = """
        import socket
        a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        a.bind(("127.0.0.1", 5355))
        b.sendto(b"x", ("127.0.0.1", 5355))
        a.sendto(b"y", a.recvfrom(9)[1])
        b.recv(9)
        """

    @Test func connectionsAreReadAndForgotten() async throws {
        try await inNamespace { kernel, hosts in
            let transaction = NftTransaction(
                .ipv4, table: "t",
                [
                    .addTable, .addChain(NftChain("c", hook: NftHook(.filter, .output, 0), [[.connectionState()]])),
                ])
            try await kernel.commit(transaction)
            try await hosts.check(
                "worker1", "python3", "-c",
                "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('192.168.57.1', 5353))"
            )
            let request = NetlinkRequest.listConnections(.ipv4, protocolNumber: 17, destinationPort: 5353)
            let found = try await kernel.ask(request).compactMap { try TrackedConnection($0) }
            #expect(found.count == 1 && found.first?.original.destination == IPAddress("192.168.57.1"))
            #expect(found.first?.original.source == found.first?.reply.destination)
            let other = NetlinkRequest.listConnections(.ipv4, protocolNumber: 17, destinationPort: 5354)
            #expect(try await kernel.ask(other).isEmpty)
            // That one was never answered, and the one to the port of this host was.
            try await hosts.check("worker1", "python3", "-c", Self.answered)
            let all = NetlinkRequest.listConnections(.ipv4, protocolNumber: 17)
            let open = NetlinkRequest.listConnections(.ipv4, protocolNumber: 17, unanswered: true)
            let ports = try await kernel.ask(all).compactMap { try TrackedConnection($0) }
                .map { "\($0.original.destinationPort) \($0.isAnswered)" }
            #expect(ports.sorted() == ["5353 false", "5355 true"])
            #expect(try await kernel.ask(open).compactMap { try TrackedConnection($0) } == found)
            try await kernel.perform(found.map { .removeConnection($0.original) })
            #expect(try await kernel.ask(request).isEmpty)
        }
    }

    @Test func settingsAreThoseOfTheNamespace() async throws {
        try await inNamespace { kernel, hosts in
            try await kernel.set("ipv4/ip_forward", to: "1")
            #expect(try await hosts.check("worker1", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n")
            try await kernel.set("ipv4/ip_forward", to: "0")
            #expect(await kernel.setting("ipv4/ip_forward") == "0")
            #expect(await kernel.setting("ipv4/no_such") == nil)
        }
    }
}
