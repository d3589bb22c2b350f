internal import Glibc
public import MartletBase

/// Plain file work for start-up and configuration; none of it belongs on a path that a request takes.
public enum Files {
    /// The whole file.
    /// - Throws: `Errno`.
    public static func read(_ path: String) throws(Errno) -> [UInt8] {
        let fd = try check(open(path, O_RDONLY | O_CLOEXEC))
        defer { close(fd) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(fd, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Errno(errno)
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// The size of a file in bytes (of what a link leads to).
    /// - Throws: `Errno`.
    public static func size(_ path: String) throws(Errno) -> Int {
        var info = stat()
        try check(stat(path, &info))
        return Int(info.st_size)
    }

    /// Writes the whole file so that a crash leaves the old or the new one: temporary, fsync, rename, fsync of the
    /// folder.
    /// - Throws: `Errno`.
    public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(Errno) {
        try place(bytes, at: path, mode: mode, synced: true)
        try syncFolder(of: path)
    }

    /// Writes the whole file unless it holds these bytes already: what is there can be used on a disk without room.
    /// - Throws: `Errno`.
    public static func update(_ path: String, to bytes: [UInt8], mode: UInt32 = 0o644) throws(Errno) {
        if (try? read(path)) != bytes { try write(bytes, to: path, mode: mode) }
    }

    /// Adds to the end of a file, made when absent; `-` is the standard output. A crash may leave a part of it.
    /// - Throws: `Errno`.
    public static func append(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o640) throws(Errno) {
        if path == "-" { return try writeAll(bytes, to: STDOUT_FILENO) }
        let fd = try check(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode))
        defer { _ = close(fd) }
        try writeAll(bytes, to: fd)
    }

    /// Writes into a file that is there, as the kernel's settings below `/proc/sys` are written.
    /// - Throws: `Errno`.
    public static func overwrite(_ path: String, with bytes: [UInt8]) throws(Errno) {
        let fd = try check(open(path, O_WRONLY | O_CLOEXEC))
        defer { _ = close(fd) }
        try writeAll(bytes, to: fd)
    }

    /// Writes the whole file so that readers see the old or the new one; a power loss may leave it empty. For what is
    /// made anew after a boot.
    /// - Throws: `Errno`.
    public static func replace(_ bytes: [UInt8], at path: String, mode: UInt32 = 0o644) throws(Errno) {
        try place(bytes, at: path, mode: mode, synced: false)
    }

    private static func place(_ bytes: [UInt8], at path: String, mode: UInt32, synced: Bool) throws(Errno) {
        let temporary = "\(path).\(getpid()).\(UInt64.random(in: 0 ... .max)).new"
        do {
            try writeNew(bytes, to: temporary, mode: mode, synced: synced)
            try check(rename(temporary, path))
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private static func writeNew(_ bytes: [UInt8], to path: String, mode: UInt32, synced: Bool) throws(Errno) {
        let fd = try check(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode))
        defer { close(fd) }
        // The mode asked for is the mode given, whatever the umask.
        try check(fchmod(fd, mode))
        try writeAll(bytes, to: fd)
        if synced { try check(fsync(fd)) }
    }

    static func writeAll(_ bytes: [UInt8], to fd: Int32) throws(Errno) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress! + done, bytes.count - done) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Errno(errno)
            }
            done += count
        }
    }

    /// Makes the name at `path` durable.
    static func syncFolder(of path: String) throws(Errno) {
        let fd = try check(open(parent(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        defer { close(fd) }
        try check(fsync(fd))
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a folder and those above it. One that is there already stays as it is.
    /// - Throws: `Errno`.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(Errno) {
        if mkdir(path, mode) == 0 { return }
        switch errno {
        case EEXIST:
            if isDirectory(path) { return }
            throw Errno(ENOTDIR)
        case ENOENT where !path.isEmpty && parent(of: path) != path:
            try makeDirectory(parent(of: path), mode: mode)
            if mkdir(path, mode) != 0 && errno != EEXIST { throw Errno(errno) }
        default:
            throw Errno(errno)
        }
    }

    /// Whether something is there (a link counts by where it leads).
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether a folder is there.
    public static func isDirectory(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// The names in a folder, sorted, without `.` and `..`.
    /// - Throws: `Errno`.
    public static func list(_ path: String) throws(Errno) -> [String] {
        guard let folder = opendir(path) else { throw Errno(errno) }
        defer { closedir(folder) }
        return names(in: folder, limit: .max).sorted()
    }

    static func names(in folder: OpaquePointer, limit: Int) -> [String] {
        var names: [String] = []
        while names.count < limit, let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file, or a folder with all in it; does not cross mounts and does not follow links. Absent is fine.
    /// - Throws: `Errno`; `EBUSY` where something is mounted at the path or below, with what was removed before gone.
    public static func remove(_ path: String) throws(Errno) {
        var removal = TreeRemoval()
        try removal.run(path)
    }

    /// A new folder with a name nobody has, below `parent`, for its owner only.
    /// - Throws: `Errno`.
    public static func makeTemporaryDirectory(in parent: String = "/tmp", prefix: String = "martlet") throws(Errno)
        -> String
    {
        var template = Array("\(parent)/\(prefix).XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @discardableResult
    static func check(_ status: Int32) throws(Errno) -> Int32 {
        if status < 0 { throw Errno(errno) }
        return status
    }
}
