import MartletBase
import MartletObject
import MartletScheduler
import Testing

private func node(_ name: String, cpu: String = "4", memory: String = "8Gi", pods: Int = 110) -> JSON {
    [
        "metadata": ["name": .string(name), "labels": ["kubernetes.io/hostname": .string(name)]],
        "status": ["allocatable": ["cpu": .string(cpu), "memory": .string(memory), "pods": .int(Int64(pods))]],
    ]
}

private func pod(_ name: String, cpu: String? = nil, owner: String? = nil) -> JSON {
    var pod: JSON = [
        "metadata": ["name": .string(name), "namespace": "default", "uid": .string("uid-" + name)],
        "spec": ["containers": [["name": "c"]]],
    ]
    if let cpu { pod["spec", "containers"] = [["name": "c", "resources": ["requests": ["cpu": .string(cpu)]]]] }
    if let owner { pod["metadata", "ownerReferences"] = [["uid": .string(owner), "controller": true]] }
    return pod
}

private let now = WallTime(seconds: 0)

/// Where pods were sent, as `pod@node`.
private func bindings(_ intents: [Intent]) -> [String] {
    intents.compactMap { if case .bind(let pod, _, let node) = $0 { "\(pod.name)@\(node)" } else { nil } }
}

/// The condition's message of pods that fit nowhere.
private func refusals(_ intents: [Intent]) -> [String] {
    intents.compactMap {
        guard case .updateStatus(_, let pod) = $0 else { return nil }
        return pod["status", "conditions"]?[0]?["message"]?.string
    }
}

@Suite struct SchedulerTests {
    @Test func replicasAreSpreadOverNodes() {
        var scheduler = Scheduler()
        for name in ["a", "b"] { scheduler.step(.node(node(name))) }
        for name in ["p1", "p2", "p3", "p4"] { scheduler.step(.pod(pod(name, cpu: "100m", owner: "rs"))) }
        let sent = bindings(scheduler.decide(at: now))
        #expect(sent.count == 4)
        #expect(sent.filter { $0.hasSuffix("@a") }.count == 2)
        #expect(!scheduler.hasWork)
    }

    @Test func aPodHoldsWhatItHasUntilItsResizeIsThrough() {
        func running(asks asked: String, aside: String?, has: String?, infeasible: Bool = false) -> Int64? {
            var pod = pod("p", cpu: asked)
            var status: JSON = ["name": "c"]
            if let aside { status["allocatedResources"] = ["cpu": .string(aside)] }
            if let has { status["resources"] = ["requests": ["cpu": .string(has)]] }
            pod["status", "containerStatuses"] = [status]
            let reason: JSON = infeasible ? "Infeasible" : "Deferred"
            pod["status", "conditions"] = [["type": "PodResizePending", "status": "True", "reason": reason]]
            return PodRequest(pod).resources.amounts["cpu"]
        }
        #expect(running(asks: "100m", aside: nil, has: nil) == 100)
        #expect(running(asks: "100m", aside: "300m", has: "300m") == 300)
        #expect(running(asks: "100m", aside: "100m", has: "300m") == 300)
        #expect(running(asks: "500m", aside: "300m", has: "300m") == 500)
        #expect(running(asks: "500", aside: "300m", has: "300m", infeasible: true) == 300)
        #expect(running(asks: "500m", aside: nil, has: nil, infeasible: true) == 500)
        // Room appears when it is through.
        var scheduler = Scheduler()
        scheduler.step(.node(node("a", cpu: "1")))
        var shrinking = pod("shrinking", cpu: "200m")
        shrinking["spec", "nodeName"] = "a"
        shrinking["status", "containerStatuses"] = [["name": "c", "allocatedResources": ["cpu": "800m"]]]
        scheduler.step(.pod(shrinking))
        scheduler.step(.pod(pod("late", cpu: "500m")))
        #expect(refusals(scheduler.decide(at: now)) == ["0/1 nodes are available: 1 Insufficient cpu."])
        shrinking["status", "containerStatuses"] = [["name": "c", "allocatedResources": ["cpu": "200m"]]]
        scheduler.step(.pod(shrinking))
        #expect(bindings(scheduler.decide(at: now)) == ["late@a"])
    }

    @Test func sidecarsNeedTheirRoomBesideEverybodyElse() {
        func container(_ name: String, _ cpu: String, sidecar: Bool = false) -> JSON {
            var made: JSON = ["name": .string(name), "resources": ["requests": ["cpu": .string(cpu)]]]
            if sidecar { made["restartPolicy"] = "Always" }
            return made
        }
        func needs(_ containers: [JSON], _ initial: [JSON]) -> Int64? {
            var pod = pod("p")
            pod["spec", "containers"] = .array(containers)
            pod["spec", "initContainers"] = .array(initial)
            return PodRequest(pod).resources.amounts["cpu"]
        }
        let one = [container("a", "100m")]
        #expect(needs(one, [container("i", "300m")]) == 300)
        #expect(needs(one, [container("s", "50m", sidecar: true)]) == 150)
        #expect(needs(one, [container("s", "50m", sidecar: true), container("i", "300m")]) == 350)
        #expect(needs(one, [container("i", "300m"), container("s", "50m", sidecar: true)]) == 300)
    }

    @Test func aFullClusterSaysWhyOnceAndTriesAgainWhenRoomAppears() {
        var scheduler = Scheduler()
        scheduler.step(.node(node("a", cpu: "1")))
        scheduler.step(.pod(pod("big", cpu: "800m")))
        #expect(bindings(scheduler.decide(at: now)) == ["big@a"])
        scheduler.step(.pod(pod("late", cpu: "500m")))
        #expect(refusals(scheduler.decide(at: now)) == ["0/1 nodes are available: 1 Insufficient cpu."])
        #expect(scheduler.decide(at: now).isEmpty)
        scheduler.step(.podRemoved(uid: "uid-big"))
        #expect(bindings(scheduler.decide(at: now)) == ["late@a"])
    }

    @Test func withoutNodesPodsWait() {
        var scheduler = Scheduler()
        scheduler.step(.pod(pod("p")))
        #expect(refusals(scheduler.decide(at: now)) == ["no nodes available to schedule pods"])
        scheduler.step(.node(node("a")))
        #expect(bindings(scheduler.decide(at: now)) == ["p@a"])
    }

    @Test func aRefusedBindingGivesTheRoomBack() {
        var scheduler = Scheduler()
        scheduler.step(.node(node("a", cpu: "1")))
        scheduler.step(.pod(pod("p", cpu: "1")))
        #expect(bindings(scheduler.decide(at: now)) == ["p@a"])
        scheduler.step(.bindingFailed(uid: "uid-p"))
        scheduler.step(.pod(pod("p", cpu: "1")))
        #expect(bindings(scheduler.decide(at: now)) == ["p@a"])
    }

    @Test func higherPriorityGoesFirst() {
        var scheduler = Scheduler()
        scheduler.step(.node(node("a", cpu: "1")))
        scheduler.step(.pod(pod("low", cpu: "1")))
        var high = pod("high", cpu: "1")
        high["spec", "priority"] = 1000
        scheduler.step(.pod(high))
        let intents = scheduler.decide(at: now)
        #expect(bindings(intents) == ["high@a"])
        #expect(refusals(intents).count == 1)
    }

    @Test func taintsSelectorsAndAffinityAreObeyed() {
        var scheduler = Scheduler()
        var tainted = node("tainted")
        tainted["spec", "taints"] = [["key": "gpu", "value": "yes", "effect": "NoSchedule"]]
        scheduler.step(.node(tainted))
        scheduler.step(.pod(pod("plain")))
        #expect(
            refusals(scheduler.decide(at: now)) == [
                "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}."
            ])
        var tolerant = pod("tolerant")
        tolerant["spec", "tolerations"] = [["key": "gpu", "operator": "Exists"]]
        scheduler.step(.pod(tolerant))
        #expect(bindings(scheduler.decide(at: now)) == ["tolerant@tainted"])
        var picky = pod("picky")
        picky["spec", "nodeSelector"] = ["kubernetes.io/hostname": "b"]
        scheduler.step(.pod(picky))
        scheduler.step(.node(node("b")))
        #expect(Set(bindings(scheduler.decide(at: now))) == ["picky@b", "plain@b"])
        var affine = pod("affine")
        affine["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [
            "nodeSelectorTerms": [
                [
                    "matchExpressions": [
                        ["key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["b", "tainted"]]
                    ]
                ]
            ]
        ]
        scheduler.step(.pod(affine))
        #expect(
            refusals(scheduler.decide(at: now)).first?.contains("didn't match Pod's node affinity/selector") == true)
    }

    @Test func cordonedNodesAndTakenHostPortsAreRefused() {
        var scheduler = Scheduler()
        var cordoned = node("a")
        cordoned["spec", "unschedulable"] = true
        scheduler.step(.node(cordoned))
        var web = pod("web")
        web["spec", "containers"] = [["name": "c", "ports": [["hostPort": 80, "containerPort": 80]]]]
        scheduler.step(.pod(web))
        #expect(refusals(scheduler.decide(at: now)) == ["0/1 nodes are available: 1 node(s) were unschedulable."])
        scheduler.step(.node(node("a")))
        #expect(bindings(scheduler.decide(at: now)) == ["web@a"])
        var second = web
        second["metadata", "name"] = "second"
        second["metadata", "uid"] = "uid-second"
        scheduler.step(.pod(second))
        #expect(
            refusals(scheduler.decide(at: now)) == [
                "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
            ])
    }

    @Test func boundPodsSeenAfterARestartHoldTheirRoom() {
        var scheduler = Scheduler()
        var bound = pod("bound", cpu: "3")
        bound["spec", "nodeName"] = "a"
        scheduler.step(.pod(bound))
        scheduler.step(.node(node("a")))
        scheduler.step(.pod(pod("new", cpu: "2")))
        #expect(refusals(scheduler.decide(at: now)) == ["0/1 nodes are available: 1 Insufficient cpu."])
        // The bound pod ends: its room is free although the object stays.
        bound["status", "phase"] = "Succeeded"
        scheduler.step(.pod(bound))
        #expect(bindings(scheduler.decide(at: now)) == ["new@a"])
    }

    @Test func randomClustersAreNeverOverfilled() {
        for seed in 0..<200 {
            var random = SplitMix64(seed: UInt64(seed))
            var scheduler = Scheduler()
            for index in 0..<5 { scheduler.step(.node(node("n\(index)", cpu: "2", pods: 8))) }
            var load: [String: (cpu: Int, pods: Int)] = [:]
            for index in 0..<60 {
                let cpu = Int.random(in: 0...900, using: &random)
                scheduler.step(.pod(pod("p\(index)", cpu: "\(cpu)m")))
                for binding in bindings(scheduler.decide(at: now)) {
                    let node = String(binding.split(separator: "@")[1])
                    load[node, default: (0, 0)].cpu += cpu
                    load[node, default: (0, 0)].pods += 1
                }
            }
            for (name, load) in load {
                #expect(load.cpu <= 2000 && load.pods <= 8, "seed \(seed), node \(name)")
            }
        }
    }
}
