import MartletBase
import MartletRoutes
import Testing

@Suite struct OverlayCheckTests {
    /// Plays a network that loses packets over a size, or the first few, and returns the sizes that were tried.
    private func run(carries: Int, losesFirst: Int = 0) -> (finding: OverlayCheck.Finding?, tried: [Int], OverlayCheck)
    {
        var check = OverlayCheck(mtu: 1450, .ipv4)
        var tried: [Int] = []
        while let size = check.next, tried.count < 1000 {
            tried.append(size)
            check.heard(tried.count > losesFirst && size + 28 <= carries)
        }
        return (check.finding, tried, check)
    }

    @Test func twoAnswersAreAllThatAGoodNetworkNeeds() {
        let good = run(carries: 1500)
        #expect(good.finding == .whole && good.tried == [64, 1422])
        #expect(good.2.sentence(host: IPAddress(ipv4: 1), device: "flannel.1") == nil)
        #expect(run(carries: 1450).finding == .whole && run(carries: 1500, losesFirst: 20).finding == .whole)
    }

    @Test func aNetworkThatCarriesLessIsMeasured() throws {
        for carries in [576, 1300, 1400, 1449] {
            let found = run(carries: carries)
            guard case .cutOff(let bytes, 1450)? = found.finding else { return #expect(Bool(false), "\(found)") }
            #expect(bytes <= carries && bytes > carries - 9 && found.tried.count < 60)
        }
        let host = try #require(IPAddress("192.168.57.22"))
        let sentence = run(carries: 1400).2.sentence(host: host, device: "flannel.1") ?? ""
        #expect(sentence.contains("1450 bytes") && sentence.contains("192.168.57.22") && sentence.contains("MTU"))
    }

    @Test func whoNeverAnswersIsSilent() throws {
        let silent = run(carries: 0)
        #expect(silent.finding == .silent && silent.tried == [Int](repeating: 64, count: 30))
        let host = try #require(IPAddress("192.168.57.22"))
        #expect(silent.2.sentence(host: host, device: "flannel.1")?.contains("8472") == true)
        // A packet now and then is lost anywhere.
        var check = OverlayCheck(mtu: 1450, .ipv6)
        for isAnswered in [false, true, false, false, true] { check.heard(isAnswered) }
        #expect(check.finding == .whole)
    }
}
