import MartletObject
import Testing

@testable import MartletPods

@Suite("Images of a pod")
struct ImageTests {
    static func pod(image: String, policy: String) -> JSON {
        Story.pod(containers: [["name": "web", "image": .string(image), "imagePullPolicy": .string(policy)]])
    }

    @Test("An absent image is pulled; one that cannot be says ErrImagePull, then ImagePullBackOff, and is tried again")
    func pullFails() {
        var story = Story(Self.pod(image: "web:9", policy: "IfNotPresent"))
        story.settle()
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "ErrImagePull")
        #expect(story.container("web")["state", "waiting", "message"]?.string == "no such image")
        story.pass(seconds: 3)
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "ImagePullBackOff")
        #expect(story.phase == "Pending")
        let pulls = { (story: Story) in story.events.filter { $0 == "Pulling" }.count }
        story.pass(seconds: 6)
        #expect(pulls(story) == 1)
        story.pass(seconds: 2)
        #expect(pulls(story) == 2)
        story.registry.insert("web:9")
        story.pass(seconds: 20)
        #expect(story.phase == "Running" && pulls(story) == 3)
    }

    @Test("Always pulls at each start, Never does not pull")
    func policies() {
        var always = Story(Self.pod(image: "web:1", policy: "Always"))
        always.settle()
        always.exit("web-0", code: 0)
        always.settle()
        #expect(always.done.filter { $0 == .pullImage(container: "web", image: "web:1") }.count == 2)

        var never = Story(Self.pod(image: "web:2", policy: "Never"))
        never.settle()
        #expect(never.container("web")["state", "waiting", "reason"]?.string == "ErrImageNeverPull")
        never.present.insert("web:2")
        never.pass(seconds: 1)
        #expect(never.phase == "Running")
    }

    @Test("A name that is no image's is refused without asking the runtime")
    func invalidName() {
        var story = Story(Self.pod(image: "Web:1", policy: "IfNotPresent"))
        story.settle()
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "InvalidImageName")
        #expect(story.done == [.mountVolumes, .runSandbox(attempt: 0)])
    }

    @Test(
        "Image names are told from other text",
        arguments: [
            ("busybox", true), ("busybox:1.36", true), ("localhost:5000/a/b:x", true), ("a.example/b", true),
            ("ghcr.io/a/b@sha256:0123456789abcdef0123456789abcdef", true), ("UPPER", false), ("", false),
            ("a:", false), ("a//b", false), ("a b", false), ("a@sha256:xyz", false), (":a", false),
        ])
    func names(name: String, isValid: Bool) {
        #expect(ImageReference.isValid(name) == isValid)
    }

    @Test("Only `latest`, or neither tag nor digest, means pull always")
    func latest() {
        #expect(ImageReference.isLatest("a") && ImageReference.isLatest("h:5000/a:latest"))
        #expect(ImageReference.isLatest("h:5000/a") && !ImageReference.isLatest("a:1"))
        #expect(!ImageReference.isLatest("a@sha256:00"))
    }

    @Test("A container whose configuration is missing says so, and starts once it is there")
    func configurationError() {
        var story = Story(Story.pod())
        story.settle()
        story.exit("web-0", code: 1)
        story.failures = [ActionFailure(.other, "x"), nil, ActionFailure(.configuration, "secret \"s\" not found")]
        story.settle()
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "ImageInspectError")
        story.pass(seconds: 1)
        #expect(story.container("web")["state", "waiting", "reason"]?.string == "CreateContainerConfigError")
        #expect(story.container("web")["state", "waiting", "message"]?.string == "secret \"s\" not found")
        story.pass(seconds: 20)
        #expect(story.container("web")["state", "running"] != nil)
    }
}

@Suite("Probes of a pod")
struct ProbeTests {
    static func pod(_ probes: JSON) -> JSON {
        var container: JSON = ["name": "web", "image": "web:1", "ports": [["name": "http", "containerPort": 8080]]]
        for (name, probe) in probes.members { container[name] = probe }
        return Story.pod(containers: [container])
    }

    @Test("A container with a readiness probe is ready after it succeeds and not after it failed three times")
    func readiness() {
        var story = Story(
            Self.pod(["readinessProbe": ["httpGet": ["port": "http", "path": "/up"], "initialDelaySeconds": 2]]))
        story.settle()
        #expect(story.probes.isEmpty && story.condition("Ready") == "False")
        story.pass(seconds: 2)
        #expect(story.probes.count == 1)
        #expect(story.probes.first?.address == "10.0.0.2")
        #expect(
            story.probes.first?.spec.handler
                == .httpGet(scheme: "HTTP", host: "", port: 8080, path: "/up", headers: []))
        story.answerProbes(.readiness, success: true)
        #expect(story.condition("Ready") == "True" && story.container("web")["ready"]?.bool == true)
        for failure in 1...3 {
            story.pass(seconds: 10)
            story.answerProbes(.readiness, success: false)
            #expect(story.condition("Ready") == (failure < 3 ? "True" : "False"))
        }
        #expect(story.starts.count == 1)
        #expect(story.events.filter { $0 == "Unhealthy" }.count == 3)
    }

    @Test("A failed liveness probe restarts the container, and the new one starts with a clean slate")
    func liveness() {
        var story = Story(
            Self.pod(["livenessProbe": ["exec": ["command": ["true"]], "periodSeconds": 1, "failureThreshold": 2]]))
        story.settle()
        #expect(story.condition("Ready") == "True")
        story.answerProbes(.liveness, success: false)
        #expect(story.starts.count == 1)
        story.pass(seconds: 1)
        story.answerProbes(.liveness, success: false)
        #expect(story.starts == ["web#0", "web#1"])
        #expect(story.done.contains(.stopContainer(id: "web-0", name: "web", graceSeconds: 30)))
        #expect(story.events.contains("Killing"))
        story.pass(seconds: 1)
        story.answerProbes(.liveness, success: false)
        #expect(story.starts.count == 2)
    }

    @Test("Until the startup probe succeeds the container is not started, and no other probe runs")
    func startup() {
        var story = Story(
            Self.pod([
                "startupProbe": ["tcpSocket": ["port": 8080], "periodSeconds": 1],
                "livenessProbe": ["tcpSocket": ["port": 8080]],
            ]))
        story.settle()
        #expect(story.probes.map(\.kind) == [.startup])
        #expect(story.container("web")["started"]?.bool == false && story.condition("Ready") == "False")
        story.answerProbes(.startup, success: true)
        #expect(story.container("web")["started"]?.bool == true && story.condition("Ready") == "True")
        #expect(story.probes.map(\.kind) == [.liveness])
    }

    @Test("An answer about a container that is no longer the one is ignored")
    func lateAnswer() {
        var story = Story(Self.pod(["readinessProbe": ["tcpSocket": ["port": 1]]]))
        story.settle()
        let late = story.probes
        story.exit("web-0", code: 1)
        story.settle()
        for run in late { story.feed(.probed(run, success: true, message: "")) }
        #expect(story.condition("Ready") == "False")
    }
}
