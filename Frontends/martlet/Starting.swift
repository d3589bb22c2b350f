import ArgumentParser
import Foundation
import Martlet
import MartletFrontend
import MartletIO

/// Why a command did not do what it was asked for; says what to do.
struct Refusal: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// How the daemon of a machine is started and ended.
struct Service {
    let dataDirectory: String
    /// Further flags of the daemon.
    var arguments: [String] = []
    /// Whether containers run here.
    var runsPods = true
    /// The size of the log before the daemon was started.
    private var loggedBefore = 0
    /// The daemon that this one has started detached.
    private var spawned: pid_t?

    /// The daemon of a data folder.
    init(dataDirectory: String, arguments: [String] = []) {
        // The daemon works in another folder, and is known by the name of this one.
        self.dataDirectory = URL(fileURLWithPath: dataDirectory).path
        self.arguments = arguments
    }

    /// The daemon as it is called.
    var command: [String] { [Self.daemon, "--data-dir", dataDirectory] + arguments }
    /// How somebody starts it again.
    var howToStart: String {
        let started = Self(dataDirectory: dataDirectory, arguments: usedArguments)
        return Self.hasUnit ? "systemctl start martletd" : started.command.joined(separator: " ")
    }

    var logFile: String { dataDirectory + "/martletd.log" }

    /// How it is run.
    enum Way: String, CaseIterable, ExpressibleByArgument {
        /// By systemd where that is this machine's init, else detached.
        case auto
        /// By systemd, as a unit that starts with the machine.
        case systemd
        /// As a process of its own that outlives the command.
        case detached
        /// Not at all: somebody else runs `martletd --data-dir DIR`.
        case none
    }

    /// The programs lie beside each other.
    static var daemon: String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "martlet"
        return (own as NSString).deletingLastPathComponent + "/martletd"
    }

    /// Whether systemd runs this machine, and this process in its network: a host in a network namespace has none.
    static var hasSystemd: Bool {
        func namespace(_ process: String) -> String? {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/ns/net")
        }
        return FileManager.default.fileExists(atPath: "/run/systemd/system") && namespace("self") == namespace("1")
    }

    /// Whether the daemon of this machine is a unit.
    static var hasUnit: Bool { hasSystemd && Files.exists(ServiceUnit.path) }

    var argumentsFile: String { dataDirectory + "/martletd.flags" }

    /// The flags that the daemon was started with, one a line.
    var usedArguments: [String] {
        ((try? String(contentsOfFile: argumentsFile, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }

    mutating func start(_ way: Way) throws {
        try Files.write(Array(arguments.map { $0 + "\n" }.joined().utf8), to: argumentsFile)
        switch way {
        case .none:
            print("start it with: \(command.joined(separator: " "))")
        case .auto: try start(Self.hasSystemd && Machine.isRoot ? .systemd : .detached)
        case .systemd: try startUnit()
        case .detached: try startDetached()
        }
    }

    /// Whether the daemon was started by this program: by hand it is ended by hand. One that does not run was, when it
    /// has left the log of those that are started detached.
    var isOurs: Bool {
        if Self.hasUnit { return true }
        guard let process = runningProcess else { return Files.exists(logFile) }
        return (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/1")) == logFile
    }

    /// Ends the daemon, and starts it the way it was started before.
    mutating func restart() throws {
        guard Self.hasUnit else {
            try stopProcess()
            return try startDetached()
        }
        try Self.call("systemctl", ["restart", ServiceUnit.name])
    }

    /// Returns when the daemon that was started works. systemd has waited for that already.
    func waitUntilReady() throws {
        guard let spawned else { return }
        for _ in 0..<1200 {
            let text = (try? Data(contentsOf: URL(fileURLWithPath: logFile))).map {
                String(decoding: $0.dropFirst(loggedBefore), as: UTF8.self)
            }
            if text?.contains("\nready: ") ?? false || text?.hasPrefix("ready: ") ?? false { return }
            // Asked of the kernel: right after the start, /proc does not know the process by its name yet.
            guard waitpid(spawned, nil, WNOHANG) == 0 else {
                throw Refusal("martletd has ended, and said:\n\(lastWords)")
            }
            usleep(50_000)
        }
        throw Refusal("martletd is not ready after a minute; see \(logFile):\n\(lastWords)")
    }

    private func startUnit() throws {
        let unit = ServiceUnit(command: command, dataDirectory: dataDirectory, runsPods: runsPods)
        try Files.write(Array(unit.text.utf8), to: ServiceUnit.path)
        try Self.call("systemctl", ["daemon-reload"])
        try Self.call("systemctl", ["enable", "--now", ServiceUnit.name])
    }

    private mutating func startDetached() throws {
        loggedBefore = (try? Files.size(logFile)) ?? 0
        if let running = runningProcess { throw Refusal("martletd runs already (process \(running))") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logFile, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID of glibc: a session of its own, which no terminal ends.
        posix_spawnattr_setflags(&attributes, 0x80)
        var pointers: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, Self.daemon, &actions, &attributes, &pointers, environ)
        guard status == 0 else {
            throw Refusal("\(Self.daemon) cannot be started: \(String(cString: strerror(status)))")
        }
        spawned = process
    }

    /// The daemon of the data folder while it runs, however it was started.
    var runningProcess: pid_t? { ProcessFile(dataDirectory: dataDirectory).owner }

    /// Ends the daemon, and waits until it is gone.
    func stop() throws {
        if Self.hasUnit {
            try Self.call("systemctl", ["disable", "--now", ServiceUnit.name])
            try Files.remove(ServiceUnit.path)
            try Self.call("systemctl", ["daemon-reload"])
        }
        try stopProcess()
    }

    private func stopProcess() throws {
        guard let process = runningProcess else { return }
        guard process > 1 else { throw Refusal("martletd of \(dataDirectory) cannot be ended from here: end it first") }
        kill(process, SIGTERM)
        for _ in 0..<600 {
            if runningProcess == nil { return }
            usleep(50_000)
        }
        throw Refusal("martletd (process \(process)) does not end; end it and try again")
    }

    private static func call(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Refusal(
                "\(program) \(arguments.joined(separator: " ")) failed; see journalctl -u \(ServiceUnit.name)")
        }
    }

    /// The last lines of the log, for an error.
    var lastWords: String {
        guard let text = try? String(contentsOfFile: logFile, encoding: .utf8) else { return "" }
        return text.split(separator: "\n").suffix(4).map { "  " + $0 }.joined(separator: "\n")
    }
}
