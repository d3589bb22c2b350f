import MartletBase
import MartletObject
import MartletRoutes
import Testing

private func node(_ name: String, _ number: Int, annotations: [String: String]? = nil) -> JSON {
    let said =
        annotations ?? [
            "flannel.alpha.coreos.com/backend-type": "vxlan",
            "flannel.alpha.coreos.com/backend-data": "{\"VNI\":1,\"VtepMAC\":\"02:00:00:00:00:0\(number)\"}",
        ]
    return [
        "metadata": ["name": .string(name), "annotations": JSON(said)],
        "spec": ["podCIDR": .string("10.244.\(number).0/24"), "podCIDRs": [.string("10.244.\(number).0/24")]],
        "status": ["addresses": [["type": "InternalIP", "address": .string("192.168.57.2\(number)")]]],
    ]
}

@Suite struct OverlayTests {
    private var uplink: OverlayUplink {
        OverlayUplink(link: 2, mtu: 1500, subnets: [IPRange("192.168.57.0/24")].compactMap { $0 })
    }
    private func settings(_ backend: OverlayBackend = .vxlan) -> OverlaySettings {
        OverlaySettings(
            nodeName: "worker1", backend: backend, clusterRanges: [IPRange("10.244.0.0/16")].compactMap { $0 },
            table: "martlet0-overlay")
    }
    private func table(_ nodes: [JSON], _ backend: OverlayBackend = .vxlan) -> OverlayTable {
        OverlayTable(.ipv4, nodes: nodes, uplink: uplink, settings(backend))
    }
    /// The kernel as it is once a table was carried out.
    private func held(_ table: OverlayTable, link: Int32 = 7) -> OverlayObservation {
        var held = OverlayObservation()
        guard let device = table.device else { return held }
        held.device = NetworkLink(
            index: link, name: device.name, mtu: device.mtu, isUp: true, hardwareAddress: device.hardwareAddress,
            master: 0, kind: "vxlan", vxlan: device.settings)
        held.addresses = [LinkAddress(link: link, address: device.address, length: 32)]
        for remote in table.remotes {
            guard let hardware = remote.hardwareAddress else { continue }
            let base = remote.pods.base
            held.neighbours.append(NetworkNeighbour(link: link, address: base, hardwareAddress: hardware))
            held.forwarding.append(NetworkNeighbour(link: link, address: remote.address, hardwareAddress: hardware))
            held.routes.append(NetworkRoute(destination: remote.pods, gateway: base, link: link, isOnLink: true))
        }
        return held
    }

    @Test func aLoneHostWantsNothingButItsMasquerading() {
        let alone = table([node("worker1", 1)])
        #expect(alone.device == nil && alone.remotes.isEmpty)
        #expect(OverlayPlan.deviceSteps(alone, OverlayObservation()).isEmpty)
        #expect(OverlayPlan.steps(alone, OverlayObservation()).isEmpty)
        #expect(OverlayRules.transaction(alone, settings()).changes.count == 4)
    }

    @Test func aSecondHostBringsTheDeviceThenNeighbourForwardingEntryAndRoute() {
        let two = table([node("worker1", 1), node("worker2", 2)])
        #expect(two.device?.name == "flannel.1" && two.device?.mtu == 1450)
        #expect(two.device?.settings.port == 8472 && two.device?.settings.isLearning == false)
        #expect(OverlayPlan.deviceSteps(two, OverlayObservation()).map(\.what) == ["make the VXLAN device flannel.1"])
        var made = OverlayObservation()
        made.device = held(two).device
        made.device?.isUp = false
        #expect(
            OverlayPlan.steps(two, made).map(\.what) == [
                "change the device 7", "add the address 10.244.1.0", "add the neighbour 10.244.2.0",
                "forward 02:00:00:00:00:02 to 192.168.57.22", "add the route to 10.244.2.0/24",
            ])
        #expect(OverlayPlan.steps(two, held(two)).isEmpty && OverlayPlan.deviceSteps(two, held(two)).isEmpty)
        // What it sends itself is not tracked, before anything is.
        let chains = OverlayRules.transaction(two, settings()).changes.compactMap { change in
            if case .addChain(let chain) = change { chain } else { nil }
        }
        let early = chains.filter { $0.hook?.priority ?? 0 <= -300 }
        #expect(early.map(\.hook?.point) == [.prerouting, .output])
        #expect(early.allSatisfy { $0.rules.first?.last == .untracked })
    }

    @Test func aHostThatIsGoneIsForgottenTheOtherWayRound() {
        let three = held(table([node("worker1", 1), node("worker2", 2), node("worker3", 3)]))
        let two = table([node("worker1", 1), node("worker2", 2)])
        #expect(
            OverlayPlan.steps(two, three).map(\.what) == [
                "remove the route to 10.244.3.0/24", "forward 02:00:00:00:00:03 no more",
                "remove the neighbour 10.244.3.0",
            ])
        let alone = table([node("worker1", 1)])
        #expect(OverlayPlan.deviceSteps(alone, three).map(\.what) == ["remove the device 7"])
    }

    @Test func whatSomebodyTookAwayIsPutBack() {
        let two = table([node("worker1", 1), node("worker2", 2)])
        var harmed = held(two)
        harmed.forwarding = []
        harmed.device?.mtu = 1500
        #expect(OverlayPlan.deviceSteps(two, harmed).map(\.what) == ["change the device 7"])
        #expect(OverlayPlan.steps(two, harmed).map(\.what) == ["forward 02:00:00:00:00:02 to 192.168.57.22"])
        harmed.device?.vxlan?.port = 4789
        #expect(OverlayPlan.deviceSteps(two, harmed).count == 2)
    }

    @Test func hostsOfOneSubnetMayUseDirectRoutes() {
        let silent = node("worker2", 2, annotations: [:])
        let direct = table([node("worker1", 1), silent], .hostGateway)
        #expect(direct.device == nil)
        #expect(OverlayPlan.steps(direct, OverlayObservation()).map(\.what) == ["add the route to 10.244.2.0/24"])
        var far = silent
        far["status", "addresses"] = [["type": "InternalIP", "address": "172.16.0.9"]]
        let apart = table([node("worker1", 1), far], .hostGateway)
        #expect(apart.remotes.isEmpty && apart.problems.first?.contains("use --overlay vxlan") == true)
    }

    @Test func aHostWithoutPodsHasPlainRoutesToHostsOfItsSubnetWhateverTheirNetwork() throws {
        let own = try #require(IPAddress("192.168.57.11"))
        var far = node("worker3", 3)
        far["status", "addresses"] = [["type": "InternalIP", "address": "172.16.0.9"]]
        var here = node("worker4", 4)
        here["status", "addresses"] = [["type": "InternalIP", "address": .string("\(own)")]]
        // A route to that would lead others' packets away.
        var thief = node("zombie", 9)
        thief["spec", "podCIDRs"] = ["192.168.57.0/24"]
        let nodes = [node("worker1", 1), node("worker2", 2, annotations: [:]), far, here, thief]
        let guest = OverlayTable(
            .ipv4, nodes: nodes, uplink: uplink, guest: own, within: settings().clusterRanges)
        #expect(guest.device == nil && guest.ownPods == nil)
        #expect(
            guest.problems == [
                "node zombie: its range 192.168.57.0/24 is none of the cluster's: its pods are not gone to directly"
            ])
        #expect(
            OverlayPlan.steps(guest, OverlayObservation()).map(\.what) == [
                "add the route to 10.244.1.0/24", "add the route to 10.244.2.0/24",
            ])
    }

    @Test func aNodeThatHasNotSaidItsAddressIsWaitedForAndOneThatClaimsForeignRangesIsNot() {
        #expect(table([node("worker1", 1), node("worker2", 2, annotations: [:])]).remotes.isEmpty)
        var thief = node("zombie", 3)
        thief["spec", "podCIDRs"] = ["10.244.0.0/16"]
        let guarded = table([node("worker1", 1), node("worker2", 2), thief])
        #expect(guarded.remotes.count == 1 && guarded.problems.count == 1)
    }

    @Test func annotationsThatAreOfNoUseAreNamedWithTheirNodeAndDoNoHarm() {
        let prefix = "flannel.alpha.coreos.com/"
        func with(_ data: String, _ address: String) -> OverlayTable {
            table([
                node("worker1", 1), node("worker2", 2),
                node("odd", 3, annotations: [prefix + "backend-data": data, prefix + "public-ip": address]),
            ])
        }
        let good = "{\"VNI\":1,\"VtepMAC\":\"02:00:00:00:00:03\"}"
        #expect(with(good, "192.168.57.23").problems.isEmpty)
        for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "fd00::1", "worker3", ""] {
            let table = with(good, address)
            // Where the Node itself says that it is.
            #expect(table.remotes.map(\.address.description) == ["192.168.57.22", "192.168.57.23"])
            #expect(
                table.problems == [
                    "node odd: its annotation \(prefix)public-ip is \"\(address)\", which is no address of a machine; "
                        + "192.168.57.23 is used"
                ])
        }
        for data in [
            "{", "{}", "[]", "{\"VtepMAC\":7}", "{\"VtepMAC\":\"00:00:00:00:00:00\"}",
            "{\"VtepMAC\":\"01:00:5e:00:00:01\"}", "{\"VtepMAC\":\"ff:ff:ff:ff:ff:ff\"}",
        ] {
            let table = with(data, "192.168.57.23")
            #expect(table.remotes.count == 1)
            #expect(table.problems.first?.hasPrefix("node odd: its annotation \(prefix)backend-data is \"") == true)
        }
        var group = node("odd", 3)
        group["spec", "podCIDRs"] = ["224.0.3.0/24"]
        #expect(table([node("worker1", 1), group]).problems == ["node odd: 224.0.3.0/24 is no range of pods"])
    }

    @Test func aNodeSaysWhatFlannelReads() throws {
        let address = try #require(IPAddress("192.168.57.21"))
        let said = OverlayTable.missingAnnotations(
            of: node("worker1", 1, annotations: [:]), address: address, settings())
        let prefix = "flannel.alpha.coreos.com/"
        #expect(said[prefix + "backend-type"] == "vxlan" && said[prefix + "kube-subnet-manager"] == "true")
        #expect(said[prefix + "public-ip"] == "192.168.57.21")
        #expect(said[prefix + "backend-data"]?.hasPrefix("{\"VNI\":1,\"VtepMAC\":\"") == true)
        #expect(
            OverlayTable.missingAnnotations(of: node("worker1", 1, annotations: said), address: address, settings())
                .isEmpty)
    }
}
