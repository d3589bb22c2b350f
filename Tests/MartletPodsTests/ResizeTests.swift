import MartletObject
import Testing

@testable import MartletPods

/// A pod's CPU and memory change while it runs.
@Suite struct ResizeTests {
    private static func container(
        _ name: String = "web", cpu: JSON = "100m", memory: JSON = "64Mi", restartsFor resource: JSON? = nil
    ) -> JSON {
        var container: JSON = [
            "name": .string(name), "image": "web:1",
            "resources": ["requests": ["cpu": cpu, "memory": memory], "limits": ["memory": memory]],
        ]
        if let resource {
            container["resizePolicy"] = [["resourceName": resource, "restartPolicy": "RestartContainer"]]
        }
        return container
    }

    private static func pod(_ containers: JSON..., restartPolicy: String = "Always", generation: Int64 = 1) -> JSON {
        var pod = Story.pod(restartPolicy: restartPolicy, containers: containers)
        pod["metadata", "generation"] = .int(generation)
        return pod
    }

    private static func memory(_ story: Story, _ name: String = "web") -> JSON? {
        story.container(name)["resources", "limits", "memory"]
    }

    @Test func aRunningContainerIsHeldToOtherResourcesAndGoesOnRunning() {
        var story = Story(Self.pod(Self.container()))
        story.settle()
        #expect(story.container("web")["resources", "requests", "cpu"] == "100m")
        #expect(story.container("web")["allocatedResources"] == ["cpu": "100m", "memory": "64Mi"])
        story.events = []
        story.feed(.desired(PodSpec(Self.pod(Self.container(cpu: "200m", memory: "128Mi"), generation: 2))))
        #expect(story.held["web-0"]?.cpuRequest == 200 && story.held["web-0"]?.memoryLimit == 128 << 20)
        #expect(story.container("web")["allocatedResources"] == ["cpu": "200m", "memory": "128Mi"])
        #expect(Self.memory(story) == "128Mi")
        #expect(story.starts == ["web#0"])
        #expect(story.events == ["ResizeStarted", "ResizeCompleted"])
        #expect(story.condition("PodResizePending") == nil && story.condition("PodResizeInProgress") == nil)
        #expect(story.status["observedGeneration"]?.int == 2)
    }

    @Test func onlyWhatCannotChangeWhileItRunsIsStartedAgain() {
        for policy in ["Always", "OnFailure"] {
            let first = Self.pod(Self.container(restartsFor: "memory"), Self.container("side"), restartPolicy: policy)
            var story = Story(first)
            story.settle()
            let cpu = Self.pod(
                Self.container(cpu: "300m", restartsFor: "memory"), Self.container("side"), restartPolicy: policy)
            story.feed(.desired(PodSpec(cpu)))
            #expect(story.starts == ["web#0", "side#0"])
            let both = Self.pod(
                Self.container(cpu: "300m", memory: "32Mi", restartsFor: "memory"),
                Self.container("side", memory: "32Mi"), restartPolicy: policy)
            story.feed(.desired(PodSpec(both)))
            story.settle()
            #expect(story.starts == ["web#0", "side#0", "web#1"])
            #expect(Self.memory(story) == "32Mi" && Self.memory(story, "side") == "32Mi")
            #expect(story.phase == "Running")
            #expect(story.container("web")["restartCount"]?.int == 1)
        }
    }

    @Test func whatTheNodeWillNeverHaveIsRefusedAndTheContainerKeepsWhatItHas() {
        var story = Story(Self.pod(Self.container()))
        story.settle()
        story.feed(.desired(PodSpec(Self.pod(Self.container(memory: "4Gi"), generation: 2))))
        #expect(Self.pending(story) == "Infeasible: no such node")
        story.pass(seconds: 600)
        let asked = story.done.filter { if case .allocate = $0 { true } else { false } }
        #expect(asked.count == 1)
        #expect(Self.memory(story) == "64Mi" && story.held.isEmpty)
        // A new start takes what is set aside, not what is asked for.
        story.exit("web-0", code: 1)
        story.settle()
        story.pass(seconds: 60)
        #expect(story.starts == ["web#0", "web#1"] && Self.memory(story) == "64Mi")
        story.feed(.desired(PodSpec(Self.pod(Self.container(), generation: 3))))
        #expect(Self.pending(story) == nil)
    }

    @Test func whatTheNodeDoesNotHaveNowIsAskedForAgain() {
        var story = Story(Self.pod(Self.container()))
        story.settle()
        story.memoryFree = 100 << 20
        story.feed(.desired(PodSpec(Self.pod(Self.container(memory: "128Mi"), generation: 2))))
        #expect(Self.pending(story) == "Deferred: not now")
        story.pass(seconds: 60)
        #expect(Self.pending(story) == "Deferred: not now")
        story.memoryFree = 1 << 30
        story.pass(seconds: 11)
        #expect(Self.pending(story) == nil && Self.memory(story) == "128Mi")
        #expect(story.events.filter { $0 == "ResizeDeferred" }.count == 1)
    }

    @Test func whatTheRuntimeRefusesIsShownAndTriedAgain() {
        var story = Story(Self.pod(Self.container()))
        story.settle()
        story.failures = [nil, ActionFailure(.other, "device or resource busy")]
        story.feed(.desired(PodSpec(Self.pod(Self.container(memory: "32Mi"), generation: 2))))
        let condition = story.status["conditions"]?.array?.first { $0["type"] == "PodResizeInProgress" }
        #expect(condition?["status"] == "True" && condition?["reason"] == "Error")
        #expect(condition?["message"] == "device or resource busy")
        #expect(Self.memory(story) == "64Mi")
        #expect(story.container("web")["allocatedResources", "memory"] == "32Mi")
        story.pass(seconds: 2)
        #expect(Self.memory(story) == "32Mi" && story.condition("PodResizeInProgress") == nil)
        #expect(story.events.suffix(3) == ["ResizeStarted", "ResizeError", "ResizeCompleted"])
    }

    @Test func anAgentThatWasAwayGoesOnWhereTheStatusIs() {
        var story = Story(Self.pod(Self.container()))
        story.settle()
        var pod = Self.pod(Self.container(memory: "128Mi"), generation: 2)
        pod["status"] = story.status
        story.machine = PodMachine(PodSpec(pod), hostIPs: [])
        story.settle()
        #expect(Self.memory(story) == "128Mi" && story.starts == ["web#0"])
        // And one of a version that said nothing of resources leaves the container alone.
        pod["status", "containerStatuses"] = .array(
            (story.status["containerStatuses"]?.array ?? []).map {
                var entry = $0
                entry["resources"] = nil
                entry["allocatedResources"] = nil
                return entry
            })
        story.held = [:]
        story.machine = PodMachine(PodSpec(pod), hostIPs: [])
        story.settle()
        #expect(story.held.isEmpty && Self.memory(story) == "128Mi")
    }

    private static func pending(_ story: Story) -> String? {
        guard let condition = story.status["conditions"]?.array?.first(where: { $0["type"] == "PodResizePending" })
        else { return nil }
        return "\(condition["reason"]?.string ?? ""): \(condition["message"]?.string ?? "")"
    }
}
