internal import CMartletLinux
internal import Glibc
internal import MartletBase
internal import MartletIO
internal import MartletPods
internal import MartletRuntime

/// The folders of pods on this node: volumes and logs. All paths come from uids and names that the API has checked,
/// and are checked here again.
struct PodFiles: Sendable {
    let root: String

    init(root: String) throws(Errno) {
        self.root = root
        try Files.makeDirectory("\(root)/pods", mode: 0o750)
        try Files.makeDirectory("\(root)/pods-logs")
    }

    func directory(of spec: PodSpec) -> String { "\(root)/pods/\(PodFolders(spec).volumes)" }
    func logDirectory(of spec: PodSpec) -> String { "\(root)/pods-logs/\(PodFolders(spec).logs)" }

    func makeLogDirectories(_ spec: PodSpec) throws(Errno) {
        for container in spec.allContainers { try makeLogDirectory(of: container, in: spec) }
    }

    /// The folder of one container's logs; that of one which came later is not there yet.
    func makeLogDirectory(of container: ContainerSpec, in spec: PodSpec) throws(Errno) {
        try Files.makeDirectory("\(logDirectory(of: spec))/\(PodFolders.component(container.name))")
    }

    /// The folders of all pods, those included that nobody knows any more.
    func list() throws(Errno) -> FolderListing {
        FolderListing(volumes: try Files.list("\(root)/pods"), logs: try Files.list("\(root)/pods-logs"))
    }

    /// Removes such folders with all in them. One that cannot be removed does not keep the others.
    /// - Throws: ``LeftFolders``.
    func remove(_ folders: FolderListing) throws(LeftFolders) {
        var left: [String] = []
        let paths = folders.volumes.map { "\(root)/pods/\($0)" } + folders.logs.map { "\(root)/pods-logs/\($0)" }
        for path in paths {
            do { try Files.remove(path) } catch { left.append("\(path): \(error)") }
        }
        if !left.isEmpty { throw LeftFolders(descriptions: left) }
    }

    // MARK: - Volumes

    /// Where a volume is on the host.
    func path(of volume: VolumeSpec, in spec: PodSpec) -> String {
        if case .hostPath(let path, _) = volume.source { return path }
        return "\(directory(of: spec))/volumes/\(PodFolders.component(volume.name))"
    }

    /// Puts a volume in place, or brings its files up to date.
    func mount(_ volume: VolumeSpec, of spec: PodSpec, in surroundings: PodSurroundings) throws {
        let path = path(of: volume, in: spec)
        switch volume.source {
        case .emptyDir:
            try Files.makeDirectory(path)
            // Any user of any container may write here; the umask must not say otherwise.
            guard unsafe chmod(path, 0o777) == 0 else { throw Errno(errno) }
        case .hostPath(_, let type): try checkHostPath(path, type: type)
        case .unsupported, .keys, .downwardAPI, .token, .projected:
            try AtomicFolder(path: path).write(try spec.files(of: volume, in: surroundings))
        }
    }

    private func checkHostPath(_ path: String, type: String) throws {
        guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw ConfigurationError("hostPath \(path) must be absolute and without \"..\"")
        }
        switch type {
        case "DirectoryOrCreate": if !Files.exists(path) { try Files.makeDirectory(path) }
        case "FileOrCreate": if !Files.exists(path) { try Files.write([], to: path) }
        case "Directory" where !Files.isDirectory(path):
            throw ConfigurationError("hostPath type check failed: \(path) is not a directory")
        case "File" where !Files.exists(path) || Files.isDirectory(path):
            throw ConfigurationError("hostPath type check failed: \(path) is not a file")
        default: return
        }
    }

    /// The mounts of a container.
    func mounts(of container: ContainerSpec, in spec: PodSpec) throws -> [ContainerConfig.Mount] {
        var mounts: [ContainerConfig.Mount] = []
        for mount in container.mounts {
            guard let volume = spec.volumes.first(where: { $0.name == mount.volume }) else {
                throw ConfigurationError(
                    "container \(container.name) mounts volume \(mount.volume), which is not there")
            }
            var path = path(of: volume, in: spec)
            if !mount.subPath.isEmpty { path = try self.path(of: mount.subPath, in: volume, at: path) }
            mounts.append(
                .init(
                    containerPath: mount.path, hostPath: path,
                    isReadOnly: mount.isReadOnly || volume.isMadeOfFiles))
        }
        return mounts
    }

    /// Where a subPath of a volume is; its folders are made where they are absent. A container may have written into
    /// the volume, so no link is followed: with one, folders could be made, and mounted, anywhere on the host.
    private func path(of subPath: String, in volume: VolumeSpec, at root: String) throws -> String {
        guard let inside = RelativePath.checked(subPath) else {
            throw ConfigurationError("subPath \(subPath) would leave volume \(volume.name)")
        }
        // Links in a volume of files are our own: containers can only read it.
        if volume.isMadeOfFiles, let file = Self.resolved("\(root)/\(inside)", inside: root) { return file }
        var reached = 0
        let status = unsafe cml_make_below(root, inside, &reached)
        guard status < 0 else { return "\(root)/\(inside)" }
        let place = String(decoding: inside.utf8.prefix(reached), as: UTF8.self)
        switch -status {
        case ELOOP:
            throw ConfigurationError(
                "subPath \(subPath): \(place) in volume \(volume.name) is a symbolic link, and none is followed")
        case ENOTDIR:
            throw ConfigurationError("subPath \(subPath): \(place) in volume \(volume.name) is not a folder")
        default:
            throw ConfigurationError(
                "subPath \(subPath): \(place) in volume \(volume.name) cannot be made: \(Errno(-status))")
        }
    }

    /// A path with its links followed, when that is something inside a folder.
    private static func resolved(_ path: String, inside folder: String) -> String? {
        let real: (String) -> String? = { path in
            guard let text = unsafe realpath(path, nil) else { return nil }
            defer { unsafe free(text) }
            return unsafe String(cString: text)
        }
        guard let target = real(path), let root = real(folder), target.hasPrefix(root + "/") else { return nil }
        return target
    }

    // MARK: - Hosts

    /// Writes the pod's hosts file; returns its path.
    func writeHosts(of spec: PodSpec, addresses: [String]) throws(Errno) -> String {
        var text = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        for address in addresses { text += "\(address)\t\(spec.hostname)\n" }
        for alias in spec.hostAliases { text += "\(alias.ip)\t\(alias.hostnames.joined(separator: "\t"))\n" }
        let path = "\(directory(of: spec))/etc-hosts"
        let bytes = Array(text.utf8)
        // Written in place when it exists: a container may have the very file mounted.
        if (try? Files.read(path)) != bytes {
            try Files.makeDirectory(directory(of: spec), mode: 0o750)
            try PlainFile.write(bytes, to: path)
        }
        return path
    }
}

/// Folders that could not be removed.
struct LeftFolders: Error, CustomStringConvertible {
    /// Each with its path and the reason.
    var descriptions: [String]
    var description: String { descriptions.joined(separator: "; ") }
}

/// Files that the node can make again from the API: nothing waits for the disk to have them.
enum PlainFile {
    static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(Errno) {
        let fd = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode)
        guard fd >= 0 else { throw Errno(errno) }
        defer { close(fd) }
        // The mode asked for is the mode given, whatever the umask.
        guard fchmod(fd, mode) == 0 else { throw Errno(errno) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(fd, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Errno(errno) }
            rest = rest.dropFirst(count)
        }
    }
}

/// A folder whose files change all at once, as kubelet's AtomicWriter lays it out: `NAME` links to `..data/NAME`, and
/// `..data` links to the folder of the newest contents.
struct AtomicFolder {
    let path: String

    func write(_ files: [VolumeFile]) throws {
        try Files.makeDirectory(path)
        let data = "\(path)/..data"
        let old = link(at: data)
        if let old, isCurrent(files, in: "\(path)/\(old)") { return }
        let fresh = try unusedName()
        for file in files {
            let target = "\(path)/\(fresh)/\(file.path)"
            try Files.makeDirectory(String(target[..<(target.lastIndex(of: "/") ?? target.endIndex)]))
            try PlainFile.write(file.bytes, to: target, mode: file.mode)
        }
        if files.isEmpty { try Files.makeDirectory("\(path)/\(fresh)") }
        let temporary = "\(path)/..data_tmp"
        try Files.remove(temporary)
        guard unsafe symlink(fresh, temporary) == 0 else { throw Errno(errno) }
        guard unsafe rename(temporary, data) == 0 else { throw Errno(errno) }
        try showNames(of: files)
        if let old { try Files.remove("\(path)/\(old)") }
    }

    /// Links for the first components of all files; those of files that are no more go.
    private func showNames(of files: [VolumeFile]) throws {
        let names = Set(files.compactMap { $0.path.split(separator: "/").first.map(String.init) })
        for name in try Files.list(path) where !name.hasPrefix("..") && !names.contains(name) {
            try Files.remove("\(path)/\(name)")
        }
        for name in names where link(at: "\(path)/\(name)") == nil {
            guard unsafe symlink("..data/\(name)", "\(path)/\(name)") == 0 else { throw Errno(errno) }
        }
    }

    private func isCurrent(_ files: [VolumeFile], in directory: String) -> Bool {
        guard let names = try? Files.list(directory) else { return false }
        let expected = Set(files.compactMap { $0.path.split(separator: "/").first.map(String.init) })
        return Set(names) == expected && files.allSatisfy { (try? Files.read("\(directory)/\($0.path)")) == $0.bytes }
    }

    private func unusedName() throws -> String {
        for number in 1...1000 where !Files.exists("\(path)/..v\(number)") { return "..v\(number)" }
        throw Errno.exists
    }

    private func link(at path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 1024)
        let count = unsafe readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
