/// The rows of the groups that have names, but for the Gateway API's.
extension ResourceKind {
    /// `deployments.apps`
    public static let deployment = ResourceKind(
        "apps", "v1", "Deployment", "deployments", short: ["deploy"], in: ["all"], ["status", "scale"])
    /// `replicasets.apps`
    public static let replicaSet = ResourceKind(
        "apps", "v1", "ReplicaSet", "replicasets", short: ["rs"], in: ["all"], ["status", "scale"])
    /// `statefulsets.apps`
    public static let statefulSet = ResourceKind(
        "apps", "v1", "StatefulSet", "statefulsets", short: ["sts"], in: ["all"], ["status", "scale"])
    /// `daemonsets.apps`
    public static let daemonSet = ResourceKind(
        "apps", "v1", "DaemonSet", "daemonsets", short: ["ds"], in: ["all"], ["status"])
    /// `controllerrevisions.apps`
    public static let controllerRevision = ResourceKind("apps", "v1", "ControllerRevision", "controllerrevisions")
    /// `jobs.batch`
    public static let job = ResourceKind("batch", "v1", "Job", "jobs", in: ["all"], ["status"])
    /// `cronjobs.batch`
    public static let cronJob = ResourceKind(
        "batch", "v1", "CronJob", "cronjobs", short: ["cj"], in: ["all"], ["status"])

    /// `endpointslices.discovery.k8s.io`
    public static let endpointSlice = ResourceKind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
    /// `ingresses.networking.k8s.io`
    public static let ingress = ResourceKind(
        "networking.k8s.io", "v1", "Ingress", "ingresses", short: ["ing"], ["status"])
    /// `ingressclasses.networking.k8s.io`
    public static let ingressClass = ResourceKind(
        "networking.k8s.io", "v1", "IngressClass", "ingressclasses", isNamespaced: false)
    /// `networkpolicies.networking.k8s.io`
    public static let networkPolicy = ResourceKind(
        "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", short: ["netpol"])
    /// `ipaddresses.networking.k8s.io`
    public static let ipAddress = ResourceKind(
        "networking.k8s.io", "v1", "IPAddress", "ipaddresses", short: ["ip"], isNamespaced: false)
    /// `servicecidrs.networking.k8s.io`
    public static let serviceCIDR = ResourceKind(
        "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", isNamespaced: false, ["status"])

    /// `leases.coordination.k8s.io`
    public static let lease = ResourceKind("coordination.k8s.io", "v1", "Lease", "leases")
    /// `events.events.k8s.io`: the same objects as ``event``, with other names for their fields.
    public static let groupedEvent = ResourceKind(
        "events.k8s.io", "v1", "Event", "events", short: ["ev"],
        stored: StoredForm(group: "", version: "v1", conversion: .event))

    /// `horizontalpodautoscalers.autoscaling`, as they are stored
    public static let podAutoscaler = ResourceKind(
        "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short: ["hpa"], in: ["all"],
        ["status"])
    /// `horizontalpodautoscalers.autoscaling`, which know of CPU only
    public static let podAutoscalerV1 = ResourceKind(
        "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", short: ["hpa"], in: ["all"],
        ["status"], stored: StoredForm(group: "autoscaling", version: "v2", conversion: .podAutoscaler))
    /// What the `scale` subresources speak of. It is at no place of its own.
    public static let scale = ResourceKind("autoscaling", "v1", "Scale", "scales", verbs: [])
    /// `poddisruptionbudgets.policy`
    public static let disruptionBudget = ResourceKind(
        "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short: ["pdb"], ["status"])

    private static let rbacGroup = "rbac.authorization.k8s.io"
    /// `roles.rbac.authorization.k8s.io`
    public static let role = ResourceKind(rbacGroup, "v1", "Role", "roles")
    /// `rolebindings.rbac.authorization.k8s.io`
    public static let roleBinding = ResourceKind(rbacGroup, "v1", "RoleBinding", "rolebindings")
    /// `clusterroles.rbac.authorization.k8s.io`
    public static let clusterRole = ResourceKind(
        rbacGroup, "v1", "ClusterRole", "clusterroles", isNamespaced: false)
    /// `clusterrolebindings.rbac.authorization.k8s.io`
    public static let clusterRoleBinding = ResourceKind(
        rbacGroup, "v1", "ClusterRoleBinding", "clusterrolebindings", isNamespaced: false)

    /// `priorityclasses.scheduling.k8s.io`
    public static let priorityClass = ResourceKind(
        "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", short: ["pc"], isNamespaced: false)
    /// `runtimeclasses.node.k8s.io`
    public static let runtimeClass = ResourceKind(
        "node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", isNamespaced: false)
    /// `certificatesigningrequests.certificates.k8s.io`
    public static let certificateSigningRequest = ResourceKind(
        "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", short: ["csr"],
        isNamespaced: false, ["status", "approval"])

    private static let storageGroup = "storage.k8s.io"
    /// `storageclasses.storage.k8s.io`
    public static let storageClass = ResourceKind(
        storageGroup, "v1", "StorageClass", "storageclasses", short: ["sc"], isNamespaced: false)
    /// `volumeattachments.storage.k8s.io`
    public static let volumeAttachment = ResourceKind(
        storageGroup, "v1", "VolumeAttachment", "volumeattachments", isNamespaced: false, ["status"])
    /// `csidrivers.storage.k8s.io`
    public static let csiDriver = ResourceKind(storageGroup, "v1", "CSIDriver", "csidrivers", isNamespaced: false)
    /// `csinodes.storage.k8s.io`
    public static let csiNode = ResourceKind(storageGroup, "v1", "CSINode", "csinodes", isNamespaced: false)
    /// `csistoragecapacities.storage.k8s.io`
    public static let csiStorageCapacity = ResourceKind(
        storageGroup, "v1", "CSIStorageCapacity", "csistoragecapacities")
    /// `volumeattributesclasses.storage.k8s.io`
    public static let volumeAttributesClass = ResourceKind(
        storageGroup, "v1", "VolumeAttributesClass", "volumeattributesclasses", short: ["vac"], isNamespaced: false)

    /// `customresourcedefinitions.apiextensions.k8s.io`
    public static let customResourceDefinition = ResourceKind(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", short: ["crd", "crds"],
        in: ["api-extensions"], isNamespaced: false, ["status"])

    static let groups: [ResourceKind] = [
        .deployment, .replicaSet, .statefulSet, .daemonSet, .controllerRevision, .job, .cronJob, .endpointSlice,
        .ingress, .ingressClass, .networkPolicy, .ipAddress, .serviceCIDR, .lease, .groupedEvent, .podAutoscaler,
        .podAutoscalerV1, .disruptionBudget, .role, .roleBinding, .clusterRole, .clusterRoleBinding, .priorityClass,
        .runtimeClass, .certificateSigningRequest, .storageClass, .volumeAttachment, .csiDriver, .csiNode,
        .csiStorageCapacity, .volumeAttributesClass, .customResourceDefinition,
    ]
}
