import FuzzSupport
import MartletBase
import MartletObject
import Testing

@testable import MartletPKI

/// A rotation as its leader sees it, and the machines that follow.
private struct Story {
    var rotation: Rotation
    var machines: [Rotation.Machine]
    var now = WallTime(seconds: 1_800_000_000)

    init(_ scope: Rotation.Scope, _ names: [String], overlap: Duration = .zero) {
        rotation = Rotation(id: "r1", scope: scope, startedAt: now, overlap: overlap)
        machines = names.map { Rotation.Machine(name: $0) }
    }

    /// Machines do what the phase that stands says.
    mutating func take(_ names: String...) {
        for index in machines.indices where names.contains(machines[index].name) {
            machines[index].mark = rotation.mark
        }
    }

    mutating func away(_ name: String, _ isAway: Bool = true) {
        for index in machines.indices where machines[index].name == name { machines[index].isAway = isAway }
    }

    /// What the leader does next, in a line.
    mutating func step(after seconds: Int64 = 1) -> String {
        now = now + .seconds(seconds)
        rotation.step(machines, now: now)
        let waits = rotation.waitsFor.isEmpty ? "" : " waits for \(rotation.waitsFor.joined(separator: ", "))"
        return rotation.phase.rawValue + waits
    }
}

@Suite("How a rotation goes from phase to phase") struct RotationTests {
    @Test func eachPhaseBeginsWhenAllHaveTakenTheOneBefore() {
        var story = Story(.authorities, ["coup", "deadlock", "worker1"])
        #expect(story.step() == "trust waits for coup, deadlock, worker1")
        story.take("deadlock", "worker1")
        #expect(story.step() == "trust waits for coup")
        story.take("coup")
        #expect(story.step() == "sign")
        #expect(story.step() == "sign waits for coup, deadlock, worker1")
        story.take("coup", "deadlock", "worker1")
        #expect(story.step() == "issue")
        story.take("coup", "deadlock", "worker1")
        #expect(story.step() == "withdraw")
        story.take("coup", "deadlock", "worker1")
        #expect(story.step() == "done")
        let end = story.rotation
        #expect(story.step() == "done")
        #expect(story.rotation == end)
    }

    @Test func oldAuthoritiesStayTrustedForTheOverlap() {
        var story = Story(.authorities, ["deadlock"], overlap: .seconds(60))
        for _ in 0..<2 {
            story.take("deadlock")
            _ = story.step()
        }
        #expect(story.rotation.phase == .issue)
        #expect(story.rotation.overlapEnds == nil)
        #expect(
            story.step(after: 3600) == "issue waits for deadlock", "the overlap begins when all have new certificates")
        story.take("deadlock")
        #expect(story.step() == "issue")
        #expect(story.rotation.overlapEnds == story.now + .seconds(60))
        #expect(story.step(after: 59) == "issue")
        #expect(story.step(after: 1) == "withdraw")
    }

    @Test func aMachineThatJoinsIsNamedAsSuch() {
        var story = Story(.leaves(of: nil), ["deadlock", "worker4"])
        story.machines[1].isJoining = true
        story.take("deadlock")
        #expect(story.step() == "issue waits for worker4 (joining)")
        story.take("worker4")
        #expect(story.step() == "done")
    }

    @Test func aMachineThatIsAwayIsWaitedForUnlessOneSaysOtherwise() {
        var story = Story(.authorities, ["deadlock", "worker1"])
        story.away("worker1")
        story.take("deadlock")
        #expect(story.step(after: 86_400) == "trust waits for worker1 (away)")
        story.rotation.leavesAwayBehind = true
        #expect(story.step() == "sign")
        // One that is there is never left behind.
        story.away("worker1", false)
        story.take("deadlock")
        #expect(story.step() == "sign waits for worker1")
        story.take("worker1")
        #expect(story.step() == "issue")
    }

    @Test func aMachineThatJoinsMeanwhileIsWaitedForToo() {
        var story = Story(.authorities, ["deadlock"])
        story.take("deadlock")
        story.machines.append(Rotation.Machine(name: "worker9"))
        #expect(story.step() == "trust waits for worker9")
        story.machines[1].mark = Rotation.Mark(rotation: "r0", phase: .done)
        #expect(story.step() == "trust waits for worker9", "the mark of an earlier rotation says nothing")
        story.take("worker9")
        #expect(story.step() == "sign")
    }

    @Test func aMachineThatLeavesIsNotWaitedFor() {
        var story = Story(.authorities, ["deadlock", "worker1"])
        story.take("deadlock")
        #expect(story.step() == "trust waits for worker1")
        story.machines.removeLast()
        #expect(story.step() == "sign")
        story.machines = []
        #expect(story.step() == "sign", "nobody known is no consent")
    }

    @Test func leavesAreRotatedInOnePhase() {
        var story = Story(.leaves(of: nil), ["deadlock", "worker1"], overlap: .seconds(3600))
        #expect(story.step() == "issue waits for deadlock, worker1")
        story.take("deadlock", "worker1")
        #expect(story.step() == "done")
    }

    @Test func leavesOfOneMachineAskNothingOfOthers() {
        var story = Story(.leaves(of: "worker1"), ["deadlock", "worker1"])
        #expect(story.step() == "issue waits for worker1")
        story.take("worker1")
        #expect(story.step() == "done")
    }

    @Test func fuzzedChangesOfLeaderGoOnWithWhatWasWrittenDown() throws {
        var story = Story(.authorities, ["coup", "deadlock"], overlap: .seconds(10))
        story.take("coup")
        _ = story.step()
        for scope in [Rotation.Scope.authorities, .leaves(of: nil), .leaves(of: "a")] {
            story.rotation.scope = scope
            for phase in Rotation.Phase.allCases {
                story.rotation.phase = phase
                story.rotation.takenAt = phase == .issue ? story.now : nil
                let text = story.rotation.json.encoded()
                #expect(Rotation(try JSON(parsing: text)) == story.rotation)
            }
        }
        var random = SplitMix64(seed: Fuzz.seed(11))
        let text = story.rotation.json.encoded()
        for _ in 0..<Fuzz.runs(500) {
            guard let json = try? JSON(parsing: Fuzz.spoiled(text, &random)) else { continue }
            _ = Rotation(json)
        }
    }
}
