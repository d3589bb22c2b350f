import MartletBase
import Testing

@testable import MartletRaft

/// Paper, section 5.2 and 5.4.1; thesis, sections 3.10, 4.2.3, 6.2 and 9.6.
@Suite struct Elections {
    @Test func aGroupOfOneLeadsAfterItsVoteIsDurable() {
        _ = play(
            Group("a"),
            """
            a ticks
                a is candidate in 1
            a proposes x
            a syncs 1
                a is leader in 1
            a syncs 1
                a applies 1:- 2:x
            a proposes y
            a syncs
                a applies 3:y
            """)
    }

    @Test func aGroupOfOneComesBackInALaterTermWithAllThatWasDurable() {
        _ = play(
            Group("a"),
            """
            quietly a ticks
            quietly a syncs 2
            quietly a proposes x
            quietly a syncs
            quietly a proposes lost
            a crashes
            a restarts
            a ticks
                a is candidate in 2
                a applies 1:-
            a syncs
                a is leader in 2
                a applies 2:x 3:-
            """)
    }

    @Test func section5_2_whoAsksFirstIsElected() {
        _ = play(
            Group("abc"),
            """
            a stands
                a is preCandidate in 0
                a>b would you? 0/0
                a>c would you? 0/0
            a>b
                b>a I would
            b>a
                a is candidate in 1
            # It asks nobody before its own vote is durable.
            a syncs
                a>b vote? 0/0
                a>c vote? 0/0
            a>b
                b is follower in 1
            # A vote is not given before it is durable.
            b syncs
                b>a yes
            b>a
                a is leader in 1
                a>b after 0/0 1:- commit 0
                a>c after 0/0 1:- commit 0
            """)
    }

    @Test func section5_2_oneVoteATermEvenAcrossACrash() {
        _ = play(
            Group("abc"),
            """
            quietly a stands
            quietly c stands
            quietly a>b
            quietly c>b
            quietly b>a
            quietly b>c
            a syncs
                a>b vote? 0/0
                a>c vote? 0/0
            c syncs
                c>a vote? 0/0
                c>b vote? 0/0
            a>b
                b is follower in 1
            b syncs
                b>a yes
            b crashes
            b restarts
            c>b
                b>c no
            b syncs
            """)
    }

    @Test func section5_4_1_aCandidateWithAnOlderLogIsNotElected() {
        _ = play(
            Group.led("abc"),
            """
            cut c-a
            cut c-b
            quietly a proposes x
            quietly settle
            a crashes
            heal
            quietly b ticks 10
            c stands
                c is preCandidate in 1
                c>a would you? 1/1
                c>b would you? 1/1
            c>b
                b>c I would not
            b>c
            """)
    }

    @Test func section9_6_whoWasCutOffDisturbsNobody() {
        _ = play(
            Group.led("abc"),
            """
            cut c-a
            cut c-b
            quietly c stands
            quietly c stands
            quietly c stands
            c is at
                preCandidate in 1, after 0: 1, commit 1
            heal
            quietly a ticks
            quietly settle
            c stands
                c>a would you? 1/1
                c>b would you? 1/1
            c>b
                b>c I would not
            b>c
            c>a
                a>c I would not
            a>c
            quietly all tick 4
            c is at
                follower in 1, after 0: 1, commit 1
            """)
    }

    @Test func section4_2_3_aVoteIsNotEvenConsideredWhileTheLeaderIsHeard() {
        _ = play(
            Group.led("abc"),
            """
            # c counts only on b, and has lost its connection to a. b has not.
            c loses a
            c ticks 4
                c is preCandidate in 1
                c>a would you? 1/1
                c>b would you? 1/1
            settle without a
                b>c I would not
            c is at
                preCandidate in 1, after 0: 1, commit 1
            """)
    }

    @Test func aBrokenConnectionToTheLeaderIsEnoughToStand() {
        _ = play(
            Group.led("abc"),
            """
            a crashes
            b loses a
            c loses a
            b ticks 3
                b is preCandidate in 1
                b>a would you? 1/1
                b>c would you? 1/1
            settle
                c>b I would
                b is candidate in 2
                b>a vote? 1/1
                b>c vote? 1/1
                c is follower in 2
                c>b yes
                b is leader in 2
                b>a after 1/1 2:- commit 1
                b>c after 1/1 2:- commit 1
                c is follower of b in 2
                c>b has 2
                b applies 2:-
                c applies 2:-
            """)
    }

    @Test func thoseWhoSeeTheLeaderGoStandAfterEachOther() {
        _ = play(
            Group.led("abc"),
            """
            a crashes
            b loses a
            c loses a
            b ticks 1
                b is preCandidate in 1
                b>a would you? 1/1
                b>c would you? 1/1
            c ticks 3
            c ticks 1
                c is preCandidate in 1
                c>a would you? 1/1
                c>b would you? 1/1
            """)
    }

    /// The one that could be elected asks a moment too early, and the other one never could.
    @Test func whoIsToldNoAsksAgainSoon() {
        _ = play(
            Group.led("abc"),
            """
            quietly a proposes x
            quietly a>b
            quietly b syncs
            a crashes
            lose a
            b loses a
            b ticks 1
                b is preCandidate in 1
                b>a would you? 2/1
                b>c would you? 2/1
            settle
                c>b I would not
            c loses a
            b ticks 7
                b>a would you? 2/1
                b>c would you? 2/1
            quietly settle
            b is at
                leader in 2, after 0: 1 1 2, commit 3
            """)
    }

    @Test func aShortWaitEndsWithANewLeader() {
        _ = play(
            Group.led("abc"),
            """
            a crashes
            quietly b loses a
            quietly c loses a
            quietly b ticks 1
            quietly settle
            b is at
                leader in 2, after 0: 1 2, commit 2
            # The new leader is late.
            c ticks 9
            """)
    }

    @Test func section6_2_aLeaderThatNobodyAnswersStepsDown() {
        _ = play(
            Group.led("abc"),
            """
            cut a>b
            cut a>c
            a ticks 2
                a>b beat 1
                a>c beat 1
            quietly a ticks 7
            a ticks 4
                a is follower in 1
            a is at
                follower in 1, after 0: 1, commit 1
            """)
    }

    @Test func section3_10_handingOver() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            a transfers to b
            # Nothing more is taken, but it is kept.
            a proposes y
            settle without c
                b>a has 2
                a>b stand now
                a applies 2:x
                b is candidate in 2
                b>a vote? 2/1 now
                b>c vote? 2/1 now
                a is follower in 2
                a>b yes
                b is leader in 2
                b>a after 2/1 3:- commit 1
                b>c after 2/1 3:- commit 1
                a is follower of b in 2
                a>b please, from 2: 2=y
                a>b has 3
                b>a after 3/2 4:y commit 3
                b applies 2:x 3:-
                a applies 3:-
                a>b has 4
                b applies 4:y
                a applies 4:y
            a is at
                follower in 2, after 0: 1 1 2 2, commit 4
            b is at
                leader in 2, after 0: 1 1 2 2, commit 4
            """)
    }

    @Test func section3_10_aFollowerAsksForTheHandover() {
        _ = play(
            Group.led("abc"),
            """
            c transfers to c
                c>a hand over to c
            c>a
                a>c stand now
            a>c
                c is candidate in 2
            c syncs
                c>a vote? 1/1 now
                c>b vote? 1/1 now
            settle
                a is follower in 2
                a>c yes
                b is follower in 2
                b>c yes
                c is leader in 2
                c>a after 1/1 2:- commit 1
                c>b after 1/1 2:- commit 1
                a is follower of c in 2
                a>c has 2
                b is follower of c in 2
                b>c has 2
                c applies 2:-
                a applies 2:-
                b applies 2:-
            """)
    }

    @Test func section3_10_aHandoverThatFailsIsGivenUp() {
        _ = play(
            Group.led("abc"),
            """
            cut a-b
            a transfers to b
                a>b stand now
            a proposes x
            quietly all tick 10
            a is at
                leader in 1, after 0: 1 1, commit 2
            """)
    }

    @Test func aLeaderWhoseDiskStallsHandsOver() {
        _ = play(
            Group.led("abc", configure: { $0.stallTicks = 8 }),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            settle without a
            quietly a>b
            quietly a>c
            quietly b syncs
            quietly c syncs
            b>a
            c>a
                a applies 2:x
            # Two of three disks are enough to commit, but not to go on like that.
            quietly a ticks 7
            quietly a>b
            quietly a>c
            quietly b>a
            quietly c>a
            a ticks
                a>b stand now
                a>b beat 4
                a>c beat 4
            quietly a>c
            a>b
                b is candidate in 2
            b syncs
                b>a vote? 2/1 now
                b>c vote? 2/1 now
            settle without a
                c is follower in 2
                c>b yes
                b is leader in 2
                b>a after 2/1 3:- commit 2
                b>c after 2/1 3:- commit 2
                c is follower of b in 2
                c>b has 3
                b applies 3:-
                c applies 3:-
            b is at
                leader in 2, after 0: 1 1 2, commit 3
            """)
    }

    @Test func whoseDiskStallsDoesNotStand() {
        _ = play(
            Group.led("abc", configure: { $0.stallTicks = 8 }),
            """
            quietly a proposes x
            quietly a>c
            a crashes
            c ticks 30
                c is follower in 1
            c syncs
                c>a has 2
            c stands
                c is preCandidate in 1
                c>a would you? 2/1
                c>b would you? 2/1
            """)
    }

    @Test func section8_aTermBeginsWithAnEntryOfItsOwn() {
        _ = play(
            Group.led("abc"),
            """
            quietly a proposes x
            quietly a>b
            quietly b syncs
            a crashes
            lose a
            quietly b loses a
            quietly c loses a
            quietly b stands
            settle
                c>b I would
                b is candidate in 2
                b>a vote? 2/1
                b>c vote? 2/1
                c is follower in 2
                c>b yes
                b is leader in 2
                b>a after 2/1 3:- commit 1
                b>c after 2/1 3:- commit 1
                c is follower of b in 2
                c>b not 2, perhaps 1/1
                b>c after 1/1 2:x 3:- commit 1
                c>b has 3
                b applies 2:x 3:-
                c applies 2:x 3:-
            """)
    }
}
