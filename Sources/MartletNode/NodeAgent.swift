public import Logging
public import MartletBase
public import MartletClient
internal import MartletHTTP
internal import MartletObject
internal import MartletPods
public import MartletRuntime

/// The node agent: what a kubelet is. It registers its node, runs the pods bound to it through a container runtime,
/// and tells the API how they are. All that it decides about a pod is `PodMachine`'s.
public actor NodeAgent {
    /// One pod on this node.
    struct Pod {
        var machine: PodMachine
        /// The pod as the API last told it.
        var object: JSON
        /// The last listing that the machine was given, to tell it only what is new.
        var told: PodObservation?
        /// The machine waits for a listing with at least this number, even for one that shows nothing new.
        var awaitedRound: Int? = 0
        var volumesMounted = false
        /// The tokens in its volumes.
        var tokens: [TokenReference: HeldToken] = [:]
        var pendingStatus: JSON?
        var isWriting = false
        /// The version of the object in which another said something else of the pod, and was answered.
        var answered = ""

        /// Whether the API tells something else of the pod than this agent has said last.
        var isContradicted: Bool {
            guard pendingStatus == nil, !isWriting, answered != object.resourceVersion else { return false }
            return StatusGist(machine.currentStatus).isContradicted(by: StatusGist(object["status"] ?? [:]))
        }
        var wake: Task<Void, Never>?
    }

    nonisolated let configuration: NodeAgentConfiguration
    nonisolated let api: any ClusterAPI
    nonisolated let runtime: any ContainerRuntime
    nonisolated let world: any World
    nonisolated let logger: Logger
    nonisolated let files: PodFiles
    nonisolated let disk: Disk
    nonisolated let facts: HostFacts
    nonisolated let streamPlaces = StreamPlaces(limit: Limits.streams)

    var pods: [String: Pod] = [:]
    var events: EventQueue
    /// The runtime's containers by id, as last listed: for logs.
    var containers: [String: ContainerStatus] = [:]
    var runtimeVersion: RuntimeVersion?
    /// Whether a condition of the runtime was not met when it was last asked.
    var isWaiting = false
    var isSynced = false
    var isStopping = false
    var isRecording = false
    var freeSlots = Limits.concurrentActions
    var slotWaiters: [CheckedContinuation<Void, Never>] = []
    private var round = 0
    private var isListing = false
    private var mustListAgain = false
    private var listFails = false
    private var orphans: Set<String> = []
    /// Whether folders may be left of pods that have gone.
    private var mustSweep = true
    private var tasks: [Int: Task<Void, Never>] = [:]
    private var taskCount = 0
    private var server: HTTPServer?

    /// Starts an agent: serves the kubelet's API, and from then on keeps its node registered and its pods running.
    /// What the runtime still runs from before is adopted.
    /// - Throws: `NetworkError` when the endpoint cannot be listened on, `Errno` when the root folder cannot be made.
    public static func start(
        _ configuration: NodeAgentConfiguration, client: Client, runtime: any ContainerRuntime, in world: any World,
        logger: Logger
    ) async throws -> NodeAgent {
        try await start(
            configuration, api: ClientAPI(client: client), runtime: runtime, in: world, logger: logger,
            disk: try .thread(), serves: true)
    }

    static func start(
        _ configuration: NodeAgentConfiguration, api: any ClusterAPI, runtime: any ContainerRuntime,
        in world: any World, logger: Logger, disk: Disk, serves: Bool
    ) async throws -> NodeAgent {
        let agent = try NodeAgent(configuration, api: api, runtime: runtime, in: world, logger: logger, disk: disk)
        if serves { try await agent.serve() }
        await agent.begin()
        return agent
    }

    private init(
        _ configuration: NodeAgentConfiguration, api: any ClusterAPI, runtime: any ContainerRuntime,
        in world: any World, logger: Logger, disk: Disk
    ) throws {
        self.configuration = configuration
        self.api = api
        self.runtime = runtime
        self.world = world
        self.logger = logger
        self.disk = disk
        files = try PodFiles(root: configuration.rootDirectory)
        facts = HostFacts.read(directory: configuration.rootDirectory)
        events = EventQueue(node: configuration.nodeName)
    }

    private func serve() async throws {
        server = try await HTTPServer.start(
            on: configuration.endpoint, in: world, tls: configuration.tls, logger: logger,
            handler: KubeletAPI(agent: self))
    }

    /// Where the kubelet's API is served; nil when it is not.
    public var endpoint: Endpoint? { server?.endpoint }

    private func begin() {
        spawn { await $0.followPods() }
        spawn { await $0.relistForever() }
        spawn { await $0.reportNodeForever() }
        spawn { await $0.refreshVolumesForever() }
    }

    /// Ends the agent's work. With `teardown` the containers of all pods are stopped and removed with their sandboxes;
    /// without, they go on running and the next agent on this node adopts them.
    public func stop(teardown: Bool) async {
        guard !isStopping else { return }
        isStopping = true
        for task in tasks.values { task.cancel() }
        for waiter in slotWaiters { waiter.resume() }
        slotWaiters = []
        await server?.shutdown(grace: .seconds(1))
        server = nil
        for task in tasks.values { await task.value }
        if teardown { await tearDown() }
        disk.stop()
        pods = [:]
    }

    /// Starts a task that ends with the agent.
    func spawn(_ operation: @escaping @Sendable (NodeAgent) async -> Void) {
        guard !isStopping else { return }
        let id = taskCount
        taskCount += 1
        tasks[id] = world.spawn {
            await operation(self)
            await self.taskEnded(id)
        }
    }

    private func taskEnded(_ id: Int) {
        if !isStopping { tasks[id] = nil }
    }

    // MARK: - Pods

    private func followPods() async {
        for await change in api.followPods(of: configuration.nodeName, logger: logger) {
            switch change {
            case .put(let object): take(object)
            case .removed(let object): feed(object.uid, .vanished)
            case .synced:
                isSynced = true
                requestListing()
            }
        }
    }

    private func take(_ object: JSON) {
        let uid = object.uid
        guard !uid.isEmpty else { return }
        var spec = PodSpec(object)
        if let pod = pods[uid] {
            if object.isNewer(than: pod.object) {
                pods[uid]?.object = object
                putRight(uid)
            }
            spec.status = pod.machine.spec.status
            if spec != pod.machine.spec { feed(uid, .desired(spec)) }
            return
        }
        let phase = spec.status["phase"]?.string
        let running = pods.values.filter { $0.machine.outcome == nil }.count
        if running >= configuration.maxPods, phase != "Succeeded", phase != "Failed", !spec.isTerminating,
            spec.status["startTime"] == nil
        {
            spec.status = [
                "phase": "Failed", "reason": "OutOfpods",
                "message": .string("Pod was rejected: the node runs \(configuration.maxPods) pods already"),
            ]
        }
        let machine = PodMachine(spec, hostIPs: configuration.addresses, runtime: runtime.scheme)
        pods[uid] = Pod(machine: machine, object: object)
        requestListing()
    }

    /// Says once more how a pod is, when another has said something else.
    private func putRight(_ uid: String) {
        guard let pod = pods[uid], pod.isContradicted else { return }
        pods[uid]?.answered = pod.object.resourceVersion
        pods[uid]?.pendingStatus = pod.machine.currentStatus
        write(uid)
    }

    /// Gives a pod's machine an input, and sets going what it wants.
    func feed(_ uid: String, _ input: PodInput) {
        guard !isStopping, pods[uid] != nil else { return }
        let now = world.wallTime().nanoseconds / 1_000_000
        let effects = pods[uid]?.machine.step(input, now: now) ?? []
        for effect in effects {
            switch effect {
            case .act(let action): spawn { await $0.perform(action, of: uid) }
            case .probe(let run): spawn { await $0.perform(run, of: uid) }
            case .setStatus(let status):
                pods[uid]?.pendingStatus = status
                write(uid)
            case .event(let type, let reason, let message, let container):
                if let spec = pods[uid]?.machine.spec {
                    record(type: type, reason: reason, message: message, container: container, about: spec)
                }
            case .wakeAt(let time): setWake(uid, at: time, now: now)
            case .gone: write(uid)
            }
        }
    }

    private func setWake(_ uid: String, at time: Int64, now: Int64) {
        pods[uid]?.wake?.cancel()
        let delay = Duration.milliseconds(max(1, time - now))
        let id = taskCount
        spawn { agent in
            guard (try? await agent.world.sleep(for: delay)) != nil else { return }
            await agent.feed(uid, .tick)
        }
        pods[uid]?.wake = tasks[id]
    }

    private func perform(_ action: PodAction, of uid: String) async {
        let isStop = if case .stopContainer = action { true } else { false }
        if !isStop { await takeSlot() }
        let result: ActionResult
        if isStopping || Task.isCancelled {
            result = .failed(ActionFailure(.other, "the node agent stops"))
        } else {
            result = await carryOut(action, of: uid)
        }
        if !isStop { freeSlot() }
        if case .failed(let failure) = result, !isStopping {
            logger.warning("pod \(pods[uid]?.machine.spec.displayName ?? uid): \(action): \(failure.message)")
        }
        pods[uid]?.awaitedRound = round + 1
        feed(uid, .ended(action, result, freshFrom: round + 1))
        requestListing()
    }

    private func perform(_ run: ProbeRun, of uid: String) async {
        let (success, message) = await Prober(world: world, runtime: runtime).answer(run)
        if !Task.isCancelled { feed(uid, .probed(run, success: success, message: message)) }
    }

    private func takeSlot() async {
        if freeSlots > 0 {
            freeSlots -= 1
        } else if !isStopping {
            await withCheckedContinuation { slotWaiters.append($0) }
        }
    }

    private func freeSlot() {
        if slotWaiters.isEmpty { freeSlots += 1 } else { slotWaiters.removeFirst().resume() }
    }

    // MARK: - What the runtime holds

    private func relistForever() async {
        while !Task.isCancelled {
            await list()
            guard (try? await world.sleep(for: Limits.relistPeriod)) != nil else { return }
        }
    }

    func requestListing() {
        if isListing { mustListAgain = true } else { spawn { await $0.list() } }
    }

    private func list() async {
        guard !isListing else {
            mustListAgain = true
            return
        }
        isListing = true
        defer { isListing = false }
        repeat {
            mustListAgain = false
            round += 1
            let current = round
            do {
                let sandboxes = try await runtime.listSandboxes()
                let containers = try await runtime.listContainers()
                if isStopping { return }
                listFails = false
                distribute(sandboxes, containers, round: current)
            } catch {
                if !listFails { logger.warning("the container runtime cannot be listed: \(error)") }
                listFails = true
                return
            }
        } while mustListAgain && !Task.isCancelled
    }

    private func distribute(_ sandboxes: [SandboxStatus], _ containers: [ContainerStatus], round: Int) {
        self.containers = Dictionary(containers.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        var observations: [String: PodObservation] = [:]
        var owners: [String: String] = [:]
        for sandbox in sandboxes {
            owners[sandbox.id] = sandbox.uid
            observations[sandbox.uid, default: PodObservation(round: round)].sandboxes.append(sandbox.observed)
        }
        for container in containers {
            guard let uid = owners[container.sandbox] ?? container.labels[RuntimeLabel.podUID] else { continue }
            observations[uid, default: PodObservation(round: round)].containers.append(container.observed)
        }
        for uid in pods.keys {
            let observation = observations[uid] ?? PodObservation(round: round)
            guard let pod = pods[uid] else { continue }
            let isNew = pod.told?.sandboxes != observation.sandboxes || pod.told?.containers != observation.containers
            let isAwaited = pod.awaitedRound.map { $0 <= round } ?? false
            guard isNew || isAwaited else { continue }
            pods[uid]?.told = observation
            if isAwaited { pods[uid]?.awaitedRound = nil }
            feed(uid, .observed(observation))
        }
        guard isSynced else { return }
        for sandbox in sandboxes where pods[sandbox.uid] == nil && orphans.insert(sandbox.id).inserted {
            logger.info("pod \(sandbox.namespace)/\(sandbox.name) is not in the API: its sandbox is removed")
            spawn { await $0.removeOrphan(sandbox.id) }
        }
        if mustSweep {
            mustSweep = false
            let owners = sandboxes.map { PodFolders(namespace: $0.namespace, name: $0.name, uid: $0.uid) }
            spawn { await $0.sweep(besides: owners) }
        }
    }

    /// Removes the folders of pods that neither the API nor the runtime knows.
    private func sweep(besides owners: [PodFolders]) async {
        do {
            let listing = try await disk.run { [files] in try files.list() }
            // No wait between this look at the pods and the removal's place in the queue: the folders of a pod that
            // comes later are made after it.
            let orphans = listing.orphans(besides: owners + pods.values.map { PodFolders($0.machine.spec) })
            if !orphans.isEmpty { try await disk.run { [files] in try files.remove(orphans) } }
        } catch {
            await sweepLater(error)
        }
    }

    /// Secrets may be in what is left.
    private func sweepLater(_ error: any Error) async {
        if isStopping { return }
        logger.warning("folders of pods that have gone cannot be removed: \(error)")
        try? await world.sleep(for: Limits.removalPeriod)
        mustSweep = true
    }

    private func removeOrphan(_ id: String) async {
        do {
            let grace = configuration.teardownGraceSeconds
            for container in containers.values where container.sandbox == id && container.state == .running {
                try await runtime.stopContainer(container.id, graceSeconds: grace)
            }
            try await runtime.stopSandbox(id)
            try await runtime.removeSandbox(id)
            mustSweep = true
        } catch {
            logger.warning("sandbox \(id) of no pod cannot be removed: \(error)")
        }
        // Whatever is left of it is tried again at a later listing.
        try? await world.sleep(for: Limits.relistPeriod)
        orphans.remove(id)
    }

    // MARK: - Status

    /// Writes a pod's newest status, and deletes it from the API when nothing is left of it. One writer a pod.
    private func write(_ uid: String) {
        guard let pod = pods[uid], !pod.isWriting else { return }
        pods[uid]?.isWriting = true
        spawn { await $0.writeUntilDone(uid) }
    }

    private func writeUntilDone(_ uid: String) async {
        while let pod = pods[uid], !Task.isCancelled {
            do {
                if let status = pod.pendingStatus {
                    pods[uid]?.pendingStatus = nil
                    try await writeStatus(status, of: uid)
                } else if pod.machine.isGone {
                    try await forget(uid)
                    return
                } else {
                    break
                }
            } catch {
                logger.warning("status of pod \(pod.machine.spec.displayName) cannot be written: \(error)")
                if pods[uid]?.pendingStatus == nil { pods[uid]?.pendingStatus = pod.pendingStatus }
                guard (try? await world.sleep(for: .seconds(1))) != nil else { return }
            }
        }
        pods[uid]?.isWriting = false
        // What came while it was written, and after what was written.
        putRight(uid)
    }

    private func writeStatus(_ status: JSON, of uid: String) async throws {
        guard var base = pods[uid]?.object else { return }
        for attempt in 1... {
            do {
                let written = try await api.updateStatus(.pod, base.withStatus(status))
                if let known = pods[uid]?.object, written.uid == uid, written.isNewer(than: known) {
                    pods[uid]?.object = written
                }
                return
            } catch let error as APIError where error.isNotFound {
                return
            } catch let error as APIError where error.isConflict && attempt < Limits.writeAttempts {
                base = try await api.get(.pod, namespace: base.namespace, name: base.name)
                if base.uid != uid { return }
            }
        }
    }

    private func forget(_ uid: String) async throws {
        guard let pod = pods[uid] else { return }
        if !pod.machine.hasVanished {
            let key = ObjectKey(.pod, namespace: pod.machine.spec.namespace, name: pod.machine.spec.name)
            do {
                try await api.delete(key, uid: uid, graceSeconds: 0)
            } catch let error as APIError where error.isNotFound || error.code == 409 {
                // Gone already, or another pod has its name now.
            }
        }
        pods[uid]?.wake?.cancel()
        pods[uid] = nil
        let folders = PodFolders(pod.machine.spec)
        do {
            try await disk.run { [files] in
                try files.remove(FolderListing(volumes: [folders.volumes], logs: [folders.logs]))
            }
        } catch {
            spawn { await $0.sweepLater(error) }
        }
    }

    // MARK: - The end

    private func tearDown() async {
        let grace = configuration.teardownGraceSeconds
        guard let sandboxes = try? await runtime.listSandboxes(),
            let containers = try? await runtime.listContainers()
        else {
            logger.warning("the container runtime does not answer: its containers are left as they are")
            return
        }
        await withTaskGroup(of: Void.self) { group in
            for sandbox in sandboxes {
                let running = containers.filter { $0.sandbox == sandbox.id && $0.state == .running }
                group.addTask { [runtime, logger] in
                    do {
                        try await withThrowingTaskGroup(of: Void.self) { stops in
                            for container in running {
                                stops.addTask { try await runtime.stopContainer(container.id, graceSeconds: grace) }
                            }
                            try await stops.waitForAll()
                        }
                        try await runtime.stopSandbox(sandbox.id)
                        try await runtime.removeSandbox(sandbox.id)
                    } catch {
                        logger.warning("sandbox of pod \(sandbox.namespace)/\(sandbox.name) is left: \(error)")
                    }
                }
            }
        }
        do {
            try await disk.run { [files] in try files.remove(try files.list()) }
        } catch {
            logger.warning("folders of pods are left: \(error)")
        }
    }
}

extension JSON {
    /// Whether it was written after that one: what a write answers and what is followed may overtake each other.
    fileprivate func isNewer(than other: JSON) -> Bool {
        (Int64(resourceVersion) ?? .max) > (Int64(other.resourceVersion) ?? 0)
    }

    /// The object with this status; conditions of types that the status does not have stay.
    func withStatus(_ status: JSON) -> JSON {
        var object = self
        var status = status
        let ours = status["conditions"]?.array ?? []
        let types = Set(ours.compactMap { $0["type"]?.string })
        let foreign = (self["status", "conditions"]?.array ?? []).filter { !types.contains($0["type"]?.string ?? "") }
        status["conditions"] = .array(ours + foreign)
        object["status"] = status
        return object
    }
}
