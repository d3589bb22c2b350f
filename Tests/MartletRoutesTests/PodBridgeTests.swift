import MartletBase
import MartletRoutes
import Testing

@Suite("The pods' bridge") struct PodBridgeTests {
    private static let gateway = IPAddress(ipv4: 0x0AF4_0101)

    private func link(
        _ index: Int32, _ name: String, kind: String = "veth", isUp: Bool = true, mtu: UInt32 = 1450, master: Int32 = 0
    ) -> NetworkLink {
        NetworkLink(
            index: index, name: name, mtu: mtu, isUp: isUp, hardwareAddress: HardwareAddress(from: "\(name)/\(index)"),
            master: master, kind: kind, vxlan: nil)
    }

    private func address(_ link: Int32) -> LinkAddress { LinkAddress(link: link, address: Self.gateway, length: 24) }

    private var whole: [NetworkLink] {
        [
            link(1, "eth0", kind: "", mtu: 1500), link(5, "martlet0", kind: "bridge"), link(6, "vetha", master: 5),
            link(7, "vethb", master: 5),
        ]
    }

    @Test("that is whole, or never was, wants nothing")
    func quiet() {
        var bridge = PodBridge("martlet0")
        #expect(bridge.look([link(1, "eth0", kind: "")], []).isEmpty)
        #expect(bridge.look(whole, [address(5)]).isEmpty)
        #expect(bridge.look(whole, [address(5)]).isEmpty)
        #expect(bridge.portCount == 2)
    }

    @Test("is made anew with its address, size and hardware address, and the pods hang on it again")
    func removed() {
        var bridge = PodBridge("martlet0")
        _ = bridge.look(whole, [address(5)])
        let bare = [link(1, "eth0", kind: ""), link(6, "vetha"), link(7, "vethb")]
        #expect(bridge.look(bare, []).map(\.what) == ["make the device martlet0 (bridge)"])
        let steps = bridge.look(bare + [link(9, "martlet0", kind: "bridge", isUp: false, mtu: 1500)], [])
        #expect(
            steps.map(\.what) == [
                "change the device 9", "add the address 10.244.1.1", "change the device 6",
                "let packets turn back at the port 6", "change the device 7", "let packets turn back at the port 7",
            ])
        #expect(
            steps.first
                == .changeLink(9, isUp: true, mtu: 1450, hardwareAddress: HardwareAddress(from: "martlet0/5")))
    }

    @Test("whose pods are gone as well is left to the plugin, and a device of another kind to its owner")
    func unneeded() {
        var bridge = PodBridge("martlet0")
        _ = bridge.look(whole, [address(5)])
        #expect(bridge.look([link(9, "martlet0", kind: "dummy"), link(6, "vetha")], []).isEmpty)
        #expect(bridge.look([link(1, "eth0", kind: "")], []).isEmpty)
        // A number that was given to another device is no pod's.
        #expect(bridge.look([link(6, "vethz")], []).isEmpty)
    }

    @Test("gets back a port, an address and its state, but keeps what else was changed")
    func harmed() {
        var bridge = PodBridge("martlet0")
        _ = bridge.look(whole, [address(5)])
        var loose = whole
        loose[2].master = 0
        #expect(
            bridge.look(loose, [address(5)]) == [
                .changeLink(5, isUp: true), .changeLink(6, isUp: true, master: 5), .turnBack(6),
            ])
        #expect(bridge.look(whole, []) == [.changeLink(5, isUp: true), .addAddress(address(5))])
        var down = whole
        down[1].isUp = false
        #expect(bridge.look(down, [address(5)]) == [.changeLink(5, isUp: true)])
        // Whose port went to another bridge is that one's.
        loose[2].master = 3
        #expect(bridge.look(loose, [address(5)]).isEmpty)
    }

    @Test("gives up its address when the host gets another range of pods, and no other address")
    func anotherRange() throws {
        let cluster = try ["10.244.0.0/16", "fd00:244::/48"].map { try #require(IPRange($0)) }
        func entry(_ text: String, _ length: Int) throws -> LinkAddress {
            LinkAddress(link: 5, address: try #require(IPAddress(text)), length: length)
        }
        let old = [address(5), try entry("fd00:244:0:1::1", 64)]
        let foreign = try entry("192.168.7.1", 24)
        let new = [try entry("10.244.9.1", 24), try entry("fd00:244:0:9::1", 64)]
        var bridge = PodBridge("martlet0", cluster: cluster)
        // As long as nobody said which range it is, and while it fits, all stays.
        #expect(bridge.look(whole, old + [foreign]).isEmpty)
        bridge.serve(try ["10.244.1.0/24", "fd00:244:0:1::/64"].map { try #require(IPRange($0)) })
        #expect(bridge.look(whole, old + [foreign]).isEmpty)

        bridge.serve(try ["10.244.9.0/24", "fd00:244:0:9::/64"].map { try #require(IPRange($0)) })
        #expect(bridge.look(whole, old + [foreign]) == old.map { NetlinkRequest.removeAddress($0) })
        #expect(bridge.look(whole, [foreign]).isEmpty)
        // The plugin gives it the new ones with the next pod; what is put back are those.
        #expect(bridge.look(whole, [foreign] + new).isEmpty)
        let putBack = [NetlinkRequest.changeLink(5, isUp: true)] + new.map { NetlinkRequest.addAddress($0) }
        #expect(bridge.look(whole, [foreign]) == putBack)
        #expect(bridge.look(whole, old + [foreign] + new) == old.map { NetlinkRequest.removeAddress($0) })
    }

    @Test("that is seen first after the range has changed loses what is of another one")
    func anotherRangeAfterAStart() throws {
        var bridge = PodBridge("martlet0", cluster: [try #require(IPRange("10.244.0.0/16"))])
        bridge.serve([try #require(IPRange("10.244.9.0/24"))])
        var down = whole
        down[1].isUp = false
        #expect(bridge.look(down, [address(5)]) == [.removeAddress(address(5))])
        #expect(bridge.look(whole, [address(5)]) == [.removeAddress(address(5))])
        #expect(bridge.look(whole, []).isEmpty)
    }
}
