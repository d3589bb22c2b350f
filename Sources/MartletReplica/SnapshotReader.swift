internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletRaft
internal import Synchronization

/// A consistent copy of a store on its way out, in pieces: the SQLite file of a checkpoint that is nobody's
/// (CheckpointFile.swift), and the SHA-256 of it, 32 bytes, as the last piece. This is what etcd's snapshot stream
/// carries, and what `etcdctl snapshot save` expects: a multiple of 512 bytes and the digest.
///
/// The copy has no name any more when this exists: it is gone with the reader, after a crash too.
public final class SnapshotReader: Sendable {
    /// The bytes of all pieces together.
    public let totalBytes: Int
    /// The revision of the store in it.
    public let revision: Int64
    /// The last entry of the log that is in it.
    public let index: UInt64

    private let worker: BlockingWorker
    private let slot: SnapshotSlot
    private let source: Mutex<Source>

    private struct Source: ~Copyable, Sendable {
        var file: RegularFile
        var digest = SHA256()
        var offset = 0
        var isOver = false
    }

    /// Copies the checkpoint as it is at this moment. Checkpoints go on meanwhile.
    static func make(of folder: DataFolder, _ slot: SnapshotSlot) async throws -> SnapshotReader {
        let (checkpoint, directory) = (folder.checkpoint, folder.directory)
        let worker = try folder.makeWorker("snapshot")
        do {
            let path = "\(directory)/outgoing-\(slot.number).sqlite"
            return try await worker.run {
                defer { try? Files.unlinkFile(path) }
                do {
                    try checkpoint.copy(to: path)
                    let state = try CheckpointFile.makeNobodys(path)
                    return try SnapshotReader(RegularFile(reading: path), state, worker, slot)
                } catch let error as Errno { throw ReplicaError.unusable("\(path): \(error)") }
            }
        } catch {
            worker.stop()
            throw error
        }
    }

    private init(
        _ file: consuming RegularFile, _ state: CheckpointState, _ worker: BlockingWorker, _ slot: SnapshotSlot
    )
        throws
    {
        totalBytes = try file.size() + SnapshotFile.digestBytes
        revision = state.revision
        index = state.appliedIndex
        self.worker = worker
        self.slot = slot
        source = Mutex(Source(file: file))
    }

    deinit { worker.stop() }

    /// The next piece, at most 256 KiB; nil after the last.
    /// - Throws: ``ReplicaError`` when the copy cannot be read.
    public func next() async throws -> [UInt8]? {
        try await worker.run {
            do { return try self.source.withLock { source in try Self.piece(&source) } } catch let error as Errno {
                throw ReplicaError.unusable("the snapshot on its way out cannot be read: \(error)")
            }
        }
    }

    private static func piece(_ source: inout Source) throws(Errno) -> [UInt8]? {
        guard !source.isOver else { return nil }
        let bytes = try source.file.read(at: source.offset, limit: Limits.snapshotPieceBytes)
        guard !bytes.isEmpty else {
            source.isOver = true
            return source.digest.finish()
        }
        source.offset += bytes.count
        source.digest.update(bytes)
        return bytes
    }
}

/// How many snapshots are on their way out of a folder.
final class SnapshotSlots: Sendable {
    private let state = Mutex((number: UInt64(0), taken: 0))

    /// A place for one more; free again when it is dropped.
    /// - Throws: ``ReplicaError/overloaded``.
    func take() throws(ReplicaError) -> SnapshotSlot {
        let number = state.withLock { state -> UInt64? in
            guard state.taken < Limits.snapshots else { return nil }
            state.taken += 1
            state.number += 1
            return state.number
        }
        guard let number else { throw .overloaded }
        return SnapshotSlot(number: number, of: self)
    }

    fileprivate func giveBack() { state.withLock { $0.taken -= 1 } }
}

/// A snapshot's place among those on their way out.
final class SnapshotSlot: Sendable {
    let number: UInt64
    private let slots: SnapshotSlots

    fileprivate init(number: UInt64, of slots: SnapshotSlots) {
        self.number = number
        self.slots = slots
    }

    deinit { slots.giveBack() }
}

extension CheckpointFile {
    /// Takes the member's name and its votes out of a copy. Not durable: the copy is not either.
    static func makeNobodys(_ path: String) throws -> CheckpointState {
        do {
            let database = try SQLiteDatabase(path: path, creates: false)
            try database.execute("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF")
            guard var state = try CheckpointState.read(database, path) else {
                throw ReplicaError.unusable("\(path) holds no checkpoint yet")
            }
            state.identity.member = 0
            state.hardState = HardState()
            state.base = LogBase()
            try database.transaction { try state.write(database) }
            return state
        } catch let error as SQLiteError {
            throw ReplicaError.unusable(path, error)
        }
    }
}
