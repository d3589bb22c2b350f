/// Checks a store's answers against the history that its members agreed on. The order of revisions is the order in
/// which everything must seem to have happened, so this needs no search:
///
/// - an answered write is in the history, at the revision it was told, once, and alone;
/// - a refused write is nowhere, one of unknown outcome at most once, and nothing else is in the history;
/// - what was read is what the history says at the revision that was read, and comparisons were judged rightly;
/// - a write or a linearizable read that began after another call had ended sees no older revision than that one.
public struct RevisionChecker: Sendable {
    private let history: StoreHistory
    private let calls: [StoreCall]
    private var found: [Violation] = []
    /// At which revisions each value was written.
    private var written: [String: [Int64]] = [:]

    /// What is wrong with these calls, if this is the history; nothing when all is well.
    public static func violations(of calls: [StoreCall], in history: StoreHistory) -> [Violation] {
        var checker = RevisionChecker(history: history, calls: calls)
        checker.check()
        return checker.found
    }

    private init(history: StoreHistory, calls: [StoreCall]) {
        self.history = history
        self.calls = calls
    }

    private mutating func check() {
        for (place, changes) in history.changes.enumerated() {
            for value in changes.compactMap(\.value) {
                written[value, default: []].append(history.beginning + Int64(place) + 1)
            }
        }
        var known: Set<String> = []
        for call in calls {
            known.formUnion((call.success + call.failure).compactMap(\.value))
            if call.kind == .write { checkWrite(call) } else { checkRead(call) }
        }
        for (value, revisions) in written.sorted(by: { $0.value[0] < $1.value[0] }) where !known.contains(value) {
            found.append(Violation("nothing is invented", "\(value) of revision \(revisions[0]) was written by nobody"))
        }
        checkRealTime()
    }

    // MARK: Writes

    /// The values that only this call writes, with the revisions at which they are in the history.
    private func places(of changes: [KeyChange]) -> [Int64] {
        Array(Set(changes.compactMap(\.value).flatMap { written[$0] ?? [] })).sorted()
    }

    private mutating func checkWrite(_ call: StoreCall) {
        let places = places(of: call.success + call.failure)
        if places.count > 1 {
            found.append(Violation("a write happens once", "\(name(call)) is at revisions \(places)"))
        }
        switch call.outcome {
        case .refused:
            if let place = places.first {
                found.append(
                    Violation("what is refused does not happen", "\(name(call)) was refused, but is at \(place)"))
            }
        case .unknown: return
        case .answered: checkAnswered(call, places)
        }
    }

    private mutating func checkAnswered(_ call: StoreCall, _ places: [Int64]) {
        guard call.revision <= history.revision else {
            found.append(
                Violation(
                    "no acknowledged write is lost",
                    "\(name(call)) was told revision \(call.revision), but the history ends at \(history.revision)"))
            return
        }
        let branch = call.hasSucceeded ? call.success : call.failure
        let changes = history.changes(at: call.revision) ?? []
        let isHere =
            branch.contains { $0.value != nil } ? places.contains(call.revision) : isDone(branch, call.revision)
        if isHere {
            if !branch.isEmpty, !isExplained(changes, by: branch, before: call.revision) {
                found.append(
                    Violation(
                        "a revision holds one write",
                        "\(name(call)) is not what revision \(call.revision) holds: \(text(changes))"))
            }
        } else if branch.contains(where: { $0.value != nil }) {
            found.append(
                Violation(
                    "no acknowledged write is lost",
                    "\(name(call)) was told revision \(call.revision), which holds \(text(changes))"))
        }
        // A write that changed nothing was judged in the state of its revision, another in the one before.
        let judged = isHere && !branch.isEmpty && !changes.isEmpty ? call.revision - 1 : call.revision
        checkConditions(call, at: [judged, call.revision])
    }

    /// Whether a revision can be that of removals alone.
    private func isDone(_ removals: [KeyChange], _ revision: Int64) -> Bool {
        guard !removals.isEmpty, let changes = history.changes(at: revision) else { return false }
        return !changes.isEmpty && changes.allSatisfy { change in removals.contains(change) }
    }

    /// Whether the changes are what the write does: all its puts, and the removals of keys that were there.
    private func isExplained(_ changes: [KeyChange], by branch: [KeyChange], before revision: Int64) -> Bool {
        let expected = branch.filter { $0.value != nil || history.value(of: $0.key, at: revision - 1) != nil }
        return changes == expected
    }

    private mutating func checkConditions(_ call: StoreCall, at revisions: [Int64]) {
        guard !call.conditions.isEmpty else { return }
        let isRight = revisions.contains { revision in
            call.conditions.allSatisfy { history.value(of: $0.key, at: revision) == $0.value } == call.hasSucceeded
        }
        if !isRight {
            found.append(
                Violation(
                    "comparisons are judged rightly",
                    "\(name(call)) at revision \(call.revision) compared \(text(call.conditions)) and was told "
                        + "\(call.hasSucceeded)"))
        }
    }

    // MARK: Reads

    private mutating func checkRead(_ call: StoreCall) {
        guard call.outcome == .answered else { return }
        guard call.revision <= history.revision else {
            found.append(
                Violation(
                    "reads see what is agreed on",
                    "\(name(call)) read revision \(call.revision), but the history ends at \(history.revision)"))
            return
        }
        for read in call.reads {
            let expected = history.value(of: read.key, at: call.revision)
            if expected != read.value {
                found.append(
                    Violation(
                        "reads see what is agreed on",
                        "\(name(call)) read \(text([read])) at revision \(call.revision), where it is "
                            + "\(expected ?? "absent")"))
            }
        }
    }

    // MARK: Real time

    /// Goes through beginnings and ends in the order of time, with the newest revision that anybody knows of.
    private mutating func checkRealTime() {
        var events: [(time: UInt64, isEnd: Bool, place: Int)] = []
        for (place, call) in calls.enumerated() where call.outcome != .refused {
            events.append((call.start, false, place))
            if call.outcome == .answered { events.append((call.end, true, place)) }
        }
        events.sort { ($0.time, $0.isEnd ? 1 : 0) < ($1.time, $1.isEnd ? 1 : 0) }
        var newest = history.beginning
        var newestCall: StoreCall?
        for event in events {
            let call = calls[event.place]
            if event.isEnd {
                if call.kind != .serializableRead, call.revision > newest {
                    newest = call.revision
                    newestCall = call
                }
                floors[call.number].map { checkFloor(call, $0) }
            } else {
                let floor = Floor(revision: newest, by: newestCall)
                if call.outcome == .answered {
                    floors[call.number] = floor
                } else if let place = places(of: call.success + call.failure).first, place <= newest {
                    found.append(stale(call, place, floor))
                }
            }
        }
    }

    private struct Floor: Sendable {
        var revision: Int64
        var by: StoreCall?
    }
    private var floors: [Int: Floor] = [:]

    private mutating func checkFloor(_ call: StoreCall, _ floor: Floor) {
        guard call.kind != .serializableRead else { return }
        let isChange = call.kind == .write && !places(of: call.success + call.failure).isEmpty
        if call.revision < floor.revision || (isChange && call.revision == floor.revision) {
            found.append(stale(call, call.revision, floor))
        }
    }

    private func stale(_ call: StoreCall, _ revision: Int64, _ floor: Floor) -> Violation {
        let promise = call.kind == .write ? "writes follow real time" : "no linearizable read is stale"
        let by = floor.by.map { "\(name($0)) had seen \(floor.revision) before" } ?? "it began at \(floor.revision)"
        return Violation(promise, "\(name(call)) saw revision \(revision), but \(by)")
    }

    // MARK: Words

    private func name(_ call: StoreCall) -> String {
        let what =
            switch call.kind {
            case .write: "write"
            case .linearizableRead: "read"
            case .serializableRead: "serializable read"
            }
        return "\(what) \(call.number) of client \(call.client) (\(call.start / 1_000_000)-\(call.end / 1_000_000) ms)"
    }

    private func text(_ changes: [KeyChange]) -> String {
        changes.isEmpty ? "nothing" : changes.map { "\($0.key)=\($0.value ?? "absent")" }.joined(separator: ", ")
    }
}
