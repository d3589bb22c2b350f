import MartletBase
import Testing

@testable import MartletStore

@Suite struct TheHistory {
    @Test func forgetsWhatIsOlderThanItsHistoryAndSaysWhereThatBegins() throws {
        var store = Store(historyLimit: 5)
        for index in 1...UInt64(20) {
            let put = Transaction(then: [.put(key: [UInt8(index)], value: [])])
            _ = try store.apply(index: index, payload: put.encoded())
        }
        let all = KeyRange(from: [], to: [0xFF])
        #expect(store.revision == 21 && store.oldestRevision == 16)
        #expect(try store.range(all, at: 16).pairs.count == 15)
        #expect(throws: StoreError.compacted(oldest: 16)) { try store.range(all, at: 15) }
        #expect(throws: StoreError.future(current: 21)) { try store.range(all, at: 22) }
        #expect(throws: StoreError.compacted(oldest: 16)) {
            try store.events(in: all, after: 15, scanLimit: 9, eventLimit: 9)
        }
        store.compact(through: 20)
        #expect(throws: StoreError.compacted(oldest: 20)) { try store.range(all, at: 19) }
        #expect(try store.range(all).pairs.count == 20)
        store.compact(through: 1_000)
        #expect(store.oldestRevision == 21)
    }

    @Test func isNotHarmedByCompactionsToNowhere() throws {
        for limit in [5, 100] {
            var store = Store(historyLimit: limit)
            for index in 1...UInt64(20) {
                _ = try store.apply(
                    index: index, payload: Transaction(then: [.put(key: [UInt8(index)], value: [])]).encoded())
            }
            let before = (store.revision, store.oldestRevision, store.stateHash)
            for (place, target) in [-1, -5, Int64.min, Int64.max, 22].enumerated() {
                if target < 0 { store.compact(through: target) }
                let refusal: CommandRefusal = target < 0 ? .compacted : .futureRevision
                let applied = try store.apply(
                    index: 21 + UInt64(place), payload: Command(.compact(target)).encoded())
                #expect(throws: refusal) { try applied.result.get() }
                #expect(before == (store.revision, store.oldestRevision, store.stateHash))
            }
        }
    }

    @Test func forgetsItsOldestHistoryWhenThatHasTooManyBytes() throws {
        let size = 1000
        // A change of one key holds its key and value, those before it, and what each event counts.
        let change = Store.eventOverhead + 2 * (1 + size)
        var store = Store(historyLimit: 10_000, historyByteLimit: 4 * change + change / 2)
        for index in 1...UInt64(50) {
            let put = Transaction(then: [.put(key: [1], value: [UInt8](repeating: UInt8(index), count: size))])
            _ = try store.apply(index: index, payload: put.encoded())
            #expect(store.historyBytes <= store.historyByteLimit)
        }
        let all = KeyRange(from: [], to: [0xFF])
        #expect(store.revision == 51 && store.oldestRevision == 47)
        #expect(store.historyBytes == 4 * change)
        #expect(try store.range(all, at: 47).pairs.map(\.value[0]) == [46])
        #expect(throws: StoreError.compacted(oldest: 47)) {
            try store.events(in: all, after: 46, scanLimit: 9, eventLimit: 9)
        }
        store.compact(through: 51)
        #expect(store.historyBytes == 0)
        // One change that is larger than the whole budget leaves no history, and does not harm the state.
        let large = Transaction(then: [.put(key: [2], value: [UInt8](repeating: 0, count: 20 * size))])
        _ = try store.apply(index: 51, payload: large.encoded())
        #expect(store.oldestRevision == 52 && store.historyBytes == 0)
        #expect(store.get([2])?.value.count == 20 * size)
    }

    @Test func leavesEverythingAsItWasWhenAnEntryCannotBeRead() throws {
        var store = Store(historyLimit: 5)
        let put = Transaction(then: [.put(key: [1], value: [2])]).encoded()
        _ = try store.apply(index: 1, payload: put)
        let before = (store.stateHash, store.revision, store.appliedIndex)
        #expect(throws: ByteCodecError.self) { try store.apply(index: 2, payload: Array(put.dropLast())) }
        #expect(throws: ByteCodecError.self) { try store.apply(index: 2, payload: [9] + put.dropFirst()) }
        #expect(before == (store.stateHash, store.revision, store.appliedIndex))
    }
}

@Suite struct ALoadedStore {
    /// Whoever makes a file can also make its checksums.
    @Test func refusesNumbersAfterWhichNoneCanCome() throws {
        var image = Store(historyLimit: 10).image
        image.revision = .max
        for oldest in [1, Int64.max - 1, .max] {
            image.oldestRevision = oldest
            #expect(throws: ByteCodecError.self) { _ = try StoreImage(decoding: image.encoded()) }
            for (revision, version) in [(Int64.max, Int64.max), (.max, .min), (.max, 1), (1, .max), (.min, 1)] {
                #expect(throws: StoreImageError.self) {
                    var loader = Store.Loader(image, historyLimit: .max)
                    let pair = KeyValue(
                        key: [1], value: [], createRevision: 1, modRevision: revision, version: version, lease: 0)
                    try loader.add(StoredVersion(pair))
                    try loader.add(StoredVersion(pair))
                    _ = try loader.finish()
                }
            }
        }
    }
}
