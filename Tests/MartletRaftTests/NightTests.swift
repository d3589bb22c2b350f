import MartletBase
import Testing

@testable import MartletRaft

@Suite struct AGroupInABadNight {
    static let steps = 1000

    @Test(arguments: UInt64(1)...40)
    func keepsItsPromises(seed: UInt64) {
        var night = Night(seed: seed)
        night.pass(Self.steps)
        #expect(night.fault == nil, "seed \(seed): \(night.fault ?? "")")
    }

    /// The nights are bad, but not so bad that nothing happens in them.
    @Test func isNotIdle() {
        var writes = 0
        var reads = 0
        var installs = 0
        for seed in UInt64(1)...20 {
            var night = Night(seed: seed)
            night.pass(Self.steps)
            writes += night.writesAnswered
            reads += night.readsAnswered
            installs += night.installs
        }
        #expect(writes > 50 && reads > 20 && installs > 0)
    }

    /// Each rule that is broken on purpose is noticed within so many nights, of the weather in which it shows.
    @Test(arguments: RaftMutation.allCases)
    func noticesEveryBrokenRule(mutation: RaftMutation) {
        let (first, weather) = Self.likely(mutation)
        let seeds = [first] + (0..<300).map { night in weather.map { night * 5 + $0 } ?? night }
        for seed in seeds {
            var night = Night(seed: seed, mutation: mutation)
            night.pass(Self.steps)
            if night.fault != nil { return }
        }
        Issue.record("nobody noticed \(mutation) in \(seeds.count) nights")
    }

    /// A night that showed it when this was written, and the weather in which it shows.
    private static func likely(_ mutation: RaftMutation) -> (first: UInt64, weather: UInt64?) {
        switch mutation {
        case .staleReads: (126, 1)
        case .countsOldTerms: (303, 3)
        case .forgetsVote: (283, 3)
        case .skipsJointMembership: (24, 4)
        default: (3, nil)
        }
    }
}
