import Glibc
import MartletBase
import MartletIO
import MartletStore
import Testing

@testable import MartletReplica

/// What checkpoints cost: run by hand with MARTLET_PACE=1 in a release build; prints what it finds. MARTLET_PACE_DIR is
/// where the file lies.
@Suite(.serialized, .enabled(if: getenv("MARTLET_PACE") != nil, "measures; set MARTLET_PACE=1"))
struct ThePaceOfCheckpoints {
    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func residentBytes() -> Int {
        let text = (try? Files.read("/proc/self/statm")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4096
    }

    private func transaction(_ number: Int, _ bytes: Int) -> Command.Kind {
        let name = Array("/registry/pods/default/pod-\(1_000_000 + number)".utf8)
        return .transaction(Transaction(then: [.put(key: name, value: Array(repeating: 7, count: bytes))]))
    }

    @Test(arguments: [256, 1000])
    func ofAMillionPairs(bytes: Int) throws {
        let parent = getenv("MARTLET_PACE_DIR").map { String(cString: $0) } ?? "/tmp"
        let folder = try Files.makeTemporaryDirectory(in: parent)
        defer { try? Files.remove(folder) }
        let path = "\(folder)/checkpoint.sqlite"
        let pairs = 1_000_000
        var kept = try CheckpointedStore(path)
        var writing = 0.0
        for number in 0..<pairs {
            try kept.apply(transaction(number, bytes))
            if number % 10_000 == 9_999 {
                let start = seconds()
                try kept.checkpoint()
                writing += seconds() - start
            }
        }
        print(
            "\(bytes) bytes: new pairs: \(writing / Double(pairs) * 1e6) us a change, \(try kept.file.sizes())"
        )
        var random = SplitMix64(seed: 1)
        writing = 0
        var changes = 0
        for _ in 0..<50 {
            for _ in 0..<10_000 { try kept.apply(transaction(Int(random.next() % UInt64(pairs)), bytes)) }
            changes += 10_000
            let start = seconds()
            try kept.checkpoint()
            writing += seconds() - start
        }
        let sizes = try kept.file.sizes()
        print("\(bytes) bytes: changes of pairs: \(writing / Double(changes) * 1e6) us a change, \(sizes)")
        kept.file.close()
        var start = seconds()
        let before = residentBytes()
        let file = try CheckpointFile(path: path)
        let store = try file.loadStore(HistoryLimits())
        print("\(bytes) bytes: loading \(store.count): \(seconds() - start) s, \(residentBytes() - before) bytes more")
        start = seconds()
        try file.copy(to: "\(folder)/copy")
        print("\(bytes) bytes: copying: \(seconds() - start) s, \(try Files.size("\(folder)/copy")) bytes")
    }
}
