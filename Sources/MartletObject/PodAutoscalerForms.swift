/// The two forms of a HorizontalPodAutoscaler. autoscaling/v1 has one number, the CPU use aimed at; all else that
/// autoscaling/v2 knows is kept in annotations there, in autoscaling/v1's own words, so that nothing is lost on the
/// way there and back.
enum PodAutoscalerForms {
    static let metrics = "autoscaling.alpha.kubernetes.io/metrics"
    private static let currentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics"
    private static let conditions = "autoscaling.alpha.kubernetes.io/conditions"
    private static let behavior = "autoscaling.alpha.kubernetes.io/behavior"

    // MARK: To autoscaling/v1

    static func old(_ object: JSON) -> JSON {
        var old = object
        var annotations = object["metadata", "annotations"]?.object ?? [:]
        for name in [metrics, currentMetrics, conditions, behavior] { annotations[name] = nil }
        func keep(_ name: String, _ list: [JSON]) {
            if !list.isEmpty { annotations[name] = text(.array(list)) }
        }
        let (cpu, others) = split(object["spec", "metrics"]?.array ?? []) { $0["target", "averageUtilization"] }
        old["spec", "metrics"] = nil
        old["spec", "targetCPUUtilizationPercentage"] = cpu
        keep(metrics, others.map(oldMetric))
        if let rules = object["spec", "behavior"] {
            annotations[behavior] = text(rules)
            old["spec", "behavior"] = nil
        }
        let (used, rest) = split(object["status", "currentMetrics"]?.array ?? []) {
            $0["current", "averageUtilization"]
        }
        old["status", "currentMetrics"] = nil
        old["status", "currentCPUUtilizationPercentage"] = used
        keep(currentMetrics, rest.map(oldMetric))
        keep(conditions, object["status", "conditions"]?.array ?? [])
        old["status", "conditions"] = nil
        // These two are always there in autoscaling/v1.
        for name in ["currentReplicas", "desiredReplicas"] where old["status", name] == nil { old["status", name] = 0 }
        annotations.sort { $0.key < $1.key }
        old["metadata", "annotations"] = annotations.isEmpty ? nil : .object(annotations)
        return ordered(old, .podAutoscalerV1)
    }

    /// Takes the first CPU metric that is a share of what is requested out of the list.
    private static func split(_ list: [JSON], share: (JSON) -> JSON?) -> (cpu: JSON?, others: [JSON]) {
        let place = list.firstIndex { metric in
            metric["type"] == "Resource" && metric["resource", "name"] == "cpu"
                && share(metric["resource"] ?? .null) != nil
        }
        guard let place else { return (nil, list) }
        var others = list
        let metric = others.remove(at: place)
        return (share(metric["resource"] ?? .null), others)
    }

    /// What a metric is called in both forms: where autoscaling/v2 has a field in an object of its own, the other has
    /// it beside the rest, under a name that depends on the source.
    private static let fields: [String: [(new: [String], old: String)]] = [
        "object": [
            (["describedObject"], "target"), (["metric", "name"], "metricName"), (["metric", "selector"], "selector"),
            (["target", "value"], "targetValue"), (["target", "averageValue"], "averageValue"),
            (["current", "value"], "currentValue"), (["current", "averageValue"], "averageValue"),
        ],
        "pods": [
            (["metric", "name"], "metricName"), (["metric", "selector"], "selector"),
            (["target", "averageValue"], "targetAverageValue"), (["current", "averageValue"], "currentAverageValue"),
        ],
        "resource": resource, "containerResource": resource + [(["container"], "container")],
        "external": [
            (["metric", "name"], "metricName"), (["metric", "selector"], "metricSelector"),
            (["target", "value"], "targetValue"), (["target", "averageValue"], "targetAverageValue"),
            (["current", "value"], "currentValue"), (["current", "averageValue"], "currentAverageValue"),
        ],
    ]
    private static let resource: [(new: [String], old: String)] = [
        (["name"], "name"), (["target", "averageUtilization"], "targetAverageUtilization"),
        (["target", "averageValue"], "targetAverageValue"),
        (["current", "averageUtilization"], "currentAverageUtilization"),
        (["current", "averageValue"], "currentAverageValue"),
    ]

    private static func oldMetric(_ metric: JSON) -> JSON {
        var result: JSON = ["type": metric["type"] ?? ""]
        for (source, fields) in fields.sorted(by: { $0.key < $1.key }) {
            guard let given = metric[source] else { continue }
            var flat: JSON = [:]
            for field in fields {
                if let value = field.new.reduce(given, { $0?[$1] }) { flat[field.old] = value }
            }
            result[source] = flat
        }
        return result
    }

    // MARK: To autoscaling/v2

    static func current(_ object: JSON) -> JSON {
        var new = object
        var annotations = object["metadata", "annotations"]?.object ?? [:]
        func take(_ name: String) -> JSON? {
            // What is no JSON was written by hand; it says nothing.
            annotations.removeValue(forKey: name)?.string.flatMap { try? JSON(parsing: $0.utf8) }
        }
        var list = (take(metrics)?.array ?? []).map { newMetric($0, under: "target") }
        if let cpu = object["spec", "targetCPUUtilizationPercentage"] {
            list.insert(cpuMetric("target", ["type": "Utilization", "averageUtilization": cpu]), at: 0)
        }
        new["spec", "targetCPUUtilizationPercentage"] = nil
        if !list.isEmpty { new["spec", "metrics"] = .array(list) }
        if let rules = take(behavior) { new["spec", "behavior"] = rules }
        var now = (take(currentMetrics)?.array ?? []).map { newMetric($0, under: "current") }
        if let cpu = object["status", "currentCPUUtilizationPercentage"] {
            now.insert(cpuMetric("current", ["averageUtilization": cpu]), at: 0)
        }
        new["status", "currentCPUUtilizationPercentage"] = nil
        if !now.isEmpty { new["status", "currentMetrics"] = .array(now) }
        if let kept = take(conditions) { new["status", "conditions"] = kept }
        new["metadata", "annotations"] = annotations.isEmpty ? nil : .object(annotations)
        return ordered(new, .podAutoscaler)
    }

    private static func cpuMetric(_ field: String, _ value: JSON) -> JSON {
        var metric: JSON = ["type": "Resource", "resource": ["name": "cpu"]]
        metric["resource", field] = value
        return metric
    }

    private static func newMetric(_ metric: JSON, under place: String) -> JSON {
        var result: JSON = ["type": metric["type"] ?? ""]
        for (source, fields) in fields.sorted(by: { $0.key < $1.key }) {
            guard let given = metric[source] else { continue }
            var deep: JSON = [:]
            for field in fields where !["target", "current"].contains(field.new[0]) || field.new[0] == place {
                guard let value = given[field.old] else { continue }
                if field.new.count == 1 {
                    deep[field.new[0]] = value
                } else {
                    deep[field.new[0], field.new[1]] = value
                }
            }
            if place == "target" {
                let targets: [(field: String, type: JSON)] = [
                    ("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value"),
                ]
                deep["target", "type"] = targets.first { deep["target", $0.field] != nil }?.type
            }
            result[source] = deep
        }
        return result
    }

    // MARK: Both

    private static func text(_ value: JSON) -> JSON { .string(String(decoding: value.encoded(), as: UTF8.self)) }

    /// The object with all members in the tables' order. What they refuse is left as it is, for validation to tell.
    private static func ordered(_ object: JSON, _ kind: ResourceKind) -> JSON {
        (try? Schema.conform(object, to: kind))?.object ?? object
    }
}
