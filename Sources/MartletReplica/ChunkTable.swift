internal import MartletIO

/// The chunks in the file, within one transaction.
struct ChunkTable: ~Copyable {
    private let insertion: SQLiteStatement
    private let deletion: SQLiteStatement
    private let query: SQLiteStatement

    init(_ database: borrowing SQLiteDatabase) throws(SQLiteError) {
        let insertion = try database.prepare("INSERT INTO versions(first, rows, checksum, body) VALUES (?,?,?,?)")
        let deletion = try database.prepare("DELETE FROM versions WHERE first = ?")
        query = try database.prepare("SELECT first, rows, checksum, body FROM versions WHERE first = ?")
        self.insertion = insertion
        self.deletion = deletion
    }

    /// Writes a chunk.
    func insert(_ chunk: Chunk, _ body: [UInt8]) throws(SQLiteError) {
        try insertion.bind(1, chunk.first)
        try insertion.bind(2, Int64(chunk.rows))
        try insertion.bind(3, Self.checksum(chunk.first, Int64(chunk.rows), body))
        try insertion.bind(4, body)
        try insertion.run()
    }

    /// The rows of a chunk, which must be there.
    func read(_ first: Int64) throws(SQLiteError) -> [UInt8] {
        try query.bind(1, first)
        defer { query.reset() }
        guard try query.step() else { throw SQLiteError.damage("the versions from revision \(first) on are gone") }
        return try Self.row(query).body
    }

    /// Removes a chunk.
    func remove(_ first: Int64) throws(SQLiteError) {
        try deletion.bind(1, first)
        try deletion.run()
    }

    /// Removes the chunks after a revision: those of a checkpoint that was not finished.
    static func removeAll(after revision: Int64, in database: borrowing SQLiteDatabase) throws(SQLiteError) {
        let statement = try database.prepare("DELETE FROM versions WHERE first > ?")
        try statement.bind(1, revision)
        try statement.run()
    }

    /// Hands out the chunks through a revision, in order.
    static func forEach(
        through revision: Int64, in database: borrowing SQLiteDatabase, _ take: (Chunk, [UInt8]) throws -> Void
    ) throws {
        let query = try database.prepare(
            "SELECT first, rows, checksum, body FROM versions WHERE first <= ? ORDER BY first")
        try query.bind(1, revision)
        while try query.step() {
            let (chunk, body) = try row(query)
            try take(chunk, body)
        }
    }

    private static func row(_ query: borrowing SQLiteStatement) throws(SQLiteError) -> (chunk: Chunk, body: [UInt8]) {
        let (first, rows, body) = (query.integer(0), query.integer(1), query.bytes(3))
        guard checksum(first, rows, body) == query.integer(2) else {
            throw SQLiteError.damage("the checksum of the versions from revision \(first) on is wrong")
        }
        // Each row takes some bytes, so that this is also a number of rows that can be.
        guard rows > 0, rows <= body.count / VersionRows.head else {
            throw SQLiteError.damage("the versions from revision \(first) on are no \(rows) rows")
        }
        return (Chunk(first: first, rows: Int(rows), bytes: body.count), body)
    }

    private static func checksum(_ first: Int64, _ rows: Int64, _ body: [UInt8]) -> Int64 {
        var sum = Checksum()
        sum.add(first)
        sum.add(rows)
        sum.add(body)
        return Int64(sum.value)
    }
}
