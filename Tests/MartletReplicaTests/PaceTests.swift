import Glibc
import Logging
import MartletBase
import MartletStore
import Testing

@testable import MartletReplica

/// How fast and how big: run by hand with MARTLET_PACE=1; prints what it finds.
@Suite(.serialized, .enabled(if: getenv("MARTLET_PACE") != nil, "measures; set MARTLET_PACE=1")) struct ThePace {
    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func residentBytes() -> Int {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }

    @Test(arguments: [1, 256])
    func ofProposals(proposers: Int) async throws {
        try await withFolder { path in
            let world = TestWorld()
            try await world.run {
                let onDisk = getenv("MARTLET_PACE_DISK") != nil
                let replica = try await Replica.open(
                    ReplicaConfiguration(directory: onDisk ? path : ""), in: world, logger: quiet)
                let each = (onDisk ? 2_000 : 20_000) / proposers * (proposers > 1 && onDisk ? 10 : 1)
                let start = seconds()
                await withTaskGroup(of: Void.self) { group in
                    for proposer in 0..<proposers {
                        group.addTask {
                            for number in 0..<each { _ = try? await replica.propose(put("k\(proposer)/\(number)")) }
                        }
                    }
                }
                let rate = Double(each * proposers) / (seconds() - start)
                print("\(proposers) proposers, \(onDisk ? "disk" : "memory"): \(Int(rate)) proposals/s")
                await replica.close()
            }
        }
    }

    @Test func ofOneKey() throws {
        var keys = OrderedKeysProbe()
        let before = residentBytes()
        for number in 0..<200_000 { keys.put(number) }
        print("\((residentBytes() - before) / 200_000) bytes a key of 40 bytes with a value of 200, history of 0")
    }
}

/// A store without history that takes numbered keys.
struct OrderedKeysProbe {
    private var store = Store(historyLimit: 0)
    mutating func put(_ number: Int) {
        let name = Array("/registry/pods/default/pod-\(1_000_000 + number)-abcdef".utf8)
        let transaction = Transaction(then: [.put(key: name, value: Array(repeating: 7, count: 200))])
        _ = try? store.apply(index: store.appliedIndex + 1, payload: transaction.encoded())
    }
}
