/// Defaults of what runs pods, and of volumes, that look at other fields.
enum WorkloadDefaults {
    static let byType: [String: @Sendable (inout JSON) -> Void] = [
        "ReplicationController": replicationController, "DaemonSetUpdateStrategy": daemonSetUpdate,
        "StatefulSetUpdateStrategy": statefulSetUpdate, "StatefulSetSpec": claimTemplates, "Job": job,
        "PersistentVolume": pending, "PersistentVolumeClaim": pending, "LimitRangeItem": limits,
        "PersistentVolumeClaimSpec": dataSource,
    ]

    /// A controller that names no pods takes those of its template, and their labels.
    @Sendable private static func replicationController(_ object: inout JSON) {
        guard let labels = object["spec", "template", "metadata", "labels"], labels != [:] else { return }
        if (object["spec", "selector"]?.object ?? [:]).isEmpty { object["spec", "selector"] = labels }
        if object.labels.isEmpty { object["metadata", "labels"] = labels }
    }

    @Sendable private static func daemonSetUpdate(_ strategy: inout JSON) {
        guard strategy["type"] == "RollingUpdate" else { return }
        if strategy["rollingUpdate", "maxUnavailable"] == nil { strategy["rollingUpdate", "maxUnavailable"] = 1 }
        if strategy["rollingUpdate", "maxSurge"] == nil { strategy["rollingUpdate", "maxSurge"] = 0 }
    }

    @Sendable private static func statefulSetUpdate(_ strategy: inout JSON) {
        guard strategy["type"] == "RollingUpdate", strategy["rollingUpdate", "partition"] == nil else { return }
        strategy["rollingUpdate", "partition"] = 0
    }

    /// Claims in a template say what they are.
    @Sendable private static func claimTemplates(_ spec: inout JSON) {
        guard case .array(var claims) = spec["volumeClaimTemplates"] else { return }
        for index in claims.indices {
            claims[index]["apiVersion"] = "v1"
            claims[index]["kind"] = "PersistentVolumeClaim"
        }
        spec["volumeClaimTemplates"] = .array(claims)
    }

    @Sendable private static func job(_ job: inout JSON) {
        guard var spec = job["spec"], spec.object != nil else { return }
        if spec["completions"] == nil, spec["parallelism"] == nil {
            spec["completions"] = 1
            spec["parallelism"] = 1
        }
        var defaults: [(String, JSON)] = [
            ("parallelism", 1), ("completionMode", "NonIndexed"), ("suspend", false), ("manualSelector", false),
            ("podReplacementPolicy", spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed"),
        ]
        // Where each index has a limit of its own there is none for all.
        defaults.append(("backoffLimit", spec["backoffLimitPerIndex"] == nil ? 6 : .int(Int64(Int32.max))))
        for (name, value) in defaults where spec[name] == nil { spec[name] = value }
        if job.labels.isEmpty, let labels = spec["template", "metadata", "labels"], labels != [:] {
            job["metadata", "labels"] = labels
        }
        job["spec"] = spec
    }

    @Sendable private static func pending(_ object: inout JSON) {
        if ConditionalDefaults.isEmpty(object["status", "phase"]) { object["status", "phase"] = "Pending" }
    }

    /// The two names that a claim's source has: the newer knows more kinds.
    @Sendable private static func dataSource(_ spec: inout JSON) {
        if let source = spec["dataSource"], spec["dataSourceRef"] == nil { spec["dataSourceRef"] = source }
        guard let source = spec["dataSourceRef"], spec["dataSource"] == nil,
            (source["namespace"]?.string ?? "").isEmpty
        else { return }
        let group = source["apiGroup"]?.string ?? ""
        let kind = source["kind"]?.string ?? ""
        let isOld =
            kind == "PersistentVolumeClaim" && group.isEmpty
            || kind == "VolumeSnapshot" && group == "snapshot.storage.k8s.io"
        if isOld { spec["dataSource"] = source }
    }

    /// What a container gets that asks for nothing: the most it may have, or the least.
    @Sendable private static func limits(_ item: inout JSON) {
        guard item["type"] == "Container" else { return }
        for (target, source) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            for (name, amount) in item[source]?.object ?? [:] where item[target]?[name] == nil {
                item[target, name] = amount
            }
            if case .object(var amounts) = item[target] {
                amounts.sort { $0.key < $1.key }
                item[target] = .object(amounts)
            }
        }
    }
}
