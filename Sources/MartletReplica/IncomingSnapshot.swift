internal import MartletBase
internal import MartletHTTP
internal import MartletIO
internal import MartletRaft
internal import MartletStore
internal import Synchronization

/// A snapshot on its way in: the pieces of a ``SnapshotReader``, in their order, written to `incoming.sqlite`.
final class IncomingSnapshot: Sendable {
    private let folder: DataFolder
    let path: String
    private let target: Mutex<Target>

    private struct Target: ~Copyable, Sendable {
        var file: RegularFile
        var digest = SHA256()
        /// The last bytes that came: perhaps the digest.
        var tail: [UInt8] = []
        var written = 0
    }

    /// Begins anew: what came before is removed.
    init(into folder: DataFolder) throws {
        self.folder = folder
        let path = "\(folder.directory)/incoming.sqlite"
        self.path = path
        do {
            try Files.unlinkFile(path)
            target = Mutex(Target(file: try RegularFile(making: path)))
        } catch { throw ReplicaError.unusable("\(path): \(error)") }
    }

    /// Takes the next piece.
    func append(_ piece: [UInt8]) async throws {
        try await folder.worker.run {
            do { try self.target.withLock { target in try Self.append(piece, &target) } } catch let error as Errno {
                throw ReplicaError.unusable("\(self.path): \(error)")
            }
        }
    }

    private static func append(_ piece: [UInt8], _ target: inout Target) throws(Errno) {
        target.tail += piece
        let surplus = target.tail.count - SnapshotFile.digestBytes
        guard surplus > 0 else { return }
        let bytes = Array(target.tail.prefix(surplus))
        target.tail.removeFirst(surplus)
        target.digest.update(bytes)
        try target.file.append(bytes)
        target.written += bytes.count
    }

    /// All has come: checks it and reads it.
    /// - Throws: ``ReplicaError/unusable(_:)`` when it is damaged or of another cluster.
    func finish(cluster: UInt64, history: HistoryLimits) async throws -> (state: CheckpointState, store: Store) {
        try await folder.worker.run {
            try self.target.withLock { target in
                guard target.tail.count == SnapshotFile.digestBytes, target.digest.finish() == target.tail else {
                    throw ReplicaError.damaged(self.path, "its SHA-256 is wrong")
                }
                do { try target.file.sync() } catch { throw ReplicaError.unusable("\(self.path): \(error)") }
            }
            let file = try CheckpointFile(path: self.path)
            defer { try? file.closeWhole() }
            guard let state = file.state else { throw ReplicaError.damaged(self.path, "it holds no checkpoint") }
            guard state.identity.cluster == cluster else {
                throw ReplicaError.unusable(
                    "\(self.path) is of cluster \(String(state.identity.cluster, radix: 16)), this member of "
                        + "\(String(cluster, radix: 16)); it is not installed")
            }
            return (state, try file.loadStore(history))
        }
    }

    /// Removes what came.
    func discard() async {
        let path = path
        try? await folder.worker.run { try Files.unlinkFile(path) }
    }
}

extension DataFolder {
    /// Puts a snapshot that came in into the checkpoint's place, for `identity`, whose log goes on at `base`. A crash
    /// at any moment leaves the old checkpoint or the new one whole.
    func install(
        _ snapshot: IncomingSnapshot, as identity: ReplicaIdentity, _ hardState: HardState, from base: LogBase
    ) async throws {
        let checkpoint = checkpoint
        try await worker.run {
            let file = try CheckpointFile(path: snapshot.path)
            do {
                try file.rewrite { state in
                    state.identity = identity
                    state.hardState = hardState
                    state.base = base
                }
            } catch {
                file.close()
                throw error
            }
            try file.closeWhole()
            try checkpoint.closeWhole()
            do { try Files.move(snapshot.path, to: checkpoint.path) } catch {
                try checkpoint.reopen()
                throw ReplicaError.unusable("\(checkpoint.path): \(error)")
            }
            try checkpoint.reopen()
        }
    }
}
