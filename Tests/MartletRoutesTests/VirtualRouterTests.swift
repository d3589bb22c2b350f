import MartletBase
import MartletRoutes
import Testing

private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

/// A link with routers on it, as values: packets arrive at once, time goes on by what comes next.
private struct Link {
    var routers: [String: VirtualRouter] = [:]
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// Who holds the addresses, as its machine has it.
    var holders: Set<String> = []
    /// Who keeps them for what is open, and who hands that on to whom.
    var keepers: Set<String> = []
    var handedOn: [String: IPAddress] = [:]
    var said: [String: [VirtualRouterNotice]] = [:]
    var announced: [String: [MonotonicTime]] = [:]
    /// Routers whose words are not heard, and who hear nothing.
    var cut: Set<String> = []
    /// Routers that do not run; what comes for them waits.
    var frozen: Set<String> = []
    private var waiting: [String: [VRRPPacket]] = [:]

    mutating func add(_ name: String, _ settings: VirtualRouterSettings) {
        routers[name] = VirtualRouter(settings)
        tell(name, .start)
        tell(name, .fit(until: now + .seconds(1_000_000)))
    }

    mutating func tell(_ name: String, _ event: VirtualRouter.Event) {
        guard var router = routers[name] else { return }
        let effects = router.step(event, at: now)
        routers[name] = router
        for effect in effects {
            switch effect {
            case .addAddresses: holders.insert(name)
            case .removeAddresses:
                holders.remove(name)
                keepers.remove(name)
            case .keepForOpenConnections:
                holders.remove(name)
                keepers.insert(name)
            case .handOn(let other): handedOn[name] = other
            case .announce: announced[name, default: []].append(now)
            case .notice(let notice): said[name, default: []].append(notice)
            case .send(let word): send(word, by: name, router.settings)
            }
        }
    }

    private mutating func send(_ word: VRRPAdvertisement, by name: String, _ settings: VirtualRouterSettings) {
        if cut.contains(name) { return }
        for destination in settings.destinations {
            let packet = VRRPPacket(
                source: settings.ownAddress, destination: destination, hopLimit: 255,
                bytes: word.encoded(from: settings.ownAddress, to: destination, checksum: settings.checksum))
            for other in routers.keys.sorted() where other != name && !cut.contains(other) {
                let own = routers[other]?.settings.ownAddress
                guard settings.peers.isEmpty || own == destination else { continue }
                if frozen.contains(other) {
                    waiting[other, default: []].append(packet)
                } else {
                    tell(other, .packet(packet))
                }
            }
        }
    }

    /// Packets first, as every shell does.
    mutating func thaw(_ name: String) {
        frozen.remove(name)
        for packet in waiting.removeValue(forKey: name) ?? [] { tell(name, .packet(packet)) }
        tell(name, .clock)
    }

    mutating func pass(_ duration: Duration) {
        let end = now + duration
        while true {
            let next = routers.filter { !frozen.contains($0.key) }
                .compactMap { entry in entry.value.deadline.map { (max($0, now), entry.key) } }.min { $0 < $1 }
            guard let next, next.0 <= end else { break }
            now = next.0
            tell(next.1, .clock)
        }
        now = end
    }
}

@Suite struct VirtualRouterTests {
    private func settings(
        _ number: Int, priority: UInt8, _ change: (inout VirtualRouterSettings) -> Void = { _ in }
    ) -> VirtualRouterSettings {
        var settings = VirtualRouterSettings(
            routerID: 51, priority: priority, centiseconds: 10, addresses: [address("192.0.2.100")],
            ownAddress: address("192.0.2.\(number)"))
        change(&settings)
        return settings
    }

    private func three(preempts: Bool = true) -> Link {
        var link = Link()
        for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
            link.add(name, settings(number, priority: UInt8(250 - number * 10)) { $0.preempts = preempts })
        }
        link.pass(.seconds(2))
        return link
    }

    @Test func theHighestPriorityHoldsTheAddresses() {
        let link = three()
        #expect(link.holders == ["a"])
        #expect(link.routers["b"]?.state == .backup && link.routers["b"]?.holder == address("192.0.2.1"))
    }

    @Test func aRouterThatBeginsRemovesWhatWasLeft() {
        var router = VirtualRouter(settings(1, priority: 100))
        #expect(router.step(.start, at: MonotonicTime(nanoseconds: 5)) == [.removeAddresses])
        #expect(router.state == .initialize && router.deadline == nil)
    }

    @Test func whoTakesOverSaysSoBeforeItTakesTheAddressesAndAnnouncesThem() {
        var router = VirtualRouter(settings(1, priority: 100))
        let start = MonotonicTime(nanoseconds: 5)
        _ = router.step(.start, at: start)
        #expect(router.step(.fit(until: start + .seconds(9)), at: start).isEmpty)
        // 3 intervals and (256 - 100) / 256 of one.
        let due = start + .nanoseconds(300_000_000 + 60_937_500)
        #expect(router.deadline == due)
        let effects = router.step(.clock, at: due)
        guard case .send(let word) = effects.first else { return #expect(Bool(false), "nothing was sent") }
        #expect(word.priority == 100 && word.centiseconds == 10)
        #expect(Array(effects.dropFirst()) == [.addAddresses, .announce, .notice(.active)])
    }

    @Test func addressesAreAnnouncedAtOnceThenAfterMoreThanASecondThenNowAndAgain() {
        var link = Link()
        link.add("a", settings(1, priority: 200))
        link.pass(.seconds(70))
        let times = link.announced["a"] ?? []
        let gaps = times.dropFirst().map { $0 - times[0] }
        #expect(gaps.prefix(3) == [.milliseconds(1100), .milliseconds(31_100), .milliseconds(61_100)])
    }

    @Test func theOwnerHoldsItsAddressesAtOnce() {
        var link = Link()
        link.add("a", settings(1, priority: 255))
        #expect(link.holders == ["a"])
    }

    @Test func aDeadHolderIsFollowedWithinThreeIntervalsAndSkew() {
        var link = three()
        link.cut = ["a"]
        link.frozen = ["a"]
        // The last word of the dead one is up to an interval old.
        link.pass(.milliseconds(200))
        #expect(link.holders == ["a"])
        link.pass(.milliseconds(115))
        #expect(link.holders.subtracting(["a"]) == ["b"])
        // Of a dead one nothing is open: its clients are to hear so.
        #expect(link.handedOn.isEmpty && link.keepers.isEmpty)
    }

    @Test func aFarewellCountsForTheNextToTakeOverOnly() {
        var link = three()
        link.tell("a", .yield)
        link.pass(.seconds(1))
        link.cut = ["b"]
        link.frozen = ["b"]
        link.pass(.seconds(1))
        // "b" died without a word, and the word of "a" was to "b".
        #expect(link.holders.contains("a"))
        #expect(link.handedOn == ["b": address("192.0.2.1")])
    }

    @Test func aPlannedMoveTakesLessThanAnInterval() {
        var link = three()
        link.tell("a", .yield)
        #expect(link.holders.isEmpty)
        link.pass(.milliseconds(30))
        #expect(link.holders == ["b"])
        // What is open through the old one stays with it.
        #expect(link.keepers == ["a"] && link.handedOn == ["b": address("192.0.2.1")])
        // Who has yielded does not come back while another holds them.
        link.pass(.seconds(10))
        #expect(link.holders == ["b"])
        // But takes over when that one is gone.
        link.cut = ["b"]
        link.frozen = ["b"]
        link.pass(.milliseconds(450))
        #expect(link.holders.subtracting(["b"]) == ["a"])
    }

    @Test func aMoveWithoutAnotherRouterComesBack() {
        var link = Link()
        link.add("a", settings(1, priority: 200))
        link.pass(.seconds(1))
        link.tell("a", .yield)
        link.pass(.milliseconds(400))
        #expect(link.holders == ["a"])
    }

    @Test func aRouterThatEndsGivesTheAddressesUp() {
        var link = three()
        link.tell("a", .stop)
        link.pass(.milliseconds(30))
        #expect(link.holders == ["b"])
        #expect(link.routers["a"]?.state == .initialize && link.routers["a"]?.deadline == nil)
        link.pass(.seconds(5))
        #expect(link.holders == ["b"])
    }

    @Test func whatIsOpenThroughARouterOutlivesAMoveAndTheEndBehindIt() {
        var link = three()
        link.tell("a", .yield)
        link.pass(.seconds(1))
        link.tell("a", .stop)
        #expect(link.keepers == ["a"] && link.holders == ["b"])
        // And an end that is told twice.
        link.tell("b", .stop)
        link.tell("b", .stop)
        link.pass(.seconds(1))
        #expect(link.keepers == ["a", "b"] && link.holders == ["c"])
    }

    @Test func aDeadEdgeGivesTheAddressesUpAndALivingOneTakesThemAgain() {
        var link = three()
        link.tell("a", .unfit("the edge does not answer"))
        link.pass(.milliseconds(30))
        #expect(link.holders == ["b"])
        #expect(link.said["a"]?.contains(.gaveUp("the edge does not answer")) == true)
        link.pass(.seconds(1))
        link.tell("a", .fit(until: link.now + .seconds(100)))
        link.pass(.seconds(1))
        #expect(link.holders == ["a"])
    }

    @Test func withoutAWordOfTheEdgeItIsTakenForDead() {
        var link = three()
        link.tell("a", .fit(until: link.now + .seconds(3)))
        link.pass(.milliseconds(2_900))
        #expect(link.holders == ["a"])
        link.pass(.milliseconds(200))
        #expect(link.holders == ["b"])
    }

    @Test func aHigherPriorityPreempts() {
        var link = Link()
        link.add("b", settings(2, priority: 150))
        link.pass(.seconds(1))
        link.add("a", settings(1, priority: 200))
        #expect(link.holders == ["b"])
        link.pass(.milliseconds(400))
        #expect(link.holders == ["a"])
        // That is nothing to warn of.
        #expect(link.said["a"] == [.active])
        // Nor does it end what is open.
        #expect(link.keepers == ["b"] && link.handedOn == ["a": address("192.0.2.2")])
        #expect(link.said["b"] == [.active, .backup(of: address("192.0.2.1"))])
    }

    @Test func withoutPreemptionTheAddressesStay() {
        var link = Link()
        link.add("b", settings(2, priority: 150) { $0.preempts = false })
        link.pass(.seconds(1))
        link.add("a", settings(1, priority: 200) { $0.preempts = false })
        link.pass(.seconds(10))
        #expect(link.holders == ["b"])
    }

    @Test func preemptionMayWait() {
        var link = Link()
        link.add("b", settings(2, priority: 150))
        link.pass(.seconds(1))
        link.add("a", settings(1, priority: 200) { $0.preemptDelay = .seconds(5) })
        link.pass(.milliseconds(4_900))
        #expect(link.holders == ["b"])
        link.pass(.milliseconds(600))
        #expect(link.holders == ["a"])
    }

    @Test func ofTwoActiveRoutersOfOnePriorityTheHigherAddressStays() {
        var link = Link()
        link.cut = ["a", "b"]
        link.add("a", settings(9, priority: 100))
        link.add("b", settings(200, priority: 100))
        link.pass(.seconds(1))
        #expect(link.holders == ["a", "b"])
        link.cut = []
        link.pass(.milliseconds(200))
        #expect(link.holders == ["b"])
    }

    @Test func aHealedSplitEndsWithTheHigherPriorityAndAFreshAnnouncement() {
        var link = Link()
        link.cut = ["a", "b"]
        link.add("a", settings(1, priority: 200) { $0.preempts = false })
        link.add("b", settings(2, priority: 150) { $0.preempts = false })
        link.pass(.seconds(5))
        let before = link.announced["a"]?.count ?? 0
        link.cut = []
        link.pass(.milliseconds(200))
        #expect(link.holders == ["a"])
        #expect((link.announced["a"]?.count ?? 0) > before)
        #expect(link.said["a"]?.last == .rival(address("192.0.2.2"), priority: 150))
        #expect(link.keepers == ["b"] && link.handedOn == ["a": address("192.0.2.2")])
    }

    @Test func versionThreeAdoptsTheHoldersInterval() {
        var link = Link()
        link.add("a", settings(1, priority: 200) { $0.centiseconds = 100 })
        link.pass(.seconds(5))
        link.add("b", settings(2, priority: 150))
        link.pass(.seconds(10))
        #expect(link.holders == ["a"])
        link.cut = ["a"]
        link.frozen = ["a"]
        link.pass(.milliseconds(1_900))
        #expect(link.holders == ["a"])
        link.pass(.milliseconds(1_600))
        #expect(link.holders.contains("b"))
    }

    @Test func versionTwoRefusesAnotherInterval() {
        func second(_ number: Int, _ seconds: Int) -> VirtualRouterSettings {
            settings(number, priority: 100) {
                $0.version = .two
                $0.centiseconds = seconds * 100
            }
        }
        var link = Link()
        link.add("a", second(1, 1))
        link.pass(.seconds(5))
        link.add("b", second(2, 2))
        link.pass(.seconds(1))
        #expect(link.said["b"] == [.refused(.interval(100), from: address("192.0.2.1"), count: 1)])
    }

    @Test func skewOfVersionTwoIsOfASecond() {
        var router = VirtualRouter(
            settings(1, priority: 100) {
                $0.version = .two
                $0.centiseconds = 200
            })
        let start = MonotonicTime(nanoseconds: 5)
        _ = router.step(.start, at: start)
        _ = router.step(.fit(until: start + .seconds(90)), at: start)
        #expect(router.deadline == start + .nanoseconds(6_000_000_000 + 609_375_000))
    }

    @Test func aHolderThatDidNotRunLetsGoWhenAnotherHasTakenOver() {
        // It has the highest priority, yet the other one has rightly taken over.
        var link = three(preempts: false)
        link.frozen = ["a"]
        link.pass(.seconds(2))
        #expect(link.holders == ["a", "b"])
        link.thaw("a")
        #expect(link.holders == ["b"])
        // What was open through it is known to be dead by now: its clients were told so.
        #expect(link.keepers.isEmpty)
        #expect(link.said["a"]?.contains { if case .late = $0 { true } else { false } } == true)
        link.pass(.seconds(5))
        #expect(link.holders == ["b"])
    }

    @Test func aHolderThatDidNotRunAndIsAloneStays() {
        var link = Link()
        link.add("a", settings(1, priority: 200))
        link.pass(.seconds(1))
        link.frozen = ["a"]
        link.pass(.seconds(2))
        let before = link.announced["a"]?.count ?? 0
        link.thaw("a")
        #expect(link.holders == ["a"] && link.announced["a"]?.count == before + 1)
    }

    @Test func anotherClusterWithTheSameNumberIsTalkedAboutAndNotObeyed() {
        var link = three()
        link.add("x", settings(66, priority: 254) { $0.addresses = [address("192.0.2.200")] })
        link.pass(.seconds(25))
        // Each holds its own.
        #expect(link.holders == ["a", "x"])
        let words = link.said["a"]?.filter {
            if case .refused(.foreignAddresses, let source, _) = $0 { source == address("192.0.2.66") } else { false }
        }
        // Loud, but no flood: 250 packets, a word every ten seconds.
        #expect((2...3).contains(words?.count ?? 0))
        #expect(words?.last?.description.contains("--vip-router-id") == true)
    }

    @Test func routersWhoseListsDifferDoNotSplit() {
        var link = Link()
        link.add("a", settings(1, priority: 200) { $0.addresses.append(address("192.0.2.101")) })
        link.add("b", settings(2, priority: 150))
        link.pass(.seconds(5))
        #expect(link.holders == ["a"])
        #expect(link.said["b"]?.first?.description.contains("set --vip alike") == true)
    }

    @Test func virtualRoutersOfOtherNumbersAreNoAffairOfOurs() {
        var link = three()
        link.add("x", settings(66, priority: 255) { $0.routerID = 52 })
        link.pass(.seconds(2))
        #expect(link.holders == ["a", "x"])
        #expect(link.said["a"] == [.active])
    }

    @Test func strangersAreNotObeyedWherePeersAreNamed() {
        var link = Link()
        link.add("a", settings(1, priority: 200) { $0.peers = [address("192.0.2.2")] })
        link.add("b", settings(2, priority: 150) { $0.peers = [address("192.0.2.1")] })
        link.pass(.seconds(1))
        #expect(link.holders == ["a"])
        let word = VRRPAdvertisement(
            version: .three, routerID: 51, priority: 255, centiseconds: 10, addresses: [address("192.0.2.100")])
        for source in ["192.0.2.7", "192.0.2.1"] {
            let packet = VRRPPacket(
                source: address(source), destination: address("192.0.2.1"), hopLimit: 255,
                bytes: word.encoded(from: address(source), to: address("192.0.2.1")))
            link.tell("a", .packet(packet))
        }
        #expect(link.holders == ["a"])
        let refused = link.said["a"]?.compactMap { if case .refused(let refusal, _, _) = $0 { refusal } else { nil } }
        #expect(refused == [.stranger, .ourAddress])
    }

    @Test func aBackupWaitsForItsSkewAloneAfterAWordOfLeaving() {
        var router = VirtualRouter(settings(2, priority: 100))
        let start = MonotonicTime(nanoseconds: 5)
        _ = router.step(.start, at: start)
        _ = router.step(.fit(until: start + .seconds(9)), at: start)
        let leaving = VRRPAdvertisement(
            version: .three, routerID: 51, priority: 0, centiseconds: 10, addresses: [address("192.0.2.100")])
        let packet = VRRPPacket(
            source: address("192.0.2.1"), destination: VRRPAdvertisement.group(.ipv4), hopLimit: 255,
            bytes: leaving.encoded(from: address("192.0.2.1"), to: VRRPAdvertisement.group(.ipv4)))
        #expect(router.step(.packet(packet), at: start + .milliseconds(50)).isEmpty)
        #expect(router.deadline == start + .nanoseconds(50_000_000 + 60_937_500))
    }

    @Test func whoIsAloneStandsBackAndKeepsItsPlaceAmongItsLikes() {
        let alone = VirtualRouterSettings.priorityAlone
        #expect(alone(250) == 125 && alone(240) == 120 && alone(1) == 1 && alone(255) == 255)
        #expect(VirtualRouterSettings.priority(of: "c", among: ["a", "b", "c"]) > alone(250))
    }

    @Test func settingsThatCannotWorkAreNamed() {
        #expect(settings(1, priority: 100).problem == nil)
        #expect(settings(1, priority: 0).problem != nil)
        #expect(settings(1, priority: 100) { $0.centiseconds = 4096 }.problem != nil)
        #expect(settings(1, priority: 100) { $0.version = .two }.problem != nil)
        #expect(settings(1, priority: 100) { $0.addresses = [] }.problem != nil)
        #expect(settings(100, priority: 100).problem != nil)
        #expect(settings(1, priority: 100) { $0.addresses.append(address("fd00::1")) }.problem != nil)
    }
}
