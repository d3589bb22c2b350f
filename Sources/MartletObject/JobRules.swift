/// What holds for Jobs and CronJobs.
enum JobRules {
    private static let prefix = "batch.kubernetes.io/"

    @Sendable static func job(_ job: JSON, _ faults: inout Faults) {
        let spec = job["spec"] ?? [:]
        if spec["manualSelector"]?.bool != true { checkGenerated(job, spec, &faults) }
        checkSpec("spec", spec, &faults)
        if let selector = spec["selector"] {
            faults.selector("spec.selector", selector)
            let template = spec["template"] ?? [:]
            if let parsed = try? LabelSelector(object: selector), !parsed.matches(template.labels) {
                faults.invalid(
                    "spec.template.metadata.labels", template["metadata", "labels"] ?? .null,
                    "`selector` does not match template `labels`")
            }
        } else {
            faults.required("spec.selector")
        }
        if spec["completionMode"] == "Indexed", spec["completions"] == nil {
            faults.required("spec.completions", "when completion mode is Indexed")
        }
        if spec["completionMode"] == "Indexed", let completions = spec["completions"]?.int, completions > 0 {
            let host = "\(job.name)-\(completions - 1)"
            if Names.labelFault(host) != nil {
                faults.invalid(
                    "metadata.name", .string(job.name), "will not able to create pod with invalid DNS label: \(host)")
            }
        }
    }

    /// The labels that the server gives, and a selector by them.
    private static func checkGenerated(_ job: JSON, _ spec: JSON, _ faults: inout Faults) {
        let expected = ["controller-uid": job.uid, "job-name": job.name]
        var labels: [String: String] = [:]
        for (name, value) in expected {
            labels[name] = value
            labels[prefix + name] = value
        }
        let given = (spec["template"] ?? [:]).labels
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
            let path = "spec.template.metadata.labels"
            if given[name] == nil {
                faults.required(path, "must be '\(value)'")
            } else if given[name] != value {
                faults.invalid("\(path)[\(name)]", .string(given[name] ?? ""), "must be '\(value)'")
            }
        }
        if let selector = spec["selector"], let parsed = try? LabelSelector(object: selector), !job.uid.isEmpty,
            !parsed.matches(labels)
        {
            faults.invalid("spec.selector", selector, "`selector` not auto-generated")
        }
    }

    private static func checkSpec(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        let counts = [
            "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
            "backoffLimitPerIndex", "maxFailedIndexes",
        ]
        for field in counts { faults.notNegative("\(path).\(field)", spec[field]) }
        checkIndexes(path, spec, &faults)
        if spec["podFailurePolicy"] != nil, let policy = spec["podReplacementPolicy"], policy != "Failed" {
            faults.notSupported("\(path).podReplacementPolicy", policy, ["Failed"])
        }
        let template = spec["template"] ?? [:]
        WorkloadRules.checkPods("\(path).template", template, &faults)
        let restart = template["spec", "restartPolicy"] ?? ""
        let restartPath = "\(path).template.spec.restartPolicy"
        if restart == "" || restart == "Always" {
            faults.required(restartPath, "valid values: \"OnFailure\", \"Never\"")
        } else if spec["podFailurePolicy"] != nil, restart != "Never" {
            faults.invalid(restartPath, restart, "only \"Never\" is supported when podFailurePolicy is specified")
        }
        for (index, rule) in (spec["podFailurePolicy", "rules"]?.array ?? []).enumerated() {
            let hasCodes = rule["onExitCodes"] != nil
            let hasConditions = !(rule["onPodConditions"]?.array ?? []).isEmpty
            let rulePath = "\(path).podFailurePolicy.rules[\(index)]"
            if hasCodes && hasConditions {
                faults.invalid(rulePath, "specifying both OnExitCodes and OnPodConditions is not supported")
            } else if !hasCodes && !hasConditions {
                faults.invalid(rulePath, "specifying one of OnExitCodes and OnPodConditions is required")
            }
        }
    }

    private static func checkIndexes(_ path: String, _ spec: JSON, _ faults: inout Faults) {
        if spec["maxFailedIndexes"] != nil, spec["backoffLimitPerIndex"] == nil {
            faults.required("\(path).backoffLimitPerIndex", "when maxFailedIndexes is specified")
        }
        if spec["completionMode"] == "Indexed" {
            if spec["completions"] == nil {
                faults.required("\(path).completions", "when completion mode is Indexed")
            }
            if let parallelism = spec["parallelism"], parallelism.int ?? 0 > 100_000 {
                faults.invalid(
                    "\(path).parallelism", parallelism,
                    "must be less than or equal to 100000 when completion mode is Indexed")
            }
            return
        }
        for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
            if let value = spec[field] { faults.invalid("\(path).\(field)", value, "requires indexed completion mode") }
        }
    }

    @Sendable static func jobChange(_ job: JSON, _ old: JSON, _ faults: inout Faults) {
        var spec = job["spec"] ?? [:]
        let before = old["spec"] ?? [:]
        // What says where pods go may change as long as the job has not begun.
        if before["suspend"]?.bool == true, old["status", "startTime"] == nil {
            for field in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                spec["template", "spec", field] = before["template", "spec"]?[field]
            }
            for field in ["labels", "annotations"] {
                spec["template", "metadata", field] = before["template", "metadata"]?[field]
            }
        }
        if before["completionMode"] != "Indexed" {
            faults.immutable("spec.completions", spec["completions"], before["completions"])
        } else if spec["completions"] != before["completions"], spec["completions"] != spec["parallelism"] {
            faults.invalid(
                "spec.completions", spec["completions"] ?? .null, "can only be modified in tandem with parallelism")
        }
        for field in [
            "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
            "successPolicy",
        ] { faults.immutable("spec.\(field)", spec[field], before[field]) }
    }

    @Sendable static func cronJob(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        // The controller appends up to eleven characters to make the names of jobs.
        if object.name.utf8.count > 52 {
            faults.invalid("metadata.name", .string(object.name), "must be no more than 52 characters")
        }
        let schedule = spec["schedule"]?.string ?? ""
        if schedule.isEmpty {
            faults.required("spec.schedule")
        } else if schedule.contains("TZ") {
            faults.invalid(
                "spec.schedule", .string(schedule),
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        } else if let fault = CronSchedule.fault(schedule) {
            faults.invalid("spec.schedule", .string(schedule), fault)
        }
        if let zone = spec["timeZone"]?.string {
            if zone.isEmpty {
                faults.invalid("spec.timeZone", "", "timeZone must be nil or non-empty string")
            } else if zone.lowercased() == "local" {
                faults.invalid(
                    "spec.timeZone", .string(zone),
                    "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
            }
        }
        for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
            faults.notNegative("spec.\(field)", spec[field])
        }
        let job = spec["jobTemplate", "spec"] ?? [:]
        faults.labels("spec.jobTemplate.metadata.labels", spec["jobTemplate", "metadata", "labels"])
        if let selector = job["selector"] {
            faults.invalid("spec.jobTemplate.spec.selector", selector, "`selector` will be auto-generated")
        }
        if job["manualSelector"]?.bool == true {
            faults.notSupported("spec.jobTemplate.spec.manualSelector", true, ["nil", "false"])
        }
        checkSpec("spec.jobTemplate.spec", job, &faults)
    }
}
