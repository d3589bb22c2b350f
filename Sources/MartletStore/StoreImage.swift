public import MartletBase

// The state of a store apart from its pairs, as bytes; see CommandCodec.swift for the words used here.
//
//   magic "MSTO", version u8 (1), applied index u64, revision i64, oldest revision i64, state hash u64,
//   pair count u64, cluster id u64, list of members, list of leases (id i64, ttl i64), auth state

/// The state of a store apart from its pairs and history: what a checkpoint keeps beside the rows.
public struct StoreImage: Sendable, Hashable {
    /// The index of the last entry applied.
    public var appliedIndex: UInt64
    /// The revision of the last change.
    public var revision: Int64
    /// The oldest revision that can be read.
    public var oldestRevision: Int64
    /// The digest of the state.
    public var stateHash: UInt64
    /// How many keys there are.
    public var pairCount: Int
    /// The cluster's id.
    public var clusterID: UInt64
    /// The members, in the order of their ids.
    public var members: [MemberInfo]
    /// The time to live of each lease in seconds, by its id. Its keys are those whose pairs name it.
    public var leases: [Int64: Int64]
    /// Users, roles and whether they rule.
    public var auth: AuthState

    /// Revisions and indices are far from the end of their numbers, so that one can always be added.
    public static let largestNumber = Int64.max / 2
    /// The version of the format that ``encoded()`` writes.
    public static let formatVersion: UInt8 = 1
    private static let magic: [UInt8] = [0x4D, 0x53, 0x54, 0x4F]

    /// What `store` is, apart from its pairs and history.
    public init(of store: Store) {
        appliedIndex = store.appliedIndex
        revision = store.revision
        oldestRevision = store.oldestRevision
        stateHash = store.stateHash.value
        pairCount = store.count
        clusterID = store.clusterID
        members = store.directory.sorted
        leases = store.leases.mapValues(\.ttl)
        auth = store.auth
    }

    /// The bytes.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 256 + 16 * leases.count)
        writer.raw(Self.magic)
        writer.u8(Self.formatVersion)
        writer.u64(appliedIndex)
        writer.i64(revision)
        writer.i64(oldestRevision)
        writer.u64(stateHash)
        writer.u64(UInt64(pairCount))
        writer.u64(clusterID)
        MemberInfo.write(members, to: &writer)
        writer.u32(UInt32(leases.count))
        for (id, ttl) in leases.sorted(by: { $0.key < $1.key }) {
            writer.i64(id)
            writer.i64(ttl)
        }
        auth.write(to: &writer)
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote.
    public init(decoding bytes: [UInt8]) throws(ByteCodecError) {
        var reader = ByteReader(bytes)
        for byte in Self.magic where try reader.u8() != byte {
            throw ByteCodecError(offset: 0, what: "this is no image of a store")
        }
        let version = try reader.u8()
        guard version == Self.formatVersion else {
            throw ByteCodecError(
                offset: 4, what: "store image of format \(version); this program reads format \(Self.formatVersion)")
        }
        appliedIndex = try reader.u64()
        revision = try reader.i64()
        oldestRevision = try reader.i64()
        guard oldestRevision >= 1, oldestRevision <= revision, revision <= Self.largestNumber else {
            throw ByteCodecError(offset: 13, what: "revisions \(oldestRevision) to \(revision)")
        }
        stateHash = try reader.u64()
        guard let pairCount = Int(exactly: try reader.u64()) else {
            throw ByteCodecError(offset: 37, what: "more pairs than can be counted")
        }
        self.pairCount = pairCount
        clusterID = try reader.u64()
        members = try MemberInfo.list(from: &reader)
        leases = [:]
        for _ in 0..<(try reader.count(ofItemsOfAtLeast: 16)) { leases[try reader.i64()] = try reader.i64() }
        auth = try AuthState(from: &reader)
        try reader.end()
    }
}

extension Store {
    /// The state apart from pairs and history.
    public var image: StoreImage { StoreImage(of: self) }
}
