internal import DequeModule

// Linearizable reads: thesis, section 6.4. A read may be answered from a state that holds all that was committed when
// the read was asked. The leader knows that index if it still leads, which a round of heartbeats after the asking shows
// (ReadIndex), or which it may conclude from an earlier round for as long as no voter would help anybody else (lease).
//
// Reads that arrive while `roundLimit` rounds are under way share the next one.

struct ReadState: Sendable {
    /// Rounds, or forwards to the leader, that are under way for reads at most.
    static let roundLimit = 4
    /// Reads that wait at most; further ones are unreadable at once.
    static let readLimit = 65_536

    struct Waiting: Sendable {
        var number: UInt64
        var since: Int
    }

    /// Reads of another member, which shares one index among them.
    struct Remote: Sendable {
        var member: MemberID
        var session: UInt64
        var token: UInt64
    }

    struct Round: Sendable {
        var number: UInt64
        var index: UInt64
        var own: [Waiting]
        var remote: [Remote]
    }

    struct Forward: Sendable {
        var token: UInt64
        var own: [Waiting]
        var sentAt: Int?
    }

    /// Of this member, in no round yet.
    var waiting: [Waiting] = []
    /// Of others, in no round yet.
    var remote: [Remote] = []
    /// A leader's rounds that reads wait for.
    var rounds: Deque<Round> = []
    /// What a follower has asked the leader.
    var forwards: [Forward] = []
    var nextToken: UInt64 = 1
    /// When rounds were sent that are not confirmed yet.
    var roundTimes: Deque<(round: UInt64, at: Int)> = []
    /// As long as `now` is before this, no other leader can be there.
    var leaseEnd = 0

    mutating func sent(round: UInt64, at now: Int) { roundTimes.append((round, now)) }

    /// The member leads no more: its own reads ask the next leader.
    mutating func takeBackRounds() {
        waiting = rounds.flatMap(\.own) + waiting
        rounds = []
        remote = []
        roundTimes = []
        leaseEnd = 0
    }

    /// Another term has begun: what was asked is asked again.
    mutating func forgetSends() {
        for place in forwards.indices { forwards[place].sentAt = nil }
    }
}

extension RaftCore {
    mutating func read(_ number: UInt64) {
        guard reads.waiting.count < ReadState.readLimit else { return effects.append(.unreadable([number])) }
        reads.waiting.append(ReadState.Waiting(number: number, since: now))
    }

    /// Another member asks for its reads.
    mutating func readFor(_ asker: MemberID, session: UInt64, token: UInt64) {
        guard reads.remote.count < ReadState.readLimit else { return }
        reads.remote.append(ReadState.Remote(member: asker, session: session, token: token))
    }

    /// At the end of a step: answers what waits, or asks those who know.
    mutating func serveReads() {
        if role == .leader {
            if !reads.forwards.isEmpty {
                reads.waiting = reads.forwards.flatMap(\.own) + reads.waiting
                reads.forwards = []
            }
            if !reads.waiting.isEmpty || !reads.remote.isEmpty { serveReadsAsLeader() }
        } else if let leader {
            askForReads(leader)
        }
    }

    private mutating func serveReadsAsLeader() {
        // Before that it does not know what its predecessors committed.
        guard hard.commit >= leading.mark || configuration.mutation == .readsBeforeOwnTerm else { return }
        let mayAnswer =
            isQuorum { $0 == member } || holdsLease || configuration.mutation == .staleReads
        guard mayAnswer || reads.rounds.count < ReadState.roundLimit else { return }
        let (own, remote) = (reads.waiting, reads.remote)
        reads.waiting = []
        reads.remote = []
        if mayAnswer { return answer(own, remote, index: hard.commit) }
        startRound()
        reads.rounds.append(
            ReadState.Round(number: leading.round, index: hard.commit, own: own, remote: remote))
    }

    private mutating func answer(_ own: [ReadState.Waiting], _ remote: [ReadState.Remote], index: UInt64) {
        if !own.isEmpty { effects.append(.readable(own.map(\.number), index: index)) }
        for ask in remote {
            send(.readIndex(session: ask.session, token: ask.token, index: index), to: ask.member)
        }
    }

    /// A voter that heard a leader refuses its vote to others for `electionTicks` of its own ticks. The leader counts
    /// three quarters of that from when it *sent* the round.
    private var holdsLease: Bool {
        configuration.leaseReads && now < reads.leaseEnd && !leading.isLeaseBroken
    }

    /// A peer still follows.
    mutating func heard(round: UInt64, from member: MemberID) {
        guard let place = peers.firstIndex(where: { $0.member == member }), round <= leading.round else { return }
        peers[place].heardAt = now
        peers[place].round = max(peers[place].round, round)
        sendEntries(to: place)
        let confirmed = quorumValue { voter in
            voter == self.member ? leading.round : peers.first { $0.member == voter }?.round ?? 0
        }
        while let first = reads.roundTimes.first, first.round <= confirmed {
            reads.roundTimes.removeFirst()
            reads.leaseEnd = max(reads.leaseEnd, first.at + (configuration.electionTicks - 1) * 3 / 4)
        }
        while let first = reads.rounds.first, first.number <= confirmed {
            reads.rounds.removeFirst()
            answer(first.own, first.remote, index: first.index)
        }
    }

    // MARK: The follower's side

    private mutating func askForReads(_ leader: MemberID) {
        if !reads.waiting.isEmpty, reads.forwards.count < ReadState.roundLimit {
            reads.forwards.append(ReadState.Forward(token: reads.nextToken, own: reads.waiting))
            reads.nextToken += 1
            reads.waiting = []
        }
        let patience = 2 * configuration.heartbeatTicks
        for place in reads.forwards.indices {
            if let at = reads.forwards[place].sentAt, now - at < patience { continue }
            reads.forwards[place].sentAt = now
            send(.read(session: configuration.session, token: reads.forwards[place].token), to: leader)
        }
    }

    /// The leader tells from which index on a forward's reads are answered. However late that comes, it was found
    /// after the reads were asked.
    mutating func answered(session: UInt64, token: UInt64, index: UInt64) {
        guard session == configuration.session,
            let place = reads.forwards.firstIndex(where: { $0.token == token })
        else { return }
        let own = reads.forwards.remove(at: place).own
        effects.append(.readable(own.map(\.number), index: index))
    }

    /// Gives up reads that no leader confirmed for long.
    mutating func expireReads() {
        let oldest = now - 4 * configuration.electionTicks
        var expired: [UInt64] = []
        if let first = reads.waiting.first, first.since <= oldest {
            expired = reads.waiting.filter { $0.since <= oldest }.map(\.number)
            reads.waiting.removeAll { $0.since <= oldest }
        }
        for place in reads.forwards.indices {
            guard let first = reads.forwards[place].own.first, first.since <= oldest else { continue }
            expired += reads.forwards[place].own.filter { $0.since <= oldest }.map(\.number)
            reads.forwards[place].own.removeAll { $0.since <= oldest }
        }
        reads.forwards.removeAll { $0.own.isEmpty }
        if !expired.isEmpty { effects.append(.unreadable(expired)) }
    }
}
