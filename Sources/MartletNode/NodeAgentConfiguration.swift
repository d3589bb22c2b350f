public import MartletBase
public import MartletHTTP

/// How a node agent is set up.
public struct NodeAgentConfiguration: Sendable {
    /// The node's name in the API.
    public var nodeName: String
    /// The node's addresses, first the primary one; pods on the host's network have them.
    public var addresses: [String]
    /// Where volumes and logs live; made when absent.
    public var rootDirectory: String
    /// What the pods of this node get their addresses from (`spec.podCIDR`), when it is known.
    public var podCIDR: String?
    /// Labels of the node, beside the standard ones (`node-role.kubernetes.io/worker`, ...).
    public var labels: [String: String] = [:]
    /// Where the kubelet's API is served; port 0 takes a free one.
    public var endpoint: Endpoint = .ip("0.0.0.0", port: 10250)
    /// TLS of the kubelet's API. It must ask for client certificates of the cluster's authority: a request without
    /// one is refused, so that without TLS every request is.
    public var tls: TLSServer?
    /// The cgroup under which pods' cgroups are made; empty for the runtime's own.
    public var cgroupParent = ""
    /// The file that says how the host resolves names; pods get the same until the cluster has a DNS of its own.
    public var resolvConf = "/etc/resolv.conf"
    /// Addresses of the cluster's DNS; empty while there is none.
    public var clusterDNS: [String] = []
    /// The cluster's DNS domain.
    public var clusterDomain = "cluster.local"
    /// The most pods that the node runs at one time; further ones fail with OutOfpods.
    public var maxPods = 110
    /// CPU for pods in thousandths; nil for all of it.
    public var allocatableMilliCPU: Int64?
    /// Memory for pods in bytes; nil for all of it.
    public var allocatableMemory: Int64?
    /// What `/metrics` answers, in Prometheus' text format.
    public var metrics: @Sendable () -> String = { "" }
    /// How long an ending container may take, at most, when the node is torn down.
    public var teardownGraceSeconds = 5

    /// A node of that name; the rest has plain defaults.
    public init(nodeName: String, addresses: [String], rootDirectory: String) {
        self.nodeName = nodeName
        self.addresses = addresses
        self.rootDirectory = rootDirectory
    }
}

/// The bounds and periods of a node agent, in one place.
enum Limits {
    /// Actions that the runtime is asked for at one time (stops excepted: they mostly wait).
    static let concurrentActions = 8
    /// Events waiting to be written; above it the oldest is dropped.
    static let pendingEvents = 256
    /// Events remembered, so that a repeated one is counted instead of written anew; above it all are forgotten.
    static let rememberedEvents = 512
    /// Bytes of a probe's answer that are shown.
    static let probeOutput = 1024
    /// Between two listings of the runtime.
    static let relistPeriod: Duration = .seconds(1)
    /// Between two looks at the runtime's conditions while one of them is not met.
    static let waitingPeriod: Duration = .milliseconds(200)
    /// Between two renewals of the node's lease, and two looks at the node's own state.
    static let leasePeriod: Duration = .seconds(10)
    /// `spec.leaseDurationSeconds`
    static let leaseSeconds: Int64 = 40
    /// Seconds between two writes of a node status that did not change.
    static let nodeStatusSeconds: Int64 = 300
    /// Between two looks at the ConfigMaps and Secrets in volumes.
    static let volumeRefreshPeriod: Duration = .seconds(60)
    /// Between two attempts to remove a folder that could not be removed.
    static let removalPeriod: Duration = .seconds(10)
    /// Between two looks at a log that is followed.
    static let logPollPeriod: Duration = .milliseconds(100)
    /// Bytes of a log that are read at once.
    static let logBlock = 64 * 1024
    /// Execs, attachments and port-forwards at one time. Above it: 429.
    static let streams = 1024
    /// How long nothing may move on a stream before it is ended (kubelet's streamingConnectionIdleTimeout).
    static let streamIdle: Duration = .seconds(4 * 3600)
    /// How long the runtime may take to begin a stream.
    static let streamBegin: Duration = .seconds(30)
    /// Bytes of the runtime's refusal that are passed on.
    static let streamRefusal = 16 * 1024
    /// How long a caller may take to close its side of a stream that has ended.
    static let streamFarewell: Duration = .seconds(2)
    /// How long a command of `/run` may take, in seconds.
    static let runSeconds = 300
    /// Attempts at one write that meets conflicts.
    static let writeAttempts = 5
}
