import Foundation
import Logging
import MartletBase
import MartletIO
import MartletNet
import MartletRoutes
import Testing

/// The DNS' own address in the kernel. Needs root.
@Suite(.serialized, .enabled(if: Hosts.obstacle == nil, "\(Hosts.obstacle ?? "")"))
struct LinkLocalAddressTests {
    @Test func podsReachItAndItsPacketsAreNotTracked() async throws {
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        try await withTaskExecutorPreference(world.executor) {
            let hosts = try await Hosts.up(["worker1"], prefix: "ml\(System.processID)", in: world)
            do {
                let kernel = try await KernelNetwork(namespace: hosts.path("worker1"))
                try await hosts.pod("worker1", "a", "10.244.1.10/24")
                try await run(hosts, kernel, world)
                kernel.stop()
            } catch { Issue.record(error) }
            await hosts.down()
        }
    }

    private func run(_ hosts: Hosts, _ kernel: KernelNetwork, _ world: Reactor) async throws {
        // Something is tracked, so that the test can see that this is not.
        let tracking = NftTransaction(
            .ipv4, table: "t",
            [.addTable, .addChain(NftChain("c", hook: NftHook(.filter, .input, 0), [[.connectionState()]]))])
        try await kernel.commit(tracking)
        let wanted = try #require(LinkLocalDNS(address: "169.254.20.10", port: 53, bridge: "martlet0"))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let address = try await LinkLocalAddress.start(wanted, kernel: kernel, in: world, logger: logger)
        _ = try await LinkLocalAddress.start(wanted, kernel: kernel, in: world, logger: logger)
        let shown = try await hosts.check("worker1", "ip", "addr", "show", "martlet0-dns")
        #expect(shown.contains("169.254.20.10/32") && shown.contains("UP"))
        for port in ["53", "54"] {
            let server = try hosts.start("worker1", ["python3", "-c", Self.echo, port])
            defer { server.signal(9) }
            var answer = ""
            for _ in 0..<50 where answer != "hello" {
                answer = try await hosts.run("worker1/a", ["python3", "-c", Self.ask, port]).output
            }
            #expect(answer == "hello")
        }
        func tracked(_ port: UInt16) async throws -> Int {
            let list = NetlinkRequest.listConnections(.ipv4, protocolNumber: 17, destinationPort: port)
            return try await kernel.ask(list).compactMap { try TrackedConnection($0) }.count
        }
        #expect(try await tracked(53) == 0)
        #expect(try await tracked(54) > 0)
        await address.stop(removing: true)
        let links = try await hosts.check("worker1", "ip", "-o", "link")
        let tables = try await hosts.check("worker1", "nft", "list", "tables")
        #expect(!links.contains("martlet0-dns") && !tables.contains("martlet0-dns"))
    }

    private static let echo = """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("169.254.20.10", int(sys.argv[1])))
        while True:
            data, peer = s.recvfrom(100)
            s.sendto(data, peer)
        """
    private static let ask = """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(0.2)
        s.sendto(b"hello", ("169.254.20.10", int(sys.argv[1])))
        try: sys.stdout.write(s.recv(100).decode())
        except OSError: pass
        """
}
