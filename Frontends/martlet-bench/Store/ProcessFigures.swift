import Glibc
import MartletIO

/// What the kernel says of a process.
enum ProcessFigures {
    /// CPU seconds so far; 0 for a process that is not there.
    static func cpuSeconds(_ pid: Int32?) -> Double {
        guard let pid, let text = try? Files.read("/proc/\(pid)/stat") else { return 0 }
        // After the name, which may hold anything: state is the first field, utime the 12th and stime the 13th.
        let fields = String(decoding: text, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident bytes: all, and those that are no pages of files.
    static func resident(_ pid: Int32?) -> (all: Double, anonymous: Double) {
        guard let pid, let text = try? Files.read("/proc/\(pid)/status") else { return (0, 0) }
        func bytes(_ name: String) -> Double {
            let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
            return (line.flatMap { Double($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0) * 1024
        }
        return (bytes("VmRSS:"), bytes("RssAnon:"))
    }
}
