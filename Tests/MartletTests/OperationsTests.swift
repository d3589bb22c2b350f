import MartletTesting
import Testing

@testable import Martlet

private func pod(
    owner: String? = "ReplicaSet", phase: String = "Running", volumes: JSON = [], annotations: JSON = [:]
) -> JSON {
    var pod: JSON = [
        "metadata": ["name": "a", "namespace": "default", "annotations": annotations],
        "spec": ["volumes": volumes], "status": ["phase": .string(phase)],
    ]
    if let owner {
        pod["metadata", "ownerReferences"] = [["kind": .string(owner), "name": "b", "controller": true]]
    }
    return pod
}

@Suite("Which pods leave a node that is drained") struct DrainVerdictTests {
    private func verdict(
        _ pod: JSON, hasDaemonSet: Bool = true, _ change: (inout NodeDrain.Options) -> Void = { _ in }
    ) -> String {
        var options = NodeDrain.Options()
        change(&options)
        switch NodeDrain.judge(pod, options, hasDaemonSet: hasDaemonSet) {
        case .evict(let warning): return "evict" + (warning.map { ": " + $0 } ?? "")
        case .leave: return "leave"
        case .refuse(let why): return "refuse " + (why.split(separator: " ").first { $0.hasPrefix("--") } ?? "?")
        }
    }

    @Test func whatAControllerMakesAnewGoes() {
        #expect(verdict(pod()) == "evict")
        #expect(verdict(pod(annotations: ["kubernetes.io/config.mirror": "x"])) == "leave")
    }

    @Test func whatWouldBeLostNeedsAWord() {
        #expect(verdict(pod(owner: nil)) == "refuse --force")
        #expect(verdict(pod(owner: nil)) { $0.isForced = true } == "evict: nobody makes it anew")
        let keeper = pod(volumes: [["name": "data", "emptyDir": [:]]])
        #expect(verdict(keeper) == "refuse --delete-emptydir-data")
        #expect(verdict(keeper) { $0.deletesEmptyDirData = true } == "evict: what is in its emptyDir goes")
    }

    @Test func podsOfDaemonSetsStayOrHinder() {
        let daemon = pod(owner: "DaemonSet")
        #expect(verdict(daemon) == "refuse --ignore-daemonsets")
        #expect(verdict(daemon) { $0.ignoresDaemonSets = true } == "leave")
        #expect(verdict(daemon, hasDaemonSet: false) == "refuse --force")
        #expect(verdict(daemon, hasDaemonSet: false) { $0.isForced = true } == "evict")
    }

    @Test(arguments: ["Succeeded", "Failed"]) func whatHasEndedAlwaysGoes(phase: String) {
        for owner in [nil, "DaemonSet"] {
            #expect(verdict(pod(owner: owner, phase: phase, volumes: [["emptyDir": [:]]])) == "evict")
        }
    }
}

@Suite("What a drain says of pods that stay on") struct DrainTimeoutTests {
    @Test func itNamesTheirGrace() {
        var long = pod()
        long["spec", "terminationGracePeriodSeconds"] = 90
        #expect(NodeDrain.ending(long, .init()).contains("it has 90 s"))
        #expect(NodeDrain.ending(pod(), .init()).contains("it has 30 s"))
        var options = NodeDrain.Options()
        options.graceSeconds = 5
        #expect(NodeDrain.ending(long, options).contains("it has 5 s"))
    }
}

@Suite("Whether a master may be reset") struct DepartureTests {
    private func refusal(_ code: Int) -> String? {
        Departure.refusal(of: "m4", APIError(code: code, reason: "", message: "too few (m1, m3)"))
    }

    @Test func onlyOneThatTheOthersDoWithout() {
        #expect(refusal(404) == nil && refusal(410) == nil)
        let words = "the others would lose their quorum (too few (m1, m3)); --keep-membership"
        #expect(refusal(409)?.contains(words) == true)
        #expect(refusal(400)?.contains("were not told") == true && refusal(503)?.contains("--keep-membership") == true)
        #expect(Departure.refusal(of: "m4", NetworkError.closed)?.contains("cannot be told") == true)
    }
}

@Suite("Whether a master may stop") struct QuorumGuardTests {
    private func judge(_ text: String, stopping name: String = "a") -> String {
        // `a b! c~20000 d#`: b does not answer, c is 20000 entries behind, d's disk is full.
        let members = text.split(separator: " ").map { word in
            QuorumGuard.Member(
                name: String(word.prefix(1)), votes: !word.hasSuffix("?"), isAlive: !word.hasSuffix("!"),
                behind: word.split(separator: "~").dropFirst().first.flatMap { Int($0) } ?? 0,
                failure: word.hasSuffix("#") ? "no room" : nil)
        }
        switch QuorumGuard.judge(stopping: name, members) {
        case .safe: return "safe"
        case .pause: return "pause"
        case .refused(let why): return why
        }
    }

    @Test func aMajorityMustBeLeft() {
        #expect(judge("a b c") == "safe")
        #expect(judge("a b c d! e") == "safe")
        #expect(judge("a b! c").contains("1 of 3 masters would be left, and 2 must run; b does not answer"))
        #expect(judge("a b c d! e!").contains("2 of 5 masters would be left, and 3 must run"))
        #expect(judge("a b~20000 c").contains("b is still 20000 entries behind"))
        #expect(judge("a b# c").contains("1 of 3 masters would be left, and 2 must run; b takes no changes (no room)"))
    }

    @Test func fewMastersAreACaseOfTheirOwn() {
        #expect(judge("a") == "pause")
        #expect(judge("a b").contains("with 2 masters none can be missed"))
        #expect(judge("a b c?").contains("none can be missed"))
    }

    @Test func addressesMoveToAnotherMasterThatLives() {
        func refusal(_ others: [(String, Bool?)]) -> String? {
            let members = ([("a", true)] + others).map { name, isAlive in
                QuorumGuard.Member(name: name, votes: true, isAlive: isAlive, behind: 0)
            }
            return QuorumGuard.refusal(movingAddressesFrom: "a", members)
        }
        #expect(refusal([]) == "a is the only master that could hold them")
        #expect(refusal([("b", false)]) == "a is the only master that could hold them; b does not answer")
        #expect(refusal([("b", false), ("c", true)]) == nil)
        #expect(refusal([("b", nil)]) == nil)
    }

    @Test func aMasterAloneKeepsItsAddressesWhoeverAsks() {
        func refusal(_ members: JSON) -> String? { MasterDoor.refusal(ofMoveFrom: "a", ["members": members]) }
        let (own, other): (JSON, JSON) = (["name": "a", "alive": true], ["name": "b", "alive": .null])
        #expect(refusal([own]) == "a is the only master that could hold them")
        // A store that is kept alone, and one that has yet to come.
        #expect(refusal([["name": "", "alive": true]]) != nil && refusal([own, ["name": ""]]) != nil)
        #expect(refusal([own, other]) == nil)
        #expect(refusal([own, ["name": "b", "alive": false]])?.contains("b does not answer") == true)
    }

    @Test func whoHasNoVoteIsNotMissed() {
        #expect(judge("a b c?", stopping: "c") == "safe")
        #expect(judge("a b", stopping: "worker") == "safe")
    }
}

@Suite("How masters are") struct MasterStatesTests {
    /// What `name` answers, of a group that `leader` leads; a full disk is its own secret.
    private func answer(of name: String, isFull: Bool = false) -> JSON {
        let leader = "a"
        return [
            "leader": .string(leader), "answeredBy": .string(name),
            "members": .array(
                ["a", "b", "c"].map { member in
                    var shown: JSON = [
                        "name": .string(member), "votes": true,
                        "alive": member == name ? true : name == leader ? .bool(member != "c") : .null,
                    ]
                    if member == name { shown["failure"] = isFull ? .string("no room") : .null }
                    return shown
                }),
        ]
    }

    private func words(_ answer: JSON) -> [String] { (answer["members"]?.array ?? []).map(MasterStates.word) }

    @Test func oneWhoseDiskIsFullIsReadOnly() {
        let leading = answer(of: "a")
        #expect(words(leading) == ["yes", "yes", "no"])
        // One that does not answer the leader is not asked, either.
        #expect(MasterStates.unheard(leading) == ["b"])
        let all = MasterStates.merge(answer(of: "b", isFull: true), into: leading)
        #expect(words(all) == ["yes", "read-only", "no"])
        #expect(MasterStates.failures(all) == ["b takes no changes: no room"])
        #expect(MasterStates.quorum(all) == "quorum: 2 of 3 voters, of which 1 can write: nothing can be written now")
        let spare = "quorum: 2 of 3 voters, of which 2 can write; the loss of 0 is survived"
        #expect(MasterStates.quorum(leading) == spare)
        #expect(MasterStates.unheard(all).isEmpty)
    }

    @Test func withoutALeaderAllAreAsked() {
        let told = answer(of: "b")
        #expect(words(told) == ["?", "yes", "?"] && MasterStates.unheard(told) == ["a", "c"])
        #expect(MasterStates.failures(told).isEmpty)
        #expect(MasterStates.quorum(told) == "quorum: 2 of 3 voters; the loss of 1 is survived")
    }

    @Test func anOlderReleaseThatSaysNothingIsAskedOnce() {
        var old = answer(of: "b")
        old["members"] = .array((old["members"]?.array ?? []).map { ["name": $0["name"] ?? .null, "alive": true] })
        let all = MasterStates.merge(old, into: answer(of: "a"))
        #expect(MasterStates.unheard(all).isEmpty && words(all) == ["yes", "yes", "no"])
    }
}

@Suite("What a drill compares") struct SnapshotDrillTests {
    private func images(_ text: String) -> [String: SnapshotDrill.Image] {
        // `a1x`: the object a, last written at revision 1, with the contents x.
        Dictionary(
            uniqueKeysWithValues: text.split(separator: " ").map { word in
                let revision = Int64(String(word.dropFirst().prefix(1))) ?? 0
                return (String(word.prefix(1)), SnapshotDrill.Image(revision: revision, bytes: Array(word.utf8)))
            })
    }

    @Test func whatIsOlderThanTheSnapshotMustBeInIt() {
        var compared = SnapshotDrill.Comparison()
        let findings = SnapshotDrill.compare(
            restored: images("a1x b2x c3x"), running: images("a1x b2y d4x"), at: 5, into: &compared)
        #expect(findings == [.different("b"), .missing("d")])
        #expect(compared == .init(equal: 1, changedSince: 1))
    }

    @Test func whatChangedSinceProvesNothing() {
        var compared = SnapshotDrill.Comparison()
        let findings = SnapshotDrill.compare(
            restored: images("a1x b2x n9x"), running: images("a7z c8x"), at: 5, into: &compared)
        #expect(findings.isEmpty)
        #expect(compared == .init(equal: 0, changedSince: 2, begun: 1))
    }
}
