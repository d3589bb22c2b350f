import Glibc
import MartletReplicaSimulation
import MartletSimulation
import Testing

@Suite struct ASimulatedCluster {
    @Test(arguments: UInt64(1)...5)
    func keepsAllPromises(seed: UInt64) {
        let report = ReplicaCluster.run(seed: seed, ClusterPlan(members: nil, duration: .seconds(10)))
        #expect(report.violations == [], "repeat it with: martlet-simulate --first \(seed) --seeds 1 --seconds 10")
        #expect(report.writes > 0)
    }

    /// Where the order of dictionaries is repeatable, as `make test` has it, all is.
    @Test(.enabled(if: getenv("SWIFT_DETERMINISTIC_HASHING") != nil, "set SWIFT_DETERMINISTIC_HASHING=1"))
    func isTheSameEachTime() {
        let plan = ClusterPlan(duration: .seconds(5))
        for seed in UInt64(1)...3 {
            let (first, second) = (ReplicaCluster.run(seed: seed, plan), ReplicaCluster.run(seed: seed, plan))
            #expect(first.fingerprint == second.fingerprint)
            #expect(first.jobs == second.jobs && first.answered == second.answered)
        }
    }
}
