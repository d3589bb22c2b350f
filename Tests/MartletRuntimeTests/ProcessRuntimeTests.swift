import MartletBase
import MartletIO
import MartletRuntime
import Testing

/// The process runtime with real child processes.
@Suite(.timeLimit(.minutes(1))) struct ProcessRuntimeTests {
    /// A runtime, a pod in it, and the folders of both.
    private struct Bench {
        var runtime: ProcessRuntime
        var world: Reactor
        var sandbox: SandboxConfig
        var pod: String

        /// Makes and starts a container that runs a line of shell.
        func start(_ script: String, change: (inout ContainerConfig) -> Void = { _ in }) async throws -> String {
            var config = ContainerConfig(name: "main", attempt: 0, image: "any")
            config.command = ["/bin/sh", "-c"]
            config.arguments = [script]
            config.logPath = "main/0.log"
            change(&config)
            let id = try await runtime.createContainer(sandbox: pod, config, sandboxConfig: sandbox)
            try await runtime.startContainer(id)
            return id
        }

        func status(_ id: String) async throws -> ContainerStatus {
            try #require(try await runtime.listContainers().first { $0.id == id })
        }

        /// Waits until the container is as wanted; ten seconds are for ever.
        func wait(_ id: String, until wanted: (ContainerStatus) -> Bool) async throws -> ContainerStatus {
            for _ in 0..<1_000 {
                let status = try await status(id)
                if wanted(status) { return status }
                try await world.sleep(for: .milliseconds(10))
            }
            return try await status(id)
        }

        func log(_ id: String) async throws -> [String] {
            let text = String(decoding: try Files.read(try await status(id).logPath), as: UTF8.self)
            return text.split(separator: "\n").map {
                $0.split(separator: " ", maxSplits: 1).dropFirst().joined()
            }
        }
    }

    /// Runs a test on a reactor's own thread, with a runtime that is ended after it.
    private func bench(_ body: @escaping @Sendable (Bench) async throws -> Void) async throws {
        let world = try Reactor(name: "test")
        defer { world.shutdown() }
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        let runtime = try ProcessRuntime(directory: folder + "/containers", in: world)
        let sandbox = SandboxConfig(
            name: "web-1", namespace: "default", uid: "u1", attempt: 0, logDirectory: folder + "/logs")
        let task = Task(executorPreference: world.executor) {
            let pod = try await runtime.runSandbox(sandbox)
            do {
                try await body(Bench(runtime: runtime, world: world, sandbox: sandbox, pod: pod))
            } catch {
                await runtime.shutdown()
                throw error
            }
            await runtime.shutdown()
            #expect(!Files.exists(folder + "/containers"))
        }
        try await task.value
    }

    @Test func `A container runs to its end, and its lines are in its log`() async throws {
        try await bench { bench in
            #expect(try await bench.runtime.listSandboxes().map(\.addresses) == [["127.0.0.1"]])
            let id = try await bench.start("echo out $GREETING; echo err >&2; printf tail; exit 3") {
                $0.environment = [.init("GREETING", "hello world")]
            }
            let status = try await bench.wait(id) { $0.state == .exited }
            #expect(status.state == .exited && status.exitCode == 3 && status.reason == "Error")
            #expect(status.finishedAt >= status.startedAt && status.startedAt >= status.createdAt)
            #expect(
                Set(try await bench.log(id)) == ["stdout F out hello world", "stderr F err", "stdout F tail"])
            try await bench.runtime.removeContainer(id)
            #expect(!Files.exists(status.logPath))
        }
    }

    @Test func `A megabyte of output is kept whole and in order`() async throws {
        try await bench { bench in
            let id = try await bench.start("seq 1 150000")
            let status = try await bench.wait(id) { $0.state == .exited }
            #expect(status.exitCode == 0 && status.reason == "Completed")
            #expect(try await bench.log(id) == (1...150_000).map { "stdout F \($0)" })
        }
    }

    @Test func `Stopping asks first, and kills what does not listen, with all it started`() async throws {
        try await bench { bench in
            let polite = try await bench.start("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done")
            _ = try await bench.wait(polite) { _ in true }
            while try await bench.log(polite).isEmpty { try await bench.world.sleep(for: .milliseconds(5)) }
            try await bench.runtime.stopContainer(polite, graceSeconds: 20)
            #expect(try await bench.status(polite).exitCode == 7)

            let deaf = try await bench.start("trap '' TERM; sleep 1000 & echo $!; wait") {
                $0.logPath = "main/1.log"
            }
            var lines: [String] = []
            while lines.isEmpty {
                try await bench.world.sleep(for: .milliseconds(5))
                lines = try await bench.log(deaf)
            }
            let grandchild = try #require(lines.first?.split(separator: " ").last)
            #expect(Files.exists("/proc/\(grandchild)"))
            try await bench.runtime.stopContainer(deaf, graceSeconds: 1)
            #expect(try await bench.status(deaf).exitCode == 137)
            // Killed, and taken up by whoever takes up orphans.
            for _ in 0..<200 where Self.runs(String(grandchild)) { try await bench.world.sleep(for: .milliseconds(10)) }
            #expect(!Self.runs(String(grandchild)))
        }
    }

    private static func runs(_ pid: String) -> Bool {
        guard let status = try? Files.read("/proc/\(pid)/stat") else { return false }
        return !String(decoding: status, as: UTF8.self).contains(") Z ")
    }

    @Test func `A command runs beside a container, with its variables, and is killed in time`() async throws {
        try await bench { bench in
            let id = try await bench.start("sleep 1000") { $0.environment = [.init("NAME", "x")] }
            let shell = { @Sendable (line: String) in ["/bin/sh", "-c", line] }
            let result = try await bench.runtime.execSync(
                id, command: shell("echo $NAME; echo no >&2; exit 4"), timeoutSeconds: 10)
            #expect(result == ExecResult(exitCode: 4, output: Array("x\n".utf8), errors: Array("no\n".utf8)))
            await #expect(throws: RuntimeError.refused("the command /bin/sh was killed after 1 s")) {
                try await bench.runtime.execSync(id, command: shell("sleep 1000"), timeoutSeconds: 1)
            }
        }
    }

    @Test func `Mounts are links below the working folder`() async throws {
        try await bench { bench in
            let id = try await bench.start("cat etc/config/passwd | head -c 4") {
                $0.mounts = [.init(containerPath: "/etc/config", hostPath: "/etc")]
            }
            #expect(try await bench.wait(id) { $0.state == .exited }.exitCode == 0)
            #expect(try await bench.log(id) == ["stdout F root"])
        }
    }

    @Test func `An image may name a program; without one and without a command nothing starts`() async throws {
        try await bench { bench in
            let id = try await bench.start("unused") {
                $0.image = "process:///bin/echo"
                $0.command = []
                $0.arguments = ["hello"]
            }
            _ = try await bench.wait(id) { $0.state == .exited }
            #expect(try await bench.log(id) == ["stdout F hello"])
            await #expect(throws: RuntimeError.self) { try await bench.start("unused") { $0.command = [] } }
            await #expect(throws: RuntimeError.refused("exec: /no/such: there is no such program on this host")) {
                try await bench.start("unused") { $0.command = ["/no/such"] }
            }
        }
    }
}
