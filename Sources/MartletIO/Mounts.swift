internal import CMartletLinux
internal import Glibc
public import MartletBase

/// What is mounted in our mount namespace.
public enum Mounts {
    /// One mount, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    public struct Entry: Sendable, Hashable {
        /// Where it is mounted.
        public var path: String
        /// The file system's type, such as `overlay`.
        public var type: String
        /// What is mounted: a device, or a word.
        public var source: String
    }

    /// All mounts, in the order in which they were made.
    /// - Throws: `Errno`.
    public static func list() throws(Errno) -> [Entry] { parse(try Files.read("/proc/self/mountinfo")) }

    /// Unmounts all that is mounted at `path` and below, the newest first. Who has a file open there keeps it.
    /// - Throws: `Errno` of the first that could not be unmounted, after all were tried.
    public static func unmountAll(under path: String) throws(Errno) {
        let root = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard root.hasPrefix("/"), root != "/" else { throw .invalidArgument }
        var failure: Errno?
        for mount in try list().reversed() where mount.path == root || mount.path.hasPrefix(root + "/") {
            let status = cml_unmount(mount.path)
            if status < 0 && status != -EINVAL && status != -ENOENT { failure = failure ?? Errno(-status) }
        }
        if let failure { throw failure }
    }

    /// Lines that are not as described are left out.
    static func parse(_ text: [UInt8]) -> [Entry] {
        text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count >= 10, let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
                dash + 2 < fields.count
            else { return nil }
            return Entry(path: plain(fields[4]), type: plain(fields[dash + 1]), source: plain(fields[dash + 2]))
        }
    }

    /// The kernel writes blanks and backslashes as `\040`.
    private static func plain(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (48...55).contains($0) }) {
                let code = digits.reduce(0) { $0 * 8 + Int($1 - 48) }
                bytes.append(UInt8(truncatingIfNeeded: code))
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Control groups, in version 2 and in the older hierarchies beside it.
public enum Cgroups {
    /// Removes a group and those below it, wherever it exists: in each hierarchy under `/sys/fs/cgroup`.
    /// - Parameter path: relative to the hierarchies, such as `martlet/pod1`; not empty, no `..`.
    /// - Throws: `Errno` of the first that could not be removed, after all were tried; `EBUSY` while processes live in
    ///   it.
    public static func removeTree(_ path: String) throws(Errno) {
        try removeTree(path, root: "/sys/fs/cgroup")
    }

    static func removeTree(_ path: String, root: String) throws(Errno) {
        let parts = path.split(separator: "/")
        guard !parts.isEmpty, !parts.contains("..") else { throw .invalidArgument }
        let relative = parts.joined(separator: "/")
        var failure: Errno?
        for hierarchy in try hierarchies(root) {
            do {
                try removeFolders("\(hierarchy)/\(relative)")
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    private static func hierarchies(_ root: String) throws(Errno) -> [String] {
        if Files.exists("\(root)/cgroup.controllers") { return [root] }
        guard Files.isDirectory(root) else { return [] }
        return try Files.list(root).map { "\(root)/\($0)" }.filter(Files.isDirectory)
    }

    /// The files in a group's folder go with it; only the folders are removed, the deepest first.
    private static func removeFolders(_ path: String) throws(Errno) {
        guard Files.isDirectory(path) else { return }
        for name in try Files.list(path) where Files.isDirectory("\(path)/\(name)") {
            try removeFolders("\(path)/\(name)")
        }
        if rmdir(path) != 0 && errno != ENOENT { throw Errno(errno) }
    }
}
