import MartletBase
import MartletControllers
import MartletObject
import Testing

@Suite struct DisruptionTests {
    private static let budgetKey = ObjectKey(.disruptionBudget, namespace: "default", name: "b")

    private static func set(_ replicas: Int64) -> JSON {
        [
            "metadata": ["name": "web", "namespace": "default"],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "web"]],
                "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "c"]]]],
            ],
        ]
    }

    private static func budget(_ spec: JSON) -> JSON {
        var budget: JSON = ["metadata": ["name": "b", "namespace": "default"], "spec": spec]
        budget["spec", "selector"] = ["matchLabels": ["app": "web"]]
        return budget
    }

    /// What a budget of four running pods says: allowed, healthy, desired, expected.
    private static func numbers(_ spec: JSON, replicas: Int64 = 4) -> [Int?] {
        var story = Story()
        story.put(.replicaSet, set(replicas))
        story.put(.disruptionBudget, budget(spec))
        story.live()
        return numbers(story)
    }

    private static func numbers(_ story: Story) -> [Int?] {
        let status = story.snapshot.get(budgetKey)?["status"]
        return ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"].map { status?[$0]?.int }
    }

    @Test func aBudgetIsANumberOrAPartOfWhatItsOwnersWant() {
        #expect(Self.numbers(["minAvailable": 3]) == [1, 4, 3, 4])
        #expect(Self.numbers(["minAvailable": "30%"]) == [2, 4, 2, 4])
        #expect(Self.numbers(["maxUnavailable": 1]) == [1, 4, 3, 4])
        #expect(Self.numbers(["maxUnavailable": "30%"]) == [2, 4, 2, 4])
        #expect(Self.numbers(["maxUnavailable": "100%"]) == [4, 4, 0, 4])
        #expect(Self.numbers(["minAvailable": 9]) == [0, 4, 9, 4])
        #expect(Self.numbers(["maxUnavailable": 1], replicas: 0) == [0, 0, 0, 0])
    }

    @Test func aDeploymentSaysHowManyItsReplicaSetsShouldHave() {
        var story = Story()
        var deployment = Self.set(3)
        deployment["spec", "strategy"] = ["type": "RollingUpdate"]
        story.put(.deployment, deployment)
        story.put(.disruptionBudget, Self.budget(["maxUnavailable": 1]))
        story.live()
        #expect(Self.numbers(story) == [1, 3, 2, 3])
        let condition = story.snapshot.get(Self.budgetKey)?["status", "conditions"]?[0]
        #expect(condition?["type"] == "DisruptionAllowed" && condition?["reason"] == "SufficientPods")
        #expect(story.snapshot.get(Self.budgetKey)?["status", "observedGeneration"] == 1)
    }

    @Test func anEvictedPodCountsAsGoneForTwoMinutes() {
        var story = Story()
        story.put(.replicaSet, Self.set(2))
        story.put(.disruptionBudget, Self.budget(["minAvailable": 1]))
        story.live()
        #expect(Self.numbers(story) == [1, 2, 1, 2])
        let pod = story.snapshot.list(.pod)[0]
        var budget = story.snapshot.get(Self.budgetKey) ?? [:]
        budget["status", "disruptedPods", pod.name] = .string(story.now.rfc3339)
        budget["status", "disruptionsAllowed"] = 0
        story.put(.disruptionBudget, budget)
        story.settle()
        #expect(Self.numbers(story) == [0, 1, 1, 2])
        let condition = story.snapshot.get(Self.budgetKey)?["status", "conditions"]?[0]
        #expect(condition?["status"] == "False" && condition?["reason"] == "InsufficientPods")
        // Nobody ends it: it counts again.
        story.now = story.now + .seconds(121)
        var touched = story.snapshot.get(Self.budgetKey) ?? [:]
        touched["metadata", "labels"] = ["touched": "yes"]
        story.put(.disruptionBudget, touched)
        story.settle()
        #expect(Self.numbers(story) == [1, 2, 1, 2])
        #expect(story.snapshot.get(Self.budgetKey)?["status", "disruptedPods"] == nil)
        #expect(story.events.contains { $0.contains("expected by PDB default/b to be deleted but it wasn't") })
    }

    @Test func whenItIsNotKnownWhoIsNeededNobodyMayGo() {
        var story = Story()
        story.put(
            .pod,
            [
                "metadata": [
                    "name": "a", "namespace": "default", "labels": ["app": "web"],
                    "ownerReferences": [
                        ["apiVersion": "x/v1", "kind": "Other", "name": "o", "uid": "u", "controller": true]
                    ],
                ]
            ])
        story.put(.disruptionBudget, Self.budget(["maxUnavailable": 1]))
        story.settle()
        let status = story.snapshot.get(Self.budgetKey)?["status"]
        #expect(status?["disruptionsAllowed"] == 0)
        #expect(status?["conditions"]?[0]?["reason"] == "SyncFailed")
        // A plain number needs no owners.
        story.put(.disruptionBudget, Self.budget(["minAvailable": 1]))
        story.settle()
        #expect(story.snapshot.get(Self.budgetKey)?["status", "conditions"]?[0]?["reason"] == "InsufficientPods")
    }
}
