internal import MartletIO
internal import MartletRaft
internal import MartletStore
internal import Synchronization

// The checkpoint: the applied state in one SQLite file, `checkpoint.sqlite`. A snapshot is the same file, with nobody's
// name in it and a SHA-256 behind it (see SnapshotReader.swift). Format 3:
//
//   PRAGMA application_id  0x4D41524C ("MARL")
//   PRAGMA user_version    3
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
//     version_count   the rows of all chunks
//     checksum        CRC-32C of all columns above but `id`, in their order (see CheckpointState.checksum)
//
//   versions          the changes, many in a row of this table: a chunk
//     first           INTEGER PRIMARY KEY: the revision of its first change. Chunks, and the changes in them, lie in
//                     the order of revisions, so that a checkpoint appends; no revision is divided.
//     rows            how many changes it holds
//     checksum        CRC-32C of first, rows and body
//     body            the changes, encoded (see VersionRows)
//
// A change's row is dead when a later one took its place at or before `oldest`, a deletion when it is not after
// `oldest`. Who runs the file knows them from the changes; who opens it, from reading all rows in their order. They
// stay a while, and go chunk by chunk (ChunkIndex.swift); a deletion goes after all older rows of its key.
//
// A checkpoint is one transaction, or several: chunks after the state's revision are of one that was not finished, and
// count for nothing. SQLite's own journal (WAL, synchronous=FULL) lets a crash at any moment leave the
// old checkpoint or the new one whole; it is emptied after each.

/// The file. Its methods block: they are for a worker's thread.
final class CheckpointFile: Sendable {
    static let applicationID: Int64 = 0x4D41_524C
    static let version: Int64 = 3

    let path: String
    /// Dead rows of so many bytes stay whatever the size of the file.
    private let spareBytes: Int
    /// The size of a chunk, about.
    private let chunkBytes: Int
    private let database: Mutex<Opened>

    /// The connection, and the state that the file holds.
    private struct Opened: ~Copyable, Sendable {
        var connection: SQLiteDatabase?
        var state: CheckpointState?
        /// What is known of the rows; nil when nothing is yet.
        var index: ChunkIndex?
    }

    /// Opens or makes the file.
    /// - Throws: ``ReplicaError/unusable(_:)``.
    init(path: String, spareBytes: Int = Limits.deadBytes, chunkBytes: Int = Chunk.target) throws {
        self.path = path
        self.spareBytes = spareBytes
        self.chunkBytes = chunkBytes
        database = Mutex(try Self.open(path, creates: true))
    }

    private static func open(_ path: String, creates: Bool) throws -> Opened {
        do {
            let opened = try SQLiteDatabase(path: path, creates: creates)
            try prepare(opened, path)
            let state = try CheckpointState.read(opened, path)
            return Opened(connection: opened, state: state, index: state == nil ? ChunkIndex() : nil)
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
            first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL);
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
    ///
    /// The changes go to the file in steps, and only the last one makes them count. The log lies on the same disk: a
    /// sync of all at once would hold up every write of that moment.
    func write(_ changes: ChangeLog, _ state: CheckpointState) throws {
        try readIndex()
        try withDatabase { database, last, known in
            let before = last ?? CheckpointState(identity: state.identity)
            var changes = changes
            changes.drop(after: before.revision, oldest: state.oldest)
            var index = known ?? ChunkIndex()
            let bytes = try Self.usedBytes(database)
            try ChunkTable.removeAll(after: before.revision, in: database)
            // What waits must not grow without end: one that is late does not rest.
            let isLate = changes.size > Limits.checkpointLateBytes
            let stepBytes = isLate ? Limits.checkpointLateStepBytes : Limits.checkpointStepBytes
            var stepped = 0
            var step: [(chunk: Chunk, body: [UInt8])] = []
            try changes.forEach(ofAbout: chunkBytes) { chunk, body in
                index.append(chunk)
                step.append((chunk, body))
                stepped += body.count
                if stepped >= stepBytes {
                    try Self.write(step, database, restingAtMost: isLate ? .zero : Limits.checkpointPause)
                    step = []
                    stepped = 0
                }
            } replacement: {
                index.append($0)
            }
            var new = state
            try database.transaction {
                let table = try ChunkTable(database)
                for (chunk, body) in step { try table.insert(chunk, body) }
                index.pass(state.oldest)
                let limit = max(bytes - index.deadBytes, 0) / 2 + spareBytes
                try index.clean(downTo: limit, table, chunkBytes: chunkBytes)
                new.versionCount = index.rows
                try new.write(database)
            }
            last = new
            known = index
            try giveBack(database)
        }
    }

    /// Writes chunks ahead of the state that they belong to, and leaves the disk to the log for a while.
    private static func write(
        _ step: [(chunk: Chunk, body: [UInt8])], _ database: borrowing SQLiteDatabase, restingAtMost pause: Duration
    ) throws {
        try BlockingWorker.gently(restingAtMost: pause) {
            try database.transaction {
                let table = try ChunkTable(database)
                for (chunk, body) in step { try table.insert(chunk, body) }
            }
            try database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        }
    }

    /// Gets to know the rows of a file that was not written by this value before.
    private func readIndex() throws {
        if database.withLock({ $0.index == nil }) { try readRows { _ in } }
    }

    private static func usedBytes(_ database: borrowing SQLiteDatabase) throws(SQLiteError) -> Int {
        let pages = try database.number("PRAGMA page_count") - database.number("PRAGMA freelist_count")
        return Int(pages * (try database.number("PRAGMA page_size")))
    }

    /// Empties the journal, and returns free pages to the file system: a bounded number, and not the last of them,
    /// which the next checkpoints want: to move pages out of the way of those would cost more than they take. What
    /// fails here fails nothing: the next checkpoint tries again.
    private func giveBack(_ database: borrowing SQLiteDatabase) throws {
        let free = try database.number("PRAGMA freelist_count")
        let wanted = try Int64(4 * max(spareBytes, 0)) / database.number("PRAGMA page_size")
        let spare = max(try database.number("PRAGMA page_count") / 8, wanted)
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

    /// Gives up what SQLite keeps in memory. No checkpoint needs it; it is read again where one does.
    func forgetPages() { try? withDatabase { database, _, _ in try database.execute("PRAGMA shrink_memory") } }

    /// Sets all but the versions anew, for a checkpoint that goes on under another name or revision.
    func rewrite(_ change: (inout CheckpointState) throws -> Void) throws {
        try withDatabase { database, last, _ in
            guard var state = last else { throw ReplicaError.unusable("\(path) holds no checkpoint") }
            try change(&state)
            try database.transaction {
                // Nothing unfinished may come to count by a higher revision.
                try ChunkTable.removeAll(after: last?.revision ?? 0, in: database)
                try state.write(database)
            }
            last = state
        }
    }

    /// The last checkpoint's versions in the order of their revisions, one by one.
    /// - Throws: ``ReplicaError/unusable(_:)`` when the file is damaged, and what `take` throws.
    func read(_ take: (StoredVersion) throws -> Void) throws { try readRows { try take($0.version) } }

    private func readRows(_ take: (EncodedRow) throws -> Void) throws {
        try withDatabase { database, state, index in
            guard let state else { return }
            var reader = ChunkIndexReader(oldest: state.oldest)
            var count = 0
            var last: Int64 = 0
            try ChunkTable.forEach(through: state.revision, in: database) { chunk, body in
                reader.see(chunk)
                let rows = try VersionRows.forEach(in: body) { row in
                    guard row.revision >= max(last, chunk.first), row.revision <= state.revision else {
                        throw ReplicaError.damaged(
                            path, "a change of revision \(row.revision) is out of its place")
                    }
                    last = row.revision
                    reader.see(row)
                    try take(row)
                }
                guard rows == chunk.rows else {
                    throw SQLiteError.damage("the versions from revision \(chunk.first) on are no \(chunk.rows) rows")
                }
                count += chunk.rows
            }
            guard count == state.versionCount else {
                throw ReplicaError.damaged(path, "it holds \(count) versions where it counts \(state.versionCount)")
            }
            index = reader.finish()
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
        _ body: (borrowing SQLiteDatabase, inout CheckpointState?, inout ChunkIndex?) throws -> Value
    ) throws -> Value {
        try database.withLock { opened in
            do {
                switch opened.connection {
                case .some(let connection): return try body(connection, &opened.state, &opened.index)
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
