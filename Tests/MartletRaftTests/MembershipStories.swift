import MartletBase
import Testing

@testable import MartletRaft

/// Paper, section 6; thesis, chapter 4.
@Suite struct Memberships {
    @Test func section4_2_1_aLearnerGetsTheLogAndHasNoVote() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            a adds learner d
                a knows abc+d
                a>b after 1/1 2:[abc+d] commit 1
                a>c after 1/1 2:[abc+d] commit 1
                a>d after 2/1 commit 1
            # It is in force for each as soon as it is in its log.
            a>d
                d is learner of a in 1
                d>a not 2, perhaps 0/0
            d>a
                a>d after 0/0 1:- 2:[abc+d] commit 1
            a>d
                d knows abc+d
                d applies 1:-
            d syncs
                d>a has 2
            a>b
                b knows abc+d
            b syncs
                b>a has 2
            d>a
            # d does not count: a itself and b, or c, must have it.
            a syncs
            b>a
                a applies 2:[abc+d]
            quietly settle
            d is at
                learner in 1, after 0: 1 1, commit 2
            d stands
                d is learner in 1
            """)
    }

    @Test func section4_2_1_aLearnerThatHasCaughtUpBecomesAVoterByItself() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            a adds d
                a knows abc+d
                a>b after 1/1 2:[abc+d] commit 1
                a>c after 1/1 2:[abc+d] commit 1
                a>d after 2/1 commit 1
            quietly settle
            d is at
                learner in 1, after 0: 1 1, commit 2
            a ticks
                a knows abc->abcd
                a>b after 2/1 3:[abc->abcd] commit 2
                a>c after 2/1 3:[abc->abcd] commit 2
                a>d after 2/1 3:[abc->abcd] commit 2
            quietly settle
            d is at
                follower in 1, after 0: 1 1 1 1, commit 4
            """)
    }

    @Test func section4_2_1_aLearnerThatLagsIsNotPromoted() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            quietly a adds learner d
            cut a-d
            quietly settle
            a promotes d
                a refuses 2: learnerNotReady
            heal
            quietly all tick 6
            quietly a promotes d
            quietly settle
            d is at
                follower in 1, after 0: 1 1 1 1, commit 4
            """)
    }

    @Test func section6_votersChangeThroughAJointMembership() {
        _ = play(
            Group.led("abcde", voters: "abc"),
            """
            a becomes ade
                a knows abc->ade
                a>b after 1/1 2:[abc->ade] commit 1
                a>c after 1/1 2:[abc->ade] commit 1
                a>d after 2/1 commit 1
                a>e after 2/1 commit 1
            lose a>d
            lose a>e
            a syncs
            a>b
                b knows abc->ade
            b syncs
                b>a has 2
            # A majority of the old voters has it, but of the new ones only a.
            b>a
            quietly a ticks 4
            a>d
                d is learner of a in 1
                d>a heard 1
                d>a heard 2
                d>a not 2, perhaps 0/0
            d>a
                a>d after 0/0 1:- 2:[abc->ade] commit 1
            a>d
                d knows abc->ade
                d is follower of a in 1
                d applies 1:-
            d syncs
                d>a has 2
            # Now both, and the new membership alone follows by itself.
            d>a
                a knows ade
                a>b after 2/1 3:[ade] commit 2
                a>c after 2/1 3:[ade] commit 2
                a>d after 2/1 3:[ade] commit 2
                a applies 2:[abc->ade]
            settle without ce
                b>a heard 1
                b>a heard 2
                b knows ade
                b is learner of a in 1
                b applies 2:[abc->ade]
                b>a has 3
                d knows ade
                d applies 2:[abc->ade]
                d>a has 3
                a applies 3:[ade]
                b applies 3:[ade]
                d applies 3:[ade]
            a is at
                leader in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func section6_anElectionInAJointMembershipNeedsBothMajorities() {
        _ = play(
            Group.led("abcde", voters: "abc"),
            """
            quietly a becomes ade
            quietly a>b
            quietly b syncs
            a crashes
            lose all
            quietly b loses a
            quietly c loses a
            b ticks 3
                b is preCandidate in 1
                b>a would you? 2/1
                b>c would you? 2/1
                b>d would you? 2/1
                b>e would you? 2/1
            # c would make a majority of the old voters; of the new ones nobody knows b yet, but they may vote.
            b>c
                c>b I would
            c>b
            b>d
                d>b I would
            d>b
            b>e
                e>b I would
            e>b
                b is candidate in 2
            """)
    }

    @Test func section4_1_aMembershipGoesBackWhenItsEntryIsReplaced() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            quietly a adds voter d
            a syncs
            lose all
            cut a-b
            cut a-c
            quietly b loses a
            quietly c loses a
            quietly b ticks 3
            quietly settle
            heal
            quietly b ticks 8
            b>a
                a is follower of b in 2
                a>b heard 1
                a>b heard 2
                a knows abc
                a applies 2:-
                a>b please 1=add voter d
                a>b heard 3
                a>b heard 4
            a>b
                b knows abc->abcd
                b>c after 2/2 3:[abc->abcd] commit 2
                b>d after 3/2 commit 2
            b>a
            """)
    }

    @Test func oneChangeAtATime() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            a adds learner d
                a knows abc+d
                a>b after 1/1 2:[abc+d] commit 1
                a>c after 1/1 2:[abc+d] commit 1
                a>d after 2/1 commit 1
            a removes c
                a refuses 2: changeInProgress
            quietly settle
            a adds voter a
                a refuses 3: alreadyMember
            a removes e
                a refuses 4: notMember
            a promotes e
                a refuses 5: notMember
            """)
    }

    @Test func theLastVoterStays() {
        _ = play(
            Group.led("a"),
            """
            a removes a
                a refuses 1: lastVoter
            """)
    }

    @Test func aChangeThatWouldLeaveTooFewAliveIsRefused() {
        _ = play(
            Group.led("abc"),
            """
            c crashes
            lose c
            quietly all tick 12
            a removes b
                a refuses 1: quorumLost
            a removes c
                a knows abc->ab
                a>b after 1/1 2:[abc->ab] commit 1
                a>c after 1/1 2:[abc->ab] commit 1
            quietly settle
            a is at
                leader in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func aFollowerForwardsAChangeAndLearnsWhyItIsRefused() {
        _ = play(
            Group.led("abc"),
            """
            b removes x
                b>a please 1=remove x
            b>a
                a>b refused 1: notMember
            a>b
                b refuses 1: notMember
            b removes c
                b>a please 2=remove c
            b>a
                a knows abc->ab
                a>b after 1/1 2:[abc->ab] commit 1
                a>c after 1/1 2:[abc->ab] commit 1
            settle
                b knows abc->ab
                b>a has 2
                c knows abc->ab
                c>a has 2
                a knows ab
                a>b after 2/1 3:[ab] commit 2
                a>c after 2/1 3:[ab] commit 2
                a applies 2:[abc->ab]
                b knows ab
                b applies 2:[abc->ab]
                b>a has 3
                c knows ab
                c is learner of a in 1
                c applies 2:[abc->ab]
                c>a has 3
                a applies 3:[ab]
                b applies 3:[ab]
                c applies 3:[ab]
            c is at
                learner in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func section4_2_2_aLeaderThatRemovesItselfGoesOnceThatIsCommitted() {
        _ = play(
            Group.led("abc"),
            """
            a removes a
                a knows abc->bc
                a>b after 1/1 2:[abc->bc] commit 1
                a>c after 1/1 2:[abc->bc] commit 1
            settle
                b knows abc->bc
                b>a has 2
                c knows abc->bc
                c>a has 2
                a knows bc
                a>b after 2/1 3:[bc] commit 2
                a>c after 2/1 3:[bc] commit 2
                a applies 2:[abc->bc]
                b knows bc
                b applies 2:[abc->bc]
                b>a has 3
                c knows bc
                c applies 2:[abc->bc]
                c>a has 3
                a>b stand now
                a is learner in 1
                a applies 3:[bc]
                b applies 3:[bc]
                c applies 3:[bc]
                b is candidate in 2
                b>c vote? 3/1 now
                c is follower in 2
                c>b yes
                b is leader in 2
                b>c after 3/1 4:- commit 3
                c is follower of b in 2
                c>b has 4
                b applies 4:-
                c applies 4:-
            a is at
                learner in 1, after 0: 1 1 1, commit 3
            quietly a stands
            a is at
                learner in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func section4_2_3_aRemovedMemberDisturbsNobody() {
        _ = play(
            Group.led("abc"),
            """
            cut c-a
            cut c-b
            quietly a removes c
            quietly settle
            a is at
                leader in 1, after 0: 1 1 1, commit 3
            quietly all tick 2
            heal
            # It does not know that it was removed.
            quietly c ticks 30
            quietly c stands
            c>b
                b>c I would not
                b>c I would not
                b>c I would not
                b>c I would not
                b>c I would not
            b>c
            quietly settle
            quietly all tick 4
            a is at
                leader in 1, after 0: 1 1 1, commit 3
            """)
    }

    @Test func theMembershipComesBackFromTheLog() {
        _ = play(
            Group.led("abcd", voters: "abc"),
            """
            quietly a adds learner d
            quietly settle
            d crashes
            d restarts
            quietly all tick 4
            d is at
                learner in 1, after 0: 1 1, commit 2
            a adds learner d
                a refuses 2: alreadyMember
            """)
    }

    @Test func aNewMemberOfAGroupOfOne() {
        _ = play(
            Group.led("ab", voters: "a"),
            """
            quietly a proposes x y
            quietly a syncs
            a adds b
                a knows a+b
                a>b after 4/1 commit 3
            settle
                a applies 4:[a+b]
                b is learner of a in 1
                b>a not 4, perhaps 0/0
                a>b after 0/0 1:- 2:x 3:y 4:[a+b] commit 4
                b knows a+b
                b applies 1:- 2:x 3:y 4:[a+b]
                b>a has 4
            all tick 1
                a knows a->ab
                a>b after 4/1 5:[a->ab] commit 4
                b knows a->ab
                b is follower of a in 1
                b>a has 5
                a knows ab
                a>b after 5/1 6:[ab] commit 5
                a applies 5:[a->ab]
                b knows ab
                b applies 5:[a->ab]
                b>a has 6
                a applies 6:[ab]
                b applies 6:[ab]
            """)
    }
}
