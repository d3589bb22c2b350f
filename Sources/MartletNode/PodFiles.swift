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

    func directory(of spec: PodSpec) -> String { "\(root)/pods/\(Self.safe(spec.uid))" }
    func logDirectory(of spec: PodSpec) -> String {
        "\(root)/pods-logs/\(Self.safe(spec.namespace))_\(Self.safe(spec.name))_\(Self.safe(spec.uid))"
    }

    /// A name as one component of a path.
    static func safe(_ name: String) -> String {
        if name.isEmpty || name == "." || name == ".." { return "_" }
        return String(name.map { $0 == "/" || $0 == "\0" ? "_" : $0 })
    }

    func makeLogDirectories(_ spec: PodSpec) throws(Errno) {
        for container in spec.initContainers + spec.containers {
            try Files.makeDirectory("\(logDirectory(of: spec))/\(Self.safe(container.name))")
        }
    }

    /// Removes all of a pod that has gone.
    func remove(_ spec: PodSpec) {
        try? Files.remove(directory(of: spec))
        try? Files.remove(logDirectory(of: spec))
    }

    /// Removes what all pods had.
    func removeAll() {
        try? Files.remove("\(root)/pods")
        try? Files.remove("\(root)/pods-logs")
    }

    // MARK: - Volumes

    /// Where a volume is on the host.
    func path(of volume: VolumeSpec, in spec: PodSpec) -> String {
        if case .hostPath(let path, _) = volume.source { return path }
        return "\(directory(of: spec))/volumes/\(Self.safe(volume.name))"
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
        case .unsupported, .keys, .downwardAPI, .projected:
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
            if !mount.subPath.isEmpty {
                guard let inside = RelativePath.checked(mount.subPath) else {
                    throw ConfigurationError("subPath \(mount.subPath) would leave volume \(volume.name)")
                }
                path += "/\(inside)"
                if !Files.exists(path) { try Files.makeDirectory(path) }
                path = try resolved(path, inside: self.path(of: volume, in: spec), subPath: mount.subPath)
            }
            mounts.append(
                .init(
                    containerPath: mount.path, hostPath: path,
                    isReadOnly: mount.isReadOnly || volume.isMadeOfFiles))
        }
        return mounts
    }

    /// A subPath with its links followed, which must not lead out of the volume.
    private func resolved(_ path: String, inside volume: String, subPath: String) throws -> String {
        let real: (String) -> String? = { path in
            guard let text = unsafe realpath(path, nil) else { return nil }
            defer { unsafe free(text) }
            return unsafe String(cString: text)
        }
        guard let target = real(path), let folder = real(volume), target == folder || target.hasPrefix(folder + "/")
        else { throw ConfigurationError("subPath \(subPath) leads out of its volume") }
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
            try Files.write(bytes, to: path)
        }
        return path
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
            try Files.write(file.bytes, to: target, mode: file.mode)
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
