import MartletBase
import Testing

@testable import MartletRaft

extension Group {
    /// Starts a member over a log of entries with these terms.
    mutating func begin(_ name: Character, term: UInt64, entriesOfTerms terms: [UInt64], isUp: Bool = true) {
        crash(name)
        var disk = terms.enumerated().map { offset, term in
            RaftRecord.entry(RaftEntry(index: UInt64(offset) + 1, term: term, payload: Array("\(term)".utf8)))
        }
        disk.append(.hardState(HardState(term: term)))
        self[name].disk = disk
        if isUp { restart(name) }
    }
}

/// Paper, sections 5.3 and 5.4.2.
@Suite struct Logs {
    @Test func section5_3_committedByTheFollowersDisksWhileTheLeadersIsBusy() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            a>b
            a>c
            # Followers promise nothing before their disks are done. One disk of three is no quorum.
            b syncs
                b>a has 2
            b>a
            c syncs
                c>a has 2
            c>a
                a applies 2:x
            """)
    }

    /// A disk whose damage was cut off: outside of the paper, where disks keep what they promise.
    @Test(arguments: [1, 2, 3]) func aFollowerThatHasLostWhatItHadAcknowledgedIsSentItAgain(lost: Int) {
        var group = play(
            Group.led("abc"),
            """
            quietly a proposes x
            quietly settle
            quietly a proposes y
            quietly settle
            """)
        let all = group["b"].core.log.lastIndex
        group.crash("b")
        let first = all - UInt64(lost) + 1
        group["b"].disk.removeAll {
            if case .entry(let entry) = $0 { entry.index >= first } else { false }
        }
        group.restart("b")
        #expect(group["b"].core.log.lastIndex == all - UInt64(lost))
        group = play(
            group,
            """
            quietly a loses b
            quietly all tick 10
            """)
        #expect(group["b"].core.log.lastIndex == all)
        #expect(group["a"].core.role == .leader && group["a"].core.commit == all && group["b"].core.commit == all)
    }

    @Test func section5_3_whatArrivesWhileTheWindowIsFullIsTheNextMessage() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            a proposes y
                a>b after 2/1 3:y commit 1
                a>c after 2/1 3:y commit 1
            a proposes z
            a proposes v
            a proposes w
            settle
                b>a has 2
                c>a has 2
                b>a has 3
                c>a has 3
                a>b after 3/1 4:z 5:v 6:w commit 2
                a applies 2:x
                a>c after 3/1 4:z 5:v 6:w commit 2
                a applies 3:y
                b applies 2:x
                b>a has 6
                c applies 2:x
                c>a has 6
                a applies 4:z 5:v 6:w
                b applies 3:y 4:z 5:v 6:w
                c applies 3:y 4:z 5:v 6:w
            """)
    }

    @Test func section5_3_aLostMessageShowsInTheNextOne() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            lose a>c
            a proposes y
                a>b after 2/1 3:y commit 1
                a>c after 2/1 3:y commit 1
            a>c
                c>a not 2, perhaps 1/1
            c>a
                a>c after 1/1 2:x 3:y commit 1
            a>c
            c syncs
                c>a has 3
            c>a
            """)
    }

    @Test func section5_3_aLossWithNothingAfterItShowsInSilence() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            lose a>c
            settle
                b>a has 2
                a applies 2:x
                b applies 2:x
            quietly all tick 9
            c is at
                follower in 1, after 0: 1, commit 1
            quietly all tick 3
            c is at
                follower in 1, after 0: 1 1, commit 2
            """)
    }

    @Test func section5_3_messagesThatComeTwiceOrLateChangeNothing() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            repeat a>b
            a proposes y
                a>b after 2/1 3:y commit 1
                a>c after 2/1 3:y commit 1
            b syncs
                b>a has 2
            a>b
                b>a has 2
            repeat b>a
            b syncs
                b>a has 3
            b>a
            b is at
                follower in 1, after 0: 1 1 1, commit 1
            """)
    }

    @Test func section5_3_aRestartedFollowerGetsWhatItLost() {
        _ = play(
            Group.led("abc"),
            """
            quietly a proposes x y
            a>b
            b crashes 1
            lose b
            b restarts
            b is at
                follower in 1, after 0: 1, commit 1
            a loses b
            quietly all tick 6
            b is at
                follower in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func figure7EveryFollowersLogBecomesTheLeaders() {
        var group = Group("Labcdef")
        let logs: [(Character, [UInt64])] = [
            ("L", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]), ("a", [1, 1, 1, 4, 4, 5, 5, 6, 6]), ("b", [1, 1, 1, 4]),
            ("c", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]), ("d", [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
            ("e", [1, 1, 1, 4, 4, 4, 4]), ("f", [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
        ]
        for (name, log) in logs { group.begin(name, term: 7, entriesOfTerms: log) }
        group = play(
            group,
            """
            quietly L stands
            quietly L>a
            quietly L>b
            quietly L>e
            quietly L>f
            quietly settle without abcdef
            quietly settle without cd
            # Back over whole terms, not entry by entry: two questions find the place, even for f.
            L is at
                leader in 8, after 0: 1 1 1 4 4 5 5 6 6 6 8, commit 11
            L>c
                c>L I would not
                c is follower in 8
                c is follower of L in 8
            c>L
            L>c
            c syncs
                c>L no
                c>L has 11
            L>d
                d>L I would not
                d is follower in 8
                d is follower of L in 8
            d>L
            L>d
            d syncs
                d>L no
                d>L has 11
            """)
        group.settle()
        group.tick("L")
        group.tick("L")
        group.settle()
        for (name, _) in logs {
            #expect(group.log(name) == [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 8], "\(name)")
            #expect(group[name].applied.count == 11, "\(name)")
        }
    }

    @Test func figure7fTwoQuestionsFindThePlace() {
        var group = Group("Lbf")
        group.begin("L", term: 7, entriesOfTerms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6])
        group.begin("b", term: 7, entriesOfTerms: [1, 1, 1, 4])
        group.begin("f", term: 7, entriesOfTerms: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3])
        _ = play(
            group,
            """
            quietly L stands
            quietly L>b
            quietly b>L
            quietly L syncs
            quietly L>b
            quietly b syncs
            b>L
                L is leader in 8
                L>b after 10/6 11:- commit 0
                L>f after 10/6 11:- commit 0
            lose L>f 2
            L>f
                f is follower of L in 8
                f>L not 10, perhaps 10/3
            f>L
                L>f after 3/1 4:4 5:4 6:5 7:5 8:6 9:6 10:6 11:- commit 0
            L>f
            f syncs
                f>L has 11
            f is at
                follower in 8, after 0: 1 1 1 4 4 5 5 6 6 6 8, commit 0
            """)
    }

    /// The state of (c): the entry of term 2 is on a majority, and its leader of term 4 has sent nothing of its own.
    private func figure8() -> Group {
        var group = Group("12345", configure: { $0.messageBytes = 1 })
        for name in "12" { group.begin(name, term: 3, entriesOfTerms: [1, 2]) }
        for name in "34" { group.begin(name, term: 3, entriesOfTerms: [1]) }
        group.begin("5", term: 3, entriesOfTerms: [1, 3], isUp: false)
        return play(
            group,
            """
            quietly 1 stands
            quietly 1>3
            quietly 1>4
            quietly 3>1
            quietly 4>1
            quietly 1 syncs
            quietly 1>3
            quietly 1>4
            quietly 3 syncs
            quietly 4 syncs
            3>1
            4>1
                1 is leader in 4
                1>2 after 2/2 3:- commit 0
                1>3 after 2/2 3:- commit 0
                1>4 after 2/2 3:- commit 0
                1>5 after 2/2 3:- commit 0
            # 3 and 4 lack the entry of term 2: the leader's first word does not fit, the second does.
            1>3
                3 is follower of 1 in 4
                3>1 not 2, perhaps 1/1
            3>1
                1>3 after 1/1 2:2 commit 0
            1>3
            3 syncs
                3>1 has 2
            1>4
                4 is follower of 1 in 4
                4>1 not 2, perhaps 1/1
            4>1
                1>4 after 1/1 2:2 commit 0
            1>4
            4 syncs
                4>1 has 2
            """)
    }

    @Test func figure8AnEntryOfAnOlderTermIsNotCommittedByCounting() {
        _ = play(
            figure8(),
            """
            # 1, 3 and 4 hold the entry of term 2, and still it is not committed.
            3>1 1
                1>3 after 2/2 3:- commit 0
            4>1 1
                1>4 after 2/2 3:- commit 0
            1 is at
                leader in 4, after 0: 1 2 4, commit 0
            # (d): 5 may win and replace it.
            1 crashes
            lose all
            5 restarts
            quietly 2 ticks 10
            quietly 3 ticks 10
            quietly 4 ticks 10
            quietly 5 stands
            quietly settle
            quietly 5 stands
            quietly settle
            5 is at
                leader in 5, after 0: 1 3 5, commit 3
            2 is at
                follower in 5, after 0: 1 3 5, commit 3
            3 is at
                follower in 5, after 0: 1 3 5, commit 3
            """)
    }

    @Test func figure8AnEntryOfTheLeadersTermCommitsAllBeforeIt() {
        _ = play(
            figure8(),
            """
            # (e): an entry of term 4 reaches a majority, too.
            quietly settle
            1 is at
                leader in 4, after 0: 1 2 4, commit 3
            3 is at
                follower in 4, after 0: 1 2 4, commit 3
            5 restarts
            quietly 5 stands
            quietly settle
            5 is at
                follower in 4, after 0: 1 3, commit 0
            """)
    }

    @Test func section3_10_whatTheDeadLeaderDidNotCommitMayGo() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            lose all
            a crashes 9
            quietly b loses a
            quietly c loses a
            quietly b ticks 3
            quietly settle
            b proposes y
                b>c after 2/2 3:y commit 2
            settle
                c>b has 3
                b applies 3:y
                c applies 3:y
            a restarts
            quietly all tick 6
            a is at
                follower in 2, after 0: 1 2 2, commit 3
            """)
    }

    @Test func aTornWriteCommitsNothingThatItDoesNotHold() {
        var group = Group("abc")
        for name in "ac" { group.begin(name, term: 2, entriesOfTerms: [1, 2]) }
        group.begin("b", term: 2, entriesOfTerms: [1, 1, 1])
        _ = play(
            group,
            """
            cut a-b
            quietly a stands
            quietly settle
            a is at
                leader in 3, after 0: 1 2 3, commit 3
            heal
            a loses b
            quietly a ticks 6
            # b learns at once that its 2 and 3 are wrong, what is right, and that this is committed.
            a>b
                b is follower of a in 3
                b>a heard 1
                b>a heard 2
                b applies 1:1 2:2 3:-
                b>a heard 3
            # But of all that, only the first record reaches its disk.
            b crashes 1
            b restarts
            b is at
                follower in 3, after 0: 1 1 1, commit 0
            """)
    }

    @Test func tooMuchThatWaitsIsRefused() {
        _ = play(
            Group.led("abc", configure: { $0.uncommittedBytes = 100 }),
            """
            a proposes x y z v
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
                a>b after 2/1 3:y commit 1
                a>c after 2/1 3:y commit 1
                a refuses 4: overloaded
            b proposes 1 2 3 4
                b>a please, from 1: 1=1
                b>a please, from 1: 2=2
                b>a please, from 1: 3=3
                b refuses 4: overloaded
            b>a
                a>b refused 1: overloaded
                a>b refused 2: overloaded
                a>b refused 3: overloaded
            a>b
                b refuses 1: overloaded
                b refuses 2: overloaded
                b refuses 3: overloaded
            quietly settle
            a proposes w
                a>b after 4/1 5:w commit 4
                a>c after 4/1 5:w commit 4
            """)
    }

    /// An equal entry comes back after another one stood in its place: a crash may leave that other one on the disk.
    @Test func anEntryThatWasReplacedMeanwhileIsNotDurableByItsFirstWrite() {
        let voters = "abcde".map(id)
        var core = RaftCore(
            RaftConfiguration(member: id("a"), session: 1, seed: 1),
            snapshot: SnapshotPosition(membership: Membership(voters: voters)))
        func hear(_ leader: Character, term: UInt64, _ entries: [UInt64]) -> [RaftEffect] {
            let entries = entries.enumerated().map { RaftEntry(index: UInt64($0) + 1, term: $1, payload: []) }
            let body = RaftMessage.Body.append(previousIndex: 0, previousTerm: 0, entries: entries, commit: 0)
            return core.step(.receive(RaftMessage(from: id(leader), to: id("a"), term: term, body: body)))
        }
        _ = hear("b", term: 3, [1, 3])
        _ = hear("c", term: 4, [1, 4])
        _ = hear("b", term: 5, [1, 3, 5])
        _ = core.step(.persisted(ticket: 1))
        #expect(core.durable == 1)
        _ = core.step(.persisted(ticket: 2))
        #expect(core.durable == 1)
        _ = core.step(.persisted(ticket: 3))
        #expect(core.durable == 3)
    }

    @Test func theLogIsWantedByThoseWhoLackItAsLongAsTheyAreAlive() {
        var group = Group.led("abc", configure: { $0.absenceTicks = 30 })
        group.isTracing = false
        func pass(_ ticks: Int) {
            for _ in 0..<ticks {
                group.tick("a")
                group.settle()
            }
        }
        #expect(group["a"].core.wantedAfter == 1 && group["b"].core.wantedAfter == nil)
        group.cuts = ["ac", "ca"]
        for text in ["x", "y", "z"] { group.propose("a", text) }
        pass(9)
        #expect(group["a"].core.wantedAfter == 1, "c may come back")
        pass(30)
        #expect(group["a"].core.wantedAfter == 4, "c is given up")
        let bytes = group["a"].core.logBytes
        group.checkpoint("a")
        #expect(bytes > 0 && group["a"].core.startIndex == 4 && group["a"].core.logBytes == 0)
        group.cuts = []
        pass(20)
        for text in ["v", "w"] { group.propose("a", text) }
        pass(20)
        #expect(group["c"].wanted?.index == 4)
        #expect(group["a"].core.wantedAfter == 4, "c will want what follows its snapshot")
        group.install("c", from: "a")
        pass(20)
        #expect(group["a"].core.wantedAfter == 6 && group["c"].core.applied == 6)
    }
}
