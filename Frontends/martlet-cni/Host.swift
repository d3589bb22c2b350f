import Glibc
import MartletCNI

/// The few things that the plugin asks of the system. All of it waits: the program does one thing at a time.
enum Host {
    /// The most files that are read from the folder of reservations: the addresses of a /16.
    static let reservationLimit = 65_536

    /// All of the environment.
    static func environment() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        return result
    }

    /// Reads to the end, or to the limit.
    static func readAll(_ fd: Int32, limit: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limit {
            let count = read(fd, &chunk, min(chunk.count, limit - bytes.count))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// Writes all of it, or as much as the reader takes.
    static func writeAll(_ fd: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// The path of a plugin in `CNI_PATH`.
    static func find(_ name: String) -> String? {
        let folders = (getenv("CNI_PATH").map { String(cString: $0) } ?? "").split(separator: ":")
        return folders.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// The texts of the files that `host-local` keeps, one per address in use.
    static func reservations(in directory: String) -> [[UInt8]] {
        guard let folder = opendir(directory) else { return [] }
        defer { closedir(folder) }
        var files: [[UInt8]] = []
        while files.count < reservationLimit, let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard isAddress(name) else { continue }
            let fd = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC)
            guard fd >= 0 else { continue }
            files.append(readAll(fd, limit: 4_096))
            close(fd)
        }
        return files
    }

    /// Whether a file is named after an address: beside these there are a lock and what was given out last.
    private static func isAddress(_ name: String) -> Bool {
        (name.contains(".") || name.contains(":")) && name.allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" }
    }

    /// Runs a plugin. It reads all its input before it prints (all plugins do), so writing first cannot lock up.
    static func run(_ call: CNIPlugin.Call) -> CNIPlugin.Outcome {
        guard let path = find(call.plugin) else { return .notRun("there is no \(call.plugin) in CNI_PATH") }
        var input: [Int32] = [0, 0]
        var output: [Int32] = [0, 0]
        guard pipe(&input) == 0, pipe(&output) == 0 else { return .notRun(String(cString: strerror(errno))) }
        for fd in input + output { _ = fcntl(fd, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        var variables = environment().filter { !$0.key.hasPrefix("CNI_") }
        variables.merge(call.environment) { $1 }
        let texts = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        let words = [strdup(path), nil]
        defer { for text in texts + words { free(text) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, nil, words, texts)
        close(input[0])
        close(output[1])
        guard error == 0 else {
            close(output[0])
            close(input[1])
            return .notRun(String(cString: strerror(error)))
        }
        writeAll(input[1], call.input)
        close(input[1])
        let printed = readAll(output[0], limit: CNIPlugin.inputLimit)
        // Before it is waited for: one that prints more than is read ends by that, and not never.
        close(output[0])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        // A status below 128 in the low byte is the signal that ended it (wait(2)).
        return .ran(status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F, output: printed)
    }
}
