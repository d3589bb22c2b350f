import FuzzSupport
import MartletBase
import MartletObject
import Testing

@Suite struct StoredFormTests {
    @Test func mostKindsAreStoredAsTheyAreServed() throws {
        let pod: JSON = ["apiVersion": "v1", "kind": "Pod"]
        #expect(ResourceKind.pod.toStored(pod) == pod)
        #expect(ResourceKind.pod.fromStored(pod) == pod)
        #expect(
            ResourceKind.all.filter { !$0.isHome }.map { "\($0.apiVersion) \($0.plural)" } == [
                "v1 bindings", "events.k8s.io/v1 events", "autoscaling/v1 horizontalpodautoscalers",
                "authentication.k8s.io/v1 tokenreviews", "authentication.k8s.io/v1 selfsubjectreviews",
                "authorization.k8s.io/v1 subjectaccessreviews", "authorization.k8s.io/v1 selfsubjectaccessreviews",
                "authorization.k8s.io/v1 selfsubjectrulesreviews", "authorization.k8s.io/v1 localsubjectaccessreviews",
                "gateway.networking.k8s.io/v1beta1 gatewayclasses", "gateway.networking.k8s.io/v1beta1 gateways",
                "gateway.networking.k8s.io/v1beta1 httproutes", "gateway.networking.k8s.io/v1beta1 referencegrants",
            ])
    }

    @Test func everyViewKnowsWhereItsObjectsAreAtHome() {
        #expect(ResourceKind.podAutoscalerV1.home(among: ResourceKind.all) == .podAutoscaler)
        #expect(ResourceKind.groupedEvent.home(among: ResourceKind.all) == .event)
        #expect(ResourceKind.pod.home(among: ResourceKind.all) == .pod)
        for kind in ResourceKind.all where kind.verbs.contains("list") {
            #expect(kind.home(among: ResourceKind.all).isHome, "\(kind.apiVersion) \(kind.kind)")
        }
    }

    @Test func aVersionThatIsOnlyAnotherNameChangesTheName() throws {
        let stored = StoredForm(group: "example.org", version: "v1", conversion: .apiVersion)
        let old = ResourceKind(
            group: "example.org", version: "v1beta1", kind: "Thing", plural: "things", singular: "thing",
            isNamespaced: true, stored: stored)
        let object: JSON = ["apiVersion": "example.org/v1beta1", "kind": "Thing", "spec": ["a": 1]]
        var kept = object
        kept["apiVersion"] = "example.org/v1"
        #expect(old.toStored(object) == kept)
        #expect(old.fromStored(kept) == object)
        #expect(try old.fromStored(kept.encoded()) == object.encoded())
        #expect(try old.fromStored(object.encoded()) == object.encoded())
    }

    @Test func anEventHasTwoSetsOfNames() throws {
        let event: JSON = [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e"],
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "i",
            "action": "a", "reason": "r", "regarding": ["kind": "Pod"], "note": "n", "type": "Normal",
            "deprecatedSource": ["component": "c"], "deprecatedCount": 2,
        ]
        let stored = ResourceKind.groupedEvent.toStored(event)
        #expect(stored.apiVersion == "v1")
        #expect(stored["involvedObject"] == ["kind": "Pod"] && stored["message"] == "n")
        #expect(stored["reportingComponent"] == "c" && stored["source", "component"] == "c" && stored["count"] == 2)
        #expect(ResourceKind.groupedEvent.fromStored(stored) == event)
    }

    static let autoscaler: JSON = [
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": ["name": "h", "annotations": ["a": "b"]],
        "spec": [
            "scaleTargetRef": ["kind": "Deployment", "name": "d"], "minReplicas": 1, "maxReplicas": 3,
            "metrics": [
                [
                    "type": "Resource",
                    "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 70]],
                ],
                [
                    "type": "Pods",
                    "pods": ["metric": ["name": "p"], "target": ["type": "AverageValue", "averageValue": "5"]],
                ],
                [
                    "type": "External",
                    "external": ["metric": ["name": "q"], "target": ["type": "Value", "value": "10"]],
                ],
            ],
            "behavior": ["scaleDown": ["selectPolicy": "Disabled"]],
        ],
        "status": [
            "currentReplicas": 1, "desiredReplicas": 2,
            "conditions": [["type": "AbleToScale", "status": "True"]],
        ],
    ]

    @Test func fuzzedAnnotationsAreReadWithoutATrap() throws {
        let old = ResourceKind.podAutoscalerV1.fromStored(Self.autoscaler)
        let names = old.annotations.keys.filter { $0.hasPrefix("autoscaling.") }.sorted()
        #expect(names.count == 3)
        var random = SplitMix64(seed: Fuzz.seed(11))
        for _ in 0..<Fuzz.runs(2000) {
            var spoilt = old
            for name in names {
                let text = Array((old.annotations[name] ?? "").utf8)
                spoilt["metadata", "annotations", name] = .string(
                    String(decoding: Fuzz.spoiled(text, &random), as: UTF8.self))
            }
            let stored = ResourceKind.podAutoscalerV1.toStored(spoilt)
            _ = ResourceKind.podAutoscalerV1.fromStored(stored)
            _ = Table.cells(of: stored, kind: .podAutoscaler, now: WallTime(nanoseconds: 0))
            _ = Validation.create(stored, kind: .podAutoscaler)
        }
    }

    @Test func anAutoscalersFirstVersionLosesNothing() throws {
        let old = ResourceKind.podAutoscalerV1.fromStored(Self.autoscaler)
        #expect(old.apiVersion == "autoscaling/v1")
        #expect(old["spec", "targetCPUUtilizationPercentage"] == 70)
        #expect(old["spec", "metrics"] == nil && old["spec", "behavior"] == nil)
        #expect(
            old.annotations["autoscaling.alpha.kubernetes.io/metrics"]
                == #"[{"type":"Pods","pods":{"metricName":"p","targetAverageValue":"5"}},"#
                + #"{"type":"External","external":{"metricName":"q","targetValue":"10"}}]"#)
        #expect(ResourceKind.podAutoscalerV1.toStored(old) == Self.autoscaler)
    }
}
