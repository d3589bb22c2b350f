import FuzzSupport
import MartletBase
import MartletObject
import Testing

/// What the tables, defaults and rules make of a small object of every kind.
@Suite struct KindRulesTests {
    static func sample(_ kind: ResourceKind) throws -> String {
        try #require(KindSamples.text(apiVersion: kind.apiVersion, kind: kind.kind), "\(kind.apiVersion) \(kind.kind)")
    }

    /// A good object, changed by a JSON patch, as the gateway would check it.
    private func changed(_ kind: ResourceKind, _ patch: String) throws -> JSON {
        var text = try Self.sample(kind)
        if kind == .job {
            // What the gateway does for jobs; here they bring their own.
            text = text.replacing(
                "\"spec\":{\"template\":{",
                with: """
                    "spec":{"manualSelector":true,"selector":{"matchLabels":{"a":"b"}},
                    "template":{"metadata":{"labels":{"a":"b"}},
                    """)
        }
        var base = try admitted(text, kind)
        if kind.isNamespaced { base["metadata", "namespace"] = "default" }
        let object = try Patch.apply(json("[\(patch)]"), type: .json, to: base, kind: kind)
        return try admitted(String(decoding: object.encoded(), as: UTF8.self), kind)
    }

    @Test func everyKindHasAGoodSample() throws {
        for kind in ResourceKind.all where kind.verbs.contains("list") {
            let (conformed, unknown) = try Schema.conform(json(Self.sample(kind)), to: kind)
            #expect(unknown == [], "\(kind.apiVersion) \(kind.kind)")
            #expect(conformed.kind == kind.kind)
            let object = try changed(kind, "")
            #expect(Validation.create(object, kind: kind) == [], "\(kind.apiVersion) \(kind.kind)")
            #expect(Validation.update(object, from: object, kind: kind) == [], "\(kind.apiVersion) \(kind.kind)")
            var again = object
            Defaults.apply(to: &again, kind: kind)
            #expect(again.encoded() == object.encoded(), "\(kind.apiVersion) \(kind.kind)")
            let back = kind.fromStored(kind.toStored(object))
            #expect(back["spec"] == object["spec"] && back["metadata"] == object["metadata"], "\(kind.apiVersion)")
            let cells = Table.cells(of: object, kind: kind, now: WallTime(nanoseconds: 0))
            #expect(cells.count == Table.columns(of: kind).count)
        }
    }

    @Test(
        arguments: [
            (.statefulSet, ["spec", "podManagementPolicy"], "OrderedReady"),
            (.statefulSet, ["spec", "updateStrategy"], ["type": "RollingUpdate", "rollingUpdate": ["partition": 0]]),
            (
                .statefulSet, ["spec", "persistentVolumeClaimRetentionPolicy"],
                ["whenDeleted": "Retain", "whenScaled": "Retain"]
            ),
            (
                .daemonSet, ["spec", "updateStrategy"],
                ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 1, "maxSurge": 0]]
            ),
            (.replicationController, ["spec", "selector"], ["app": "web"]),
            (.replicationController, ["metadata", "labels"], ["app": "web"]),
            (.job, ["spec", "backoffLimit"], 6), (.job, ["spec", "completions"], 1),
            (.job, ["spec", "parallelism"], 1), (.job, ["spec", "podReplacementPolicy"], "TerminatingOrFailed"),
            (.cronJob, ["spec", "concurrencyPolicy"], "Allow"), (.cronJob, ["spec", "failedJobsHistoryLimit"], 1),
            (.persistentVolume, ["spec", "persistentVolumeReclaimPolicy"], "Retain"),
            (.persistentVolumeClaim, ["spec", "volumeMode"], "Filesystem"),
            (.persistentVolumeClaim, ["status", "phase"], "Pending"),
            (.networkPolicy, ["spec", "policyTypes"], ["Ingress"]),
            (.podAutoscaler, ["spec", "minReplicas"], 1),
            (
                .podAutoscaler, ["spec", "metrics"],
                [
                    [
                        "type": "Resource",
                        "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 80]],
                    ]
                ]
            ),
            (.podAutoscalerV1, ["spec", "minReplicas"], 1),
            (.priorityClass, ["preemptionPolicy"], "PreemptLowerPriority"),
            (.storageClass, ["reclaimPolicy"], "Delete"), (.storageClass, ["volumeBindingMode"], "Immediate"),
            (
                .roleBinding, ["subjects"],
                [["kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"]]
            ),
            (
                .limitRange, ["spec", "limits"],
                [["type": "Container", "max": ["cpu": "2"], "default": ["cpu": "2"], "defaultRequest": ["cpu": "2"]]]
            ),
        ] as [(ResourceKind, [String], JSON)])
    func defaultsAreFilledIn(kind: ResourceKind, path: [String], value: JSON) throws {
        let object = try changed(kind, "")
        #expect(path.reduce(JSON?.some(object)) { $0?[$1] } == value)
    }

    @Test(
        arguments: [
            (
                .statefulSet, #"{"op":"add","path":"/spec/updateStrategy/type","value":"Often"}"#,
                "spec.updateStrategy: Invalid value: \"Often\": must be 'RollingUpdate' or 'OnDelete'"
            ),
            (
                .daemonSet, #"{"op":"add","path":"/spec/updateStrategy/rollingUpdate","value":{"maxUnavailable":0}}"#,
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"
            ),
            (
                .daemonSet, #"{"op":"add","path":"/spec/template/metadata/labels","value":{"a":"b"}}"#,
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template "
                    + "`labels`"
            ),
            (
                .job, #"{"op":"remove","path":"/spec/template/spec/restartPolicy"}"#,
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
            ),
            (
                .job, #"{"op":"add","path":"/spec/backoffLimitPerIndex","value":1}"#,
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"
            ),
            (
                .cronJob, #"{"op":"replace","path":"/spec/schedule","value":"a b"}"#,
                "spec.schedule: Invalid value: \"a b\": expected exactly 5 fields, found 2: [a b]"
            ),
            (
                .cronJob, #"{"op":"replace","path":"/spec/schedule","value":"61 * * * *"}"#,
                "spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61"
            ),
            (
                .persistentVolumeClaim, #"{"op":"remove","path":"/spec/accessModes"}"#,
                "spec.accessModes: Required value: at least 1 access mode is required"
            ),
            (
                .persistentVolumeClaim, #"{"op":"remove","path":"/spec/resources"}"#,
                "spec.resources[storage]: Required value"
            ),
            (
                .persistentVolumeClaim, #"{"op":"add","path":"/spec/accessModes","value":["Sometimes"]}"#,
                "spec.accessModes[0]: Unsupported value: \"Sometimes\": supported values: \"ReadOnlyMany\", "
                    + "\"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\""
            ),
            (
                .persistentVolume, #"{"op":"remove","path":"/spec/hostPath"}"#,
                "spec: Required value: must specify a volume type"
            ),
            (
                .networkPolicy, #"{"op":"add","path":"/spec/ingress/0/from/0/ipBlock/cidr","value":"10.0.0.0/33"}"#,
                "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, "
                    + "(e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ),
            (
                .networkPolicy, #"{"op":"add","path":"/spec/ingress/0/from/0/ipBlock/except/0","value":"11.0.0.0/16"}"#,
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset "
                    + "of `cidr`"
            ),
            (
                .networkPolicy, #"{"op":"add","path":"/spec/ingress/0/ports/0/endPort","value":70}"#,
                "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`"
            ),
            (
                .podAutoscaler, #"{"op":"add","path":"/spec/minReplicas","value":9}"#,
                "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"
            ),
            (
                .podAutoscalerV1, #"{"op":"add","path":"/spec/targetCPUUtilizationPercentage","value":0}"#,
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"
            ),
            (
                .podAutoscalerV1,
                #"{"op":"add","path":"/metadata/annotations","#
                    + #""value":{"autoscaling.alpha.kubernetes.io/behavior":"1"}}"#,
                "metadata.annotations: Invalid value: {\"autoscaling.alpha.kubernetes.io/behavior\":\"1\"}: json: "
                    + "cannot unmarshal number into Go struct field HorizontalPodAutoscalerSpec.spec.behavior of type "
                    + "v2.HorizontalPodAutoscalerBehavior"
            ),
            (
                .role, #"{"op":"remove","path":"/rules/0/verbs"}"#,
                "rules[0].verbs: Required value: verbs must contain at least one value"
            ),
            (
                .role, #"{"op":"add","path":"/rules/0","value":{"verbs":["get"],"nonResourceURLs":["/x"]}}"#,
                "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs"
            ),
            (
                .clusterRoleBinding, #"{"op":"replace","path":"/roleRef/kind","value":"Role"}"#,
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\""
            ),
            (
                .resourceQuota, #"{"op":"add","path":"/spec/hard/cups","value":"1"}"#,
                "spec.hard[cups]: Invalid value: \"cups\": must be a standard resource for quota"
            ),
            (
                .limitRange, #"{"op":"add","path":"/spec/limits/0/min","value":{"cpu":"3"}}"#,
                "spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than default request value 2"
            ),
            (
                .priorityClass, #"{"op":"replace","path":"/value","value":1000000001}"#,
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
            ),
            (
                .certificateSigningRequest, #"{"op":"remove","path":"/spec/usages"}"#, "spec.usages: Required value"
            ),
            (.gateway, #"{"op":"remove","path":"/spec/listeners/0/port"}"#, "spec.listeners[0].port: Required value"),
            (
                .httpRoute, #"{"op":"add","path":"/spec/rules/0/matches","value":[{"path":{"type":"Roughly"}}]}"#,
                "spec.rules[0].matches[0].path.type: Unsupported value: \"Roughly\": supported values: \"Exact\", "
                    + "\"PathPrefix\", \"RegularExpression\""
            ),
            (.groupedEvent, #"{"op":"remove","path":"/action"}"#, "action: Required value"),
        ] as [(ResourceKind, String, String)])
    func faultsAreNamed(kind: ResourceKind, patch: String, fault: String) throws {
        let faults = Validation.create(try changed(kind, patch), kind: kind).map(\.description)
        #expect(faults.first == fault)
    }

    @Test(
        arguments: [
            (
                .statefulSet, #"{"op":"replace","path":"/spec/serviceName","value":"x"}"#,
                "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                    + "'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "
                    + "and 'minReadySeconds' are forbidden"
            ),
            (
                .job, #"{"op":"replace","path":"/spec/completions","value":3}"#,
                "spec.completions: Invalid value: 3: field is immutable"
            ),
            (
                .persistentVolumeClaim, #"{"op":"replace","path":"/spec/accessModes/0","value":"ReadWriteMany"}"#,
                "spec: Forbidden: spec is immutable after creation except resources.requests and "
                    + "volumeAttributesClassName for bound claims"
            ),
            (
                .persistentVolume, #"{"op":"replace","path":"/spec/hostPath/path","value":"/x"}"#,
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
            ),
            (
                .storageClass, #"{"op":"replace","path":"/provisioner","value":"example.com/x"}"#,
                "provisioner: Forbidden: updates to provisioner are forbidden."
            ),
            (
                .roleBinding, #"{"op":"replace","path":"/roleRef/name","value":"x"}"#,
                "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":\"x\"}"
                    + ": cannot change roleRef"
            ),
            (
                .priorityClass, #"{"op":"replace","path":"/value","value":5}"#,
                "value: Forbidden: may not be changed in an update."
            ),
        ] as [(ResourceKind, String, String)])
    func changesThatAreNotAllowedAreNamed(kind: ResourceKind, patch: String, fault: String) throws {
        let old = try changed(kind, "")
        let faults = Validation.update(try changed(kind, patch), from: old, kind: kind).map(\.description)
        #expect(faults == [fault])
    }

    @Test func aNodeKeepsItsRangesOfPodAddresses() {
        func node(_ ranges: [String], provider: String? = nil) -> JSON {
            var node: JSON = ["metadata": ["name": "n", "resourceVersion": "1"], "spec": [:]]
            if let first = ranges.first { node["spec", "podCIDR"] = .string(first) }
            if !ranges.isEmpty { node["spec", "podCIDRs"] = .array(ranges.map { .string($0) }) }
            node["spec", "providerID"] = provider.map { .string($0) }
            return node
        }
        func faults(_ new: JSON, from old: JSON) -> [String] {
            Validation.update(new, from: old, kind: .node).map(\.description)
        }
        let (v4, v6) = ("10.244.1.0/24", "fd00:244:0:1::/64")
        let kept = "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
        #expect(faults(node([v4, v6]), from: node([])) == [])
        #expect(faults(node([v4, v6]), from: node([v4, v6])) == [])
        for ranges in [[], ["10.244.2.0/24"], [v4, v6], [v6]] {
            #expect(faults(node(ranges), from: node([v4])) == [kept], "\(ranges)")
        }
        let families = "may specify no more than one CIDR for each IP family"
        #expect(faults(node([v4, "10.244.2.0/24"]), from: node([])).first?.hasSuffix(families) == true)
        #expect(faults(node([v4, v6, "fd01::/64"]), from: node([])).first?.hasSuffix(families) == true)
        #expect(
            faults(node(["10.244.1.0"]), from: node([])) == [
                "spec.podCIDRs[0]: Invalid value: \"10.244.1.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or "
                    + "2001:db8::/64)"
            ])
        #expect(
            faults(node([], provider: "b"), from: node([], provider: "a")) == [
                "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"
            ])
    }

    @Test(
        arguments: [
            ("*/5 * * * *", true), ("0 0 1 jan mon", true), ("@daily", true), ("@every 1h30m", true),
            ("0 9-17/2 * * 1-5", true), ("0,30 * * * *", true), ("? * * * *", true), ("", false), ("@often", false),
            ("@every soon", false), ("60 * * * *", false), ("* * 0 * *", false), ("5-1 * * * *", false),
            ("*/0 * * * *", false), ("1-2-3 * * * *", false), ("1/2/3 * * * *", false), ("* * * * 7", false),
        ] as [(String, Bool)])
    func schedulesAreRead(text: String, isGood: Bool) throws {
        let patch = #"{"op":"replace","path":"/spec/schedule","value":"\#(text)"}"#
        #expect(Validation.create(try changed(.cronJob, patch), kind: .cronJob).isEmpty == isGood)
    }

    /// Spoilt bodies of every kind, on the way that the gateway leads them.
    @Test func fuzzedBodiesAreJudgedWithoutATrap() throws {
        var random = SplitMix64(seed: Fuzz.seed(17))
        var judged = 0
        for kind in ResourceKind.all where kind.verbs.contains("list") {
            let good = try changed(kind, "")
            for _ in 0..<Fuzz.runs(60) {
                let bytes = Fuzz.spoiled(good.encoded(), &random)
                guard let text = try? JSON(parsing: bytes), var object = try? Schema.conform(text, to: kind).object
                else { continue }
                judged += 1
                Defaults.apply(to: &object, kind: kind)
                _ = Validation.create(object, kind: kind)
                _ = Validation.update(object, from: good, kind: kind)
                _ = kind.fromStored(kind.toStored(object))
                _ = Table.cells(of: object, kind: kind, now: WallTime(nanoseconds: 0))
            }
        }
        #expect(judged > 100)
    }

    @Test func fuzzedSchedulesAreReadWithoutATrap() throws {
        var random = SplitMix64(seed: Fuzz.seed(5))
        let letters = Array("*/-,?@0159 janmonTZ\u{e9}every")
        for _ in 0..<Fuzz.runs(2000) {
            let text = String(
                (0..<Int(random.next() % 20)).map { _ in letters[Int(random.next() % UInt64(letters.count))] })
            var object = try changed(.cronJob, "")
            object["spec", "schedule"] = .string(text)
            _ = Validation.create(object, kind: .cronJob)
        }
    }
}
