internal import Glibc
internal import MartletBase
internal import MartletHTTP
internal import MartletIO

/// What one containerd leaves on the host when it goes without its pods: shims and their containers, mounts, cgroups.
/// Everything is found by a name that only this instance uses (its socket, its folders, its cgroup).
enum Leftovers {
    /// Where containerd's shims listen; containerd 1.6 has it fixed.
    static let shimSockets = "/run/containerd/s"

    // MARK: Processes

    /// A process as /proc tells it.
    struct Process: Hashable {
        var pid: Int32
        var parent: Int32
        var arguments: [String]
    }

    /// Every process of the host.
    static func processes() -> [Process] {
        ((try? Files.list("/proc")) ?? []).compactMap { name in
            guard let pid = Int32(name), let status = try? Files.read("/proc/\(name)/stat"),
                let line = try? Files.read("/proc/\(name)/cmdline"), let parent = parent(inStat: status)
            else { return nil }
            return Process(
                pid: pid, parent: parent,
                arguments: line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        }
    }

    /// The parent in /proc/PID/stat: the second word after the name, which stands in the last parentheses.
    static func parent(inStat bytes: [UInt8]) -> Int32? {
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let words = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
        return words.count > 1 ? Int32(String(decoding: words[1], as: UTF8.self)) : nil
    }

    /// The shims that serve the containerd at `socket`, by their arguments.
    static func shims(of socket: String, in processes: [Process]) -> [Process] {
        processes.filter { process in
            guard process.arguments.first?.contains("containerd-shim") == true,
                let flag = process.arguments.firstIndex(of: "-address"), flag + 1 < process.arguments.count
            else { return false }
            return process.arguments[flag + 1] == socket
        }
    }

    /// All that descend from these.
    static func descendants(of roots: [Process], in processes: [Process]) -> [Process] {
        let children = Dictionary(grouping: processes, by: \.parent)
        var found: [Process] = []
        var queue = roots.map(\.pid)
        while let pid = queue.popLast() {
            for child in children[pid] ?? [] where found.count < processes.count {
                found.append(child)
                queue.append(child.pid)
            }
        }
        return found
    }

    /// Kills the shims and containers of the containerd at `socket`, and removes the shims' sockets.
    static func killShims(of socket: String, in world: any World) async {
        for _ in 0..<50 {
            let all = processes()
            let shims = shims(of: socket, in: all)
            guard !shims.isEmpty else { return }
            for process in descendants(of: shims, in: all) { kill(process.pid, SIGKILL) }
            for shim in shims {
                kill(shim.pid, SIGKILL)
                if let path = shimSocket(of: shim, socket: socket) { try? Files.remove(path) }
            }
            try? await world.sleep(for: .milliseconds(20))
        }
    }

    /// Removes the folders that all containerds of the host share, when they are empty.
    static func removeSharedFolders() {
        for folder in [shimSockets, "/run/containerd", "/var/lib/cni/results", "/var/lib/cni", "/run/martlet"] {
            rmdir(folder)
        }
    }

    /// A shim's socket is named by the digest of containerd's socket, the namespace and the sandbox.
    static func shimSocket(of shim: Process, socket: String) -> String? {
        func value(_ flag: String) -> String? {
            guard let index = shim.arguments.firstIndex(of: flag), index + 1 < shim.arguments.count else { return nil }
            return shim.arguments[index + 1]
        }
        guard let namespace = value("-namespace"), let id = value("-id") else { return nil }
        let digest = Digest.hex(Digest.sha256(Array("\(socket)/\(namespace)/\(id)".utf8)))
        return "\(shimSockets)/\(digest)"
    }

    // MARK: Mounts

    /// Unmounts everything at and below these folders, the innermost first.
    static func unmountAll(below folders: [String]) {
        guard let table = try? Files.read("/proc/self/mountinfo") else { return }
        for point in mountPoints(inMountInfo: table).reversed() {
            guard folders.contains(where: { point == $0 || point.hasPrefix($0 + "/") }) else { continue }
            umount2(point, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW))
        }
    }

    /// The mount points in a table of mountinfo (proc_pid_mountinfo(5)), in the order they were made.
    static func mountPoints(inMountInfo table: [UInt8]) -> [String] {
        table.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let words = line.split(separator: UInt8(ascii: " "))
            return words.count > 4 ? unescaped(Array(words[4])) : nil
        }
    }

    /// Blanks and the like are written as a backslash and three octal digits.
    private static func unescaped(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let digits = bytes[(index + 1)...].prefix(3)
            if bytes[index] == UInt8(ascii: "\\"), digits.count == 3,
                let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                result.append(byte)
                index += 4
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    // MARK: Cgroups

    /// Removes a cgroup and those in it from every hierarchy (v1's and v2's); `path` as the runtime names it,
    /// `/martlet/x`. Those that still hold a process stay.
    static func removeCgroups(_ path: String) {
        let root = "/sys/fs/cgroup"
        let hierarchies = Files.exists(root + "/cgroup.controllers") ? [""] : ((try? Files.list(root)) ?? [])
        for hierarchy in hierarchies {
            removeCgroup("\(root)/\(hierarchy)\(path)", depth: 0)
            // The parent is shared by all instances: it goes with the last one.
            let parent = folderName(of: path)
            if parent != "/" { rmdir("\(root)/\(hierarchy)\(parent)") }
        }
    }

    private static func removeCgroup(_ path: String, depth: Int) {
        guard depth < 16, let names = try? Files.list(path) else { return }
        for name in names where Files.isDirectory("\(path)/\(name)") {
            removeCgroup("\(path)/\(name)", depth: depth + 1)
        }
        rmdir(path)
    }
}
