import Foundation
import Logging
import MartletBase
import MartletClient
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes
import Synchronization
import Testing

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
            try await guest(net)
            try await udp(net)
            try await unanswered(net)
            try await bridge(net)
            try await badNode(net)
            try await drift(net)
        }
    }

    /// A master, which has no pods: here the client, whom the hosts know nothing of.
    private func guest(_ net: PodNetwork) async throws {
        let kernel = try await KernelNetwork(namespace: net.hosts.path("client"))
        let api = net.api
        let nodes = Client(transport: InProcessTransport(in: net.world) { await api.handle($0) }, in: net.world)
        let reach = Mutex<[IPRange]>([])
        let routes = await PodRoutes.start(
            addresses: ["192.168.57.99", "fd57::99"].compactMap { IPAddress($0) },
            ranges: ["10.244.0.0/16", "fd00:244::/32"].compactMap { IPRange($0) }, nodes: nodes, kernel: kernel,
            in: net.world, logger: Logger(label: "guest"), lookEvery: .milliseconds(300)
        ) { ranges in reach.withLock { $0 = ranges } }
        try await net.eventually("a pod from outside") {
            try await net.ask("client", "10.244.2.10", 8080) == ["c 192.168.57.99"]
        }
        #expect(try await net.ask("client", "fd00:244:1::10", 8080) == ["a fd57::99"])
        let ranges = ["10.244.1.0/24", "10.244.2.0/24", "fd00:244:1::/64", "fd00:244:2::/64"]
        #expect(Set(reach.withLock { $0 }.map(\.description)) == Set(ranges))
        // What somebody takes away is put back, and a host that goes is forgotten.
        try await net.hosts.check("client", "ip", "route", "delete", "10.244.1.0/24")
        try await net.eventually("the route is back") {
            try await net.ask("client", "10.244.1.10", 8080) == ["a 192.168.57.99"]
        }
        net.api.remove(.node, namespace: "", name: "worker2")
        try await net.eventually("one host is left") { reach.withLock { $0.count } == 2 }
        net.api.put(.node, PodNetwork.node(2))
        await routes.stop()
        kernel.stop()
        for family in ["-4", "-6"] {
            #expect(try await net.hosts.check("client", "ip", family, "route", "show", "proto", "77").isEmpty)
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

    /// A host vanished with its pod while a client connected to it. A later connection from the same port, which the
    /// kernel takes for the same one, must not be led there as well.
    private func unanswered(_ net: PodNetwork) async throws {
        net.serve("lost", "10.96.0.40", ["c"])
        try await net.eventually("the pod") { try await net.ask("worker1/b", "10.96.0.40") == ["c 10.244.1.11"] }
        net.serve("lost", "10.96.0.40", ["nobody"])
        try await net.eventually("nobody answers") {
            try await net.ask("worker1/b", "10.96.0.40", 80, "tcp:7778") == ["timeout"]
        }
        net.serve("lost", "10.96.0.40", ["c"])
        try await net.eventually("the new pod") {
            try await net.ask("worker1/b", "10.96.0.40", 80, "tcp:7778") == ["c 10.244.1.11"]
        }
    }

    /// The network loses packets that are larger than it should: the cable to worker2, behind the bridge.
    @Test func aNetworkThatCarriesLessThanItsDevicesSayIsFound() async throws {
        try await PodNetwork.run("mu\(System.processID)", backend: .vxlan, wire: 1400) { net in
            func said() -> Bool {
                net.api.posted.contains { event in
                    let message = event["message"]?.string ?? ""
                    return event["reason"] == "OverlayCheckFailed"
                        && message.contains("packets of 1450 bytes over flannel.1")
                        && message.hasSuffix("set the device's MTU to 1404")
                }
            }
            for _ in 0..<90 where !said() { try await net.world.sleep(for: .seconds(1)) }
            #expect(said(), "\(net.api.posted)")
        }
    }

    /// What somebody takes from the pods' bridge, or all of it, is put back, and pods go on by it.
    private func bridge(_ net: PodNetwork) async throws {
        net.serve("self", "10.96.0.11", ["a"])
        let harms = [
            "ip link del martlet0", "ip link set pod-a nomaster", "ip link set martlet0 down",
            "ip addr flush dev martlet0",
        ]
        for harm in harms {
            try await net.hosts.check("worker1", "sh", "-c", harm)
            try await net.eventually("\(harm) put right") {
                let across = try await net.ask("worker2/c", "10.244.1.10", 8080).first
                let beside = try await net.ask("worker1/b", "10.244.1.10", 8080).first
                let six = try await net.ask("worker2/c", "fd00:244:1::10", 8080).first
                return [across, beside, six].allSatisfy { $0?.hasPrefix("a ") == true }
            }
            // Packets turn back at the port they came by.
            try await net.eventually("a pod reaches itself after \(harm)") {
                try await net.ask("worker1/a", "10.96.0.11").first?.hasPrefix("a ") == true
            }
        }
        // What it has of another host's range goes, and nothing else.
        await net.bridges[0].serve(["10.244.1.0/24", "fd00:244:1::/64"].compactMap { IPRange($0) })
        try await net.hosts.check("worker1", "sh", "-c", "ip addr add 10.244.7.1/24 dev martlet0")
        try await net.hosts.check("worker1", "sh", "-c", "ip addr add 192.168.7.1/24 dev martlet0")
        try await net.eventually("the address of another range is gone") {
            let held = try await net.hosts.check("worker1", "ip", "-o", "addr", "show", "martlet0")
            return !held.contains("10.244.7.1/") && held.contains("10.244.1.1/") && held.contains("192.168.7.1/")
        }
        try await net.hosts.check("worker1", "sh", "-c", "ip addr del 192.168.7.1/24 dev martlet0")
    }

    /// What nobody can do anything with on one Node is not the others' trouble.
    private func badNode(_ net: PodNetwork) async throws {
        var bad = PodNetwork.node(3)
        bad["metadata", "annotations"] = [
            "flannel.alpha.coreos.com/public-ip": "224.0.0.1",
            "flannel.alpha.coreos.com/backend-data": "{\"VtepMAC\":\"01:00:5e:00:00:01\"}",
        ]
        net.api.put(.node, bad)
        try await net.hosts.check("worker1", "ip", "route", "del", "10.244.2.0/24")
        try await net.eventually("the other host's route") {
            try await net.ask("worker1/a", "10.244.2.10", 8080) == ["c 10.244.1.10"]
        }
        net.api.remove(.node, name: "worker3")
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
