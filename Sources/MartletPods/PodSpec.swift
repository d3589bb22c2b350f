public import MartletObject

/// One pod as its node reads it: the fields of core/v1 Pod that running it needs, parsed once.
public struct PodSpec: Sendable, Hashable {
    /// `spec.restartPolicy`
    public enum RestartPolicy: String, Sendable, Hashable {
        /// Ended containers are started again.
        case always = "Always"
        /// Failed containers are started again.
        case onFailure = "OnFailure"
        /// Ended containers stay ended.
        case never = "Never"
    }
    /// An entry of the pod's hosts file (`spec.hostAliases`).
    public struct HostAlias: Sendable, Hashable {
        /// The address.
        public var ip: String
        /// Its names.
        public var hostnames: [String]
    }

    /// `metadata.name`
    public var name: String
    /// `metadata.namespace`
    public var namespace: String
    /// `metadata.uid`
    public var uid: String
    /// `metadata.labels`
    public var labels: [String: String]
    /// `metadata.annotations`
    public var annotations: [String: String]
    /// Whether `metadata.deletionTimestamp` is set.
    public var isTerminating: Bool
    /// Seconds that a container may take to end, now: `metadata.deletionGracePeriodSeconds` when the pod is being
    /// deleted, else `spec.terminationGracePeriodSeconds`.
    public var graceSeconds: Int
    /// `spec.activeDeadlineSeconds`: seconds from `status.startTime` on that the pod may be active.
    public var activeDeadlineSeconds: Int64?
    /// `spec.nodeName`
    public var nodeName: String
    /// `spec.serviceAccountName`
    public var serviceAccountName: String
    /// `spec.restartPolicy`
    public var restartPolicy: RestartPolicy
    /// `spec.initContainers`
    public var initContainers: [ContainerSpec]
    /// `spec.containers`
    public var containers: [ContainerSpec]
    /// `spec.ephemeralContainers`
    public var ephemeralContainers: [ContainerSpec]
    /// `spec.volumes`
    public var volumes: [VolumeSpec]
    /// `spec.hostNetwork`
    public var hostNetwork: Bool
    /// `spec.shareProcessNamespace`
    public var sharesProcesses: Bool
    /// `spec.hostname`, else the pod's name cut to 63 bytes.
    public var hostname: String
    /// `spec.dnsPolicy`
    public var dnsPolicy: String
    /// `spec.dnsConfig.nameservers`
    public var dnsServers: [String]
    /// `spec.dnsConfig.searches`
    public var dnsSearches: [String]
    /// `spec.dnsConfig.options`, as `ndots:5`.
    public var dnsOptions: [String]
    /// `spec.hostAliases`
    public var hostAliases: [HostAlias]
    /// `metadata.generation`, when the API keeps it.
    public var generation: Int64?
    /// The status that the API held when the pod was read.
    public var status: JSON

    /// Reads a pod that the API has defaulted and validated; what is absent gets Kubernetes' default.
    public init(_ pod: JSON) {
        name = pod.name
        namespace = pod.namespace
        uid = pod.uid
        labels = pod.labels
        annotations = pod.annotations
        isTerminating = pod.isTerminating
        let spec = pod["spec"] ?? .null
        let specGrace = spec["terminationGracePeriodSeconds"]?.int ?? 30
        let deletionGrace = pod["metadata", "deletionGracePeriodSeconds"]?.int
        graceSeconds = max(0, isTerminating ? deletionGrace ?? specGrace : specGrace)
        activeDeadlineSeconds = spec["activeDeadlineSeconds"]?.int.map { Int64($0) }
        nodeName = spec["nodeName"]?.string ?? ""
        serviceAccountName = spec["serviceAccountName"]?.string ?? "default"
        restartPolicy = RestartPolicy(rawValue: spec["restartPolicy"]?.string ?? "") ?? .always
        let context = spec["securityContext"] ?? .null
        initContainers = (spec["initContainers"]?.array ?? []).map { ContainerSpec($0, podSecurityContext: context) }
        containers = (spec["containers"]?.array ?? []).map { ContainerSpec($0, podSecurityContext: context) }
        ephemeralContainers = (spec["ephemeralContainers"]?.array ?? []).map {
            ContainerSpec($0, podSecurityContext: context)
        }
        volumes = (spec["volumes"]?.array ?? []).map { VolumeSpec($0) }
        hostNetwork = spec["hostNetwork"]?.bool ?? false
        sharesProcesses = spec["shareProcessNamespace"]?.bool ?? false
        hostname = spec["hostname"]?.string ?? Self.hostname(from: name)
        dnsPolicy = spec["dnsPolicy"]?.string ?? "ClusterFirst"
        dnsServers = (spec["dnsConfig", "nameservers"]?.array ?? []).compactMap(\.string)
        dnsSearches = (spec["dnsConfig", "searches"]?.array ?? []).compactMap(\.string)
        dnsOptions = (spec["dnsConfig", "options"]?.array ?? []).compactMap { option in
            guard let name = option["name"]?.string else { return nil }
            return option["value"]?.string.map { "\(name):\($0)" } ?? name
        }
        hostAliases = (spec["hostAliases"]?.array ?? []).map {
            HostAlias(
                ip: $0["ip"]?.string ?? "", hostnames: ($0["hostnames"]?.array ?? []).compactMap(\.string))
        }
        generation = pod.generation > 0 ? Int64(pod.generation) : nil
        status = pod["status"] ?? .null
    }

    /// `NAME_NAMESPACE(UID)`: how messages name the pod.
    public var displayName: String { "\(name)_\(namespace)(\(uid))" }

    /// Every container: init, regular and ephemeral ones.
    public var allContainers: [ContainerSpec] { initContainers + containers + ephemeralContainers }

    /// The container of that name, of whichever sort.
    public func container(named name: String) -> ContainerSpec? { allContainers.first { $0.name == name } }

    /// A host name has at most 63 bytes and does not end in a dash or dot.
    private static func hostname(from name: String) -> String {
        var bytes = Array(name.utf8.prefix(63))
        while let last = bytes.last, last == UInt8(ascii: "-") || last == UInt8(ascii: ".") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// One container of a pod (core/v1 Container).
public struct ContainerSpec: Sendable, Hashable {
    /// `imagePullPolicy`
    public enum PullPolicy: String, Sendable, Hashable {
        /// Pull at each start.
        case always = "Always"
        /// Pull when it is not there.
        case ifNotPresent = "IfNotPresent"
        /// Never pull.
        case never = "Never"
    }
    /// A mount of a volume.
    public struct Mount: Sendable, Hashable {
        /// The volume's name.
        public var volume: String
        /// `mountPath`
        public var path: String
        /// `subPath`; empty for the whole volume.
        public var subPath: String
        /// `readOnly`
        public var isReadOnly: Bool
    }
    /// A port.
    public struct Port: Sendable, Hashable {
        /// `name`; may be empty.
        public var name: String
        /// `containerPort`
        public var containerPort: Int
        /// `hostPort`; 0 for none.
        public var hostPort: Int
        /// `protocol`
        public var proto: String
    }

    /// `name`
    public var name: String
    /// `image`
    public var image: String
    /// `imagePullPolicy`, or what follows from the image's tag.
    public var pullPolicy: PullPolicy
    /// `command`
    public var command: [String]
    /// `args`
    public var arguments: [String]
    /// `workingDir`
    public var workingDirectory: String
    /// `env`
    public var environment: [EnvironmentSpec]
    /// `envFrom`
    public var environmentSources: [EnvironmentSource]
    /// `volumeMounts`
    public var mounts: [Mount]
    /// `ports`
    public var ports: [Port]
    /// `livenessProbe`, `readinessProbe` and `startupProbe`.
    public var probes: [ProbeKind: ProbeSpec]
    /// `resources`
    public var resources: ResourceNeeds
    /// Which of `cpu` and `memory` change only with a new start (`resizePolicy`).
    public var restartsToResize: Set<String>
    /// Whether an init container keeps running beside the others (`restartPolicy: Always`).
    public var isSidecar: Bool
    /// `securityContext`, filled up from the pod's.
    public var security: SecuritySpec
    /// `stdin`
    public var stdin: Bool
    /// `stdinOnce`
    public var stdinOnce: Bool
    /// `tty`
    public var tty: Bool
    /// `targetContainerName` of an ephemeral container: whose processes it sees; empty for its own.
    public var target: String

    init(_ json: JSON, podSecurityContext: JSON) {
        name = json["name"]?.string ?? ""
        image = json["image"]?.string ?? ""
        pullPolicy =
            PullPolicy(rawValue: json["imagePullPolicy"]?.string ?? "")
            ?? (ImageReference.isLatest(image) ? .always : .ifNotPresent)
        command = (json["command"]?.array ?? []).compactMap(\.string)
        arguments = (json["args"]?.array ?? []).compactMap(\.string)
        workingDirectory = json["workingDir"]?.string ?? ""
        environment = (json["env"]?.array ?? []).map { EnvironmentSpec($0) }
        environmentSources = (json["envFrom"]?.array ?? []).compactMap { EnvironmentSource($0) }
        mounts = (json["volumeMounts"]?.array ?? []).map {
            Mount(
                volume: $0["name"]?.string ?? "", path: $0["mountPath"]?.string ?? "",
                subPath: $0["subPath"]?.string ?? "", isReadOnly: $0["readOnly"]?.bool ?? false)
        }
        ports = (json["ports"]?.array ?? []).map {
            Port(
                name: $0["name"]?.string ?? "", containerPort: $0["containerPort"]?.int ?? 0,
                hostPort: $0["hostPort"]?.int ?? 0, proto: $0["protocol"]?.string ?? "TCP")
        }
        probes = [:]
        for kind in ProbeKind.allCases {
            guard let probe = json[kind.field] else { continue }
            probes[kind] = ProbeSpec(probe, ports: ports)
        }
        resources = ResourceNeeds(json["resources"] ?? .null)
        restartsToResize = Set(
            (json["resizePolicy"]?.array ?? []).compactMap {
                $0["restartPolicy"]?.string == "RestartContainer" ? $0["resourceName"]?.string : nil
            })
        isSidecar = json["restartPolicy"]?.string == "Always"
        security = SecuritySpec(json["securityContext"] ?? .null, pod: podSecurityContext)
        stdin = json["stdin"]?.bool ?? false
        stdinOnce = json["stdinOnce"]?.bool ?? false
        tty = json["tty"]?.bool ?? false
        target = json["targetContainerName"]?.string ?? ""
    }

    /// Changes when a running container no longer is what the spec says (only the image may change in place).
    public var fingerprint: String {
        // FNV-1a, 64 bits: a name for equality, not a secret.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in image.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}

/// The parts of a container's security context that are applied.
public struct SecuritySpec: Sendable, Hashable {
    /// `privileged`
    public var isPrivileged: Bool
    /// `runAsUser`
    public var runAsUser: Int64?
    /// `runAsNonRoot`
    public var runAsNonRoot: Bool
    /// `runAsGroup`
    public var runAsGroup: Int64?
    /// `readOnlyRootFilesystem`
    public var readOnlyRoot: Bool
    /// `capabilities.add`
    public var addedCapabilities: [String]
    /// `capabilities.drop`
    public var droppedCapabilities: [String]

    init(_ json: JSON, pod: JSON) {
        isPrivileged = json["privileged"]?.bool ?? false
        runAsUser = (json["runAsUser"] ?? pod["runAsUser"])?.int.map { Int64($0) }
        runAsNonRoot = (json["runAsNonRoot"] ?? pod["runAsNonRoot"])?.bool ?? false
        runAsGroup = (json["runAsGroup"] ?? pod["runAsGroup"])?.int.map { Int64($0) }
        readOnlyRoot = json["readOnlyRootFilesystem"]?.bool ?? false
        addedCapabilities = (json["capabilities", "add"]?.array ?? []).compactMap(\.string)
        droppedCapabilities = (json["capabilities", "drop"]?.array ?? []).compactMap(\.string)
    }
}
