internal import MartletBase
internal import MartletReplica
internal import MartletSimulation
internal import MartletStore
internal import Synchronization

/// Everything that clients did.
final class Journal: Sendable {
    private let state = Mutex<(calls: [StoreCall], leases: [LeaseRecord], count: Int)>(([], [], 0))

    /// A number for the next call.
    func number() -> Int {
        state.withLock { state in
            state.count += 1
            return state.count
        }
    }
    func add(_ call: StoreCall) { state.withLock { $0.calls.append(call) } }
    func add(_ lease: LeaseRecord) { state.withLock { $0.leases.append(lease) } }
    func update(_ lease: Int64, _ change: (inout LeaseRecord) -> Void) {
        state.withLock { state in
            guard let place = state.leases.firstIndex(where: { $0.id == lease }) else { return }
            change(&state.leases[place])
        }
    }
    var calls: [StoreCall] { state.withLock { $0.calls } }
    var leases: [LeaseRecord] { state.withLock { $0.leases } }
    var writeCount: Int { state.withLock { $0.calls.count { $0.kind == .write && $0.outcome == .answered } } }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// A client: calls one after another, to members at random.
struct Client: Sendable {
    let number: Int
    let cluster: ReplicaCluster
    let chance: Chance
    private let memory: Shared<[String: KeyValue]> = Shared([:])

    init(_ number: Int, of cluster: ReplicaCluster) {
        self.number = number
        self.cluster = cluster
        chance = Chance(seed: cluster.chance.bits())
    }

    private var world: SimWorld { cluster.world }
    private var now: UInt64 { world.now().nanoseconds }

    /// Works until the cluster's time of load is over.
    func work() async {
        while !cluster.isQuiet {
            await workOnce()
            try? await world.sleep(for: chance.duration(.microseconds(100)...cluster.profile.pause * 2))
        }
    }

    private func workOnce() async {
        switch chance.number(0...99) {
        case 0..<30: await write(success: [KeyChange(key: key(), value: value())])
        case 30..<36: await write(success: [KeyChange(key: key(), value: nil)])
        case 36..<50: await swap()
        case 50..<55: await writeMany()
        case 55..<72: await read([key()], .linearizableRead)
        case 72..<77: await read(cluster.keys, .linearizableRead)
        case 77..<85: await read(cluster.keys, .serializableRead)
        case 85..<89: await readPast()
        case 89..<91: await compact()
        default: await lease()
        }
    }

    private func key() -> String { chance.pick(cluster.keys) ?? "k0" }
    private func value() -> String { "c\(number)-\(cluster.journal.number())" }

    // MARK: Writes

    private func swap() async {
        let key = key()
        let known = memory.value[key]
        var call = newCall(.write)
        call.conditions = [KeyChange(key: key, value: known.map { text($0.value) })]
        call.success = [KeyChange(key: key, value: value())]
        if chance.one(in: 2) { call.failure = [KeyChange(key: key, value: value())] }
        var condition = Condition.createRevision(key: bytes(key), is: 0)
        if let known {
            condition =
                chance.one(in: 2)
                ? Condition(.value(known.value), .equal, in: KeyRange(key: bytes(key)))
                : .modRevision(key: bytes(key), is: known.modRevision)
        }
        await propose(call, when: [condition])
    }

    private func writeMany() async {
        var changes: [KeyChange] = []
        for key in cluster.keys where chance.one(in: 2) {
            changes.append(KeyChange(key: key, value: chance.one(in: 4) ? nil : value()))
        }
        await write(success: changes)
    }

    private func write(success: [KeyChange]) async {
        var call = newCall(.write)
        call.success = success
        await propose(call)
    }

    private func newCall(_ kind: StoreCall.Kind) -> StoreCall {
        StoreCall(number: cluster.journal.number(), client: number, kind: kind, start: now)
    }

    private func operations(_ changes: [KeyChange], lease: Int64 = 0) -> [Operation] {
        changes.map { change in
            if let value = change.value { return .put(Put(bytes(change.key), bytes(value), lease: lease)) }
            return .deleteRange(KeyRange(key: bytes(change.key)), returnsPrevious: false)
        }
    }

    /// Proposes a write and keeps what came of it. Returns its revision when it was answered.
    @discardableResult
    func propose(_ started: StoreCall, when conditions: [Condition] = [], lease: Int64 = 0) async -> Int64? {
        var call = started
        let transaction = Transaction(
            when: conditions, then: operations(call.success, lease: lease),
            otherwise: operations(call.failure, lease: lease))
        let world = world
        let early = cluster.plan.mutation == .replica(.answersEarly)
        let answer = await ask { replica -> TransactionResult in
            if early, transaction.conditions.isEmpty {
                let revision = await replica.revision
                world.spawn { _ = try? await replica.propose(transaction) }
                return TransactionResult(succeeded: true, revision: revision + 1, operations: [])
            }
            return try await replica.propose(transaction)
        }
        call.end = now
        switch answer {
        case .value(let result):
            (call.outcome, call.hasSucceeded, call.revision) = (.answered, result.succeeded, result.revision)
        case .failure(let error): call.outcome = Self.isRefusal(error) ? .refused : .unknown
        case .notSent: call.outcome = .refused
        case .lost: call.outcome = .unknown
        }
        note(call)
        return call.outcome == .answered ? call.revision : nil
    }

    /// Whether an error says that nothing happened.
    static func isRefusal(_ error: any Error) -> Bool {
        switch error as? ReplicaError {
        case .timedOut, .undecided, .stopped: false
        case nil: error is CommandRefusal
        default: true
        }
    }

    private func note(_ call: StoreCall) {
        cluster.journal.add(call)
        world.note(
            "client \(number): call \(call.number) \(call.kind) \(call.success.map { "\($0.key)=\($0.value ?? "-")" }) "
                + "-> \(call.outcome) at \(call.revision)")
    }

    private func ask<Value: Sendable>(_ body: @escaping @Sendable (Replica) async throws -> Value) async
        -> Answer<Value>
    {
        guard let machine = chance.pick(cluster.machines.filter { $0.isUp }) else {
            try? await world.sleep(for: .milliseconds(50))
            return .notSent
        }
        return await machine.ask(in: world, chance, body)
    }

    // MARK: Reads

    func read(_ keys: [String], _ kind: StoreCall.Kind) async {
        var call = newCall(kind)
        let skips = cluster.plan.mutation == .replica(.skipsConfirmation)
        let query = keys.count == 1 ? KeyRange(key: bytes(keys[0])) : KeyRange(prefix: bytes("k"))
        let answer = await ask { replica -> RangeResult in
            if kind == .linearizableRead, !skips { try await replica.confirmRead() }
            return try await replica.range(RangeQuery(query))
        }
        guard let result = answer.value else { return }
        finish(&call, result, keys, at: result.revision)
        for key in keys {
            let pair = result.pairs.first { text($0.key) == key }
            memory.change { $0[key] = pair }
        }
    }

    private func finish(_ call: inout StoreCall, _ result: RangeResult, _ keys: [String], at revision: Int64) {
        var values: [String: String] = [:]
        for pair in result.pairs { values[text(pair.key)] = text(pair.value) }
        (call.end, call.outcome, call.revision) = (now, .answered, revision)
        call.reads = keys.map { KeyChange(key: $0, value: values[$0]) }
        note(call)
    }

    private func readPast() async {
        var call = newCall(.serializableRead)
        let back = Int64(chance.number(1...60))
        let answer = await ask { replica -> (RangeResult, Int64) in
            let revision = max(1, await replica.revision - back)
            return (try await replica.range(RangeQuery(KeyRange(prefix: bytes("k")), revision: revision)), revision)
        }
        guard let (result, revision) = answer.value else { return }
        finish(&call, result, cluster.keys, at: revision)
    }

    private func compact() async {
        let back = Int64(chance.number(0...100))
        _ = await ask { replica in
            try await replica.propose(Command(.compact(max(1, await replica.revision - back))))
        }
    }

    // MARK: Leases

    /// Grants a lease, hangs a key on it, keeps it alive for a while, and lets it end.
    private func lease() async {
        let id = Int64(cluster.journal.number()) + 1000 * Int64(number + 1) * 1000
        let ttl = Int64(chance.number(1...3))
        cluster.journal.add(LeaseRecord(id: id, ttl: ttl))
        let start = now
        let answer = await ask { try await $0.propose(Command(.grantLease(id: id, ttl: ttl))) }
        guard answer.value != nil else { return }
        cluster.journal.update(id) { $0.renewals.append(start) }
        let key = "l/\(chance.number(0...3))"
        var call = newCall(.write)
        let value = value()
        call.success = [KeyChange(key: key, value: value)]
        cluster.journal.update(id) { $0.values.append(value) }
        guard await propose(call, lease: id) != nil else { return }
        for _ in 0..<chance.number(0...3) {
            try? await world.sleep(for: chance.duration(.milliseconds(50) ... .milliseconds(900)))
            let start = now
            let left = await ask { try await $0.keepAlive(lease: id) }.value
            world.note(
                "client \(number): lease \(id), asked for at \(start / 1_000_000) ms, is renewed for \(left ?? -1) s")
            guard let left, left > 0 else { return }
            cluster.journal.update(id) { $0.renewals.append(start) }
        }
        switch chance.number(0...5) {
        case 0:
            cluster.journal.update(id) { $0.isRevoked = true }
            _ = await ask { try await $0.propose(Command(.revokeLease(id: id))) }
        case 1, 2:
            // The key is taken off its lease, and must stay when that ends.
            var call = newCall(.write)
            call.success = [KeyChange(key: key, value: self.value())]
            await propose(call)
        default: break
        }
    }
}

/// A value that the tasks of one world share.
final class Shared<Value: Sendable>: Sendable {
    private let state: Mutex<Value>
    init(_ value: Value) { state = Mutex(value) }
    var value: Value { state.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { state.withLock { body(&$0) } }
}
