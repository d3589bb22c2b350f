import MartletBase
import MartletRoutes
import Testing

/// Plays a story: lines that say what happens, and after each, indented, what the hold wishes.
///
/// ```
/// take, keep, release      what the router wants
/// hand on to 192.0.2.2     held by 192.0.2.2
/// pass 3                   so many seconds pass; the kernel answers at once
/// freeze                   from now on it does not answer
/// done renew               it has answered an order
/// fail renew               it has refused one
/// ```
/// After `quietly` a line's wishes are not told.
private func play(_ script: String, file: String = #fileID, line: Int = #line) {
    var machine = Machine()
    var told: [String] = []
    for line in script.split(separator: "\n").map(String.init) where !line.hasPrefix("    ") {
        told.append(line)
        let isQuiet = line.hasPrefix("quietly ")
        let words = line.split(separator: " ").dropFirst(isQuiet ? 1 : 0).map(String.init)
        machine.trace = []
        if !machine.carryOut(words) { Issue.record("what does this mean? \(line)") }
        if !isQuiet { told += machine.trace.map { "    " + $0 } }
    }
    if told != script.split(separator: "\n").map(String.init) {
        Issue.record("the story goes otherwise:\n<<<\(file):\(line)\n\(told.joined(separator: "\n"))\n>>>")
    }
}

private struct Machine {
    var hold = VirtualAddressHold()
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var isFrozen = false
    var trace: [String] = []

    mutating func carryOut(_ words: [String]) -> Bool {
        let last = words.last ?? ""
        switch words.first {
        case "take": tell(.take)
        case "keep": tell(.keep)
        case "release": tell(.release)
        case "hand": tell(.handOn(to: IPAddress(last) ?? IPAddress(ipv4: 0)))
        case "held": tell(.holder(IPAddress(last) ?? IPAddress(ipv4: 0)))
        case "freeze": isFrozen = true
        case "pass": pass(.seconds(Int(last) ?? 0))
        case "done": tell(.done(aim(last)))
        case "fail": tell(.failed(aim(last), "no"))
        default: return false
        }
        return true
    }

    private func aim(_ word: String) -> VirtualAddressHold.Aim {
        switch word {
        case "take": .take
        case "keep": .keep
        case "release": .release
        case "handOn": .handOn
        default: .renew
        }
    }

    private mutating func pass(_ duration: Duration) {
        let end = now + duration
        while let next = hold.deadline, next <= end {
            now = max(now, next)
            tell(.clock)
        }
        now = end
    }

    private mutating func tell(_ event: VirtualAddressHold.Event) {
        for effect in hold.step(event, at: now) {
            switch effect {
            case .ask(let steps, let aim):
                trace.append(steps.map(told).joined(separator: ", "))
                if !isFrozen { tell(.done(aim)) }
            case .refused(let problem): trace.append("refused: \(problem)")
            case .warn(let aim, let problem): trace.append("warning: cannot \(aim.rawValue): \(problem)")
            }
        }
    }

    private func told(_ step: VirtualAddressHold.Step) -> String {
        switch step {
        case .lend(let spot): "lend on \(spot)"
        case .takeAway(nil): "take away"
        case .takeAway(let spot?): "take away but from \(spot)"
        case .silence: "be silent"
        case .speak: "speak"
        case .handOn(let other): "hand on to \(other)"
        case .keepToItself: "hand on no more"
        }
    }
}

@Suite("How a machine's kernel holds virtual addresses") struct VirtualAddressHoldTests {
    @Test func theyAreLentAndAskedForOnEverySecondWhileTheyAreHeld() {
        play(
            """
            pass 10
            take
                lend on link
            pass 2
                lend on link
                lend on link
            release
                take away
                speak
                hand on no more
            pass 10
            """)
    }

    @Test func whatIsTakenBackIsOnTheLinkBeforeLoopbackLosesIt() {
        play(
            """
            quietly take
            keep
                be silent, lend on loopback, take away but from loopback
            pass 1
                lend on loopback
            take
                lend on link, take away but from link, speak
            pass 1
                lend on link
            """)
    }

    @Test func openConnectionsAreKeptForTenMinutes() {
        play(
            """
            quietly take
            quietly keep
            quietly pass 598
            pass 1
                lend on loopback
            pass 1
                take away
                speak
                hand on no more
            pass 10
            """)
    }

    @Test func takenBackTheyStayBeyondThoseTenMinutes() {
        play(
            """
            quietly take
            quietly keep
            quietly take
            quietly pass 700
            pass 1
                lend on link
            """)
    }

    @Test func aSlowKernelIsNotAskedEverMore() {
        play(
            """
            quietly take
            freeze
            pass 5
                lend on link
            done renew
            pass 5
                lend on link
            """)
    }

    @Test func whatTheKernelRefusesToLendOnIsRefusedOnceEachTime() {
        play(
            """
            quietly take
            freeze
            pass 1
                lend on link
            fail renew
                refused: no
            pass 1
                lend on link
            """)
    }

    @Test func whatTheKernelDoesNotLetItTakeIsRefused() {
        play(
            """
            freeze
            take
                lend on link
            fail take
                refused: no
            keep
                be silent, lend on loopback, take away but from loopback
            """)
    }

    @Test func aRefusalThatComesLateIsOfNoConcern() {
        play(
            """
            freeze
            quietly take
            quietly pass 1
            quietly release
            fail renew
            fail take
            """)
    }

    @Test func whereNothingCanBeKeptAllIsGivenUp() {
        play(
            """
            quietly take
            freeze
            keep
                be silent, lend on loopback, take away but from loopback
            fail keep
                warning: cannot keep open connections: no
                take away
                speak
                hand on no more
            pass 10
            """)
    }

    @Test func whatFailsToBeKeptAndIsTakenBackStays() {
        play(
            """
            quietly take
            freeze
            quietly keep
            take
                lend on link, take away but from link, speak
            fail keep
                warning: cannot keep open connections: no
            pass 1
                lend on link
            """)
    }

    @Test func packetsAreHandedOnForTenMinutesFromTheLastWord() {
        play(
            """
            hand on to 192.0.2.2
                hand on to 192.0.2.2
            quietly take
            quietly pass 300
            hand on to 192.0.2.2
            quietly pass 599
            pass 1
                hand on no more
                lend on link
            """)
    }

    @Test func nothingIsHandedBackToWhoHoldsTheAddresses() {
        play(
            """
            quietly hand on to 192.0.2.2
            quietly take
            quietly keep
            held by 192.0.2.3
            held by 192.0.2.2
                hand on no more
            held by 192.0.2.2
            """)
    }

    @Test func whatCannotBeHandedOnIsTold() {
        play(
            """
            freeze
            quietly hand on to 192.0.2.2
            fail handOn
                warning: cannot hand open connections on: no
            fail release
                warning: cannot give the addresses up: no
            """)
    }
}
