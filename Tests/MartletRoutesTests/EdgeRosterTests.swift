import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

@Suite("Edges that know of each other") struct EdgeRosterTests {
    private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: 1) + .seconds(seconds) }
    private func lease(_ machine: String, _ address: String, at seconds: Int64) -> JSON {
        EdgeRoster.lease(of: machine, addresses: [address], now: WallTime(seconds: 1_000_000 + seconds))
    }

    @Test func theFirstThatLivesWritesTheAddressesOfAll() {
        var roster = EdgeRoster()
        for (machine, address) in [("m2", "192.0.2.2"), ("m1", "192.0.2.1"), ("m3", "192.0.2.1")] {
            roster.put(lease(machine, address, at: 0), at: at(0), WallTime(seconds: 1_000_000))
        }
        #expect(roster.published(by: "m1", at: at(1)) == ["192.0.2.1", "192.0.2.2"])
        #expect(roster.published(by: "m2", at: at(1)) == nil)
        // Two go on, the first does not.
        for machine in ["m2", "m3"] {
            roster.put(lease(machine, "192.0.2.\(machine.last!)", at: 30), at: at(30), WallTime(seconds: 1_000_030))
        }
        #expect(roster.published(by: "m1", at: at(39)) != nil)
        #expect(roster.published(by: "m1", at: at(40)) == nil)
        #expect(roster.published(by: "m2", at: at(40)) == ["192.0.2.2", "192.0.2.3"])
        roster.remove(EdgeRoster.leaseName(of: "m3"))
        #expect(roster.published(by: "m2", at: at(40)) == ["192.0.2.2"])
    }

    @Test func oneThatHasLongGoneDoesNotComeBackWithWhoLooksAnew() {
        var roster = EdgeRoster()
        roster.put(lease("m1", "192.0.2.1", at: 0), at: at(500), WallTime(seconds: 1_000_030))
        #expect(roster.published(by: "m1", at: at(509)) != nil)
        #expect(roster.published(by: "m1", at: at(510)) == nil)
        // Its clock is late, but it is there: its Lease changes.
        roster.put(lease("m1", "192.0.2.1", at: -100), at: at(520), WallTime(seconds: 1_000_050))
        #expect(roster.published(by: "m1", at: at(550)) != nil)
    }

    @Test func oneIsReachedAtSeveralAddresses() {
        var roster = EdgeRoster()
        for machine in ["m1", "m2"] {
            let own = EdgeRoster.lease(
                of: machine, addresses: ["192.0.2.9", "2001:db8::9"], now: WallTime(seconds: 1_000_000))
            roster.put(own, at: at(0), WallTime(seconds: 1_000_000))
        }
        #expect(roster.published(by: "m1", at: at(1)) == ["192.0.2.9", "2001:db8::9"])
    }

    @Test func leasesOfEdgesThatHaveLongGoneAreForgotten() {
        var roster = EdgeRoster()
        // Whenever it was written: who looks knows only since when it has not changed.
        roster.put(lease("m1", "192.0.2.1", at: -90_000), at: at(0), WallTime(seconds: 1_000_000))
        roster.put(lease("m2", "192.0.2.2", at: 0), at: at(0), WallTime(seconds: 1_000_000))
        #expect(roster.forgotten(at: at(3599)).isEmpty)
        #expect(roster.forgotten(at: at(3600)) == ["martlet-edge-m1"])
        #expect(roster.forgotten(at: at(3640)) == ["martlet-edge-m1", "martlet-edge-m2"])
        roster.put(lease("m1", "192.0.2.1", at: 3640), at: at(3641), WallTime(seconds: 1_003_641))
        roster.remove("martlet-edge-m2")
        #expect(roster.forgotten(at: at(3641)).isEmpty)
    }

    @Test func whatIsNoLeaseOfAnEdgeIsNone() {
        var roster = EdgeRoster()
        var other = lease("m1", "192.0.2.1", at: 0)
        other["metadata", "name"] = "kube-scheduler"
        roster.put(other, at: at(0), WallTime(seconds: 1_000_000))
        roster.put(lease("m2", "192.0.2.1,everywhere", at: 0), at: at(0), WallTime(seconds: 1_000_000))
        roster.put(lease("m3", "", at: 0), at: at(0), WallTime(seconds: 1_000_000))
        for machine in ["m1", "m2", "m3"] { #expect(roster.published(by: machine, at: at(1)) == nil) }
    }
}
