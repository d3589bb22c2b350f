import Testing

@testable import MartletStore

@Suite struct RangeIndexTests {
    final class Name: Sendable {
        let range: KeyRange
        init(_ range: KeyRange) { self.range = range }
    }

    @Test func itFindsWhatALookAtEachRangeFinds() {
        var random = SystemRandomNumberGenerator()
        var index = RangeIndex<Name>()
        var all: [KeyRange] = []
        func key() -> [UInt8] { (0..<Int.random(in: 1...4, using: &random)).map { _ in .random(in: 0...3) } }
        for round in 0..<2000 {
            let range: KeyRange =
                switch round % 4 {
                case 0: KeyRange(key: key())
                case 1: KeyRange(prefix: key())
                case 2: KeyRange(from: key(), to: [])
                default: KeyRange(from: key(), to: key())
                }
            if index[range] == nil {
                index.insert(Name(range), for: range)
                all.append(range)
            }
            // Few are removed at first, then nearly all.
            for _ in 0..<(round < 1500 ? round % 2 : 3) {
                guard let gone = all.randomElement() else { break }
                index.remove(gone)
                all.removeAll { $0 == gone }
            }
            let wanted = key()
            var found: [KeyRange] = []
            index.forEach(containing: wanted) { found.append($0.range) }
            let expected = Set(all.filter { $0.contains(wanted) })
            #expect(found.count == expected.count && Set(found) == expected && index.isEmpty == all.isEmpty)
        }
    }
}
