internal import DequeModule

/// What a leader has taken from others in its term, so that it takes nothing twice.
///
/// Each run of a member is a session of its own. Of a member that starts again and again the last sessions are known:
/// what it sent `sessionLimit` runs ago is not under way any more.
struct TakenProposals: Sendable {
    /// How many sessions of a member are known.
    static let sessionLimit = 16
    /// How many members are known; proposals of further ones are refused as overloaded.
    static let memberLimit = 256

    private struct Session: Sendable {
        var id: UInt64
        var sequences = TakenSequences()
    }
    /// Of each member, oldest first.
    private var sessions: [MemberID: Deque<Session>] = [:]

    /// Whether a session is known, or is from now on. All of it under `floor` is settled.
    mutating func admit(_ session: UInt64, of member: MemberID, floor: UInt64) -> Bool {
        if place(of: session, of: member) == nil {
            guard sessions[member] != nil || sessions.count < Self.memberLimit else { return false }
            sessions[member, default: []].append(Session(id: session))
            if sessions[member, default: []].count > Self.sessionLimit { sessions[member]?.removeFirst() }
        }
        change(session, of: member) { $0.raise(to: floor) }
        return true
    }

    /// Why a proposal was refused before, if it was.
    func refusal(of id: ProposalID, from member: MemberID) -> RaftRefusal? {
        guard let place = place(of: id.session, of: member) else { return nil }
        return sessions[member]?[place].sequences.refusal(of: id.sequence)
    }

    /// Whether a proposal of a known session was not taken before; it is now.
    mutating func take(_ id: ProposalID, from member: MemberID) -> Bool {
        change(id.session, of: member) { $0.take(id.sequence) } ?? false
    }

    /// Remembers that a proposal was refused: the answer may be lost.
    mutating func refuse(_ sequence: UInt64, _ refusal: RaftRefusal, session: UInt64, of member: MemberID) {
        change(session, of: member) { $0.refuse(sequence, refusal) }
    }

    private func place(of session: UInt64, of member: MemberID) -> Int? {
        sessions[member]?.lastIndex { $0.id == session }
    }

    @discardableResult
    private mutating func change<Value>(
        _ session: UInt64, of member: MemberID, _ body: (inout TakenSequences) -> Value
    ) -> Value? {
        guard let place = place(of: session, of: member), var known = sessions.removeValue(forKey: member) else {
            return nil
        }
        defer { sessions[member] = known }
        return body(&known[place].sequences)
    }
}

/// What a leader has taken from one session in its term.
struct TakenSequences: Sendable {
    /// All under this are settled at their proposer: never taken any more.
    private var floor: UInt64 = 0
    private var taken: Set<UInt64> = []
    /// Those of them that were refused, and why: the answer may be lost.
    private var refusals: [UInt64: RaftRefusal] = [:]

    mutating func raise(to newFloor: UInt64) {
        guard newFloor > floor else { return }
        if newFloor - floor <= UInt64(taken.count) {
            for sequence in floor..<newFloor { taken.remove(sequence) }
        } else {
            taken = taken.filter { $0 >= newFloor }
        }
        if !refusals.isEmpty { refusals = refusals.filter { $0.key >= newFloor } }
        floor = newFloor
    }

    mutating func refuse(_ sequence: UInt64, _ refusal: RaftRefusal) { refusals[sequence] = refusal }
    func refusal(of sequence: UInt64) -> RaftRefusal? { refusals.isEmpty ? nil : refusals[sequence] }

    /// Whether `sequence` was not taken before; it is now.
    mutating func take(_ sequence: UInt64) -> Bool { sequence >= floor && taken.insert(sequence).inserted }
}
