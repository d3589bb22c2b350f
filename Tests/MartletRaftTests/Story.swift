import MartletBase
import Testing

@testable import MartletRaft

/// Plays a story: lines that say what happens, and after each, indented, what the group does about it.
///
/// ```
/// a stands              ticks pass until it asks for votes        a ticks 3
/// a proposes x          a reads 1                                 a transfers to b
/// a adds learner d      ... adds voter d, adds d (a learner that becomes a voter), promotes d, removes d, becomes bc
/// a syncs [n]           its disk finishes its writes, or n of them
/// a>b [n]               messages from a to b arrive, or n of them
/// lose a>b [n]          they are lost;  lose a, lose all
/// repeat a>b            the first of them arrives and stays on the way
/// cut a-b, cut a>b      nothing goes between them any more;  heal
/// a loses b             a notices a broken connection
/// a crashes [n]         n records of its writes under way survive;  a restarts
/// a checkpoints         a installs from b
/// settle [without c]    disks and network work until there is nothing to do
/// all tick n            each ticks and all settles, n times
/// a is at               what a is, and the terms of its log
/// ```
/// After `quietly` a line's effects are not told.
func play(_ group: Group, _ script: String, file: String = #fileID, line: Int = #line) -> Group {
    var group = group
    var told: [String] = []
    var expected: [String] = []
    for line in script.split(separator: "\n", omittingEmptySubsequences: true).map(String.init) {
        if line.hasPrefix("    ") {
            expected.append(line)
            continue
        }
        expected.append(line)
        told.append(line)
        var words = line.split(separator: " ").map(String.init)
        if words.first?.hasPrefix("#") == true { continue }
        let isQuiet = words.first == "quietly"
        if isQuiet { words.removeFirst() }
        group.trace = []
        if !group.carryOut(words) { Issue.record("what does this mean? \(line)") }
        if !isQuiet { told += group.trace.map { "    " + $0 } }
    }
    if told != expected {
        Issue.record("the story goes otherwise:\n<<<\(file):\(line)\n\(told.joined(separator: "\n"))\n>>>")
    }
    return group
}

extension Group {
    /// A group in which the first member leads in term 1 and all have its first entry.
    static func led(
        _ names: String, voters: String? = nil, learners: String = "",
        configure: @escaping (inout RaftConfiguration) -> Void = { _ in }
    ) -> Group {
        var group = Group(names, voters: voters, learners: learners, configure: configure)
        group.stand(group.names[0])
        group.settle()
        group.trace = []
        return group
    }

    mutating func tick(_ name: Character) { step(name, .tick) }

    /// Lets a member's patience run out.
    mutating func stand(_ name: Character) {
        for _ in 0..<40 {
            let before = self[name].core
            tick(name)
            let after = self[name].core
            if after.term != before.term || after.role != before.role && after.role != .follower { return }
            if after.role == .preCandidate, after.waited == 0 { return }
        }
    }

    /// Carries out one line; false when it means nothing.
    fileprivate mutating func carryOut(_ words: [String]) -> Bool {
        guard let first = words.first, let name = first.first else { return false }
        let second = words.count > 1 ? words[1] : ""
        let third = words.count > 2 ? words[2] : ""
        if first.contains(">") {
            deliver(name, first.last ?? name, Int(second) ?? .max)
            return true
        }
        switch first {
        case "settle": settle(without: second == "without" ? Array(third) : [])
        case "lose": lose(second, Int(third) ?? .max)
        case "repeat": repeatFirst(second)
        case "cut":
            guard let other = second.last, let name = second.first else { return false }
            cuts.insert("\(name)\(other)")
            if second.contains("-") { cuts.insert("\(other)\(name)") }
        case "heal": cuts = []
        case "all":
            for _ in 0..<(Int(third) ?? 1) {
                for name in names { tick(name) }
                settle()
            }
        default: return carryOut(name, second, third, words)
        }
        return true
    }

    private mutating func carryOut(_ name: Character, _ verb: String, _ object: String, _ words: [String]) -> Bool {
        let last = words.last?.first ?? name
        switch verb {
        case "ticks": for _ in 0..<(Int(object) ?? 1) { tick(name) }
        case "stands": stand(name)
        case "proposes": for text in words[2...] { propose(name, text) }
        case "reads": step(name, .read(UInt64(object) ?? 0))
        case "transfers": step(name, .transfer(to: id(last)))
        case "adds" where object == "learner": change(name, .addLearner(id(last), autoPromote: false))
        case "adds" where object == "voter": change(name, .addVoter(id(last)))
        case "adds": change(name, .addLearner(id(last), autoPromote: true))
        case "promotes": change(name, .promote(id(last)))
        case "removes": change(name, .remove(id(last)))
        case "becomes": change(name, .replace(voters: object.map(id), learners: []))
        case "syncs": sync(name, Int(object) ?? .max)
        case "loses": step(name, .unreachable(id(last)))
        case "crashes": crash(name, keeping: Int(object) ?? 0)
        case "restarts": restart(name)
        case "checkpoints": checkpoint(name)
        case "installs": install(name, from: last)
        case "forgets": step(name, .forget([UInt64(object) ?? 0]))
        case "is":
            let core = self[name].core
            let log = log(name).map(String.init).joined(separator: " ")
            trace.append("\(core.role) in \(core.term), after \(core.startIndex): \(log), commit \(core.commit)")
        default: return false
        }
        return true
    }

    mutating func lose(_ what: String, _ count: Int = .max) {
        if what == "all" {
            network = []
        } else if what.contains(">"), let from = what.first, let to = what.last {
            take(from, to, count)
        } else if let name = what.first {
            network.removeAll { [$0.from, $0.to].contains(id(name)) }
        }
    }

    private mutating func repeatFirst(_ link: String) {
        guard let from = link.first, let to = link.last,
            let message = network.first(where: { $0.from == id(from) && $0.to == id(to) })
        else { return }
        step(to, .receive(message))
    }
}
