internal import MartletBase
internal import MartletReplica
internal import MartletSimulation
internal import MartletStore
internal import Synchronization

/// One who watches, at one member after another, always from where the last watch ended.
final class Watcher: Sendable {
    private let number: Int
    private let prefix: String
    private let cluster: ReplicaCluster
    private let chance: Chance
    private let state: Mutex<[WatchRecord]>

    init(_ number: Int, prefix: String, of cluster: ReplicaCluster) {
        self.number = number
        self.prefix = prefix
        self.cluster = cluster
        chance = Chance(seed: cluster.chance.bits())
        state = Mutex([WatchRecord(name: "watcher \(number).1", prefix: prefix, start: 1)])
    }

    private var world: SimWorld { cluster.world }
    /// What was told so far; a new record after each time that the past was forgotten.
    var records: [WatchRecord] { state.withLock { $0 } }
    /// Through which revision all was told.
    var position: Int64 { state.withLock { $0.last?.position ?? 0 } }

    private func restart(at revision: Int64) {
        state.withLock { records in
            records.append(
                WatchRecord(name: "watcher \(number).\(records.count + 1)", prefix: prefix, start: revision))
        }
    }

    /// Watches until the cluster's end.
    func work() async {
        while !cluster.isOver {
            guard let machine = chance.pick(cluster.machines.filter { $0.isUp }) else {
                try? await world.sleep(for: .milliseconds(100))
                continue
            }
            await watch(at: machine)
            try? await world.sleep(for: chance.duration(.milliseconds(1) ... .milliseconds(300)))
        }
    }

    /// One watch, until it breaks or the watcher moves on.
    private func watch(at machine: Machine) async {
        var start = position
        if cluster.plan.mutation == .replica(.resumesLate), start > 1 { start += 1 }
        let range = KeyRange(prefix: bytes(prefix))
        let opened = await machine.ask(in: world, chance) { [start] replica in
            try await replica.watch(from: range.from, to: range.to, after: start)
        }
        switch opened {
        case .failure(StoreError.compacted(let oldest)): return restart(at: oldest)
        case .failure, .notSent, .lost: return
        case .value(let watch): await follow(watch, at: machine)
        }
    }

    private func follow(_ watch: StoreWatch, at machine: Machine) async {
        var batches = chance.number(1...60)
        while batches > 0 || cluster.isQuiet, !cluster.isOver {
            batches -= 1
            if cluster.isQuiet { watch.requestProgress() }
            let answer = await machine.ask(in: world, chance, limit: .seconds(3)) { _ in try await watch.next() }
            switch answer {
            case .value(.some(let (events, revision))): take(events, revision)
            case .failure(StoreError.compacted(let oldest)):
                watch.cancel()
                return restart(at: oldest)
            case .value(.none), .failure, .notSent, .lost: return watch.cancel()
            }
            // Some are slow, so that the history has to be read, or has gone.
            if chance.one(in: 10), !cluster.isQuiet {
                try? await world.sleep(for: chance.duration(.milliseconds(100) ... .seconds(3)))
            }
            if cluster.isQuiet { try? await world.sleep(for: .milliseconds(20)) }
        }
        watch.cancel()
    }

    private func take(_ events: [StoreEvent], _ revision: Int64) {
        let told = events.map { event in
            WatchRecord.Event(
                revision: event.pair.modRevision,
                change: KeyChange(key: text(event.pair.key), value: event.isDeletion ? nil : text(event.pair.value)))
        }
        state.withLock { records in
            records[records.count - 1].batches.append(WatchRecord.Batch(events: told, revision: revision))
        }
    }
}
