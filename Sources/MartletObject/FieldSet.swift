/// A set of paths through an object: what one manager owns, what a change touched. A tree whose branches are in
/// order, so that equal sets are equal values and every operation is one walk.
public struct FieldSet: Hashable, Sendable {
    /// Whether the place this (sub)set hangs at is itself in the set.
    public internal(set) var isMember = false
    /// What lies below, in order, none of it empty.
    private(set) var branches: [Branch] = []

    /// What a set holds below one step.
    struct Branch: Hashable, Sendable {
        var step: PathElement
        var set: FieldSet
    }

    /// The empty set.
    public init() {}

    /// The set of these paths.
    public init(_ paths: [[PathElement]]) {
        for path in paths { insert(path) }
    }

    /// The set of one place alone: a leaf of a bigger set.
    static let member: FieldSet = {
        var set = FieldSet()
        set.isMember = true
        return set
    }()

    /// A set of branches that are not in order yet. Of two with the same step, both count.
    init(isMember: Bool = false, unsorted branches: [Branch]) {
        self.isMember = isMember
        self.branches = branches
        self.branches.removeAll { $0.set.isEmpty }
        sortBranches()
    }

    private mutating func sortBranches() {
        var isSorted = true
        for index in branches.indices.dropFirst() where !(branches[index - 1].step < branches[index].step) {
            isSorted = false
            break
        }
        if isSorted { return }
        branches.sort { $0.step < $1.step }
        var merged: [Branch] = []
        merged.reserveCapacity(branches.count)
        for branch in branches {
            if let last = merged.last, last.step == branch.step {
                merged[merged.count - 1].set = last.set.union(branch.set)
            } else {
                merged.append(branch)
            }
        }
        branches = merged
    }

    /// Whether nothing is in it.
    public var isEmpty: Bool { !isMember && branches.isEmpty }

    /// What lies below `step`; empty when nothing does.
    public subscript(_ step: PathElement) -> FieldSet {
        place(of: step).map { branches[$0].set } ?? FieldSet()
    }

    private func place(of step: PathElement) -> Int? {
        let place = lowerBound(step)
        return place < branches.count && branches[place].step == step ? place : nil
    }

    private func lowerBound(_ step: PathElement) -> Int {
        var (low, high) = (0, branches.count)
        while low < high {
            let middle = (low + high) / 2
            if branches[middle].step < step { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Adds a path.
    public mutating func insert(_ path: some Collection<PathElement>) {
        guard let first = path.first else {
            isMember = true
            return
        }
        let place = lowerBound(first)
        if place == branches.count || branches[place].step != first {
            branches.insert(Branch(step: first, set: FieldSet()), at: place)
        }
        branches[place].set.insert(path.dropFirst())
    }

    /// Whether the path itself is in the set.
    public func contains(_ path: some Collection<PathElement>) -> Bool {
        guard let first = path.first else { return isMember }
        return self[first].contains(path.dropFirst())
    }

    /// Every path of the set, in order; a place before what lies below it.
    public var paths: [[PathElement]] {
        var all: [[PathElement]] = []
        collect(into: &all, below: [])
        return all
    }

    private func collect(into all: inout [[PathElement]], below path: [PathElement]) {
        if isMember { all.append(path) }
        for branch in branches { branch.set.collect(into: &all, below: path + [branch.step]) }
    }
}

// MARK: Algebra

extension FieldSet {
    /// What is in either.
    public func union(_ other: FieldSet) -> FieldSet {
        combined(with: other, isMember: isMember || other.isMember, mine: { $0 }, theirs: { $0 }) { $0.union($1) }
    }

    /// What is in both.
    public func intersection(_ other: FieldSet) -> FieldSet {
        combined(with: other, isMember: isMember && other.isMember, mine: { _ in nil }, theirs: { _ in nil }) {
            $0.intersection($1)
        }
    }

    /// What is in this and not in `other`. A place that goes leaves what lies below it.
    public func subtracting(_ other: FieldSet) -> FieldSet {
        if other.isEmpty { return self }
        return combined(with: other, isMember: isMember && !other.isMember, mine: { $0 }, theirs: { _ in nil }) {
            $0.subtracting($1)
        }
    }

    /// As ``subtracting(_:)``, and with a place goes all that lies below it.
    public func subtractingTrees(_ other: FieldSet) -> FieldSet {
        if other.isMember { return FieldSet() }
        return combined(with: other, isMember: isMember, mine: { $0 }, theirs: { _ in nil }) {
            $0.subtractingTrees($1)
        }
    }

    /// Only what lies at or below the places of `other`.
    public func within(_ other: FieldSet) -> FieldSet { other.isMember ? self : below(other) }

    private func below(_ other: FieldSet) -> FieldSet {
        combined(with: other, isMember: false, mine: { _ in nil }, theirs: { _ in nil }) { $0.within($1) }
    }

    /// Walks the branches of two sets side by side.
    private func combined(
        with other: FieldSet, isMember: Bool, mine: (FieldSet) -> FieldSet?, theirs: (FieldSet) -> FieldSet?,
        both: (FieldSet, FieldSet) -> FieldSet
    ) -> FieldSet {
        var result = FieldSet()
        result.isMember = isMember
        result.branches.reserveCapacity(max(branches.count, other.branches.count))
        func add(_ step: PathElement, _ set: FieldSet?) {
            if let set, !set.isEmpty { result.branches.append(Branch(step: step, set: set)) }
        }
        var (left, right) = (branches[...], other.branches[...])
        while let a = left.first, let b = right.first {
            if a.step == b.step {
                add(a.step, both(a.set, b.set))
                left.removeFirst()
                right.removeFirst()
            } else if a.step < b.step {
                add(a.step, mine(a.set))
                left.removeFirst()
            } else {
                add(b.step, theirs(b.set))
                right.removeFirst()
            }
        }
        for branch in left { add(branch.step, mine(branch.set)) }
        for branch in right { add(branch.step, theirs(branch.set)) }
        return result
    }
}
