/// What holds for what rules over other objects: budgets, autoscalers, quotas, limits, priorities.
enum PolicyRules {
    @Sendable static func budget(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        if spec["minAvailable"] != nil, spec["maxUnavailable"] != nil {
            faults.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
        }
        for field in ["minAvailable", "maxUnavailable"] {
            guard let value = spec[field] else { continue }
            faults.share("spec.\(field)", value)
            if let percent = value.string, percent.hasSuffix("%"), Int(percent.dropLast()) ?? 0 > 100 {
                faults.invalid("spec.\(field)", value, "must not be greater than 100%")
            }
        }
        if let selector = spec["selector"] { faults.selector("spec.selector", selector) }
    }

    // MARK: Autoscalers

    private static let sources = [
        "Object": "object", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource",
        "External": "external",
    ]

    @Sendable static func autoscaler(_ object: JSON, _ faults: inout Faults) {
        if object.apiVersion == ResourceKind.podAutoscalerV1.apiVersion {
            // What its annotations say is stored as the second form, and must be right there.
            do {
                let current = ResourceKind.podAutoscalerV1.toStored(object)
                checkAutoscaler(try Schema.conform(current, to: .podAutoscaler).object, &faults)
            } catch {
                faults.invalid("metadata.annotations", object["metadata", "annotations"] ?? [:], error.description)
            }
        }
        checkAutoscaler(object, &faults)
    }

    private static func checkAutoscaler(_ object: JSON, _ faults: inout Faults) {
        if object.apiVersion == ResourceKind.podAutoscalerV1.apiVersion {
            if let share = object["spec", "targetCPUUtilizationPercentage"], share.int ?? 1 < 1 {
                faults.invalid("spec.targetCPUUtilizationPercentage", share, "must be greater than 0")
            }
            return
        }
        let spec = object["spec"] ?? [:]
        for field in ["kind", "name"] where (spec["scaleTargetRef"]?[field]?.string ?? "").isEmpty {
            faults.required("spec.scaleTargetRef.\(field)")
        }
        let least = spec["minReplicas"] ?? 1
        let most = spec["maxReplicas"] ?? 0
        if let count = least.int, count < 1 {
            faults.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
        }
        if let count = most.int, count < 1 { faults.invalid("spec.maxReplicas", most, "must be greater than 0") }
        if let least = least.int, let count = most.int, count < least {
            faults.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
        }
        for (index, metric) in (spec["metrics"]?.array ?? []).enumerated() {
            checkMetric("spec.metrics[\(index)]", metric, &faults)
        }
        for name in ["scaleUp", "scaleDown"] {
            guard let rules = spec["behavior"]?[name] else { continue }
            let path = "spec.behavior.\(name)"
            faults.notNegative("\(path).stabilizationWindowSeconds", rules["stabilizationWindowSeconds"])
            if let window = rules["stabilizationWindowSeconds"], window.int ?? 0 > 3600 {
                faults.invalid("\(path).stabilizationWindowSeconds", window, "must be less than or equal to 3600")
            }
            for (index, policy) in (rules["policies"]?.array ?? []).enumerated() {
                for field in ["value", "periodSeconds"] where policy[field]?.int ?? 0 < 1 {
                    faults.invalid(
                        "\(path).policies[\(index)].\(field)", policy[field] ?? 0, "must be greater than zero")
                }
            }
        }
    }

    private static func checkMetric(_ path: String, _ metric: JSON, _ faults: inout Faults) {
        let type = metric["type"]?.string ?? ""
        if type.isEmpty {
            faults.required("\(path).type", "must specify a metric source type")
            return
        }
        guard let name = sources[type] else { return }
        guard let source = metric[name] else {
            faults.required("\(path).\(name)", "must populate information for the given metric source")
            return
        }
        for other in sources.values.sorted() where other != name && metric[other] != nil {
            faults.forbidden("\(path).\(other)", "must populate the given metric source only")
        }
        if name.lowercased().hasSuffix("resource") {
            if (source["name"]?.string ?? "").isEmpty {
                faults.required("\(path).\(name).name", "must specify a resource name")
            }
        } else if (source["metric", "name"]?.string ?? "").isEmpty {
            faults.required("\(path).\(name).metric.name", "must specify a metric name")
        }
        if name == "containerResource", (source["container"]?.string ?? "").isEmpty {
            faults.required("\(path).\(name).container", "must specify a container")
        }
        let target = source["target"] ?? [:]
        let targetPath = "\(path).\(name).target"
        if (target["type"]?.string ?? "").isEmpty {
            faults.required("\(targetPath).type", "must specify a metric target type")
        }
        for field in ["value", "averageValue", "averageUtilization"] {
            guard let value = target[field] else { continue }
            let number = value.int.map { Int64($0) } ?? Quantity(value)?.milli ?? 1
            if number <= 0 {
                faults.invalid(
                    "\(targetPath).\(field)", value,
                    field == "averageUtilization" ? "must be greater than 0" : "must be positive")
            }
        }
    }

    // MARK: Quotas and limits

    private static let quotaNames: Set<String> = [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods",
        "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
        "services.nodeports", "services.loadbalancers",
    ]
    private static let counted: Set<String> = [
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
        "configmaps", "services.nodeports", "services.loadbalancers",
    ]
    private static let scopes: Set<String> = [
        "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
        "VolumeAttributesClass",
    ]

    @Sendable static func quota(_ object: JSON, _ faults: inout Faults) {
        for (name, amount) in object["spec", "hard"]?.object ?? [:] {
            let path = "spec.hard[\(name)]"
            checkResource(path, name, standard: quotaNames, "must be a standard resource for quota", &faults)
            guard let value = Quantity(amount) else { continue }
            if value.milli < 0 { faults.invalid(path, amount, "must be greater than or equal to 0") }
            if counted.contains(name), value.milli % 1000 != 0 { faults.invalid(path, amount, "must be an integer") }
        }
        let given = object["spec", "scopes"]?.array ?? []
        for scope in given where !scopes.contains(scope.string ?? "") {
            faults.invalid("spec.scopes", object["spec", "scopes"] ?? [], "unsupported scope")
        }
        for pair in [["Terminating", "NotTerminating"], ["BestEffort", "NotBestEffort"]]
        where pair.allSatisfy({ given.contains(.string($0)) }) {
            faults.invalid("spec.scopes", object["spec", "scopes"] ?? [], "conflicting scopes")
        }
    }

    @Sendable static func quotaChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec.scopes", object["spec", "scopes"], old["spec", "scopes"])
        faults.immutable("spec.scopeSelector", object["spec", "scopeSelector"], old["spec", "scopeSelector"])
    }

    private static func checkResource(
        _ path: String, _ name: String, standard: Set<String>, _ sentence: String, _ faults: inout Faults
    ) {
        faults.name(path, name, Names.qualifiedNameFault)
        let isSized = name.hasPrefix("hugepages-") || name.hasPrefix("requests.hugepages-")
        if !name.contains("/"), !isSized, !standard.contains(name) { faults.invalid(path, .string(name), sentence) }
    }

    private static let limitNames: Set<String> = ["cpu", "memory", "ephemeral-storage", "storage"]

    @Sendable static func limits(_ object: JSON, _ faults: inout Faults) {
        var types: Set<String> = []
        for (index, limit) in (object["spec", "limits"]?.array ?? []).enumerated() {
            let path = "spec.limits[\(index)]"
            let type = limit["type"]?.string ?? ""
            if type.isEmpty { faults.required("\(path).type") }
            if !types.insert(type).inserted { faults.duplicate("\(path).type", .string(type)) }
            if type == "Pod" {
                for field in ["default", "defaultRequest"] where !(limit[field]?.object ?? [:]).isEmpty {
                    faults.forbidden("\(path).\(field)", "may not be specified when `type` is 'Pod'")
                }
            }
            if type == "PersistentVolumeClaim", limit["min", "storage"] == nil, limit["max", "storage"] == nil {
                faults.required(
                    "\(path).limits", "either minimum or maximum storage value is required, but neither was provided")
            }
            checkBounds(path, limit, &faults)
        }
    }

    /// min <= defaultRequest <= default <= max.
    private static func checkBounds(_ path: String, _ limit: JSON, _ faults: inout Faults) {
        let fields = [("min", "min"), ("defaultRequest", "default request"), ("default", "default"), ("max", "max")]
        for (field, _) in fields {
            for name in (limit[field]?.object ?? [:]).keys {
                checkResource(
                    "\(path).\(field)[\(name)]", name, standard: limitNames,
                    "must be a standard limit type or fully qualified", &faults)
            }
        }
        for (low, (field, word)) in fields.enumerated() {
            for (upper, upperWord) in fields.dropFirst(low + 1) {
                for (name, amount) in limit[field]?.object ?? [:] {
                    guard let bound = limit[upper]?[name], let a = Quantity(amount), let b = Quantity(bound), b < a
                    else { continue }
                    faults.invalid(
                        "\(path).\(field)[\(name)]", amount,
                        "\(word) value \(amount.string ?? "") is greater than \(upperWord) value \(bound.string ?? "")")
                }
            }
        }
    }

    // MARK: Classes

    @Sendable static func priorityClass(_ object: JSON, _ faults: inout Faults) {
        let system = ["system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000]
        let value = object["value"] ?? 0
        if object.name.hasPrefix("system-") {
            if system[object.name] != value.int {
                faults.forbidden(
                    "metadata.name",
                    "priority class names with 'system-' prefix are reserved for system use only. error: "
                        + "\(object.name) is not a known system priority class")
            }
        } else if value.int ?? 0 > 1_000_000_000 {
            faults.forbidden(
                "value", "maximum allowed value of a user defined priority is 1000000000")
        }
    }

    @Sendable static func priorityClassChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        if (object["value"] ?? 0) != (old["value"] ?? 0) {
            faults.forbidden("value", "may not be changed in an update.")
        }
        faults.immutable("preemptionPolicy", object["preemptionPolicy"], old["preemptionPolicy"])
    }

    @Sendable static func runtimeClass(_ object: JSON, _ faults: inout Faults) {
        faults.name("handler", object["handler"]?.string ?? "", Names.labelFault)
    }

    @Sendable static func runtimeClassChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("handler", object["handler"], old["handler"])
    }
}
