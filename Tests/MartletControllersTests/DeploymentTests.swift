import MartletBase
import MartletControllers
import MartletObject
import Testing

@Suite struct DeploymentTests {
    @Test func aNewDeploymentMakesOneReplicaSetAndItsPods() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1"))
        story.live()
        #expect(story.snapshot.list(.replicaSet).count == 1)
        #expect(story.snapshot.list(.pod).count == 2)
        let status = story.snapshot.get(.deployment, namespace: "default", name: "web")?["status"]
        #expect(status?["availableReplicas"] == 2)
        #expect(status?["updatedReplicas"] == 2)
        #expect(status?["unavailableReplicas"] == nil)
        #expect(status?["observedGeneration"] == 1)
        let progressing = status?["conditions"]?.array?.first { $0["type"] == "Progressing" }
        #expect(progressing?["reason"] == "NewReplicaSetAvailable")
        let set = story.snapshot.list(.replicaSet)[0]
        #expect(story.events.contains("Scaled up replica set \(set.name) from 0 to 2"))
        #expect(set.labels["pod-template-hash"] == String(set.name.dropFirst("web-".count)))
    }

    @Test func nothingMovesOnceAllIsAsWished() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 3, image: "web:1"))
        story.live()
        story.done = []
        for object in story.snapshot.list(.deployment) { story.put(.deployment, object) }
        let rests = story.settle()
        #expect(rests)
        #expect(story.done.isEmpty)
    }

    @Test func aNewTemplateRollsAndNeverHasTooFewOrTooManyPods() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 4, image: "web:1"))
        story.live()
        story.put(.deployment, deployment("web", replicas: 4, image: "web:2"))
        var moved = false
        for _ in 0..<50 {
            story.settle()
            let pods = story.snapshot.list(.pod).filter { !$0.isTerminating }
            #expect(pods.count <= 5)
            #expect(pods.filter { $0["status", "phase"] == "Running" }.count >= 3)
            moved = moved || pods.contains { $0["spec", "containers"]?[0]?["image"] == "web:2" }
            story.nodesWork()
        }
        #expect(moved)
        #expect(story.snapshot.list(.pod).allSatisfy { $0["spec", "containers"]?[0]?["image"] == "web:2" })
        #expect(story.snapshot.list(.pod).count == 4)
        let sets = story.snapshot.list(.replicaSet)
        #expect(sets.map { $0["spec", "replicas"]?.int ?? -1 }.sorted() == [0, 4])
        let revision = story.snapshot.get(.deployment, namespace: "default", name: "web")?.annotations[
            "deployment.kubernetes.io/revision"]
        #expect(revision == "2")
    }

    @Test func rollingBackReusesTheOldReplicaSetUnderANewRevision() {
        var story = Story()
        for image in ["web:1", "web:2", "web:1"] {
            story.put(.deployment, deployment("web", replicas: 2, image: image))
            story.live()
        }
        #expect(story.snapshot.list(.replicaSet).count == 2)
        let live = story.snapshot.list(.replicaSet).first { $0["spec", "replicas"] == 2 }
        #expect(live?["spec", "template", "spec", "containers"]?[0]?["image"] == "web:1")
        #expect(live?.annotations["deployment.kubernetes.io/revision"] == "3")
    }

    @Test func aBrokenNewTemplateLeavesEnoughOldPodsRunning() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 4, image: "web:1"))
        story.live()
        story.put(.deployment, deployment("web", replicas: 4, image: "broken"))
        story.settle()  // no node makes the new pods ready
        let running = story.snapshot.list(.pod).filter { $0["status", "phase"] == "Running" && !$0.isTerminating }
        #expect(running.count == 3)
        story.now = story.now + .seconds(601)
        let object = story.snapshot.get(.deployment, namespace: "default", name: "web") ?? .null
        var touched = object
        touched["metadata", "labels", "touched"] = "yes"
        story.put(.deployment, touched)
        story.settle()
        let status = story.snapshot.get(.deployment, namespace: "default", name: "web")?["status"]
        let progressing = status?["conditions"]?.array?.first { $0["type"] == "Progressing" }
        #expect(progressing?["reason"] == "ProgressDeadlineExceeded")
        #expect(progressing?["status"] == "False")
    }

    @Test func recreateStartsNothingNewWhileSomethingOldRuns() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1", strategy: "Recreate"))
        story.live()
        story.put(.deployment, deployment("web", replicas: 2, image: "web:2", strategy: "Recreate"))
        story.settle()
        #expect(story.snapshot.list(.pod).allSatisfy { $0["spec", "containers"]?[0]?["image"] == "web:1" })
        story.live()
        #expect(story.snapshot.list(.pod).count == 2)
        #expect(story.snapshot.list(.pod).allSatisfy { $0["spec", "containers"]?[0]?["image"] == "web:2" })
    }

    @Test func scalingToZeroAndBackKeepsTheReplicaSet() {
        var story = Story()
        for replicas in [3, 0, 2] {
            story.put(.deployment, deployment("web", replicas: replicas, image: "web:1"))
            story.live()
            #expect(story.snapshot.list(.pod).count == replicas)
        }
        #expect(story.snapshot.list(.replicaSet).count == 1)
    }

    @Test func aDeletedPodIsReplaced() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1"))
        story.live()
        let victim = story.snapshot.list(.pod)[0]
        story.delete(ObjectKey(.pod, namespace: victim.namespace, name: victim.name))
        story.live()
        #expect(story.snapshot.list(.pod).count == 2)
        #expect(!story.snapshot.list(.pod).contains { $0.uid == victim.uid })
    }

    @Test func deletingTheDeploymentCollectsAllBelowIt() {
        var story = Story()
        story.put(.deployment, deployment("web", replicas: 2, image: "web:1"))
        story.live()
        story.take(ObjectKey(.deployment, namespace: "default", name: "web"))
        story.live()
        #expect(story.snapshot.list(.replicaSet).isEmpty)
        #expect(story.snapshot.list(.pod).isEmpty)
    }

    @Test(arguments: [
        ("25%", "25%", 10, 3, 2), ("25%", "25%", 1, 1, 0), ("0", "0%", 4, 0, 1), ("100%", "1", 2, 2, 1),
        ("9223372036854775807%", "0", 4, 4, 0),
    ])
    func percentagesRoundAsUpstream(surge: String, unavailable: String, replicas: Int, up: Int, down: Int) {
        var story = Story()
        var object = deployment("web", replicas: replicas, image: "web:1")
        object["spec", "strategy", "rollingUpdate", "maxSurge"] = Int(surge).map { .int(Int64($0)) } ?? .string(surge)
        object["spec", "strategy", "rollingUpdate", "maxUnavailable"] =
            Int(unavailable).map { .int(Int64($0)) } ?? .string(unavailable)
        story.put(.deployment, object)
        story.live()
        object["spec", "template", "spec", "containers"] = [["name": "web", "image": "web:2"]]
        story.put(.deployment, object)
        story.settle()
        let pods = story.snapshot.list(.pod).filter { !$0.isTerminating }
        #expect(pods.filter { $0["spec", "containers"]?[0]?["image"] == "web:2" }.count == min(up + down, replicas))
        #expect(pods.filter { $0["status", "phase"] == "Running" }.count == replicas - down)
    }
}
