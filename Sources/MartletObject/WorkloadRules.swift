internal import OrderedCollections

/// What holds for Deployments and ReplicaSets.
enum WorkloadRules {
    @Sendable static func deployment(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        checkCommon(spec, name: "deployment", &faults)
        faults.notNegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        if let deadline = spec["progressDeadlineSeconds"] {
            faults.notNegative("spec.progressDeadlineSeconds", deadline)
            if let seconds = deadline.int, seconds <= spec["minReadySeconds"]?.int ?? 0 {
                faults.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
            }
        }
        checkStrategy(spec["strategy"] ?? [:], &faults)
    }

    @Sendable static func replicaSet(_ object: JSON, _ faults: inout Faults) {
        checkCommon(object["spec"] ?? [:], name: "replicaset", &faults)
    }

    @Sendable static func checkChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("spec.selector", object["spec", "selector"], old["spec", "selector"])
    }

    private static func checkCommon(_ spec: JSON, name: String, _ faults: inout Faults) {
        faults.notNegative("spec.replicas", spec["replicas"])
        faults.notNegative("spec.minReadySeconds", spec["minReadySeconds"])
        let template = spec["template"] ?? [:]
        if let selector = spec["selector"] {
            faults.selector("spec.selector", selector)
            let isEmpty =
                (selector["matchLabels"]?.object ?? [:]).isEmpty && (selector["matchExpressions"]?.array ?? []).isEmpty
            if isEmpty {
                faults.invalid("spec.selector", selector, "empty selector is invalid for \(name)")
            } else if let parsed = try? LabelSelector(object: selector), !parsed.matches(template.labels) {
                faults.invalid(
                    "spec.template.metadata.labels", template["metadata", "labels"] ?? .null,
                    "`selector` does not match template `labels`")
            }
        } else {
            faults.required("spec.selector")
        }
        checkTemplate(template, &faults)
    }

    private static func checkTemplate(_ template: JSON, _ faults: inout Faults) {
        faults.labels("spec.template.metadata.labels", template["metadata", "labels"])
        MetadataRules.checkAnnotations(
            "spec.template.metadata.annotations", template["metadata", "annotations"], &faults)
        let pod = template["spec"] ?? [:]
        PodRules.checkSpec("spec.template.spec", pod, &faults)
        if let policy = pod["restartPolicy"], policy != "Always" {
            faults.notSupported("spec.template.spec.restartPolicy", policy, ["Always"])
        }
        if pod["activeDeadlineSeconds"] != nil {
            faults.forbidden(
                "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported")
        }
    }

    private static func checkStrategy(_ strategy: JSON, _ faults: inout Faults) {
        if strategy["type"] == "Recreate" {
            if strategy["rollingUpdate"] != nil {
                faults.forbidden(
                    "spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
            }
            return
        }
        guard let update = strategy["rollingUpdate"] else { return }
        let path = "spec.strategy.rollingUpdate"
        var isZero = true
        for field in ["maxUnavailable", "maxSurge"] {
            let value = update[field] ?? 0
            if let percent = value.string {
                guard percent.hasSuffix("%"), let number = Int(percent.dropLast()), number >= 0 else {
                    faults.invalid(
                        "\(path).\(field)", value,
                        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
                            + "'93%', regex used for validation is '[0-9]+%')")
                    return
                }
                isZero = isZero && number == 0
                if field == "maxUnavailable", number > 100 {
                    faults.invalid("\(path).\(field)", value, "must not be greater than 100%")
                }
            } else {
                faults.notNegative("\(path).\(field)", value)
                isZero = isZero && value == 0
            }
        }
        if isZero {
            faults.invalid(
                "\(path).maxUnavailable", update["maxUnavailable"] ?? 0, "may not be 0 when `maxSurge` is 0")
        }
    }
}
