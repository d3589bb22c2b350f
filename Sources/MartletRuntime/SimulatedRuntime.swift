public import MartletBase

/// A container runtime that only remembers: for tests and simulated clusters. Everything happens at once unless told
/// otherwise, ids and addresses come from counters, times from the world, so that one seed gives one story.
public actor SimulatedRuntime: ContainerRuntime {
    /// What can be made slow or made to fail.
    public enum Operation: Sendable, Hashable {
        /// ``ContainerRuntime/runSandbox(_:)``
        case runSandbox
        /// ``ContainerRuntime/stopSandbox(_:)``
        case stopSandbox
        /// ``ContainerRuntime/removeSandbox(_:)``
        case removeSandbox
        /// ``ContainerRuntime/createContainer(sandbox:_:sandboxConfig:)``
        case createContainer
        /// ``ContainerRuntime/startContainer(_:)``
        case startContainer
        /// ``ContainerRuntime/updateContainer(_:_:)``
        case updateContainer
        /// ``ContainerRuntime/stopContainer(_:graceSeconds:)``
        case stopContainer
        /// ``ContainerRuntime/removeContainer(_:)``
        case removeContainer
        /// ``ContainerRuntime/execSync(_:command:timeoutSeconds:)``
        case execSync
        /// ``ContainerRuntime/pullImage(_:)``
        case pullImage
        /// Both lists.
        case list
    }

    /// How the containers of an image behave once started.
    public enum Program: Sendable, Hashable {
        /// Runs until it is stopped, and then ends with 143 (SIGTERM).
        case runs
        /// Ends by itself.
        case exits(code: Int32, after: Duration)
        /// Runs until its grace is over, and then ends with 137 (SIGKILL).
        case ignoresTermination
    }

    /// Answers ``execSync(_:command:timeoutSeconds:)``.
    public typealias ExecHandler = @Sendable (_ container: ContainerStatus, _ command: [String]) -> ExecResult

    private struct Failure {
        var error: RuntimeError
        var remaining: Int
    }
    private struct Sandbox {
        var status: SandboxStatus
        var logDirectory: String
    }
    private struct Container {
        var status: ContainerStatus
        var program: Program
        var limits: ContainerLimits
    }

    /// The most sandboxes, and the most containers, that it holds; further ones are refused.
    public static let capacity = 100_000
    /// The newest verbs that ``journal`` keeps.
    public static let journalCapacity = 10_000

    private let world: any World
    private let network: String
    private var sandboxes: [String: Sandbox] = [:]
    private var containers: [String: Container] = [:]
    private var images: [String: String] = [:]
    private var imageUsers: [String: ImageUser] = [:]
    private var programs: [String: Program] = [:]
    private var delays: [Operation: Duration] = [:]
    private var failures: [Operation: Failure] = [:]
    private var pullFailures: [String: Failure] = [:]
    private var conditions: [RuntimeCondition] = []
    private var execHandler: ExecHandler = { _, _ in ExecResult(exitCode: 0, output: [], errors: []) }
    private var sandboxCount = 0
    private var containerCount = 0
    private var log: [String] = []

    /// An empty runtime.
    /// - Parameter network: the first two numbers of the pods' addresses.
    public init(in world: any World, network: String = "10.88") {
        self.world = world
        self.network = network
    }

    // MARK: What tests turn

    /// Makes images present without a pull.
    public func addImages(_ references: [String]) {
        for reference in references { images[reference] = Self.imageID(of: reference) }
    }
    /// Says whom an image runs as; until then nobody can tell.
    public func setUser(_ user: ImageUser?, ofImage reference: String) { imageUsers[reference] = user }
    /// Says how the containers of an image behave; those that run already keep their behaviour.
    public func setProgram(_ program: Program, forImage reference: String) { programs[reference] = program }
    /// Makes each such call take so long; nil for no time.
    public func setDelay(_ delay: Duration?, for operation: Operation) { delays[operation] = delay }
    /// Makes the next calls fail.
    public func fail(_ operation: Operation, with error: RuntimeError, times: Int = 1) {
        failures[operation] = Failure(error: error, remaining: times)
    }
    /// Makes the next pulls of one image fail.
    public func failPull(of reference: String, with error: RuntimeError, times: Int = 1) {
        pullFailures[reference] = Failure(error: error, remaining: times)
    }
    /// Says what ``unmetConditions()`` answers.
    public func setUnmetConditions(_ conditions: [RuntimeCondition]) { self.conditions = conditions }
    /// Says how commands in containers end; until then they succeed and print nothing.
    public func setExec(_ handler: @escaping ExecHandler) { execHandler = handler }
    /// Ends a running container, as if its process had ended. Nothing happens to any other.
    public func exit(_ id: String, code: Int32, reason: String? = nil) { end(id, code: code, reason: reason) }
    /// Kills a sandbox's own process, with all its containers.
    public func killSandbox(_ id: String) { halt(id) }
    /// What was asked, oldest first: `pullImage nginx`, `runSandbox default/web`, ...
    public var journal: [String] { log }

    // MARK: ContainerRuntime

    public func version() async throws -> RuntimeVersion { RuntimeVersion(name: "simulated", version: "1") }

    public func unmetConditions() async throws -> [RuntimeCondition] { conditions }

    public func runSandbox(_ config: SandboxConfig) async throws -> String {
        try await enter(.runSandbox, "\(config.namespace)/\(config.name)")
        guard sandboxes.count < Self.capacity else { throw RuntimeError.refused("no room for more sandboxes") }
        sandboxCount += 1
        let id = "sandbox-\(sandboxCount)"
        let host = (sandboxCount - 1) % 65_000 + 2
        sandboxes[id] = Sandbox(
            status: SandboxStatus(
                id: id, name: config.name, namespace: config.namespace, uid: config.uid, attempt: config.attempt,
                isReady: true, createdAt: world.wallTime().nanoseconds,
                addresses: config.hostNetwork ? [] : ["\(network).\(host / 256).\(host % 256)"]),
            logDirectory: config.logDirectory)
        return id
    }

    public func stopSandbox(_ id: String) async throws {
        try await enter(.stopSandbox, id)
        halt(id)
    }

    public func removeSandbox(_ id: String) async throws {
        try await enter(.removeSandbox, id)
        guard let sandbox = sandboxes[id] else { return }
        guard !sandbox.status.isReady else { throw RuntimeError.refused("sandbox \(id) is not stopped") }
        sandboxes[id] = nil
        containers = containers.filter { $0.value.status.sandbox != id }
    }

    public func listSandboxes() async throws -> [SandboxStatus] {
        try await enter(.list, nil)
        return sandboxes.values.map(\.status).sorted { $0.id < $1.id }
    }

    public func createContainer(sandbox: String, _ config: ContainerConfig, sandboxConfig: SandboxConfig) async throws
        -> String
    {
        try await enter(.createContainer, "\(sandboxConfig.namespace)/\(sandboxConfig.name)/\(config.name)")
        guard let owner = sandboxes[sandbox] else { throw RuntimeError.notFound("sandbox \(sandbox)") }
        guard owner.status.isReady else { throw RuntimeError.refused("sandbox \(sandbox) does not run") }
        guard let imageID = images[config.image] ?? images.values.first(where: { $0 == config.image }) else {
            throw RuntimeError.notFound("image \(config.image)")
        }
        guard containers.count < Self.capacity else { throw RuntimeError.refused("no room for more containers") }
        containerCount += 1
        let id = "container-\(containerCount)"
        var status = ContainerStatus(
            id: id, sandbox: sandbox, name: config.name, attempt: config.attempt, state: .created)
        status.image = config.image
        status.imageID = imageID
        status.createdAt = world.wallTime().nanoseconds
        status.labels = config.labels
        status.annotations = config.annotations
        status.logPath = config.logPath.isEmpty ? "" : "\(owner.logDirectory)/\(config.logPath)"
        containers[id] = Container(status: status, program: programs[config.image] ?? .runs, limits: config.limits)
        return id
    }

    public func startContainer(_ id: String) async throws {
        try await enter(.startContainer, id)
        guard let container = containers[id] else { throw RuntimeError.notFound("container \(id)") }
        guard container.status.state == .created else {
            throw RuntimeError.refused("container \(id) was started before")
        }
        containers[id]?.status.state = .running
        containers[id]?.status.startedAt = world.wallTime().nanoseconds
        guard case .exits(let code, let delay) = container.program else { return }
        if delay <= .zero {
            end(id, code: code, reason: nil)
        } else {
            world.spawn { [world, weak self] in
                guard (try? await world.sleep(for: delay)) != nil else { return }
                await self?.exit(id, code: code)
            }
        }
    }

    /// ``ContainerRuntime/updateContainer(_:_:)``
    public func updateContainer(_ id: String, _ limits: ContainerLimits) async throws {
        try await enter(.updateContainer, id)
        guard containers[id]?.status.state == .running else { throw RuntimeError.notFound("running container \(id)") }
        containers[id]?.limits = limits
    }

    /// What a container is held to now; nil when there is no such container.
    public func limits(of id: String) -> ContainerLimits? { containers[id]?.limits }

    public func stopContainer(_ id: String, graceSeconds: Int) async throws {
        try await enter(.stopContainer, id)
        guard let container = containers[id], container.status.state == .running else { return }
        if container.program == .ignoresTermination && graceSeconds > 0 {
            try await world.sleep(for: .seconds(graceSeconds))
        }
        let killed = graceSeconds <= 0 || container.program == .ignoresTermination
        end(id, code: killed ? 137 : 143, reason: nil)
    }

    public func removeContainer(_ id: String) async throws {
        try await enter(.removeContainer, id)
        guard let container = containers[id] else { return }
        guard container.status.state != .running else { throw RuntimeError.refused("container \(id) runs") }
        containers[id] = nil
    }

    public func listContainers() async throws -> [ContainerStatus] {
        try await enter(.list, nil)
        return containers.values.map(\.status).sorted { $0.id < $1.id }
    }

    public func execSync(_ id: String, command: [String], timeoutSeconds: Int) async throws -> ExecResult {
        try await enter(.execSync, "\(id) \(command.joined(separator: " "))")
        guard let container = containers[id] else { throw RuntimeError.notFound("container \(id)") }
        guard container.status.state == .running else { throw RuntimeError.refused("container \(id) does not run") }
        return execHandler(container.status, command)
    }

    public func imageID(_ reference: String) async throws -> String? { images[reference] }

    /// What ``setUser(_:ofImage:)`` said.
    public func imageUser(_ reference: String) async throws -> ImageUser? { imageUsers[reference] }

    public func pullImage(_ reference: String) async throws -> String {
        try await enter(.pullImage, reference)
        if let error = Self.draw(&pullFailures[reference]) { throw error }
        let id = Self.imageID(of: reference)
        images[reference] = id
        return id
    }

    // MARK: Inside

    private func enter(_ operation: Operation, _ what: String?) async throws {
        if let what {
            if log.count >= Self.journalCapacity { log.removeFirst(Self.journalCapacity / 2) }
            log.append("\(operation) \(what)")
        }
        if let delay = delays[operation] { try await world.sleep(for: delay) }
        if let error = Self.draw(&failures[operation]) { throw error }
    }

    private static func draw(_ failure: inout Failure?) -> RuntimeError? {
        guard let current = failure else { return nil }
        failure = current.remaining > 1 ? Failure(error: current.error, remaining: current.remaining - 1) : nil
        return current.error
    }

    private static func imageID(of reference: String) -> String { "simulated:\(reference)" }

    private func halt(_ id: String) {
        sandboxes[id]?.status.isReady = false
        for container in containers.values where container.status.sandbox == id {
            end(container.status.id, code: 137, reason: nil)
        }
    }

    private func end(_ id: String, code: Int32, reason: String?) {
        guard containers[id]?.status.state == .running else { return }
        containers[id]?.status.state = .exited
        containers[id]?.status.finishedAt = world.wallTime().nanoseconds
        containers[id]?.status.exitCode = code
        containers[id]?.status.reason = reason ?? ContainerStatus.reason(forExitCode: code)
    }
}

extension ContainerStatus {
    /// What Kubernetes calls an end with this code, when nothing more is known.
    static func reason(forExitCode code: Int32) -> String { code == 0 ? "Completed" : "Error" }
}
