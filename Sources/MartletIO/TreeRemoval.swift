internal import Glibc
internal import MartletBase

/// Removes a path with all below it, in bounded memory and with a bounded number of descriptors, whatever somebody has
/// built there.
///
/// Everything is named from an open folder, so that nobody can slip in a link on the way. A mount is met at its
/// `rmdir`, which the kernel refuses with `EBUSY` before it looks into the folder.
struct TreeRemoval {
    /// Folders open at once. What lies deeper is moved to the top and removed from there.
    private static let depth = 32
    /// Names of a folder held at once.
    private static let names = 256

    private struct Folder {
        let name: String
        let stream: OpaquePointer
        var names: [String] = []

        var fd: Int32 { dirfd(stream) }

        /// The next name in the folder; nil when it is empty.
        mutating func next() -> String? {
            if names.isEmpty {
                rewinddir(stream)
                names = Files.names(in: stream, limit: TreeRemoval.names)
            }
            return names.popLast()
        }
    }

    /// The folders open now, the top first; each lies in the one before.
    private var open: [Folder] = []
    private var device: dev_t = 0

    /// Removes `path`; absent is fine.
    mutating func run(_ path: String) throws(Errno) {
        var info = stat()
        guard lstat(path, &info) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw Errno(errno)
        }
        device = info.st_dev
        defer { for folder in open { closedir(folder.stream) } }
        if try !removeOne(path, in: AT_FDCWD) { try enter(path, in: AT_FDCWD) }
        while let last = open.indices.last {
            let fd = open[last].fd
            guard let name = open[last].next() else {
                try leave()
                continue
            }
            if try removeOne(name, in: fd) { continue }
            if open.count < Self.depth {
                try enter(name, in: fd)
            } else {
                try Files.check(renameat(fd, name, open[0].fd, ".removed.\(UInt64.random(in: 0 ... .max))"))
            }
        }
    }

    /// Removes a file or an empty folder. False: it is a folder that is not empty.
    private func removeOne(_ name: String, in folder: Int32) throws(Errno) -> Bool {
        if unlinkat(folder, name, 0) == 0 || errno == ENOENT { return true }
        guard errno == EISDIR else { throw Errno(errno) }
        if unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
        guard errno == ENOTEMPTY || errno == EEXIST else { throw Errno(errno) }
        return false
    }

    private mutating func enter(_ name: String, in folder: Int32) throws(Errno) {
        let fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        if fd < 0 && errno == ENOENT { return }
        try Files.check(fd)
        var info = stat()
        guard fstat(fd, &info) == 0, info.st_dev == device, let stream = fdopendir(fd) else {
            close(fd)
            throw Errno(EBUSY)
        }
        open.append(Folder(name: name, stream: stream))
    }

    /// Removes the innermost open folder, which is empty.
    private mutating func leave() throws(Errno) {
        let done = open.removeLast()
        closedir(done.stream)
        if unlinkat(open.last?.fd ?? AT_FDCWD, done.name, AT_REMOVEDIR) != 0 && errno != ENOENT { throw Errno(errno) }
    }
}
