import MartletBase
import Testing

@testable import MartletRaft

@Suite struct Windows {
    private func window(_ group: Group) -> Int { group["a"].core.progress(of: id("b"))?.window ?? 0 }

    /// Keeps b's window full for so many messages, each acknowledged after `ticks`.
    private func flood(_ group: inout Group, messages: Int, ticks: Int, text: String) {
        for _ in 0..<messages {
            for _ in 0..<window(group) + 2 { group.propose("a", text) }
            for _ in 0..<ticks { group.tick("a") }
            group.settle()
        }
    }

    @Test func onAShortWayAFewSmallMessagesAreEnough() {
        var group = Group.led("abc")
        flood(&group, messages: 40, ticks: 0, text: "x")
        #expect(window(group) == Peer.shortWindow)
    }

    @Test func onALongWayItGrowsToItsBoundAndALossHalvesIt() {
        var group = Group.led("abc", configure: { $0.inflightMessages = 16 })
        flood(&group, messages: 40, ticks: 1, text: "x")
        #expect(window(group) == 16)
        group.step("a", .unreachable(id("b")))
        #expect(window(group) == 8)
        #expect(group["a"].core.progress(of: id("b"))?.phase == .probe)
    }

    @Test func itIsBoundByBytesToo() {
        var group = Group.led("abc", configure: { $0.inflightBytes = 1000 })
        let big = String(repeating: "x", count: 2000)
        for _ in 0..<3 { group.propose("a", big) }
        #expect(group.network.filter { $0.to == id("b") }.count == 1)
        group.settle()
        #expect(group["b"].applied.count == 4)
    }
}

@Suite struct TheLastWayOut {
    /// Recovery from a lost quorum: one member goes on alone with all that it has.
    @Test func aMemberGoesOnAlone() {
        var group = Group.led("abc")
        group.propose("a", "x")
        group.sync("a")
        group.crash("b")
        group.crash("c")
        group.lose("all")
        let effects = group["a"].core.forceMembership(Membership(voters: [id("a")]))
        #expect(group["a"].core.membership.voters == [id("a")])
        for case .persist(let write) in effects { group["a"].writes.append(write) }
        group.settle()
        group.tick("a")
        group.settle()
        let core = group["a"].core
        #expect(core.role == .leader && core.commit == core.lastIndex && group["a"].applied.count == 4)
    }

    @Test func theSameNightTwiceIsTheSame() {
        for seed in UInt64(1)...5 {
            var (one, other) = (Night(seed: seed), Night(seed: seed))
            one.pass(300)
            other.pass(300)
            #expect(one.history == other.history)
            #expect(one.group.members.map(\.disk) == other.group.members.map(\.disk))
        }
    }
}
