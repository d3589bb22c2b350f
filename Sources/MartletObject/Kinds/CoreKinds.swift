/// The rows of the core group.
extension ResourceKind {
    /// `namespaces`
    public static let namespace = ResourceKind(
        "", "v1", "Namespace", "namespaces", short: ["ns"], isNamespaced: false, ["status", "finalize"],
        verbs: standardVerbs.filter { $0 != "deletecollection" })
    /// `nodes`
    public static let node = ResourceKind(
        "", "v1", "Node", "nodes", short: ["no"], isNamespaced: false, ["status", "proxy"])
    /// `pods`
    public static let pod = ResourceKind(
        "", "v1", "Pod", "pods", short: ["po"], in: ["all"],
        [
            "status", "log", "binding", "eviction", "exec", "attach", "portforward", "proxy", "ephemeralcontainers",
            "resize",
        ])
    /// `services`
    public static let service = ResourceKind(
        "", "v1", "Service", "services", short: ["svc"], in: ["all"], ["status", "proxy"])
    /// `secrets`
    public static let secret = ResourceKind("", "v1", "Secret", "secrets")
    /// `configmaps`
    public static let configMap = ResourceKind("", "v1", "ConfigMap", "configmaps", short: ["cm"])
    /// `events` of the core group
    public static let event = ResourceKind("", "v1", "Event", "events", short: ["ev"])
    /// `serviceaccounts`
    public static let serviceAccount = ResourceKind(
        "", "v1", "ServiceAccount", "serviceaccounts", short: ["sa"], ["token"])
    /// `endpoints`
    public static let endpoints = ResourceKind("", "v1", "Endpoints", "endpoints", short: ["ep"])
    /// `persistentvolumes`
    public static let persistentVolume = ResourceKind(
        "", "v1", "PersistentVolume", "persistentvolumes", short: ["pv"], isNamespaced: false, ["status"])
    /// `persistentvolumeclaims`
    public static let persistentVolumeClaim = ResourceKind(
        "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short: ["pvc"], ["status"])
    /// `podtemplates`
    public static let podTemplate = ResourceKind("", "v1", "PodTemplate", "podtemplates")
    /// `replicationcontrollers`
    public static let replicationController = ResourceKind(
        "", "v1", "ReplicationController", "replicationcontrollers", short: ["rc"], in: ["all"], ["status", "scale"])
    /// `limitranges`
    public static let limitRange = ResourceKind("", "v1", "LimitRange", "limitranges", short: ["limits"])
    /// `resourcequotas`
    public static let resourceQuota = ResourceKind(
        "", "v1", "ResourceQuota", "resourcequotas", short: ["quota"], ["status"])
    /// `bindings`: the old way to put a pod on a node. Nothing is stored.
    public static let binding = ResourceKind("", "v1", "Binding", "bindings", verbs: ["create"])

    static let core: [ResourceKind] = [
        .namespace, .node, .pod, .service, .secret, .configMap, .event, .serviceAccount, .endpoints,
        .persistentVolume, .persistentVolumeClaim, .podTemplate, .replicationController, .limitRange, .resourceQuota,
        .binding,
    ]
}
