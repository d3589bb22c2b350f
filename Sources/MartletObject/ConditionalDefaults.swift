internal import MartletBase

/// Defaults that look at other fields.
enum ConditionalDefaults {
    /// By the place of the type in the tables.
    static let byPlace: [Int: @Sendable (inout JSON) -> Void] = {
        let tables = SchemaTables.all
        let byName = [own, WorkloadDefaults.byType, PolicyDefaults.byType].reduce(into: [:]) { all, more in
            all.merge(more) { $1 }
        }
        var places: [Int: @Sendable (inout JSON) -> Void] = [:]
        for (place, type) in tables.types.enumerated() {
            places[place] = byName["\(type.groupVersion) \(type.name)"] ?? byName[type.name]
        }
        return places
    }()

    /// By the type's name, with its group and version before it when other groups have types of that name.
    private static let own: [String: @Sendable (inout JSON) -> Void] = [
        "Container": imagePullPolicy, "EphemeralContainer": imagePullPolicy, "Volume": emptyDirectory,
        "PodSpec": serviceAccount, "v1 Pod": pod, "DeploymentStrategy": rollingUpdate, "ServiceSpec": service,
        "LoadBalancerIngress": loadBalancerMode, "Secret": foldText, "Namespace": namespace,
        "CustomResourceDefinition": customDefinition,
    ]

    static func isEmpty(_ value: JSON?) -> Bool { value == nil || value == "" }

    @Sendable private static func imagePullPolicy(_ container: inout JSON) {
        guard isEmpty(container["imagePullPolicy"]) else { return }
        let image = container["image"]?.string ?? ""
        container["imagePullPolicy"] = .string(ImageName.isLatest(image) ? "Always" : "IfNotPresent")
    }

    @Sendable private static func emptyDirectory(_ volume: inout JSON) {
        if volume.object?.keys.allSatisfy({ $0 == "name" }) == true { volume["emptyDir"] = [:] }
    }

    /// `serviceAccount` is the old name of `serviceAccountName`; both are served.
    @Sendable private static func serviceAccount(_ spec: inout JSON) {
        if let name = spec["serviceAccountName"], !isEmpty(name) {
            spec["serviceAccount"] = name
        } else if let name = spec["serviceAccount"], !isEmpty(name) {
            spec["serviceAccountName"] = name
        }
    }

    /// What holds for pods, and not for the templates of pods.
    @Sendable private static func pod(_ pod: inout JSON) {
        guard pod["spec"]?.object != nil else { return }
        if pod["spec", "enableServiceLinks"] == nil { pod["spec", "enableServiceLinks"] = true }
        let usesHostNetwork = pod["spec", "hostNetwork"]?.bool == true
        for list in ["initContainers", "containers"] {
            pod.changeEach(at: ["spec", list]) { container in
                requestLimits(&container)
                if usesHostNetwork { openHostPorts(&container) }
            }
        }
        if isEmpty(pod["status", "phase"]) { pod["status", "phase"] = "Pending" }
        if isEmpty(pod["status", "qosClass"]) {
            pod["status", "qosClass"] = .string(QualityOfService.of(pod["spec"] ?? [:]))
        }
    }

    /// A limit without a request is requested too.
    private static func requestLimits(_ container: inout JSON) {
        for (name, limit) in container["resources", "limits"]?.object ?? [:]
        where container["resources", "requests", name] == nil {
            container["resources", "requests", name] = limit
        }
    }

    private static func openHostPorts(_ container: inout JSON) {
        guard case .array(var ports) = container["ports"] else { return }
        for index in ports.indices where (ports[index]["hostPort"]?.int ?? 0) == 0 {
            ports[index]["hostPort"] = ports[index]["containerPort"]
        }
        container["ports"] = .array(ports)
    }

    @Sendable private static func rollingUpdate(_ strategy: inout JSON) {
        guard strategy["type"] == "RollingUpdate" else { return }
        for name in ["maxUnavailable", "maxSurge"] where strategy["rollingUpdate", name] == nil {
            strategy["rollingUpdate", name] = "25%"
        }
    }

    @Sendable private static func service(_ spec: inout JSON) {
        let type = spec["type"]?.string ?? ""
        if spec["sessionAffinity"] == "None" { spec["sessionAffinityConfig"] = nil }
        if spec["sessionAffinity"] == "ClientIP", spec["sessionAffinityConfig", "clientIP", "timeoutSeconds"] == nil {
            spec["sessionAffinityConfig", "clientIP", "timeoutSeconds"] = 10_800
        }
        if case .array(var ports) = spec["ports"] {
            for index in ports.indices {
                let target = ports[index]["targetPort"]
                if target == nil || target == 0 || target == "" { ports[index]["targetPort"] = ports[index]["port"] }
            }
            spec["ports"] = .array(ports)
        }
        if type == "NodePort" || type == "LoadBalancer", isEmpty(spec["externalTrafficPolicy"]) {
            spec["externalTrafficPolicy"] = "Cluster"
        }
        if type == "LoadBalancer", spec["allocateLoadBalancerNodePorts"] == nil {
            spec["allocateLoadBalancerNodePorts"] = true
        }
        if type == "ExternalName" { return }
        if isEmpty(spec["internalTrafficPolicy"]) { spec["internalTrafficPolicy"] = "Cluster" }
    }

    @Sendable private static func loadBalancerMode(_ ingress: inout JSON) {
        if !isEmpty(ingress["ip"]), ingress["ipMode"] == nil { ingress["ipMode"] = "VIP" }
    }

    /// `stringData` is written, never read: its texts join `data`.
    @Sendable private static func foldText(_ secret: inout JSON) {
        guard let texts = secret["stringData"]?.object else { return }
        var data = secret["data"]?.object ?? [:]
        for (name, text) in texts { data[name] = .string(Base64.encode((text.string ?? "").utf8)) }
        data.sort { $0.key < $1.key }
        secret["stringData"] = nil
        if !data.isEmpty { secret["data"] = .object(data) }
    }

    @Sendable private static func customDefinition(_ definition: inout JSON) {
        CustomDefinition.fillDefaults(of: &definition)
    }

    @Sendable private static func namespace(_ namespace: inout JSON) {
        if !namespace.name.isEmpty, namespace.labels["kubernetes.io/metadata.name"] == nil {
            var labels = namespace.labels
            labels["kubernetes.io/metadata.name"] = namespace.name
            namespace["metadata", "labels"] = JSON(labels)
        }
        if isEmpty(namespace["status", "phase"]) { namespace["status", "phase"] = "Active" }
        // Once it is being deleted its finalizers only go away.
        if namespace["spec", "finalizers"] == nil, !namespace.isTerminating {
            namespace["spec", "finalizers"] = ["kubernetes"]
        }
    }
}
