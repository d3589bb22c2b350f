import Foundation
import Logging
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes
import Testing

/// Two hosts with pods and a client outside, real packets, and an API in the test's hands. Needs root.
private struct PodNetwork {
    let hosts: Hosts
    let api = TestAPI()
    let world: Reactor
    var overlays: [OverlayAgent] = []
    var proxies: [ServiceProxy] = []
    var kernels: [KernelNetwork] = []

    static func run(_ prefix: String, backend: OverlayBackend, _ body: (PodNetwork) async throws -> Void) async throws {
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        try await withTaskExecutorPreference(world.executor) {
            let hosts = try await Hosts.up(["worker1", "worker2", "client"], prefix: prefix, in: world)
            var network = PodNetwork(hosts: hosts, world: world)
            do {
                try await network.start(backend)
                try await body(network)
            } catch { Issue.record(error) }
            await network.stop()
            await hosts.down()
        }
    }

    private mutating func start(_ backend: OverlayBackend) async throws {
        for (host, pod, number) in [("worker1", "a", 10), ("worker1", "b", 11), ("worker2", "c", 10)] {
            let index = host.suffix(1)
            try await hosts.pod(host, pod, "10.244.\(index).\(number)/24")
            try await hosts.pod(host, pod, "fd00:244:\(index)::\(number)/64")
            _ = try hosts.start("\(host)/\(pod)", ["python3", "-c", Programs.server, pod])
        }
        api.put(.node, Self.node(1))
        api.put(.node, Self.node(2))
        let api = self.api
        let client = Client(transport: InProcessTransport(in: world) { await api.handle($0) }, in: world)
        let pods = ["10.244.0.0/16", "fd00:244::/32"].compactMap { IPRange($0) }
        let services = ["10.96.0.0/16", "fd00:96::/112"].compactMap { IPRange($0) }
        var logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        for number in 1...2 {
            let name = "worker\(number)"
            let kernel = try await KernelNetwork(namespace: hosts.path(name))
            kernels.append(kernel)
            let overlay = OverlaySettings(
                nodeName: name, backend: backend, clusterRanges: pods, table: "martlet0-overlay")
            overlays.append(
                await OverlayAgent.start(
                    overlay, nodes: client, own: client, kernel: kernel, in: world, logger: logger,
                    lookEvery: .milliseconds(300)))
            let proxy = ServiceSettings(
                nodeName: name, podRanges: pods, serviceRanges: services, table: "martlet0-services")
            proxies.append(
                await ServiceProxy.start(
                    proxy, client: client, kernel: kernel, in: world, logger: logger, lookEvery: .milliseconds(300)))
        }
    }

    private func stop() async {
        for proxy in proxies { await proxy.stop(removing: true) }
        for overlay in overlays { await overlay.stop(removing: true) }
        for host in ["worker1", "worker2"] {
            let tables = try? await hosts.check(host, "nft", "list", "tables")
            #expect(tables?.contains("martlet0") == false)
            let links = try? await hosts.check(host, "ip", "-o", "link")
            #expect(links?.contains("flannel") == false)
            let routes = try? await hosts.check(host, "ip", "route", "show", "proto", "77")
            #expect(routes?.isEmpty == true)
        }
        for kernel in kernels { kernel.stop() }
    }

    static func node(_ number: Int) -> JSON {
        let ranges = ["10.244.\(number).0/24", "fd00:244:\(number)::/64"]
        return [
            "metadata": ["name": .string("worker\(number)")],
            "spec": ["podCIDR": .string(ranges[0]), "podCIDRs": .array(ranges.map { .string($0) })],
            "status": [
                "addresses": [
                    ["type": "InternalIP", "address": .string("192.168.57.2\(number)")],
                    ["type": "InternalIP", "address": .string("fd57::2\(number)")],
                ]
            ],
        ]
    }

    /// Makes a Service with these endpoints, each `POD` of the list of pods.
    func serve(_ name: String, _ address: String, _ pods: [String], _ more: JSON = [:]) {
        let isIPv6 = address.contains(":")
        let spec: JSON = [
            "type": "ClusterIP", "clusterIP": .string(address), "clusterIPs": [.string(address)],
            "ports": [
                ["name": "tcp", "protocol": "TCP", "port": 80, "nodePort": 0],
                ["name": "udp", "protocol": "UDP", "port": 80, "nodePort": 0],
            ],
        ]
        let endpoints = pods.map { pod -> JSON in
            let host = pod == "c" ? 2 : 1
            let number = pod == "b" ? 11 : 10
            let address = isIPv6 ? "fd00:244:\(host)::\(number)" : "10.244.\(host).\(number)"
            return [
                "addresses": [.string(address)], "conditions": ["ready": true], "nodeName": .string("worker\(host)"),
            ]
        }
        api.put(
            .endpointSlice,
            [
                "metadata": [
                    "name": .string(name + "-x"), "namespace": "default",
                    "labels": ["kubernetes.io/service-name": .string(name)],
                ],
                "addressType": isIPv6 ? "IPv6" : "IPv4", "endpoints": .array(endpoints),
                "ports": [
                    ["name": "tcp", "port": 8080, "protocol": "TCP"], ["name": "udp", "port": 8080, "protocol": "UDP"],
                ],
            ])
        api.put(
            .service, ["metadata": ["name": .string(name), "namespace": "default"], "spec": spec.merged(with: more)])
    }

    /// Asks once and returns "POD ADDRESS": who answers, and whom it sees; or an error's name.
    func ask(_ from: String, _ address: String, _ port: Int = 80, _ way: String = "tcp", times: Int = 1) async throws
        -> [String]
    {
        let result = try await hosts.run(
            from, ["python3", "-c", Programs.client, way, address, String(port), String(times)])
        return result.output.split(separator: "\n").map(String.init)
    }

    func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<100 {
            if try await condition() { return }
            try await world.sleep(for: .milliseconds(50))
        }
        Issue.record("gave up waiting: \(what)")
    }

    func names(_ answers: [String]) -> Set<String> { Set(answers.map { String($0.prefix { $0 != " " }) }) }
}

private enum Programs {
    /// Answers each TCP connection and each UDP packet at port 8080 with its name and the peer's address.
    static let server = """
        import socket, sys, threading
        name = sys.argv[1]
        def open(kind):
            s = socket.socket(socket.AF_INET6, kind)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("::", 8080))
            return s
        def line(peer): return (name + " " + peer[0].replace("::ffff:", "") + "\\n").encode()
        def udp():
            s = open(socket.SOCK_DGRAM)
            while True:
                _, peer = s.recvfrom(100)
                s.sendto(line(peer), peer)
        threading.Thread(target=udp, daemon=True).start()
        t = open(socket.SOCK_STREAM)
        t.listen(64)
        while True:
            c, peer = t.accept()
            c.sendall(line(peer))
            c.close()
        """
    /// Asks some times; a UDP client keeps its port.
    static let client = """
        import socket, sys
        way, address, port, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        def say(s):
            try: return s.recv(100).decode().strip() or "nothing"
            except socket.timeout: return "timeout"
        u = None
        for _ in range(times):
            try:
                if way == "udp":
                    s = socket.socket(family, socket.SOCK_DGRAM)
                    s.settimeout(1)
                    s.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 7777))
                    s.connect((address, port))
                    s.send(b"?")
                else:
                    s = socket.create_connection((address, port), 1)
                print(say(s))
                s.close()
            except ConnectionRefusedError: print("refused")
            except socket.timeout: print("timeout")
            except OSError as e: print("error", e)
        """
}

@Suite(.serialized, .enabled(if: Hosts.obstacle == nil, "\(Hosts.obstacle ?? "")"))
struct PodNetworkTests {
    @Test func podsOfTwoHostsTalkThroughTheOverlayAndServicesWork() async throws {
        try await PodNetwork.run("mp\(System.processID)", backend: .vxlan) { net in
            try await net.eventually("pods across hosts") {
                try await net.ask("worker1/a", "10.244.2.10", 8080) == ["c 10.244.1.10"]
            }
            try await net.eventually("IPv6") {
                try await net.ask("worker2/c", "fd00:244:1::10", 8080) == ["a fd00:244:2::10"]
            }
            #expect(try await net.ask("worker1/a", "10.244.1.11", 8080) == ["b 10.244.1.10"])
            try await services(net)
            try await outside(net)
            try await udp(net)
            try await drift(net)
        }
    }

    @Test func hostsOfOneSubnetTalkByDirectRoutes() async throws {
        try await PodNetwork.run("md\(System.processID)", backend: .hostGateway) { net in
            try await net.eventually("pods across hosts") {
                try await net.ask("worker1/a", "10.244.2.10", 8080) == ["c 10.244.1.10"]
            }
            try await net.eventually("IPv6") {
                try await net.ask("worker2/c", "fd00:244:1::10", 8080) == ["a fd00:244:2::10"]
            }
            let routes = try await net.hosts.check("worker1", "ip", "route", "show", "proto", "77")
            #expect(routes.contains("10.244.2.0/24 via 192.168.57.22 dev eth0"))
        }
    }

    private func services(_ net: PodNetwork) async throws {
        net.serve("web", "10.96.0.10", ["a", "b", "c"])
        net.serve("web6", "fd00:96::10", ["a", "c"])
        net.serve("self", "10.96.0.11", ["a"])
        net.serve("sticky", "10.96.0.12", ["a", "b", "c"], ["sessionAffinity": "ClientIP"])
        net.serve("empty", "10.96.0.13", [])
        try await net.eventually("a service") {
            try await net.ask("worker1/a", "10.96.0.10").first?.hasSuffix("10.244.1.10") == true
        }
        // Every endpoint takes its turn, from pods of both hosts and from the host itself.
        for from in ["worker1/a", "worker2/c", "worker1"] {
            #expect(try await net.names(net.ask(from, "10.96.0.10", times: 40)) == ["a", "b", "c"], "\(from)")
        }
        #expect(try await net.names(net.ask("worker1/b", "fd00:96::10", times: 30)) == ["a", "c"])
        // A pod keeps its address before others, but not before itself.
        let others = try await net.ask("worker1/b", "10.96.0.11")
        #expect(others == ["a 10.244.1.10"] || others == ["a 10.244.1.11"])
        let mirrored = try await net.ask("worker1/a", "10.96.0.11")
        #expect(mirrored.first?.hasPrefix("a ") == true && mirrored != ["a 10.244.1.10"])
        #expect(try await net.names(net.ask("worker1/a", "10.96.0.12", times: 20)).count == 1)
        #expect(try await net.ask("worker1/a", "10.96.0.13") == ["refused"])
        #expect(try await net.ask("worker1", "10.96.0.13") == ["refused"])
        // The address of a Service has no other ports.
        #expect(try await net.ask("worker1/a", "10.96.0.10", 81) == ["refused"])
    }

    private func outside(_ net: PodNetwork) async throws {
        func ports(_ number: Int64) -> JSON {
            [["name": "tcp", "protocol": "TCP", "port": 80, "nodePort": .int(number)]]
        }
        net.serve("open", "10.96.0.20", ["c"], ["type": "NodePort", "ports": ports(30080)])
        net.serve(
            "near", "10.96.0.21", ["a"], ["type": "NodePort", "externalTrafficPolicy": "Local", "ports": ports(30081)])
        try await net.eventually("a node port") {
            try await net.ask("client", "192.168.57.21", 30080).first?.hasPrefix("c ") == true
        }
        #expect(try await net.ask("client", "192.168.57.22", 30080).first?.hasPrefix("c ") == true)
        #expect(try await net.ask("worker1/a", "192.168.57.21", 30080).first?.hasPrefix("c ") == true)
        #expect(try await net.ask("worker1", "192.168.57.21", 30080).first?.hasPrefix("c ") == true)
        // Where the policy is Local the client's address is kept, and a host without endpoints stays silent.
        #expect(try await net.ask("client", "192.168.57.21", 30081) == ["a 192.168.57.99"])
        #expect(try await net.ask("client", "192.168.57.22", 30081) == ["timeout"])
        #expect(try await net.ask("worker2/c", "192.168.57.22", 30081).first?.hasPrefix("a ") == true)
    }

    private func udp(_ net: PodNetwork) async throws {
        net.serve("names", "10.96.0.30", ["a"])
        try await net.eventually("udp") { try await net.names(net.ask("worker1/b", "10.96.0.30", 80, "udp")) == ["a"] }
        net.serve("names", "10.96.0.30", ["c"])
        // The client keeps its port: without the old connection's end its packets would go to the old pod for ever.
        try await net.eventually("the new pod") {
            try await net.names(net.ask("worker1/b", "10.96.0.30", 80, "udp")) == ["c"]
        }
    }

    private func drift(_ net: PodNetwork) async throws {
        try await net.hosts.check("worker1", "ip", "route", "del", "10.244.2.0/24")
        try await net.hosts.check("worker1", "nft", "delete", "table", "ip", "martlet0-services")
        try await net.eventually("the route and the rules") {
            try await net.ask("worker1/a", "10.96.0.30", 80) == ["c 10.244.1.10"]
        }
        net.api.remove(.node, name: "worker2")
        try await net.eventually("the route's end") {
            try await net.hosts.check("worker1", "ip", "route", "show", "proto", "77") == ""
        }
    }

    @Test func oneServiceAmongThousandsChangesInOneSmallTransaction() async throws {
        let count = ProcessInfo.processInfo.environment["MARTLET_SERVICES"].flatMap { Int($0) } ?? 2000
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        let hosts = try await Hosts.up(["worker1"], prefix: "mt\(System.processID)", in: world)
        let api = TestAPI()
        let kernel = try await KernelNetwork(namespace: hosts.path("worker1"))
        try await withTaskExecutorPreference(world.executor) {
            let client = Client(transport: InProcessTransport(in: world) { await api.handle($0) }, in: world)
            api.put(.node, PodNetwork.node(1))
            for number in 0..<count { put(number, ["10.244.1.10", "10.244.2.10"], api) }
            let settings = ServiceSettings(
                nodeName: "worker1", podRanges: [IPRange("10.244.0.0/16")].compactMap { $0 }, serviceRanges: [],
                table: "martlet0-services")
            let logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
            let start = world.now()
            let proxy = await ServiceProxy.start(settings, client: client, kernel: kernel, in: world, logger: logger)
            while try await rules(kernel) == 0 { try await world.sleep(for: .milliseconds(50)) }
            let whole = world.now() - start
            var times: [Duration] = []
            for round in 0..<20 {
                let generation = try await generation(kernel)
                let before = world.now()
                put(round * 7, ["10.244.1.10", "10.244.3.\(round + 1)"], api)
                while try await self.generation(kernel) == generation { try await world.sleep(for: .milliseconds(1)) }
                times.append(world.now() - before)
            }
            times.sort()
            print(
                "services: \(count), all of them: \(whole), one change until the kernel has it: median \(times[10]), slowest \(times[19])"
            )
            #expect(times[10] < .milliseconds(100))
            await proxy.stop(removing: true)
        }
        kernel.stop()
        await hosts.down()
    }

    private func rules(_ kernel: KernelNetwork) async throws -> Int {
        let tables = try await kernel.ask(.listTables(.ipv4)).compactMap { try NftListing.table($0) }
        return tables.count
    }

    private func generation(_ kernel: KernelNetwork) async throws -> UInt32? {
        try await kernel.ask(.getGeneration).compactMap { try NftListing.generation($0) }.first
    }

    private func put(_ number: Int, _ addresses: [String], _ api: TestAPI) {
        let name = "service-\(number)"
        api.put(
            .service,
            [
                "metadata": ["name": .string(name), "namespace": "default"],
                "spec": [
                    "clusterIP": .string("10.96.\(number / 250).\(number % 250 + 1)"),
                    "ports": [["name": "http", "port": 80]],
                ],
            ])
        api.put(
            .endpointSlice,
            [
                "metadata": [
                    "name": .string(name), "namespace": "default",
                    "labels": ["kubernetes.io/service-name": .string(name)],
                ],
                "addressType": "IPv4", "ports": [["name": "http", "port": 8080]],
                "endpoints": .array(addresses.map { ["addresses": [.string($0)], "conditions": ["ready": true]] }),
            ])
    }
}
