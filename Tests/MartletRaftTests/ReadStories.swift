import MartletBase
import Testing

@testable import MartletRaft

/// Thesis, section 6.4.
@Suite struct LinearizableReads {
    @Test func section6_4_aRoundShowsThatTheLeaderStillLeads() {
        _ = play(
            Group.led("abc"),
            """
            a reads 1
                a>b beat 1
                a>c beat 1
            a>b
                b>a heard 1
            b>a
                a may read 1 at 1
            """)
    }

    @Test func section6_4_roundsWaitForNoDisk() {
        _ = play(
            Group.led("abc"),
            """
            quietly a proposes x
            a>b
            # b's disk is busy with x.
            a reads 1
                a>b beat 1
                a>c beat 1
            a>b
                b>a heard 1
            b>a
                a may read 1 at 1
            """)
    }

    @Test func section6_4_readsThatArriveTogetherShareARound() {
        _ = play(
            Group.led("abc"),
            """
            a reads 1
                a>b beat 1
                a>c beat 1
            a reads 2
                a>b beat 2
                a>c beat 2
            a reads 3
                a>b beat 3
                a>c beat 3
            a reads 4
                a>b beat 4
                a>c beat 4
            # Four rounds are under way; what arrives now shares the fifth.
            a reads 5
            a reads 6
            a reads 7
            settle without c
                b>a heard 1
                b>a heard 2
                b>a heard 3
                b>a heard 4
                a may read 1 at 1
                a>b beat 5
                a>c beat 5
                a may read 2 at 1
                a may read 3 at 1
                a may read 4 at 1
                b>a heard 5
                a may read 5 6 7 at 1
            """)
    }

    @Test func section6_4_aFollowerAsksTheLeader() {
        _ = play(
            Group.led("abc"),
            """
            b reads 1
                b>a read? 1
            b>a
                a>b beat 1
                a>c beat 1
            a>c
                c>a heard 1
            c>a
                a>b read 1 at 1
            a>b
                b>a heard 1
                b may read 1 at 1
            """)
    }

    @Test func section6_4_aNewLeaderWaitsForAnEntryOfItsOwn() {
        _ = play(
            Group.led("abc"),
            """
            quietly a proposes x
            quietly a>b
            quietly b syncs
            quietly b>a
            a crashes
            lose all
            quietly b loses a
            quietly c loses a
            quietly b ticks 3
            quietly b>c
            quietly c>b
            quietly b syncs
            quietly b>c
            quietly c syncs
            c>b
                b is leader in 2
                b>a after 2/1 3:- commit 1
                b>c after 2/1 3:- commit 1
            # a had committed x, and perhaps told somebody. b does not know that yet.
            b reads 1
            settle
                c is follower of b in 2
                c>b not 2, perhaps 1/1
                b>c after 1/1 2:x 3:- commit 1
                c>b has 3
                b applies 2:x 3:-
                b>a beat 1
                b>c beat 1
                c>b heard 1
                c applies 2:x 3:-
                b may read 1 at 3
            """)
    }

    @Test func afterAPauseALeaderDoesNotServeFromThePast() {
        _ = play(
            Group.led("abc"),
            """
            # a stands still; the others go on without it.
            cut a-b
            cut a-c
            quietly b ticks 10
            quietly c ticks 10
            quietly b stands
            quietly settle
            quietly b proposes x
            quietly settle
            heal
            a reads 1
                a>b beat 1
                a>c beat 1
            a>b
            b>a
                a is follower in 2
            quietly b ticks 2
            settle
                a is follower of b in 2
                a>b heard 1
                a>b read? 1
                c>b heard 1
                b>a beat 2
                b>c beat 2
                a>b heard 2
                c>b heard 2
                b>a read 1 at 3
                a may read 1 at 3
            """)
    }

    @Test func aReadOutlivesItsLeader() {
        _ = play(
            Group.led("abc"),
            """
            c reads 1
                c>a read? 1
            a crashes
            lose all
            quietly b loses a
            quietly c loses a
            quietly b ticks 3
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
                c>b read? 1
                c>b has 2
                b applies 2:-
                b>a beat 1
                b>c beat 1
                c>b heard 1
                c applies 2:-
                b>c read 1 at 2
                c may read 1 at 2
            """)
    }

    @Test func aReadThatNobodyConfirmsIsGivenUp() {
        _ = play(
            Group.led("abc"),
            """
            a crashes
            b crashes
            lose all
            c reads 1
                c>a read? 1
            quietly c ticks 9
            lose all
            c ticks 10
                c>a read? 1
                c is preCandidate in 1
                c>a would you? 1/1
                c>b would you? 1/1
                c>a would you? 1/1
                c>b would you? 1/1
            quietly c ticks 20
            c ticks
                c gives up reading 1
            """)
    }

    @Test func section6_4_1_aLeaseAnswersAtOnce() {
        _ = play(
            Group.led("abc", configure: { $0.leaseReads = true }),
            """
            quietly a ticks 2
            quietly settle
            a reads 1
            # The lease counts from when the round was sent.
            a ticks
            a ticks
            lose all
            quietly a ticks 4
            lose all
            a reads 2
            """)
    }

    @Test func section6_4_1_whileALeaseMayHoldNobodyIsHelped() {
        _ = play(
            Group.led("abc", configure: { $0.leaseReads = true }),
            """
            quietly a ticks 2
            quietly settle
            # Not even a broken connection makes b stand, and not even a restart makes c forget.
            b loses a
            b ticks 3
            c crashes
            c restarts
            quietly b ticks 17
            lose b>a
            b>c
                c>b I would not
            c>b
            """)
    }

    @Test func section6_4_1_noLeaseAfterAHandoverWasBegun() {
        _ = play(
            Group.led("abc", configure: { $0.leaseReads = true }),
            """
            quietly a ticks 2
            quietly settle
            a transfers to b
            a reads 1
            """)
    }

    @Test func aGroupOfOneAnswersAtOnce() {
        _ = play(
            Group.led("a"),
            """
            a reads 1
                a may read 1 at 1
            """)
    }
}
