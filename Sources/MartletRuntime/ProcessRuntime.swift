internal import Glibc
public import MartletBase
internal import MartletIO

/// A container runtime without containers: each one is a plain child process of ours on the host, in a private folder
/// and a process group of its own. It needs no root and no image store; it is for tests and laptops.
///
/// What differs from real containers:
/// - The image is not fetched. `process://NAME` or `process:///path` names a program that runs when the container gives
///   no command; any other reference counts as present, and the container must give a command.
/// - Pods share the host's network: the address of each is 127.0.0.1, its ports are the host's.
/// - A mount becomes a symbolic link below the private folder, which is also the working folder unless the container
///   names one that exists on the host.
/// - Users, capabilities and limits are not applied.
/// - Containers end when this process ends.
public actor ProcessRuntime: ContainerRuntime {
    private struct Sandbox {
        var status: SandboxStatus
        var config: SandboxConfig
    }
    private struct Container {
        var status: ContainerStatus
        var config: ContainerConfig
        var folder: String
        var environment: [String: String]
        var child: ChildProcess?
        var output: ProcessOutput?
    }

    /// The most sandboxes, and the most containers, that it holds; further ones are refused.
    public static let capacity = 1_000
    /// What ``execSync(_:command:timeoutSeconds:)`` keeps of each stream; the rest is dropped.
    public static let execOutputLimit = 1 << 20

    private let directory: String
    private let world: any World
    private var sandboxes: [String: Sandbox] = [:]
    private var containers: [String: Container] = [:]

    /// A runtime that keeps its private folders in `directory`; what an earlier run left in it is removed.
    /// - Throws: `Errno` when the folder cannot be made.
    public init(directory: String, in world: any World) throws {
        self.directory = directory
        self.world = world
        try Files.remove(directory)
        try Files.makeDirectory(directory, mode: 0o700)
    }

    /// Ends every container and removes the private folders.
    public func shutdown() async {
        for id in Array(sandboxes.keys) {
            try? await stopSandbox(id)
            try? await removeSandbox(id)
        }
        try? Files.remove(directory)
    }

    // MARK: ContainerRuntime

    /// No containerd has these.
    public nonisolated var scheme: String { "process" }
    public func version() async throws -> RuntimeVersion { RuntimeVersion(name: "process", version: "1") }

    public func unmetConditions() async throws -> [RuntimeCondition] { [] }

    public func runSandbox(_ config: SandboxConfig) async throws -> String {
        guard sandboxes.count < Self.capacity else { throw RuntimeError.refused("no room for more sandboxes") }
        let id = newID()
        sandboxes[id] = Sandbox(
            status: SandboxStatus(
                id: id, name: config.name, namespace: config.namespace, uid: config.uid, attempt: config.attempt,
                isReady: true, createdAt: world.wallTime().nanoseconds,
                addresses: config.hostNetwork ? [] : ["127.0.0.1"]),
            config: config)
        return id
    }

    public func stopSandbox(_ id: String) async throws {
        guard sandboxes[id] != nil else { return }
        sandboxes[id]?.status.isReady = false
        for container in containers.values where container.status.sandbox == id {
            try await stopContainer(container.status.id, graceSeconds: 0)
        }
    }

    public func removeSandbox(_ id: String) async throws {
        guard let sandbox = sandboxes[id] else { return }
        guard !sandbox.status.isReady else { throw RuntimeError.refused("sandbox \(id) is not stopped") }
        for container in containers.values where container.status.sandbox == id {
            try await removeContainer(container.status.id)
        }
        sandboxes[id] = nil
    }

    public func listSandboxes() async throws -> [SandboxStatus] {
        sandboxes.values.map(\.status).sorted { $0.id < $1.id }
    }

    public func createContainer(sandbox: String, _ config: ContainerConfig, sandboxConfig: SandboxConfig) async throws
        -> String
    {
        guard let owner = sandboxes[sandbox] else { throw RuntimeError.notFound("sandbox \(sandbox)") }
        guard owner.status.isReady else { throw RuntimeError.refused("sandbox \(sandbox) does not run") }
        guard containers.count < Self.capacity else { throw RuntimeError.refused("no room for more containers") }
        let id = newID()
        let folder = "\(directory)/\(id)"
        var status = ContainerStatus(
            id: id, sandbox: sandbox, name: config.name, attempt: config.attempt, state: .created)
        status.image = config.image
        status.imageID = config.image
        status.createdAt = world.wallTime().nanoseconds
        status.labels = config.labels
        status.annotations = config.annotations
        do {
            try Files.makeDirectory(folder, mode: 0o700)
            for mount in config.mounts { try link(mount, in: folder) }
            if !config.logPath.isEmpty {
                status.logPath = "\(owner.config.logDirectory)/\(config.logPath)"
                try Files.makeDirectory(folderName(of: status.logPath))
            }
        } catch {
            try? Files.remove(folder)
            throw RuntimeError.refused("the private folder \(folder) of container \(config.name): \(error)")
        }
        containers[id] = Container(
            status: status, config: config, folder: folder,
            environment: environment(of: config, hostname: owner.config.hostname, folder: folder))
        return id
    }

    public func startContainer(_ id: String) async throws {
        guard let container = containers[id] else { throw RuntimeError.notFound("container \(id)") }
        guard container.status.state == .created else {
            throw RuntimeError.refused("container \(id) was started before")
        }
        let command = try commandLine(container.config)
        let config = container.config
        do {
            let output = try ProcessOutput(folder: container.folder, log: container.status.logPath)
            let child = try spawn(
                command, container, output: .file(output.stdoutPath), errors: .file(output.stderrPath),
                endsGroup: true)
            containers[id]?.child = child
            containers[id]?.output = output
            containers[id]?.status.state = .running
            containers[id]?.status.startedAt = world.wallTime().nanoseconds
            world.spawn { [weak self] in
                let result = await child.wait()
                await self?.ended(id, result)
            }
            // Moves what the container prints into its log until it has ended. The pipes are polled, the slower the
            // longer nothing came; a writer who is faster waits at a full pipe.
            world.spawn { [weak self, world] in
                var pause = Duration.milliseconds(2)
                while let moved = await self?.move(id) {
                    pause = moved ? .milliseconds(2) : min(pause * 2, .milliseconds(64))
                    guard (try? await world.sleep(for: pause)) != nil else { return }
                }
            }
        } catch {
            throw RuntimeError.refused("container \(config.name): \(command.program): \(error)")
        }
    }

    /// A process of the host's own is held to no limits.
    public func updateContainer(_ id: String, _ limits: ContainerLimits) async throws {
        guard containers[id]?.status.state == .running else { throw RuntimeError.notFound("running container \(id)") }
        containers[id]?.config.limits = limits
    }

    public func stopContainer(_ id: String, graceSeconds: Int) async throws {
        guard let container = containers[id], container.status.state == .running, let child = container.child else {
            return
        }
        if graceSeconds > 0 {
            child.signalGroup(SIGTERM)
            let timer = world.spawn { [world] in
                guard (try? await world.sleep(for: .seconds(graceSeconds))) != nil else { return }
                child.signalGroup(SIGKILL)
            }
            let result = await child.wait()
            timer.cancel()
            ended(id, result)
        } else {
            child.signalGroup(SIGKILL)
            ended(id, await child.wait())
        }
    }

    public func removeContainer(_ id: String) async throws {
        guard let container = containers[id] else { return }
        guard container.status.state != .running else { throw RuntimeError.refused("container \(id) runs") }
        containers[id] = nil
        do {
            try Files.remove(container.folder)
            if !container.status.logPath.isEmpty { try Files.remove(container.status.logPath) }
        } catch {
            throw RuntimeError.refused("the private folder \(container.folder): \(error)")
        }
    }

    public func listContainers() async throws -> [ContainerStatus] {
        containers.values.map(\.status).sorted { $0.id < $1.id }
    }

    public func execSync(_ id: String, command: [String], timeoutSeconds: Int) async throws -> ExecResult {
        guard let container = containers[id] else { throw RuntimeError.notFound("container \(id)") }
        guard container.status.state == .running else { throw RuntimeError.refused("container \(id) does not run") }
        guard let first = command.first else { throw RuntimeError.refused("no command was given") }
        let line = CommandLine(program: try Self.program(first), arguments: Array(command.dropFirst()))
        let child: ChildProcess
        do {
            child = try spawn(
                line, container, output: .collect(limit: Self.execOutputLimit),
                errors: .collect(limit: Self.execOutputLimit))
        } catch {
            throw RuntimeError.refused("container \(container.config.name): \(first): \(error)")
        }
        let deadline = world.now() + .seconds(timeoutSeconds > 0 ? timeoutSeconds : 3_600)
        let timer = world.spawn { [world] in
            guard (try? await world.sleep(until: deadline)) != nil else { return }
            child.signalGroup(SIGKILL)
        }
        let result = await child.wait()
        timer.cancel()
        if timeoutSeconds > 0 && result.status == 137 && world.now() >= deadline {
            throw RuntimeError.refused("the command \(first) was killed after \(timeoutSeconds) s")
        }
        return ExecResult(exitCode: result.status, output: result.output, errors: result.errors)
    }

    public func imageID(_ reference: String) async throws -> String? { reference }

    public func pullImage(_ reference: String) async throws -> String { reference }

    // MARK: Inside

    private struct CommandLine {
        var program: String
        var arguments: [String]
    }

    private func newID() -> String {
        let digits = String(world.random(), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// What to run: the container's command or else the image's program, then the arguments.
    private func commandLine(_ config: ContainerConfig) throws -> CommandLine {
        var words = config.command
        if words.isEmpty {
            let scheme = "process://"
            guard config.image.hasPrefix(scheme), config.image.utf8.count > scheme.utf8.count else {
                throw RuntimeError.refused(
                    "container \(config.name): the process runtime fetches no image: give the container a command, "
                        + "or an image as process:///bin/cat")
            }
            words = [String(config.image.dropFirst(scheme.count))]
        }
        return CommandLine(
            program: try Self.program(words[0]), arguments: words.dropFirst() + config.arguments)
    }

    private static func program(_ name: String) throws -> String {
        let path = name.utf8.contains(UInt8(ascii: "/")) ? (Files.exists(name) ? name : nil) : ChildProcess.find(name)
        guard let path else { throw RuntimeError.refused("exec: \(name): there is no such program on this host") }
        return path
    }

    /// Starts a program as the leader of a process group, so that a signal to the group reaches all it starts.
    /// With `endsGroup`, what it has started and left behind ends with it.
    private func spawn(
        _ line: CommandLine, _ container: Container, output: ChildProcess.Output, errors: ChildProcess.Output,
        endsGroup: Bool = false
    ) throws(Errno) -> ChildProcess {
        let wanted = container.config.workingDirectory
        return try ChildProcess(
            line.program, line.arguments, environment: container.environment,
            directory: !wanted.isEmpty && Files.exists(wanted) ? wanted : container.folder,
            output: output, errors: errors, endsWithParent: true, endsGroup: endsGroup,
            in: world)
    }

    private func environment(of config: ContainerConfig, hostname: String, folder: String) -> [String: String] {
        var result = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": hostname,
            "HOME": folder,
        ]
        for variable in config.environment { result[variable.name] = variable.value }
        return result
    }

    /// Stands for a mount: a link in the private folder, at the container's path, to the host's.
    private func link(_ mount: ContainerConfig.Mount, in folder: String) throws(Errno) {
        let parts = mount.containerPath.split(separator: "/").filter { $0 != "." && $0 != ".." }
        guard !parts.isEmpty else { return }
        let path = folder + "/" + parts.joined(separator: "/")
        try Files.makeDirectory(folderName(of: path), mode: 0o700)
        guard symlink(mount.hostPath, path) == 0 || errno == EEXIST else { throw Errno(errno) }
    }

    private func ended(_ id: String, _ result: ChildProcess.Result) {
        guard let container = containers[id], container.status.state == .running else { return }
        container.output?.finish(at: world.wallTime())
        containers[id]?.output = nil
        containers[id]?.child = nil
        containers[id]?.status.state = .exited
        containers[id]?.status.finishedAt = world.wallTime().nanoseconds
        containers[id]?.status.exitCode = result.status
        containers[id]?.status.reason = ContainerStatus.reason(forExitCode: result.status)
    }

    /// Whether something was moved; nil when the container has ended.
    private func move(_ id: String) -> Bool? {
        guard let output = containers[id]?.output else { return nil }
        return output.move(at: world.wallTime())
    }
}

/// The folder of a path.
func folderName(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
