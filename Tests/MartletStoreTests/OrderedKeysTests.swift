import MartletBase
import Testing

@testable import MartletStore

@Suite struct OrderedKeysOfManyChunks {
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

    /// Keys of few different bytes, 0 and 255 among them: many begin alike, some with another whole key.
    private func key(_ random: inout SplitMix64) -> [UInt8] {
        let letters: [UInt8] = [0, 1, 0x61, 0xFF]
        let prefix: [UInt8] = random.next() % 2 == 0 ? [] : Array("/registry/pods/".utf8)
        return prefix + (0..<random.next() % 12).map { _ in letters[Int(random.next() % 4)] }
    }

    @Test(arguments: UInt64(1)...4) func doWhatASortedListWouldDo(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var keys = OrderedKeys()
        var model: [[UInt8]: Int64] = [:]
        var mistakes = 0
        for step in Int64(1)...6_000 {
            let key = key(&random)
            // Grows, shrinks, grows.
            let grows = (step / 2_000) % 2 == 0
            if random.next() % 10 < (grows ? 8 : 1) {
                let pair = KeyValue(key: key, value: [], createRevision: 1, modRevision: step, version: 1)
                if keys.set(pair)?.modRevision != model.updateValue(step, forKey: key) { mistakes += 1 }
            } else {
                let doomed = grows ? key : model.keys.first ?? key
                if keys.remove(doomed)?.modRevision != model.removeValue(forKey: doomed) { mistakes += 1 }
            }
            if keys[key]?.modRevision != model[key] || keys.count != model.count { mistakes += 1 }
            guard step % 500 == 0 else { continue }
            let sorted = model.keys.sorted { $0.lexicographicallyPrecedes($1) }
            for _ in 0..<20 {
                let range = KeyRange(from: self.key(&random), to: random.next() % 4 == 0 ? [] : self.key(&random))
                let expected = sorted.filter { NaiveStore.isInside($0, range) }
                var found: [[UInt8]] = []
                keys.forEach(in: range) { pair in
                    found.append(pair.key)
                    return true
                }
                if found != expected || keys.count(in: range) != expected.count { mistakes += 1 }
            }
        }
        #expect(mistakes == 0)
    }
}
