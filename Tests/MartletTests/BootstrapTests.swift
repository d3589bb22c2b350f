import MartletIO
import MartletPKI
import Testing

@testable import Martlet

private func request(_ signer: String, by user: String, _ groups: [String]) -> JSON {
    [
        "spec": [
            "signerName": .string(signer), "username": .string(user), "groups": .array(groups.map { .string($0) }),
        ]
    ]
}

private func wanted(_ name: String, _ groups: [String], addresses: [String] = []) -> CertificateRequest {
    var request = CertificateRequest(commonName: name)
    request.organizations = groups
    request.addresses = addresses
    return request
}

@Suite("Which certificates are granted by themselves") struct SigningRulesTests {
    static let newcomer = ("system:bootstrap:abcdef", ["system:bootstrappers", JoinToken.Role.worker.group])
    static let node = ("system:node:a", ["system:nodes", "system:authenticated"])

    @Test func aNewMachineBecomesANodeUnlessItsNameIsTaken() {
        let asked = request(SigningRules.nodeClient, by: Self.newcomer.0, Self.newcomer.1)
        let node = wanted("system:node:a", ["system:nodes"])
        #expect(SigningRules.judge(asked, node, SigningRules.Facts()) == .approve)
        guard case .deny(let why) = SigningRules.judge(asked, node, SigningRules.Facts(isNodeThere: true)) else {
            Issue.record("a second machine of the same name is let in")
            return
        }
        #expect(why.contains("choose another --node-name"))
    }

    @Test func aNewMachineTakesNoMastersNameAndNoneThatIsNone() {
        let asked = request(SigningRules.nodeClient, by: Self.newcomer.0, Self.newcomer.1)
        let facts = SigningRules.Facts(masters: ["coup"])
        for (name, text) in [
            ("coup", "a master named coup is there already"), ("Coup", "\"Coup\" is no name of a node"),
            ("a b", "is no name"), ("..", "is no name"), ("a/b", "is no name"), ("-a", "is no name"),
            (String(repeating: "a", count: 64), "is no name"),
        ] {
            let verdict = SigningRules.judge(asked, wanted("system:node:\(name)", ["system:nodes"]), facts)
            guard case .deny(let why) = verdict else {
                Issue.record("\(name) is granted")
                continue
            }
            #expect(why.contains(text) && why.contains("choose another --node-name"), "\(why)")
        }
        #expect(SigningRules.judge(asked, wanted("system:node:w1.lab", ["system:nodes"]), facts) == .approve)
    }

    @Test func nobodyBecomesMoreThanTheyAre() {
        let asked = request(SigningRules.nodeClient, by: Self.newcomer.0, Self.newcomer.1)
        for foreign in [
            wanted("admin", ["system:masters"]), wanted("system:node:a", ["system:nodes", "system:masters"]),
            wanted("system:node:a", ["system:nodes"], addresses: ["10.0.0.1"]),
        ] {
            let verdict = SigningRules.judge(asked, foreign, SigningRules.Facts())
            #expect(verdict != .approve)
        }
        let master = request(SigningRules.nodeClient, by: "system:bootstrap:x", [JoinToken.Role.master.group])
        let person = request(SigningRules.nodeClient, by: "jane", ["system:authenticated"])
        let other = request(SigningRules.nodeClient, by: "system:node:b", ["system:nodes"])
        for asked in [master, person, other] {
            #expect(
                SigningRules.judge(asked, wanted("system:node:a", ["system:nodes"]), SigningRules.Facts()) == .leave)
        }
    }

    @Test func aNodeRenewsItsOwnAndItsParts() {
        func judge(_ signer: String, _ wanted: CertificateRequest) -> SigningRules.Verdict {
            SigningRules.judge(
                request(signer, by: Self.node.0, Self.node.1), wanted, SigningRules.Facts(isNodeThere: true))
        }
        let own = wanted("system:node:a", ["system:nodes"])
        let served = wanted("system:node:a", ["system:nodes"], addresses: ["10.0.0.1"])
        #expect(judge(SigningRules.nodeClient, own) == .approve)
        #expect(judge(SigningRules.nodeServer, served) == .approve)
        #expect(judge(SigningRules.nodeServer, own) == .leave)
        #expect(
            SigningRules.refusal(request(SigningRules.nodeClient, by: "x", []), wanted("x", ["system:masters"])) != nil)
        #expect(judge(SigningRules.worker, wanted("system:martlet-worker:a", [SigningRules.workerGroup])) == .approve)
        #expect(judge(SigningRules.worker, wanted("system:martlet-worker:b", [SigningRules.workerGroup])) != .approve)
        #expect(judge(SigningRules.worker, wanted("system:martlet-worker:a", ["system:masters"])) != .approve)
        #expect(judge(SigningRules.client, own) == .leave)
    }
}

@Suite("Whom a node may serve as") struct ServingNamesTests {
    private func judge(names: [String], addresses: [String]) -> SigningRules.Verdict {
        var served = wanted("system:node:a", ["system:nodes"], addresses: addresses)
        served.dnsNames = names
        let node = SigningRulesTests.node
        return SigningRules.judge(
            request(SigningRules.nodeServer, by: node.0, node.1), served,
            SigningRules.Facts(
                isNodeThere: true,
                foreignAddresses: Set(["10.0.0.9", "10.96.0.1", "fd00::9"].compactMap { IPAddress($0) })))
    }

    @Test func asItself() { #expect(judge(names: ["a"], addresses: ["10.0.0.1"]) == .approve) }

    @Test func neverAsTheAPINorAsAnotherNode() {
        for (names, addresses) in [
            (["kubernetes.default.svc"], ["10.0.0.1"]), (["a", "b"], []), (["a"], ["10.96.0.1"]), (["a"], ["10.0.0.9"]),
            (["a"], ["fd00:0:0:0:0:0:0:9"]), (["a"], ["FD00::0009"]),
        ] {
            guard case .deny(let why) = judge(names: names, addresses: addresses) else {
                Issue.record("\(names) \(addresses) may serve")
                continue
            }
            #expect(why.contains(names.last == "a" ? addresses[0] : names.last ?? ""))
        }
    }

    @Test func whoeverApprovesTheSignerSignsOnlyWhatItIsFor() {
        let asked = request(SigningRules.nodeClient, by: "jane", ["system:authenticated"])
        #expect(SigningRules.refusal(asked, wanted("admin", ["system:masters"])) != nil)
        #expect(SigningRules.refusal(asked, wanted("system:node:a", ["system:nodes"])) == nil)
        let person = request(SigningRules.client, by: "jane", ["system:authenticated"])
        #expect(SigningRules.refusal(person, wanted("jane", ["system:masters"])) != nil)
        #expect(SigningRules.refusal(person, wanted("jane", ["developers"])) == nil)
    }
}

@Suite("What is left of joining") struct BootstrapCleanerTests {
    static let now = WallTime(seconds: 1_800_000_000)
    private func request(_ condition: String?, hoursAgo: Int64, certificate: Bool = false) -> JSON {
        let made = WallTime(seconds: Self.now.seconds - hoursAgo * 3600)
        var json: JSON = ["metadata": ["name": "r", "creationTimestamp": .string(made.rfc3339)]]
        if let condition {
            json["status", "conditions"] = [
                ["type": .string(condition), "status": "True", "lastUpdateTime": .string(made.rfc3339)]
            ]
        }
        if certificate { json["status", "certificate"] = "x" }
        return json
    }

    @Test func requestsAreKeptForAnHourOnceTheyAreDecidedAndForADayOtherwise() {
        #expect(BootstrapCleaner.isSpent(request: request("Approved", hoursAgo: 2, certificate: true), Self.now))
        #expect(!BootstrapCleaner.isSpent(request: request("Approved", hoursAgo: 0, certificate: true), Self.now))
        #expect(!BootstrapCleaner.isSpent(request: request("Approved", hoursAgo: 2), Self.now))
        #expect(BootstrapCleaner.isSpent(request: request("Denied", hoursAgo: 2), Self.now))
        #expect(BootstrapCleaner.isSpent(request: request("Failed", hoursAgo: 2), Self.now))
        #expect(!BootstrapCleaner.isSpent(request: request(nil, hoursAgo: 23), Self.now))
        #expect(BootstrapCleaner.isSpent(request: request(nil, hoursAgo: 25), Self.now))
    }

    @Test func tokensAreKeptUntilTheyEnd() {
        func token(_ end: String?) -> JSON {
            var secret: JSON = ["type": "bootstrap.kubernetes.io/token", "data": [:]]
            if let end { secret["data", "expiration"] = .string(Base64.encode(Array(end.utf8))) }
            return secret
        }
        #expect(BootstrapCleaner.isSpent(token: token("2020-01-01T00:00:00Z"), Self.now))
        for kept in ["2027-02-01T00:00:00Z", "nonsense", nil] {
            #expect(!BootstrapCleaner.isSpent(token: token(kept), Self.now))
        }
    }
}

@Suite("What joining reads") struct JoinTextTests {
    @Test func aTokenIsReadWhole() throws {
        let world = try Reactor()
        defer { world.shutdown() }
        let pin = String(repeating: "0a", count: 32)
        let token = JoinToken(pin: pin, in: world)
        #expect(JoinToken(token.text) == token)
        #expect(token.text.hasPrefix(token.bearer))
        for broken in [
            "", ".", token.bearer, token.text + "0", token.text.uppercased(), "\(token.bearer).\(pin.dropLast())",
        ] {
            #expect(JoinToken(broken) == nil)
        }
        let secret = token.secretObject(for: .master, until: WallTime(seconds: 1_800_000_000))
        #expect(JoinToken.value("token-id", in: secret) == token.id)
        #expect(JoinToken.value("expiration", in: secret) == "2027-01-15T08:00:00Z")
        #expect(JoinToken.value("auth-extra-groups", in: secret) == "system:bootstrappers:martlet:master")
    }

    @Test func datesOfAnswersAreRead() {
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        for broken in ["", "Sun", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 99:99:99 GMT"] {
            #expect(HTTPDate.seconds(broken) == nil)
        }
    }

    @Test func aMachineIsRememberedAsItWas() throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "martlet-machine")
        defer { try? Files.remove(folder) }
        #expect(try MachineFile(readingFrom: folder) == nil)
        var machine = MachineFile(roles: [.gateway, .controlPlane], nodeName: "a", nodeAddress: "10.0.0.1")
        machine.peerPort = 2380
        machine.joins = ["https://10.0.0.2:2380"]
        machine.masters = [.ip("10.0.0.2", port: 6443), .ip("fd00::1", port: 6443)]
        machine.cluster.overlay = .hostGateway
        machine.cluster.clusterDomain = "example.test"
        try machine.write(to: folder)
        #expect(try MachineFile(readingFrom: folder) == machine)
        try Files.write(Array("{".utf8), to: folder + "/machine.json")
        #expect(throws: ClusterError.self) { try MachineFile(readingFrom: folder) }
    }

    @Test func anAPIOnLoopbackIsPublishedByTheMachinesAddressOrAVirtualOne() {
        var machine = MachineFile(roles: [.gateway], nodeName: "coup", nodeAddress: "10.0.0.2")
        #expect(machine.published(.ip("127.0.0.1", port: 6443)) == .ip("10.0.0.2", port: 6443))
        #expect(machine.published(.ip("::1", port: 7443)) == .ip("10.0.0.2", port: 7443))
        #expect(machine.published(.ip("203.0.113.7", port: 6443)) == .ip("203.0.113.7", port: 6443))
        machine.cluster.virtualIP.addresses = ["10.0.0.100/24", "fd00::100/64"]
        #expect(machine.published(.ip("127.0.0.1", port: 7443)) == .ip("10.0.0.100", port: 7443))
        #expect(machine.published(.ip("203.0.113.7", port: 6443)) == .ip("203.0.113.7", port: 6443))
    }

    @Test func aMasterTellsNewMachinesWhatTheClusterIs() throws {
        var cluster = ClusterSettings()
        cluster.podCIDR = "10.1.0.0/16"
        var master = ClusterConfiguration(roles: [.gateway], dataDirectory: "", nodeName: "a", nodeAddress: "10.0.0.1")
        cluster.apply(to: &master)
        #expect(master.dnsEndpoint == .ip("169.254.20.10", port: 53))
        #expect(try ClusterSettings(reading: ClusterSettings(of: master).json) == cluster)
        // An address of the master's own would lead others astray.
        master.dnsEndpoint = .ip("10.0.0.1", port: 53)
        #expect(ClusterSettings(of: master).dnsAddress == nil)
    }

    @Test func virtualAddressesAreTheClustersAndMakeItsMastersEdges() throws {
        var machine = MachineFile(roles: [.gateway, .controlPlane], nodeName: "a", nodeAddress: "10.0.0.1")
        machine.becomeEdgeForVirtualIPs()
        #expect(!machine.roles.contains(.edge))
        machine.cluster.virtualIP.addresses = ["10.0.0.100/24", "fd00::100/64"]
        machine.cluster.virtualIP.routerID = 77
        machine.cluster.virtualIP.intervalMilliseconds = 1_000
        machine.cluster.virtualIP.version = 2
        machine.cluster.virtualIP.checksum = .pseudoHeader
        machine.becomeEdgeForVirtualIPs()
        #expect(machine.roles.contains(.edge))
        #expect(try ClusterSettings(reading: machine.cluster.json) == machine.cluster)
        var configuration = ClusterConfiguration(
            roles: [.gateway], dataDirectory: "", nodeName: "a", nodeAddress: "10.0.0.1")
        try machine.apply(to: &configuration)
        #expect(configuration.leafSubjects.addresses.contains("10.0.0.100"))
        // What is this machine's own is not told to others.
        configuration.virtualIP.priority = 7
        configuration.virtualIP.interface = "eth7"
        #expect(ClusterSettings(of: configuration) == machine.cluster)
        var worker = MachineFile(roles: [.worker], nodeName: "w", nodeAddress: "10.0.0.9")
        worker.cluster = machine.cluster
        worker.becomeEdgeForVirtualIPs()
        #expect(worker.roles == [.worker])
    }

    @Test func whatAnOlderMasterDoesNotSayIsOff() throws {
        let old = try ClusterSettings(reading: ["podCIDR": "10.1.0.0/16", "serviceCIDR": "10.2.0.0/16"])
        #expect(old.overlay == .none && !old.serviceProxy && old.dnsAddress == nil)
        #expect(old.clusterDomain == "cluster.local")
        for broken: JSON in [[:], ["podCIDR": "10.1.0.0/16", "serviceCIDR": "10.2.0.0/16", "overlay": "geneve"]] {
            #expect(throws: ClusterError.self) { try ClusterSettings(reading: broken) }
        }
    }

    @Test func theMastersAreNamedByPort() {
        let masters: [Endpoint] = [
            .ip("10.0.0.2", port: 6443), .ip("10.0.0.1", port: 6443), .ip("10.0.0.1", port: 7443),
        ]
        let slices = MasterEndpoints.slices(masters)
        #expect(slices.map(\.name) == ["kubernetes", "kubernetes-7443"])
        #expect(Set(slices.flatMap(MasterEndpoints.masters)) == Set(masters))
        #expect(MasterWatch.endpoint(of: "https://[fd00::1]:6443") == .ip("fd00::1", port: 6443))
        #expect(MasterWatch.endpoint(of: "http://10.0.0.1:6443") == nil)
    }
}

@Suite("Whose name a newcomer may take") struct NewcomerNameTests {
    private func refusal(_ name: String, _ role: JoinToken.Role, labels: JSON? = nil) -> String? {
        let node: JSON? = labels.map { ["metadata": ["name": .string(name), "labels": $0]] }
        return MasterDoor.refusal(of: name, as: role, masters: ["m1", "m2"], node: node)
    }

    @Test func noMachineTakesThePlaceOfOneOfTheOtherRole() {
        let worker: JSON = ["node-role.kubernetes.io/worker": ""]
        let both: JSON = ["node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""]
        #expect(refusal("m2", .worker)?.contains("a master named m2 is there already") == true)
        #expect(refusal("m2", .worker, labels: both) != nil)
        #expect(refusal("w1", .master, labels: worker)?.contains("a worker named w1 is there already") == true)
        // One that begins again, and names that are free.
        #expect(refusal("m2", .master, labels: both) == nil)
        #expect(refusal("w1", .worker, labels: worker) == nil)
        #expect(refusal("m9", .master) == nil && refusal("w9", .worker) == nil)
    }
}
