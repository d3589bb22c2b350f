extension Store {
    /// A transaction with the outcome of its conditions and of those inside.
    private struct Plan {
        var succeeded: Bool
        var steps: [Operation]
        /// The plans of the transactions among the steps, in order.
        var inner: [Plan] = []
    }

    /// Carries out a transaction.
    mutating func transact(_ transaction: Transaction) throws(CommandRefusal) -> Applied {
        try DuplicateKeys.check(transaction)
        let plan = plan(transaction)
        try check(plan)
        var events: [StoreEvent] = []
        var result = carryOut(plan, &events)
        commit(events)
        result.revision = revision
        return Applied(result: .success(.transaction(result)), events: events, revision: revision)
    }

    /// Carries out a transaction of one put and no conditions.
    mutating func transact(_ put: Put) throws(CommandRefusal) -> Applied {
        try check(put)
        var events: [StoreEvent] = []
        let previous = self.put(put, &events)
        commit(events)
        let results = put.returnsPrevious ? [.put(previous: previous)] : Self.putWithoutAnswer
        let result = TransactionResult(succeeded: true, revision: revision, operations: results)
        return Applied(result: .success(.transaction(result)), events: events, revision: revision)
    }

    private static let putWithoutAnswer: [OperationResult] = [.put(previous: nil)]

    /// The answers of a transaction that only reads, as of now: nothing goes through the log for it.
    /// - Throws: ``CommandRefusal``.
    public func evaluate(_ transaction: Transaction) throws(CommandRefusal) -> TransactionResult {
        // Nothing is changed, so the copy shares all that the store holds.
        var copy = self
        return try copy.transact(transaction).transaction
            ?? TransactionResult(succeeded: false, revision: revision, operations: [])
    }

    // MARK: Conditions

    private func plan(_ transaction: Transaction) -> Plan {
        let succeeded = transaction.conditions.allSatisfy(holds)
        var plan = Plan(succeeded: succeeded, steps: succeeded ? transaction.success : transaction.failure)
        for step in plan.steps {
            if case .transaction(let inner) = step { plan.inner.append(self.plan(inner)) }
        }
        return plan
    }

    private func holds(_ condition: Condition) -> Bool {
        if mutation == .ignoresConditions, case .mod(let number) = condition.target, number > 0 { return true }
        var found = false
        var holds = true
        forEachNow(in: condition.range) { pair in
            found = true
            holds = condition.holds(for: pair)
            return holds
        }
        if found { return holds }
        if case .value = condition.target { return false }
        return condition.holds(for: KeyValue(key: [], value: [], createRevision: 0, modRevision: 0, version: 0))
    }

    /// The pairs of a range as of now; one key alone is looked up.
    func forEachNow(in range: KeyRange, _ body: (KeyValue) -> Bool) {
        if range.isSingleKey {
            if let pair = keys[range.from] { _ = body(pair) }
        } else {
            keys.forEach(in: range, body)
        }
    }

    // MARK: Steps

    /// Refuses what cannot be carried out, judged by the state before; the first step that cannot names the reason.
    private func check(_ plan: Plan) throws(CommandRefusal) {
        var inner = 0
        for step in plan.steps {
            switch step {
            case .put(let put): try check(put)
            case .range(let query) where query.revision > 0:
                if query.revision > revision { throw .futureRevision }
                if query.revision < oldestRevision { throw .compacted }
            case .transaction:
                try check(plan.inner[inner])
                inner += 1
            default: continue
            }
        }
    }

    private func check(_ put: Put) throws(CommandRefusal) {
        if put.ignoresValue || put.ignoresLease, keys[put.key] == nil { throw .keyNotFound }
        if put.lease != 0, leases[put.lease] == nil { throw .leaseNotFound }
    }

    private mutating func carryOut(_ plan: Plan, _ events: inout [StoreEvent]) -> TransactionResult {
        var results: [OperationResult] = []
        results.reserveCapacity(plan.steps.count)
        var inner = 0
        for step in plan.steps {
            switch step {
            case .put(let put):
                let previous = self.put(put, &events)
                results.append(.put(previous: put.returnsPrevious ? previous : nil))
            case .deleteRange(let range, let returnsPrevious):
                let gone = delete(range, &events)
                results.append(.deleteRange(count: gone.count, previous: returnsPrevious ? gone : []))
            case .range(let query): results.append(.range(read(query, pending: events)))
            case .transaction:
                results.append(.transaction(carryOut(plan.inner[inner], &events)))
                inner += 1
            }
        }
        let revision = events.isEmpty ? revision : revision + 1
        return TransactionResult(succeeded: plan.succeeded, revision: revision, operations: results)
    }

    private mutating func put(_ put: Put, _ events: inout [StoreEvent]) -> KeyValue? {
        let next = revision + 1
        let (previous, pair) = keys.update(put.key) { before in
            KeyValue(
                // The key's bytes are kept once, however often it is set.
                key: before?.key ?? put.key, value: put.ignoresValue ? before?.value ?? [] : put.value,
                createRevision: before?.createRevision ?? next, modRevision: next,
                version: (before?.version ?? 0) + 1, lease: put.ignoresLease ? before?.lease ?? 0 : put.lease)
        }
        sums.pairs &+= StateHash.of(pair)
        if let previous { sums.pairs &-= StateHash.of(previous) }
        hang(pair.key, on: pair.lease, before: previous?.lease ?? 0)
        events.append(StoreEvent(pair: pair, previous: previous, isDeletion: false))
        return previous
    }

    private mutating func delete(_ range: KeyRange, _ events: inout [StoreEvent]) -> [KeyValue] {
        if range.isSingleKey { return delete(key: range.from, &events).map { [$0] } ?? [] }
        var gone: [KeyValue] = []
        keys.forEach(in: range) { pair in
            gone.append(pair)
            return true
        }
        for pair in gone { _ = delete(key: pair.key, &events) }
        return gone
    }

    private mutating func delete(key: [UInt8], _ events: inout [StoreEvent]) -> KeyValue? {
        guard let previous = keys.remove(key) else { return nil }
        sums.pairs &-= StateHash.of(previous)
        hang(previous.key, on: 0, before: previous.lease)
        let tombstone = KeyValue(
            key: previous.key, value: [], createRevision: 0, modRevision: revision + 1, version: 0)
        events.append(StoreEvent(pair: tombstone, previous: previous, isDeletion: true))
        return previous
    }

    // MARK: Leases

    /// Moves a key from one lease to another; 0 is none.
    private mutating func hang(_ key: [UInt8], on lease: Int64, before: Int64) {
        if lease == before { return }
        if before != 0, mutation != .forgetsDetaching { leases[before]?.keys.remove(key) }
        if lease != 0 { leases[lease]?.keys.insert(key) }
    }

    /// Grants a lease.
    mutating func grantLease(_ id: Int64, _ ttl: Int64) throws(CommandRefusal) -> Applied {
        if id == 0 { throw .leaseNotFound }
        if ttl > Lease.longestTTL { throw .leaseTooLong }
        if leases[id] != nil { throw .leaseExists }
        let ttl = max(ttl, 1)
        leases[id] = Lease(id: id, ttl: ttl)
        sums.leases &+= StateHash.of(lease: id, ttl: ttl)
        return Applied(result: .success(.lease(id: id, ttl: ttl)), revision: revision)
    }

    /// Ends a lease and deletes its keys, in their order, at one revision.
    mutating func revokeLease(_ id: Int64) throws(CommandRefusal) -> Applied {
        guard let lease = leases[id] else { throw .leaseNotFound }
        var events: [StoreEvent] = []
        for key in lease.keys.sorted(by: { ByteOrder.compare($0, $1) < 0 }) { _ = delete(key: key, &events) }
        leases[id] = nil
        sums.leases &-= StateHash.of(lease: id, ttl: lease.ttl)
        commit(events)
        return Applied(result: .success(.done(revision: revision)), events: events, revision: revision)
    }
}
