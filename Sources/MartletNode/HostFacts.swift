internal import Glibc
internal import MartletIO

/// What the node's kernel and files say of the machine.
struct HostFacts: Sendable, Hashable {
    var milliCPU: Int64 = 1000
    var memory: Int64 = 0
    var storage: Int64 = 0
    var machineID = ""
    var systemUUID = ""
    var bootID = ""
    var kernel = ""
    var osImage = ""
    /// As Go names it: `amd64`, `arm64`.
    var architecture = ""

    /// Reads them; what cannot be read stays empty. `directory` is on the file system that pods' files are on.
    static func read(directory: String) -> HostFacts {
        var facts = HostFacts()
        facts.milliCPU = Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) * 1000
        facts.memory = memoryField("MemTotal:") ?? 0
        facts.storage = storage(of: directory).total
        facts.machineID = line("/etc/machine-id")
        facts.systemUUID = line("/sys/class/dmi/id/product_uuid")
        if facts.systemUUID.isEmpty { facts.systemUUID = facts.machineID }
        facts.bootID = line("/proc/sys/kernel/random/boot_id")
        facts.kernel = line("/proc/sys/kernel/osrelease")
        facts.osImage = osName()
        #if arch(x86_64)
        facts.architecture = "amd64"
        #elseif arch(arm64)
        facts.architecture = "arm64"
        #endif
        return facts
    }

    /// What is short on the machine, as node conditions: type, whether it is, reason and message.
    static func pressures(directory: String) -> [(type: String, isTrue: Bool, reason: String, message: String)] {
        // Memory as kubelet's hard eviction threshold; a disk with less than 1 GiB free cannot take an image.
        let memoryShort = (memoryField("MemAvailable:") ?? .max) < 100 << 20
        let diskShort = storage(of: directory).available < 1 << 30
        let pidShort = tasks.map { $0.running > $0.limit / 10 * 9 } ?? false
        return [
            (
                "MemoryPressure", memoryShort,
                memoryShort ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                memoryShort ? "less than 100 MiB of memory are available" : "kubelet has sufficient memory available"
            ),
            (
                "DiskPressure", diskShort, diskShort ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                diskShort
                    ? "less than 1 GiB is free under \(directory): make room on its disk, no pods come until then"
                    : "kubelet has no disk pressure"
            ),
            (
                "PIDPressure", pidShort, pidShort ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                pidShort ? "over 90 % of the kernel's task ids are in use" : "kubelet has sufficient PID available"
            ),
        ]
    }

    private static func text(_ path: String) -> String {
        guard let bytes = try? Files.read(path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func line(_ path: String) -> String {
        text(path).split(separator: "\n").first.map(String.init) ?? ""
    }

    /// A field of /proc/meminfo in bytes.
    private static func memoryField(_ name: String) -> Int64? {
        for line in text("/proc/meminfo").split(separator: "\n") where line.hasPrefix(name) {
            let words = line.split(separator: " ")
            guard words.count > 1, let kibibytes = Int64(words[1]) else { return nil }
            return kibibytes << 10
        }
        return nil
    }

    /// Tasks of the whole machine, from /proc/loadavg's `running/all`.
    private static var tasks: (running: Int, limit: Int)? {
        let words = line("/proc/loadavg").split(separator: " ")
        guard words.count > 3, let all = words[3].split(separator: "/").last.flatMap({ Int($0) }),
            let limit = Int(line("/proc/sys/kernel/pid_max"))
        else { return nil }
        return (all, limit)
    }

    private static func storage(of directory: String) -> (total: Int64, available: Int64) {
        var info = statvfs()
        guard unsafe statvfs(directory, &info) == 0 else { return (0, .max) }
        let unit = Int64(clamping: info.f_frsize)
        return (Int64(clamping: info.f_blocks) * unit, Int64(clamping: info.f_bavail) * unit)
    }

    private static func osName() -> String {
        for line in text("/etc/os-release").split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
            return String(line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" })
        }
        return "Linux"
    }
}
