internal import DequeModule
public import MartletBase

/// The key-value state with etcd's revisions, as a value: the same entries give the same state on every member.
///
/// The revision is 1 when the store is empty and rises by one with each transaction that changes a key. All changes of
/// one transaction share its revision and keep their order. Beside keys it holds leases, users and roles, and the
/// directory of members; these have no part in revisions.
public struct Store: Sendable {
    /// The revision of the last change.
    public internal(set) var revision: Int64
    /// The index of the last entry applied.
    public internal(set) var appliedIndex: UInt64
    /// The leases, by id.
    public internal(set) var leases: [Int64: Lease] = [:]
    /// Users, roles and whether they rule.
    public internal(set) var auth = AuthState()
    /// A mistake made on purpose; nil in production.
    public var mutation: StoreMutation?

    /// The bytes of history that a store keeps where nothing else is said.
    public static let defaultHistoryBytes = 256 << 20
    /// What an event counts in ``historyBytes`` beside its keys and values.
    public static let eventOverhead = 256
    /// Of so many last entries the state's hash is kept for checks.
    public static let hashesKept = 8192

    var keys = OrderedKeys()
    var history: History
    var directory = MemberDirectory()
    var sums = StateSums()
    /// The hash after each of the last entries, the newest last.
    private var hashes: Deque<UInt64> = []

    /// An empty store.
    public init(historyLimit: Int, historyByteLimit: Int = Store.defaultHistoryBytes) {
        history = History(limit: historyLimit, byteLimit: historyByteLimit)
        revision = 1
        appliedIndex = 0
        sums.auth = auth.digest
        sums.members = directory.digest
    }

    /// How many keys there are.
    public var count: Int { keys.count }
    /// The digest of the state: keys, leases, users, roles, members and revision.
    public var stateHash: StateHash { sums.hash(revision: revision) }
    /// The oldest revision that can be read; a watch may begin after it.
    public var oldestRevision: Int64 { history.oldest }
    /// How many revisions of history are kept for watches and reads of the past.
    public var historyLimit: Int { history.limit }
    /// How many bytes of history are kept at most, by ``historyBytes``. The oldest revisions go first.
    public var historyByteLimit: Int { history.byteLimit }
    /// The bytes of the history: all keys and values of its events, those before the change too, and
    /// ``eventOverhead`` for each event. A bound from above, because neighbours share values.
    public var historyBytes: Int { history.bytes }
    /// The members, by id.
    public var members: [UInt64: MemberInfo] { directory.members }
    /// The cluster's id; 0 before it has begun.
    public var clusterID: UInt64 { directory.clusterID }

    /// Lends the store. As an argument a property of an actor or class is copied, and the copy counts its references;
    /// the receiver of a call is not.
    public func lend<Value>(_ body: (borrowing Store) throws -> Value) rethrows -> Value { try body(self) }

    // MARK: Changes

    /// Applies the command in the entry of `index`, the one after the last; empty payloads are leaders' marks and
    /// change nothing.
    /// - Throws: `ByteCodecError` when the payload is no command; the store is as before.
    public mutating func apply(index: UInt64, payload: [UInt8]) throws(ByteCodecError) -> Applied {
        precondition(index == appliedIndex + 1, "entries are applied in order")
        var applied = Applied(result: .success(.done(revision: revision)), revision: revision)
        if mutation == nil, let (put, allowed) = Command.lonePut(decoding: payload) {
            applied = carryOut(put, allowed)
        } else if !payload.isEmpty {
            let command = try Command(decoding: payload)
            if mutation == .appliesTwice, index % 64 == 0 { _ = carryOut(command) }
            applied = carryOut(command)
        }
        entryEnded(index)
        return applied
    }

    /// Applies an entry that changed the membership; `context` is what was proposed with it for the directory, a
    /// ``MemberCommand``, or nothing.
    /// - Throws: `ByteCodecError` when the context is no such command; the store is as before.
    public mutating func apply(index: UInt64, membership context: [UInt8]) throws(ByteCodecError) -> Applied {
        precondition(index == appliedIndex + 1, "entries are applied in order")
        var applied = Applied(result: .success(.done(revision: revision)), revision: revision)
        if !context.isEmpty { applied = carryOut(Command(.member(try MemberCommand(decoding: context)))) }
        entryEnded(index)
        return applied
    }

    private mutating func entryEnded(_ index: UInt64) {
        appliedIndex = index
        hashes.append(stateHash.value)
        if hashes.count > Self.hashesKept { hashes.removeFirst() }
    }

    private mutating func carryOut(_ command: Command) -> Applied {
        do throws(CommandRefusal) {
            if let allowed = command.authRevision, auth.enabled, allowed != auth.revision {
                throw CommandRefusal.authRevisionChanged
            }
            return try carryOut(command.kind)
        } catch {
            return Applied(result: .failure(error), revision: revision)
        }
    }

    private mutating func carryOut(_ put: Put, _ allowed: UInt64?) -> Applied {
        do throws(CommandRefusal) {
            if let allowed, auth.enabled, allowed != auth.revision { throw .authRevisionChanged }
            return try transact(put)
        } catch {
            return Applied(result: .failure(error), revision: revision)
        }
    }

    private mutating func carryOut(_ kind: Command.Kind) throws(CommandRefusal) -> Applied {
        switch kind {
        case .transaction(let transaction): return try transact(transaction)
        case .grantLease(let id, let ttl): return try grantLease(id, ttl)
        case .revokeLease(let id): return try revokeLease(id)
        case .compact(let target): try compactOnDemand(target)
        case .auth(let command):
            try auth.apply(command)
            sums.auth = auth.digest
        case .member(let command):
            try directory.apply(command)
            sums.members = directory.digest
        case .check(let index, let expected):
            return Applied(
                result: .success(.done(revision: revision)), revision: revision,
                divergence: divergence(at: index, expected))
        }
        return Applied(result: .success(.done(revision: revision)), revision: revision)
    }

    /// The state's hash after the entry `index`; nil when that is not known any more or not yet.
    public func stateHash(after index: UInt64) -> UInt64? {
        guard index <= appliedIndex, appliedIndex - index < UInt64(hashes.count) else { return nil }
        return hashes[hashes.count - 1 - Int(appliedIndex - index)]
    }

    private func divergence(at index: UInt64, _ expected: UInt64) -> Applied.Divergence? {
        guard let found = stateHash(after: index), found != expected else { return nil }
        return Applied.Divergence(index: index, expected: expected, found: found)
    }

    /// Ends a change of keys: its events, where there are any, are the next revision's.
    mutating func commit(_ events: [StoreEvent]) {
        guard !events.isEmpty else { return }
        revision += 1
        history.append(events)
    }

    private mutating func compactOnDemand(_ target: Int64) throws(CommandRefusal) {
        if target > revision { throw .futureRevision }
        // As long as nothing was forgotten, all revisions are there; but none is less than 0.
        if target < 0 || target <= oldestRevision && oldestRevision > 1 { throw .compacted }
        history.compact(through: target, mutation)
    }

    /// Forgets the history through `target`, at most the present: reads and watches of older revisions are refused.
    /// A cluster does so by a ``Command``.
    public mutating func compact(through target: Int64) { history.compact(through: target, mutation) }

    // MARK: Recovery

    /// Raises the revision by `step` and forgets the history: after a restore from an older snapshot no revision that
    /// clients have seen comes again with another content.
    public mutating func raiseRevision(by step: Int64) {
        revision += max(step, 0)
        history.restart(at: revision)
        hashes = []
    }

    /// Puts another cluster and other members in the place of those of before.
    public mutating func replaceMembers(_ members: [MemberInfo], clusterID: UInt64) {
        directory = MemberDirectory(clusterID: clusterID, members: [:])
        try? directory.apply(.replace(members))
        sums.members = directory.digest
        hashes = []
    }

    /// Counts entries anew from `index`: a restored store begins a new log.
    public mutating func restartLog(at index: UInt64) {
        appliedIndex = index
        hashes = []
    }
}
