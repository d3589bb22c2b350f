import MartletBase
import Testing

@testable import MartletRaft

/// Draws of everything that has a wire form.
private struct Draw {
    var random: SplitMix64
    mutating func below(_ bound: UInt64) -> UInt64 { random.next() % bound }
    mutating func number() -> UInt64 { (random.next() >> (random.next() % 64)) >> 1 }
    mutating func bytes() -> [UInt8] { (0..<below(9)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
    mutating func member() -> MemberID { MemberID(number() | 1) }
    mutating func members() -> [MemberID] { (0..<below(4)).map { _ in member() } }
    mutating func membership() -> Membership {
        Membership(voters: members(), outgoing: members(), learners: members(), autoPromoting: members())
    }
    mutating func entry(_ index: UInt64) -> RaftEntry {
        let id = ProposalID(session: number(), sequence: number())
        let kind: RaftEntry.Kind = below(2) == 0 ? .command : .membership
        return RaftEntry(index: index, term: number(), kind: kind, id: id, payload: bytes())
    }
    mutating func record() -> RaftRecord {
        switch below(3) {
        case 0: .entry(entry(number() | 1))
        case 1: .hardState(HardState(term: number(), vote: member(), commit: number()))
        default: .restart(SnapshotPosition(index: number(), term: number(), membership: membership()))
        }
    }
    mutating func change() -> MembershipChange {
        switch below(5) {
        case 0: .addLearner(member(), autoPromote: below(2) == 0)
        case 1: .addVoter(member())
        case 2: .promote(member())
        case 3: .remove(member())
        default: .replace(voters: members(), learners: members())
        }
    }
    mutating func message() -> RaftMessage {
        RaftMessage(from: member(), to: member(), term: number(), body: body())
    }
    private mutating func body() -> RaftMessage.Body {
        switch below(17) {
        case 0: .requestPreVote(lastIndex: number(), lastTerm: number())
        case 1: .preVote(granted: below(2) == 0)
        case 2: .requestVote(lastIndex: number(), lastTerm: number(), forTransfer: below(2) == 0)
        case 3: .vote(granted: below(2) == 0)
        case 4: append()
        case 5: .appended(match: number())
        case 6: .conflict(previousIndex: number(), hint: number(), hintTerm: number())
        case 7: .heartbeat(round: number(), commit: number())
        case 8: .heard(round: number())
        case 9: .snapshot(index: number(), indexTerm: number(), sources: members())
        case 10: .timeoutNow
        case 11: .transfer(to: member())
        case 12:
            .propose(
                session: number(), floor: number(),
                proposals: (0..<below(4)).map { _ in Proposal(sequence: number(), payload: bytes()) })
        case 13:
            .change(session: number(), floor: number(), sequence: number(), change: change(), context: bytes())
        case 14:
            .refused(
                session: number(), sequences: (0..<below(4)).map { _ in number() },
                refusal: RaftRefusal.allCases[Int(below(7))])
        case 15: .read(session: number(), token: number())
        default: .readIndex(session: number(), token: number(), index: number())
        }
    }
    private mutating func append() -> RaftMessage.Body {
        let index = number()
        let entries = (0..<below(4)).map { entry(index + 1 + $0) }
        return .append(previousIndex: index, previousTerm: number(), entries: entries, commit: number())
    }

    /// Bytes that are not quite what they were.
    mutating func spoil(_ bytes: inout [UInt8]) {
        let place = Int(below(UInt64(bytes.count)))
        switch below(4) {
        case 0: bytes.removeLast(place + 1)
        case 1: bytes.insert(UInt8(below(256)), at: place)
        case 2: for at in place..<min(place + 4, bytes.count) { bytes[at] = 255 }
        default: bytes[place] = UInt8(below(256))
        }
    }
}

/// What was written is read; what was spoiled is refused, or read as what has exactly these bytes; nothing traps.
@Suite struct Codecs {
    private let rounds = 6_000

    @Test func records() throws {
        var draw = Draw(random: SplitMix64(seed: 5))
        var mistakes = 0
        for _ in 0..<rounds {
            let record = draw.record()
            var bytes = record.encoded()
            if try RaftRecord(decoding: bytes) != record { mistakes += 1 }
            draw.spoil(&bytes)
            if let read = try? RaftRecord(decoding: bytes), read.encoded() != bytes { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }

    @Test func messages() throws {
        var draw = Draw(random: SplitMix64(seed: 6))
        var mistakes = 0
        for _ in 0..<rounds {
            let message = draw.message()
            var bytes = message.encoded()
            if try RaftMessage(decoding: bytes) != message { mistakes += 1 }
            if try RaftMessage(decoding: [7, 7] + bytes, offset: 2) != message { mistakes += 1 }
            draw.spoil(&bytes)
            if let read = try? RaftMessage(decoding: bytes), read.encoded() != bytes { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }

    @Test func membershipEntries() throws {
        var draw = Draw(random: SplitMix64(seed: 7))
        var mistakes = 0
        for _ in 0..<rounds {
            let entry = MembershipEntry(membership: draw.membership(), context: draw.bytes())
            var bytes = entry.encoded()
            if try MembershipEntry(decoding: bytes) != entry { mistakes += 1 }
            draw.spoil(&bytes)
            if let read = try? MembershipEntry(decoding: bytes), read.encoded() != bytes { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }

    @Test func aCountThatTheBytesDoNotHoldIsRefused() {
        let message = RaftMessage(
            from: MemberID(1), to: MemberID(2), term: 3,
            body: .append(previousIndex: 0, previousTerm: 0, entries: [], commit: 0))
        var bytes = message.encoded()
        for place in bytes.count - 4..<bytes.count { bytes[place] = 255 }
        #expect(throws: ByteCodecError.self) { try RaftMessage(decoding: bytes) }
    }
}
