import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

extension JSON {
    /// This object with the fields of another.
    fileprivate func with(_ other: JSON) -> JSON {
        var result = self
        for (key, value) in other.members { result[key] = value }
        return result
    }
}

/// A Service `default/web` at 10.96.0.10:80, and what a test adds to it.
private func service(_ name: String = "web", _ address: String = "10.96.0.10", _ more: JSON = [:]) -> JSON {
    let spec: JSON = [
        "clusterIP": .string(address), "clusterIPs": [.string(address)],
        "ports": [["name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080]],
    ]
    return [
        "metadata": ["name": .string(name), "namespace": "default"], "spec": spec.with(more["spec"] ?? [:]),
        "status": more["status"] ?? [:],
    ]
}

private func endpoint(_ address: String, node: String = "worker1", ready: Bool = true, more: JSON = [:]) -> JSON {
    let plain: JSON = [
        "addresses": [.string(address)], "conditions": ["ready": .bool(ready), "serving": .bool(ready)],
        "nodeName": .string(node),
    ]
    return plain.with(more)
}

private func slice(_ endpoints: [JSON], of service: String = "web", transport: String = "TCP") -> JSON {
    [
        "metadata": [
            "name": .string(service + "-abcde"), "namespace": "default",
            "labels": ["kubernetes.io/service-name": .string(service)],
        ],
        "addressType": "IPv4", "endpoints": .array(endpoints),
        "ports": [["name": "http", "port": 8080, "protocol": .string(transport)]],
    ]
}

private func leaving(_ address: String, node: String = "worker1") -> JSON {
    endpoint(
        address, node: node, ready: false, more: ["conditions": ["ready": false, "serving": true, "terminating": true]])
}

@Suite struct ServiceTests {
    private func tables(_ objects: [JSON], slices: [JSON]) -> ServiceTables {
        var tables = ServiceTables(
            ServiceSettings(
                nodeName: "worker1", podRanges: [IPRange("10.244.0.0/16")].compactMap { $0 },
                serviceRanges: [IPRange("10.96.0.0/16")].compactMap { $0 }, table: "martlet0-services"))
        tables.putNode([
            "metadata": ["name": "worker1", "labels": ["topology.kubernetes.io/zone": "attic"]],
            "status": ["addresses": [["type": "InternalIP", "address": "192.168.57.21"]]],
        ])
        for object in objects { tables.putService(object) }
        for slice in slices { tables.putSlice(slice) }
        return tables
    }

    /// Where a map leads for an address and port over TCP; "" when it has no word of it.
    private func verdict(_ tables: ServiceTables, _ map: String, _ address: String? = "10.96.0.10", _ port: UInt16 = 80)
        -> String
    {
        let key = NftKey(address.flatMap { IPAddress($0) }, protocolNumber: 6, port: port)
        switch tables.elements(.ipv4)[map]?.first(where: { $0.key == key })?.verdict {
        case .goto(let chain): return chain
        case .drop: return "drop"
        default: return ""
        }
    }

    /// The endpoints that packets are translated to.
    private func endpoints(_ tables: ServiceTables) -> Set<String> {
        Set(
            tables.chains(.ipv4).values.joined().compactMap { rule in
                let constants = rule.compactMap { if case .constant(let bytes, _) = $0 { bytes } else { nil } }
                guard case .translateDestination? = rule.last, constants.count == 2 else { return nil }
                let port = Int(constants[1][0]) << 8 | Int(constants[1][1])
                return IPAddress(bytes: constants[0]).map { "\($0)/\(port)" }
            })
    }

    @Test func aServiceLeadsToItsEndpointsAndToARefusalWithoutThem() {
        var tables = tables(
            [service()], slices: [slice([endpoint("10.244.1.2"), endpoint("10.244.2.2", node: "worker2")])])
        _ = tables.takeEverything()
        #expect(verdict(tables, "service-ips") == "service-default/web/tcp/http")
        #expect(verdict(tables, "no-endpoint-services") == "")
        #expect(endpoints(tables) == ["10.244.1.2/8080", "10.244.2.2/8080"])
        tables.putSlice(slice([]))
        _ = tables.takeChanges()
        #expect(verdict(tables, "service-ips") == "" && verdict(tables, "no-endpoint-services") == "reject")
        #expect(endpoints(tables).isEmpty)
    }

    @Test func endpointsThatTerminateServeWhenThereIsNoOther() {
        var tables = tables(
            [service()], slices: [slice([leaving("10.244.1.2"), endpoint("10.244.1.3", ready: false)])])
        _ = tables.takeEverything()
        #expect(endpoints(tables) == ["10.244.1.2/8080"])
        tables.putSlice(slice([leaving("10.244.1.2"), endpoint("10.244.1.3")]))
        _ = tables.takeChanges()
        #expect(endpoints(tables) == ["10.244.1.3/8080"])
    }

    @Test func theInternalPolicyLocalKeepsToThisHostAndDropsWhereItHasNone() {
        let local = service("web", "10.96.0.10", ["spec": ["internalTrafficPolicy": "Local"]])
        var tables = tables(
            [local], slices: [slice([endpoint("10.244.1.2"), endpoint("10.244.2.2", node: "worker2")])])
        _ = tables.takeEverything()
        #expect(
            verdict(tables, "service-ips") == "local-default/web/tcp/http" && endpoints(tables) == ["10.244.1.2/8080"])
        tables.putSlice(slice([endpoint("10.244.2.2", node: "worker2")]))
        _ = tables.takeChanges()
        #expect(verdict(tables, "service-ips") == "" && verdict(tables, "no-endpoint-services") == "drop")
    }

    @Test func theExternalPolicyLocalStillServesPodsByWayOfTheCluster() {
        let balanced: JSON = [
            "spec": [
                "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31999,
                "ports": [["name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080]],
                "externalIPs": ["203.0.113.9"],
                "loadBalancerSourceRanges": ["203.0.113.0/24", " 198.51.100.0/24"],
            ],
            "status": ["loadBalancer": ["ingress": [["ip": "192.0.2.7"], ["ip": "192.0.2.8", "ipMode": "Proxy"]]]],
        ]
        var tables = tables(
            [service("web", "10.96.0.10", balanced)], slices: [slice([endpoint("10.244.2.2", node: "worker2")])])
        _ = tables.takeEverything()
        for address in ["203.0.113.9", "192.0.2.7"] {
            #expect(verdict(tables, "service-ips", address) == "external-default/web/tcp/http")
            #expect(verdict(tables, "no-endpoint-services", address) == "drop")
        }
        #expect(verdict(tables, "service-ips", "192.0.2.8") == "")
        #expect(verdict(tables, "firewall-ips", "192.0.2.7") == "firewall-default/web/tcp/http")
        #expect(verdict(tables, "service-nodeports", nil, 30080) == "external-default/web/tcp/http")
        #expect(verdict(tables, "no-endpoint-nodeports", nil, 30080) == "drop")
        #expect(verdict(tables, "service-ips") == "service-default/web/tcp/http")
        let health = tables.healthChecks[31999]
        #expect(health?.localEndpoints == 0 && health?.service.description == "default/web")
        tables.putSlice(slice([endpoint("10.244.1.2"), endpoint("10.244.2.2", node: "worker2")]))
        _ = tables.takeChanges()
        #expect(
            verdict(tables, "no-endpoint-services", "192.0.2.7") == ""
                && tables.healthChecks[31999]?.localEndpoints == 1)
        // Two from pods and the host itself to the cluster's, one to this host's.
        #expect(tables.ruleCounts(.ipv4)["external-default/web/tcp/http"] == 4)
    }

    @Test func hintsCountWhenEveryEndpointHasThem() {
        func hinted(_ address: String, _ zone: String) -> JSON {
            endpoint(address, more: ["hints": ["forZones": [["name": .string(zone)]]]])
        }
        var tables = tables(
            [service()], slices: [slice([hinted("10.244.1.2", "attic"), hinted("10.244.1.3", "cellar")])])
        _ = tables.takeEverything()
        #expect(endpoints(tables) == ["10.244.1.2/8080"])
        tables.putSlice(slice([hinted("10.244.1.2", "attic"), endpoint("10.244.1.3")]))
        _ = tables.takeChanges()
        #expect(endpoints(tables).count == 2)
        tables.putSlice(slice([hinted("10.244.1.2", "roof"), hinted("10.244.1.3", "cellar")]))
        _ = tables.takeChanges()
        #expect(endpoints(tables).count == 2)
    }

    @Test func headlessServicesAndExternalNamesWantNothing() {
        var tables = tables(
            [
                service("headless", "None"), service("name", "", ["spec": ["type": "ExternalName"]]),
            ], slices: [slice([endpoint("10.244.1.2")], of: "headless")])
        _ = tables.takeEverything()
        #expect(tables.elements(.ipv4).values.allSatisfy(\.isEmpty) && endpoints(tables).isEmpty)
    }

    @Test func oneChangeAmongManyIsOneSmallTransaction() throws {
        let many = (0..<200).map { service("s\($0)", "10.96.1.\($0)") }
        var tables = tables(
            many, slices: (0..<200).map { slice([endpoint("10.244.1.2"), endpoint("10.244.2.2")], of: "s\($0)") })
        let whole = tables.takeEverything()
        #expect(whole.transactions.count == 2 && whole.transactions[0].changes.count > 400)
        #expect(tables.takeChanges().transactions.isEmpty)
        tables.putSlice(slice([endpoint("10.244.1.2"), endpoint("10.244.3.2")], of: "s7"))
        let one = tables.takeChanges()
        let transaction = try #require(one.transactions.first)
        // Its chain anew, and one more endpoint of this host; no rule of it leads anywhere else.
        #expect(one.transactions.count == 1 && transaction.changes.count == 3)
        #expect(transaction.changes[0] == .emptyChain("service-default/s7/tcp/http"))
        guard case .addChain(let chain) = transaction.changes[1] else { return #expect(Bool(false)) }
        #expect(chain.rules.joined().allSatisfy { if case .verdict = $0 { false } else { true } })
        let hairpin = NftKey(bytes: [10, 244, 3, 2, 10, 244, 3, 2])
        #expect(transaction.changes[2] == .addElements(set: "hairpin-connections", [NftElement(hairpin)]))
        #expect(NftBatch(transaction, sequence: 1).bytes.count < 2500)
        // A change that changes nothing is none.
        tables.putSlice(slice([endpoint("10.244.3.2"), endpoint("10.244.1.2")], of: "s7"))
        #expect(tables.hasChanges && tables.takeChanges().transactions.isEmpty)
    }

    @Test func manyEndpointsAreChosenAmongByAMapAndFewByARuleEach() {
        let chain = "service-default/web/tcp/http"
        for (count, rules) in [(1, 2), (3, 4), (16, 17), (17, 2)] {
            var tables = tables([service()], slices: [slice((1...count).map { endpoint("10.244.1.\($0)") })])
            _ = tables.takeEverything()
            #expect(tables.ruleCounts(.ipv4)[chain] == rules && endpoints(tables).count == count)
        }
        var tables = tables([service()], slices: [slice((1...3).map { endpoint("10.244.1.\($0)") })])
        _ = tables.takeEverything()
        let moduli = (tables.chains(.ipv4)[chain] ?? []).joined().compactMap {
            if case .random(let modulus, _) = $0 { modulus } else { nil }
        }
        #expect(moduli == [3, 2])
    }

    @Test func anEndpointOfSeveralServicesIsOneHairpinUntilTheLastIsGone() {
        var tables = tables(
            [service("one", "10.96.0.11"), service("two", "10.96.0.12")],
            slices: [slice([endpoint("10.244.1.2")], of: "one"), slice([endpoint("10.244.1.2")], of: "two")])
        _ = tables.takeEverything()
        func hairpins() -> Int { tables.elements(.ipv4)["hairpin-connections"]?.count ?? 0 }
        #expect(hairpins() == 1)
        tables.putSlice(slice([], of: "one"))
        tables.putSlice(slice([endpoint("10.244.1.2"), endpoint("10.244.2.2", node: "worker2")], of: "two"))
        _ = tables.takeChanges()
        #expect(hairpins() == 1)
        tables.putSlice(slice([], of: "two"))
        let changes = tables.takeChanges().transactions.first?.changes ?? []
        #expect(hairpins() == 0)
        #expect(changes.contains { if case .removeElements("hairpin-connections", _) = $0 { true } else { false } })
    }

    @Test func aServiceThatIsGoneLeavesNothing() {
        let sticky = service("web", "10.96.0.10", ["spec": ["sessionAffinity": "ClientIP"]])
        var tables = tables([sticky], slices: [slice([endpoint("10.244.1.2"), endpoint("10.244.1.3")])])
        var empty = ServiceTables(
            ServiceSettings(
                nodeName: "worker1", podRanges: [], serviceRanges: [IPRange("10.96.0.0/16")].compactMap { $0 },
                table: "martlet0-services"))
        _ = empty.takeEverything()
        _ = tables.takeEverything()
        #expect(tables.ruleCounts(.ipv4)["service-default/web/tcp/http"] == 4)
        tables.removeService(sticky)
        let changes = tables.takeChanges().transactions.first?.changes ?? []
        #expect(changes.contains { if case .removeSet = $0 { true } else { false } })
        #expect(tables.ruleCounts(.ipv4) == empty.ruleCounts(.ipv4) && tables.elements(.ipv4) == empty.elements(.ipv4))
    }

    @Test func whoHasAnAddressFirstKeepsItUntilItLetsGo() {
        let external: JSON = ["spec": ["externalIPs": ["203.0.113.9"]]]
        var tables = tables(
            [service("one", "10.96.0.11", external), service("two", "10.96.0.12", external)],
            slices: [slice([endpoint("10.244.1.2")], of: "one"), slice([endpoint("10.244.1.3")], of: "two")])
        _ = tables.takeEverything()
        #expect(verdict(tables, "service-ips", "203.0.113.9") == "external-default/one/tcp/http")
        tables.putService(service("one", "10.96.0.11"))
        _ = tables.takeChanges()
        #expect(verdict(tables, "service-ips", "203.0.113.9") == "external-default/two/tcp/http")
        tables.removeService(service("two", "10.96.0.12", external))
        _ = tables.takeChanges()
        #expect(verdict(tables, "service-ips", "203.0.113.9") == "")
    }

    /// A connection from a pod's port 999 to a Service at 10.96.0.10.
    private func connection(
        _ protocolNumber: UInt8, to port: UInt16, from target: String, port targetPort: UInt16 = 8080,
        isAnswered: Bool = true
    ) throws -> TrackedConnection {
        let client = try #require(IPAddress("10.244.1.9"))
        let asked = try #require(IPAddress("10.96.0.10"))
        return TrackedConnection(
            original: ConnectionTuple(
                source: client, destination: asked, protocolNumber: protocolNumber, sourcePort: 999,
                destinationPort: port),
            reply: ConnectionTuple(
                source: try #require(IPAddress(target)), destination: client, protocolNumber: protocolNumber,
                sourcePort: targetPort, destinationPort: 999), isAnswered: isAnswered)
    }

    @Test func connectionsOfUDPThatLeadNowhereAreStale() throws {
        let dns = service("dns", "10.96.0.10", ["spec": ["ports": [["name": "http", "protocol": "UDP", "port": 53]]]])
        var tables = tables(
            [dns], slices: [slice([endpoint("10.244.1.2"), endpoint("10.244.1.3")], of: "dns", transport: "UDP")])
        _ = tables.takeEverything()
        tables.putSlice(slice([endpoint("10.244.1.3")], of: "dns", transport: "UDP"))
        let stale = try #require(tables.takeChanges().stale.first)
        #expect(stale.port == 53 && !stale.mustBeUnanswered)
        #expect(try stale.includes(connection(17, to: 53, from: "10.244.1.2")))
        #expect(try !stale.includes(connection(17, to: 53, from: "10.244.1.3")))
        // Before there were endpoints the packets went to nobody.
        #expect(try stale.includes(connection(17, to: 53, from: "10.96.0.10", port: 53)))
    }

    @Test func connectionsOfTCPAreStaleWhenAnEndpointThatIsGoneNeverAnsweredThem() throws {
        var tables = tables([service()], slices: [slice([endpoint("10.244.1.2"), endpoint("10.244.1.3")])])
        // Nobody knows what there was before.
        #expect(tables.takeEverything().stale.map(\.port) == [80])
        tables.putSlice(slice([endpoint("10.244.1.3"), leaving("10.244.1.2")]))
        let stale = try #require(tables.takeChanges().stale.first)
        #expect(stale.protocolNumber == 6 && stale.port == 80 && stale.mustBeUnanswered)
        #expect(try stale.includes(connection(6, to: 80, from: "10.244.1.2", isAnswered: false)))
        // It goes on as long as the endpoint answers.
        #expect(try !stale.includes(connection(6, to: 80, from: "10.244.1.2")))
        #expect(try !stale.includes(connection(6, to: 80, from: "10.244.1.3", isAnswered: false)))
        #expect(try !stale.includes(connection(17, to: 80, from: "10.244.1.2", isAnswered: false)))
        // One more endpoint takes nothing from the others.
        tables.putSlice(slice([endpoint("10.244.1.3"), endpoint("10.244.1.4")]))
        #expect(tables.takeChanges().stale.isEmpty)
        tables.removeService(service())
        let last = try #require(tables.takeChanges().stale.first)
        #expect(try last.includes(connection(6, to: 80, from: "10.244.1.4", isAnswered: false)))
    }
}
