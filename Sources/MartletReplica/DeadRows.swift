internal import MartletStore

/// A row of the checkpoint that nobody can see any more.
struct DeadRow: Sendable {
    var place: VersionPlace
    /// What it takes in the file, about.
    var bytes: Int
    /// Whether it says that its key is gone. As long as older rows of the key are in the file, it must be too: else the
    /// key would be there again when the file is read.
    var isDeletion: Bool
    /// From which round on it may go.
    fileprivate var notBefore = 0

    init(_ place: VersionPlace, valueBytes: Int, isDeletion: Bool = false) {
        self.place = place
        self.isDeletion = isDeletion
        bytes = DeadRow.overhead + place.key.count + valueBytes
    }

    private static let overhead = 32
}

/// The dead rows that are still in the file. Rows lie in the order of their revisions: those that died together are far
/// apart, and those of near revisions share pages. So they are gathered, and removed by ranges of revisions, one range
/// after the other, round after round.
struct DeadRows: Sendable {
    private var rows: [DeadRow] = []
    private var isSorted = true
    private(set) var bytes = 0
    /// Where in its round the removal stands.
    private var cursor: Int64 = 0
    private var round = 0

    private static let roundsAtOnce = 3

    init(_ rows: [DeadRow] = []) { add(rows) }

    /// How many there are.
    var count: Int { rows.count }

    /// Takes note of dead rows; of a key's rows all that are older than its deletion, before it or with it.
    mutating func add(_ dead: [DeadRow]) {
        guard !dead.isEmpty else { return }
        isSorted = false
        for var row in dead {
            // Older rows of the key that this round has passed by already go in the next one.
            if row.isDeletion { row.notBefore = round + 2 }
            bytes += row.bytes
            rows.append(row)
        }
    }

    /// Takes out what is over `limit` bytes, a bounded number of rows.
    mutating func take(whenOver limit: Int) -> [DeadRow] {
        guard bytes > limit, !rows.isEmpty else { return [] }
        if !isSorted { rows.sort { $0.place.revision < $1.place.revision } }
        isSorted = true
        var isTaken = [Bool](repeating: false, count: rows.count)
        var taken: [DeadRow] = []
        var index = rows.firstIndex { $0.place.revision >= cursor } ?? rows.count
        var ended = 0
        while bytes > limit, taken.count < Limits.deadRowsRemoved {
            if index == rows.count {
                round += 1
                ended += 1
                index = 0
                if ended == Self.roundsAtOnce { break }
            } else {
                if !isTaken[index], rows[index].notBefore <= round {
                    isTaken[index] = true
                    bytes -= rows[index].bytes
                    taken.append(rows[index])
                }
                index += 1
            }
        }
        cursor = index < rows.count ? rows[index].place.revision : .max
        rows = zip(rows, isTaken).filter { !$0.1 }.map(\.0)
        return taken
    }

    /// Finds dead rows among all rows in their order.
    struct Finder {
        private let oldest: Int64
        private var last: [[UInt8]: (revision: Int64, valueBytes: Int)] = [:]
        private(set) var dead: [DeadRow] = []

        /// - Parameter rows: how many there will be, about.
        init(oldest: Int64, rows: Int) {
            self.oldest = oldest
            last.reserveCapacity(min(rows, 1 << 24))
        }

        mutating func see(_ version: VersionRow) {
            let (key, revision) = (version.pair.key, version.pair.modRevision)
            guard revision <= oldest else { return }
            if let before = last.updateValue((revision, version.pair.value.count), forKey: key) {
                let place = VersionPlace(revision: before.revision, key: key)
                dead.append(DeadRow(place, valueBytes: before.valueBytes))
            }
            guard version.isDeletion else { return }
            dead.append(DeadRow(VersionPlace(revision: revision, key: key), valueBytes: 0, isDeletion: true))
            last[key] = nil
        }
    }
}
