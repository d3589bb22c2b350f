import Foundation
import MartletBase
import MartletIO
import MartletNet
import MartletObject
import MartletRoutes
import Testing

/// Network policies with real packets: who gets through, and who does not. Needs root.
///
/// Pods a and b are on worker1, c is on worker2; the client is outside of the cluster.
@Suite(.serialized, .enabled(if: Hosts.obstacle == nil, "\(Hosts.obstacle ?? "")"))
struct PolicyPacketTests {
    @Test func policiesLetThroughWhatTheySayAndNothingElse() async throws {
        try await PodNetwork.run("mq\(System.processID)", backend: .vxlan) { net in try await table(net) }
    }

    /// A kernel that cannot track connections over a bridge either leaves packets between pods of one host alone, and
    /// judges all others.
    @Test func theyDoSoWithoutBrNetfilter() async throws {
        try await PodNetwork.run("mr\(System.processID)", backend: .vxlan, seesBridged: false) { net in
            if net.policies.allSatisfy(\.judgesBridged) { return try await table(net) }
            try await begin(net)
            try await expect(
                net, ["podSelector": ["matchLabels": ["app": "a"]], "policyTypes": ["Ingress"]],
                ["b": true, "c": false, "b over the service": false, "client": false, "node": true])
            try await expect(net, nil, ["b": true, "c": true, "b over the service": true, "client": true])
        }
    }

    private func begin(_ net: PodNetwork) async throws {
        for (name, labels) in [("shop", ["team": "shop"]), ("other", ["team": "other"])] {
            net.api.put(.namespace, ["metadata": ["name": .string(name), "labels": JSON(labels)]])
        }
        put(net, "a", "shop", host: 1, number: 10)
        put(net, "b", "shop", host: 1, number: 11)
        put(net, "c", "other", host: 2, number: 10)
        net.serve("web", "10.96.0.10", ["a"])
        net.serve(
            "open", "10.96.0.20", ["a"],
            [
                "type": "NodePort", "externalTrafficPolicy": "Local",
                "ports": [["name": "tcp", "protocol": "TCP", "port": 80, "nodePort": 30080]],
            ])
        try await net.eventually("the overlay and the service") {
            let across = try await net.ask("worker2/c", "fd00:244:1::10", 8080)
            let served = try await net.names(net.ask("worker2/c", "10.96.0.10"))
            let entered = try await net.names(net.ask("client", "192.168.57.21", 30080))
            return across == ["a fd00:244:2::10"] && served == ["a"] && entered == ["a"]
        }
    }

    private func table(_ net: PodNetwork) async throws {
        try await begin(net)
        let a: JSON = ["matchLabels": ["app": "a"]]
        try await expect(net, nil, ["b": true, "c": true, "b over the service": true, "client": true, "node": true])

        // Nobody, but the pod's own node and the pod itself.
        try await expect(
            net, ["podSelector": a, "policyTypes": ["Ingress"]],
            ["b": false, "c": false, "b over the service": false, "client": false, "node": true, "a itself": true])
        // Pods of the namespace, directly or by the Service, and by its node port nobody.
        try await expect(
            net, ["podSelector": a, "ingress": [["from": [["podSelector": ["matchLabels": ["app": "b"]]]]]]],
            ["b": true, "c": false, "b over the service": true, "client": false, "node": true])
        // Another namespace.
        try await expect(
            net,
            ["podSelector": a, "ingress": [["from": [["namespaceSelector": ["matchLabels": ["team": "other"]]]]]]],
            ["b": false, "c": true, "client": false])
        // The world outside but for the pods: its own address is kept by the policy Local.
        try await expect(
            net, ["podSelector": a, "ingress": [["from": [["ipBlock": ["cidr": "192.168.0.0/16"]]]]]],
            ["b": false, "c": false, "client": true])
        try await expect(
            net,
            [
                "podSelector": a,
                "ingress": [["from": [["ipBlock": ["cidr": "0.0.0.0/0", "except": ["10.244.2.0/24"]]]]]],
            ],
            ["b over IPv4": true, "c over IPv4": false, "client": true])
        // Ports are those of the pod, behind the translation.
        try await expect(
            net, ["podSelector": a, "ingress": [["ports": [["port": 80]]]]],
            ["b": false, "b over the service": false, "client": false])
        try await expect(
            net, ["podSelector": a, "ingress": [["ports": [["port": 8000, "endPort": 8080]]]]],
            ["b": true, "c": true, "b over the service": true, "client": true])
        try await expect(
            net, ["podSelector": a, "ingress": [["ports": [["port": "http"]]]]],
            ["b": true, "c": true, "b over the service": true, "b over UDP": false])
        try await expect(
            net, ["podSelector": a, "ingress": [["ports": [["protocol": "UDP"]]]]],
            ["b": false, "b over UDP": true])
        // Out of b: nothing, then only to a.
        let b: JSON = ["matchLabels": ["app": "b"]]
        try await expect(
            net, ["podSelector": b, "policyTypes": ["Egress"]],
            ["b": false, "c": true, "b over the service": false, "b to its node": true])
        try await expect(
            net, ["podSelector": b, "policyTypes": ["Egress"], "egress": [["to": [["podSelector": a]]]]],
            ["b": true, "b over the service": true, "b to c": false])
        try await expect(net, nil, ["b": true, "c": true, "client": true, "b to c": true])
    }

    private func put(_ net: PodNetwork, _ name: String, _ namespace: String, host: Int, number: Int) {
        net.api.put(
            .pod,
            [
                "metadata": ["name": .string(name), "namespace": .string(namespace), "labels": ["app": .string(name)]],
                "spec": [
                    "nodeName": .string("worker\(host)"),
                    "containers": [["ports": [["name": "http", "containerPort": 8080]]]],
                ],
                "status": [
                    "phase": "Running",
                    "podIPs": [
                        ["ip": .string("10.244.\(host).\(number)")], ["ip": .string("fd00:244:\(host)::\(number)")],
                    ],
                ],
            ])
    }

    /// Puts a policy in the namespace shop (none: takes it away), and asks whether each client is answered.
    private func expect(
        _ net: PodNetwork, _ spec: JSON?, _ wanted: [String: Bool],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        if let spec {
            net.api.put(.networkPolicy, ["metadata": ["name": "p", "namespace": "shop"], "spec": spec])
        } else {
            net.api.remove(.networkPolicy, namespace: "shop", name: "p")
        }
        // It takes a few milliseconds until the kernel has it.
        try await net.world.sleep(for: .milliseconds(150))
        for (client, isAnswered) in wanted.sorted(by: { $0.key < $1.key }) {
            let answers = try await Self.questions(client, net)
            let isRight = answers.allSatisfy {
                ($0 != ["timeout"]) == isAnswered && $0.first?.contains("error") != true
            }
            #expect(isRight, "\(client): \(answers)", sourceLocation: sourceLocation)
        }
    }

    private static func questions(_ client: String, _ net: PodNetwork) async throws -> [[String]] {
        switch client {
        case "b", "c":
            let from = client == "b" ? "worker1/b" : "worker2/c"
            return [
                try await net.ask(from, "10.244.1.10", 8080), try await net.ask(from, "fd00:244:1::10", 8080),
            ]
        case "b over IPv4": return [try await net.ask("worker1/b", "10.244.1.10", 8080)]
        case "c over IPv4": return [try await net.ask("worker2/c", "10.244.1.10", 8080)]
        case "b over UDP": return [try await net.ask("worker1/b", "10.244.1.10", 8080, "udp")]
        case "b over the service": return [try await net.ask("worker1/b", "10.96.0.10")]
        case "b to c": return [try await net.ask("worker1/b", "10.244.2.10", 8080)]
        case "b to its node": return [try await net.ask("worker1/b", "192.168.57.21", 9)]
        case "a itself":
            return [try await net.ask("worker1/a", "10.96.0.10"), try await net.ask("worker1/a", "10.244.1.10", 8080)]
        case "node":
            return [
                try await net.ask("worker1", "10.244.1.10", 8080), try await net.ask("worker1", "fd00:244:1::10", 8080),
                try await net.ask("worker1", "10.96.0.10"),
            ]
        default: return [try await net.ask("client", "192.168.57.21", 30080)]
        }
    }
}
