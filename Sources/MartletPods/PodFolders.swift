/// Whose folders a node keeps: a pod, by what names it on disk. The names come from the API or from a container
/// runtime, so each becomes one harmless component of a path.
public struct PodFolders: Sendable, Hashable {
    /// The folder of its volumes and hosts file, below the node's folder of pods.
    public var volumes: String
    /// The folder of its logs, below the node's folder of logs; named as kubelet does.
    public var logs: String

    /// The folders of a pod.
    public init(namespace: String, name: String, uid: String) {
        volumes = Self.component(uid)
        logs = "\(Self.component(namespace))_\(Self.component(name))_\(Self.component(uid))"
    }

    /// The folders of a pod.
    public init(_ spec: PodSpec) { self.init(namespace: spec.namespace, name: spec.name, uid: spec.uid) }

    /// A name as one component of a path.
    public static func component(_ name: String) -> String {
        if name.isEmpty || name == "." || name == ".." { return "_" }
        return String(name.map { $0 == "/" || $0 == "\0" ? "_" : $0 })
    }
}

/// The folders that are on a node's disk, as listed.
public struct FolderListing: Sendable, Hashable {
    /// Those of volumes.
    public var volumes: [String]
    /// Those of logs.
    public var logs: [String]

    /// A listing.
    public init(volumes: [String] = [], logs: [String] = []) {
        self.volumes = volumes
        self.logs = logs
    }

    /// Whether nothing is in it.
    public var isEmpty: Bool { volumes.isEmpty && logs.isEmpty }

    /// What of it belongs to none of these pods.
    public func orphans(besides owners: some Sequence<PodFolders>) -> FolderListing {
        var keptVolumes: Set<String> = []
        var keptLogs: Set<String> = []
        for owner in owners {
            keptVolumes.insert(owner.volumes)
            keptLogs.insert(owner.logs)
        }
        return FolderListing(
            volumes: volumes.filter { !keptVolumes.contains($0) }, logs: logs.filter { !keptLogs.contains($0) })
    }
}
