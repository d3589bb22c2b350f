internal import Glibc
internal import MartletBase
internal import MartletHTTP
internal import MartletIO

/// What one containerd leaves on the host when it goes without its pods: shims and their containers, and cgroups.
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

    // MARK: Cgroups

    /// Removes a cgroup and those in it; killed processes need a moment to leave them. The folder above is shared by
    /// all instances, and goes with the last one.
    static func removeCgroups(_ path: String, in world: any World) async {
        for _ in 0..<100 {
            if (try? Cgroups.removeTree(path)) != nil { break }
            try? await world.sleep(for: .milliseconds(20))
        }
        let parent = folderName(of: path)
        let root = "/sys/fs/cgroup"
        for hierarchy in [root] + ((try? Files.list(root)) ?? []).map({ "\(root)/\($0)" }) where parent != "/" {
            rmdir(hierarchy + parent)
        }
    }
}
