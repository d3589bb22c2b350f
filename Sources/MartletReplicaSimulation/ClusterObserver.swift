internal import MartletBase
internal import MartletRaft
internal import MartletReplica
internal import MartletSimulation
internal import MartletStore
internal import Synchronization

/// Hears what all members apply.
final class ClusterObserver: Sendable {
    private struct State {
        var agreement = AgreementChecker()
        /// When each revision was first applied.
        var times: [Int64: UInt64] = [:]
        var snapshots = 0
    }
    private let state = Mutex(State())
    private let world: SimWorld

    init(_ world: SimWorld) { self.world = world }

    var result: (agreement: AgreementChecker, times: [Int64: UInt64], snapshots: Int) {
        state.withLock { ($0.agreement, $0.times, $0.snapshots) }
    }

    func begin(_ member: String, after index: UInt64, isSnapshot: Bool) {
        world.note("\(member) \(isSnapshot ? "installed a snapshot" : "begins") at entry \(index)")
        state.withLock { state in
            state.agreement.begin(member, after: index)
            if isSnapshot { state.snapshots += 1 }
        }
    }

    func apply(_ entry: RaftEntry, _ applied: Applied, stateHash: UInt64, by member: String) {
        let changes = applied.events.map { event in
            KeyChange(key: text(event.pair.key), value: event.isDeletion ? nil : text(event.pair.value))
        }
        let now = world.now().nanoseconds
        if entry.index > state.withLock({ $0.agreement.lastIndex }), let what = Self.describe(entry) {
            world.note("entry \(entry.index) of session \(entry.id.session): \(what), at revision \(applied.revision)")
        }
        state.withLock { state in
            if !changes.isEmpty, state.times[applied.revision] == nil { state.times[applied.revision] = now }
            state.agreement.apply(
                AgreementChecker.Applied(
                    entry: Self.digest(entry), revision: applied.revision, stateHash: stateHash, changes: changes),
                at: entry.index, by: member)
        }
    }

    /// What an entry does that clients' own lines do not tell.
    private static func describe(_ entry: RaftEntry) -> String? {
        if entry.kind == .membership {
            return (try? MembershipEntry(decoding: entry.payload)).map { "members \($0.membership)" }
        }
        guard !entry.payload.isEmpty, let command = try? Command(decoding: entry.payload) else { return nil }
        if case .transaction = command.kind { return nil }
        return "\(command.kind)"
    }

    /// FNV-1a over what an entry says.
    private static func digest(_ entry: RaftEntry) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ number: UInt64) { hash = (hash ^ number) &* 0x100_0000_01B3 }
        mix(entry.term)
        mix(UInt64(entry.kind.rawValue))
        mix(entry.id.session)
        mix(entry.id.sequence)
        for byte in entry.payload { mix(UInt64(byte)) }
        return hash
    }
}

/// Hears what one member applies, as long as it lives.
final class MemberObserver: ReplicaObserver {
    private let name: String
    private let life: Life
    private let cluster: ClusterObserver

    init(_ name: String, _ life: Life, _ cluster: ClusterObserver) {
        self.name = name
        self.life = life
        self.cluster = cluster
    }

    func began(after index: UInt64, isSnapshot: Bool) {
        if !life.isOver { cluster.begin(name, after: index, isSnapshot: isSnapshot) }
    }

    func applied(_ entry: RaftEntry, _ applied: Applied, stateHash: UInt64) {
        if !life.isOver { cluster.apply(entry, applied, stateHash: stateHash, by: name) }
    }
}

/// Searches, key by key, for an order that explains what clients saw, without a look at revisions.
enum KeyChecker {
    /// How many steps the search for one key may take.
    private static let limit = 100_000

    static func violations(of calls: [StoreCall], keys: [String]) -> [Violation] {
        keys.compactMap { key in
            let concurrent = concurrentCalls(calls, on: key)
            guard LinearizabilityChecker(concurrent).check(limit: limit) == .violated else { return nil }
            return Violation("each key is linearizable", "no order explains what was seen of \(key)")
        }
    }

    private static func concurrentCalls(_ calls: [StoreCall], on key: String) -> [ConcurrentCall<RegisterModel>] {
        var numbers: [String: UInt64] = [:]
        func number(_ value: String?) -> UInt64? {
            guard let value else { return nil }
            let number = numbers[value] ?? UInt64(numbers.count)
            numbers[value] = number
            return number
        }
        return calls.compactMap { call in
            guard call.outcome != .refused, call.kind != .serializableRead else { return nil }
            let end: UInt64? = call.outcome == .answered ? call.end : nil
            typealias Call = ConcurrentCall<RegisterModel>
            if call.kind == .linearizableRead {
                guard let read = call.reads.first(where: { $0.key == key }), end != nil else { return nil }
                return Call(start: call.start, end: end, input: .get, output: .value(number(read.value)))
            }
            guard let change = call.success.first(where: { $0.key == key }) else { return nil }
            if let condition = call.conditions.first {
                guard let value = number(change.value) else { return nil }
                if call.failure.isEmpty {
                    return Call(
                        start: call.start, end: end, input: .swap(number(condition.value), value),
                        output: .swapped(call.hasSucceeded))
                }
                guard let other = number(call.failure[0].value) else { return nil }
                return Call(
                    start: call.start, end: end, input: .choose(number(condition.value), value, other),
                    output: .swapped(call.hasSucceeded))
            }
            let input: RegisterModel.Input = number(change.value).map { .put($0) } ?? .delete
            return Call(start: call.start, end: end, input: input, output: .done)
        }
    }
}
