import MartletBase
import MartletIO
import Testing

@testable import MartletRuntime

struct HostRouteTests {
    static let table = """
        Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
        tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
        br1\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
        br2\t0500F50A\t00000000\t0001\t0\t0\t0\tFFFFFFFF\t0\t0\t0
        short line
        bad\tXYZ\t0\t0\t0\t0\t0\t0\t0
        """
    static let routes = HostRoute.parse(table)

    private static func conflict(_ range: String, bridge: String = "martlet0") -> String? {
        HostRoute.conflict(of: range, bridge: bridge, with: routes)
    }

    @Test func `The kernel's table is read, and what is no route is left out`() {
        #expect(
            Self.routes.map { "\($0.interface) \($0.range)" } == [
                "eth0 0.0.0.0/0", "tun0 10.0.0.0/8", "br1 10.244.0.0/24", "br2 10.245.0.5/32",
            ])
    }

    @Test func `A range that another interface has is refused in one line that says what to do`() {
        #expect(
            Self.conflict("10.244.0.0/24")
                == "the pods' range 10.244.0.0/24 is in use on this host: interface br1 has a route to 10.244.0.0/24; "
                + "give this cluster another range with --pod-cidr")
        #expect(Self.conflict("10.245.0.0/24")?.contains("br2 has a route to 10.245.0.5/32") == true)
        #expect(Self.conflict("10.244.0.0/16")?.contains("br1") == true)
    }

    @Test func `Our own bridge, the default route, wider routes and other ranges do no harm`() {
        #expect(Self.conflict("10.244.0.0/24", bridge: "br1") == nil)
        #expect(Self.conflict("10.246.0.0/24") == nil)
        #expect(Self.conflict("172.16.0.0/12") == nil)
        #expect(Self.conflict("fd00::/64") == nil && Self.conflict("10.244.0.0") == nil)
        #expect(AddressRange("10.244.0.0/33") == nil && AddressRange("10.244.0/24") == nil)
        #expect(AddressRange("1.2.3.4/0")?.description == "0.0.0.0/0")
    }

    @Test func `A file's size is asked for, not read; an absent file has none`() throws {
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        try Files.write([UInt8](repeating: 7, count: 1234), to: folder + "/log")
        #expect(Containerd.size(of: folder + "/log") == 1234 && Containerd.size(of: folder + "/none") == 0)
    }
}
