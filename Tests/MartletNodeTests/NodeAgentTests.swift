import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import MartletObject
import MartletRuntime
import Synchronization
import Testing

@testable import MartletNode

/// One node in a virtual world: a table for an API, a runtime that only remembers, and a folder that is removed after.
struct Stage: Sendable {
    let world = VirtualWorld()
    let api: FakeAPI
    let runtime: SimulatedRuntime
    let directory: String

    static func play(_ story: @escaping @Sendable (Stage) async throws -> Void) throws {
        let stage = try Stage()
        defer { try? Files.remove(stage.directory) }
        try stage.world.run {
            await stage.runtime.addImages(["web:1"])
            try await story(stage)
        }
    }

    private init() throws {
        runtime = SimulatedRuntime(in: world)
        api = FakeAPI(in: world)
        directory = try Files.makeTemporaryDirectory(prefix: "martlet-node")
    }

    func start(_ change: (inout NodeAgentConfiguration) -> Void = { _ in }) async throws -> NodeAgent {
        var configuration = NodeAgentConfiguration(
            nodeName: "n1", addresses: ["192.0.2.1"], rootDirectory: directory)
        change(&configuration)
        return try await NodeAgent.start(
            configuration, api: api, runtime: runtime, in: world,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            disk: .inline, serves: false)
    }

    static func pod(_ name: String, container: JSON = [:], spec: JSON = [:]) -> JSON {
        var web: JSON = ["name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent"]
        for (key, value) in container.members { web[key] = value }
        var body: JSON = ["nodeName": "n1", "containers": [web]]
        for (key, value) in spec.members { body[key] = value }
        return ["metadata": ["name": .string(name), "namespace": "ns"], "spec": body]
    }

    /// Waits (in the world's time) until something is so.
    func until(
        _ what: Comment, seconds: Int = 30, at location: SourceLocation = #_sourceLocation,
        _ condition: () async -> Bool
    ) async throws {
        for _ in 0..<(seconds * 10) {
            if await condition() { return }
            try await world.sleep(for: .milliseconds(100))
        }
        Issue.record("never: \(what)", sourceLocation: location)
        throw CancellationError()
    }

    func untilRunning(_ name: String, at location: SourceLocation = #_sourceLocation) async throws {
        try await until("\(name) is ready", at: location) { await isReady(name) }
    }

    func isReady(_ name: String) async -> Bool { await condition("Ready", of: name) == "True" }

    func isReady(_ name: String, restarts: Int) async -> Bool {
        let count = await web(name)["restartCount"]?.int
        let isReady = await isReady(name)
        return count == restarts && isReady
    }

    func condition(_ type: String, of name: String) async -> String? {
        await api.pod(name)?["status", "conditions"]?.array?.first { $0["type"]?.string == type }?["status"]?.string
    }
    /// The node as its controller leaves it after a silence: every condition Unknown.
    func silenceNode() async throws {
        var node = try #require(await api.find(.node, "", "n1"))
        let conditions = (node["status", "conditions"]?.array ?? []).map { condition -> JSON in
            var condition = condition
            condition["status"] = "Unknown"
            condition["reason"] = "NodeStatusUnknown"
            return condition
        }
        node["status", "conditions"] = .array(conditions)
        _ = try await api.updateStatus(.node, node)
    }
    func nodeCondition(_ type: String) async -> String? {
        await api.find(.node, "", "n1")?["status", "conditions"]?.array?
            .first { $0["type"]?.string == type }?["status"]?.string
    }
    func web(_ name: String) async -> JSON { await api.pod(name)?["status", "containerStatuses"]?[0] ?? .null }
    func webID() async throws -> String {
        let running = try await running()
        return try #require(running.first?.id)
    }
    func running() async throws -> [ContainerStatus] {
        try await runtime.listContainers().filter { $0.state == .running }
    }
}

@Suite("The node agent")
struct NodeAgentTests {
    @Test("It registers its node, reports it, and renews its lease")
    func registers() throws {
        try Stage.play { stage in
            let agent = try await stage.start { $0.labels["node-role.kubernetes.io/worker"] = "" }
            try await stage.until("the lease is there") { await stage.api.find(.lease, "kube-node-lease", "n1") != nil }
            let node = try #require(await stage.api.find(.node, "", "n1"))
            #expect(node.labels["kubernetes.io/hostname"] == "n1" && node.labels["kubernetes.io/os"] == "linux")
            #expect(node.labels["node-role.kubernetes.io/worker"] == "")
            let conditions = node["status", "conditions"]?.array ?? []
            let states = Dictionary(
                uniqueKeysWithValues: conditions.map { ($0["type"]?.string ?? "", $0["status"]?.string ?? "") })
            #expect(states["Ready"] == "True" && states["PIDPressure"] == "False")
            #expect(node["status", "nodeInfo", "containerRuntimeVersion"]?.string == "simulated://1")
            #expect(node["status", "capacity", "pods"]?.string == "110")
            #expect(Quantity(node["status", "allocatable", "memory"])?.whole ?? 0 > 1 << 20)
            #expect(node["status", "addresses"]?[0]?["address"]?.string == "192.0.2.1")
            let first = await stage.api.find(.lease, "kube-node-lease", "n1")?["spec", "renewTime"]?.string
            try await stage.world.sleep(for: .seconds(11))
            let second = await stage.api.find(.lease, "kube-node-lease", "n1")?["spec", "renewTime"]?.string
            #expect(first != second && second != nil)
            await agent.stop(teardown: true)
        }
    }

    @Test("A condition that turns is told as an event, with the reason when that is bad")
    func conditionEvents() {
        func node(_ short: Bool) -> JSON {
            let agent = NodeObject(
                configuration: NodeAgentConfiguration(nodeName: "n1", addresses: [], rootDirectory: "/x"),
                facts: HostFacts(), port: 0)
            let disk = (
                "DiskPressure", short, short ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                short ? "make room" : "all is well"
            )
            return agent.reported(
                ["metadata": ["name": "n1"]], runtime: RuntimeVersion(name: "r", version: "1"), unmet: [],
                pressures: [disk], now: WallTime(seconds: 0))
        }
        let fresh = NodeObject.changes(from: [:], to: node(false))
        #expect(fresh.map(\.reason) == ["NodeHasNoDiskPressure", "NodeReady"])
        #expect(fresh.first?.message == "Node n1 status is now: NodeHasNoDiskPressure")
        let full = NodeObject.changes(from: node(false), to: node(true))
        #expect(full.map(\.message) == ["Node n1 status is now: NodeHasDiskPressure: make room"])
        #expect(NodeObject.changes(from: node(true), to: node(true)).isEmpty)
    }

    @Test("A runtime that is not ready makes the node not ready, with its words; an unchanged node is left alone")
    func notReady() throws {
        try Stage.play { stage in
            await stage.runtime.setUnmetConditions([
                RuntimeCondition(type: "NetworkReady", reason: "NoPlugin", message: "cni plugin not initialized")
            ])
            let agent = try await stage.start()
            let ready: () async -> JSON? = {
                await stage.api.find(.node, "", "n1")?["status", "conditions"]?.array?.first {
                    $0["type"]?.string == "Ready"
                }
            }
            try await stage.until("the node says so") { await ready()?["status"]?.string == "False" }
            #expect(await ready()?["message"]?.string?.contains("cni plugin not initialized") == true)
            try await stage.until("an event says so") {
                await stage.api.events(about: "Node").contains("NodeNotReady")
            }
            let version = await stage.api.find(.node, "", "n1")?.resourceVersion
            try await stage.world.sleep(for: .seconds(60))
            #expect(await stage.api.find(.node, "", "n1")?.resourceVersion == version)
            await stage.runtime.setUnmetConditions([])
            try await stage.until("the node is ready") { await ready()?["status"]?.string == "True" }
            await agent.stop(teardown: true)
        }
    }

    @Test("A node that was judged silent says within one lease period that it is ready, and keeps saying so")
    func judgedSilent() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            try await stage.until("it is ready") { await stage.nodeCondition("Ready") == "True" }
            for pause in [3, 37, 64] {
                try await stage.world.sleep(for: .seconds(pause))
                try await stage.silenceNode()
                #expect(await stage.nodeCondition("Ready") == "Unknown")
                try await stage.until("it is ready again", seconds: 11) {
                    await stage.nodeCondition("Ready") == "True"
                }
                #expect(await stage.nodeCondition("MemoryPressure") == "False")
            }
            await agent.stop(teardown: true)
        }
    }

    @Test("A node that was stopped for a minute says at once that it lives, and again when it is judged just then")
    func stalled() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            try await stage.until("the lease is there") { await stage.api.find(.lease, "kube-node-lease", "n1") != nil }
            try await stage.world.sleep(for: .seconds(11))
            let lease: () async -> String? = {
                await stage.api.find(.lease, "kube-node-lease", "n1")?["spec", "renewTime"]?.string
            }
            let before = await lease()
            let heartbeat = await stage.api.find(.node, "", "n1")?.resourceVersion
            stage.world.stall(for: .seconds(60))
            try await stage.until("the lease is renewed", seconds: 1) { await lease() != before }
            try await stage.until("the status is written", seconds: 1) {
                await stage.api.find(.node, "", "n1")?.resourceVersion != heartbeat
            }
            try await stage.silenceNode()
            try await stage.until("it is ready again", seconds: 2) { await stage.nodeCondition("Ready") == "True" }
            await agent.stop(teardown: true)
        }
    }

    @Test("A node that was cut off renews its lease before it says how it is")
    func cutOff() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            try await stage.until("it is ready") { await stage.nodeCondition("Ready") == "True" }
            try await stage.world.sleep(for: .seconds(11))
            try await stage.silenceNode()
            await stage.api.setAway(true)
            try await stage.world.sleep(for: .seconds(60))
            await stage.api.setAway(false)
            try await stage.until("it is ready again", seconds: 2) { await stage.nodeCondition("Ready") == "True" }
            #expect(await stage.api.writes.first == .lease)
            await agent.stop(teardown: true)
        }
    }

    @Test("A pod that is judged not ready is ready again, also when the verdict falls while it says so")
    func judgedUnready() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            await stage.api.contradict(3)
            let pod = try #require(await stage.api.pod("p"))
            _ = try await stage.api.updateStatus(.pod, FakeAPI.unready(pod))
            try await stage.world.sleep(for: .seconds(3))
            #expect(await stage.isReady("p"))
            let writes = await stage.api.statusWrites
            try await stage.world.sleep(for: .seconds(5))
            #expect(await stage.api.statusWrites == writes)
            await agent.stop(teardown: true)
        }
    }

    @Test("What the API tells of a pod is put right when it comes from an older snapshot")
    func restored() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let address = await stage.api.pod("p")?["status", "podIP"]
            for former: JSON in [[:], ["phase": "Pending"], ["phase": "Running", "podIP": "192.0.2.77"]] {
                var pod = try #require(await stage.api.pod("p"))
                pod["status"] = former
                _ = try await stage.api.updateStatus(.pod, pod)
                try await stage.until("it is ready again", seconds: 3) { await stage.isReady("p") }
                #expect(await stage.api.pod("p")?["status", "podIP"] == address)
                #expect(await stage.web("p")["state", "running"] != nil)
            }
            let writes = await stage.api.statusWrites
            try await stage.world.sleep(for: .seconds(5))
            #expect(await stage.api.statusWrites == writes)
            await agent.stop(teardown: true)
        }
    }

    @Test("A pod bound to the node runs, and the API says so")
    func runs() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let status = try #require(await stage.api.pod("p")?["status"])
            #expect(status["phase"]?.string == "Running" && status["podIP"]?.string == "10.88.0.2")
            #expect(status["containerStatuses"]?[0]?["imageID"]?.string == "simulated:web:1")
            try await stage.until("events are written") {
                await stage.api.events() == ["Created", "Pulled", "Started"]
            }
            await agent.stop(teardown: true)
            #expect(try await stage.runtime.listSandboxes().isEmpty)
            #expect(try await stage.runtime.listContainers().isEmpty)
        }
    }

    @Test("A killed container runs again within a second, and its count rises")
    func killed() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let before = stage.world.now()
            await stage.runtime.exit(try await stage.webID(), code: 137)
            try await stage.until("it runs again") {
                await stage.isReady("p", restarts: 1)
            }
            #expect(stage.world.now() - before < .milliseconds(1500))
            #expect(await stage.web("p")["lastState", "terminated", "exitCode"]?.int == 137)
            await agent.stop(teardown: true)
        }
    }

    @Test("A killed sandbox is made anew with its containers")
    func sandboxKilled() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let sandboxes = try await stage.runtime.listSandboxes()
            await stage.runtime.killSandbox(try #require(sandboxes.first?.id))
            try await stage.until("it runs in a new sandbox") {
                await stage.isReady("p", restarts: 1)
            }
            try await stage.until("the old sandbox is removed") {
                (try? await stage.runtime.listSandboxes())?.map(\.attempt) == [1]
            }
            await agent.stop(teardown: true)
        }
    }

    @Test("A failing readiness probe makes the pod not ready, a failing liveness probe restarts the container")
    func probes() throws {
        try Stage.play { stage in
            let health = Health()
            await stage.runtime.setExec { _, command in
                ExecResult(exitCode: health.isWell(command) ? 0 : 1, output: [], errors: Array("not well".utf8))
            }
            let agent = try await stage.start()
            _ = try await stage.api.create(
                .pod,
                Stage.pod(
                    "p",
                    container: [
                        "readinessProbe": ["exec": ["command": ["ready"]], "periodSeconds": 1, "failureThreshold": 2],
                        "livenessProbe": ["exec": ["command": ["live"]], "periodSeconds": 1, "failureThreshold": 2],
                    ]))
            try await stage.untilRunning("p")
            health.set("ready", false)
            try await stage.until("it is not ready") { await stage.condition("Ready", of: "p") == "False" }
            #expect(await stage.web("p")["restartCount"]?.int == 0)
            health.set("ready", true)
            try await stage.untilRunning("p")
            health.set("live", false)
            try await stage.until("it is restarted") { await stage.web("p")["restartCount"]?.int == 1 }
            health.set("live", true)
            try await stage.untilRunning("p")
            #expect(await stage.api.events().contains("Unhealthy"))
            await agent.stop(teardown: true)
        }
    }

    @Test("A TCP probe to a port that refuses fails")
    func tcpProbe() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            _ = try await stage.api.create(
                .pod, Stage.pod("p", container: ["readinessProbe": ["tcpSocket": ["port": 80], "periodSeconds": 1]]))
            try await stage.until("it says Unhealthy") { await stage.api.events().contains("Unhealthy") }
            #expect(await stage.condition("Ready", of: "p") == "False")
            await agent.stop(teardown: true)
        }
    }

    @Test("A deleted pod is ended with its grace, and then nothing is left of it, in the API or on the node")
    func deleted() throws {
        try Stage.play { stage in
            await stage.runtime.setProgram(.ignoresTermination, forImage: "web:1")
            let agent = try await stage.start()
            let pod = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            let key = ObjectKey(.pod, namespace: "ns", name: "p")
            let before = stage.world.now()
            try await stage.api.delete(key, uid: pod.uid, graceSeconds: 5)
            try await stage.until("it is gone") { await stage.api.pod("p") == nil }
            #expect((.seconds(5)..<(.seconds(8))).contains(stage.world.now() - before))
            #expect(try await stage.runtime.listSandboxes().isEmpty)
            #expect(try Files.list("\(stage.directory)/pods-logs").isEmpty)
            await agent.stop(teardown: true)
        }
    }

    @Test("The next agent adopts what the last one left running, and starts nothing")
    func adopts() throws {
        try Stage.play { stage in
            let first = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            await stage.runtime.exit(try await stage.webID(), code: 1)
            try await stage.until("it runs again") { await stage.web("p")["restartCount"]?.int == 1 }
            try await stage.untilRunning("p")
            await first.stop(teardown: false)
            let running = try await stage.running().map(\.id)
            #expect(running.count == 1)
            let writes = await stage.api.statusWrites
            let second = try await stage.start()
            try await stage.world.sleep(for: .seconds(5))
            #expect(try await stage.running().map(\.id) == running)
            #expect(await stage.web("p")["restartCount"]?.int == 1)
            // One write may be the node's own status.
            #expect(await stage.api.statusWrites <= writes + 1)
            await second.stop(teardown: true)
        }
    }

    @Test("An image that cannot be pulled is told, and tried again")
    func pullFails() throws {
        try Stage.play { stage in
            await stage.runtime.failPull(of: "web:9", with: .refused("manifest unknown"))
            let agent = try await stage.start()
            _ = try await stage.api.create(.pod, Stage.pod("p", container: ["image": "web:9"]))
            try await stage.until("it says ErrImagePull") {
                await stage.web("p")["state", "waiting", "reason"]?.string == "ErrImagePull"
            }
            #expect(await stage.web("p")["state", "waiting", "message"]?.string == "manifest unknown")
            try await stage.until("it says ImagePullBackOff") {
                await stage.web("p")["state", "waiting", "reason"]?.string == "ImagePullBackOff"
            }
            try await stage.untilRunning("p")
            await agent.stop(teardown: true)
        }
    }

    @Test("Who asks for the log of a container that waits is told what it waits for")
    func logsOfWaiting() throws {
        try Stage.play { stage in
            await stage.runtime.failPull(of: "web:9", with: .refused("manifest unknown"), times: 100)
            let agent = try await stage.start()
            let initContainer: JSON = ["name": "first", "image": "web:1", "imagePullPolicy": "IfNotPresent"]
            _ = try await stage.api.create(.pod, Stage.pod("p", spec: ["initContainers": [initContainer]]))
            _ = try await stage.api.create(.pod, Stage.pod("q", container: ["image": "web:9"]))
            let answer: (String) async -> String? = { pod in
                let found = await agent.findLog(namespace: "ns", pod: pod, container: "web", previous: false)
                return if case .failure(let refusal) = found { refusal.message } else { nil }
            }
            try await stage.until("it waits for the init container") {
                await answer("p") == "container \"web\" in pod \"p\" is waiting to start: PodInitializing"
            }
            try await stage.until("the pull has failed") {
                await answer("q") == "container \"web\" in pod \"q\" is waiting to start: image can't be pulled"
            }
            let backOff = "container \"web\" in pod \"q\" is waiting to start: trying and failing to pull image"
            try await stage.until("the pull waits") { await answer("q") == backOff }
            await agent.stop(teardown: true)
        }
    }

    @Test("A container that must not run as root waits when it would, or when nobody can tell")
    func nonRoot() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let cases: [(ImageUser?, security: JSON, pod: JSON, fault: String?)] = [
                (nil, ["runAsNonRoot": true], [:], "container has runAsNonRoot and image will run as root PLACE"),
                (
                    .number(0), [:], ["runAsNonRoot": true],
                    "container has runAsNonRoot and image will run as root PLACE"
                ),
                (
                    .number(101), ["runAsNonRoot": true, "runAsUser": 0], [:],
                    "container's runAsUser breaks non-root policy PLACE"
                ),
                (
                    .name("nginx"), ["runAsNonRoot": true], [:],
                    "container has runAsNonRoot and image has non-numeric user (nginx), "
                        + "cannot verify user is non-root PLACE"
                ),
                (.number(101), ["runAsNonRoot": true], [:], nil),
                (.number(0), ["runAsNonRoot": true, "runAsUser": 101], [:], nil),
                (.number(0), ["runAsNonRoot": false], ["runAsNonRoot": true], nil),
            ]
            for (number, (user, security, context, fault)) in cases.enumerated() {
                await stage.runtime.setUser(user, ofImage: "web:1")
                let name = "p\(number)"
                let pod = try await stage.api.create(
                    .pod, Stage.pod(name, container: ["securityContext": security], spec: ["securityContext": context]))
                guard let fault else {
                    try await stage.untilRunning(name)
                    continue
                }
                try await stage.until("\(name) waits") {
                    await stage.web(name)["state", "waiting", "reason"]?.string == "CreateContainerConfigError"
                }
                let place = "(pod: \"\(name)_ns(\(pod.uid))\", container: web)"
                let expected = String(fault.dropLast("PLACE".count)) + place
                #expect(await stage.web(name)["state", "waiting", "message"]?.string == expected)
                #expect(
                    try await stage.runtime.listContainers().allSatisfy { $0.labels[RuntimeLabel.podUID] != pod.uid })
                try await stage.api.delete(
                    ObjectKey(.pod, namespace: "ns", name: name), uid: pod.uid, graceSeconds: 0)
            }
            await agent.stop(teardown: true)
        }
    }

    @Test("Sandboxes of pods that the API does not know are removed")
    func orphans() throws {
        try Stage.play { stage in
            let config = SandboxConfig(
                name: "old", namespace: "ns", uid: "gone", attempt: 0, logDirectory: stage.directory)
            let sandbox = try await stage.runtime.runSandbox(config)
            let id = try await stage.runtime.createContainer(
                sandbox: sandbox, ContainerConfig(name: "web", attempt: 0, image: "web:1"), sandboxConfig: config)
            try await stage.runtime.startContainer(id)
            let agent = try await stage.start()
            try await stage.until("it is removed") {
                (try? await stage.runtime.listSandboxes())?.isEmpty == true
            }
            await agent.stop(teardown: true)
        }
    }

    @Test("Status writes that meet a conflict are made again")
    func conflicts() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            await stage.api.setConflicts(7)
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            #expect(await stage.api.conflicts == 0)
            await agent.stop(teardown: true)
        }
    }

    @Test("More pods than the node takes fail with OutOfpods")
    func full() throws {
        try Stage.play { stage in
            let agent = try await stage.start { $0.maxPods = 1 }
            _ = try await stage.api.create(.pod, Stage.pod("p"))
            try await stage.untilRunning("p")
            _ = try await stage.api.create(.pod, Stage.pod("q"))
            try await stage.until("the second is refused") {
                await stage.api.pod("q")?["status", "reason"]?.string == "OutOfpods"
            }
            #expect(try await stage.running().count == 1)
            await agent.stop(teardown: true)
        }
    }

    @Test("A pod waits for its Secret; its volume has the Secret's bytes, and gets new ones within two minutes")
    func volumes() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let pod = try await stage.api.create(
                .pod,
                Stage.pod(
                    "p", container: ["volumeMounts": [["name": "v", "mountPath": "/v"]]],
                    spec: ["volumes": [["name": "v", "secret": ["secretName": "s"]]]]))
            try await stage.until("it says so") { await stage.api.events().contains("FailedMount") }
            let meta: JSON = ["name": "s", "namespace": "ns"]
            _ = try await stage.api.create(.secret, ["metadata": meta, "data": ["k": "b25l"]])
            try await stage.untilRunning("p")
            let path = "\(stage.directory)/pods/\(pod.uid)/volumes/v/k"
            #expect(try Files.read(path) == Array("one".utf8))
            _ = try await stage.api.update(.secret, ["metadata": meta, "data": ["k": "dHdv", "l": ""]])
            try await stage.until("the file changes", seconds: 120) { (try? Files.read(path)) == Array("two".utf8) }
            #expect(try Files.list("\(stage.directory)/pods/\(pod.uid)/volumes/v").count == 4)
            await agent.stop(teardown: true)
        }
    }

    @Test("A hundred pods run side by side, and one whose image is slow holds up none")
    func many() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            for number in 0..<100 { _ = try await stage.api.create(.pod, Stage.pod("p\(number)")) }
            try await stage.until("all are ready") {
                var ready = 0
                for number in 0..<100 where await stage.isReady("p\(number)") { ready += 1 }
                return ready == 100
            }
            await agent.stop(teardown: true)
            #expect(try await stage.runtime.listSandboxes().isEmpty)
        }
    }
}

/// What the commands of probes answer.
final class Health: Sendable {
    private let sick = Mutex<Set<String>>([])
    func set(_ command: String, _ isWell: Bool) {
        sick.withLock { if isWell { $0.remove(command) } else { $0.insert(command) } }
    }
    func isWell(_ command: [String]) -> Bool { sick.withLock { !$0.contains(command.first ?? "") } }
}
