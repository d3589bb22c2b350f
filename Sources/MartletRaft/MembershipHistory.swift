/// The memberships that the log went through, back to its start. The last one is in force, committed or not
/// (paper, section 6), so it goes back when its entry is replaced.
struct MembershipHistory: Sendable {
    private var steps: [(index: UInt64, membership: Membership)]

    init(_ membership: Membership, at index: UInt64) { steps = [(index, membership)] }

    var latest: Membership { steps[steps.count - 1].membership }
    var latestIndex: UInt64 { steps[steps.count - 1].index }

    /// What was in force at `index`; nil before the log's start.
    func membership(at index: UInt64) -> Membership? { steps.last { $0.index <= index }?.membership }

    mutating func add(_ membership: Membership, at index: UInt64) { steps.append((index, membership)) }

    /// Goes back to what was in force before `index`. Returns whether that changed anything.
    mutating func truncate(from index: UInt64) -> Bool {
        let count = steps.count
        while steps.count > 1, steps[steps.count - 1].index >= index { steps.removeLast() }
        return steps.count < count
    }

    /// Forgets all but the one in force at `index` and those after it.
    mutating func drop(through index: UInt64) {
        while steps.count > 1, steps[1].index <= index { steps.removeFirst() }
    }
}
