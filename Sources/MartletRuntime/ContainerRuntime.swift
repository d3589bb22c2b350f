/// What the node agent asks of whatever runs containers: containerd (CRI v1 over gRPC), the embedded process runtime,
/// or the simulated one. The verbs and states are CRI's; see k8s.io/cri-api runtime/v1.
public protocol ContainerRuntime: Sendable {
    /// The name that ids of containers begin with in a pod's status: `containerd`.
    var scheme: String { get }
    /// Name and version: `containerd`, `1.6.20`.
    func version() async throws -> RuntimeVersion
    /// Conditions that are not met; empty when pods can run (`NetworkReady`, `RuntimeReady`).
    func unmetConditions() async throws -> [RuntimeCondition]

    /// Makes and starts a pod's sandbox, with its network.
    func runSandbox(_ config: SandboxConfig) async throws -> String
    /// Stops a sandbox and its network; its containers are killed. Absent is fine.
    func stopSandbox(_ id: String) async throws
    /// Removes a stopped sandbox and its containers. Absent is fine.
    func removeSandbox(_ id: String) async throws
    /// Every sandbox of ours.
    func listSandboxes() async throws -> [SandboxStatus]

    /// Makes a container in a sandbox, from an image that is present.
    func createContainer(sandbox: String, _ config: ContainerConfig, sandboxConfig: SandboxConfig) async throws
        -> String
    /// Starts a made container.
    func startContainer(_ id: String) async throws
    /// Holds a running container to other limits; those that are 0 stay as they are.
    func updateContainer(_ id: String, _ limits: ContainerLimits) async throws
    /// Ends a container: SIGTERM (or the image's signal), then SIGKILL after `graceSeconds`. Absent is fine.
    func stopContainer(_ id: String, graceSeconds: Int) async throws
    /// Removes an ended container and its log. Absent is fine.
    func removeContainer(_ id: String) async throws
    /// Every container of ours, ended ones too.
    func listContainers() async throws -> [ContainerStatus]
    /// Runs a command in a container and waits for it.
    func execSync(_ id: String, command: [String], timeoutSeconds: Int) async throws -> ExecResult

    /// Prepares a command in a running container whose streams somebody will ask for.
    func exec(_ id: String, command: [String], streams: RemoteStreams) async throws -> StreamAddress
    /// Prepares the streams of a running container's main process.
    func attach(_ id: String, streams: RemoteStreams) async throws -> StreamAddress
    /// Prepares connections to ports of a pod. `ports` is needed by protocols that do not name them later.
    func portForward(sandbox: String, ports: [Int]) async throws -> StreamAddress

    /// Whether an image is present, and its id.
    func imageID(_ reference: String) async throws -> String?
    /// Pulls an image; returns its id.
    func pullImage(_ reference: String) async throws -> String
    /// Whom an image that is present runs as; nil when the runtime cannot tell.
    func imageUser(_ reference: String) async throws -> ImageUser?
}

extension ContainerRuntime {
    /// That of nearly all.
    public var scheme: String { "containerd" }
}

extension ContainerRuntime {
    /// A runtime whose images name no user cannot tell.
    public func imageUser(_ reference: String) async throws -> ImageUser? { nil }

    /// A runtime that serves no streams says so.
    public func exec(_ id: String, command: [String], streams: RemoteStreams) async throws -> StreamAddress {
        throw RuntimeError.refused("this node's runtime does not serve exec: it has no containers of its own")
    }
    /// A runtime that serves no streams says so.
    public func attach(_ id: String, streams: RemoteStreams) async throws -> StreamAddress {
        throw RuntimeError.refused("this node's runtime does not serve attach: it has no containers of its own")
    }
    /// A runtime that serves no streams says so.
    public func portForward(sandbox: String, ports: [Int]) async throws -> StreamAddress {
        throw RuntimeError.refused("this node's runtime does not serve port-forward: its pods have no network")
    }
}

/// Whom an image runs as when nothing else is asked for (`USER`).
public enum ImageUser: Sendable, Hashable {
    /// A user id; 0, root, when the image names nobody.
    case number(Int64)
    /// A name, which only the image's own user table can make a number of.
    case name(String)
}

/// A runtime's name and version.
public struct RuntimeVersion: Sendable, Hashable {
    /// As `containerd`.
    public var name: String
    /// As `1.6.20`.
    public var version: String
    /// A version from its parts.
    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

/// A condition that keeps the runtime from running pods.
public struct RuntimeCondition: Sendable, Hashable {
    /// `RuntimeReady` or `NetworkReady`.
    public var type: String
    /// A word.
    public var reason: String
    /// A sentence.
    public var message: String
    /// A condition from its parts.
    public init(type: String, reason: String, message: String) {
        self.type = type
        self.reason = reason
        self.message = message
    }
}

/// What a container is held to.
public struct ContainerLimits: Sendable, Hashable {
    /// CPU weight (cgroup v1 shares); 0 for the runtime's default.
    public var cpuShares: Int64 = 0
    /// CPU time in microseconds per `cpuPeriod`; 0 for no limit.
    public var cpuQuota: Int64 = 0
    /// Microseconds.
    public var cpuPeriod: Int64 = 100_000
    /// Bytes; 0 for no limit.
    public var memory: Int64 = 0
    /// None.
    public init() {}
}

/// What a sandbox is made of.
public struct SandboxConfig: Sendable, Hashable {
    /// The pod's name.
    public var name: String
    /// The pod's namespace.
    public var namespace: String
    /// The pod's uid.
    public var uid: String
    /// Counts the sandboxes of one pod.
    public var attempt: UInt32
    /// The pod's host name.
    public var hostname: String
    /// Where the containers' logs go; each container's path is relative to it.
    public var logDirectory: String
    /// Kept by the runtime and given back in lists.
    public var labels: [String: String]
    /// Kept by the runtime and given back in lists.
    public var annotations: [String: String]
    /// DNS servers, search list, options.
    public var dnsServers: [String]
    /// DNS search domains.
    public var dnsSearches: [String]
    /// DNS options, as `ndots:5`.
    public var dnsOptions: [String]
    /// The cgroup under which the pod's cgroups are made: a whole path, or one below the runtime's own (`pod1`); empty
    /// for the runtime's own.
    public var cgroupParent: String
    /// Whether the pod uses the host's network.
    public var hostNetwork: Bool
    /// Whether all containers share one process namespace.
    public var sharesProcesses: Bool
    /// Host ports.
    public var ports: [PortMapping]

    /// One host port.
    public struct PortMapping: Sendable, Hashable {
        /// `TCP`, `UDP` or `SCTP`.
        public var proto: String
        /// Port in the pod.
        public var containerPort: Int
        /// Port on the host.
        public var hostPort: Int
        /// A mapping from its parts.
        public init(proto: String, containerPort: Int, hostPort: Int) {
            self.proto = proto
            self.containerPort = containerPort
            self.hostPort = hostPort
        }
    }

    /// A sandbox of a pod; the rest has plain defaults.
    public init(name: String, namespace: String, uid: String, attempt: UInt32, logDirectory: String) {
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.attempt = attempt
        self.hostname = name
        self.logDirectory = logDirectory
        self.labels = [:]
        self.annotations = [:]
        self.dnsServers = []
        self.dnsSearches = []
        self.dnsOptions = []
        self.cgroupParent = ""
        self.hostNetwork = false
        self.sharesProcesses = false
        self.ports = []
    }
}

/// What a runtime says of a sandbox.
public struct SandboxStatus: Sendable, Hashable {
    /// The runtime's id.
    public var id: String
    /// The pod's name.
    public var name: String
    /// The pod's namespace.
    public var namespace: String
    /// The pod's uid.
    public var uid: String
    /// Counts the sandboxes of one pod.
    public var attempt: UInt32
    /// Whether it runs.
    public var isReady: Bool
    /// Nanoseconds since the epoch.
    public var createdAt: Int64
    /// The pod's addresses, first the primary one; empty on the host's network.
    public var addresses: [String]
    /// A status from its parts.
    public init(
        id: String, name: String, namespace: String, uid: String, attempt: UInt32, isReady: Bool, createdAt: Int64,
        addresses: [String]
    ) {
        self.id = id
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.attempt = attempt
        self.isReady = isReady
        self.createdAt = createdAt
        self.addresses = addresses
    }
}

/// What a container is made of.
public struct ContainerConfig: Sendable, Hashable {
    /// The container's name in its pod.
    public var name: String
    /// Counts the starts of this container in its pod: the restart count.
    public var attempt: UInt32
    /// The image, as the runtime knows it (an id or a reference).
    public var image: String
    /// Replaces the image's entry point when not empty.
    public var command: [String] = []
    /// Replaces the image's arguments when not empty.
    public var arguments: [String] = []
    /// Working folder; empty for the image's.
    public var workingDirectory = ""
    /// Environment, in order.
    public var environment: [EnvironmentVariable] = []
    /// Mounts from the host.
    public var mounts: [Mount] = []
    /// Kept by the runtime and given back in lists.
    public var labels: [String: String] = [:]
    /// Kept by the runtime and given back in lists.
    public var annotations: [String: String] = [:]
    /// Relative to the sandbox's log folder.
    public var logPath = ""
    /// What it is held to.
    public var limits = ContainerLimits()
    /// What the kernel adds to the badness of its processes.
    public var oomScoreAdjustment: Int64 = 0
    /// Whether it may do what root on the host may.
    public var isPrivileged = false
    /// User id; nil for the image's.
    public var runAsUser: Int64?
    /// Group id; nil for the image's.
    public var runAsGroup: Int64?
    /// Whether its processes can never gain privileges (`allowPrivilegeEscalation: false`).
    public var noNewPrivileges = false
    /// Whether its root file system is read-only.
    public var readOnlyRoot = false
    /// Capabilities to add, without `CAP_`.
    public var addedCapabilities: [String] = []
    /// Capabilities to drop, without `CAP_`.
    public var droppedCapabilities: [String] = []
    /// Whether it has a standard input.
    public var stdin = false
    /// Whether its standard input ends with the first who was attached to it.
    public var stdinOnce = false
    /// Whether it has a terminal.
    public var tty = false
    /// The container whose process namespace it joins; empty for its own, or the pod's where that is shared.
    public var target = ""

    /// One variable.
    public struct EnvironmentVariable: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its value.
        public var value: String
        /// A variable.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }
    /// One mount.
    public struct Mount: Sendable, Hashable {
        /// Where in the container.
        public var containerPath: String
        /// What of the host.
        public var hostPath: String
        /// Whether it is read-only.
        public var isReadOnly: Bool
        /// A mount.
        public init(containerPath: String, hostPath: String, isReadOnly: Bool = false) {
            self.containerPath = containerPath
            self.hostPath = hostPath
            self.isReadOnly = isReadOnly
        }
    }
    /// A container of that name and image.
    public init(name: String, attempt: UInt32, image: String) {
        self.name = name
        self.attempt = attempt
        self.image = image
    }
}

/// What a runtime says of a container.
public struct ContainerStatus: Sendable, Hashable {
    /// CRI's container states.
    public enum State: Sendable, Hashable {
        /// Made, not started.
        case created
        /// Running.
        case running
        /// Ended.
        case exited
        /// The runtime does not know.
        case unknown
    }
    /// The runtime's id.
    public var id: String
    /// The sandbox's id.
    public var sandbox: String
    /// Its name in the pod.
    public var name: String
    /// Counts its starts.
    public var attempt: UInt32
    /// Its state.
    public var state: State
    /// The image as it was asked for.
    public var image: String
    /// The image's id or digest.
    public var imageID: String
    /// Nanoseconds since the epoch; 0 when it has not happened.
    public var createdAt: Int64
    /// Nanoseconds since the epoch; 0 when it has not happened.
    public var startedAt: Int64
    /// Nanoseconds since the epoch; 0 when it has not happened.
    public var finishedAt: Int64
    /// Exit code of an ended container.
    public var exitCode: Int32
    /// `Completed`, `Error`, `OOMKilled`, ...
    public var reason: String
    /// A sentence of the runtime.
    public var message: String
    /// The labels it was made with.
    public var labels: [String: String]
    /// The annotations it was made with.
    public var annotations: [String: String]
    /// Where its log is, whole path.
    public var logPath: String
    /// A container in a state; the rest is empty.
    public init(id: String, sandbox: String, name: String, attempt: UInt32, state: State) {
        self.id = id
        self.sandbox = sandbox
        self.name = name
        self.attempt = attempt
        self.state = state
        self.image = ""
        self.imageID = ""
        self.createdAt = 0
        self.startedAt = 0
        self.finishedAt = 0
        self.exitCode = 0
        self.reason = ""
        self.message = ""
        self.labels = [:]
        self.annotations = [:]
        self.logPath = ""
    }
}

/// How a command in a container ended.
public struct ExecResult: Sendable, Hashable {
    /// Its exit code.
    public var exitCode: Int32
    /// What it printed.
    public var output: [UInt8]
    /// What it printed to its error output.
    public var errors: [UInt8]
    /// A result from its parts.
    public init(exitCode: Int32, output: [UInt8], errors: [UInt8]) {
        self.exitCode = exitCode
        self.output = output
        self.errors = errors
    }
}

/// Why a runtime did not do what was asked.
public enum RuntimeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// No such sandbox, container or image.
    case notFound(String)
    /// The runtime cannot be reached (it starts, or it died): try again.
    case unavailable(String)
    /// The runtime refused; its own words.
    case refused(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .notFound(let what): "not found: \(what)"
        case .unavailable(let why): "the container runtime cannot be reached: \(why)"
        case .refused(let why): why
        }
    }
}
