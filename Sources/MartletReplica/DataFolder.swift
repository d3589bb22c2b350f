internal import MartletBase
internal import MartletIO
internal import MartletRaft
internal import MartletStore

// A replica's folder, format 3:
//
//   FORMAT              "martlet-replica 3"; with " new" behind it while the folder is being made
//   wal/                the write-ahead log
//   wal/OWNER           cluster, member and log, in hexadecimal: the log's own number, which all its segments carry,
//                       goes with a checkpoint of these; two lines while the folder passes from one to the other
//   checkpoint.sqlite   the applied state (see CheckpointFile.swift)
//   incoming.sqlite     a snapshot on its way in; removed at start
//   outgoing-N.sqlite   a snapshot on its way out; removed at start
//
// A folder that is still being made when it is opened is made anew: nobody has heard of what is in it. After that,
// checkpoint and log are both there or the folder is not whole.

/// The files of a replica, and the thread on which the slow ones are worked with.
struct DataFolder: Sendable {
    static let format = 3
    private static let formatName = "martlet-replica"

    /// Where the folder is.
    let directory: String
    /// The checkpoint's thread.
    let worker: BlockingWorker
    let checkpoint: CheckpointFile
    /// The snapshots on their way out.
    let slots = SnapshotSlots()
    /// Whether the folder has nothing in it yet.
    let isNew: Bool
    /// Whether there is a FORMAT file and a log of ours, in contrast to a checkpoint beside a simulated log.
    private let isWhole: Bool
    /// The log's own number; 0 for a simulated one.
    private let logIdentity: UInt64
    /// What was cut off the log's end when it was opened.
    let torn: TornTail?
    /// Makes threads for slow work; in a simulated world, what stands for them.
    let makeWorker: @Sendable (String) throws -> BlockingWorker
    /// Told when a simulated folder is whole.
    private var made: (@Sendable () -> Void)?

    /// The checkpoint at `path`, without a log: what stands beside a simulated one.
    init(checkpointAt path: String) async throws {
        try await self.init(Self.parent(of: path), checkpointAt: path, isNew: nil)
    }

    /// A simulated folder: the checkpoint is a file, work on it is done where `makeWorker` says, and the log is
    /// elsewhere. `made` is told when it has all that a member needs to go on from.
    init(
        simulatedIn directory: String, isNew: Bool, makeWorker: @escaping @Sendable (String) throws -> BlockingWorker,
        made: @escaping @Sendable () -> Void
    ) async throws {
        let worker = try makeWorker("checkpoint")
        try await worker.run {
            try Files.makeDirectory(directory, mode: 0o700)
            try Self.clean(directory, isNew: isNew)
        }
        worker.stop()
        try await self.init(
            directory, checkpointAt: "\(directory)/checkpoint.sqlite", isNew: nil, makeWorker: makeWorker)
        self.made = made
    }

    private init(
        _ directory: String, checkpointAt path: String, isNew: Bool?, log: WriteAheadLog? = nil,
        makeWorker: @escaping @Sendable (String) throws -> BlockingWorker = { try BlockingWorker(name: $0) }
    ) async throws {
        self.makeWorker = makeWorker
        let worker = try makeWorker("checkpoint")
        do { checkpoint = try await worker.run { try CheckpointFile(path: path) } } catch {
            worker.stop()
            throw error
        }
        self.worker = worker
        self.directory = directory
        self.isNew = isNew ?? (checkpoint.state == nil)
        isWhole = isNew != nil
        logIdentity = log?.identity ?? 0
        torn = log?.torn
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whether there is no member in the folder yet.
    static func isNew(_ directory: String) -> Bool {
        let path = "\(directory)/FORMAT"
        return !Files.exists(path) || (try? check(String(decoding: Files.read(path), as: UTF8.self), path)) == true
    }

    /// Opens or makes the folder, and the log in it.
    /// - Throws: ``LogError`` or ``ReplicaError``.
    static func open(_ directory: String) async throws -> (DataFolder, any LogDevice) {
        let opener = try BlockingWorker(name: "opener")
        defer { opener.stop() }
        let (log, isNew) = try await opener.run {
            let isNew = try prepare(directory)
            // The log comes first: it locks the folder against a second process.
            let identity = isNew ? nil : Self.ownedLog(directory)
            return (try WriteAheadLog(directory: "\(directory)/wal", identity: identity), isNew)
        }
        do {
            try await opener.run { try clean(directory, isNew: isNew) }
            let folder = try await DataFolder(
                directory, checkpointAt: "\(directory)/checkpoint.sqlite", isNew: isNew, log: log)
            do { try folder.check(await log.bounds) } catch {
                await folder.close()
                throw error
            }
            return (folder, log)
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

    /// The folder is whole from now on, and `identity`'s.
    func finishMaking(_ identity: ReplicaIdentity) async throws {
        made?()
        guard isWhole else { return }
        let directory = directory
        let owner = owner(identity)
        try await worker.run {
            do {
                try Files.write(owner, to: "\(directory)/wal/OWNER")
                try Files.write(Array("\(Self.formatName) \(Self.format)\n".utf8), to: "\(directory)/FORMAT")
            } catch { throw ReplicaError.unusable("\(directory): \(error)") }
        }
    }

    /// Gives the folder to another identity: `change` writes it into the checkpoint. A crash before that leaves the
    /// folder to the old one.
    func changeOwner(
        from old: ReplicaIdentity, to new: ReplicaIdentity, _ change: @escaping @Sendable () throws -> Void
    ) async throws {
        let path = "\(directory)/wal/OWNER"
        let (old, new) = (owner(old), owner(new))
        try await worker.run {
            do {
                try Files.write(old + new, to: path)
                try change()
                try Files.write(new, to: path)
            } catch let error as Errno { throw ReplicaError.unusable("\(path): \(error)") }
        }
    }

    // MARK: Checks

    private func owner(_ identity: ReplicaIdentity) -> [UInt8] {
        let numbers = [identity.cluster, identity.member, logIdentity].map { String($0, radix: 16) }
        return Array("\(numbers.joined(separator: " "))\n".utf8)
    }

    /// The log that belongs to the folder, as far as it is known.
    private static func ownedLog(_ directory: String) -> UInt64? {
        guard let found = try? Files.read("\(directory)/wal/OWNER") else { return nil }
        let words = String(decoding: found.prefix(64), as: UTF8.self).split(whereSeparator: \.isWhitespace)
        return words.count < 3 ? nil : UInt64(words[2], radix: 16)
    }

    /// Makes sure of the FORMAT file. Returns whether the folder is new.
    private static func prepare(_ directory: String) throws -> Bool {
        let path = "\(directory)/FORMAT"
        do {
            try Files.makeDirectory(directory, mode: 0o700)
            if !Files.exists(path) {
                if Files.exists("\(directory)/wal") || Files.exists("\(directory)/checkpoint.sqlite") {
                    throw ReplicaError.unusable("\(directory) holds data but no FORMAT file; put it back")
                }
                try Files.write(Array("\(formatName) \(format) new\n".utf8), to: path)
            }
            let isNew = try check(String(decoding: try Files.read(path), as: UTF8.self), path)
            if isNew {
                try Files.makeDirectory("\(directory)/wal", mode: 0o700)
            } else if !Files.isDirectory("\(directory)/wal") {
                throw ReplicaError.unusable("\(directory)/wal: the log is gone; \(remedy)")
            }
            return isNew
        } catch let error as Errno {
            throw ReplicaError.unusable("\(directory): \(error)")
        }
    }

    /// Accepts the text of a FORMAT file that this program can go on with. Returns whether the folder is new.
    static func check(_ text: String, _ path: String) throws(ReplicaError) -> Bool {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2 || words.count == 3 && words[2] == "new", words[0] == formatName,
            let version = Int(words[1])
        else {
            throw .unusable("\(path) does not say \"\(formatName) \(format)\"; this is no folder of a replica")
        }
        if version < format {
            throw .unusable(
                "\(path): format \(version) is older than this program reads (\(format)); carry the keys over with the "
                    + "release that wrote it, into an empty folder")
        }
        guard version == format else {
            throw .unusable(
                "\(path): format \(version) is newer than this program reads (\(format)); run the newer release")
        }
        return words.count == 3
    }

    /// Removes what a crash may have left.
    private static func clean(_ directory: String, isNew: Bool) throws {
        do {
            for name in try Files.list(directory) {
                let isSnapshot = name.hasPrefix("incoming.sqlite") || name.hasPrefix("outgoing-")
                if isSnapshot || isNew && name.hasPrefix("checkpoint.sqlite") {
                    try Files.unlinkFile("\(directory)/\(name)")
                }
            }
            let path = "\(directory)/checkpoint.sqlite"
            if !isNew, !Files.exists(path) {
                throw ReplicaError.unusable("\(path): the checkpoint is gone; put it back, or else \(remedy)")
            }
        } catch let error as Errno {
            throw ReplicaError.unusable("\(directory): \(error)")
        }
    }

    private static let remedy =
        "restore this member from a snapshot, or remove it from the cluster and let it join anew in an empty folder"

    /// Checks that log and checkpoint are of the same member, in a folder that was used before.
    private func check(_ log: Range<UInt64>) throws {
        guard !isNew else { return }
        guard let state = checkpoint.state else {
            throw ReplicaError.unusable(
                "\(checkpoint.path): the checkpoint is empty; put it back, or else \(Self.remedy)")
        }
        let path = "\(directory)/wal/OWNER"
        guard let found = try? Files.read(path) else {
            throw ReplicaError.unusable(
                "\(path) is gone: whose log this is is not known; put it back, or else \(Self.remedy)")
        }
        let lines = found.split(separator: UInt8(ascii: "\n")).prefix(2)
        guard lines.contains(where: { $0 + [UInt8(ascii: "\n")] == owner(state.identity)[...] }) else {
            let words = String(decoding: found.prefix(64), as: UTF8.self).split(whereSeparator: \.isWhitespace)
            let other = words.count >= 2 ? "member \(words[1]) of cluster \(words[0])" : "nobody that it can name"
            throw ReplicaError.unusable(
                "\(directory): the log in wal is of \(other), the checkpoint of member "
                    + "\(String(state.identity.member, radix: 16)) of cluster "
                    + "\(String(state.identity.cluster, radix: 16)); put back the files that belong together")
        }
        guard
            log.upperBound > max(state.base.position, 1) || log.upperBound == state.base.position && log.upperBound > 1
        else {
            throw ReplicaError.unusable(
                "\(directory)/wal: the log ends before record \(state.base.position), where the checkpoint wants it to "
                    + "begin: it is not the one that was written; put back its files, or else \(Self.remedy)")
        }
    }
}
