internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletStore

/// Who a replica is.
struct ReplicaIdentity: Sendable, Hashable {
    var cluster: UInt64
    var member: UInt64
}

/// Where the log that goes with a checkpoint begins.
struct LogBase: Sendable, Hashable {
    /// The device's position of its first record; what is before it is to be forgotten.
    var position: UInt64 = 1
    /// The entry before the first one there, and its term: 0 at the beginning of the world, else a snapshot's end.
    var index: UInt64 = 0
    var term: UInt64 = 0
}

/// Where a checkpoint stands, apart from the versions.
struct CheckpointState: Sendable, Hashable {
    var identity: ReplicaIdentity
    var appliedIndex: UInt64 = 0
    var appliedTerm: UInt64 = 0
    var membership = Membership()
    var base = LogBase()
    var hardState = HardState()
    var revision: Int64 = 1
    var oldest: Int64 = 1
    /// The store but for its versions, encoded.
    var image: [UInt8] = []
    /// How many versions the file holds; kept by the file.
    var versionCount = 0

    private var numbers: [Int64] {
        [
            identity.cluster, identity.member, appliedIndex, appliedTerm, base.position, base.index, base.term,
            hardState.term, hardState.vote?.number ?? 0, hardState.commit,
        ].map(Int64.init(bitPattern:)) + [revision, oldest, Int64(versionCount)]
    }

    /// Over the numbers in the order of their columns, then both blobs.
    private var checksum: Int64 {
        var sum = Checksum()
        for number in numbers { sum.add(number) }
        for blob in [membership.encoded(), image] {
            sum.add(Int64(blob.count))
            sum.add(blob)
        }
        return Int64(sum.value)
    }

    private static let columns = """
        cluster, member, applied_index, applied_term, log_position, log_index, log_term, term, vote, "commit", \
        revision, oldest, version_count, membership, image, checksum
        """

    func write(_ database: borrowing SQLiteDatabase) throws(SQLiteError) {
        let statement = try database.prepare(
            "INSERT OR REPLACE INTO state(\(Self.columns), id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,1)")
        let numbers = numbers
        for (place, number) in numbers.enumerated() { try statement.bind(Int32(place + 1), number) }
        let next = Int32(numbers.count + 1)
        try statement.bind(next, membership.encoded())
        try statement.bind(next + 1, image)
        try statement.bind(next + 2, checksum)
        try statement.run()
    }

    /// The file's state; nil when none was written.
    static func read(_ database: borrowing SQLiteDatabase, _ path: String) throws -> CheckpointState? {
        let row = try database.prepare("SELECT \(columns) FROM state WHERE id = 1")
        guard try row.step() else {
            let versions = try database.number("SELECT count(*) FROM versions")
            guard versions == 0 else { throw ReplicaError.damaged(path, "its state is gone") }
            return nil
        }
        var signed: [Int64] = []
        for column in Int32(0)..<13 { signed.append(row.integer(column)) }
        let unsigned = signed.map(UInt64.init(bitPattern:))
        var state = CheckpointState(identity: ReplicaIdentity(cluster: unsigned[0], member: unsigned[1]))
        state.appliedIndex = unsigned[2]
        state.appliedTerm = unsigned[3]
        state.base = LogBase(position: unsigned[4], index: unsigned[5], term: unsigned[6])
        let vote = unsigned[8] == 0 ? nil : MemberID(unsigned[8])
        state.hardState = HardState(term: unsigned[7], vote: vote, commit: unsigned[9])
        state.revision = signed[10]
        state.oldest = signed[11]
        state.versionCount = Int(signed[12])
        do { state.membership = try Membership(decoding: row.bytes(13)) } catch {
            throw ReplicaError.damaged(path, "its membership: \(error)")
        }
        state.image = row.bytes(14)
        guard state.checksum == row.integer(15) else {
            throw ReplicaError.damaged(path, "the checksum of its state is wrong")
        }
        // Not the ids: cluster, member and vote may be any number.
        for column in [2, 3, 4, 5, 6, 7, 9, 10, 11, 12] where !(0...StoreImage.largestNumber).contains(signed[column]) {
            throw ReplicaError.damaged(path, "a number of its state, \(signed[column]), cannot be")
        }
        guard state.revision >= 1, (1...state.revision).contains(state.oldest), state.versionCount >= 0 else {
            throw ReplicaError.damaged(path, "its revisions contradict each other")
        }
        return state
    }
}
