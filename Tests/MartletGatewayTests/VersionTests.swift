import MartletObject
import Testing

@testable import MartletGateway

/// One set of objects, served in several forms.
@Suite struct VersionTests {
    static let old = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
    static let new = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"

    static let autoscaler: JSON = [
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": ["name": "web"],
        "spec": [
            "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "web"], "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 60,
        ],
    ]

    @Test func anAutoscalerIsReadInEitherVersion() async throws {
        try await TestAPI.run { api in
            let watching = await api.watch("\(Self.new)?watch=true")
            let made = await api.post(Self.old, Self.autoscaler)
            #expect(made.code == 201, "\(made.text)")
            #expect(made.json.apiVersion == "autoscaling/v1")
            #expect(made.json["spec", "targetCPUUtilizationPercentage"] == 60)
            let event = await watching.next()
            #expect(event?["object"]?.apiVersion == "autoscaling/v2")
            #expect(event?["object"]?["spec", "metrics"]?[0]?["resource", "target", "averageUtilization"] == 60)
            watching.stop()
            let list = await api.get(Self.new)
            #expect(list.json.kind == "HorizontalPodAutoscalerList" && list.names == ["web"])
            #expect(list.json["items"]?[0]?.apiVersion == "autoscaling/v2")
            let patched = await api.patch("\(Self.new)/web", ["spec": ["maxReplicas": 9]])
            #expect(patched.code == 200, "\(patched.text)")
            #expect(await api.get("\(Self.old)/web").json["spec", "maxReplicas"] == 9)
            #expect(await api.post(Self.new, patched.json).code >= 400)
            #expect(await api.delete("\(Self.old)/web").code == 200)
            #expect(await api.get("\(Self.new)/web").code == 404)
        }
    }

    @Test func anEventIsReadUnderBothGroups() async throws {
        try await TestAPI.run { api in
            let event: JSON = [
                "metadata": ["name": "e"], "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c",
                "reportingInstance": "i", "action": "a", "reason": "Started", "note": "it began", "type": "Normal",
                "regarding": ["kind": "Pod", "name": "p", "namespace": "default"],
            ]
            let made = await api.post("/apis/events.k8s.io/v1/namespaces/default/events", event)
            #expect(made.code == 201, "\(made.text)")
            #expect(made.json["note"] == "it began")
            let core = await api.get("/api/v1/namespaces/default/events/e").json
            #expect(core.apiVersion == "v1" && core["message"] == "it began")
            #expect(core["involvedObject", "name"] == "p" && core["reportingComponent"] == "c")
        }
    }

    @Test func aBindingIsNoStoredKind() async throws {
        try await TestAPI.run { api in
            _ = await api.post(Paths.pods, Samples.pod("a"))
            let bindings = "/api/v1/namespaces/default/bindings"
            #expect(await api.get(bindings).code == 405)
            let bound = await api.post(
                bindings, ["kind": "Binding", "metadata": ["name": "a"], "target": ["kind": "Node", "name": "n1"]])
            #expect(bound.code == 201, "\(bound.text)")
            #expect(await api.get("\(Paths.pods)/a").json["spec", "nodeName"] == "n1")
        }
    }
}
