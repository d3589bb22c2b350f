internal import MartletObject

/// What an object uses of the resources that quotas count.
enum QuotaUsage {
    /// By resource name: `pods`, `requests.cpu`, `count/deployments.apps`, ...
    static func of(_ object: JSON, _ kind: ResourceKind) -> [String: Quantity] {
        let one = Quantity(milli: 1000)
        var usage = ["count/\(kind.qualifiedPlural)": one]
        switch kind {
        case .pod: if isCharged(object) { usage.merge(pod(object)) { $1 } }
        case .service: usage.merge(service(object)) { $1 }
        case .persistentVolumeClaim: usage.merge(claim(object)) { $1 }
        case .configMap, .secret, .replicationController, .resourceQuota: usage[kind.plural] = one
        default: break
        }
        return usage
    }

    /// Whether a pod still uses anything: it has not ended.
    private static func isCharged(_ pod: JSON) -> Bool {
        !["Succeeded", "Failed"].contains(pod["status", "phase"]?.string ?? "")
    }

    private static func pod(_ pod: JSON) -> [String: Quantity] {
        var usage = ["pods": Quantity(milli: 1000)]
        for (name, value) in PodTotals(pod, "requests").values {
            usage["requests.\(name)"] = value
            if isNative(name) { usage[name] = value }
        }
        for (name, value) in PodTotals(pod, "limits").values where isNative(name) { usage["limits.\(name)"] = value }
        return usage
    }

    private static func isNative(_ name: String) -> Bool {
        ["cpu", "memory", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-")
    }

    private static func service(_ service: JSON) -> [String: Quantity] {
        var usage = ["services": Quantity(milli: 1000)]
        let type = ServiceAllocation.type(of: service)
        let ports = service["spec", "ports"]?.array ?? []
        switch type {
        case "NodePort": usage["services.nodeports"] = Quantity(milli: Int64(ports.count) * 1000)
        case "LoadBalancer":
            usage["services.loadbalancers"] = Quantity(milli: 1000)
            let count =
                service["spec", "allocateLoadBalancerNodePorts"]?.bool == false
                ? ports.filter { ($0["nodePort"]?.int ?? 0) > 0 }.count : ports.count
            usage["services.nodeports"] = Quantity(milli: Int64(count) * 1000)
        default: break
        }
        return usage
    }

    private static func claim(_ claim: JSON) -> [String: Quantity] {
        let one = Quantity(milli: 1000)
        var usage = ["persistentvolumeclaims": one]
        let size = Quantity(claim["spec", "resources", "requests", "storage"]) ?? Quantity(milli: 0)
        usage["requests.storage"] = size
        if let name = claim["spec", "storageClassName"]?.string, !name.isEmpty {
            usage["\(name).storageclass.storage.k8s.io/persistentvolumeclaims"] = one
            usage["\(name).storageclass.storage.k8s.io/requests.storage"] = size
        }
        return usage
    }

    // MARK: Scopes

    /// Whether a quota counts an object, by its scopes.
    static func isCounted(_ object: JSON, _ kind: ResourceKind, by quota: JSON) -> Bool {
        let scopes = (quota["spec", "scopes"]?.array ?? []).compactMap(\.string)
        let selectors = quota["spec", "scopeSelector", "matchExpressions"]?.array ?? []
        if scopes.isEmpty && selectors.isEmpty { return true }
        guard kind == .pod else { return false }
        return scopes.allSatisfy { isIn($0, object) } && selectors.allSatisfy { isIn($0, object) }
    }

    private static func isIn(_ scope: String, _ pod: JSON) -> Bool {
        let isBestEffort = QualityOfService.of(pod["spec"] ?? [:]) == "BestEffort"
        let isTerminating = (pod["spec", "activeDeadlineSeconds"]?.int ?? -1) >= 0
        switch scope {
        case "BestEffort": return isBestEffort
        case "NotBestEffort": return !isBestEffort
        case "Terminating": return isTerminating
        case "NotTerminating": return !isTerminating
        case "PriorityClass": return !(pod["spec", "priorityClassName"]?.string ?? "").isEmpty
        case "CrossNamespacePodAffinity": return looksAbroad(pod)
        default: return false
        }
    }

    private static func isIn(_ selector: JSON, _ pod: JSON) -> Bool {
        let scope = selector["scopeName"]?.string ?? ""
        guard scope == "PriorityClass" else { return isIn(scope, pod) }
        let name = pod["spec", "priorityClassName"]?.string ?? ""
        let values = (selector["values"]?.array ?? []).compactMap(\.string)
        switch selector["operator"]?.string {
        case "In": return values.contains(name)
        case "NotIn": return !values.contains(name)
        case "Exists": return !name.isEmpty
        case "DoesNotExist": return name.isEmpty
        default: return false
        }
    }

    /// Whether a term of the pod's affinity is about pods of other namespaces.
    private static func looksAbroad(_ pod: JSON) -> Bool {
        for part in ["podAffinity", "podAntiAffinity"] {
            let affinity = pod["spec", "affinity", part] ?? [:]
            let required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]?.array ?? []
            let preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"]?.array ?? []
            for term in required + preferred.compactMap({ $0["podAffinityTerm"] })
            where !(term["namespaces"]?.array ?? []).isEmpty || term["namespaceSelector"] != nil {
                return true
            }
        }
        return false
    }

    /// What every container must say where a quota counts it (upstream's rule for CPU and memory).
    static func unsaid(_ pod: JSON, of resources: some Collection<String>) -> String? {
        let said: [String: (String, String)] = [
            "cpu": ("requests", "cpu"), "memory": ("requests", "memory"), "requests.cpu": ("requests", "cpu"),
            "requests.memory": ("requests", "memory"), "limits.cpu": ("limits", "cpu"),
            "limits.memory": ("limits", "memory"),
        ]
        let containers = (pod["spec", "containers"]?.array ?? []) + (pod["spec", "initContainers"]?.array ?? [])
        let faults = resources.sorted().compactMap { resource -> String? in
            guard let (part, name) = said[resource] else { return nil }
            let names = containers.filter { $0["resources", part, name] == nil }
                .compactMap { $0["name"]?.string }
            return names.isEmpty ? nil : "\(resource) for: \(Set(names).sorted().joined(separator: ","))"
        }
        return faults.isEmpty ? nil : "must specify \(faults.joined(separator: "; "))"
    }
}
