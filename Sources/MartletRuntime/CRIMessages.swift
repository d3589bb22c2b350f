internal import MartletBase
internal import MartletCRI
internal import SwiftProtobuf

// From our values to CRI's messages and back. Defaults of the security context are kubelet's: see
// k8s.io/kubernetes pkg/kubelet/kuberuntime and pkg/securitycontext.

/// What every container may see of /proc and /sys, unless it is privileged.
enum ProcPaths {
    /// Hidden.
    static let masked = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    /// Not to be written.
    static let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
}

/// Marks what we made, so that lists leave out the sandboxes of others who use the same runtime.
enum OwnerLabel {
    static let key = "martlet.dev/managed-by"
    static let value = "martlet"

    static func add(to labels: [String: String]) -> [String: String] { labels.merging([key: value]) { $1 } }

    static func remove(from labels: [String: String]) -> [String: String] { labels.filter { $0.key != key } }

    static func isOurs(_ labels: [String: String]) -> Bool { labels[key] == value }
}

extension SandboxConfig {
    /// The message; a cgroup that is not a whole path is meant below `parent`.
    func message(cgroupParent parent: String) -> Runtime_V1_PodSandboxConfig {
        var message = Runtime_V1_PodSandboxConfig()
        message.metadata.name = name
        message.metadata.namespace = namespace
        message.metadata.uid = uid
        message.metadata.attempt = attempt
        // A pod on the host's network has the host's name, and the runtime refuses another.
        message.hostname = hostNetwork ? "" : hostname
        message.logDirectory = logDirectory
        message.labels = OwnerLabel.add(to: labels)
        message.annotations = annotations
        if !dnsServers.isEmpty || !dnsSearches.isEmpty || !dnsOptions.isEmpty {
            message.dnsConfig.servers = dnsServers
            message.dnsConfig.searches = dnsSearches
            message.dnsConfig.options = dnsOptions
        }
        message.portMappings = ports.compactMap(\.message)
        message.linux.cgroupParent =
            cgroupParent.hasPrefix("/") ? cgroupParent : cgroupParent.isEmpty ? parent : "\(parent)/\(cgroupParent)"
        message.linux.securityContext.namespaceOptions = namespaceOptions
        message.linux.securityContext.seccomp.profileType = .runtimeDefault
        return message
    }

    /// Whose namespaces the pod's processes join.
    var namespaceOptions: Runtime_V1_NamespaceOption {
        var options = Runtime_V1_NamespaceOption()
        options.network = hostNetwork ? .node : .pod
        options.pid = sharesProcesses ? .pod : .container
        options.ipc = .pod
        return options
    }
}

extension SandboxConfig.PortMapping {
    /// The message; nil when a port is out of range or the protocol unknown.
    var message: Runtime_V1_PortMapping? {
        guard (1...65_535).contains(containerPort), (0...65_535).contains(hostPort) else { return nil }
        var message = Runtime_V1_PortMapping()
        message.containerPort = Int32(containerPort)
        message.hostPort = Int32(hostPort)
        switch proto {
        case "TCP", "": message.protocol = .tcp
        case "UDP": message.protocol = .udp
        case "SCTP": message.protocol = .sctp
        default: return nil
        }
        return message
    }
}

extension ContainerLimits {
    var message: Runtime_V1_LinuxContainerResources {
        var message = Runtime_V1_LinuxContainerResources()
        message.cpuShares = cpuShares
        message.cpuQuota = cpuQuota
        message.cpuPeriod = cpuQuota > 0 ? cpuPeriod : 0
        message.memoryLimitInBytes = memory
        return message
    }
}

extension ContainerConfig {
    /// The message of a container in a sandbox.
    func message(in sandbox: SandboxConfig) -> Runtime_V1_ContainerConfig {
        var message = Runtime_V1_ContainerConfig()
        message.metadata.name = name
        message.metadata.attempt = attempt
        message.image.image = image
        message.command = command
        message.args = arguments
        message.workingDir = workingDirectory
        message.envs = environment.map { variable in
            var pair = Runtime_V1_KeyValue()
            pair.key = variable.name
            pair.value.append(contentsOf: Array(variable.value.utf8))
            return pair
        }
        message.mounts = mounts.map { mount in
            var result = Runtime_V1_Mount()
            result.containerPath = mount.containerPath
            result.hostPath = mount.hostPath
            result.readonly = mount.isReadOnly
            return result
        }
        message.labels = OwnerLabel.add(to: labels)
        message.annotations = annotations
        message.logPath = logPath
        message.stdin = stdin
        message.stdinOnce = stdinOnce
        message.tty = tty
        message.linux.resources = limits.message
        message.linux.resources.oomScoreAdj = oomScoreAdjustment
        message.linux.securityContext = securityContext(in: sandbox)
        return message
    }

    private func securityContext(in sandbox: SandboxConfig) -> Runtime_V1_LinuxContainerSecurityContext {
        var context = Runtime_V1_LinuxContainerSecurityContext()
        context.namespaceOptions = sandbox.namespaceOptions
        if !target.isEmpty, !sandbox.sharesProcesses {
            context.namespaceOptions.pid = .target
            context.namespaceOptions.targetID = target
        }
        context.privileged = isPrivileged
        context.readonlyRootfs = readOnlyRoot
        context.noNewPrivs = noNewPrivileges && !isPrivileged
        context.capabilities.addCapabilities = addedCapabilities
        context.capabilities.dropCapabilities = droppedCapabilities
        context.seccomp.profileType = isPrivileged ? .unconfined : .runtimeDefault
        if !isPrivileged {
            context.maskedPaths = ProcPaths.masked
            context.readonlyPaths = ProcPaths.readOnly
        }
        if let runAsUser { context.runAsUser.value = runAsUser }
        if let runAsGroup { context.runAsGroup.value = runAsGroup }
        return context
    }
}

extension ImageUser {
    /// What the runtime says of an image: a number, or a name, or neither, which is root.
    init(_ image: Runtime_V1_Image) {
        if image.hasUid {
            self = .number(image.uid.value)
        } else {
            self = image.username.isEmpty ? .number(0) : .name(image.username)
        }
    }
}

extension ContainerStatus {
    /// What a list says; times, exit code and log path are not in it.
    init(_ message: Runtime_V1_Container) {
        self.init(
            id: message.id, sandbox: message.podSandboxID, name: message.metadata.name,
            attempt: message.metadata.attempt, state: State(message.state))
        image = message.image.image
        imageID = message.imageRef
        createdAt = message.createdAt
        labels = OwnerLabel.remove(from: message.labels)
        annotations = message.annotations
    }

    /// What is said of one container. It does not name its sandbox.
    init(_ message: Runtime_V1_ContainerStatus, sandbox: String) {
        self.init(
            id: message.id, sandbox: sandbox, name: message.metadata.name, attempt: message.metadata.attempt,
            state: State(message.state))
        image = message.image.image
        imageID = message.imageRef
        createdAt = message.createdAt
        startedAt = message.startedAt
        finishedAt = message.finishedAt
        exitCode = message.exitCode
        reason = message.reason
        self.message = message.message
        labels = OwnerLabel.remove(from: message.labels)
        annotations = message.annotations
        logPath = message.logPath
    }
}

extension ContainerStatus.State {
    init(_ state: Runtime_V1_ContainerState) {
        self =
            switch state {
            case .containerCreated: .created
            case .containerRunning: .running
            case .containerExited: .exited
            default: .unknown
            }
    }
}

extension SandboxStatus {
    /// What a list says, and the addresses that only a status tells.
    init(_ message: Runtime_V1_PodSandbox, addresses: [String]) {
        self.init(
            id: message.id, name: message.metadata.name, namespace: message.metadata.namespace,
            uid: message.metadata.uid, attempt: message.metadata.attempt, isReady: message.state == .sandboxReady,
            createdAt: message.createdAt, addresses: addresses)
    }
}

extension Runtime_V1_PodSandboxStatus {
    /// The pod's addresses, the primary one first.
    var addresses: [String] {
        ([network.ip] + network.additionalIps.map(\.ip)).filter { !$0.isEmpty }
    }
}
