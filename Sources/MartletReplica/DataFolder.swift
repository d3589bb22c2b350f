internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletStore

// A replica's folder:
//
//   FORMAT              "martlet-replica 1", written first
//   wal/                the write-ahead log
//   checkpoint.sqlite   the applied state (see CheckpointFile.swift)

/// The files of a replica, and the thread on which the slow ones are worked with.
struct DataFolder: Sendable {
    static let format = 1
    private static let formatName = "martlet-replica"

    let worker: BlockingWorker
    let checkpoint: CheckpointFile

    /// The checkpoint at `path`, without a log: what stands beside a simulated one.
    init(checkpointAt path: String) async throws {
        let worker = try BlockingWorker(name: "checkpoint")
        self.worker = worker
        checkpoint = try await worker.run { try CheckpointFile(path: path) }
    }

    /// Opens or makes the folder, and the log in it.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    static func open(_ directory: String) async throws -> (DataFolder, any LogDevice) {
        let worker = try BlockingWorker(name: "checkpoint")
        defer { worker.stop() }
        let log = try await worker.run {
            try checkFormat(directory)
            // The log comes first: it locks the folder against a second process.
            return try WriteAheadLog(directory: "\(directory)/wal")
        }
        do {
            return (try await DataFolder(checkpointAt: "\(directory)/checkpoint.sqlite"), log)
        } catch {
            await log.close()
            throw error
        }
    }

    /// Closes the checkpoint and ends its thread.
    func close() async {
        let checkpoint = checkpoint
        try? await worker.run { checkpoint.close() }
        worker.stop()
    }

    private static func checkFormat(_ directory: String) throws {
        let path = "\(directory)/FORMAT"
        do {
            try Files.makeDirectory(directory, mode: 0o700)
            if !Files.exists(path) {
                if Files.exists("\(directory)/wal") || Files.exists("\(directory)/checkpoint.sqlite") {
                    throw ReplicaError.unusable("\(directory) holds data but no FORMAT file; put it back")
                }
                try Files.write(Array("\(formatName) \(format)\n".utf8), to: path)
                try Files.makeDirectory("\(directory)/wal", mode: 0o700)
            }
            let text = String(decoding: try Files.read(path), as: UTF8.self)
            try check(text, path)
        } catch let error as Errno {
            throw ReplicaError.unusable("\(directory): \(error)")
        }
    }

    /// Accepts the text of a FORMAT file that this program can go on with.
    static func check(_ text: String, _ path: String) throws(ReplicaError) {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, words[0] == formatName, let version = Int(words[1]) else {
            throw .unusable("\(path) does not say \"\(formatName) \(format)\"; this is no folder of a replica")
        }
        guard version == format else {
            throw .unusable(
                "\(path): format \(version) is newer than this program reads (\(format)); run the newer release")
        }
    }
}

/// What a replica begins with.
struct StartingState: Sendable {
    var identity: ReplicaIdentity
    var store: Store
    var appliedTerm: UInt64 = 0
    var hardState = HardState()
    /// Whether there was a checkpoint.
    var isLoaded = false

    /// An empty state under a new identity.
    init(historyLimit: Int, in world: any World) {
        // 0 is nobody, and the ids stay positive where they are shown as signed numbers.
        identity = ReplicaIdentity(cluster: world.random() >> 1 | 1, member: world.random() >> 1 | 1)
        store = Store(historyLimit: historyLimit)
    }

    /// The state of the last checkpoint, or an empty one.
    init(loading folder: DataFolder, historyLimit: Int, in world: any World) async throws {
        self.init(historyLimit: historyLimit, in: world)
        let file = folder.checkpoint
        let loaded = try await folder.worker.run {
            try file.load().map { state, pairs in
                let store = Store(
                    historyLimit: historyLimit, revision: state.revision, appliedIndex: state.appliedIndex, pairs: pairs)
                return (state, store)
            }
        }
        guard let (state, store) = loaded else { return }
        identity = state.identity
        self.store = store
        appliedTerm = state.appliedTerm
        hardState = state.hardState
        isLoaded = true
    }
}
