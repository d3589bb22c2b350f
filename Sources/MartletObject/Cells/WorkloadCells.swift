internal import MartletBase

/// The cells of what runs pods, beside Deployments and ReplicaSets (``TableCells``).
enum WorkloadCells {
    static let byKind: [String: @Sendable (JSON, WallTime) -> [JSON]] = [
        "replicationcontrollers": replicationController, "podtemplates": podTemplate, "statefulsets.apps": statefulSet,
        "daemonsets.apps": daemonSet, "controllerrevisions.apps": controllerRevision, "jobs.batch": job,
        "cronjobs.batch": cronJob, "endpoints": endpoints,
    ]

    /// Names and images of a template's containers.
    private static func containers(_ spec: JSON?) -> [JSON] { Array(TableCells.templateCells(spec).prefix(2)) }

    @Sendable private static func replicationController(_ object: JSON, _ now: WallTime) -> [JSON] {
        [
            TableCells.name(object), TableCells.count(object["spec", "replicas"]),
            TableCells.count(object["status", "replicas"]), TableCells.count(object["status", "readyReplicas"]),
            TableCells.age(object, now),
        ] + containers(object["spec"]) + [.string(TableCells.shown(labels: object["spec", "selector"]?.stringMap))]
    }

    @Sendable private static func podTemplate(_ object: JSON, _ now: WallTime) -> [JSON] {
        [TableCells.name(object)] + containers(object)
            + [.string(TableCells.shown(labels: object["template"]?.labels))]
    }

    @Sendable private static func statefulSet(_ object: JSON, _ now: WallTime) -> [JSON] {
        let ready = "\(object["status", "readyReplicas"]?.int ?? 0)/\(object["spec", "replicas"]?.int ?? 0)"
        return [TableCells.name(object), .string(ready), TableCells.age(object, now)] + containers(object["spec"])
    }

    @Sendable private static func daemonSet(_ object: JSON, _ now: WallTime) -> [JSON] {
        let counts = [
            "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled",
            "numberAvailable",
        ].map { TableCells.count(object["status", $0]) }
        let nodes = object["spec", "template", "spec", "nodeSelector"]?.stringMap
        return [TableCells.name(object)] + counts
            + [.string(TableCells.shown(labels: nodes)), TableCells.age(object, now)]
            + TableCells.templateCells(object["spec"])
    }

    @Sendable private static func controllerRevision(_ object: JSON, _ now: WallTime) -> [JSON] {
        var owner = "<none>"
        if let controller = object.controllerReference {
            let parts = controller.apiVersion.split(separator: "/")
            let group = parts.count == 2 ? ".\(parts[0])" : ""
            owner = "\((controller.kind + group).lowercased())/\(controller["name"]?.string ?? "")"
        }
        return [
            TableCells.name(object), .string(owner), TableCells.count(object["revision"]), TableCells.age(object, now),
        ]
    }

    /// The conditions that say what a job does, the strongest first, and what to call it.
    private static let states = [
        ("Complete", "Complete"), ("Failed", "Failed"), ("", "Terminating"), ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
    ]

    @Sendable private static func job(_ job: JSON, _ now: WallTime) -> [JSON] {
        let (spec, status) = (job["spec"] ?? [:], job["status"] ?? [:])
        let conditions = status["conditions"]?.array ?? []
        let state = states.first { condition, _ in
            condition.isEmpty
                ? job.isTerminating
                : conditions.contains { $0["type"]?.string == condition && $0["status"] == "True" }
        }
        let succeeded = status["succeeded"]?.int ?? 0
        let parallelism = spec["parallelism"]?.int ?? 0
        var completions = "\(succeeded)/1" + (parallelism > 1 ? " of \(parallelism)" : "")
        if let wanted = spec["completions"]?.int { completions = "\(succeeded)/\(wanted)" }
        var duration = ""
        if let begin = WallTime(rfc3339: status["startTime"]?.string ?? "") {
            let end = WallTime(rfc3339: status["completionTime"]?.string ?? "") ?? now
            duration = Table.humanDuration(end - begin)
        }
        return [
            TableCells.name(job), .string(state?.1 ?? "Running"), .string(completions), .string(duration),
            TableCells.age(job, now),
        ] + TableCells.templateCells(spec)
    }

    @Sendable private static func cronJob(_ object: JSON, _ now: WallTime) -> [JSON] {
        let spec = object["spec"] ?? [:]
        let last = object["status", "lastScheduleTime"].map { Table.age($0, now: now) } ?? "<none>"
        let suspended = spec["suspend"]?.bool.map { $0 ? "True" : "False" } ?? "<unset>"
        return [
            TableCells.name(object), TableCells.text(spec["schedule"]),
            TableCells.text(spec["timeZone"], or: "<none>"), .string(suspended),
            .int(TableCells.size(object["status", "active"])), .string(last), TableCells.age(object, now),
        ] + TableCells.templateCells(spec["jobTemplate", "spec"])
    }

    @Sendable private static func endpoints(_ object: JSON, _ now: WallTime) -> [JSON] {
        var list: [String] = []
        for subset in object["subsets"]?.array ?? [] {
            for port in subset["ports"]?.array ?? [] {
                for address in subset["addresses"]?.array ?? [] {
                    let ip = address["ip"]?.string ?? ""
                    list.append("\(ip.contains(":") ? "[\(ip)]" : ip):\(port["port"]?.int ?? 0)")
                }
            }
        }
        let isEmpty = (object["subsets"]?.array ?? []).isEmpty
        return [
            TableCells.name(object), .string(isEmpty ? "<none>" : TableCells.some(list)), TableCells.age(object, now),
        ]
    }
}
