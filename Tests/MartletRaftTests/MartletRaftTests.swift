import MartletBase
import Testing

@testable import MartletRaft

@Suite struct TheRecordCodec {
    @Test func readsWhatItWroteAndNeverTrapsOnWhatItDidNot() throws {
        var random = SplitMix64(seed: 5)
        var mistakes = 0
        for _ in 0..<10_000 {
            let record: RaftRecord =
                random.next() % 2 == 0
                ? .entry(
                    RaftEntry(
                        index: random.next() >> 1 | 1, term: random.next(),
                        payload: (0..<random.next() % 9).map { _ in UInt8(truncatingIfNeeded: random.next()) }))
                : .hardState(
                    HardState(term: random.next(), vote: MemberID(random.next() | 1), commit: random.next()))
            var bytes = record.encoded()
            if try RaftRecord(decoding: bytes) != record { mistakes += 1 }
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 3 {
            case 0: bytes.removeLast(place + 1)
            case 1: bytes.insert(UInt8(random.next() % 256), at: place)
            default: bytes[place] = UInt8(random.next() % 256)
            }
            if let read = try? RaftRecord(decoding: bytes), read.encoded() != bytes { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }
}
