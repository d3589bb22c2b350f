import MartletBase
import MartletRuntime
import Testing

@Suite struct SimulatedRuntimeTests {
    let world = JumpingWorld()
    let sandbox = SandboxConfig(
        name: "web-1", namespace: "default", uid: "u1", attempt: 0, logDirectory: "/var/log/pods/web-1")

    private func started(_ runtime: SimulatedRuntime, image: String = "nginx") async throws -> String {
        let pod = try await runtime.runSandbox(sandbox)
        var config = ContainerConfig(name: "web", attempt: 2, image: try await runtime.pullImage(image))
        config.image = image
        config.labels = ["app": "web"]
        config.logPath = "web/2.log"
        let id = try await runtime.createContainer(sandbox: pod, config, sandboxConfig: sandbox)
        try await runtime.startContainer(id)
        return id
    }

    @Test func `A container lives from its image to its removal`() async throws {
        let runtime = SimulatedRuntime(in: world)
        #expect(try await runtime.imageID("nginx") == nil)
        let id = try await started(runtime)
        #expect(try await runtime.imageID("nginx") == "simulated:nginx")

        var status = try #require(try await runtime.listContainers().first)
        #expect(status.id == id && status.state == .running && status.attempt == 2)
        #expect(status.labels == ["app": "web"] && status.logPath == "/var/log/pods/web-1/web/2.log")

        try await runtime.stopContainer(id, graceSeconds: 30)
        status = try #require(try await runtime.listContainers().first)
        #expect(status.state == .exited && status.exitCode == 143 && status.reason == "Error")

        try await runtime.removeContainer(id)
        #expect(try await runtime.listContainers().isEmpty)
        let pod = try #require(try await runtime.listSandboxes().first)
        #expect(pod.addresses == ["10.88.0.2"] && pod.isReady)
        await #expect(throws: RuntimeError.refused("sandbox \(pod.id) is not stopped")) {
            try await runtime.removeSandbox(pod.id)
        }
        try await runtime.stopSandbox(pod.id)
        try await runtime.removeSandbox(pod.id)
        try await runtime.removeSandbox(pod.id)
        #expect(try await runtime.listSandboxes().isEmpty)
    }

    @Test func `What a test orders happens: pulls fail, containers end, sandboxes die`() async throws {
        let runtime = SimulatedRuntime(in: world)
        let refusal = RuntimeError.refused("manifest unknown")
        await runtime.failPull(of: "nginx", with: refusal, times: 2)
        for _ in 0..<2 {
            await #expect(throws: refusal) { try await runtime.pullImage("nginx") }
        }
        let id = try await started(runtime)
        await runtime.exit(id, code: 137, reason: "OOMKilled")
        #expect(try await runtime.listContainers().map(\.reason) == ["OOMKilled"])
        await #expect(throws: RuntimeError.refused("container \(id) was started before")) {
            try await runtime.startContainer(id)
        }

        let other = try await started(runtime)
        let pod = try #require(try await runtime.listContainers().first { $0.id == other }?.sandbox)
        await runtime.killSandbox(pod)
        #expect(try await runtime.listSandboxes().first { $0.id == pod }?.isReady == false)
        #expect(try await runtime.listContainers().first { $0.id == other }?.exitCode == 137)
    }

    @Test func `Programs end by themselves, or hold out until they are killed`() async throws {
        let runtime = SimulatedRuntime(in: world)
        await runtime.setProgram(.exits(code: 0, after: .zero), forImage: "job")
        await runtime.setProgram(.ignoresTermination, forImage: "stubborn")
        let job = try await started(runtime, image: "job")
        let stubborn = try await started(runtime, image: "stubborn")
        let before = world.now()
        try await runtime.stopContainer(stubborn, graceSeconds: 30)
        #expect(world.now() - before == .seconds(30))
        let all = try await runtime.listContainers()
        #expect(all.first { $0.id == job }?.reason == "Completed")
        #expect(all.first { $0.id == stubborn }?.exitCode == 137)
    }

    @Test func `A container needs a present image and a sandbox that runs`() async throws {
        let runtime = SimulatedRuntime(in: world)
        let config = ContainerConfig(name: "web", attempt: 0, image: "nginx")
        await #expect(throws: RuntimeError.notFound("sandbox nowhere")) {
            try await runtime.createContainer(sandbox: "nowhere", config, sandboxConfig: sandbox)
        }
        let pod = try await runtime.runSandbox(sandbox)
        await #expect(throws: RuntimeError.notFound("image nginx")) {
            try await runtime.createContainer(sandbox: pod, config, sandboxConfig: sandbox)
        }
        await runtime.addImages(["nginx"])
        try await runtime.stopSandbox(pod)
        await #expect(throws: RuntimeError.refused("sandbox \(pod) does not run")) {
            try await runtime.createContainer(sandbox: pod, config, sandboxConfig: sandbox)
        }
    }

    @Test func `Commands in containers are answered by the test, and calls are written down`() async throws {
        let runtime = SimulatedRuntime(in: world)
        await runtime.setExec { container, command in
            ExecResult(exitCode: 3, output: Array("\(container.name): \(command)".utf8), errors: [])
        }
        let id = try await started(runtime)
        let result = try await runtime.execSync(id, command: ["cat", "/x"], timeoutSeconds: 1)
        #expect(result.exitCode == 3)
        #expect(String(decoding: result.output, as: UTF8.self) == #"web: ["cat", "/x"]"#)
        #expect(
            await runtime.journal == [
                "runSandbox default/web-1", "pullImage nginx", "createContainer default/web-1/web",
                "startContainer \(id)", "execSync \(id) cat /x",
            ])
    }
}
