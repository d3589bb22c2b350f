internal import MartletHTTP
internal import MartletReplica
internal import MartletStore

/// `etcdserverpb.KV`.
extension EtcdService {
    func keyMethod(_ name: String) -> GRPCMethod? {
        switch name {
        case "Range": unary { try await $0.range($1, $2) }
        case "Put": unary { try await $0.put($1, $2) }
        case "DeleteRange": unary { try await $0.deleteRange($1, $2) }
        case "Txn": unary { try await $0.transact($1, $2) }
        case "Compact": unary { try await $0.compact($1, $2) }
        default: nil
        }
    }

    private func range(_ bytes: [UInt8], _ context: GRPCContext) async throws -> [UInt8] {
        let request = try KeyRequests.range(WireReader(bytes))
        if !request.isSerializable { try await replica.confirmRead() }
        let (found, header) = try await look(context) { store, warrant in
            try warrant.need(.read, request.query.range)
            return try store.range(request.query)
        }
        return KeyResponses.range(found, header)
    }

    private func put(_ bytes: [UInt8], _ context: GRPCContext) async throws -> [UInt8] {
        try checkSize(bytes)
        let put = try KeyRequests.put(WireReader(bytes))
        let (result, header) = try await propose(Transaction(then: [.put(put)]), context)
        guard case .put(let previous)? = result.operations.first else { throw Refusal.other("etcdserver: no put") }
        return KeyResponses.put(previous, header)
    }

    private func deleteRange(_ bytes: [UInt8], _ context: GRPCContext) async throws -> [UInt8] {
        try checkSize(bytes)
        let request = try KeyRequests.deleteRange(WireReader(bytes))
        let step = Operation.deleteRange(request.range, returnsPrevious: request.returnsPrevious)
        let (result, header) = try await propose(Transaction(then: [step]), context)
        guard case .deleteRange(let count, let previous)? = result.operations.first else {
            throw Refusal.other("etcdserver: no deletion")
        }
        return KeyResponses.deleteRange(count, previous, header)
    }

    private func transact(_ bytes: [UInt8], _ context: GRPCContext) async throws -> [UInt8] {
        try checkSize(bytes)
        let transaction = try KeyRequests.transaction(WireReader(bytes), operations: limits.operations)
        guard transaction.isReadOnly else {
            let (result, header) = try await propose(transaction, context)
            return KeyResponses.transaction(result, header)
        }
        // A transaction that only reads needs no entry of the log.
        try await replica.confirmRead()
        let (result, header) = try await look(context) { store, warrant in
            try warrant.need(transaction) { _ in [] }
            return try store.evaluate(transaction)
        }
        return KeyResponses.transaction(result, header)
    }

    private func compact(_ bytes: [UInt8], _ context: GRPCContext) async throws -> [UInt8] {
        let request = try KeyRequests.compaction(WireReader(bytes))
        // Physical or not: the history is gone from memory when this is applied; checkpoints keep only what is left.
        let (_, header) = try await propose(.compact(request.revision), context) { _, warrant in
            try warrant.needUser()
        }
        return header.alone
    }

    private func checkSize(_ bytes: [UInt8]) throws {
        if bytes.count > limits.request { throw Refusal.tooLarge }
    }
}

extension Transaction {
    /// Whether neither branch can change anything.
    var isReadOnly: Bool {
        (success + failure).allSatisfy { operation in
            switch operation {
            case .range: true
            case .transaction(let inner): inner.isReadOnly
            case .put, .deleteRange: false
            }
        }
    }
}
