internal import MartletBase
internal import OrderedCollections

/// Kubernetes' defaults.
public enum Defaults {
    /// Fills in what the object leaves out, as upstream's defaulting does for this kind. Members stay in the order of
    /// the tables. Filling in twice changes nothing more.
    public static func apply(to object: inout JSON, kind: ResourceKind) {
        if let custom = kind.custom { return custom.schema.fillDefaults(of: &object) }
        let tables = SchemaTables.all
        guard let place = tables.place(of: kind.kind, in: kind.apiVersion) else { return }
        fill(&object, type: tables.types[place], tables: tables)
    }

    private static func fill(_ value: inout JSON, type: SchemaType, tables: SchemaTables) {
        guard case .object(var members) = value else { return }
        value = .null  // so that `members` is changed in place
        for field in type.fields {
            guard let standard = field.defaultValue else { continue }
            if members[field.name] == nil || (standard.replacesZero && isZero(members[field.name])) {
                members[field.name] = standard.value
            }
        }
        if let special = ConditionalDefaults.byType[type.name] {
            var whole = JSON.object(members)
            members = [:]
            special(&whole)
            members = whole.object ?? [:]
        }
        for index in members.elements.indices {
            guard let field = type.field(members.elements[index].key) else { continue }
            fill(&members.values[index], field: field.type, tables: tables)
        }
        sortByTable(&members, type)
        value = .object(members)
    }

    private static func fill(_ value: inout JSON, field: FieldType, tables: SchemaTables) {
        switch tables.resolved(field) {
        case .named(let place): fill(&value, type: tables.types[place], tables: tables)
        case .list(let element):
            guard case .array(var elements) = value, tables.structure(element) != nil else { return }
            value = .null
            for index in elements.indices { fill(&elements[index], field: element, tables: tables) }
            value = .array(elements)
        default: return
        }
    }

    private static func isZero(_ value: JSON?) -> Bool { value == "" || value == 0 }

    private static func sortByTable(_ members: inout OrderedDictionary<String, JSON>, _ type: SchemaType) {
        var last = -1
        for name in members.keys {
            let place = type.places[name] ?? .max
            if place < last {
                members.sort { type.places[$0.key] ?? .max < type.places[$1.key] ?? .max }
                return
            }
            last = place
        }
    }
}

/// Defaults that look at other fields.
private enum ConditionalDefaults {
    static let byType: [String: @Sendable (inout JSON) -> Void] = [
        "Container": imagePullPolicy, "EphemeralContainer": imagePullPolicy, "Volume": emptyDirectory,
        "PodSpec": serviceAccount, "Pod": pod, "DeploymentStrategy": rollingUpdate, "ServiceSpec": service,
        "LoadBalancerIngress": loadBalancerMode, "Secret": foldText, "Namespace": namespace,
    ]

    private static func isEmpty(_ value: JSON?) -> Bool { value == nil || value == "" }

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
        guard var spec = pod["spec"], spec.object != nil else { return }
        if spec["enableServiceLinks"] == nil { spec["enableServiceLinks"] = true }
        let usesHostNetwork = spec["hostNetwork"]?.bool == true
        for list in ["initContainers", "containers"] {
            guard case .array(var containers) = spec[list] else { continue }
            for index in containers.indices {
                requestLimits(&containers[index])
                if usesHostNetwork { openHostPorts(&containers[index]) }
            }
            spec[list] = .array(containers)
        }
        pod["spec"] = spec
        if isEmpty(pod["status", "phase"]) { pod["status", "phase"] = "Pending" }
        if isEmpty(pod["status", "qosClass"]) { pod["status", "qosClass"] = .string(QualityOfService.of(spec)) }
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
        if spec["ipFamilies"] == nil {
            let isIPv6 = Names.isIPv6(spec["clusterIP"]?.string ?? "")
            spec["ipFamilies"] = [.string(isIPv6 ? "IPv6" : "IPv4")]
        }
        if isEmpty(spec["ipFamilyPolicy"]) { spec["ipFamilyPolicy"] = "SingleStack" }
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

/// The name of a container image: `registry:5000/path:tag@digest`.
enum ImageName {
    /// Whether the image has the tag `latest`, or neither tag nor digest.
    static func isLatest(_ image: String) -> Bool {
        if image.contains("@") { return false }
        let last = image.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }
}

/// A pod's class by its requests and limits (`status.qosClass`).
public enum QualityOfService {
    /// `Guaranteed` when each container limits CPU and memory to what it requests, `BestEffort` when none asks for
    /// either, else `Burstable`.
    public static func of(_ spec: JSON) -> String {
        let containers = (spec["initContainers"]?.array ?? []) + (spec["containers"]?.array ?? [])
        var asks = false
        var isGuaranteed = true
        for container in containers {
            for resource in ["cpu", "memory"] {
                let request = Quantity(container["resources", "requests", resource])?.milli ?? 0
                let limit = Quantity(container["resources", "limits", resource])?.milli ?? 0
                asks = asks || request > 0 || limit > 0
                isGuaranteed = isGuaranteed && limit > 0 && (request == limit || request == 0)
            }
        }
        return asks ? (isGuaranteed ? "Guaranteed" : "Burstable") : "BestEffort"
    }
}
