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
struct PodNetwork {
    let hosts: Hosts
    let api = TestAPI()
    let world: Reactor
    var bridges: [BridgeKeeper] = []
    var overlays: [OverlayAgent] = []
    var proxies: [ServiceProxy] = []
    var policies: [PolicyAgent] = []
    var kernels: [KernelNetwork] = []

    /// - Parameters:
    ///   - seesBridged: whether the rules for IP see what passes a bridge (br_netfilter); nil for as it is.
    ///   - wire: the largest packet that passes the bridge to worker2.
    static func run(
        _ prefix: String, backend: OverlayBackend, seesBridged: Bool? = nil, wire: Int = 1500,
        _ body: (PodNetwork) async throws -> Void
    ) async throws {
        let world = try Reactor(name: "hosts")
        defer { world.shutdown() }
        try await withTaskExecutorPreference(world.executor) {
            let hosts = try await Hosts.up(["worker1", "worker2", "client"], prefix: prefix, in: world)
            var network = PodNetwork(hosts: hosts, world: world)
            do {
                try await hosts.check("wire", "ip", "link", "set", "worker2", "mtu", "\(wire)")
                try await network.start(backend, seesBridged)
                try await body(network)
            } catch { Issue.record(error) }
            await network.stop()
            await hosts.down()
        }
    }

    private mutating func start(_ backend: OverlayBackend, _ seesBridged: Bool?) async throws {
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
            bridges.append(
                await BridgeKeeper.start(
                    "martlet0", cluster: pods, kernel: kernel, in: world, logger: logger, lookEvery: .milliseconds(300))
            )
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
                    proxy, client: client, kernel: kernel, in: world, logger: logger, seesBridged: seesBridged,
                    lookEvery: .milliseconds(300)))
            policies.append(
                await PolicyAgent.start(
                    PolicySettings(nodeName: name, table: "martlet0-policies"), client: client, kernel: kernel,
                    in: world, logger: logger, seesBridged: seesBridged, lookEvery: .milliseconds(300)))
            if seesBridged == false {
                for name in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
                    try await kernel.set(name, to: "0")
                }
            }
        }
    }

    private func stop() async {
        for bridge in bridges { await bridge.stop() }
        for agent in policies { await agent.stop(removing: true) }
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

    /// Makes a Service with these endpoints, each `POD` of the list of pods; `nobody` is one that is not there.
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
            let host = ["c", "nobody"].contains(pod) ? 2 : 1
            let number = ["b": 11, "nobody": 99][pod] ?? 10
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

enum Programs {
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
    /// Asks some times; a client by UDP keeps its port, and so does one by `tcp:PORT`.
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
                    own = int(way[4:] or 0)
                    s = socket.create_connection((address, port), 1, ("", own) if own else None)
                print(say(s))
                s.close()
            except ConnectionRefusedError: print("refused")
            except socket.timeout: print("timeout")
            except OSError as e: print("error", e)
        """
}
