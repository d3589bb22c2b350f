import MartletObject
import Testing

@testable import MartletPods

@Suite("A pod's life")
struct PodLifeTests {
    @Test("A new pod gets volumes, a sandbox, its image looked up, its container started, and is Running and Ready")
    func runs() {
        var story = Story(Story.pod())
        story.settle()
        #expect(
            story.done == [
                .mountVolumes, .runSandbox(attempt: 0), .inspectImage(container: "web", image: "web:1"),
                .startContainer(name: "web", attempt: 0, sandbox: "s0", imageID: "sha256:web:1"),
            ])
        #expect(story.phase == "Running")
        for type in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
            #expect(story.condition(type) == "True", "\(type)")
        }
        #expect(story.status["podIP"]?.string == "10.0.0.2")
        #expect(story.status["hostIP"]?.string == "192.0.2.1")
        #expect(story.status["qosClass"]?.string == "BestEffort")
        #expect(story.container("web")["restartCount"]?.int == 0)
        #expect(story.container("web")["containerID"]?.string == "containerd://web-0")
        #expect(story.events == ["Pulled", "Created", "Started"])
    }

    @Test("The ids of containers begin with what runs them")
    func scheme() {
        var story = Story(Story.pod())
        story.machine = PodMachine(PodSpec(Story.pod()), hostIPs: [], runtime: "process")
        story.settle()
        #expect(story.container("web")["containerID"]?.string == "process://web-0")
    }

    @Test("What is added to look into a pod is started once, counts for nothing, and is not started again")
    func ephemeral() {
        var pod = Story.pod()
        var story = Story(pod)
        story.settle()
        let look: JSON = ["name": "look", "image": "web:1", "targetContainerName": "web"]
        let lost: JSON = ["name": "lost", "image": "none:1"]
        pod["spec", "ephemeralContainers"] = [lost, look]
        story.feed(.desired(PodSpec(pod)))
        // One whose image is missing does not keep the others.
        #expect(story.starts == ["web#0", "look#0"])
        #expect(story.container("look")["state", "running"] != nil)
        #expect(story.container("look")["ready"] == false)
        #expect(story.container("look")["started"] == nil)
        #expect(story.container("lost")["state", "waiting", "reason"] == "ErrImagePull")
        #expect(story.phase == "Running" && story.condition("Ready") == "True")
        story.exit("look-0", code: 3)
        story.settle()
        story.pass(seconds: 600)
        #expect(story.starts == ["web#0", "look#0"])
        #expect(story.container("look")["state", "terminated", "exitCode"]?.int == 3)
        // Nor by an agent that finds an empty runtime.
        var again = Story(pod)
        pod["status"] = story.status
        again.machine = PodMachine(PodSpec(pod), hostIPs: [])
        again.settle()
        #expect(again.starts == ["web#1"])
    }

    @Test("Nothing is done or written before the runtime was listed once")
    func waitsForListing() {
        var story = Story(Story.pod())
        story.feed(.tick)
        #expect(story.done.isEmpty && story.status == .null)
    }

    @Test("A container that exits is started again at once, then after 10 s, 20 s, 40 s, and says CrashLoopBackOff")
    func crashes() {
        var story = Story(Story.pod())
        story.settle()
        story.exit("web-0", code: 1)
        story.settle()
        #expect(story.starts == ["web#0", "web#1"])
        #expect(story.container("web")["restartCount"]?.int == 1)
        #expect(story.container("web")["lastState", "terminated", "exitCode"]?.int == 1)

        for (attempt, delay) in [(1, 10), (2, 20), (3, 40)] {
            story.exit("web-\(attempt)", code: 1)
            story.settle()
            #expect(story.container("web")["state", "waiting", "reason"]?.string == "CrashLoopBackOff")
            #expect(story.phase == "Running")
            #expect(story.condition("Ready") == "False")
            story.pass(seconds: Int64(delay) - 1)
            #expect(story.starts.count == attempt + 1)
            story.pass(seconds: 1)
            #expect(story.starts.last == "web#\(attempt + 1)")
        }
        #expect(story.events.filter { $0 == "BackOff" }.count == 3)
    }

    @Test("The back-off ends at five minutes and is forgotten after ten minutes of running")
    func backoffBounds() {
        var backoff = CrashBackoff()
        var time: Int64 = 0
        var delays: [Int64] = []
        for _ in 0..<8 {
            let due = backoff.dueAt(since: time)
            delays.append((due - time) / 1000)
            backoff.next(since: time, now: due)
            time = due + 1000
        }
        #expect(delays == [0, 10, 20, 40, 80, 160, 300, 300])
        #expect(backoff.dueAt(since: time + 601_000) == time + 601_000)
    }

    @Test("A healthy container of a pod whose other container crashes is left alone, and the pod is not Ready")
    func siblingsStay() {
        var story = Story(
            Story.pod(containers: [["name": "web", "image": "web:1"], ["name": "static", "image": "web:1"]]))
        story.settle()
        story.exit("static-0", code: 2)
        story.settle()
        story.exit("static-1", code: 2)
        story.settle()
        #expect(story.starts == ["web#0", "static#0", "static#1"])
        #expect(story.phase == "Running" && story.condition("Ready") == "False")
        #expect(story.container("web")["ready"]?.bool == true)
    }

    @Test("Never: a pod whose containers end is Failed or Succeeded for good, and its sandbox is stopped")
    func never() {
        for (code, phase) in [(Int32(0), "Succeeded"), (3, "Failed")] {
            var story = Story(Story.pod(restartPolicy: "Never"))
            story.settle()
            story.exit("web-0", code: code)
            story.settle()
            #expect(story.phase == phase)
            #expect(story.starts.count == 1)
            #expect(story.done.last == .stopSandbox(id: "s0"))
            #expect(story.container("web")["state", "terminated", "exitCode"]?.int == Int(code))
            story.pass(seconds: 600)
            #expect(story.starts.count == 1 && story.phase == phase)
        }
    }

    @Test("OnFailure: a failed container is started again, one that did its work is not")
    func onFailure() {
        var story = Story(Story.pod(restartPolicy: "OnFailure"))
        story.settle()
        story.exit("web-0", code: 1)
        story.settle()
        #expect(story.starts == ["web#0", "web#1"])
        story.exit("web-1", code: 0)
        story.settle()
        #expect(story.starts.count == 2 && story.phase == "Succeeded")
        #expect(story.condition("Ready") == "False")
    }

    @Test("A pod that is active for longer than its deadline fails, and its containers are ended with their grace")
    func deadline() {
        var pod = Story.pod()
        pod["spec", "activeDeadlineSeconds"] = 60
        pod["spec", "terminationGracePeriodSeconds"] = 7
        var story = Story(pod)
        story.settle()
        story.pass(seconds: 58)
        #expect(story.phase == "Running" && story.wakeAt != nil)
        story.pass(seconds: 2)
        #expect(story.phase == "Failed" && story.status["reason"]?.string == "DeadlineExceeded")
        #expect(
            story.status["message"]?.string == "Pod was active on the node longer than the specified deadline")
        #expect(
            story.done.suffix(2) == [
                .stopContainer(id: "web-0", name: "web", graceSeconds: 7), .stopSandbox(id: "s0"),
            ])
        #expect(story.events.contains("DeadlineExceeded") && story.events.contains("Killing"))
        #expect(story.condition("Ready") == "False")
        story.pass(seconds: 600)
        #expect(story.starts == ["web#0"] && story.phase == "Failed")
        #expect(story.events.filter { $0 == "DeadlineExceeded" }.count == 1)
    }

    @Test("The deadline counts from the start time that the API has, and for a pod whose image never comes, too")
    func deadlineOfPending() {
        var pod = Story.pod(containers: [["name": "web", "image": "web:9"]])
        pod["spec", "activeDeadlineSeconds"] = 60
        pod["status"] = ["phase": "Pending", "startTime": "1970-01-01T00:16:00Z"]
        var story = Story(pod)
        story.settle()
        #expect(story.phase == "Pending")
        story.pass(seconds: 19)
        #expect(story.phase == "Pending")
        story.pass(seconds: 1)
        #expect(story.phase == "Failed" && story.status["reason"]?.string == "DeadlineExceeded")
        #expect(story.starts.isEmpty && story.done.last == .stopSandbox(id: "s0"))
    }

    @Test("A pod that serves runs on for a moment after its deletion, until nobody sends it anything any more")
    func farewell() {
        let serving: [JSON] = [["name": "web", "image": "web:1", "ports": [["containerPort": 80]]]]
        var story = Story(Story.pod(containers: serving))
        story.settle()
        let before = story.done
        story.feed(.desired(PodSpec(Story.pod(containers: serving, deleting: 7))))
        #expect(story.done == before && story.wakeAt == story.now + PodMachine.farewell)
        // Told again in between, it waits no longer for it.
        story.now += PodMachine.farewell / 2
        story.feed(.desired(PodSpec(Story.pod(containers: serving, deleting: 7))))
        #expect(story.done == before)
        story.now += PodMachine.farewell / 2
        story.feed(.tick)
        #expect(story.done.contains(.stopContainer(id: "web-0", name: "web", graceSeconds: 7)))
    }

    @Test("Who serves nobody, is not ready, has no time or is forced is ended at once")
    func noFarewell() {
        let port: JSON = [["containerPort": 80]]
        let probe: JSON = ["httpGet": ["port": 80]]
        let cases: [(container: JSON, grace: Int)] = [
            (["name": "web", "image": "web:1"], 7),
            (["name": "web", "image": "web:1", "ports": port, "readinessProbe": probe], 7),
            (["name": "web", "image": "web:1", "ports": port], 1),
        ]
        for (container, grace) in cases {
            var story = Story(Story.pod(containers: [container]))
            story.settle()
            story.feed(.desired(PodSpec(Story.pod(containers: [container], deleting: grace))))
            #expect(story.done.contains(.stopContainer(id: "web-0", name: "web", graceSeconds: grace)))
        }
        var story = Story(Story.pod(containers: [cases[1].container]))
        story.settle()
        story.feed(.vanished)
        #expect(story.isGone)
    }

    @Test("A pod that did its work before its deadline has succeeded")
    func deadlineMet() {
        var pod = Story.pod(restartPolicy: "Never")
        pod["spec", "activeDeadlineSeconds"] = 60
        var story = Story(pod)
        story.settle()
        story.exit("web-0", code: 0)
        story.settle()
        story.pass(seconds: 600)
        #expect(story.phase == "Succeeded" && story.status["reason"] == nil)
    }

    @Test("Init containers run one after the other, before the others; one that fails is tried again")
    func initContainers() {
        var story = Story(
            Story.pod(initContainers: [["name": "a", "image": "web:1"], ["name": "b", "image": "web:1"]]))
        story.settle()
        #expect(story.starts == ["a#0"] && story.phase == "Pending" && story.condition("Initialized") == "False")
        #expect(story.machine.waitingReason(of: "web") == "PodInitializing")
        #expect(story.machine.waitingReason(of: "b") == "PodInitializing")
        #expect(story.machine.waitingReason(of: "a") == nil)
        story.exit("a-0", code: 1)
        story.settle()
        #expect(story.starts == ["a#0", "a#1"])
        story.exit("a-1", code: 0)
        story.settle()
        #expect(story.starts == ["a#0", "a#1", "b#0"])
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "PodInitializing")
        story.exit("b-0", code: 0)
        story.settle()
        #expect(story.starts.last == "web#0" && story.phase == "Running" && story.condition("Initialized") == "True")
    }

    @Test("Never: a failed init container fails the pod")
    func initFails() {
        var story = Story(Story.pod(restartPolicy: "Never", initContainers: [["name": "a", "image": "web:1"]]))
        story.settle()
        story.exit("a-0", code: 1)
        story.settle()
        #expect(story.phase == "Failed" && story.starts == ["a#0"])
    }

    @Test("A sidecar starts before the others and does not keep the pod from succeeding")
    func sidecar() {
        var story = Story(
            Story.pod(
                restartPolicy: "Never",
                initContainers: [["name": "proxy", "image": "web:1", "restartPolicy": "Always"]]))
        story.settle()
        #expect(story.starts == ["proxy#0", "web#0"])
        story.exit("web-0", code: 0)
        story.settle()
        #expect(story.phase == "Succeeded")
        #expect(story.containers.allSatisfy { $0.state == .exited })
    }

    @Test("A sandbox that dies is made anew with all its containers; counts go on, the old one is removed")
    func sandboxDies() {
        var story = Story(
            Story.pod(containers: [["name": "web", "image": "web:1"], ["name": "static", "image": "web:1"]]))
        story.settle()
        story.killSandbox("s0")
        story.settle()
        #expect(story.starts == ["web#0", "static#0", "web#1", "static#1"])
        #expect(story.sandboxes.map(\.id) == ["s1"])
        #expect(story.phase == "Running" && story.condition("Ready") == "True")
        #expect(story.container("web")["restartCount"]?.int == 1)
        #expect(story.container("web")["lastState", "terminated", "exitCode"]?.int == 137)
        #expect(story.events.contains("SandboxChanged"))
    }

    @Test("A sandbox that cannot be made is tried again, and nothing else is done meanwhile")
    func sandboxFails() {
        var story = Story(Story.pod())
        story.failures = [
            ActionFailure(.other, "volumes late"), nil, ActionFailure(.other, "no network"),
            ActionFailure(.other, "no network"),
        ]
        story.settle()
        story.pass(seconds: 1)
        #expect(story.done == [.mountVolumes, .mountVolumes, .runSandbox(attempt: 0)])
        #expect(story.phase == "Pending" && story.condition("PodReadyToStartContainers") == "False")
        story.pass(seconds: 3)
        #expect(story.phase == "Running")
        #expect(story.events.filter { $0 == "FailedCreatePodSandBox" }.count == 2)
        #expect(story.events.first == "FailedMount")
    }

    @Test("A changed image ends the container, and the new one runs the new image")
    func imageChanges() {
        var story = Story(Story.pod())
        story.settle()
        story.feed(.desired(PodSpec(Story.pod(containers: [["name": "web", "image": "web:2"]]))))
        #expect(story.starts == ["web#0", "web#1"])
        #expect(story.container("web")["imageID"]?.string == "sha256:web:2")
        #expect(story.container("web")["image"]?.string == "web:2")
    }
}

@Suite("A pod's end and its adoption")
struct PodEndTests {
    @Test("A deleted pod: containers are stopped with its grace side by side, then the sandbox goes, then all is gone")
    func deleted() {
        let containers: [JSON] = [["name": "web", "image": "web:1"], ["name": "static", "image": "web:1"]]
        var story = Story(Story.pod(containers: containers))
        story.settle()
        story.done = []
        story.stopsAreSlow = true
        story.feed(.desired(PodSpec(Story.pod(containers: containers, deleting: 7))))
        #expect(
            story.done == [
                .stopContainer(id: "web-0", name: "web", graceSeconds: 7),
                .stopContainer(id: "static-0", name: "static", graceSeconds: 7),
            ])
        story.settle()
        #expect(story.done.count == 2 && !story.isGone)
        story.finishStops()
        #expect(story.done.suffix(2) == [.stopSandbox(id: "s0"), .removeSandbox(id: "s0")])
        #expect(story.isGone && story.sandboxes.isEmpty && story.containers.isEmpty)
        #expect(story.phase == "Failed")
        #expect(story.container("web")["state", "terminated", "exitCode"]?.int == 143)
        #expect(story.events.filter { $0 == "Killing" }.count == 2)
    }

    @Test("A shorter grace that comes later is passed on")
    func shorterGrace() {
        var story = Story(Story.pod())
        story.settle()
        story.stopsAreSlow = true
        story.feed(.desired(PodSpec(Story.pod(deleting: 30))))
        story.feed(.desired(PodSpec(Story.pod(deleting: 1))))
        story.feed(.desired(PodSpec(Story.pod(deleting: 1))))
        let graces = story.done.compactMap { if case .stopContainer(_, _, let grace) = $0 { grace } else { nil } }
        #expect(graces == [30, 1])
        story.finishStops()
        #expect(story.isGone)
    }

    @Test("A pod deleted before it ran is gone at once")
    func deletedEarly() {
        var story = Story(Story.pod(deleting: 30))
        story.settle()
        #expect(story.isGone && story.done.isEmpty)
    }

    @Test("A pod that vanished from the API is ended, and nothing is written of it")
    func vanished() {
        var story = Story(Story.pod())
        story.settle()
        story.status = .null
        story.feed(.vanished)
        #expect(story.isGone && story.status == .null && story.sandboxes.isEmpty)
    }

    @Test("A stop that fails is tried again a second later")
    func stopFails() {
        var story = Story(Story.pod())
        story.settle()
        story.stopsAreSlow = true
        story.feed(.desired(PodSpec(Story.pod(deleting: 5))))
        let stop = PodAction.stopContainer(id: "web-0", name: "web", graceSeconds: 5)
        story.feed(.ended(stop, .failed(ActionFailure(.other, "busy")), freshFrom: 0))
        #expect(story.done.filter { $0 == stop }.count == 1)
        story.pass(seconds: 1)
        #expect(story.done.filter { $0 == stop }.count == 2)
    }

    @Test("After a restart of the node agent what runs is adopted: nothing is started, counts and times stay")
    func adopted() {
        var before = Story(Story.pod())
        before.settle()
        before.exit("web-0", code: 1)
        before.settle()
        var pod = Story.pod()
        pod["status"] = before.status
        var after = Story(pod)
        after.now = before.now + 60_000
        after.sandboxes = before.sandboxes
        after.containers = before.containers
        after.settle()
        #expect(after.starts.isEmpty)
        #expect(after.machine.currentStatus == before.status)
        #expect(after.status == .null, "the same status is not written again")
    }

    @Test("After a restart with a lost runtime, counts go on from what the API has")
    func lostRuntime() {
        var before = Story(Story.pod())
        before.settle()
        before.exit("web-0", code: 1)
        before.settle()
        var pod = Story.pod()
        pod["status"] = before.status
        var after = Story(pod)
        after.settle()
        #expect(after.starts == ["web#2"])
        #expect(after.container("web")["restartCount"]?.int == 2)
    }

    @Test("A pod that has ended in the API is never started again")
    func endedStaysEnded() {
        var pod = Story.pod()
        pod["status"] = ["phase": "Failed", "reason": "Evicted"]
        var story = Story(pod)
        story.settle()
        #expect(story.done.isEmpty && story.machine.currentStatus["reason"]?.string == "Evicted")
    }

    @Test("A listing that began before an action ended is not believed")
    func staleListing() {
        var machine = PodMachine(PodSpec(Story.pod()), hostIPs: [])
        _ = machine.step(.observed(PodObservation(round: 1)), now: 0)
        _ = machine.step(.ended(.mountVolumes, .done, freshFrom: 2), now: 0)
        #expect(machine.step(.observed(PodObservation(round: 1)), now: 0) == [])
        let effects = machine.step(.observed(PodObservation(round: 2)), now: 0)
        #expect(effects.contains(.act(.runSandbox(attempt: 0))))
    }
}
