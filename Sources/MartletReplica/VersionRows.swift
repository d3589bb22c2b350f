internal import MartletIO
internal import MartletStore

/// A version of a key as the checkpoint keeps it.
struct VersionRow: Sendable, Hashable {
    /// The key as of this version; of a deletion the value is empty and `modRevision` that of the deletion.
    var pair: KeyValue
    var isDeletion: Bool
    /// The revision of the version before; 0 for none.
    var previous: Int64

    /// Over key and value, each with its length, and the numbers in the order of their columns.
    var checksum: Int64 {
        var sum = Checksum()
        sum.add(Int64(pair.key.count))
        sum.add(pair.key)
        sum.add(Int64(pair.value.count))
        sum.add(pair.value)
        sum.add(pair.modRevision)
        sum.add(pair.createRevision)
        sum.add(pair.version)
        sum.add(pair.lease)
        sum.add(isDeletion ? 1 : 0)
        sum.add(previous)
        return Int64(sum.value)
    }
}

/// The place of a row.
struct VersionPlace: Sendable, Hashable {
    var revision: Int64
    var key: [UInt8]
}

/// What the changes since the last checkpoint come to: a version that was made and has gone meanwhile never reaches
/// the file.
struct CheckpointBatch: Sendable {
    /// The versions that stay, and deletions of keys that the file has rows of, in order.
    private(set) var versions: [VersionRow] = []
    /// Rows of the file that are dead from now on, and those of `versions` that are.
    private(set) var dead: [DeadRow] = []

    /// What is known of a key.
    private struct Latest {
        /// Its last change's place among those that are kept.
        var place: Int
        /// Whether the file has rows of it that no deletion in the file covers.
        var isInFile: Bool
    }

    /// - Parameters:
    ///   - events: in order; those not after `revision` are in the file already.
    ///   - oldest: the oldest revision that can still be read.
    init(_ events: [StoreEvent], after revision: Int64, oldest: Int64) {
        var latest: [[UInt8]: Latest] = [:]
        var kept: [VersionRow?] = []
        kept.reserveCapacity(events.count)
        for event in events where event.pair.modRevision > revision {
            let key = event.pair.key
            let now = event.pair.modRevision
            var version = VersionRow(
                pair: event.pair, isDeletion: event.isDeletion, previous: event.previous?.modRevision ?? 0)
            let before = latest[key]
            let replacesRow = version.previous > 0 && version.previous <= revision
            let isInFile = before?.isInFile ?? false || replacesRow
            if version.previous == now, let before {
                // A key that changed twice in one revision: only the second one can be seen.
                version.previous = kept[before.place]?.previous ?? 0
                kept[before.place] = nil
            } else if now <= oldest, version.previous > revision, let before {
                kept[before.place] = nil
            } else if now <= oldest, replacesRow {
                let place = VersionPlace(revision: version.previous, key: key)
                dead.append(DeadRow(place, valueBytes: event.previous?.value.count ?? 0))
            }
            latest[key] = Latest(place: kept.count, isInFile: isInFile)
            kept.append(version)
            guard event.isDeletion, now <= oldest else { continue }
            if isInFile {
                dead.append(DeadRow(VersionPlace(revision: now, key: key), valueBytes: 0, isDeletion: true))
            } else {
                kept[kept.count - 1] = nil
            }
            latest[key]?.isInFile = false
        }
        versions = kept.compactMap { $0 }
    }

    /// The same changes without those that nobody can see any more: of each key's changes through `oldest` the last
    /// one, which takes the place of what the first one did.
    static func visible(of events: [StoreEvent], oldest: Int64) -> [StoreEvent] {
        var kept: [StoreEvent?] = []
        var places: [[UInt8]: Int] = [:]
        for var event in events {
            if event.pair.modRevision <= oldest {
                if let earlier = places[event.pair.key] {
                    event.previous = kept[earlier]?.previous
                    kept[earlier] = nil
                }
                places[event.pair.key] = kept.count
            }
            kept.append(event)
        }
        return kept.compactMap { $0 }
    }
}

/// The rows of `versions` and `grouped_versions`, within one transaction.
struct VersionRows: ~Copyable {
    private let insertions: Pair
    private let deletions: Pair
    private let scans: Pair
    private(set) var added = 0
    private(set) var removed = 0

    private static let columns = "revision, key, value, created, version, lease, deleted, previous, checksum"
    init(_ database: borrowing SQLiteDatabase) throws(SQLiteError) {
        let places = "(\(Self.columns)) VALUES (?,?,?,?,?,?,?,?,?)"
        let scan = "SELECT revision, key, deleted, previous, length(value) FROM"
        let span = "WHERE revision > ? AND revision <= ?"
        let insertions = try Pair(database, "INSERT INTO versions\(places)", "INSERT INTO grouped_versions\(places)")
        let deletions = try Pair(
            database, "DELETE FROM versions WHERE revision = ? AND key = ?",
            "DELETE FROM grouped_versions WHERE revision = ? AND key = ?")
        let scans = try Pair(database, "\(scan) versions \(span)", "\(scan) grouped_versions \(span)")
        self.insertions = insertions
        self.deletions = deletions
        self.scans = scans
    }

    /// The same statement for each of the tables.
    private struct Pair: ~Copyable {
        let single: SQLiteStatement
        let grouped: SQLiteStatement

        init(_ database: borrowing SQLiteDatabase, _ single: String, _ grouped: String) throws(SQLiteError) {
            let first = try database.prepare(single)
            self.grouped = try database.prepare(grouped)
            self.single = first
        }
    }

    /// Writes a batch.
    mutating func add(_ batch: CheckpointBatch) throws(SQLiteError) {
        let versions = batch.versions
        var start = 0
        while start < versions.count {
            var end = start + 1
            while end < versions.count, versions[end].pair.modRevision == versions[start].pair.modRevision { end += 1 }
            for version in versions[start..<end] { try insert(version, isAlone: end == start + 1) }
            start = end
        }
    }

    private mutating func insert(_ version: VersionRow, isAlone: Bool) throws(SQLiteError) {
        if isAlone {
            try version.bind(to: insertions.single)
            try insertions.single.run()
        } else {
            try version.bind(to: insertions.grouped)
            try insertions.grouped.run()
        }
        added += 1
    }

    /// Removes dead rows, all of which must be there.
    mutating func remove(_ dead: [DeadRow]) throws(SQLiteError) {
        for row in dead { try remove(row.place) }
    }

    private mutating func remove(_ place: VersionPlace) throws(SQLiteError) {
        try deletions.single.bind(1, place.revision)
        try deletions.single.bind(2, place.key)
        try deletions.single.run()
        if deletions.single.changes == 0 {
            try deletions.grouped.bind(1, place.revision)
            try deletions.grouped.bind(2, place.key)
            try deletions.grouped.run()
            guard deletions.grouped.changes == 1 else {
                throw SQLiteError.damage("the version of revision \(place.revision) that a later one names is missing")
            }
        }
        removed += 1
    }

    /// The rows that the revisions after `after` through `through` made dead, themselves among them.
    mutating func dead(after: Int64, through: Int64) throws(SQLiteError) -> [DeadRow] {
        var dead: [DeadRow] = []
        guard after < through else { return dead }
        try Self.scan(scans.single, after: after, through: through, &dead)
        try Self.scan(scans.grouped, after: after, through: through, &dead)
        return dead
    }

    private static func scan(
        _ statement: borrowing SQLiteStatement, after: Int64, through: Int64, _ dead: inout [DeadRow]
    ) throws(SQLiteError) {
        try statement.bind(1, after)
        try statement.bind(2, through)
        while try statement.step() {
            let place = VersionPlace(revision: statement.integer(0), key: statement.bytes(1))
            let bytes = Int(statement.integer(4))
            let previous = statement.integer(3)
            if previous > 0 {
                dead.append(DeadRow(VersionPlace(revision: previous, key: place.key), valueBytes: bytes))
            }
            if statement.integer(2) != 0 { dead.append(DeadRow(place, valueBytes: 0, isDeletion: true)) }
        }
        statement.reset()
    }

    /// All versions in the order of their revisions.
    static func read(
        _ database: borrowing SQLiteDatabase, _ path: String, _ take: (VersionRow) throws -> Void
    ) throws {
        let singles = try database.prepare("SELECT \(columns) FROM versions ORDER BY revision")
        let groups = try database.prepare("SELECT \(columns) FROM grouped_versions ORDER BY id")
        var hasSingle = try singles.step()
        var hasGroup = try groups.step()
        var last: Int64 = 0
        while hasSingle || hasGroup {
            let takesSingle = hasSingle && (!hasGroup || singles.integer(0) < groups.integer(0))
            let version = try takesSingle ? VersionRow(singles, path) : VersionRow(groups, path)
            guard version.pair.modRevision >= last else {
                throw ReplicaError.damaged(path, "its versions are not in the order of their revisions")
            }
            last = version.pair.modRevision
            try take(version)
            if takesSingle { hasSingle = try singles.step() } else { hasGroup = try groups.step() }
        }
    }
}

extension VersionRow {
    fileprivate func bind(to statement: borrowing SQLiteStatement) throws(SQLiteError) {
        try statement.bind(1, pair.modRevision)
        try statement.bind(2, pair.key)
        try statement.bind(3, pair.value)
        try statement.bind(4, pair.createRevision)
        try statement.bind(5, pair.version)
        try statement.bind(6, pair.lease)
        try statement.bind(7, isDeletion ? 1 : 0)
        try statement.bind(8, previous)
        try statement.bind(9, checksum)
    }

    /// The row that a statement stands at.
    fileprivate init(_ row: borrowing SQLiteStatement, _ path: String) throws(ReplicaError) {
        pair = KeyValue(
            key: row.bytes(1), value: row.bytes(2), createRevision: row.integer(3), modRevision: row.integer(0),
            version: row.integer(4), lease: row.integer(5))
        isDeletion = row.integer(6) != 0
        previous = row.integer(7)
        guard checksum == row.integer(8), row.integer(6) == (isDeletion ? 1 : 0) else {
            throw .damaged(path, "the checksum of the version of revision \(pair.modRevision) is wrong")
        }
    }
}
