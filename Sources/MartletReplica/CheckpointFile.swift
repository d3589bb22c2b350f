internal import MartletRaft
internal import MartletStore
internal import Synchronization

// The checkpoint: the applied state in one SQLite file, `checkpoint.sqlite`.
//
//   PRAGMA application_id  0x4D41524C ("MARL")
//   PRAGMA user_version    1
//   state   one row: ids of cluster and member, the applied entry's index and term, revision, state hash, the hard
//           state (term, vote, commit), and the number of pairs
//   pairs   key, value, created, modified, version
//
// Each checkpoint is one transaction: the pairs that changed since the last one, and the row of state. SQLite's own
// journal (WAL mode, synchronous=FULL) lets a crash at any moment leave the old checkpoint or the new one whole.

/// Who a replica is.
struct ReplicaIdentity: Sendable, Hashable {
    var cluster: UInt64
    var member: UInt64
}

/// Where a checkpoint stands, apart from the pairs.
struct CheckpointState: Sendable, Hashable {
    var identity: ReplicaIdentity
    var appliedIndex: UInt64 = 0
    var appliedTerm: UInt64 = 0
    var revision: Int64 = 1
    var stateHash: UInt64 = 0
    var hardState = HardState()
    var pairCount = 0
}

/// A key that changed since the last checkpoint: its pair now, nil when it is gone.
struct CheckpointChange: Sendable {
    var key: [UInt8]
    var pair: KeyValue?
}

/// The file. Its methods block: they are for a worker's thread.
final class CheckpointFile: Sendable {
    private static let applicationID: Int64 = 0x4D41_524C
    private static let version: Int64 = 1

    private let path: String
    private let database: Mutex<SQLiteDatabase?>

    /// Opens or makes the file.
    /// - Throws: ``ReplicaError/unusable(_:)``.
    init(path: String) throws {
        self.path = path
        do {
            let opened = try SQLiteDatabase(path: path)
            try Self.prepare(opened, path)
            database = Mutex(opened)
        } catch let error as SQLiteError {
            throw Self.unusable(path, error)
        }
    }

    private static func prepare(_ database: borrowing SQLiteDatabase, _ path: String) throws {
        try database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        let found = try number("PRAGMA application_id", database)
        let version = try number("PRAGMA user_version", database)
        if version == 0, found == 0 {
            try database.transaction {
                try database.execute(Self.schema)
                try database.execute("PRAGMA application_id=\(applicationID); PRAGMA user_version=\(Self.version)")
            }
        } else if found != applicationID {
            throw ReplicaError.unusable("\(path) is no checkpoint of this program; move it away")
        } else if version != Self.version {
            throw ReplicaError.unusable(
                "\(path): format \(version) is newer than this program reads; run the newer release")
        }
    }

    private static let schema = """
        CREATE TABLE state(
            id INTEGER PRIMARY KEY CHECK (id = 1), cluster INTEGER, member INTEGER, applied_index INTEGER,
            applied_term INTEGER, revision INTEGER, state_hash INTEGER, term INTEGER, vote INTEGER, "commit" INTEGER,
            pair_count INTEGER);
        CREATE TABLE pairs(
            key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
            version INTEGER NOT NULL);
        """

    private static func number(_ sql: String, _ database: borrowing SQLiteDatabase) throws -> Int64 {
        let statement = try database.prepare(sql)
        return try statement.step() ? statement.integer(0) : 0
    }

    /// Closes the file; later calls throw.
    func close() { database.withLock { $0 = nil } }

    /// Writes a checkpoint. It is durable on return.
    func write(_ changes: [CheckpointChange], _ state: CheckpointState) throws {
        try withDatabase { database in
            try database.transaction {
                let put = try database.prepare("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, ?, ?)")
                let delete = try database.prepare("DELETE FROM pairs WHERE key = ?")
                for change in changes {
                    if let pair = change.pair {
                        try put.bind(1, pair.key)
                        try put.bind(2, pair.value)
                        try put.bind(3, pair.createRevision)
                        try put.bind(4, pair.modRevision)
                        try put.bind(5, pair.version)
                        try put.run()
                    } else {
                        try delete.bind(1, change.key)
                        try delete.run()
                    }
                }
                try Self.write(state, database)
            }
        }
    }

    private static func write(_ state: CheckpointState, _ database: borrowing SQLiteDatabase) throws {
        let statement = try database.prepare(
            "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        try statement.bind(1, Int64(bitPattern: state.identity.cluster))
        try statement.bind(2, Int64(bitPattern: state.identity.member))
        try statement.bind(3, Int64(bitPattern: state.appliedIndex))
        try statement.bind(4, Int64(bitPattern: state.appliedTerm))
        try statement.bind(5, state.revision)
        try statement.bind(6, Int64(bitPattern: state.stateHash))
        try statement.bind(7, Int64(bitPattern: state.hardState.term))
        try statement.bind(8, Int64(bitPattern: state.hardState.vote?.number ?? 0))
        try statement.bind(9, Int64(bitPattern: state.hardState.commit))
        try statement.bind(10, Int64(state.pairCount))
        try statement.run()
    }

    /// The last checkpoint; nil when none was written.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the file is damaged.
    func load() throws -> (state: CheckpointState, pairs: [KeyValue])? {
        do {
            return try withDatabase { database in
                guard let state = try Self.loadState(database) else { return nil }
                let statement = try database.prepare(
                    "SELECT key, value, created, modified, version FROM pairs ORDER BY key")
                var pairs: [KeyValue] = []
                while try statement.step() {
                    pairs.append(
                        KeyValue(
                            key: statement.bytes(0), value: statement.bytes(1), createRevision: statement.integer(2),
                            modRevision: statement.integer(3), version: statement.integer(4)))
                }
                guard pairs.count == state.pairCount else {
                    throw ReplicaError.unusable(
                        "\(path) holds \(pairs.count) pairs where it counts \(state.pairCount); restore this member "
                            + "from a snapshot")
                }
                return (state, pairs)
            }
        } catch let error as SQLiteError {
            throw Self.unusable(path, error)
        }
    }

    private func withDatabase<Value>(_ body: (borrowing SQLiteDatabase) throws -> Value) throws -> Value {
        try database.withLock { database in
            switch database {
            case .some(let open): return try body(open)
            case .none: throw ReplicaError.stopped("\(path) is closed")
            }
        }
    }

    private static func loadState(_ database: borrowing SQLiteDatabase) throws -> CheckpointState? {
        let row = try database.prepare(
            """
            SELECT cluster, member, applied_index, applied_term, revision, state_hash, term, vote, "commit", pair_count
            FROM state WHERE id = 1
            """)
        guard try row.step() else { return nil }
        let numbers = (Int32(0)..<10).map { row.integer($0) }
        let unsigned = numbers.map(UInt64.init(bitPattern:))
        let vote = unsigned[7] == 0 ? nil : MemberID(unsigned[7])
        return CheckpointState(
            identity: ReplicaIdentity(cluster: unsigned[0], member: unsigned[1]), appliedIndex: unsigned[2],
            appliedTerm: unsigned[3], revision: numbers[4], stateHash: unsigned[5],
            hardState: HardState(term: unsigned[6], vote: vote, commit: unsigned[8]), pairCount: Int(numbers[9]))
    }

    private static func unusable(_ path: String, _ error: SQLiteError) -> ReplicaError {
        .unusable(
            error.isDamage
                ? "\(path) is damaged (\(error)); restore this member from a snapshot" : "\(path): \(error)")
    }
}
