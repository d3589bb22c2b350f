internal import Martlet
internal import MartletIO

#if canImport(Glibc)
internal import Glibc
#endif

/// The file in a data folder that names its daemon, `martletd.pid`. The daemon has it locked for as long as it lives,
/// however it was started and however it ends: what stands in it is for people and scripts.
public struct ProcessFile: Sendable {
    private let folder: String
    /// Where it is.
    public var path: String { folder + "/martletd.pid" }

    /// That of a data folder.
    public init(dataDirectory: String) { folder = dataDirectory }

    /// The daemon that has it locked, as its process id; 0 for one that cannot be seen from here; nil when none runs.
    public var owner: Int32? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var lock = Self.wholeFile
        guard unsafe fcntl(descriptor, F_GETLK, &lock) == 0, lock.l_type != Int16(F_UNLCK) else { return nil }
        return max(0, lock.l_pid)
    }

    /// Makes it this process's own until it ends. A folder that holds other things than a machine's state is left
    /// alone, and so is one that cannot be written: the start says why it cannot be used.
    /// - Returns: the daemon that has it already; nil when this one has it now.
    func take() -> Int32? {
        try? Files.makeDirectory(folder, mode: 0o711)
        let there = (try? Files.list(folder)) ?? []
        guard there.allSatisfy(ClusterConfiguration.newFolderHolds.contains) || there.contains("FORMAT") else {
            return nil
        }
        // Never closed: that would end the lock.
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return nil }
        var lock = Self.wholeFile
        guard unsafe fcntl(descriptor, F_SETLK, &lock) == 0 else { return owner ?? 0 }
        let text = Array("\(getpid())\n".utf8)
        ftruncate(descriptor, 0)
        _ = unsafe write(descriptor, text, text.count)
        return nil
    }

    private static var wholeFile: flock {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        return lock
    }
}
