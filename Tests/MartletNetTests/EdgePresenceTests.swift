import Logging
import MartletBase
import MartletClient
import MartletHTTP
import MartletNet
import MartletObject
import MartletPKI
import Testing

@Suite("Several edges") struct EdgePresenceTests {
    private func secondEdge(_ net: TestNet, machine: String) async throws -> Edge {
        let pair = try TestNet.certificate(for: TestNet.fallbackName)
        var settings = EdgeConfiguration(
            secure: .ip(net.address, port: 0), plain: nil,
            fallback: try TLSIdentity(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM),
            publishedAddresses: ["192.0.2.2"])
        settings.machine = machine
        let api = net.api
        let client = Client(transport: InProcessTransport(in: net.world) { await api.handle($0) }, in: net.world)
        return try await Edge.start(settings, client: client, in: net.world, logger: Logger(label: "second"))
    }

    private func addresses(_ net: TestNet) -> [String] {
        let status = net.api.get(.ingress, namespace: "default", name: "web")?["status", "loadBalancer", "ingress"]
        return (status?.array ?? []).compactMap { $0["ip"]?.string }
    }
    private func gatewayAddresses(_ net: TestNet) -> [String] {
        let status = net.api.get(.gateway, namespace: "default", name: "gw")?["status", "addresses"]
        return (status?.array ?? []).compactMap { $0["value"]?.string }
    }

    /// The first edge calls itself `edge`: the second one comes before or behind it.
    @Test("they tell the addresses of all that live, and come to rest", arguments: ["a", "z"])
    func rest(machine: String) async throws {
        try await TestNet.run { net in
            let pod = try await net.backend { _ in text("ok") }
            net.serve("web.test", [pod.endpoint])
            net.api.put(
                .gatewayClass, ["metadata": ["name": "martlet"], "spec": ["controllerName": "martlet.io/gateway"]])
            net.api.put(
                .gateway,
                [
                    "metadata": ["name": "gw", "namespace": "default"],
                    "spec": [
                        "gatewayClassName": "martlet",
                        "listeners": [["name": "http", "port": 80, "protocol": "HTTP"]],
                    ],
                ])
            let (own, both) = (["192.0.2.1"], ["192.0.2.1", "192.0.2.2"])
            try await net.until { addresses(net) == own && gatewayAddresses(net) == own }
            let second = try await secondEdge(net, machine: machine)
            try await net.until { addresses(net) == both && gatewayAddresses(net) == both }
            // All that comes now is written once, and nothing else is.
            net.api.put(.ingress, Objects.ingress("lost", host: "lost.test"))
            try await net.until {
                net.api.posted.count == 1
                    && net.api.get(.ingress, namespace: "default", name: "lost")?["status", "loadBalancer"] != nil
            }
            let before = (net.api.patches(.ingress), net.api.patches(.gateway))
            for number in 1...5 {
                let name = "more-\(number)"
                net.serve("\(name).test", [pod.endpoint])
                try await net.until {
                    net.api.get(.ingress, namespace: "default", name: name)?["status", "loadBalancer"] != nil
                }
            }
            #expect(net.api.patches(.ingress) == before.0 + 5 && net.api.patches(.gateway) == before.1)
            #expect(net.api.posted.count == 1, "one of them tells what cannot be carried out")
            await second.stop()
            try await net.until { addresses(net) == own && gatewayAddresses(net) == own }
        }
    }
}
