import FuzzSupport
import MartletBase
import MartletObject
import MartletRoutes
import Testing

private func pod(
    _ name: String, _ addresses: [String], in namespace: String = "shop", labels: [String: String] = [:],
    node: String = "worker1", _ more: JSON = [:]
) -> JSON {
    [
        "metadata": [
            "name": .string(name), "namespace": .string(namespace),
            "labels": JSON(labels.merging(["app": name]) { $1 }),
        ],
        "spec": [
            "nodeName": .string(node), "hostNetwork": more["hostNetwork"] ?? false,
            "containers": [["ports": more["ports"] ?? []]],
        ],
        "status": [
            "phase": more["phase"] ?? "Running", "podIP": .string(addresses.first ?? ""),
            "podIPs": .array(addresses.map { ["ip": .string($0)] }),
        ],
    ]
}

private func namespace(_ name: String, _ labels: [String: String] = [:]) -> JSON {
    ["metadata": ["name": .string(name), "labels": JSON(labels.merging(["kubernetes.io/metadata.name": name]) { $1 })]]
}

private func policy(_ name: String, in namespace: String = "shop", _ spec: JSON) -> JSON {
    ["metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec]
}

/// A host, worker1, with the pods web and db of the namespace shop; elsewhere are api (shop) and spy (other).
private struct Host {
    private var tables: PolicyTables
    private(set) var machine = NftMachine()
    private(set) var last: [NftTransaction] = []

    static let addresses = [
        "web": ["10.244.1.10", "fd00:244:1::10"], "db": ["10.244.1.11", "fd00:244:1::11"],
        "api": ["10.244.2.10", "fd00:244:2::10"], "spy": ["10.244.2.66", "fd00:244:2::66"],
        "outside": ["203.0.113.9", "2001:db8::9"], "near": ["203.0.113.130", "2001:db8:1::9"],
    ]

    init(seesBridged: Bool = true) throws {
        var settings = PolicySettings(nodeName: "worker1", table: "martlet0-policies")
        settings.seesBridged = seesBridged
        tables = PolicyTables(settings)
        tables.put(namespace("shop", ["team": "shop"]), .namespace)
        tables.put(namespace("other", ["team": "none"]), .namespace)
        let ports: JSON = [
            ["name": "http", "containerPort": 8080], ["name": "names", "containerPort": 53, "protocol": "UDP"],
        ]
        tables.put(pod("web", Self.addresses["web"] ?? [], ["ports": ports]), .pod)
        tables.put(pod("db", Self.addresses["db"] ?? []), .pod)
        tables.put(pod("api", Self.addresses["api"] ?? [], node: "worker2", ["ports": ports]), .pod)
        tables.put(pod("spy", Self.addresses["spy"] ?? [], in: "other", node: "worker2"), .pod)
        try machine.commit(tables.takeEverything().transactions)
    }

    mutating func put(_ object: JSON, _ kind: ResourceKind = .networkPolicy) throws {
        tables.put(object, kind)
        try take()
    }
    mutating func remove(_ object: JSON, _ kind: ResourceKind = .networkPolicy) throws {
        tables.remove(object, kind)
        try take()
    }
    private mutating func take() throws {
        last = tables.takeChanges().transactions
        try machine.commit(last)
    }

    /// The same tables made in one go.
    func anew() throws -> NftMachine {
        var copy = tables
        var machine = NftMachine()
        try machine.commit(copy.takeEverything().transactions)
        return machine
    }

    var inventoryMatches: Bool {
        tables.wanted.allSatisfy { wanted in
            let held = machine.tables["\(wanted.family) \(wanted.table)"]
            return held?.chains.mapValues(\.rules.count) == wanted.ruleCounts
                && wanted.elements.allSatisfy { set, elements in
                    Set((held?.sets[set] ?? [:]).map { NftElement($0.key, $0.value) }) == elements
                }
        }
    }

    /// Whether both kinds of addresses agree, and what they say.
    func passes(
        _ from: String, _ to: String, _ port: UInt16 = 80, _ protocolNumber: UInt8 = 6, isNew: Bool = true,
        bridged: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Bool {
        let answers = (0...1).compactMap { family -> Bool? in
            guard let source = Self.addresses[from].flatMap({ IPAddress($0[family]) }),
                let destination = Self.addresses[to].flatMap({ IPAddress($0[family]) })
            else { return nil }
            return machine.passes(
                NftMachine.Packet(
                    source: source, destination: destination, protocolNumber: protocolNumber, port: port, isNew: isNew),
                bridged: bridged)
        }
        #expect(answers.count == 2 && answers[0] == answers[1], sourceLocation: sourceLocation)
        return answers.first ?? false
    }
}

@Suite struct PolicyTests {
    private let webOnly: JSON = ["matchLabels": ["app": "web"]]

    @Test func aPodWithoutPoliciesTakesEverything() throws {
        let host = try Host()
        #expect(host.passes("spy", "web") && host.passes("web", "outside") && host.passes("outside", "db", 5432))
    }

    @Test func aPolicyWithoutRulesDeniesAllButAnswersAndThePodItself() throws {
        var host = try Host()
        try host.put(policy("deny", ["podSelector": ["matchLabels": ["app": "web"]], "policyTypes": ["Ingress"]]))
        #expect(!host.passes("db", "web") && !host.passes("outside", "web"))
        #expect(host.passes("web", "web") && host.passes("db", "web", isNew: false))
        #expect(host.passes("web", "db") && host.passes("db", "api"), "egress and other pods are not restricted")
        try host.put(policy("deny", ["podSelector": [:], "policyTypes": ["Ingress", "Egress"]]))
        #expect(!host.passes("web", "outside") && !host.passes("api", "db") && host.passes("api", "spy"))
        try host.remove(policy("deny", [:]))
        #expect(host.passes("db", "web") && host.passes("web", "outside"))
    }

    @Test func policyTypesThatAreNotSaidFollowFromTheRules() throws {
        var host = try Host()
        try host.put(policy("p", ["podSelector": webOnly]))
        #expect(!host.passes("db", "web") && host.passes("web", "outside"))
        try host.put(
            policy(
                "p", ["podSelector": webOnly, "egress": [["to": [["podSelector": ["matchLabels": ["app": "db"]]]]]]]))
        #expect(!host.passes("db", "web") && !host.passes("web", "outside") && host.passes("web", "db"))
        try host.put(policy("p", ["podSelector": webOnly, "policyTypes": ["Egress"], "ingress": [[:]]]))
        #expect(host.passes("db", "web") && !host.passes("web", "db"))
    }

    @Test func selectorsOfPodsAndNamespacesNameThePeers() throws {
        var host = try Host()
        func allow(_ peers: JSON) throws {
            try host.put(policy("p", ["podSelector": webOnly, "ingress": [["from": peers]]]))
        }
        try allow([["podSelector": ["matchLabels": ["app": "api"]]]])
        #expect(host.passes("api", "web") && !host.passes("db", "web") && !host.passes("spy", "web"))
        try allow([["podSelector": [:]]])
        #expect(host.passes("db", "web") && !host.passes("spy", "web"), "no other namespace")
        try allow([["namespaceSelector": ["matchLabels": ["team": "none"]]]])
        #expect(host.passes("spy", "web") && !host.passes("api", "web"))
        try allow([
            [
                "namespaceSelector": [:],
                "podSelector": ["matchExpressions": [["key": "app", "operator": "In", "values": ["db", "spy"]]]],
            ]
        ])
        #expect(host.passes("spy", "web") && host.passes("db", "web") && !host.passes("api", "web"))
        try allow([
            ["podSelector": ["matchLabels": ["app": "db"]]], ["namespaceSelector": ["matchLabels": ["team": "none"]]],
        ])
        #expect(host.passes("spy", "web") && host.passes("db", "web") && !host.passes("api", "web"))
        #expect(!host.passes("outside", "web"))
    }

    @Test func blocksHaveHoles() throws {
        var host = try Host()
        let blocks: JSON = [
            ["ipBlock": ["cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]]],
            ["ipBlock": ["cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]]],
        ]
        try host.put(policy("in", ["podSelector": webOnly, "ingress": [["from": blocks]]]))
        try host.put(
            policy(
                "out",
                ["podSelector": ["matchLabels": ["app": "db"]], "policyTypes": ["Egress"], "egress": [["to": blocks]]]))
        #expect(host.passes("outside", "web") && !host.passes("near", "web") && !host.passes("db", "web"))
        #expect(host.passes("db", "outside") && !host.passes("db", "near") && !host.passes("db", "api"))
        let everywhere: JSON = [["ipBlock": ["cidr": "0.0.0.0/0"]], ["ipBlock": ["cidr": "::/0"]]]
        try host.put(policy("in", ["podSelector": webOnly, "ingress": [["from": everywhere]]]))
        #expect(host.passes("near", "web") && host.passes("api", "web"))
    }

    @Test func portsAreNumbersRangesNamesOrAllOfAProtocol() throws {
        var host = try Host()
        let ports: JSON = [
            ["port": 80], ["protocol": "UDP", "port": 5000, "endPort": 5010], ["port": "http"], ["protocol": "SCTP"],
            ["protocol": "UDP", "port": "names"],
        ]
        try host.put(policy("p", ["podSelector": [:], "ingress": [["ports": ports]]]))
        #expect(host.passes("spy", "web", 80) && !host.passes("spy", "web", 81) && !host.passes("spy", "web", 80, 17))
        #expect(host.passes("spy", "web", 5000, 17) && host.passes("spy", "web", 5010, 17))
        #expect(!host.passes("spy", "web", 4999, 17) && !host.passes("spy", "web", 5011, 17))
        #expect(host.passes("spy", "web", 7, 132))
        // A name is what the destination's containers say.
        #expect(host.passes("spy", "web", 8080) && !host.passes("spy", "db", 8080))
        #expect(host.passes("spy", "web", 53, 17) && !host.passes("spy", "web", 53))
        #expect(!host.passes("spy", "web", 0, 1), "a protocol without ports is not in the list")
    }

    @Test func aNameInARuleForEgressIsAPortOfTheOtherEnd() throws {
        var host = try Host()
        let named: JSON = [["port": "http"]]
        func allow(_ rule: JSON) throws {
            try host.put(
                policy(
                    "p", ["podSelector": ["matchLabels": ["app": "db"]], "policyTypes": ["Egress"], "egress": [rule]]))
        }
        try allow(["ports": named])
        #expect(host.passes("db", "web", 8080) && host.passes("db", "api", 8080) && !host.passes("db", "spy", 8080))
        #expect(!host.passes("db", "web", 80))
        try allow(["ports": named, "to": [["podSelector": ["matchLabels": ["app": "api"]]]]])
        #expect(host.passes("db", "api", 8080) && !host.passes("db", "web", 8080))
        let moved = pod(
            "api", Host.addresses["api"] ?? [], node: "worker2", ["ports": [["name": "http", "containerPort": 9090]]])
        try host.put(moved, .pod)
        #expect(host.passes("db", "api", 9090) && !host.passes("db", "api", 8080))
    }

    @Test func whatOnePolicyAllowsNoOtherForbids() throws {
        var host = try Host()
        try host.put(policy("a", ["podSelector": [:], "policyTypes": ["Ingress"]]))
        try host.put(
            policy(
                "b", ["podSelector": webOnly, "ingress": [["from": [["podSelector": ["matchLabels": ["app": "db"]]]]]]])
        )
        try host.put(policy("c", ["podSelector": webOnly, "ingress": [["ports": [["port": 443]]]]]))
        #expect(host.passes("db", "web", 80) && host.passes("spy", "web", 443) && !host.passes("spy", "web", 80))
        #expect(!host.passes("web", "db"), "the sender may, the receiver does not")
    }

    @Test func aConnectionNeedsBothEnds() throws {
        var host = try Host()
        try host.put(
            policy("out", ["podSelector": webOnly, "policyTypes": ["Egress"], "egress": [["ports": [["port": 5432]]]]]))
        try host.put(
            policy(
                "in",
                [
                    "podSelector": ["matchLabels": ["app": "db"]],
                    "ingress": [["from": [["podSelector": webOnly]], "ports": [["port": 5432], ["port": 22]]]],
                ]))
        #expect(host.passes("web", "db", 5432) && !host.passes("web", "db", 22) && !host.passes("api", "db", 5432))
    }

    @Test func podsOfTheHostsNetworkAndThoseThatHaveEndedHaveNoPart() throws {
        var host = try Host()
        try host.put(policy("p", ["podSelector": [:], "ingress": [["from": [["namespaceSelector": [:]]]]]]))
        #expect(host.passes("spy", "web"))
        try host.put(
            pod("spy", Host.addresses["spy"] ?? [], in: "other", node: "worker2", ["phase": "Succeeded"]), .pod)
        #expect(!host.passes("spy", "web"))
        try host.put(pod("spy", Host.addresses["spy"] ?? [], in: "other", node: "worker2", ["hostNetwork": true]), .pod)
        #expect(!host.passes("spy", "web"))
        try host.put(pod("web", Host.addresses["web"] ?? [], ["hostNetwork": true]), .pod)
        #expect(host.passes("outside", "web"))
    }

    @Test func aPeerThatComesOrGoesIsOneElementOfASet() throws {
        var host = try Host()
        try host.put(
            policy(
                "p",
                ["podSelector": webOnly, "ingress": [["from": [["podSelector": ["matchLabels": ["role": "client"]]]]]]])
        )
        #expect(!host.passes("api", "web"))
        try host.put(pod("api", Host.addresses["api"] ?? [], labels: ["role": "client"], node: "worker2"), .pod)
        #expect(host.passes("api", "web"))
        #expect(host.last.map(\.changes.count) == [1, 1])
        for transaction in host.last {
            guard case .addElements(let set, let elements)? = transaction.changes.first else {
                Issue.record("\(transaction)")
                continue
            }
            #expect(set == "ingress-shop/p/peers-0" && elements.count == 1)
        }
        // News of a pod that no policy is about make no transaction.
        try host.put(
            pod("api", Host.addresses["api"] ?? [], labels: ["role": "client"], node: "worker2", ["phase": "Pending"]),
            .pod)
        #expect(host.last.isEmpty)
        try host.remove(pod("api", []), .pod)
        #expect(!host.passes("api", "web") && host.last.map(\.changes.count) == [1, 1])
    }

    @Test func aNamespaceThatGetsALabelLetsItsPodsIn() throws {
        var host = try Host()
        try host.put(
            policy(
                "p",
                [
                    "podSelector": webOnly,
                    "ingress": [["from": [["namespaceSelector": ["matchLabels": ["door": "open"]]]]]],
                ]))
        #expect(!host.passes("spy", "web"))
        try host.put(namespace("other", ["door": "open"]), .namespace)
        #expect(host.passes("spy", "web"))
        try host.remove(namespace("other"), .namespace)
        #expect(!host.passes("spy", "web"))
    }

    @Test func anAddressIsThatOfThePodThatCameLast() throws {
        var host = try Host()
        try host.put(policy("p", ["podSelector": webOnly]))
        var heir = pod("heir", Host.addresses["web"] ?? [])
        heir["metadata", "creationTimestamp"] = "2026-01-01T00:00:00Z"
        try host.put(heir, .pod)
        #expect(host.passes("spy", "web"))
        try host.remove(heir, .pod)
        #expect(!host.passes("spy", "web"))
    }

    @Test func podsOfOneBridgeAreJudgedThereWhenTheRulesForIPDoNotSeeThem() throws {
        var host = try Host(seesBridged: false)
        try host.put(policy("p", ["podSelector": webOnly, "ingress": [["ports": [["port": 443]]]]]))
        #expect(!host.passes("db", "web", 80, bridged: true) && host.passes("db", "web", 443, bridged: true))
        #expect(!host.passes("api", "web", 80) && host.passes("api", "web", 443))
        #expect(host.inventoryMatches)
    }

    @Test func neighboursAreFoundAndLinkLocalAddressesAreNoWayAround() throws {
        var host = try Host()
        try host.put(policy("p", ["podSelector": [:], "policyTypes": ["Ingress", "Egress"]]))
        let (web, db) = (try #require(IPAddress("fd00:244:1::10")), try #require(IPAddress("fd00:244:1::11")))
        for type in 130...140 as ClosedRange<UInt8> {
            let packet = NftMachine.Packet(source: web, destination: db, protocolNumber: 58, icmpType: type)
            #expect(host.machine.passes(packet) == (133...137).contains(type))
        }
        let hidden = NftMachine.Packet(
            source: try #require(IPAddress("fe80::1")), destination: try #require(IPAddress("fe80::2")))
        #expect(!host.machine.passes(hidden))
    }

    @Test func longNamesStayApart() throws {
        var host = try Host()
        let long = String(repeating: "p", count: 240)
        try host.put(policy(long + "a", ["podSelector": webOnly, "ingress": [["ports": [["port": 80]]]]]))
        try host.put(policy(long + "b", ["podSelector": webOnly, "ingress": [["ports": [["port": 443]]]]]))
        #expect(host.passes("spy", "web", 80) && host.passes("spy", "web", 443) && !host.passes("spy", "web", 22))
        let names = host.machine.tables.values.flatMap { Array($0.chains.keys) + Array($0.sets.keys) }
        #expect(names.allSatisfy { $0.utf8.count <= 255 })
    }

    /// After any changes in any order the kernel takes every transaction, and holds what it would hold had all been
    /// made at once.
    @Test func fuzzedChangesEndWhereAFreshStartDoes() throws {
        var random = SplitMix64(seed: Fuzz.seed(7))
        for _ in 0..<Fuzz.runs(60) {
            var host = try Host(seesBridged: Bool.random(using: &random))
            for _ in 0..<30 { try Self.change(&host, &random) }
            #expect(host.machine.tables == (try host.anew()).tables)
            #expect(host.inventoryMatches)
        }
    }

    private static func change(_ host: inout Host, _ random: inout some RandomNumberGenerator) throws {
        let names = ["web", "db", "api", "spy"]
        let roles = ["a", "b"]
        func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        func selector() -> JSON { pick([[:], ["matchLabels": ["role": .string(pick(roles))]]]) }
        func peer() -> JSON {
            pick([
                ["podSelector": selector()], ["namespaceSelector": selector()],
                ["namespaceSelector": selector(), "podSelector": selector()],
                ["ipBlock": ["cidr": "10.0.0.0/8", "except": ["10.244.2.0/24"]]], ["ipBlock": ["cidr": "fd00::/8"]],
            ])
        }
        func rule(_ field: String) -> JSON {
            pick([
                [:], [field: [peer()]], [field: [peer(), peer()], "ports": [["port": "http"]]],
                ["ports": [["port": 80], ["port": "http"], ["protocol": "UDP", "port": 1, "endPort": 99]]],
            ])
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0...3:
            let types: [JSON] = [["Ingress"], ["Egress"], ["Ingress", "Egress"]]
            let spec: JSON = [
                "podSelector": selector(), "policyTypes": pick(types), "ingress": [rule("from")],
                "egress": [rule("to"), rule("to")],
            ]
            try host.put(policy(pick(["p", "q"]), in: pick(["shop", "other"]), spec))
        case 4: try host.remove(policy(pick(["p", "q"]), in: pick(["shop", "other"]), [:]))
        case 5: try host.put(namespace(pick(["shop", "other"]), ["role": pick(roles)]), .namespace)
        case 6: try host.remove(namespace(pick(["shop", "other"])), .namespace)
        case 7: try host.remove(pod(pick(names), [], in: pick(["shop", "other"])), .pod)
        default:
            let addresses = Host.addresses[pick(names)] ?? []
            let ports: JSON = [["name": "http", "containerPort": .int(Int64.random(in: 1...3, using: &random))]]
            try host.put(
                pod(
                    pick(names), addresses, in: pick(["shop", "other"]), labels: ["role": pick(roles)],
                    node: pick(["worker1", "worker2"]), ["ports": ports]), .pod)
        }
    }
}
