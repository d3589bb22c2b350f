/// Short ways to the fields that every object has (`metadata`, Kubernetes' ObjectMeta).
extension JSON {
    /// `apiVersion`
    public var apiVersion: String { self["apiVersion"]?.string ?? "" }
    /// `kind`
    public var kind: String { self["kind"]?.string ?? "" }
    /// `metadata.name`
    public var name: String { self["metadata", "name"]?.string ?? "" }
    /// `metadata.namespace`; empty for cluster-wide objects.
    public var namespace: String { self["metadata", "namespace"]?.string ?? "" }
    /// `metadata.uid`
    public var uid: String { self["metadata", "uid"]?.string ?? "" }
    /// `metadata.resourceVersion`
    public var resourceVersion: String { self["metadata", "resourceVersion"]?.string ?? "" }
    /// `metadata.generation`, 0 when absent.
    public var generation: Int { self["metadata", "generation"]?.int ?? 0 }
    /// `metadata.labels`
    public var labels: [String: String] { self["metadata", "labels"]?.stringMap ?? [:] }
    /// `metadata.annotations`
    public var annotations: [String: String] { self["metadata", "annotations"]?.stringMap ?? [:] }
    /// Whether `metadata.deletionTimestamp` is set.
    public var isTerminating: Bool { self["metadata", "deletionTimestamp"] != nil }
    /// The owner reference whose `controller` is true.
    public var controllerReference: JSON? {
        self["metadata", "ownerReferences"]?.array?.first { $0["controller"]?.bool == true }
    }
}

/// Where an object is: unique in the cluster at one time.
public struct ObjectKey: Sendable, Hashable {
    /// Its kind.
    public var kind: ResourceKind
    /// Its namespace; empty for cluster-wide kinds.
    public var namespace: String
    /// Its name.
    public var name: String

    /// A key from its parts.
    public init(_ kind: ResourceKind, namespace: String, name: String) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }
}
