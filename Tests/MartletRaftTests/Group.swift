import MartletBase

@testable import MartletRaft

/// A member's number is the code of its one-letter name.
private func id(_ name: Character) -> MemberID { MemberID(UInt64(name.asciiValue ?? 0)) }
private func letter(of id: MemberID) -> Character { Character(UnicodeScalar(UInt8(id.number))) }

/// What a write puts on the disk, in order.
private func records(_ write: RaftWrite) -> [RaftRecord] {
    (write.hardState.map { [.hardState($0)] } ?? []) + write.entries.map { .entry($0) }
}

/// Members of one group as values, with their disks and the messages between them. Nothing happens here by itself: a
/// story says what, and reads the trace.
struct Group {
    struct Member {
        var core: RaftCore
        /// Records that survive a crash.
        var disk: [RaftRecord] = []
        /// Writes that were asked for and are not durable.
        var writes: [RaftWrite] = []
        var applied: [RaftEntry] = []
        var isUp = true
    }

    var members: [Character: Member] = [:]
    /// Messages under way, oldest first.
    var network: [RaftMessage] = []
    /// What happened since the story last looked.
    var trace: [String] = []
    /// Who led in which term, ever.
    var leaders: [UInt64: Set<Character>] = [:]
    let names: [Character]
    let messageBytes: Int

    init(_ names: String, messageBytes: Int = 1 << 20) {
        self.names = Array(names)
        self.messageBytes = messageBytes
        for name in names { members[name] = Member(core: core(name, [])) }
    }

    /// A member as it comes back from what its disk holds.
    private func core(_ name: Character, _ disk: [RaftRecord]) -> RaftCore {
        var configuration = RaftConfiguration(
            member: id(name), voters: names.map(id), seed: UInt64(name.asciiValue ?? 0))
        configuration.messageBytes = messageBytes
        var hard = HardState()
        var entries: [RaftEntry] = []
        for record in disk {
            switch record {
            case .hardState(let state): hard = hard.merged(with: state)
            case .entry(let entry):
                entries.removeAll { $0.index >= entry.index }
                entries.append(entry)
            }
        }
        return RaftCore(configuration, hardState: hard, entries: entries)
    }

    /// Starts a member over a log of entries with these terms.
    mutating func begin(_ name: Character, term: UInt64, entriesOfTerms terms: [UInt64]) {
        var disk = terms.enumerated().map { offset, term in
            RaftRecord.entry(RaftEntry(index: UInt64(offset) + 1, term: term, payload: Array("\(term)".utf8)))
        }
        disk.append(.hardState(HardState(term: term)))
        members[name] = Member(core: core(name, disk), disk: disk)
    }

    // MARK: What can happen

    mutating func tick(_ name: Character) { step(name, .tick) }

    /// Lets a member's patience run out.
    mutating func stand(_ name: Character) {
        let term = members[name]?.core.term ?? 0
        for _ in 0..<40 where members[name]?.core.term == term { tick(name) }
    }

    mutating func propose(_ name: Character, _ text: String) { step(name, .propose([Array(text.utf8)])) }

    /// The member's disk finishes its writes, or the first `count` of them.
    mutating func sync(_ name: Character, _ count: Int = .max) {
        for _ in 0..<count {
            guard let write = members[name]?.writes.first else { return }
            members[name]?.writes.removeFirst()
            members[name]?.disk += records(write)
            step(name, .persisted(ticket: write.ticket))
        }
    }

    /// Messages from one to the other arrive, or the first `count` of them.
    mutating func deliver(_ from: Character, _ to: Character, _ count: Int = .max) {
        for message in take(from, to, count) { step(to, .receive(message)) }
    }

    /// Messages under way are lost: those to or from `name`, or all.
    mutating func lose(_ name: Character? = nil) {
        network.removeAll { message in name.map { [message.from, message.to].contains(id($0)) } ?? true }
    }

    /// A member dies; with `keeping` records of the writes under way on its disk.
    mutating func crash(_ name: Character, keeping: Int = 0) {
        guard var member = members[name], member.isUp else { return }
        member.disk += member.writes.flatMap(records).prefix(keeping)
        member.writes = []
        member.isUp = false
        members[name] = member
    }

    mutating func restart(_ name: Character) {
        guard var member = members[name], !member.isUp else { return }
        member.core = core(name, member.disk)
        member.applied = []
        member.isUp = true
        members[name] = member
    }

    /// Disks and network work until there is nothing left to do, for members that are up.
    mutating func settle() {
        for _ in 0..<10_000 {
            for name in names { sync(name) }
            guard !network.isEmpty else { return }
            let message = network.removeFirst()
            step(letter(of: message.to), .receive(message))
        }
    }

    /// What happened since the last look.
    mutating func look() -> [String] {
        defer { trace = [] }
        return trace
    }

    func log(_ name: Character) -> [UInt64] {
        guard let core = members[name]?.core else { return [] }
        return core.log.slice(from: 1, through: core.lastIndex).map(\.term)
    }

    // MARK: How it is carried out

    private mutating func take(_ from: Character, _ to: Character, _ count: Int) -> [RaftMessage] {
        var taken: [RaftMessage] = []
        network.removeAll { message in
            guard taken.count < count, message.from == id(from), message.to == id(to) else { return false }
            taken.append(message)
            return true
        }
        return taken
    }

    mutating func step(_ name: Character, _ event: RaftEvent) {
        guard members[name]?.isUp == true, let effects = members[name]?.core.step(event) else { return }
        for effect in effects {
            switch effect {
            case .persist(let write): members[name]?.writes.append(write)
            case .send(let message):
                network.append(message)
                trace.append("\(name)>\(letter(of: message.to)) \(text(message.body))")
            case .apply(let entries):
                members[name]?.applied += entries
                trace.append("\(name) applies " + entries.map(text).joined(separator: " "))
            case .changed(let role, let term, _):
                if role == .leader { leaders[term, default: []].insert(name) }
                trace.append("\(name) \(role) \(term)")
            case .refused: trace.append("\(name) refuses")
            case .accepted, .needsSnapshot: continue
            }
        }
    }

    private func text(_ entry: RaftEntry) -> String {
        "\(entry.index):" + (entry.payload.isEmpty ? "-" : String(decoding: entry.payload, as: UTF8.self))
    }

    private func text(_ body: RaftMessage.Body) -> String {
        switch body {
        case .requestVote(let index, let term): "vote? \(index)/\(term)"
        case .vote(let granted): granted ? "yes" : "no"
        case .append(let index, let term, let entries, let commit):
            (["after \(index)/\(term)"] + entries.map(text) + ["commit \(commit)"]).joined(separator: " ")
        case .appended(let match): "has \(match)"
        case .conflict(let previous, let hint): "not \(previous), try \(hint)"
        }
    }
}
