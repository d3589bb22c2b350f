/// What holds for all that keeps pods running.
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

    @Sendable static func statefulSet(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        checkCommon(spec, name: "statefulset", kind: "StatefulSet", &faults)
        faults.notNegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        faults.notNegative("spec.ordinals.start", spec["ordinals", "start"])
        if let policy = spec["podManagementPolicy"], !["OrderedReady", "Parallel"].contains(policy) {
            faults.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
        }
        let strategy = spec["updateStrategy"] ?? [:]
        switch strategy["type"] {
        case "RollingUpdate":
            faults.notNegative("spec.updateStrategy.rollingUpdate.partition", strategy["rollingUpdate", "partition"])
        case "OnDelete":
            if let rolling = strategy["rollingUpdate"] {
                faults.invalid(
                    "spec.updateStrategy.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
            }
        case let other:
            faults.invalid("spec.updateStrategy", other ?? "", "must be 'RollingUpdate' or 'OnDelete'")
        }
    }

    @Sendable static func statefulSetChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        let free = [
            "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
        ]
        var spec = object["spec"] ?? [:]
        for name in free { spec[name] = old["spec", name] }
        if spec != (old["spec"] ?? [:]) {
            faults.forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                    + "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                    + "'minReadySeconds' are forbidden")
        }
    }

    @Sendable static func daemonSet(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        checkCommon(spec, name: "daemonset", kind: "DaemonSet", &faults)
        faults.notNegative("spec.revisionHistoryLimit", spec["revisionHistoryLimit"])
        guard spec["updateStrategy", "type"] == "RollingUpdate", let update = spec["updateStrategy", "rollingUpdate"]
        else { return }
        let path = "spec.updateStrategy.rollingUpdate"
        var isSet: [Bool] = []
        for field in ["maxUnavailable", "maxSurge"] {
            isSet.append(!faults.share("\(path).\(field)", update[field] ?? 0))
        }
        if isSet == [true, true] {
            faults.invalid(
                "\(path).maxSurge", update["maxSurge"] ?? 0, "may not be set when maxUnavailable is non-zero")
        } else if isSet == [false, false] {
            faults.required("\(path).maxUnavailable", "cannot be 0 when maxSurge is 0")
        }
    }

    @Sendable static func replicationController(_ object: JSON, _ faults: inout Faults) {
        let spec = object["spec"] ?? [:]
        faults.notNegative("spec.replicas", spec["replicas"])
        faults.notNegative("spec.minReadySeconds", spec["minReadySeconds"])
        let selector = spec["selector"]?.stringMap ?? [:]
        if selector.isEmpty { faults.required("spec.selector") }
        guard let template = spec["template"] else {
            faults.required("spec.template")
            return
        }
        if !LabelSelector(labels: selector).matches(template.labels) {
            faults.invalid(
                "spec.template.metadata.labels", template["metadata", "labels"] ?? .null,
                "`selector` does not match template `labels`")
        }
        checkTemplate(template, kind: "ReplicationController", &faults)
    }

    @Sendable static func podTemplate(_ object: JSON, _ faults: inout Faults) {
        checkPods("template", object["template"] ?? [:], &faults)
    }

    @Sendable static func controllerRevision(_ object: JSON, _ faults: inout Faults) {
        if object["data"] == nil { faults.required("data", "data is mandatory") }
        faults.notNegative("revision", object["revision"])
    }

    @Sendable static func controllerRevisionChange(_ object: JSON, _ old: JSON, _ faults: inout Faults) {
        faults.immutable("data", object["data"], old["data"])
    }

    private static func checkCommon(
        _ spec: JSON, name: String, kind: String = "ReplicaSet", _ faults: inout Faults
    ) {
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
        checkTemplate(template, kind: kind, &faults)
    }

    /// Labels, annotations and spec of a template's pods.
    static func checkPods(_ path: String, _ template: JSON, _ faults: inout Faults) {
        faults.labels("\(path).metadata.labels", template["metadata", "labels"])
        MetadataRules.checkAnnotations(
            "\(path).metadata.annotations", template["metadata", "annotations"], &faults)
        PodRules.checkSpec("\(path).spec", template["spec"] ?? [:], &faults)
        if !(template["spec", "ephemeralContainers"]?.array ?? []).isEmpty {
            faults.forbidden(
                "\(path).spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
        }
    }

    private static func checkTemplate(_ template: JSON, kind: String, _ faults: inout Faults) {
        checkPods("spec.template", template, &faults)
        let pod = template["spec"] ?? [:]
        if let policy = pod["restartPolicy"], policy != "Always" {
            faults.notSupported("spec.template.spec.restartPolicy", policy, ["Always"])
        }
        if pod["activeDeadlineSeconds"] != nil {
            faults.forbidden(
                "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in \(kind) is not Supported")
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
            isZero = faults.share("\(path).\(field)", value) && isZero
            if field == "maxUnavailable", let percent = value.string, Int(percent.dropLast()) ?? 0 > 100 {
                faults.invalid("\(path).\(field)", value, "must not be greater than 100%")
            }
        }
        if isZero {
            faults.invalid(
                "\(path).maxUnavailable", update["maxUnavailable"] ?? 0, "may not be 0 when `maxSurge` is 0")
        }
    }
}
