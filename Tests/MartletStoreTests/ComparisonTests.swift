import MartletBase
import Testing

@testable import MartletStore

@Suite struct AStoreBesideANaiveOne {
    /// A store, the naive one, and a third that is fed the same, all after the same commands.
    private func run(seed: UInt64, commands: UInt64) throws -> (Store, NaiveStore, Draw, mistakes: Int) {
        var draw = Draw(seed: seed)
        var model = NaiveStore()
        var store = Store(historyLimit: 10_000)
        var twin = Store(historyLimit: 10_000)
        var mistakes = 0
        for index in 1...commands {
            let kind = draw.command(model.revision)
            let before = model.revision
            let expected = model.apply(kind)
            let payload = Command(kind).encoded()
            let applied = try store.apply(index: index, payload: payload)
            let events = model.revision > before ? model.events(in: .all, after: before) : []
            if applied.result != expected || applied.events != events || applied.revision != model.revision {
                mistakes += 1
                Issue.record("command \(index) of seed \(seed): \(kind) gave \(applied.result), not \(expected)")
            }
            if store.count != model.now().count || store.oldestRevision != model.oldest { mistakes += 1 }
            _ = try twin.apply(index: index, payload: payload)
            if twin.stateHash != store.stateHash { mistakes += 1 }
        }
        return (store, model, draw, mistakes)
    }

    @Test(arguments: UInt64(1)...12)
    func answersTheSameToAllCommandsAndReads(seed: UInt64) throws {
        var (store, model, draw, mistakes) = try run(seed: seed, commands: 250)
        for _ in 0..<200 {
            let query = draw.query(model.revision)
            do {
                if try store.range(query) != model.read(query) { mistakes += 1 }
            } catch StoreError.compacted {
                if query.revision >= model.oldest { mistakes += 1 }
            } catch StoreError.future {
                if query.revision <= model.revision { mistakes += 1 }
            }
            let past = model.oldest + Int64(draw.number(UInt64(model.revision - model.oldest + 1)))
            let range = draw.range()
            let rest = try store.events(in: range, after: past, scanLimit: .max, eventLimit: .max)
            if rest.events != model.events(in: range, after: past) || rest.through != model.revision { mistakes += 1 }
        }
        for (id, ttl) in model.leases {
            let keys = Set(model.now().filter { $0.lease == id }.map(\.key))
            if store.leases[id] != Lease(id: id, ttl: ttl, keys: keys) { mistakes += 1 }
        }
        #expect(store.leases.count == model.leases.count)
        #expect(mistakes == 0)
    }

    @Test(arguments: UInt64(1)...6)
    func isTheSameWhenItIsMadeFromACheckpointsRows(seed: UInt64) throws {
        var (store, model, draw, mistakes) = try run(seed: seed + 100, commands: 200)
        let image = try StoreImage(decoding: store.image.encoded())
        #expect(image == store.image)
        var loader = Store.Loader(image, historyLimit: 10_000)
        for row in model.rows() { try loader.add(row) }
        var loaded = try loader.finish()
        #expect(loaded.stateHash == store.stateHash && loaded.historyBytes == store.historyBytes)
        #expect(loaded.leases == store.leases && loaded.revision == store.revision)
        for past in model.oldest...model.revision {
            let limits = (scan: Int.max, events: Int.max)
            let left = try store.events(in: .all, after: past, scanLimit: limits.scan, eventLimit: limits.events)
            let right = try loaded.events(in: .all, after: past, scanLimit: limits.scan, eventLimit: limits.events)
            if left != right { mistakes += 1 }
            if try loaded.hashKV(at: past) != store.hashKV(at: past) { mistakes += 1 }
        }
        // And it goes on in the same way.
        for index in UInt64(201)...300 {
            let payload = Command(draw.command(store.revision)).encoded()
            let left = try store.apply(index: index, payload: payload)
            let right = try loaded.apply(index: index, payload: payload)
            if left != right || store.stateHash != loaded.stateHash { mistakes += 1 }
        }
        #expect(mistakes == 0)
    }
}
