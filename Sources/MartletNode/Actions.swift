internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletPods
internal import MartletRuntime

/// Labels and annotations that containers are made with, as kubelet names them: other tools read them.
enum RuntimeLabel {
    static let podName = "io.kubernetes.pod.name"
    static let podNamespace = "io.kubernetes.pod.namespace"
    static let podUID = "io.kubernetes.pod.uid"
    static let container = "io.kubernetes.container.name"
    static let hash = "io.kubernetes.container.hash"
    static let restartCount = "io.kubernetes.container.restartCount"
}

extension SandboxStatus {
    /// As a pod's machine sees it.
    var observed: ObservedSandbox {
        ObservedSandbox(
            id: id, attempt: attempt, isReady: isReady, createdAt: createdAt / 1_000_000, addresses: addresses)
    }
}

extension ContainerStatus {
    /// As a pod's machine sees it.
    var observed: ObservedContainer {
        let observedState: ObservedContainer.State =
            switch state {
            case .created: .created
            case .running: .running
            case .exited, .unknown: .exited
            }
        var container = ObservedContainer(
            id: id, sandbox: sandbox, name: name, attempt: attempt, state: observedState)
        container.imageID = imageID
        container.fingerprint = annotations[RuntimeLabel.hash] ?? ""
        container.startedAt = startedAt / 1_000_000
        container.finishedAt = finishedAt / 1_000_000
        container.exitCode = state == .unknown ? 137 : exitCode
        container.reason = state == .unknown ? "ContainerStatusUnknown" : reason
        container.message = message
        return container
    }
}

extension ContainerLimits {
    /// What a container with these needs is held to.
    init(_ needs: ResourceNeeds) {
        self.init()
        cpuShares = needs.cpuShares
        cpuQuota = needs.cpuQuota
        memory = needs.memoryLimit ?? 0
    }
}

extension ContainerSpec {
    /// Why a container that must not run as root may do so, as kubelet's verifyRunAsNonRoot words it; nil when it
    /// cannot. An image whose user the runtime cannot tell counts as root's.
    func rootFault(imageUser: ImageUser?, in spec: PodSpec) -> String? {
        guard security.runAsNonRoot else { return nil }
        let place = "(pod: \"\(spec.displayName)\", container: \(name))"
        if let user = security.runAsUser {
            return user == 0 ? "container's runAsUser breaks non-root policy \(place)" : nil
        }
        switch imageUser ?? .number(0) {
        case .number(0): return "container has runAsNonRoot and image will run as root \(place)"
        case .number: return nil
        case .name(let user):
            return "container has runAsNonRoot and image has non-numeric user (\(user)), "
                + "cannot verify user is non-root \(place)"
        }
    }
}

extension NodeAgent {
    /// Carries out one action of a pod through the runtime.
    func carryOut(_ action: PodAction, of uid: String) async -> ActionResult {
        guard let spec = pods[uid]?.machine.spec else { return .failed(ActionFailure(.other, "the pod has gone")) }
        do {
            switch action {
            case .mountVolumes: try await mountVolumes(of: spec)
            case .runSandbox(let attempt):
                try await disk.run { [files] in try files.makeLogDirectories(spec) }
                _ = try await runtime.runSandbox(sandboxConfig(of: spec, attempt: attempt))
            case .inspectImage(_, let image): return .image(try await runtime.imageID(image))
            case .pullImage(_, let image): return .image(try await runtime.pullImage(image))
            case .startContainer(let name, let attempt, let sandbox, _):
                try await startContainer(name, attempt: attempt, sandbox: sandbox, of: spec)
            case .allocate(let needs): try allocate(needs, to: uid)
            case .resizeContainer(_, let id, let needs): try await runtime.updateContainer(id, ContainerLimits(needs))
            case .stopContainer(let id, _, let grace): try await runtime.stopContainer(id, graceSeconds: grace)
            case .removeContainer(let id): try await runtime.removeContainer(id)
            case .stopSandbox(let id): try await runtime.stopSandbox(id)
            case .removeSandbox(let id): try await runtime.removeSandbox(id)
            }
            return .done
        } catch let failure as ActionFailure {
            return .failed(failure)
        } catch let error as ConfigurationError {
            return .failed(ActionFailure(.configuration, error.description))
        } catch {
            return .failed(ActionFailure(.other, "\(error)"))
        }
    }

    private func startContainer(_ name: String, attempt: UInt32, sandbox: String, of spec: PodSpec) async throws {
        guard var container = spec.container(named: name) else {
            throw ActionFailure(.create, "the pod has no container \(name)")
        }
        if let machine = pods[spec.uid]?.machine { container.resources = machine.allocation(of: container) }
        if container.security.runAsNonRoot {
            var imageUser: ImageUser?
            if container.security.runAsUser == nil { imageUser = try await runtime.imageUser(container.image) }
            if let fault = container.rootFault(imageUser: imageUser, in: spec) {
                throw ActionFailure(.configuration, fault)
            }
        }
        let addresses = pods[spec.uid]?.machine.observation?.sandboxes.first { $0.id == sandbox }?.addresses ?? []
        let config = try await containerConfig(of: container, attempt: attempt, in: spec, podIPs: addresses)
        let sandboxAttempt = pods[spec.uid]?.machine.observation?.sandboxes.first { $0.id == sandbox }?.attempt ?? 0
        let id: String
        do {
            id = try await runtime.createContainer(
                sandbox: sandbox, config, sandboxConfig: sandboxConfig(of: spec, attempt: sandboxAttempt))
        } catch {
            throw ActionFailure(.create, "\(error)")
        }
        do {
            try await runtime.startContainer(id)
        } catch {
            throw ActionFailure(.start, "\(error)")
        }
    }

    // MARK: - Resources

    /// Sets the node's CPU and memory aside for a pod's containers, instead of what they have. What does not grow is
    /// never refused.
    private func allocate(_ needs: [String: ResourceNeeds], to uid: String) throws(ActionFailure) {
        guard let machine = pods[uid]?.machine else { throw ActionFailure(.other, "the pod has gone") }
        let node = NodeObject(configuration: configuration, facts: facts, port: 0)
        let others = pods.filter { $0.key != uid && $0.value.machine.outcome == nil }
            .reduce(PodAllocation()) { $0 + $1.value.machine.allocation }
        let (old, new) = (machine.allocation, machine.allocation(with: needs))
        let amounts: [(String, KeyPath<PodAllocation, Int64>, Int64)] = [
            ("cpu", \.milliCPU, node.allocatableMilliCPU), ("memory", \.memory, node.allocatableMemory),
        ]
        for (name, amount, capacity) in amounts where new[keyPath: amount] > old[keyPath: amount] {
            let requested = new[keyPath: amount]
            if requested > capacity {
                throw ActionFailure(
                    .infeasible,
                    "Node didn't have enough capacity: \(name), requested: \(requested), capacity: \(capacity)")
            }
            let used = others[keyPath: amount]
            if (new + others)[keyPath: amount] > capacity {
                throw ActionFailure(
                    .deferred,
                    "Node didn't have enough resource: \(name), requested: \(requested), used: \(used), "
                        + "capacity: \(capacity)")
            }
        }
    }

    // MARK: - ConfigMaps and Secrets

    /// What a pod's environment and volumes are worked out from, read from the API now.
    func surroundings(of spec: PodSpec, podIPs: [String]) async throws -> PodSurroundings {
        var objects: [ConfigReference: JSON] = [:]
        for reference in spec.references {
            let kind: ResourceKind = reference.kind == .secret ? .secret : .configMap
            do {
                objects[reference] = try await api.get(kind, namespace: spec.namespace, name: reference.name)
            } catch let error as APIError where error.isNotFound {
                continue
            }
        }
        let node = NodeObject(configuration: configuration, facts: facts, port: 0)
        var surroundings = PodSurroundings(
            objects: objects, podIPs: spec.hostNetwork ? configuration.addresses : podIPs,
            hostIPs: configuration.addresses, nodeMilliCPU: node.allocatableMilliCPU, nodeMemory: node.allocatableMemory
        )
        for reference in spec.tokens { surroundings.tokens[reference] = try await token(reference, of: spec) }
        return surroundings
    }

    private func mountVolumes(of spec: PodSpec) async throws {
        let surroundings = try await surroundings(of: spec, podIPs: [])
        try await mount(spec.volumes, of: spec, in: surroundings)
        pods[spec.uid]?.volumesMounted = true
    }

    /// Puts volumes in place, in one piece of disk work: what removes the folders of a pod that has gone comes before
    /// or after it. A pod that has gone already gets none.
    private func mount(_ volumes: [VolumeSpec], of spec: PodSpec, in surroundings: PodSurroundings) async throws {
        guard pods[spec.uid] != nil else { throw ActionFailure(.other, "the pod has gone") }
        try await disk.run { [files] in
            for volume in volumes {
                do {
                    try files.mount(volume, of: spec, in: surroundings)
                } catch {
                    throw ActionFailure(.other, "MountVolume.SetUp failed for volume \"\(volume.name)\" : \(error)")
                }
            }
        }
    }

    /// Keeps the files of ConfigMaps and Secrets in running pods current.
    func refreshVolumesForever() async {
        while (try? await world.sleep(for: Limits.volumeRefreshPeriod)) != nil { await refreshVolumes() }
    }

    /// Gets new tokens for all pods, and puts them and the published authorities into their volumes.
    public func renewTokens() async {
        for uid in pods.keys { pods[uid]?.tokens = [:] }
        await refreshVolumes()
    }

    private func refreshVolumes() async {
        for uid in pods.keys.sorted() {
            guard let pod = pods[uid], pod.volumesMounted, !pod.machine.isGone,
                pod.machine.spec.volumes.contains(where: \.isMadeOfFiles)
            else { continue }
            let spec = pod.machine.spec
            let addresses = pod.machine.observation?.sandboxes.last?.addresses ?? []
            do {
                let surroundings = try await surroundings(of: spec, podIPs: addresses)
                guard pods[uid] != nil else { continue }
                try await mount(spec.volumes.filter(\.isMadeOfFiles), of: spec, in: surroundings)
            } catch {
                logger.warning("volumes of pod \(spec.displayName) cannot be refreshed: \(error)")
            }
        }
    }

    // MARK: - What sandboxes and containers are made of

    private func sandboxConfig(of spec: PodSpec, attempt: UInt32) -> SandboxConfig {
        var config = SandboxConfig(
            name: spec.name, namespace: spec.namespace, uid: spec.uid, attempt: attempt,
            logDirectory: files.logDirectory(of: spec))
        config.hostname = spec.hostNetwork ? "" : spec.hostname
        config.labels = spec.labels.merging([
            RuntimeLabel.podName: spec.name, RuntimeLabel.podNamespace: spec.namespace, RuntimeLabel.podUID: spec.uid,
        ]) { $1 }
        config.annotations = spec.annotations
        let names = NameResolution.of(spec, configuration: configuration)
        config.dnsServers = names.servers
        config.dnsSearches = names.searches
        config.dnsOptions = names.options
        config.cgroupParent = configuration.cgroupParent
        config.hostNetwork = spec.hostNetwork
        config.sharesProcesses = spec.sharesProcesses
        config.ports = spec.containers.flatMap(\.ports).filter { $0.hostPort > 0 && !spec.hostNetwork }.map {
            SandboxConfig.PortMapping(proto: $0.proto, containerPort: $0.containerPort, hostPort: $0.hostPort)
        }
        return config
    }

    private func containerConfig(
        of container: ContainerSpec, attempt: UInt32, in spec: PodSpec, podIPs: [String]
    ) async throws -> ContainerConfig {
        let surroundings = try await surroundings(of: spec, podIPs: podIPs)
        var environment = try spec.environment(of: container, in: surroundings)
        if !environment.contains(where: { $0.name == "HOSTNAME" }) {
            environment.append(EnvironmentValue(name: "HOSTNAME", value: spec.hostname))
        }
        var config = ContainerConfig(name: container.name, attempt: attempt, image: container.image)
        config.command = spec.expand(container.command, with: environment)
        config.arguments = spec.expand(container.arguments, with: environment)
        config.workingDirectory = container.workingDirectory
        config.environment = environment.map { .init($0.name, $0.value) }
        config.mounts = try await disk.run { [files] in
            try files.makeLogDirectory(of: container, in: spec)
            var mounts = try files.mounts(of: container, in: spec)
            if !spec.hostNetwork, !container.mounts.contains(where: { $0.path == "/etc/hosts" }) {
                let hosts = try files.writeHosts(of: spec, addresses: podIPs)
                mounts.append(.init(containerPath: "/etc/hosts", hostPath: hosts))
            }
            return mounts
        }
        config.labels = [
            RuntimeLabel.podName: spec.name, RuntimeLabel.podNamespace: spec.namespace, RuntimeLabel.podUID: spec.uid,
            RuntimeLabel.container: container.name,
        ]
        config.annotations = [
            RuntimeLabel.hash: container.fingerprint, RuntimeLabel.restartCount: String(attempt),
        ]
        config.logPath = "\(container.name)/\(attempt).log"
        config.limits = ContainerLimits(container.resources)
        config.oomScoreAdjustment = spec.oomScoreAdjustment(of: container, memoryCapacity: facts.memory)
        config.isPrivileged = container.security.isPrivileged
        config.runAsUser = container.security.runAsUser
        config.runAsGroup = container.security.runAsGroup
        config.readOnlyRoot = container.security.readOnlyRoot
        config.addedCapabilities = container.security.addedCapabilities
        config.droppedCapabilities = container.security.droppedCapabilities
        config.stdin = container.stdin
        config.stdinOnce = container.stdinOnce
        config.tty = container.tty
        if !container.target.isEmpty { config.target = try target(of: container, in: spec) }
        return config
    }

    /// The runtime's id of the container whose processes an ephemeral container sees.
    private func target(of container: ContainerSpec, in spec: PodSpec) throws -> String {
        let named = pods[spec.uid]?.machine.observation?.containers.filter { $0.name == container.target } ?? []
        guard let target = named.max(by: { $0.attempt < $1.attempt }) else {
            throw ActionFailure(.configuration, "unable to find target container \(container.target)")
        }
        return target.id
    }
}
