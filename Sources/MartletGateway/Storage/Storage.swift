internal import MartletObject
internal import MartletReplica
internal import MartletStore

/// The replica as the verbs see it, with its refusals in the API's words.
struct Storage: Sendable {
    let replica: Replica

    /// How the store is.
    var status: ReplicaStatus { get async { await replica.status } }

    /// The revision that reads see.
    func revision() async -> Int64 { await replica.revision }

    /// Why the store takes no writes any more; nil as long as it does.
    func failure() async -> String? {
        if let failure = await replica.failure { return failure }
        return await replica.isLed ? nil : "no leader"
    }

    /// Whether other gateways may have answered what this one does not know yet.
    var isShared: Bool { get async { await replica.needsConfirmedReads } }

    /// Returns when reads see all that any gateway has answered before. In a group of one that is always so.
    func confirm() async throws(APIError) {
        guard await replica.needsConfirmedReads else { return }
        do { try await replica.confirmRead() } catch ReplicaError.stopped(let why) {
            // Trying again is of no use.
            throw .unavailable("the store has stopped: \(why)")
        } catch ReplicaError.noRoom(let why) {
            throw .unavailable("the store cannot confirm a read now: \(why)")
        } catch {
            throw .unavailable("no leader: the store cannot confirm a read now (\(error)); try again")
        }
    }

    /// How many keys a range has now.
    func count(_ range: Keys.Range) async -> Int { await count(range, at: 0) ?? 0 }

    /// How many objects there were in a range at a revision; nil when that is forgotten.
    func count(_ range: Keys.Range, at revision: Int64) async -> Int? {
        let keys = KeyRange(from: range.from, to: range.to)
        return try? await replica.range(RangeQuery(keys, revision: revision, countOnly: true)).count
    }

    func get(_ key: [UInt8]) async -> KeyValue? { await replica.get(key) }

    /// Proposes a change.
    func commit(_ transaction: Transaction) async throws(APIError) -> TransactionResult {
        do {
            return try await replica.propose(transaction)
        } catch let error as ReplicaError {
            switch error {
            case .notLeader: throw .unavailable("no leader: the store cannot take writes now; try again")
            case .tooLarge(let limit):
                throw APIError(413, .requestEntityTooLarge, "Request entity too large: limit is \(limit)")
            case .overloaded: throw .tooManyRequests
            case .timedOut, .noRoom, .undecided: throw .unavailable("\(error)")
            case .membership, .stopped, .unusable: throw .internalError("\(error)")
            }
        } catch {
            throw .internalError("\(error)")
        }
    }

    /// Reads a range as of `revision` (nil: now).
    func range(_ range: Keys.Range, limit: Int, at revision: Int64?) async throws(APIError) -> (
        pairs: [KeyValue], revision: Int64, more: Bool
    ) {
        do {
            return try await replica.range(from: range.from, to: range.to, limit: limit, at: revision)
        } catch let error as StoreError {
            throw APIError(error, requested: revision ?? 0)
        } catch {
            throw .internalError("\(error)")
        }
    }

    /// Follows a range, beginning with the change after `revision`.
    func watch(_ range: Keys.Range, after revision: Int64) async throws(APIError) -> StoreWatch {
        do {
            return try await replica.watch(from: range.from, to: range.to, after: revision)
        } catch let error as StoreError {
            throw APIError(error, requested: revision)
        } catch {
            throw .internalError("\(error)")
        }
    }
}

/// A walk over a range, pair by pair. A few are read at a time, so that no memory is taken for all of them.
struct RangeWalk: Sendable {
    private let storage: Storage
    private var rest: Keys.Range?
    /// Those that were read and not yet given out.
    private var read: ArraySlice<KeyValue> = []
    /// The revision that all of the walk shows; nil before the first step of one that shows what is there now.
    private(set) var revision: Int64?

    init(_ storage: Storage, over range: Keys.Range, at revision: Int64?) {
        self.storage = storage
        rest = range
        self.revision = revision
    }

    /// Whether all has been seen.
    var isOver: Bool { read.isEmpty && rest == nil }

    /// The next pair; nil when there is none left.
    mutating func next() async throws(APIError) -> KeyValue? {
        if let pair = read.popFirst() { return pair }
        guard var range = rest else { return nil }
        let step = try await storage.range(range, limit: Limits.listStep, at: revision)
        if revision == nil { revision = step.revision }
        rest = nil
        if step.more, let last = step.pairs.last {
            range.from = Keys.after(last.key)
            rest = range
        }
        read = step.pairs[...]
        return read.popFirst()
    }
}

extension APIError {
    /// The API's words for a read of the past or future.
    init(_ error: StoreError, requested: Int64) {
        switch error {
        case .compacted(let oldest): self = .expired("too old resource version: \(requested) (\(oldest))")
        case .future(let current): self = .tooNew(requested: requested, current: current)
        }
    }
}

extension KeyValue {
    /// The bytes to serve, in the form of a kind.
    /// - Throws: 500 when the store holds something that is no object.
    func served(as kind: ResourceKind) throws(APIError) -> [UInt8] {
        try kind.served(value, revision: modRevision)
    }

    /// The object as it is stored, with its resourceVersion: for kinds that have one form.
    /// - Throws: 500 when the store holds something that is no object.
    func object() throws(APIError) -> JSON {
        do {
            return try StoredObject(stored: value).decoded(resourceVersion: modRevision)
        } catch {
            throw .internalError("\(String(decoding: key, as: UTF8.self)) in the store is not an object: \(error)")
        }
    }

    /// The object in the form of a kind, with its resourceVersion.
    /// - Throws: 500 when the store holds something that is no object.
    func object(as kind: ResourceKind) throws(APIError) -> JSON {
        kind.fromStored(try object())
    }
}

extension ResourceKind {
    /// Stored bytes in the form of this kind, ready to serve.
    /// - Throws: 500 when they are no object.
    func served(_ stored: [UInt8], revision: Int64) throws(APIError) -> [UInt8] {
        do {
            return StoredObject(stored: try fromStored(stored)).served(resourceVersion: revision)
        } catch {
            throw .internalError("an object in the store is not JSON: \(error)")
        }
    }

    /// Appends stored bytes in the form of this kind, ready to serve: what a list writes, object by object.
    /// - Throws: 500 when they are no object.
    func appendServed(_ stored: [UInt8], revision: Int64, to bytes: inout [UInt8]) throws(APIError) {
        do {
            StoredObject(stored: try fromStored(stored)).appendServed(resourceVersion: revision, to: &bytes)
        } catch {
            throw .internalError("an object in the store is not JSON: \(error)")
        }
    }

    /// The bytes to store of an object of this kind, whose own are `object`'s.
    func bytesToStore(_ json: JSON, _ object: StoredObject) -> [UInt8] {
        stored == nil ? object.bytes : StoredObject(toStored(json)).bytes
    }
}
