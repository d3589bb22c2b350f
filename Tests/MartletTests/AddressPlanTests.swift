import MartletBase
import Testing

@testable import Martlet

@Suite("Ranges that must not meet") struct AddressPlanTests {
    static let routes = """
        Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
        eth0	00000000	0139A8C0	0003	0	0	0	00000000	0	0	0
        eth0	0039A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
        martlet0	0000F40A	00000000	0001	0	0	0	00FFFFFF	0	0	0
        """
    /// Fields that are not looked at are left out of the text, and put in here.
    static let routes6 = [
        "fd570000000000000000000000000000 40", "fe800000000000000000000000000000 40",
        "00000000000000000000000000000000 00", "ff000000000000000000000000000000 08",
    ].map { "\($0) - - - - - - - eth0\n" }.joined()

    private func refusal(_ pods: String, _ services: String) -> String? {
        let routes = AddressPlan.routes(ipv4: Self.routes) + AddressPlan.routes(ipv6: Self.routes6)
        do {
            try AddressPlan.check(podCIDR: pods, serviceCIDR: services, routes: routes)
            return nil
        } catch { return "\(error)" }
    }

    @Test func theKernelsTablesAreRead() {
        #expect(
            AddressPlan.routes(ipv4: Self.routes).map { "\($0.range) \($0.interface)" } == [
                "192.168.57.0/24 eth0", "10.244.0.0/24 martlet0",
            ])
        #expect(AddressPlan.routes(ipv6: Self.routes6).map { "\($0.range) \($0.interface)" } == ["fd57::/64 eth0"])
    }

    @Test func rangesApartAreTaken() {
        #expect(refusal("10.244.0.0/16", "10.96.0.0/16") == nil)
        #expect(refusal("10.244.0.0/16,fd00:10::/56", "10.96.0.0/16,fd00:20::/112") == nil)
    }

    @Test func podsAndServicesApart() {
        #expect(
            refusal("10.96.0.0/12", "10.96.0.0/16")?.contains("--pod-cidr 10.96.0.0/12 and --service-cidr 10.96.0.0/16")
                == true)
        #expect(refusal("10.0.0.0/16,fd00::/48", "10.1.0.0/16,fd00::/108")?.contains("fd00::/48") == true)
    }

    @Test func theMachinesNetworksAreItsOwn() {
        #expect(
            refusal("192.168.0.0/16", "10.96.0.0/16")?.contains("192.168.57.0/24, which this machine reaches by eth0")
                == true)
        #expect(refusal("10.244.0.0/16", "192.168.57.128/25")?.contains("another --service-cidr") == true)
        #expect(refusal("fd57::/56", "10.96.0.0/16")?.contains("fd57::/64") == true)
    }

    @Test func aNodesPieceMustFit() {
        for pods in ["10.244.0.0/30", "10.0.0.0/7", "10.244.0.0/16,fd00:244::/72"] {
            #expect(refusal(pods, "172.20.0.0/16")?.contains("a /24 of IPv4 or a /64 of IPv6") == true, "\(pods)")
        }
        #expect(refusal("10.244.0.0/24,fd00:244::/64", "10.96.0.0/16") == nil)
    }

    @Test func theAddressMustBeTheMachines() {
        func refusal(_ address: String) -> String? {
            let own = ["10.0.0.1", "127.0.0.1", "::1", "fe80::1", "fd00::1"].compactMap { IPAddress($0) }
            do {
                try AddressPlan.check(nodeAddress: address, own: own)
                return nil
            } catch { return "\(error)" }
        }
        for address in ["10.0.0.1", "fd00::1", "127.0.0.31"] { #expect(refusal(address) == nil) }
        #expect(refusal("1.2.3.4")?.contains("which has 10.0.0.1, fd00::1: give") == true)
        #expect(refusal("fd00::2") != nil)
    }

    @Test func whatIsNoRangeIsTold() {
        #expect(refusal("10.244.0.0", "10.96.0.0/16")?.contains("is no range") == true)
    }
}
