import MartletRaft
import MartletReplicaSimulation
import MartletSimulation
import MartletStore
import Testing

/// A mistake, and where it shows soonest.
struct Planted: Sendable, CustomTestStringConvertible {
    var mutation: ClusterMutation
    var faults: [Fault]
    /// It must show within so many seeds,
    var seeds: UInt64
    /// from this one on: one in forty shows a rare one.
    var first: UInt64 = 1

    var testDescription: String { "\(mutation)" }
}

private let planted: [Planted] = [
    Planted(mutation: .disk(.skipsFsync), faults: [.crash, .crashAll], seeds: 10),
    Planted(mutation: .disk(.losesTail), faults: [.crash, .crashAll], seeds: 10),
    Planted(mutation: .disk(.swallowsErrors), faults: [.crash, .diskError], seeds: 60),
    Planted(mutation: .store(.appliesTwice), faults: [.crash], seeds: 10),
    Planted(mutation: .store(.losesEventAtCompaction), faults: [.crash], seeds: 10),
    Planted(mutation: .store(.forgetsDetaching), faults: [.crash], seeds: 10),
    Planted(mutation: .store(.ignoresConditions), faults: [.crash], seeds: 10),
    Planted(mutation: .raft(.readsBeforeOwnTerm), faults: [.crash, .partition, .transfer], seeds: 20),
    Planted(mutation: .raft(.reproposesTwice), faults: [.crash, .partition, .weather], seeds: 20),
    Planted(mutation: .raft(.staleReads), faults: [.partition, .pause], seeds: 40, first: 80),
    Planted(mutation: .raft(.takesTwice), faults: [.crash, .weather], seeds: 20),
    Planted(mutation: .raft(.acknowledgesBeforeFsync), faults: [.crashAll, .diskStall], seeds: 60),
    Planted(mutation: .replica(.answersEarly), faults: [.crash], seeds: 10),
    Planted(mutation: .replica(.skipsConfirmation), faults: [.partition, .pause], seeds: 10),
    Planted(mutation: .replica(.resumesLate), faults: [.crash], seeds: 10),
]

@Suite struct APlantedMistake {
    /// Runs seeds until one breaks a promise.
    @Test(arguments: planted)
    func isFound(_ planted: Planted) {
        var plan = ClusterPlan(duration: .seconds(10), mutation: planted.mutation)
        plan.faults = planted.faults
        let seeds = planted.first..<planted.first + planted.seeds
        let finder = seeds.first { !ReplicaCluster.run(seed: $0, plan).violations.isEmpty }
        #expect(finder != nil, "\(planted.mutation) was not found with \(planted.seeds) seeds")
    }
}
