import MartletBase
import Testing

@testable import MartletRaft

@Suite struct ProposalsFromAnywhere {
    @Test func aFollowerForwards() {
        _ = play(
            Group.led("abc"),
            """
            b proposes x
                b>a please, from 1: 1=x
            b>a
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            settle
                b>a has 2
                c>a has 2
                a applies 2:x
                b applies 2:x
                c applies 2:x
            """)
    }

    @Test func whatWasForwardedTwiceIsWrittenOnce() {
        _ = play(
            Group.led("abc"),
            """
            b proposes x
                b>a please, from 1: 1=x
            repeat b>a
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            b>a
            quietly settle
            a is at
                leader in 1, after 0: 1 1, commit 2
            """)
    }

    @Test func aLostForwardIsSentAgain() {
        _ = play(
            Group.led("abc"),
            """
            quietly b proposes x
            lose b>a
            quietly all tick 9
            lose b>a
            b proposes y
                b>a please, from 1: 2=y
            b ticks
                b>a please, from 1: 1=x
            b>a
                a>b after 1/1 2:y commit 1
                a>c after 1/1 2:y commit 1
                a>b after 2/1 3:x commit 1
                a>c after 2/1 3:x commit 1
            """)
    }

    @Test func beforeThereIsALeaderProposalsWait() {
        _ = play(
            Group("abc"),
            """
            b proposes x
            quietly a stands
            quietly settle
            b is at
                follower in 1, after 0: 1 1, commit 2
            a is at
                leader in 1, after 0: 1 1, commit 2
            """)
    }

    @Test func aProposalThatMayBeInTheLogIsNotSentAgainBeforeThatIsKnown() {
        _ = play(
            Group.led("abc"),
            """
            quietly b proposes x
            quietly b>a
            # c got x from a, b did not; then a dies.
            quietly a>c
            quietly c syncs
            a crashes
            lose all
            quietly b loses a
            quietly c loses a
            quietly c ticks 4
            settle
                b>c I would
                c is candidate in 2
                c>a vote? 2/1
                c>b vote? 2/1
                b is follower in 2
                b>c yes
                c is leader in 2
                c>a after 2/1 3:- commit 1
                c>b after 2/1 3:- commit 1
                b is follower of c in 2
                b>c not 2, perhaps 1/1
                c>b after 1/1 2:x 3:- commit 1
                b>c has 3
                c applies 2:x 3:-
                b applies 2:x 3:-
            c is at
                leader in 2, after 0: 1 1 2, commit 3
            """)
    }

    @Test func aProposalThatTheDeadLeaderTookWithItIsProposedAgain() {
        _ = play(
            Group.led("abc"),
            """
            quietly b proposes x
            quietly b>a
            a crashes
            lose all
            quietly b loses a
            quietly c loses a
            quietly c ticks 4
            settle
                b>c I would
                c is candidate in 2
                c>a vote? 1/1
                c>b vote? 1/1
                b is follower in 2
                b>c yes
                c is leader in 2
                c>a after 1/1 2:- commit 1
                c>b after 1/1 2:- commit 1
                b is follower of c in 2
                b>c has 2
                c applies 2:-
                b applies 2:-
                b>c please, from 1: 1=x
                c>b after 2/2 3:x commit 2
                b>c has 3
                c applies 3:x
                b applies 3:x
            c is at
                leader in 2, after 0: 1 2 2, commit 3
            """)
    }

    @Test func theOldLeadersOwnProposalsGoToTheNewOne() {
        _ = play(
            Group.led("abc"),
            """
            a proposes x
                a>b after 1/1 2:x commit 1
                a>c after 1/1 2:x commit 1
            lose all
            cut a-b
            cut a-c
            quietly b loses a
            quietly c loses a
            quietly b ticks 3
            quietly settle
            heal
            quietly b ticks 2
            settle
                a is follower of b in 2
                a>b heard 1
                c>b heard 1
            quietly all tick 4
            a is at
                follower in 2, after 0: 1 2 2, commit 3
            """)
    }

    @Test func aForwardForAnotherTermIsIgnored() {
        _ = play(
            Group.led("abc"),
            """
            b proposes x
                b>a please, from 1: 1=x
            # Before it arrives, a leads in a later term.
            quietly a transfers to c
            quietly a>c
            quietly c syncs
            quietly c>a
            quietly a syncs
            quietly a>c
            quietly c transfers to a
            quietly c>a
            quietly a syncs
            quietly settle without b
            quietly c transfers to a
            quietly settle without b
            a is at
                leader in 3, after 0: 1 2 3, commit 3
            b>a
            a is at
                leader in 3, after 0: 1 2 3, commit 3
            settle
                b is follower in 2
                b>c yes
                b is follower of c in 2
                b>c has 2
                b is follower in 3
                b>a yes
                b is follower of a in 3
                b>a has 3
                b applies 2:- 3:-
                b>a please, from 1: 1=x
                a>b after 3/3 4:x commit 3
                a>c after 3/3 4:x commit 3
                b>a has 4
                c>a has 4
                a applies 4:x
                b applies 4:x
                c applies 4:x
            """)
    }

    @Test func whatASnapshotWasInstalledOverIsLostFromSight() {
        _ = play(
            Group.led("abc"),
            """
            quietly b proposes x
            quietly b>a
            cut b-a
            cut b-c
            quietly settle
            a checkpoints
            c checkpoints
            heal
            a loses b
            quietly a ticks 6
            quietly settle
            b installs from c
                b lost sight of 1
                b>a has 2
            quietly b proposes y
            settle
                a>b after 2/1 3:y commit 2
                a>c after 2/1 3:y commit 2
                b>a has 3
                c>a has 3
                a applies 3:y
                b applies 3:y
                c applies 3:y
            """)
    }

    @Test func whatNobodyWaitsForIsNotSentAgain() {
        _ = play(
            Group("abc"),
            """
            b proposes x y
            b forgets 1
            quietly a stands
            quietly settle
            a is at
                leader in 1, after 0: 1 1, commit 2
            """)
    }
}

/// Paper, section 7, turned around: who lacks entries fetches.
@Suite struct Snapshots {
    private func behind(_ names: String = "abc") -> Group {
        play(
            Group.led(names),
            """
            cut c-a
            cut c-b
            quietly a proposes x y z
            quietly settle
            quietly a ticks 2
            quietly settle
            a checkpoints
            b checkpoints
            a is at
                leader in 1, after 4: , commit 4
            heal
            a loses c
            quietly a ticks 6
            """)
    }

    @Test func section7_whoLacksEntriesThatAreGoneFetchesASnapshot() {
        _ = play(
            behind(),
            """
            a>c
                c>a heard 2
                c>a heard 3
                c fetches 4 from ba
                c>a heard 4
            quietly a proposes v
            c installs from b
                c knows abc
            c syncs
                c>a has 4
            c>a
                a>c after 4/1 5:v commit 4
            a>c
            c syncs
                c>a has 5
            c>a
            c is at
                follower in 1, after 4: 1, commit 4
            """)
    }

    @Test func aSourceThatFailsIsFollowedByTheNext() {
        _ = play(
            behind(),
            """
            a>c
                c>a heard 2
                c>a heard 3
                c fetches 4 from ba
                c>a heard 4
            b crashes
            c installs from b
            c installs from a
                c knows abc
            settle
                c>a has 4
            c is at
                follower in 1, after 4: , commit 4
            """)
    }

    @Test func whenNoSourceIsLeftTheLeaderOffersAgain() {
        _ = play(
            behind(),
            """
            a>c
                c>a heard 2
                c>a heard 3
                c fetches 4 from ba
                c>a heard 4
            a crashes
            b crashes
            c installs from b
            c installs from a
            lose all
            a restarts
            b restarts
            quietly a stands
            settle
                b>a I would
                c>a I would not
                a is candidate in 2
                a>b vote? 4/1
                a>c vote? 4/1
                b is follower in 2
                b>a yes
                a is leader in 2
                a>b after 4/1 5:- commit 4
                a>c after 4/1 5:- commit 4
                b is follower of a in 2
                b>a has 5
                c is follower of a in 2
                c>a not 4, perhaps 1/1
                a applies 5:-
                a>c snapshot 4/1 at ba
                b applies 5:-
                c fetches 4 from ba
            """)
    }

    @Test func aCrashBetweenTheSnapshotAndTheLogsRestart() {
        _ = play(
            behind(),
            """
            a>c
                c>a heard 2
                c>a heard 3
                c fetches 4 from ba
                c>a heard 4
            c installs from b
                c knows abc
            c crashes
            c restarts
            c is at
                follower in 1, after 4: , commit 4
            """)
    }

    @Test func aSnapshotAtAPlaceThatTheLogHasKeepsTheLog() {
        var group = Group.led("abc")
        group = play(
            group,
            """
            quietly a proposes x y
            quietly a syncs
            quietly a>c
            quietly c syncs
            quietly a>b
            quietly b syncs
            b>a
                a applies 2:x
                a applies 3:y
            a is at
                leader in 1, after 0: 1 1 1, commit 3
            c is at
                follower in 1, after 0: 1 1 1, commit 1
            a checkpoints
            """)
        // c holds 2 and 3 already and has not heard that they are committed.
        let checkpoint = group["a"].checkpoint
        group["c"].applied = checkpoint.applied
        group.step("c", .snapshotInstalled(checkpoint.position))
        _ = play(
            group,
            """
            c is at
                follower in 1, after 3: , commit 3
            c syncs
            """)
    }
}

@Suite struct AProposalOnlyRightForALeader {
    private let a = MemberID(1)
    private let b = MemberID(2)

    private func leader() -> RaftCore {
        var core = RaftCore(
            RaftConfiguration(member: a, session: 7, seed: 1), hardState: HardState(term: 1, commit: 1),
            entries: [
                RaftEntry(
                    index: 1, term: 1, kind: .membership,
                    payload: MembershipEntry(membership: Membership(voters: [a, b, MemberID(3)])).encoded())
            ], applied: 1)
        while core.role != .leader {
            for effect in core.step(.tick) {
                if case .persist(let write) = effect { _ = core.step(.persisted(ticket: write.ticket)) }
                guard case .send(let message) = effect, message.to == b else { continue }
                vote(message, &core)
            }
        }
        return core
    }

    /// `b` gives its votes.
    private func vote(_ message: RaftMessage, _ core: inout RaftCore) {
        let body: RaftMessage.Body
        switch message.body {
        case .requestPreVote: body = .preVote(granted: true)
        case .requestVote: body = .vote(granted: true)
        default: return
        }
        let effects = core.step(.receive(RaftMessage(from: b, to: a, term: message.term, body: body)))
        for effect in effects {
            if case .persist(let write) = effect {
                for next in core.step(.persisted(ticket: write.ticket)) {
                    if case .send(let message) = next, message.to == b { vote(message, &core) }
                }
            }
            if case .send(let message) = effect, message.to == b { vote(message, &core) }
        }
    }

    private func persist(_ effects: [RaftEffect], _ core: inout RaftCore) -> [RaftEffect] {
        var all = effects
        for effect in effects {
            if case .persist(let write) = effect { all += core.step(.persisted(ticket: write.ticket)) }
        }
        return all
    }

    /// What a deposed leader forwards in the very step in which it learns of its successor and of what that committed.
    @Test(arguments: [false, true])
    func isNotForwardedToASuccessor(asLeader: Bool) {
        var core = leader()
        _ = core.step(asLeader ? .proposeAsLeader([[1]]) : .propose([Proposal(sequence: 1, payload: [1])]))
        #expect(core.lastIndex == 3)
        let next = RaftEntry(index: 2, term: core.term + 1, payload: [])
        let word = RaftMessage.Body.append(previousIndex: 1, previousTerm: 1, entries: [next], commit: 2)
        let effects = persist(
            core.step(.receive(RaftMessage(from: b, to: a, term: core.term + 1, body: word))), &core)
        let isForwarded = effects.contains {
            if case .send(let message) = $0, case .propose = message.body { true } else { false }
        }
        #expect(core.role == .follower && core.leader == b)
        #expect(isForwarded == !asLeader)
        // And from now on none is written.
        #expect(core.step(.proposeAsLeader([[2]])).isEmpty)
    }

    @Test func isDroppedWhereTooMuchWaits() {
        var core = leader()
        _ = core.step(.proposeAsLeader([[1], Array(repeating: 2, count: 64 << 20), [3]]))
        #expect(core.lastIndex == 4)
        _ = core.step(.transfer(to: b))
        #expect(core.step(.proposeAsLeader([[4]])).isEmpty, "the successor should have all of the log soon")
    }

    /// Whoever starts again and again is served, and keeps nobody else out.
    @Test func isTakenOnceOfEachOfManySessions() {
        var core = leader()
        func hear(_ session: UInt64, from member: MemberID) -> UInt64 {
            let before = core.lastIndex
            let body = RaftMessage.Body.propose(
                session: session, floor: 1, proposals: [Proposal(sequence: 1, payload: [1])])
            _ = persist(core.step(.receive(RaftMessage(from: member, to: a, term: core.term, body: body))), &core)
            return core.lastIndex - before
        }
        for session in UInt64(100)..<6000 {
            #expect(hear(session, from: b) == 1)
            #expect(hear(session, from: b) == 0)
            #expect(hear(max(session - 9, 100), from: b) == 0)
        }
        #expect(hear(1, from: MemberID(3)) == 1)
    }
}
