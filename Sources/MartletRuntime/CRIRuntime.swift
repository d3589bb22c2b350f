public import MartletBase
internal import MartletCRI
internal import MartletHTTP
internal import MartletIO
internal import SwiftProtobuf

/// A container runtime behind CRI v1: gRPC over a UNIX socket. The tests run against containerd 1.6; nothing here is
/// containerd's own.
public actor CRIRuntime: ContainerRuntime {
    /// How long one call may take.
    public struct Timeouts: Sendable {
        /// Questions.
        public var query = Duration.seconds(10)
        /// Making a sandbox with its network.
        public var sandbox = Duration.seconds(240)
        /// Making, starting and removing a container; stopping adds its grace.
        public var container = Duration.seconds(120)
        /// Pulling an image.
        public var pull = Duration.seconds(900)
        /// The longest command, for those without a limit of their own.
        public var exec = Duration.seconds(3_600)
        /// The defaults.
        public init() {}
    }

    /// The most status calls in flight while a list is made.
    static let parallelStatuses = 8

    private let channel: GRPCChannel
    private let world: any World
    private let timeouts: Timeouts
    private let cgroupParent: String
    /// What is known of containers since their last change of state: a running container's status, and an ended
    /// one's, no longer change. Holds what the last list held.
    private var known: [String: ContainerStatus] = [:]
    /// Addresses of sandboxes that were seen ready. Holds what the last list held.
    private var addresses: [String: [String]] = [:]

    private var networkFault: String?

    /// A client of the runtime at a UNIX socket.
    /// - Parameters:
    ///   - socket: the path, without `unix://`.
    ///   - cgroupParent: the cgroup of sandboxes that name none, and of those that name one without a leading slash.
    public init(socket: String, cgroupParent: String = "/martlet", timeouts: Timeouts = Timeouts(), in world: any World)
    {
        channel = GRPCChannel(endpoint: .unix(socket), authority: "localhost", in: world)
        self.world = world
        self.cgroupParent = cgroupParent
        self.timeouts = timeouts
    }

    /// Closes the connection.
    public nonisolated func close() { channel.close() }

    // MARK: The runtime

    public func version() async throws -> RuntimeVersion {
        let answer: Runtime_V1_VersionResponse = try await runtime(
            "Version", Runtime_V1_VersionRequest.with { $0.version = "v1" }, within: timeouts.query)
        return RuntimeVersion(name: answer.runtimeName, version: answer.runtimeVersion)
    }

    public func unmetConditions() async throws -> [RuntimeCondition] {
        let answer: Runtime_V1_StatusResponse = try await runtime(
            "Status", Runtime_V1_StatusRequest(), within: timeouts.query)
        return answer.status.conditions.filter { !$0.status }.map {
            let message = $0.type == "NetworkReady" ? networkFault ?? $0.message : $0.message
            return RuntimeCondition(type: $0.type, reason: $0.reason, message: message)
        }
    }

    /// Says why there is no network, which the runtime itself cannot know; nil when nothing hinders it.
    func setNetworkFault(_ fault: String?) { networkFault = fault }

    // MARK: Sandboxes

    public func runSandbox(_ config: SandboxConfig) async throws -> String {
        try makeDirectory(config.logDirectory)
        var request = Runtime_V1_RunPodSandboxRequest()
        request.config = config.message(cgroupParent: cgroupParent)
        let answer: Runtime_V1_RunPodSandboxResponse = try await runtime(
            "RunPodSandbox", request, within: timeouts.sandbox)
        return answer.podSandboxID
    }

    public func stopSandbox(_ id: String) async throws {
        let request = Runtime_V1_StopPodSandboxRequest.with { $0.podSandboxID = id }
        try await absentIsFine {
            let _: Runtime_V1_StopPodSandboxResponse = try await runtime(
                "StopPodSandbox", request, within: timeouts.sandbox)
        }
    }

    public func removeSandbox(_ id: String) async throws {
        let request = Runtime_V1_RemovePodSandboxRequest.with { $0.podSandboxID = id }
        try await absentIsFine {
            let _: Runtime_V1_RemovePodSandboxResponse = try await runtime(
                "RemovePodSandbox", request, within: timeouts.sandbox)
        }
    }

    public func listSandboxes() async throws -> [SandboxStatus] {
        let answer: Runtime_V1_ListPodSandboxResponse = try await runtime(
            "ListPodSandbox", Runtime_V1_ListPodSandboxRequest(), within: timeouts.query)
        let ours = answer.items.filter { OwnerLabel.isOurs($0.labels) }
        let held = Set(ours.map(\.id))
        addresses = addresses.filter { held.contains($0.key) }
        let fresh = try await gather(
            ours.filter { $0.state == .sandboxReady && addresses[$0.id] == nil }.map(\.id), sandboxAddresses)
        addresses.merge(fresh) { $1 }
        return ours.map { SandboxStatus($0, addresses: addresses[$0.id] ?? []) }
    }

    private func sandboxAddresses(_ id: String) async throws -> [String] {
        let answer: Runtime_V1_PodSandboxStatusResponse = try await runtime(
            "PodSandboxStatus", Runtime_V1_PodSandboxStatusRequest.with { $0.podSandboxID = id },
            within: timeouts.query)
        return answer.status.addresses
    }

    // MARK: Containers

    public func createContainer(sandbox: String, _ config: ContainerConfig, sandboxConfig: SandboxConfig) async throws
        -> String
    {
        if !config.logPath.isEmpty {
            try makeDirectory(folderName(of: "\(sandboxConfig.logDirectory)/\(config.logPath)"))
        }
        var request = Runtime_V1_CreateContainerRequest()
        request.podSandboxID = sandbox
        request.config = config.message(in: sandboxConfig)
        request.sandboxConfig = sandboxConfig.message(cgroupParent: cgroupParent)
        let answer: Runtime_V1_CreateContainerResponse = try await runtime(
            "CreateContainer", request, within: timeouts.container)
        return answer.containerID
    }

    public func startContainer(_ id: String) async throws {
        let request = Runtime_V1_StartContainerRequest.with { $0.containerID = id }
        let _: Runtime_V1_StartContainerResponse = try await runtime(
            "StartContainer", request, within: timeouts.container)
    }

    public func stopContainer(_ id: String, graceSeconds: Int) async throws {
        let grace = max(0, min(graceSeconds, 86_400))
        let request = Runtime_V1_StopContainerRequest.with {
            $0.containerID = id
            $0.timeout = Int64(grace)
        }
        try await absentIsFine {
            let _: Runtime_V1_StopContainerResponse = try await runtime(
                "StopContainer", request, within: timeouts.container + .seconds(grace))
        }
    }

    public func removeContainer(_ id: String) async throws {
        let log: String
        if let status = known[id] {
            log = status.logPath
        } else {
            log = try await absentIsFine { try await containerStatus(id, sandbox: "").logPath } ?? ""
        }
        let request = Runtime_V1_RemoveContainerRequest.with { $0.containerID = id }
        try await absentIsFine {
            let _: Runtime_V1_RemoveContainerResponse = try await runtime(
                "RemoveContainer", request, within: timeouts.container)
        }
        known[id] = nil
        guard !log.isEmpty else { return }
        do {
            try Files.remove(log)
        } catch {
            throw RuntimeError.refused("the log \(log) of a removed container: \(error)")
        }
    }

    public func listContainers() async throws -> [ContainerStatus] {
        let answer: Runtime_V1_ListContainersResponse = try await runtime(
            "ListContainers", Runtime_V1_ListContainersRequest(), within: timeouts.query)
        let ours = answer.containers.filter { OwnerLabel.isOurs($0.labels) }.map { ContainerStatus($0) }
        let held = Set(ours.map(\.id))
        known = known.filter { held.contains($0.key) }
        let stale = ours.filter { $0.state == .unknown || known[$0.id]?.state != $0.state }
        let sandboxes = Dictionary(uniqueKeysWithValues: stale.map { ($0.id, $0.sandbox) })
        let fresh = try await gather(stale.map(\.id)) { id in
            try await self.containerStatus(id, sandbox: sandboxes[id] ?? "")
        }
        known.merge(fresh) { $1 }
        // One that was removed between the list and its status is left out.
        return ours.compactMap { known[$0.id] }
    }

    private func containerStatus(_ id: String, sandbox: String) async throws -> ContainerStatus {
        let answer: Runtime_V1_ContainerStatusResponse = try await runtime(
            "ContainerStatus", Runtime_V1_ContainerStatusRequest.with { $0.containerID = id }, within: timeouts.query)
        return ContainerStatus(answer.status, sandbox: sandbox)
    }

    public func execSync(_ id: String, command: [String], timeoutSeconds: Int) async throws -> ExecResult {
        let request = Runtime_V1_ExecSyncRequest.with {
            $0.containerID = id
            $0.cmd = command
            $0.timeout = Int64(max(0, timeoutSeconds))
        }
        let limit = timeoutSeconds > 0 ? Duration.seconds(timeoutSeconds) + timeouts.query : timeouts.exec
        let start = world.now()
        let answer: Runtime_V1_ExecSyncResponse
        do {
            answer = try await runtime("ExecSync", request, within: limit)
        } catch RuntimeError.unavailable(_) where timeoutSeconds > 0 && world.now() - start >= .seconds(timeoutSeconds)
        {
            throw RuntimeError.refused("the command \(command.first ?? "") was killed after \(timeoutSeconds) s")
        }
        return ExecResult(exitCode: answer.exitCode, output: Array(answer.stdout), errors: Array(answer.stderr))
    }

    // MARK: Streams

    /// CRI `Exec`: where the runtime serves the streams of a command in a container.
    /// - Throws: ``RuntimeError``.
    public func exec(_ id: String, command: [String], streams: RemoteStreams) async throws -> StreamAddress {
        let request = Runtime_V1_ExecRequest.with {
            $0.containerID = id
            $0.cmd = command
            $0.tty = streams.tty
            $0.stdin = streams.stdin
            $0.stdout = streams.stdout
            $0.stderr = streams.stderr
        }
        let answer: Runtime_V1_ExecResponse = try await runtime("Exec", request, within: timeouts.query)
        return try Self.address(answer.url)
    }

    /// CRI `Attach`: where the runtime serves the streams of a container's first process.
    /// - Throws: ``RuntimeError``.
    public func attach(_ id: String, streams: RemoteStreams) async throws -> StreamAddress {
        let request = Runtime_V1_AttachRequest.with {
            $0.containerID = id
            $0.tty = streams.tty
            $0.stdin = streams.stdin
            $0.stdout = streams.stdout
            $0.stderr = streams.stderr
        }
        let answer: Runtime_V1_AttachResponse = try await runtime("Attach", request, within: timeouts.query)
        return try Self.address(answer.url)
    }

    /// CRI `PortForward`: where the runtime serves connections to ports of a sandbox.
    /// - Throws: ``RuntimeError``.
    public func portForward(sandbox: String, ports: [Int]) async throws -> StreamAddress {
        let request = Runtime_V1_PortForwardRequest.with {
            $0.podSandboxID = sandbox
            $0.port = ports.compactMap { Int32(exactly: $0) }
        }
        let answer: Runtime_V1_PortForwardResponse = try await runtime("PortForward", request, within: timeouts.query)
        return try Self.address(answer.url)
    }

    private static func address(_ url: String) throws(RuntimeError) -> StreamAddress {
        guard let address = StreamAddress(url: url) else {
            throw .refused("the runtime serves streams at \(url), which is no http:// address of this host")
        }
        return address
    }

    /// ``ContainerRuntime/updateContainer(_:_:)``
    public func updateContainer(_ id: String, _ limits: ContainerLimits) async throws {
        let request = Runtime_V1_UpdateContainerResourcesRequest.with {
            $0.containerID = id
            $0.linux = limits.message
        }
        let _: Runtime_V1_UpdateContainerResourcesResponse = try await runtime(
            "UpdateContainerResources", request, within: timeouts.container)
    }

    // MARK: Images

    public func imageID(_ reference: String) async throws -> String? {
        try await imageStatus(reference)?.id
    }

    /// What ImageStatus says of the image's user.
    public func imageUser(_ reference: String) async throws -> ImageUser? {
        try await imageStatus(reference).map { ImageUser($0) }
    }

    private func imageStatus(_ reference: String) async throws -> Runtime_V1_Image? {
        let request = Runtime_V1_ImageStatusRequest.with { $0.image.image = reference }
        let answer: Runtime_V1_ImageStatusResponse = try await image("ImageStatus", request, within: timeouts.query)
        return answer.hasImage && !answer.image.id.isEmpty ? answer.image : nil
    }

    public func pullImage(_ reference: String) async throws -> String {
        let request = Runtime_V1_PullImageRequest.with { $0.image.image = reference }
        let answer: Runtime_V1_PullImageResponse = try await image("PullImage", request, within: timeouts.pull)
        return answer.imageRef
    }

    /// The references of all images that are present.
    public func listImages() async throws -> [String] {
        let answer: Runtime_V1_ListImagesResponse = try await image(
            "ListImages", Runtime_V1_ListImagesRequest(), within: timeouts.query)
        return answer.images.flatMap { $0.repoTags.isEmpty ? [$0.id] : $0.repoTags }.sorted()
    }

    /// Removes an image. Absent is fine.
    public func removeImage(_ reference: String) async throws {
        let request = Runtime_V1_RemoveImageRequest.with { $0.image.image = reference }
        try await absentIsFine {
            let _: Runtime_V1_RemoveImageResponse = try await image(
                "RemoveImage", request, within: timeouts.container)
        }
    }

    // MARK: Inside

    private func runtime<Answer: Message>(_ method: String, _ request: some Message, within limit: Duration)
        async throws -> Answer
    {
        try await call("/runtime.v1.RuntimeService/\(method)", request, within: limit)
    }

    private func image<Answer: Message>(_ method: String, _ request: some Message, within limit: Duration)
        async throws -> Answer
    {
        try await call("/runtime.v1.ImageService/\(method)", request, within: limit)
    }

    private func call<Answer: Message>(_ path: String, _ request: some Message, within limit: Duration) async throws
        -> Answer
    {
        do {
            let request: [UInt8] = try request.serializedBytes()
            return try Answer(serializedBytes: try await channel.unary(path, request, timeout: limit))
        } catch let status as GRPCStatus {
            throw RuntimeError(status)
        } catch let error as NetworkError {
            throw RuntimeError.unavailable("\(error)")
        } catch let error as SwiftProtobufError {
            throw RuntimeError.refused("\(path): \(error)")
        } catch let error as BinaryDecodingError {
            throw RuntimeError.refused("\(path): the answer cannot be decoded: \(error)")
        }
    }

    @discardableResult
    private func absentIsFine<Value>(_ operation: () async throws -> Value) async throws -> Value? {
        do {
            return try await operation()
        } catch RuntimeError.notFound {
            return nil
        }
    }

    /// Asks of each id, a few at a time; those that are gone by then are left out.
    private func gather<Value: Sendable>(
        _ ids: [String], _ ask: @escaping @Sendable (String) async throws -> Value
    ) async throws -> [String: Value] {
        var answers: [String: Value] = [:]
        try await withThrowingTaskGroup(of: (String, Value?).self) { group in
            var rest = ids[...]
            var running = 0
            while !rest.isEmpty || running > 0 {
                if running < Self.parallelStatuses, let id = rest.popFirst() {
                    running += 1
                    group.addTask {
                        do {
                            return (id, try await ask(id))
                        } catch RuntimeError.notFound {
                            return (id, nil)
                        }
                    }
                } else if let (id, value) = try await group.next() {
                    running -= 1
                    answers[id] = value
                }
            }
        }
        return answers
    }

    private func makeDirectory(_ path: String) throws {
        guard !path.isEmpty else { return }
        do {
            try Files.makeDirectory(path)
        } catch {
            throw RuntimeError.refused("the log folder \(path): \(error)")
        }
    }
}

extension RuntimeError {
    /// What a gRPC outcome means to the node: gone, try again, or refused.
    init(_ status: GRPCStatus) {
        self =
            switch status.code {
            case 5: .notFound(status.message)
            case 1, 14: .unavailable(status.message)
            case 4: .unavailable(status.message.isEmpty ? "the call took too long" : status.message)
            default: .refused(status.message)
            }
    }
}
