import MartletBase
import Testing

@testable import MartletStore

/// What a store should do, in the plainest words: a dictionary, and a list of all that ever happened.
struct NaiveStore {
    var pairs: [[UInt8]: KeyValue] = [:]
    var revision: Int64 = 1
    /// The whole state after each revision.
    var states: [Int64: [[UInt8]: KeyValue]] = [1: [:]]
    var events: [StoreEvent] = []

    mutating func apply(_ transaction: Transaction) -> TransactionResult {
        let holds = transaction.conditions.allSatisfy { condition in
            switch condition {
            case .modRevision(let key, let expected): pairs[key]?.modRevision ?? 0 == expected
            case .createRevision(let key, let expected): pairs[key]?.createRevision ?? 0 == expected
            }
        }
        let next = revision + 1
        let before = events.count
        var results: [KeyValue?] = []
        for operation in holds ? transaction.success : transaction.failure {
            switch operation {
            case .put(let key, let value):
                let old = pairs[key]
                let new = KeyValue(
                    key: key, value: value, createRevision: old?.createRevision ?? next, modRevision: next,
                    version: (old?.version ?? 0) + 1)
                pairs[key] = new
                events.append(StoreEvent(pair: new, previous: old, isDeletion: false))
                results.append(old)
            case .delete(let key): results.append(delete(key, next))
            case .deleteRange(let from, let to):
                for key in sorted(pairs, from, to).map(\.key) { _ = delete(key, next) }
                results.append(nil)
            case .get(let key): results.append(pairs[key])
            }
        }
        if events.count > before { revision = next }
        states[revision] = pairs
        return TransactionResult(succeeded: holds, revision: revision, results: results)
    }

    private mutating func delete(_ key: [UInt8], _ revision: Int64) -> KeyValue? {
        guard let old = pairs.removeValue(forKey: key) else { return nil }
        let tombstone = KeyValue(key: key, value: [], createRevision: 0, modRevision: revision, version: 0)
        events.append(StoreEvent(pair: tombstone, previous: old, isDeletion: true))
        return old
    }

    func sorted(_ pairs: [[UInt8]: KeyValue], _ from: [UInt8], _ to: [UInt8]) -> [KeyValue] {
        pairs.values.filter { !$0.key.lexicographicallyPrecedes(from) && $0.key.lexicographicallyPrecedes(to) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
}

/// Draws keys, transactions and ranges.
struct Draw {
    var random: SplitMix64
    var keySpace: UInt64 = 40

    mutating func number(_ limit: UInt64) -> UInt64 { random.next() % limit }
    mutating func key() -> [UInt8] {
        let number = number(keySpace)
        return Array("k/\(number % 7)/\(number)".utf8)
    }
    mutating func operation() -> Operation {
        switch number(10) {
        case 0..<5: .put(key: key(), value: Array("v\(number(1000))".utf8))
        case 5..<7: .delete(key: key())
        case 7: .deleteRange(from: Array("k/\(number(7))".utf8), to: Array("k/\(number(7))/2".utf8))
        default: .get(key: key())
        }
    }
    mutating func transaction(_ model: NaiveStore) -> Transaction {
        var conditions: [Condition] = []
        if number(2) == 0 {
            let key = key()
            let right = number(3) > 0
            let found = model.pairs[key]
            conditions.append(
                number(2) == 0
                    ? .modRevision(key: key, is: right ? found?.modRevision ?? 0 : 99_999)
                    : .createRevision(key: key, is: right ? found?.createRevision ?? 0 : 99_999))
        }
        let success = (0..<number(4)).map { _ in operation() }
        let failure = (0..<number(3)).map { _ in operation() }
        return Transaction(when: conditions, then: success, otherwise: failure)
    }
}

@Suite struct AStore {
    @Test(arguments: UInt64(1)...10)
    func doesWhatADictionaryWithAMemoryWouldDo(seed: UInt64) throws {
        var draw = Draw(random: SplitMix64(seed: seed))
        var model = NaiveStore()
        var store = Store(historyLimit: 10_000)
        var told: [StoreEvent] = []
        for index in 1...UInt64(200) {
            let transaction = draw.transaction(model)
            let expected = model.apply(transaction)
            let (result, events) = try store.apply(index: index, payload: transaction.encoded())
            #expect(result == expected)
            #expect(events.allSatisfy { $0.pair.modRevision == result.revision })
            told += events
        }
        #expect(told == model.events)
        #expect(store.count == model.pairs.count)
        let all = KeyRange(from: [], to: [0xFF])
        let part = KeyRange(from: draw.key(), to: draw.key())
        for revision in stride(from: 1, through: model.revision, by: 5) {
            for range in [all, part] {
                let then = model.sorted(model.states[revision] ?? [:], range.from, range.to)
                let limited = try store.range(range, limit: 3, at: revision)
                #expect(try store.range(range, at: revision).pairs == then)
                #expect(limited.pairs == Array(then.prefix(3)) && limited.more == (then.count > 3))
            }
            let rest = try store.events(in: part, after: revision, scanLimit: .max, eventLimit: .max)
            let expected = model.events.filter { $0.pair.modRevision > revision && part.contains($0.pair.key) }
            #expect(rest.events == expected && rest.through == model.revision)
        }
    }

    @Test func keepsAHundredThousandKeysInOrderWhateverTheOrderTheyCameIn() throws {
        var keys = OrderedKeys()
        var random = SplitMix64(seed: 3)
        var numbers = Array(0..<UInt64(100_000))
        numbers.shuffle(using: &random)
        func pair(_ number: UInt64) -> KeyValue {
            var writer = ByteWriter()
            writer.u64(number.bigEndian)
            return KeyValue(key: writer.bytes, value: [], createRevision: 1, modRevision: 1, version: 1)
        }
        // One #expect for all of them: a hundred thousand would take half a minute.
        var mistakes = 0
        for number in numbers where keys.set(pair(number)) != nil { mistakes += 1 }
        for number in numbers where number % 2 == 1 && keys.remove(pair(number).key) == nil { mistakes += 1 }
        var expected: UInt64 = 0
        keys.forEach(in: KeyRange(from: [], to: [0xFF])) { found in
            if found.key != pair(expected).key { mistakes += 1 }
            expected += 2
            return true
        }
        #expect(mistakes == 0)
        #expect(expected == 100_000)
        #expect(keys.count == 50_000)
    }

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

    @Test func reachesTheSameDigestByTheSameEntriesAndAnotherByOthers() throws {
        func digest(_ values: [UInt8]) throws -> StateHash {
            var store = Store(historyLimit: 5)
            for (offset, value) in values.enumerated() {
                let put = Transaction(then: [.put(key: [1], value: [value])])
                _ = try store.apply(index: UInt64(offset) + 1, payload: put.encoded())
            }
            return store.stateHash
        }
        #expect(try digest([1, 2, 3]) == digest([1, 2, 3]))
        #expect(try digest([1, 2, 3]) != digest([1, 3, 2]))
        #expect(try digest([1, 2, 3]) != digest([1, 2, 3, 3]))
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

@Suite struct TheTransactionCodec {
    @Test func readsWhatItWroteAndNeverTrapsOnWhatItDidNot() throws {
        var draw = Draw(random: SplitMix64(seed: 11))
        var model = NaiveStore()
        var accepted = 0
        var mistakes = 0
        for _ in 0..<10_000 {
            let transaction = draw.transaction(model)
            _ = model.revision < 50 ? model.apply(transaction) : nil
            var bytes = transaction.encoded()
            if try Transaction(decoding: bytes) != transaction { mistakes += 1 }
            switch draw.number(3) {
            case 0: bytes.removeLast(Int(draw.number(UInt64(bytes.count))) + 1)
            case 1: bytes.insert(UInt8(draw.number(256)), at: Int(draw.number(UInt64(bytes.count))))
            default: bytes[Int(draw.number(UInt64(bytes.count)))] = UInt8(draw.number(256))
            }
            // Whatever is still accepted must be what its bytes say, and nothing else.
            if let read = try? Transaction(decoding: bytes) {
                if read.encoded() != bytes { mistakes += 1 }
                accepted += 1
            }
        }
        #expect(mistakes == 0)
        #expect(accepted > 0 && accepted < 9_000)
    }
}
