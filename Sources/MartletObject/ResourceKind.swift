/// A kind that the API serves: one row of the schema tables, and all that the code knows of it. A new kind is a new
/// row, never a new `if`.
public struct ResourceKind: Sendable, Hashable {
    /// API group; empty for the core group.
    public var group: String
    /// API version, as `v1`.
    public var version: String
    /// Kind, as `Deployment`.
    public var kind: String
    /// Plural resource name, as in URLs: `deployments`.
    public var plural: String
    /// Singular name: `deployment`.
    public var singular: String
    /// Short names: `deploy`.
    public var shortNames: [String]
    /// Categories: `all`.
    public var categories: [String]
    /// Whether objects live in a namespace.
    public var isNamespaced: Bool
    /// Subresources served: `status`, `scale`, `log`, ...
    public var subresources: [String]

    /// A kind by all its names.
    public init(
        group: String, version: String, kind: String, plural: String, singular: String, shortNames: [String] = [],
        categories: [String] = [], isNamespaced: Bool, subresources: [String] = []
    ) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.singular = singular
        self.shortNames = shortNames
        self.categories = categories
        self.isNamespaced = isNamespaced
        self.subresources = subresources
    }

    /// `v1`, or `apps/v1`: the `apiVersion` of its objects.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    /// `deployments`, or `deployments.apps`: how messages name it.
    public var qualifiedPlural: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// The URL path of a collection or object: `/apis/apps/v1/namespaces/NS/deployments/NAME`.
    /// A nil `namespace` of a namespaced kind means all namespaces.
    public func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace { path += "/namespaces/\(namespace)" }
        path += "/\(plural)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

extension ResourceKind {
    /// `namespaces`
    public static let namespace = ResourceKind(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", singular: "namespace", shortNames: ["ns"],
        isNamespaced: false, subresources: ["status", "finalize"])
    /// `nodes`
    public static let node = ResourceKind(
        group: "", version: "v1", kind: "Node", plural: "nodes", singular: "node", shortNames: ["no"],
        isNamespaced: false, subresources: ["status"])
    /// `pods`
    public static let pod = ResourceKind(
        group: "", version: "v1", kind: "Pod", plural: "pods", singular: "pod", shortNames: ["po"],
        categories: ["all"], isNamespaced: true, subresources: ["status", "log", "binding", "eviction"])
    /// `services`
    public static let service = ResourceKind(
        group: "", version: "v1", kind: "Service", plural: "services", singular: "service", shortNames: ["svc"],
        categories: ["all"], isNamespaced: true, subresources: ["status"])
    /// `secrets`
    public static let secret = ResourceKind(
        group: "", version: "v1", kind: "Secret", plural: "secrets", singular: "secret", isNamespaced: true)
    /// `configmaps`
    public static let configMap = ResourceKind(
        group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", singular: "configmap", shortNames: ["cm"],
        isNamespaced: true)
    /// `events` of the core group
    public static let event = ResourceKind(
        group: "", version: "v1", kind: "Event", plural: "events", singular: "event", shortNames: ["ev"],
        isNamespaced: true)
    /// `serviceaccounts`
    public static let serviceAccount = ResourceKind(
        group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts", singular: "serviceaccount",
        shortNames: ["sa"], isNamespaced: true)
    /// `deployments.apps`
    public static let deployment = ResourceKind(
        group: "apps", version: "v1", kind: "Deployment", plural: "deployments", singular: "deployment",
        shortNames: ["deploy"], categories: ["all"], isNamespaced: true, subresources: ["status", "scale"])
    /// `replicasets.apps`
    public static let replicaSet = ResourceKind(
        group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets", singular: "replicaset",
        shortNames: ["rs"], categories: ["all"], isNamespaced: true, subresources: ["status", "scale"])
    /// `endpointslices.discovery.k8s.io`
    public static let endpointSlice = ResourceKind(
        group: "discovery.k8s.io", version: "v1", kind: "EndpointSlice", plural: "endpointslices",
        singular: "endpointslice", isNamespaced: true)
    /// `ingresses.networking.k8s.io`
    public static let ingress = ResourceKind(
        group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses", singular: "ingress",
        shortNames: ["ing"], isNamespaced: true, subresources: ["status"])
    /// `ingressclasses.networking.k8s.io`
    public static let ingressClass = ResourceKind(
        group: "networking.k8s.io", version: "v1", kind: "IngressClass", plural: "ingressclasses",
        singular: "ingressclass", isNamespaced: false)
    /// `leases.coordination.k8s.io`
    public static let lease = ResourceKind(
        group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", singular: "lease",
        isNamespaced: true)

    /// Every kind that is served, in the order of discovery.
    public static let all: [ResourceKind] = [
        .namespace, .node, .pod, .service, .secret, .configMap, .event, .serviceAccount, .deployment, .replicaSet,
        .endpointSlice, .ingress, .ingressClass, .lease,
    ]
}
