internal import MartletIO
internal import MartletRaft
internal import MartletStore
internal import Synchronization

// The checkpoint: the applied state in one SQLite file, `checkpoint.sqlite`. A snapshot is the same file, with nobody's
// name in it and a SHA-256 behind it (see SnapshotReader.swift). Format 2:
//
//   PRAGMA application_id  0x4D41524C ("MARL")
//   PRAGMA user_version    2
//   PRAGMA page_size       8192, auto_vacuum INCREMENTAL, text encoding UTF-8
//
//   state             one row
//     id              1
//     cluster         the cluster's id; here and below, 64-bit numbers without a sign are stored as signed ones
//     member          the member's id; 0 in a snapshot
//     applied_index   the last entry that is in this state
//     applied_term    its term
//     membership      Raft's membership in force at that entry (Membership.encoded)
//     log_position    the log's record from which on it goes with this checkpoint; all before it is to be forgotten
//     log_index       the entry after which the log begins there; 0 for the log's own beginning
//     log_term        its term
//     term, vote, "commit"  the hard state (vote 0: nobody)
//     revision        the store's revision
//     oldest          the oldest revision that can be read: older versions are here only where they are still in force
//     image           all of the store but its versions (StoreImage.encoded), its state hash among it
//     version_count   the rows of `versions` and `grouped_versions` together
//     checksum        CRC-32C of all columns above but `id`, in their order (see CheckpointState.checksum)
//
//   versions          the changes that are alone in their revision: most of them
//     revision        INTEGER PRIMARY KEY: rows lie in the order of time, so that a checkpoint appends
//     key, value      blobs; of a deletion the value is empty
//     created         the revision at which the key was made; 0 for a deletion
//     version         counts the key's changes since; 0 for a deletion
//     lease           the lease that the key hangs on; 0 for none
//     deleted         1 for a deletion, else 0
//     previous        the revision of the version that this one took the place of; 0 for none
//     checksum        CRC-32C of key, value and the six numbers (see VersionRow.checksum)
//
//   grouped_versions  the changes that share their revision with others; as above, and
//     id              INTEGER PRIMARY KEY: rises in the order in which the changes of a revision were made
//     (unique index on revision, key)
//
// A version is dead when a later one took its place at or before `oldest`, a deletion when it is not after `oldest`.
// What each row took the place of is in the row, so dead rows are found from the revisions that `oldest` passed,
// without a search and without an index on keys. They stay a while: removing each at once would write a page of the
// file for every change. When they are more than a third of the file, neighbours are removed together (DeadRows.swift);
// a deletion goes after all older rows of its key.
//
// Each checkpoint is one transaction. SQLite's own journal (WAL, synchronous=FULL) lets a crash at any moment leave the
// old checkpoint or the new one whole; it is emptied after each.

/// The file. Its methods block: they are for a worker's thread.
final class CheckpointFile: Sendable {
    static let applicationID: Int64 = 0x4D41_524C
    static let version: Int64 = 2

    let path: String
    /// Dead rows of so many bytes stay whatever the size of the file.
    private let spareBytes: Int
    private let database: Mutex<Opened>

    /// The connection, and the state that the file holds.
    private struct Opened: ~Copyable, Sendable {
        var connection: SQLiteDatabase?
        var state: CheckpointState?
        /// The dead rows; nil when they are not known yet.
        var dead: DeadRows?
    }

    /// Opens or makes the file.
    /// - Throws: ``ReplicaError/unusable(_:)``.
    init(path: String, spareBytes: Int = Limits.deadBytes) throws {
        self.path = path
        self.spareBytes = spareBytes
        database = Mutex(try Self.open(path, creates: true))
    }

    private static func open(_ path: String, creates: Bool) throws -> Opened {
        do {
            let opened = try SQLiteDatabase(path: path, creates: creates)
            try prepare(opened, path)
            let state = try CheckpointState.read(opened, path)
            return Opened(connection: opened, state: state, dead: state == nil ? DeadRows() : nil)
        } catch let error as SQLiteError {
            throw ReplicaError.unusable(path, error)
        }
    }

    private static func prepare(_ database: borrowing SQLiteDatabase, _ path: String) throws {
        // The file may come from somewhere else: nothing in its schema is trusted.
        try database.execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0")
        let found = try database.number("PRAGMA application_id")
        let version = try database.number("PRAGMA user_version")
        let tables = try database.number("SELECT count(*) FROM sqlite_schema")
        let isNew = version == 0 && found == 0 && tables == 0
        if isNew {
            try database.execute("PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL")
        } else if found != applicationID {
            throw ReplicaError.unusable("\(path) is no checkpoint of this program; move it away")
        } else if version < Self.version {
            throw ReplicaError.unusable(
                "\(path): format \(version) is older than this program reads; carry the keys over with the release "
                    + "that wrote it, into an empty folder")
        } else if version > Self.version {
            throw ReplicaError.unusable(
                "\(path): format \(version) is newer than this program reads; run the newer release")
        }
        try database.execute(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; "
                + "PRAGMA wal_autocheckpoint=4096; PRAGMA journal_size_limit=\(Limits.checkpointJournalBytes)")
        guard isNew else { return }
        try database.transaction {
            try database.execute(schema)
            try database.execute("PRAGMA application_id=\(applicationID); PRAGMA user_version=\(Self.version)")
        }
    }

    private static let schema = """
        CREATE TABLE state(
            id INTEGER PRIMARY KEY CHECK (id = 1), cluster INTEGER, member INTEGER, applied_index INTEGER,
            applied_term INTEGER, membership BLOB, log_position INTEGER, log_index INTEGER, log_term INTEGER,
            term INTEGER, vote INTEGER, "commit" INTEGER, revision INTEGER, oldest INTEGER, image BLOB,
            version_count INTEGER, checksum INTEGER);
        CREATE TABLE versions(
            revision INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, created INTEGER NOT NULL,
            version INTEGER NOT NULL, lease INTEGER NOT NULL, deleted INTEGER NOT NULL, previous INTEGER NOT NULL,
            checksum INTEGER NOT NULL);
        CREATE TABLE grouped_versions(
            id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
            created INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL, deleted INTEGER NOT NULL,
            previous INTEGER NOT NULL, checksum INTEGER NOT NULL);
        CREATE UNIQUE INDEX grouped_places ON grouped_versions(revision, key);
        """

    /// Closes the file; later calls throw.
    func close() { database.withLock { $0.connection = nil } }

    /// Where the last checkpoint stands; nil when none was written.
    var state: CheckpointState? { database.withLock { $0.state } }

    /// The bytes of the file, and of those the ones that are free for use again.
    func sizes() throws -> (all: Int, free: Int) {
        try withDatabase { database, _, _ in
            let page = try database.number("PRAGMA page_size")
            let all = try database.number("PRAGMA page_count") * page
            return (Int(all), Int(try database.number("PRAGMA freelist_count") * page))
        }
    }

    /// Writes a checkpoint: what changed after the last one, in order, and where the state stands now. It is durable
    /// on return.
    func write(_ events: [StoreEvent], _ state: CheckpointState) throws {
        try readDead()
        try withDatabase { database, last, dead in
            var new = state
            var left = dead ?? DeadRows()
            let bytes = try Self.usedBytes(database)
            try database.transaction {
                var rows = try VersionRows(database)
                let before = last ?? CheckpointState(identity: state.identity)
                left.add(try rows.dead(after: before.oldest, through: min(state.oldest, before.revision)))
                let batch = CheckpointBatch(events, after: before.revision, oldest: state.oldest)
                left.add(batch.dead)
                try rows.add(batch)
                try rows.remove(left.take(whenOver: max(bytes - left.bytes, 0) / 2 + spareBytes))
                new.versionCount = before.versionCount + rows.added - rows.removed
                try new.write(database)
            }
            last = new
            dead = left
            try Self.giveBack(database)
        }
    }

    /// Finds the dead rows of a file that was not written by this value before.
    private func readDead() throws {
        if database.withLock({ $0.dead == nil }) { try read { _ in } }
    }

    private static func usedBytes(_ database: borrowing SQLiteDatabase) throws(SQLiteError) -> Int {
        let pages = try database.number("PRAGMA page_count") - database.number("PRAGMA freelist_count")
        return Int(pages * (try database.number("PRAGMA page_size")))
    }

    /// Empties the journal, and returns free pages to the file system: a bounded number, and not the last of them,
    /// which the next checkpoint wants. What fails here fails nothing: the next checkpoint tries again.
    private static func giveBack(_ database: borrowing SQLiteDatabase) throws {
        let free = try database.number("PRAGMA freelist_count")
        let spare = try database.number("PRAGMA page_count") / 8
        do {
            if free > spare {
                try database.execute("PRAGMA incremental_vacuum(\(min(free - spare, Limits.vacuumPages)))")
            }
            // A snapshot under way holds on to the journal; that is not worth waiting for.
            try database.execute("PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout=5000")
        } catch {
            if error.isSyncFailure { throw error }
        }
    }

    /// Sets all but the versions anew, for a checkpoint that goes on under another name or revision.
    func rewrite(_ change: (inout CheckpointState) throws -> Void) throws {
        try withDatabase { database, last, _ in
            guard var state = last else { throw ReplicaError.unusable("\(path) holds no checkpoint") }
            try change(&state)
            try database.transaction { try state.write(database) }
            last = state
        }
    }

    /// The last checkpoint's versions in the order of their revisions, one by one.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the file is damaged, and what `take` throws.
    func read(_ take: (VersionRow) throws -> Void) throws {
        try withDatabase { database, state, dead in
            guard let state else { return }
            var count = 0
            var found = DeadRows.Finder(oldest: state.oldest, rows: state.versionCount)
            try VersionRows.read(database, path) { version in
                count += 1
                found.see(version)
                guard version.pair.modRevision <= state.revision else {
                    throw ReplicaError.damaged(
                        path,
                        "it holds a change of revision \(version.pair.modRevision), "
                            + "which is after its own revision \(state.revision)")
                }
                try take(version)
            }
            guard count == state.versionCount else {
                throw ReplicaError.damaged(path, "it holds \(count) versions where it counts \(state.versionCount)")
            }
            dead = DeadRows(found.dead)
        }
    }

    /// Copies the whole file, without what is free in it, to `target`, which must not be there. Uses a connection of
    /// its own: checkpoints go on meanwhile.
    func copy(to target: String) throws {
        do {
            let source = try SQLiteDatabase(path: path, creates: false)
            try source.execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA synchronous=OFF")
            let statement = try source.prepare("VACUUM INTO ?")
            try statement.bind(1, text: target)
            try statement.run()
        } catch {
            throw ReplicaError.unusable(path, error)
        }
    }

    /// Folds the journal into the file, so that the file alone is whole, and closes it.
    func closeWhole() throws {
        try withDatabase { connection, _, _ in
            let mode = try connection.text("PRAGMA journal_mode=DELETE")
            guard mode == "delete" else { throw ReplicaError.unusable("\(path) is in use by another program") }
        }
        close()
    }

    /// Opens the file that is now at the path.
    func reopen() throws {
        try database.withLock { $0 = try Self.open(path, creates: false) }
    }

    private func withDatabase<Value>(
        _ body: (borrowing SQLiteDatabase, inout CheckpointState?, inout DeadRows?) throws -> Value
    ) throws -> Value {
        try database.withLock { opened in
            do {
                switch opened.connection {
                case .some(let connection): return try body(connection, &opened.state, &opened.dead)
                case .none: throw ReplicaError.stopped("\(path) is closed, or a sync of it failed: restart this member")
                }
            } catch let error as SQLiteError {
                // The kernel may have dropped the pages: writing them once more proves nothing.
                if error.isSyncFailure { opened.connection = nil }
                throw ReplicaError.unusable(path, error)
            }
        }
    }
}

extension ReplicaError {
    /// What SQLite says of a file.
    static func unusable(_ path: String, _ error: SQLiteError) -> ReplicaError {
        error.isDamage ? damaged(path, "\(error)") : .unusable("\(path): \(error)")
    }

    /// A file that holds something that no crash of ours can leave.
    static func damaged(_ path: String, _ what: String) -> ReplicaError {
        .unusable("\(path) is damaged: \(what); restore this member from a snapshot or let it join anew")
    }
}
