import MartletBase
import MartletRoutes
import Testing

@Suite("Farewells of virtual addresses") struct AddressFarewellTests {
    private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

    private func chains(_ transaction: NftTransaction?) -> [NftChain] {
        (transaction?.changes ?? []).compactMap { if case .addChain(let chain) = $0 { chain } else { nil } }
    }

    @Test("who gave IPv4 addresses up is silent about them; of IPv6 the kernel is by itself")
    func silence() {
        let four = AddressFarewell(addresses: [address("192.0.2.100"), address("192.0.2.101")], routerID: 51)
        let said = four.silence(own: address("192.0.2.1"))
        #expect(said?.family == .arp && said?.table == "martlet-vip-51" && four.speech?.table == "martlet-vip-51")
        #expect(chains(said).map(\.rules.count) == [2, 2])
        let six = AddressFarewell(addresses: [address("fd00::100")], routerID: 51)
        #expect(six.silence(own: address("fd00::1")) == nil && six.speech == nil)
    }

    @Test("what is handed on keeps its address and goes to the neighbour, in both kinds", arguments: [true, false])
    func handsOn(isSix: Bool) {
        let text = isSix ? "fd00::" : "192.0.2."
        let farewell = AddressFarewell(addresses: [address(text + "100")], routerID: 7)
        let transaction = farewell.handOn(to: address(text + "12"), device: 3)
        #expect(transaction.family == (isSix ? .ipv6 : .ipv4) && farewell.keepToItself.table == transaction.table)
        let rules = chains(transaction).flatMap(\.rules)
        #expect(rules.count == 2 && rules[0].last == .verdict(.accept) && rules[1].last == .verdict(.drop))
        #expect(rules[1].contains(.constant(address(text + "12").bytes, into: NftRegister(4))))
        for rule in rules { #expect(rule.contains(.compare(.first, .equal, address(text + "100").bytes))) }
    }
}
