/// Defaults of what rules over other objects, that look at other fields.
enum PolicyDefaults {
    static let byType: [String: @Sendable (inout JSON) -> Void] = [
        "NetworkPolicySpec": policyTypes, "rbac.authorization.k8s.io/v1 Subject": subject,
        "autoscaling/v1 HorizontalPodAutoscaler": oldAutoscaler,
        "autoscaling/v2 HorizontalPodAutoscalerSpec": autoscaler, "HorizontalPodAutoscalerBehavior": behavior,
    ]

    /// A policy is about what comes in, and about what goes out when it has rules for that.
    @Sendable private static func policyTypes(_ spec: inout JSON) {
        guard (spec["policyTypes"]?.array ?? []).isEmpty else { return }
        spec["policyTypes"] = (spec["egress"]?.array ?? []).isEmpty ? ["Ingress"] : ["Ingress", "Egress"]
    }

    @Sendable private static func subject(_ subject: inout JSON) {
        guard ["User", "Group"].contains(subject["kind"]?.string), ConditionalDefaults.isEmpty(subject["apiGroup"])
        else { return }
        subject["apiGroup"] = "rbac.authorization.k8s.io"
    }

    /// Without a metric, CPU is what counts.
    @Sendable private static func autoscaler(_ spec: inout JSON) {
        guard (spec["metrics"]?.array ?? []).isEmpty else { return }
        spec["metrics"] = [
            [
                "type": "Resource",
                "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 80]],
            ]
        ]
    }

    /// The same, where the other metrics are in an annotation.
    @Sendable private static func oldAutoscaler(_ object: inout JSON) {
        guard object["spec", "targetCPUUtilizationPercentage"] == nil, object["spec"]?.object != nil,
            object.annotations[PodAutoscalerForms.metrics] == nil
        else { return }
        object["spec", "targetCPUUtilizationPercentage"] = 80
    }

    @Sendable private static func behavior(_ behavior: inout JSON) {
        let up: JSON = [
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [
                ["type": "Pods", "value": 4, "periodSeconds": 15],
                ["type": "Percent", "value": 100, "periodSeconds": 15],
            ],
        ]
        let down: JSON = [
            "selectPolicy": "Max", "policies": [["type": "Percent", "value": 100, "periodSeconds": 15]],
        ]
        for (name, defaults) in [("scaleUp", up), ("scaleDown", down)] {
            var rules = behavior[name] ?? [:]
            for (field, value) in defaults.object ?? [:] where rules[field] == nil { rules[field] = value }
            behavior[name] = rules
        }
    }
}
