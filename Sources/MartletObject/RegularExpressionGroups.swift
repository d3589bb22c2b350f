extension RegularExpression {
    /// How many steps a match with groups may take: they cost more each.
    public static let maximumGroupSteps = 5_000_000

    /// The first match in the text: itself, then each group, as Perl and Go find them; nil for a group that took no
    /// part. Groups are known only when the expression keeps them. Nil without a match, and when it cannot be found in
    /// so many steps.
    public func firstMatch(in text: String, steps most: Int = maximumGroupSteps) -> [Substring?]? {
        var machine = GroupMachine(program: program, slots: 2 * (groups + 1))
        guard let slots = machine.run(text, most) else { return nil }
        let utf8 = text.utf8
        return (0...groups).map { group in
            let (start, end) = (slots[2 * group], slots[2 * group + 1])
            guard start >= 0, end >= start else { return nil }
            return text[utf8.index(utf8.startIndex, offsetBy: start)..<utf8.index(utf8.startIndex, offsetBy: end)]
        }
    }
}

/// Steps the threads of a program through a text, each with the places it has noted. Earlier threads go before later
/// ones, which makes the first match the one that a backtracking matcher finds.
private struct GroupMachine {
    private struct Thread {
        var place: Int
        var slots: [Int]
    }
    private let program: [Instruction]
    private let slots: Int
    private var seen: ThreadSet
    private var steps = 0

    init(program: [Instruction], slots: Int) {
        self.program = program
        self.slots = slots
        seen = ThreadSet(count: program.count)
    }

    mutating func run(_ text: String, _ most: Int) -> [Int]? {
        var current: [Thread] = []
        var found: [Int]?
        var before: Unicode.Scalar?
        var offset = 0
        var iterator = text.unicodeScalars.makeIterator()
        var scalar = iterator.next()
        var here: [Thread] = []
        while steps < most {
            // Threads that took the last scalar come first; a new start comes last, and only until there is a match.
            here.removeAll(keepingCapacity: true)
            seen.removeAll()
            for thread in current { follow(thread, offset, before, scalar, into: &here) }
            if found == nil {
                var start = Thread(place: 0, slots: [Int](repeating: -1, count: slots))
                start.slots[0] = offset
                follow(start, offset, before, scalar, into: &here)
            }
            current.removeAll(keepingCapacity: true)
            for thread in here {
                if case .match = program[thread.place] {
                    found = thread.slots
                    found?[1] = offset
                    // What comes later has been beaten.
                    break
                }
                guard let scalar, case .consume(let set) = program[thread.place], set.contains(scalar) else { continue }
                current.append(Thread(place: thread.place + 1, slots: thread.slots))
            }
            guard let taken = scalar, !current.isEmpty || found == nil else { return found }
            offset += UTF8.width(taken)
            before = taken
            scalar = iterator.next()
        }
        return nil
    }

    /// Adds the threads that a thread becomes without taking a scalar, in the order in which they are tried.
    private mutating func follow(
        _ thread: Thread, _ offset: Int, _ before: Unicode.Scalar?, _ after: Unicode.Scalar?, into list: inout [Thread]
    ) {
        var stack = [thread]
        while var thread = stack.popLast() {
            steps += 1
            guard seen.insert(thread.place) else { continue }
            switch program[thread.place] {
            case .match, .consume: list.append(thread)
            case .jump(let target):
                thread.place = target
                stack.append(thread)
            case .save(let slot):
                thread.place += 1
                thread.slots[slot] = offset
                stack.append(thread)
            case .split(let one, let other):
                stack.append(Thread(place: other, slots: thread.slots))
                stack.append(Thread(place: one, slots: thread.slots))
            case .assert(let anchor):
                guard anchor.holds(before: before, after: after) else { continue }
                thread.place += 1
                stack.append(thread)
            }
        }
    }
}
