import MartletBase

@testable import MartletRaft

/// A member's number is the code of its one-letter name.
func id(_ name: Character) -> MemberID { MemberID(UInt64(name.asciiValue ?? 0)) }
func letter(of id: MemberID) -> Character { Character(UnicodeScalar(UInt8(truncatingIfNeeded: id.number))) }

/// What a write puts on the disk, in order.
func records(_ write: RaftWrite) -> [RaftRecord] {
    (write.hardState.map { [.hardState($0)] } ?? []) + (write.restart.map { [.restart($0)] } ?? [])
        + write.entries.map { .entry($0) }
}

/// Members of one group as values, with their disks and the messages between them. Nothing happens here by itself: a
/// story or a draw of lots says what.
struct Group {
    /// What is applied through a position; stands for the state machine's checkpoint.
    struct Checkpoint {
        var position = SnapshotPosition()
        var applied: [RaftEntry] = []
        var hard = HardState()
    }

    struct Member {
        let name: Character
        var core: RaftCore
        /// Records that survive a crash.
        var disk: [RaftRecord] = []
        var checkpoint = Checkpoint()
        /// Where the log on the disk begins.
        var start = SnapshotPosition()
        /// Writes that were asked for and are not durable.
        var writes: [RaftWrite] = []
        var applied: [RaftEntry] = []
        var isUp = true
        var runs: UInt64 = 1
        var sequence: UInt64 = 0
        /// Reads that wait for an index to be applied.
        var readable: [(numbers: [UInt64], index: UInt64)] = []
        /// The last snapshot that was asked for.
        var wanted: (sources: [MemberID], index: UInt64)?
    }

    /// What happened, for those who check.
    enum Happening {
        case leads(Character, term: UInt64)
        case applied(Character, [RaftEntry])
        case read(Character, UInt64)
        case gaveUp(Character, [UInt64])
    }

    var members: [Member] = []
    let names: [Character]
    /// Messages under way, oldest first.
    var network: [RaftMessage] = []
    /// Links over which nothing goes, as "ab" from a to b.
    var cuts: Set<String> = []
    /// What happened since the story last looked.
    var trace: [String] = []
    var isTracing = true
    var happenings: [Happening] = []
    var configure: (inout RaftConfiguration) -> Void

    /// Members with these names, of whom the first `voters` (or all) form the group.
    init(
        _ names: String, voters: String? = nil, learners: String = "",
        configure: @escaping (inout RaftConfiguration) -> Void = { _ in }
    ) {
        self.names = Array(names)
        self.configure = configure
        let membership = Membership(voters: (voters ?? names).map(id), learners: learners.map(id))
        for name in names {
            let start = SnapshotPosition(membership: membership.contains(id(name)) ? membership : Membership())
            members.append(Member(name: name, core: RaftCore(configuration(name, run: 1), snapshot: start)))
            members[members.count - 1].start = start
            members[members.count - 1].checkpoint.position = start
        }
    }

    private func configuration(_ name: Character, run: UInt64) -> RaftConfiguration {
        let number = id(name).number
        var result = RaftConfiguration(member: id(name), session: number << 32 | run, seed: number &* 977 &+ run)
        configure(&result)
        return result
    }

    subscript(name: Character) -> Member {
        get { members[place(name)] }
        set { members[place(name)] = newValue }
    }

    func place(_ name: Character) -> Int {
        guard let place = names.firstIndex(of: name) else { preconditionFailure("there is no member \(name)") }
        return place
    }

    // MARK: What can happen

    mutating func step(_ name: Character, _ event: RaftEvent) {
        let place = place(name)
        guard members[place].isUp else { return }
        for effect in members[place].core.step(event) { carryOut(effect, of: place) }
        answerReads(place)
    }

    mutating func propose(_ name: Character, _ text: String) {
        let place = place(name)
        members[place].sequence += 1
        step(name, .propose([Proposal(sequence: members[place].sequence, payload: Array(text.utf8))]))
    }

    mutating func change(_ name: Character, _ change: MembershipChange) {
        let place = place(name)
        members[place].sequence += 1
        step(name, .change(change, sequence: members[place].sequence, context: []))
    }

    /// The member's disk finishes its writes, or the first `count` of them.
    mutating func sync(_ name: Character, _ count: Int = .max) {
        let place = place(name)
        for _ in 0..<count {
            guard let write = members[place].writes.first else { return }
            members[place].writes.removeFirst()
            members[place].disk += records(write)
            step(name, .persisted(ticket: write.ticket))
        }
    }

    /// Messages from one to the other arrive, or the first `count` of them.
    mutating func deliver(_ from: Character, _ to: Character, _ count: Int = .max) {
        for message in take(from, to, count) { step(to, .receive(message)) }
    }

    /// Takes messages off the network.
    @discardableResult
    mutating func take(_ from: Character, _ to: Character, _ count: Int = .max) -> [RaftMessage] {
        var taken: [RaftMessage] = []
        network.removeAll { message in
            guard taken.count < count, message.from == id(from), message.to == id(to) else { return false }
            taken.append(message)
            return true
        }
        return taken
    }

    /// A member dies; with `keeping` records of the writes under way on its disk.
    mutating func crash(_ name: Character, keeping: Int = 0) {
        let place = place(name)
        guard members[place].isUp else { return }
        members[place].disk += members[place].writes.flatMap(records).prefix(keeping)
        members[place].writes = []
        members[place].readable = []
        members[place].isUp = false
    }

    mutating func restart(_ name: Character) {
        let place = place(name)
        guard !members[place].isUp else { return }
        members[place].runs += 1
        members[place].sequence = 0
        members[place].core = recover(place)
        members[place].applied = members[place].checkpoint.applied
        members[place].wanted = nil
        members[place].isUp = true
    }

    /// A member as it comes back from what its disk holds: the checkpoint, and the log if the two belong together.
    private func recover(_ place: Int) -> RaftCore {
        let member = members[place]
        let checkpoint = member.checkpoint
        var hard = checkpoint.hard
        var start = member.start
        var entries: [RaftEntry] = []
        for record in member.disk {
            switch record {
            case .hardState(let state): hard = hard.merged(with: state)
            case .restart(let position):
                if position.index >= start.index { start = position }
                entries = []
            case .entry(let entry):
                while let last = entries.last, last.index >= entry.index { entries.removeLast() }
                entries.append(entry)
            }
        }
        entries.removeAll { $0.index <= start.index }
        let end = checkpoint.position
        let isOfOne = end.index == start.index || entries.contains { $0.index == end.index && $0.term == end.term }
        if !isOfOne {
            start = end
            entries = []
        }
        return RaftCore(
            configuration(member.name, run: member.runs), hardState: hard, snapshot: start, entries: entries,
            applied: end.index)
    }

    /// The member's applied state goes to its disk; the log forgets all but `margin` entries before it.
    mutating func checkpoint(_ name: Character, margin: UInt64 = 0) {
        let place = place(name)
        let core = members[place].core
        guard members[place].isUp, core.durable >= core.applied, let term = core.term(at: core.applied),
            let membership = core.membership(at: core.applied), core.applied > members[place].checkpoint.position.index
        else { return }
        let position = SnapshotPosition(index: core.applied, term: term, membership: membership)
        members[place].checkpoint = Checkpoint(
            position: position, applied: members[place].applied, hard: core.hardState)
        guard core.applied > margin + core.startIndex else { return }
        let keep = core.applied - margin
        guard let keptTerm = core.term(at: keep), let kept = core.membership(at: keep) else { return }
        members[place].start = SnapshotPosition(index: keep, term: keptTerm, membership: kept)
        members[place].core.compact(through: keep)
    }

    /// The member puts the checkpoint of `source` in the place of its own state, if that reaches far enough.
    mutating func install(_ name: Character, from source: Character) {
        let place = place(name)
        guard members[place].isUp, let wanted = members[place].wanted else { return }
        let checkpoint = self[source].checkpoint
        guard self[source].isUp, checkpoint.position.index >= wanted.index,
            checkpoint.position.index > members[place].core.applied
        else {
            members[place].wanted?.sources.removeAll { $0 == id(source) }
            return step(name, .snapshotFailed(id(source)))
        }
        members[place].checkpoint = Checkpoint(
            position: checkpoint.position, applied: checkpoint.applied, hard: members[place].core.hardState)
        members[place].applied = checkpoint.applied
        members[place].wanted = nil
        step(name, .snapshotInstalled(checkpoint.position))
    }

    /// Disks and network work until there is nothing left to do, for members that are up.
    mutating func settle(without idle: [Character] = []) {
        for _ in 0..<20_000 {
            for name in names where !idle.contains(name) { sync(name) }
            let next = network.firstIndex { message in
                !idle.contains(letter(of: message.to)) && !idle.contains(letter(of: message.from))
            }
            guard let next else { return }
            let message = network.remove(at: next)
            step(letter(of: message.to), .receive(message))
        }
    }

    /// The terms of a member's log.
    func log(_ name: Character) -> [UInt64] {
        let core = self[name].core
        return core.log.slice(from: core.startIndex + 1, through: core.lastIndex).map(\.term)
    }

    // MARK: How it is carried out

    private mutating func answerReads(_ place: Int) {
        guard let last = members[place].applied.last?.index else {
            for (numbers, index) in members[place].readable where index == 0 { answerReads(numbers, place) }
            members[place].readable.removeAll { $0.index == 0 }
            return
        }
        for (numbers, index) in members[place].readable where index <= last { answerReads(numbers, place) }
        members[place].readable.removeAll { $0.index <= last }
    }

    private mutating func answerReads(_ numbers: [UInt64], _ place: Int) {
        for number in numbers { happenings.append(.read(members[place].name, number)) }
    }

    private mutating func carryOut(_ effect: RaftEffect, of place: Int) {
        let name = members[place].name
        if isTracing, let line = text(effect, of: name) { trace.append(line) }
        switch effect {
        case .persist(let write): members[place].writes.append(write)
        case .send(let message):
            let to = letter(of: message.to)
            if !cuts.contains("\(name)\(to)"), names.contains(to) { network.append(message) }
        case .apply(let entries):
            members[place].applied += entries
            happenings.append(.applied(name, entries))
        case .changed(let role, let term, _): if role == .leader { happenings.append(.leads(name, term: term)) }
        case .readable(let numbers, let index): members[place].readable.append((numbers, index))
        case .fetchSnapshot(let sources, let index): members[place].wanted = (sources, index)
        case .unreadable(let numbers): happenings.append(.gaveUp(name, numbers))
        case .refused, .lost, .membership: break
        }
    }
}
