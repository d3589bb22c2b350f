/// How a subresource is served: what discovery says of it, and which verbs it has.
public struct Subresource: Sendable, Hashable {
    /// `status`, `scale`, ...
    public var name: String
    /// The group of its bodies' kind; nil: that of the resource.
    public var group: String?
    /// The version of its bodies' kind; nil: that of the resource.
    public var version: String?
    /// The kind of its bodies; nil: that of the resource.
    public var kind: String?
    /// Whether its kind is named after the resource, with these words behind: `PodProxyOptions`.
    public var kindSuffix: String?
    /// The verbs that it has.
    public var verbs: [String]

    /// The kind of its bodies where `resource` has it.
    public func kind(of resource: ResourceKind) -> String {
        kind ?? resource.kind + (kindSuffix ?? "")
    }

    /// Those whose connections become streams, or whose bodies are not ours.
    public static let connecting: Set<String> = ["exec", "attach", "portforward", "proxy"]

    /// Those that are a part of the object: read as the object, written as a part of it.
    public static let parts: Set<String> = ["status", "approval", "ephemeralcontainers", "resize"]

    /// All that are served, by name. Which resource has which is in its row of the kinds' table.
    public static let table: [String: Subresource] = Dictionary(
        uniqueKeysWithValues: [
            Subresource(name: "status", verbs: ["get", "patch", "update"]),
            Subresource(
                name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: ["get", "patch", "update"]),
            Subresource(name: "approval", verbs: ["get", "patch", "update"]),
            Subresource(name: "ephemeralcontainers", verbs: ["get", "patch", "update"]),
            Subresource(name: "resize", verbs: ["get", "patch", "update"]),
            Subresource(name: "log", verbs: ["get"]),
            Subresource(name: "binding", group: "", version: "v1", kind: "Binding", verbs: ["create"]),
            Subresource(name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: ["create"]),
            Subresource(name: "finalize", verbs: ["update"]),
            Subresource(
                name: "token", group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", verbs: ["create"]),
            Subresource(name: "exec", kind: "PodExecOptions", verbs: ["create", "get"]),
            Subresource(name: "attach", kind: "PodAttachOptions", verbs: ["create", "get"]),
            Subresource(name: "portforward", kind: "PodPortForwardOptions", verbs: ["create", "get"]),
            Subresource(
                name: "proxy", kindSuffix: "ProxyOptions", verbs: ["create", "delete", "get", "patch", "update"]),
        ].map { ($0.name, $0) })
}
