internal import CSQLite

/// What SQLite said.
struct SQLiteError: Error, Sendable, CustomStringConvertible {
    var code: Int32
    var description: String
    /// Whether an fsync failed: what the disk holds is no longer known.
    var isSyncFailure = false

    /// What is in the file cannot be so.
    static func damage(_ what: String) -> SQLiteError { SQLiteError(code: SQLITE_CORRUPT, description: what) }

    /// Whether the file is damaged or none of SQLite's, in contrast to a failing disk or a mistake of ours.
    var isDamage: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
}

extension SQLiteError {
    /// What went wrong last.
    fileprivate init(_ status: Int32, of database: OpaquePointer) {
        let extended = sqlite3_extended_errcode(database)
        // SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC, which C spells as shifts.
        let isSyncFailure = extended == SQLITE_IOERR | 4 << 8 || extended == SQLITE_IOERR | 5 << 8
        self.init(
            code: status & 0xFF, description: String(cString: sqlite3_errmsg(database)), isSyncFailure: isSyncFailure)
    }
}

/// An open database. One thread at a time.
// Unchecked: its owner keeps it in a Mutex, and SQLite lets a connection move between threads.
struct SQLiteDatabase: ~Copyable, @unchecked Sendable {
    private let handle: OpaquePointer

    /// Opens the file; makes it when `creates`.
    init(path: String, creates: Bool = true) throws(SQLiteError) {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | (creates ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX
        let status = sqlite3_open_v2(path, &opened, flags, nil)
        guard status == SQLITE_OK, let opened else {
            let text = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
            sqlite3_close_v2(opened)
            throw SQLiteError(code: status & 0xFF, description: text)
        }
        handle = opened
        // Another process may be reading a copy out of the file; that takes no longer.
        sqlite3_busy_timeout(handle, 5000)
    }

    deinit { sqlite3_close_v2(handle) }

    /// Runs statements that return nothing of interest.
    func execute(_ sql: String) throws(SQLiteError) {
        try check(sqlite3_exec(handle, sql, nil, nil, nil))
    }

    /// Compiles one statement.
    func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        var compiled: OpaquePointer?
        try check(sqlite3_prepare_v2(handle, sql, -1, &compiled, nil))
        guard let compiled else { throw SQLiteError(code: SQLITE_MISUSE, description: "no statement") }
        return SQLiteStatement(compiled, of: handle)
    }

    /// The first number that a query answers with; 0 when it has no rows.
    func number(_ sql: String) throws(SQLiteError) -> Int64 {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : 0
    }

    /// The first text that a query answers with; empty when it has no rows.
    func text(_ sql: String) throws(SQLiteError) -> String {
        let statement = try prepare(sql)
        return try statement.step() ? String(decoding: statement.bytes(0), as: UTF8.self) : ""
    }

    /// Carries out `body` in a transaction: all of it is durable when this returns, or none of it happened.
    func transaction(_ body: () throws -> Void) throws {
        try execute("BEGIN IMMEDIATE")
        do {
            try body()
            try execute("COMMIT")
        } catch {
            try? execute("ROLLBACK")
            throw error
        }
    }

    private func check(_ status: Int32) throws(SQLiteError) {
        if status != SQLITE_OK { throw SQLiteError(status, of: handle) }
    }
}

/// A compiled statement. It must not outlive its database.
struct SQLiteStatement: ~Copyable {
    private let handle: OpaquePointer
    private let database: OpaquePointer
    /// SQLite's SQLITE_TRANSIENT, which C spells as a cast: what is bound is copied.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    fileprivate init(_ handle: OpaquePointer, of database: OpaquePointer) {
        self.handle = handle
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    /// Binds a number to the parameter of that position, from 1.
    func bind(_ position: Int32, _ value: Int64) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, position, value))
    }

    /// Binds text.
    func bind(_ position: Int32, text: String) throws(SQLiteError) {
        try check(sqlite3_bind_text(handle, position, text, -1, Self.transient))
    }

    /// Binds bytes; none are an empty blob, not NULL.
    func bind(_ position: Int32, _ value: [UInt8]) throws(SQLiteError) {
        guard !value.isEmpty else { return try check(sqlite3_bind_zeroblob(handle, position, 0)) }
        let status = value.withUnsafeBytes {
            sqlite3_bind_blob64(handle, position, $0.baseAddress, sqlite3_uint64($0.count), Self.transient)
        }
        try check(status)
    }

    /// Goes on to the next row; false at the end.
    func step() throws(SQLiteError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let status:
            throw SQLiteError(status, of: database)
        }
    }

    /// Runs a statement that returns no rows, and makes it ready to be bound again.
    func run() throws(SQLiteError) {
        _ = try step()
        try check(sqlite3_reset(handle))
    }

    /// How many rows the database's last change has changed.
    var changes: Int { Int(sqlite3_changes64(database)) }

    /// Makes the statement ready to be bound again, wherever it stands.
    func reset() { sqlite3_reset(handle) }

    /// A number of the row, by column from 0.
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// Bytes of the row.
    func bytes(_ column: Int32) -> [UInt8] {
        let count = Int(sqlite3_column_bytes(handle, column))
        guard count > 0, let start = sqlite3_column_blob(handle, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private func check(_ status: Int32) throws(SQLiteError) {
        if status != SQLITE_OK { throw SQLiteError(status, of: database) }
    }
}
