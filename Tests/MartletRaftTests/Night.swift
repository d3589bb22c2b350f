import MartletBase

@testable import MartletRaft

/// A group in a bad night: members crash and lose what was not synced, messages are lost, doubled, overtaken and cut
/// off, disks lag, memberships change, logs are cut and snapshots take their place. What must hold is checked all
/// along: the five properties of the paper's figure 3, that each proposal is applied at most once, and that reads and
/// writes are linearizable. All of it follows from the seed.
struct Night {
    var group: Group
    var random: SplitMix64
    /// What went wrong first.
    private(set) var fault: String?
    /// All that was ever applied anywhere, in order.
    private(set) var history: [RaftEntry] = []
    /// The lowest term in which somebody is known to have applied each of them.
    private var committedIn: [UInt64] = []
    private var appliedIDs: Set<ProposalID> = []
    private var leaders: [UInt64: Character] = [:]
    private var proposals = 0
    private var asked: UInt64 = 0
    /// The index that all operations have seen which begin now: of those that have ended, the highest.
    private var floor: UInt64 = 0
    /// What an operation under way must see.
    private var reads: [UInt64: UInt64] = [:]
    private var writes: [ProposalID: UInt64] = [:]
    private(set) var readsAnswered = 0
    private(set) var writesAnswered = 0
    private(set) var changes = 0
    private(set) var installs = 0

    init(seed: UInt64, mutation: RaftMutation? = nil) {
        random = SplitMix64(seed: seed)
        let usesLease = seed % 10 == 1
        weather = Int(seed % UInt64(Self.weathers.count))
        let isStorm = weather == 3
        let isSmall = seed / 5 % 2 == 0
        // Two are no members yet, but where only leaders change.
        let names = isStorm ? (isSmall ? "abc" : "abcde") : (isSmall ? "abcde" : "abcdefg")
        group = Group(names, voters: isStorm ? names : String(names.prefix(names.count - 2))) { configuration in
            configuration.mutation = mutation
            configuration.leaseReads = usesLease
            configuration.electionTicks = isStorm ? 3 : 5
            configuration.heartbeatTicks = 1
            configuration.messageBytes = isStorm ? 40 : 200
            configuration.stallTicks = 60
            configuration.uncommittedBytes = 4_000
        }
        group.isTracing = false
        allTick = usesLease
    }

    private let weather: Int
    private var asleep: Set<Character> = []
    /// Lease reads assume that clocks run alike.
    private let allTick: Bool

    private mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func someone() -> Character { group.names[draw(group.names.count)] }

    private mutating func fail(_ what: String) { fault = fault ?? what }

    /// Lets so many things happen, then the morning comes.
    mutating func pass(_ steps: Int) {
        for step in 0..<steps where fault == nil {
            happen()
            check()
            if step % 40 == 0 { checkLogMatching() }
        }
        guard fault == nil else { return }
        end()
    }

    /// What can happen, and how often in which weather.
    private enum Event: Int, CaseIterable {
        case tick, propose, read, sync, crash, restart, powerCut, transfer, change, checkpoint, install, split, cut,
            heal, breakConnection, sleep, wake, deliver, meet
    }

    private static let weathers: [[Int]] = [
        // Something of all.
        [70, 40, 20, 80, 4, 10, 0, 3, 4, 8, 10, 2, 3, 4, 3, 0, 0, 140, 0],
        // Members are cut off, or stand still, for long.
        [90, 30, 30, 80, 1, 8, 0, 1, 1, 3, 10, 2, 0, 3, 2, 5, 2, 160, 8],
        // Power fails.
        [90, 40, 10, 60, 6, 60, 1, 1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 140, 0],
        // Leaders come and go.
        [20, 20, 10, 30, 14, 20, 0, 2, 0, 0, 0, 0, 0, 5, 4, 0, 0, 40, 30],
        // Members come and go.
        [80, 30, 10, 80, 1, 10, 0, 3, 10, 6, 10, 5, 0, 4, 4, 0, 0, 150, 0],
    ]

    private mutating func drawEvent() -> Event {
        let weights = Self.weathers[weather]
        var lot = draw(weights.reduce(0, +))
        for event in Event.allCases {
            lot -= weights[event.rawValue]
            if lot < 0 { return event }
        }
        return .tick
    }

    private mutating func happen() {
        let name = someone()
        if asleep.contains(name) { return }
        switch drawEvent() {
        case .tick: tick(name)
        case .propose: propose(name)
        case .read: read(name)
        case .sync: group.sync(name, draw(4))
        case .crash:
            let victim = draw(2) == 0 ? leader ?? name : name
            group.crash(victim, keeping: draw(3))
            if draw(2) == 0 { group.restart(victim) }
        case .restart: group.restart(name)
        case .powerCut: for name in group.names { group.crash(name, keeping: draw(3)) }
        case .transfer: group.step(name, .transfer(to: id(someone())))
        case .change: changeMembership(name)
        case .checkpoint: group.checkpoint(name, margin: UInt64(draw(4)))
        case .install: install(name)
        case .split: split(away: draw(2) == 0 ? leader ?? name : name)
        case .cut: group.cuts.insert("\(name)\(someone())")
        case .heal: group.cuts = []
        case .breakConnection: group.step(name, .unreachable(id(someone())))
        case .sleep: if let leader, !allTick { asleep.insert(leader) }
        case .wake: wake()
        case .deliver: deliver()
        case .meet: meet(name)
        }
        if group.network.count > 80 { group.network.removeFirst(30) }
    }

    private mutating func read(_ name: Character) {
        guard group[name].isUp else { return }
        asked += 1
        reads[asked] = floor
        group.step(name, .read(asked))
    }

    /// Nothing goes any more between `name`, with or without some others, and the rest.
    private mutating func split(away name: Character) {
        let isAlone = draw(2) == 0
        let far = group.names.filter { $0 != name && (isAlone || draw(2) == 0) }
        for near in group.names where !far.contains(near) {
            for other in far { group.cuts.formUnion(["\(near)\(other)", "\(other)\(near)"]) }
        }
    }

    /// Some lose patience and elect one of them, without the others; perhaps two of them stand. It ends at any point.
    private mutating func meet(_ name: Character) {
        // This moves some clocks and not others.
        guard !allTick else { return }
        let party = group.names.filter { ($0 == name || draw(3) > 0) && !asleep.contains($0) }
        for member in party {
            group.restart(member)
            for _ in 0..<draw(9) { group.tick(member) }
        }
        group.stand(name)
        if draw(2) == 0 { group.stand(party[draw(party.count)]) }
        for _ in 0..<draw(60) {
            let member = party[draw(party.count)]
            if draw(2) == 0 { group.sync(member, 1) }
            if draw(25) == 0 {
                group.crash(member, keeping: draw(2))
                group.restart(member)
            }
            if draw(20) == 0 { propose(member) }
            let ways = group.network.indices.filter { place in
                let message = group.network[place]
                return party.contains(letter(of: message.to)) && party.contains(letter(of: message.from))
            }
            if let place = ways.dropFirst(draw(3)).first ?? ways.first {
                let message = group.network.remove(at: place)
                group.step(letter(of: message.to), .receive(message))
            }
            check()
        }
    }

    /// Who stood still goes on where it was, and is asked at once.
    private mutating func wake() {
        guard let name = group.names.first(where: { asleep.contains($0) }) else { return }
        asleep.remove(name)
        read(name)
    }

    /// Somebody who leads, or believes so.
    private var leader: Character? { group.members.first { $0.isUp && $0.core.role == .leader }?.name }

    private mutating func tick(_ name: Character) {
        if allTick {
            guard name == group.names[0] else { return }
            for name in group.names { group.tick(name) }
        } else if weather == 3, draw(2) == 0 {
            // Together, so that some stand at the same time.
            for name in group.names { group.tick(name) }
        } else {
            group.tick(name)
        }
    }

    private mutating func propose(_ name: Character) {
        guard group[name].isUp else { return }
        proposals += 1
        let sequence = group[name].sequence + 1
        writes[ProposalID(session: group[name].core.session, sequence: sequence)] = floor
        group.propose(name, "\(proposals)")
    }

    private mutating func changeMembership(_ name: Character) {
        let other = id(someone())
        changes += 1
        switch draw(5) {
        case 0: group.change(name, .addLearner(other, autoPromote: true))
        case 1: group.change(name, .addVoter(other))
        case 2: group.change(name, .promote(other))
        case 3: group.change(name, .remove(other))
        default:
            let count = 1 + draw(group.names.count - 1)
            var names = group.names
            for _ in 0..<names.count - count { names.remove(at: draw(names.count)) }
            group.change(name, .replace(voters: names.map(id), learners: []))
        }
    }

    private mutating func install(_ name: Character) {
        guard let source = group[name].wanted?.sources.first else { return }
        let before = group[name].core.applied
        group.install(name, from: letter(of: source))
        if group[name].core.applied > before { installs += 1 }
    }

    private mutating func deliver() {
        guard !group.network.isEmpty else { return }
        // Mostly in order, sometimes not; sometimes lost, sometimes twice.
        let chosen = draw(3) > 0 ? 0 : draw(group.network.count)
        let message = group.network[chosen]
        if asleep.contains(letter(of: message.to)) { return }
        let fate = draw(30)
        if fate > 0 { group.network.remove(at: chosen) }
        if fate != 1 { group.step(letter(of: message.to), .receive(message)) }
    }

    // MARK: Checks

    private mutating func check() {
        let happened = group.happenings
        group.happenings = []
        for happening in happened {
            switch happening {
            case .leads(let name, let term): lead(name, term)
            case .applied(let name, let entries): apply(name, entries)
            case .read(let name, let number):
                let seen = group[name].applied.last?.index ?? 0
                if let needed = reads.removeValue(forKey: number), seen < needed {
                    fail("\(name) read \(seen), but \(needed) had been seen before the read was asked")
                }
                floor = max(floor, seen)
                readsAnswered += 1
            case .gaveUp: break
            }
        }
    }

    /// Election safety; leader completeness.
    private mutating func lead(_ name: Character, _ term: UInt64) {
        if let other = leaders[term], other != name { fail("\(other) and \(name) both lead in \(term)") }
        leaders[term] = name
        let core = group[name].core
        for (place, entry) in history.enumerated()
        where committedIn[place] < term && entry.index > core.startIndex && core.term(at: entry.index) != entry.term {
            return fail("\(name) leads in \(term) without entry \(entry.index), which was committed before")
        }
    }

    /// State machine safety; each proposal once; writes in the order of time.
    private mutating func apply(_ name: Character, _ entries: [RaftEntry]) {
        let term = group[name].core.term
        for entry in entries {
            let place = Int(entry.index) - 1
            if place < history.count {
                if history[place] != entry { fail("\(name) applied another entry at \(entry.index)") }
                committedIn[place] = min(committedIn[place], term)
            } else {
                guard place == history.count else { return fail("\(name) skipped entries before \(entry.index)") }
                history.append(entry)
                committedIn.append(term)
                if entry.id != .none, !appliedIDs.insert(entry.id).inserted {
                    fail("the proposal of entry \(entry.index) was applied before")
                }
            }
            if entry.id.session == group[name].core.session, let needed = writes.removeValue(forKey: entry.id) {
                if entry.index <= needed { fail("write \(entry.index) began after \(needed) was seen") }
                floor = max(floor, entry.index)
                writesAnswered += 1
            }
        }
    }

    /// Log matching: logs that agree about the term of an index agree about all before it.
    private mutating func checkLogMatching() {
        for (place, one) in group.members.enumerated() {
            for other in group.members[..<place] {
                let start = max(one.core.startIndex, other.core.startIndex)
                let end = min(one.core.lastIndex, other.core.lastIndex)
                guard end > start else { continue }
                let (a, b) = (
                    one.core.log.slice(from: start + 1, through: end),
                    other.core.log.slice(from: start + 1, through: end)
                )
                guard let agree = a.indices.last(where: { a[$0].term == b[$0].term }) else { continue }
                if a[...agree] != b[...agree] { fail("the logs of \(one.name) and \(other.name) do not match") }
            }
        }
    }

    private var states: String {
        group.members.map { member in
            let core = member.core
            return "\(member.name): \(core.role) in \(core.term), log \(core.startIndex)...\(core.lastIndex) of "
                + "\(core.log.lastTerm), commit \(core.commit), \(core.membership.encoded())"
        }.joined(separator: "\n")
    }

    /// All is well again: everybody must come to the same end, and nothing may be left undone.
    private mutating func end() {
        group.cuts = []
        asleep = []
        for name in group.names { group.restart(name) }
        let known = group.members.map(\.core).filter { !$0.membership.voters.isEmpty }
        guard !known.isEmpty else { return fail("nobody knows who is a member") }
        for _ in 0..<150 where fault == nil {
            for name in group.names { group.tick(name) }
            group.settle()
            for name in group.names { install(name) }
            check()
        }
        checkLogMatching()
        guard let leader = group.members.first(where: { $0.core.role == .leader })?.core else {
            return fail("nobody leads in the end: \(states)")
        }
        if leader.membership.isJoint { fail("the membership is still joint") }
        for member in group.members where leader.membership.contains(id(member.name)) {
            if member.applied != history {
                fail("\(member.name) has applied \(member.applied.count) of \(history.count) at the end")
            }
            if member.core.outbox.items.contains(where: { !$0.isSettled }) {
                fail("\(member.name) still proposes \(member.core.outbox): \(states)")
            }
        }
    }
}
