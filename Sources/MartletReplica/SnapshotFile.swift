internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletRaft
public import MartletStore

/// What a snapshot's file, or a member's checkpoint, holds.
public struct SnapshotStatus: Sendable, Hashable {
    /// The cluster that it is of.
    public var cluster: UInt64
    /// The member whose checkpoint it is; nil for a snapshot.
    public var member: UInt64?
    /// The store's revision.
    public var revision: Int64
    /// The oldest revision that can be read.
    public var oldestRevision: Int64
    /// How many keys there are.
    public var keys: Int
    /// The last entry of the log that is in it.
    public var index: UInt64
    /// The digest of the state: equal where states are equal.
    public var hash: UInt64
    /// Who were members.
    public var members: [MemberInfo]
    /// The size of the file.
    public var bytes: Int
}

/// How a snapshot becomes a new cluster's first state.
public struct RestoreOptions: Sendable {
    /// This member's name.
    public var name: String
    /// The new cluster's first members, this one among them. Each restores the same file with the same options.
    public var members: [(name: String, peerURLs: [String])]
    /// Tells this cluster from others with members of the same names.
    public var token: String
    /// By how much the revision goes up, so that no client sees one go back that it has seen: more than the writes
    /// that were made after the snapshot.
    public var bumpRevision: Int64 = 0
    /// Whether all history is forgotten, so that watches from before are told to begin anew. A bump does this too.
    public var marksCompacted = false
    /// Whether a file without a SHA-256 behind it is taken: a checkpoint copied out of a data folder.
    public var skipsHashCheck = false
    /// Whether history is forgotten, for one reason or the other.
    var forgetsHistory: Bool { marksCompacted || bumpRevision > 0 }
    /// Options from those that have no default.
    public init(name: String, members: [(name: String, peerURLs: [String])], token: String) {
        self.name = name
        self.members = members
        self.token = token
    }
}

/// Snapshots kept in files.
public enum SnapshotFile {
    /// The length of the SHA-256 at the end.
    static let digestBytes = 32
    /// Where SQLite's pages end and a digest may follow.
    private static let sectorBytes = 512

    /// Reads a file as far as its digest, its checks and its contents go. Without `skippingHashCheck` there must be a
    /// digest: a file that was cut off has none.
    /// - Throws: ``ReplicaError/unusable(_:)``.
    public static func status(of path: String, skippingHashCheck: Bool = false) async throws -> SnapshotStatus {
        let directory = try temporaryDirectory(beside: path)
        defer { try? Files.remove(directory) }
        let copy = "\(directory)/snapshot.sqlite"
        let (bytes, _) = try Self.copy(path, to: copy, needsDigest: !skippingHashCheck)
        let file = try naming(path, for: copy) { try CheckpointFile(path: copy) }
        defer { file.close() }
        return try naming(path, for: copy) { try status(of: file, bytes: bytes) }
    }

    static func status(of file: CheckpointFile, bytes: Int) throws -> SnapshotStatus {
        guard let state = file.state else { throw ReplicaError.unusable("\(file.path) holds no checkpoint") }
        let store = try file.loadStore(.all)
        return SnapshotStatus(
            cluster: state.identity.cluster, member: state.identity.member == 0 ? nil : state.identity.member,
            revision: state.revision, oldestRevision: state.oldest, keys: store.count, index: state.appliedIndex,
            hash: store.stateHash.value, members: store.members.values.sorted { $0.id < $1.id }, bytes: bytes)
    }

    /// Makes a data folder of a snapshot, for a member of a new cluster (see ``Genesis/restored(_:_:)``).
    /// - Throws: ``ReplicaError`` or ``LogError``.
    public static func restore(_ path: String, into directory: String, _ options: RestoreOptions) async throws
        -> SnapshotStatus
    {
        // Names that contradict each other are told before anything is copied.
        _ = try Genesis.restored([], options)
        if let names = try? Files.list(directory), !names.isEmpty {
            throw ReplicaError.unusable("\(directory) is not empty; restore into a new folder")
        }
        let copy = "\(directory).restoring"
        defer { try? Files.unlinkFile(copy) }
        try Files.unlinkFile(copy)
        let (bytes, digest) = try Self.copy(path, to: copy, needsDigest: !options.skipsHashCheck)
        let genesis = try Genesis.restored(digest, options)
        let (folder, log) = try await DataFolder.open(directory)
        do {
            let status = try await fill(folder, log, with: copy, genesis, options, naming: path)
            await log.close()
            await folder.close()
            return SnapshotStatus(status, bytes: bytes)
        } catch {
            await log.close()
            await folder.close()
            try? Files.remove(directory)
            throw error
        }
    }

    private static func fill(
        _ folder: DataFolder, _ log: any LogDevice, with copy: String, _ genesis: Genesis, _ options: RestoreOptions,
        naming path: String
    ) async throws -> SnapshotStatus {
        let records = [
            LogRecord(index: await log.bounds.upperBound, payload: RaftRecord.hardState(HardState()).encoded())
        ]
        try await log.append(records)
        let position = await log.bounds.upperBound
        let status = try await folder.worker.run {
            let file = try naming(path, for: copy) { try CheckpointFile(path: copy) }
            do {
                guard let old = file.state else { throw ReplicaError.unusable("\(path) holds no checkpoint") }
                let successor = Successor(
                    genesis: genesis, term: max(old.appliedTerm, old.hardState.term) + 1, position: position,
                    bump: options.bumpRevision, forgetsHistory: options.forgetsHistory)
                let status = try naming(path, for: copy) {
                    try successor.replace(file, changes: ChangeLog(), store: try file.loadStore(.all))
                    return try Self.status(of: file, bytes: 0)
                }
                try file.closeWhole()
                try folder.checkpoint.closeWhole()
                try Files.move(copy, to: folder.checkpoint.path)
                return status
            } catch {
                file.close()
                throw error
            }
        }
        try await folder.finishMaking(genesis.identity)
        return status
    }

    // MARK: Files

    /// Copies the file without its digest, which is checked when there is one. Returns the file's size, and the SHA-256
    /// of what was copied.
    private static func copy(_ path: String, to target: String, needsDigest: Bool) throws -> (Int, [UInt8]) {
        do {
            let source = try RegularFile(reading: path)
            let size = try source.size()
            let hasDigest = size % sectorBytes == digestBytes
            guard hasDigest || !needsDigest else {
                throw ReplicaError.unusable(
                    "\(path): there is no SHA-256 at its end: it is cut off or no snapshot (a checkpoint that was "
                        + "copied out of a data folder: martlet-store snapshot restore --skip-hash-check)")
            }
            let end = hasDigest ? size - digestBytes : size
            let copy = try RegularFile(making: target)
            var digest = SHA256()
            var offset = 0
            while offset < end {
                let bytes = try source.read(at: offset, limit: min(end - offset, Limits.snapshotPieceBytes))
                guard !bytes.isEmpty else { throw ReplicaError.unusable("\(path) became shorter while it was read") }
                digest.update(bytes)
                try copy.append(bytes)
                offset += bytes.count
            }
            let found = digest.finish()
            if hasDigest, try source.read(at: end, limit: digestBytes) != found {
                throw ReplicaError.unusable("\(path) is damaged: its SHA-256 is wrong; use another snapshot")
            }
            try copy.sync()
            return (size, found)
        } catch let error as Errno {
            throw ReplicaError.unusable("\(path): \(error)")
        }
    }

    private static func temporaryDirectory(beside path: String) throws -> String {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        do { return try Files.makeTemporaryDirectory(in: parent, prefix: ".martlet-snapshot") } catch {
            throw ReplicaError.unusable("\(parent): \(error)")
        }
    }

    /// Runs `body`, which works on a copy of `path`, and names `path` in what it throws.
    private static func naming<Value>(_ path: String, for copy: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch ReplicaError.unusable(let why) {
            throw ReplicaError.unusable(why.contains(copy) ? why.replacing(copy, with: path) : "\(path): \(why)")
        }
    }
}

extension SnapshotStatus {
    fileprivate init(_ status: SnapshotStatus, bytes: Int) {
        self = status
        self.bytes = bytes
    }
}
