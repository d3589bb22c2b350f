internal import MartletObject

/// The three probes of a container.
public enum ProbeKind: String, Sendable, Hashable, CaseIterable {
    /// The others wait for it; its failure restarts the container.
    case startup = "Startup"
    /// Its failure restarts the container.
    case liveness = "Liveness"
    /// Its result is the container's readiness.
    case readiness = "Readiness"

    var field: String {
        switch self {
        case .startup: "startupProbe"
        case .liveness: "livenessProbe"
        case .readiness: "readinessProbe"
        }
    }
}

/// How a container is asked whether it is well (core/v1 Probe).
public struct ProbeSpec: Sendable, Hashable {
    /// What is done.
    public enum Handler: Sendable, Hashable {
        /// A command in the container; exit code 0 is success.
        case exec([String])
        /// A GET; 200 to 399 is success. An empty host means the pod's address.
        case httpGet(scheme: String, host: String, port: Int, path: String, headers: [HeaderField])
        /// A connection. An empty host means the pod's address.
        case tcpSocket(host: String, port: Int)
        /// Something this node cannot do; the text names it. It fails.
        case unsupported(String)
    }
    /// One header field of an httpGet probe.
    public struct HeaderField: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its value.
        public var value: String
    }

    /// What is done.
    public var handler: Handler
    /// Seconds from the container's start to the first probe.
    public var initialDelaySeconds: Int
    /// Seconds between probes.
    public var periodSeconds: Int
    /// Seconds a probe may take.
    public var timeoutSeconds: Int
    /// Successes in a row that turn failure into success.
    public var successThreshold: Int
    /// Failures in a row that turn success into failure.
    public var failureThreshold: Int
    /// Overrides the pod's grace for a container that a failed probe ends.
    public var graceSeconds: Int?

    init(_ json: JSON, ports: [ContainerSpec.Port]) {
        initialDelaySeconds = max(0, json["initialDelaySeconds"]?.int ?? 0)
        periodSeconds = max(1, json["periodSeconds"]?.int ?? 10)
        timeoutSeconds = max(1, json["timeoutSeconds"]?.int ?? 1)
        successThreshold = max(1, json["successThreshold"]?.int ?? 1)
        failureThreshold = max(1, json["failureThreshold"]?.int ?? 3)
        graceSeconds = json["terminationGracePeriodSeconds"]?.int
        let port: (JSON?) -> Int? = { json in
            if let number = json?.int { return (1...65535).contains(number) ? number : nil }
            guard let name = json?.string else { return nil }
            return ports.first { $0.name == name }?.containerPort ?? Int(name)
        }
        if let exec = json["exec"] {
            handler = .exec((exec["command"]?.array ?? []).compactMap(\.string))
        } else if let http = json["httpGet"] {
            guard let number = port(http["port"]) else {
                handler = .unsupported("no such port")
                return
            }
            handler = .httpGet(
                scheme: http["scheme"]?.string ?? "HTTP", host: http["host"]?.string ?? "", port: number,
                path: http["path"]?.string ?? "/",
                headers: (http["httpHeaders"]?.array ?? []).map {
                    HeaderField(name: $0["name"]?.string ?? "", value: $0["value"]?.string ?? "")
                })
        } else if let tcp = json["tcpSocket"] {
            guard let number = port(tcp["port"]) else {
                handler = .unsupported("no such port")
                return
            }
            handler = .tcpSocket(host: tcp["host"]?.string ?? "", port: number)
        } else {
            handler = .unsupported(json["grpc"] == nil ? "a probe without a handler" : "grpc probes")
        }
    }
}

/// One probe that the shell is to carry out and answer with ``PodInput/probed(_:success:message:)``.
public struct ProbeRun: Sendable, Hashable {
    /// The container's name.
    public var container: String
    /// The runtime's id of the container that is asked.
    public var id: String
    /// Which probe.
    public var kind: ProbeKind
    /// What to do, and how long it may take.
    public var spec: ProbeSpec
    /// The pod's address; empty on the host's network when the node's is unknown.
    public var address: String
    /// A probe from its parts.
    public init(container: String, id: String, kind: ProbeKind, spec: ProbeSpec, address: String) {
        self.container = container
        self.id = id
        self.kind = kind
        self.spec = spec
        self.address = address
    }
}

/// One probe's progress on one container: counts results and says when the next is due.
struct ProbeState: Sendable, Hashable {
    /// Milliseconds since the epoch.
    var nextAt: Int64
    /// The verdict; nil before the first threshold is reached.
    var verdict: Bool?
    var isInFlight = false
    private var streak = 0
    private var lastSuccess: Bool?

    init(_ spec: ProbeSpec, startedAt: Int64, now: Int64) {
        nextAt = max(now, startedAt + Int64(spec.initialDelaySeconds) * 1000)
    }

    /// Takes one result in; returns whether the verdict is now a failure it was not before.
    mutating func take(success: Bool, spec: ProbeSpec, now: Int64) -> Bool {
        isInFlight = false
        nextAt = max(now, nextAt + Int64(spec.periodSeconds) * 1000)
        if lastSuccess == success { streak += 1 } else { streak = 1 }
        lastSuccess = success
        guard streak >= (success ? spec.successThreshold : spec.failureThreshold) else { return false }
        let fails = !success && verdict != false
        verdict = success
        return fails
    }
}
