/// Finds transactions that might change a key twice, as etcd does, and also where a later deletion meets an earlier
/// put of a transaction inside. The two branches of one transaction exclude each other and may name the same keys.
struct DuplicateKeys {
    /// What a list of steps might change. Steps are told apart by their place in the list.
    private struct Footprint {
        var puts: [(key: [UInt8], step: Int)] = []
        var deletions: [(range: KeyRange, step: Int)] = []
    }

    /// - Throws: ``CommandRefusal/duplicateKey``.
    static func check(_ transaction: Transaction) throws(CommandRefusal) {
        for list in [transaction.success, transaction.failure] where needsLook(list) { _ = try footprint(list) }
    }

    /// One step alone cannot meet another.
    private static func needsLook(_ list: [Operation]) -> Bool {
        if list.count > 1 { return true }
        guard let only = list.first, case .transaction = only else { return false }
        return true
    }

    private static func footprint(_ list: [Operation]) throws(CommandRefusal) -> Footprint {
        var all = Footprint()
        for (step, operation) in list.enumerated() {
            switch operation {
            case .put(let put): all.puts.append((put.key, step))
            case .deleteRange(let range, _): all.deletions.append((range, step))
            case .range: continue
            case .transaction(let inner):
                for branch in [inner.success, inner.failure] {
                    let part = try footprint(branch)
                    all.puts += part.puts.map { ($0.key, step) }
                    all.deletions += part.deletions.map { ($0.range, step) }
                }
            }
        }
        if all.puts.isEmpty || all.puts.count + all.deletions.count < 2 { return all }
        all.puts.sort { a, b in
            let order = ByteOrder.compare(a.key, b.key)
            return order == 0 ? a.step < b.step : order < 0
        }
        for index in all.puts.indices.dropFirst() where all.puts[index].step != all.puts[index - 1].step {
            if ByteOrder.compare(all.puts[index].key, all.puts[index - 1].key) == 0 { throw .duplicateKey }
        }
        for (range, step) in all.deletions {
            var low = 0
            var high = all.puts.count
            while low < high {
                let middle = (low + high) / 2
                if ByteOrder.compare(all.puts[middle].key, range.from) < 0 { low = middle + 1 } else { high = middle }
            }
            while low < all.puts.count, range.endsAfter(all.puts[low].key) {
                if all.puts[low].step != step { throw .duplicateKey }
                low += 1
            }
        }
        return all
    }
}
