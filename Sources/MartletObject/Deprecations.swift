/// What whoever uses something is warned of because there is something better, or because it does nothing.
extension ResourceKind {
    /// The warning with every answer about this kind; nil for all but deprecated ones.
    public var deprecationWarning: String? {
        if self == .endpoints { return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" }
        guard let custom, custom.deprecation.isDeprecated else { return nil }
        let advice = custom.successor.map { "; use \(group)/\($0) \(kind)" } ?? ""
        return custom.deprecation.warning ?? "\(apiVersion) \(kind) is deprecated\(advice)"
    }

    /// The warning with the answer to a create that no controller of ours acts on; nil for all other kinds.
    public var creationWarning: String? {
        guard custom == nil, let lack = Self.unattended["\(group)/\(kind)"] else { return nil }
        return "no controller of Martlet acts on \(kind) objects: \(lack)"
    }

    /// What an object lacks that other clusters would see to.
    private static let unattended = [
        "apps/DaemonSet": "it gets no pods", "apps/StatefulSet": "it gets no pods",
        "autoscaling/HorizontalPodAutoscaler": "it scales nothing", "batch/CronJob": "it gets no Jobs",
        "batch/Job": "it gets no pods", "/PersistentVolumeClaim": "it is bound to no volume",
        "/ReplicationController": "it gets no pods",
    ]
}

/// What in an object its writer is warned of, in upstream's words.
public enum FieldWarnings {
    /// The warnings of a new object, or one whose spec has changed.
    public static func of(_ object: JSON, kind: ResourceKind) -> [String] {
        switch kind {
        case .pod: pod(object, at: "")
        case .podTemplate: pod(object["template"] ?? [:], at: "template.")
        case .deployment, .replicaSet, .statefulSet, .daemonSet, .job, .replicationController:
            pod(object["spec", "template"] ?? [:], at: "spec.template.")
        case .cronJob:
            pod(object["spec", "jobTemplate", "spec", "template"] ?? [:], at: "spec.jobTemplate.spec.template.")
        case .ingress: ingress(object)
        case .service: service(object)
        case .persistentVolume: volume(object)
        default: []
        }
    }

    // MARK: Pods

    private static let oldLabels: [(name: String, since: String, use: String)] = [
        ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
        ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
        ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
        ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
        ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
    ]
    private static let oldVolumes: [(name: String, text: String)] = [
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ]
    private static let deadAnnotations: [(name: String, text: String)] = [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead"
        ),
        (
            "seccomp.security.alpha.kubernetes.io/pod",
            "non-functional in v1.27+; use the \"seccompProfile\" field instead"
        ),
    ]

    private static func pod(_ pod: JSON, at path: String) -> [String] {
        let spec = pod["spec"] ?? [:]
        var warnings: [String] = []
        if let selector = spec["nodeSelector"] {
            for label in oldLabels where selector[label.name] != nil {
                warnings.append(
                    "\(path)spec.nodeSelector[\(label.name)]: deprecated since \(label.since); "
                        + "use \"\(label.use)\" instead")
            }
        }
        if let annotations = pod["metadata", "annotations"] {
            for annotation in deadAnnotations where annotations[annotation.name] != nil {
                warnings.append("\(path)metadata.annotations[\(annotation.name)]: \(annotation.text)")
            }
        }
        for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
            for old in oldVolumes where volume[old.name] != nil {
                warnings.append("\(path)spec.volumes[\(index)].\(old.name): \(old.text)")
            }
        }
        for (index, secret) in (spec["imagePullSecrets"]?.array ?? []).enumerated()
        where (secret["name"]?.string ?? "").isEmpty {
            warnings.append(
                "\(path)spec.imagePullSecrets[\(index)].name: invalid empty name \"\"")
        }
        for list in ["initContainers", "containers"] {
            for (index, container) in (spec[list]?.array ?? []).enumerated() {
                warnings += self.container(container, at: "\(path)spec.\(list)[\(index)]")
            }
        }
        if let grace = spec["terminationGracePeriodSeconds"]?.int, grace < 0 {
            warnings.append(
                "\(path)spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                    + "treated as 1")
        }
        return warnings
    }

    private static func container(_ container: JSON, at path: @autoclosure () -> String) -> [String] {
        var warnings: [String] = []
        for list in ["limits", "requests"] {
            guard let memory = container["resources", list, "memory"], let quantity = Quantity(memory),
                quantity.milli % 1000 != 0
            else { continue }
            warnings.append(
                "\(path()).resources.\(list)[memory]: fractional byte value \"\(memory.string ?? "")\" is invalid, "
                    + "must be an integer")
        }
        var names: Set<String> = []
        for (index, variable) in (container["env"]?.array ?? []).enumerated() {
            guard let name = variable["name"]?.string, !names.insert(name).inserted else { continue }
            warnings.append(
                "\(path()).env[\(index)]: hides previous definition of \"\(name)\", which may be dropped when "
                    + "using apply"
            )
        }
        var ports: [String: Int] = [:]
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            let key = "\(port["containerPort"]?.int ?? 0)/\(port["protocol"]?.string ?? "TCP")"
            guard let first = ports.updateValue(ports[key] ?? index, forKey: key) else { continue }
            warnings.append("\(path()).ports[\(index)]: duplicate port definition with \(path()).ports[\(first)]")
        }
        return warnings
    }

    // MARK: Others

    private static func ingress(_ ingress: JSON) -> [String] {
        guard ingress.annotations["kubernetes.io/ingress.class"] != nil else { return [] }
        return [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    }

    private static func service(_ service: JSON) -> [String] {
        let spec = service["spec"] ?? [:]
        var warnings: [String] = []
        if spec["clusterIP"] == "None", spec["type"] == "ClusterIP" {
            for field in ["loadBalancerIP", "externalIPs"] {
                let value = spec[field] ?? .null
                if value == .null || value == "" || value.array?.isEmpty == true { continue }
                warnings.append("spec.\(field) is ignored when spec.clusterIP is \"None\"")
            }
            if spec["sessionAffinity"] == "ClientIP" {
                warnings.append("spec.SessionAffinity is ignored for headless services")
            }
        }
        if spec["type"] != "ExternalName", !(spec["externalName"]?.string ?? "").isEmpty {
            warnings.append("spec.externalName is ignored when spec.type is not \"ExternalName\"")
        }
        return warnings
    }

    private static func volume(_ volume: JSON) -> [String] {
        var warnings: [String] = []
        let old = "volume.beta.kubernetes.io/storage-class"
        if volume.annotations[old] != nil {
            warnings.append(
                "metadata.annotations[\(old)]: deprecated since v1.8; use \"storageClassName\" attribute instead")
        }
        if volume["spec", "persistentVolumeReclaimPolicy"] == "Recycle" {
            warnings.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
                    + "recommended approach is to use dynamic provisioning.")
        }
        return warnings
    }
}
