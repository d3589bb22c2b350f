import Glibc
import MartletBase
import MartletCNI
import MartletIO
import Testing

@testable import MartletRuntime

/// Real containers: needs root, and Debian's containerd, runc, containernetworking-plugins and busybox-static. Skipped
/// elsewhere.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(
        if: geteuid() == 0
            && ["containerd", "runc", "ctr", "busybox", "ip"].allSatisfy { ChildProcess.find($0) != nil }))
struct ContainerdTests {
    /// What a test may have left on the host, as lines: processes, mounts, links, rules, cgroups, files.
    private static func traces(of configuration: Containerd.Configuration, bridge: String, in world: Reactor)
        async throws -> [String]
    {
        var found: [String] = []
        for process in Leftovers.processes() {
            let line = process.arguments.joined(separator: " ")
            if line.contains(configuration.socket) || line.contains(configuration.directory) { found.append(line) }
        }
        for point in try Mounts.list().map(\.path) {
            if [configuration.directory, configuration.runDirectory].contains(where: { point.hasPrefix($0) }) {
                found.append("mount \(point)")
            }
        }
        if Files.exists("/sys/class/net/\(bridge)") { found.append("link \(bridge)") }
        for hierarchy in [""] + (try Files.list("/sys/fs/cgroup")) {
            let path = "/sys/fs/cgroup/\(hierarchy)\(configuration.cgroupParent)"
            if Files.exists(path) { found.append("cgroup \(path)") }
        }
        if Files.exists(configuration.runDirectory) { found.append(configuration.runDirectory) }
        for name in (try? Files.list("/var/lib/cni/results")) ?? [] where name.hasPrefix("martlet") {
            if NetworkConfig.cachedResult(
                try Files.read("/var/lib/cni/results/\(name)"), isOf: configuration.networkDataDirectory)
            {
                found.append(name)
            }
        }
        return found
    }

    /// The host's NAT tables, which the standard plugins write.
    private static func rules(in world: Reactor) async throws -> String {
        guard let nft = ChildProcess.find("nft") else { return "" }
        var text = ""
        for family in ["ip", "ip6"] {
            // Stateless: the counters of rules tell of traffic, not of what was left behind.
            let listed = try await ChildProcess.run(nft, ["-s", "list", "table", family, "nat"], in: world)
            text += String(decoding: listed.output, as: UTF8.self)
        }
        return text
    }

    /// A containerd in a folder of its own, torn down after the test, and then searched for traces.
    private func containerd(
        bridge: String, knowsNetwork: Bool = true,
        _ body: @escaping @Sendable (Containerd, Reactor) async throws -> Void
    ) async throws {
        let world = try Reactor(name: "test")
        defer { world.shutdown() }
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        var configuration = Containerd.Configuration(directory: folder + "/containerd")
        configuration.setNetwork(podCIDR: "10.231.77.0/24", bridge: bridge)
        if !knowsNetwork { configuration.network = nil }
        let final = configuration
        let task = Task(executorPreference: world.executor) {
            let rules = try await Self.rules(in: world)
            let containerd = Containerd(final, in: world)
            do {
                let begin = ContinuousClock.now
                try await containerd.start()
                print("containerd, from nothing to an imported sandbox image: \(ContinuousClock.now - begin)")
                try await body(containerd, world)
            } catch {
                let log = (try? Files.read(final.log)) ?? []
                print(String(decoding: log.suffix(4_000), as: UTF8.self))
                await containerd.stop(teardown: true)
                throw error
            }
            await containerd.stop(teardown: true)
            #expect(try await Self.traces(of: final, bridge: bridge, in: world) == [])
            #expect(try await Self.rules(in: world) == rules)
        }
        try await task.value
    }

    private func pod(_ name: String, in containerd: Containerd) -> SandboxConfig {
        var sandbox = SandboxConfig(
            name: name, namespace: "default", uid: "uid-\(name)", attempt: 0,
            logDirectory: containerd.configuration.directory + "/logs/\(name)")
        sandbox.labels = ["app": name]
        sandbox.dnsServers = ["10.96.0.10"]
        return sandbox
    }

    /// Builds and imports an image of BusyBox and two files; returns what it is called.
    private static func busybox(in containerd: Containerd, _ world: Reactor) async throws -> String {
        var image = ImageBuilder(reference: "martlet.local/busybox:1")
        image.add(try await BusyBox.ofHost(in: world))
        image.add(file: "greeting", Array("hello from the image\n".utf8))
        image.add(file: "www/index.html", Array("hello over the bridge\n".utf8))
        image.command = ["cat", "/greeting"]
        try await containerd.importImage(image)
        return image.reference
    }

    /// The lines of a log without their times, sorted, once there are so many.
    private static func lines(of log: String, count: Int, _ world: Reactor) async throws -> [String] {
        while true {
            let lines = String(decoding: try Files.read(log), as: UTF8.self).split(separator: "\n").map {
                $0.split(separator: " ", maxSplits: 1).dropFirst().joined()
            }
            if lines.count >= count { return lines.sorted() }
            try await world.sleep(for: .milliseconds(10))
        }
    }

    @Test func `A pod lives from its image to its end, and leaves nothing`() async throws {
        try await containerd(bridge: "mtest0") { containerd, world in
            let clock = ContinuousClock()
            let runtime = containerd.runtime
            #expect(try await runtime.version().name == "containerd")
            #expect(try await runtime.unmetConditions() == [])
            let image = try await Self.busybox(in: containerd, world)
            #expect(try await runtime.listImages() == [image, PauseImage.reference])
            #expect(try await runtime.imageID("martlet.local/absent:1") == nil)
            #expect(try await runtime.imageUser("martlet.local/absent:1") == nil)
            #expect(try await runtime.imageUser(image) == .number(0))

            let sandbox = pod("web", in: containerd)
            var start = clock.now
            let id = try await runtime.runSandbox(sandbox)
            let sandboxTime = start.duration(to: clock.now)
            let listed = try #require(try await runtime.listSandboxes().first)
            #expect(listed.id == id && listed.isReady && listed.name == "web" && listed.uid == "uid-web")
            #expect(listed.addresses.first?.hasPrefix("10.231.77.") == true)

            var config = ContainerConfig(name: "main", attempt: 1, image: image)
            config.command = ["sh", "-c"]
            config.arguments = [
                "cat /greeting /etc/resolv.conf; hostname; echo oops >&2; trap 'exit 9' TERM; sleep 99 & wait"
            ]
            config.logPath = "main/1.log"
            config.environment = [.init("COLOUR", "blue")]
            config.limits.memory = 64 << 20
            config.oomScoreAdjustment = 500
            config.labels = ["role": "main"]
            start = clock.now
            let container = try await runtime.createContainer(sandbox: id, config, sandboxConfig: sandbox)
            try await runtime.startContainer(container)
            let containerTime = start.duration(to: clock.now)
            print("sandbox with network: \(sandboxTime), container made and started: \(containerTime)")

            var status = try #require(try await runtime.listContainers().first)
            #expect(status.state == .running && status.attempt == 1 && status.labels == ["role": "main"])
            #expect(status.sandbox == id && status.startedAt > 0 && !status.imageID.isEmpty)
            #expect(
                try await Self.lines(of: status.logPath, count: 4, world) == [
                    "stderr F oops", "stdout F hello from the image", "stdout F nameserver 10.96.0.10", "stdout F web",
                ])

            let result = try await runtime.execSync(
                container, command: ["sh", "-c", "echo $COLOUR; id -u; exit 4"], timeoutSeconds: 10)
            #expect(result == ExecResult(exitCode: 4, output: Array("blue\n0\n".utf8), errors: []))
            start = clock.now
            for _ in 0..<100 { _ = try await runtime.listContainers() }
            print("one list of containers: \(start.duration(to: clock.now) / 100)")
            await #expect(throws: RuntimeError.refused("the command sleep was killed after 1 s")) {
                try await runtime.execSync(container, command: ["sleep", "60"], timeoutSeconds: 1)
            }

            try await runtime.stopContainer(container, graceSeconds: 10)
            status = try #require(try await runtime.listContainers().first)
            #expect(status.state == .exited && status.exitCode == 9 && status.reason == "Error")
            try await runtime.removeContainer(container)
            try await runtime.removeContainer(container)
            #expect(try await runtime.listContainers().isEmpty && !Files.exists(status.logPath))
            try await runtime.stopSandbox(id)
            try await runtime.removeSandbox(id)
            try await runtime.removeSandbox(id)
            #expect(try await runtime.listSandboxes().isEmpty)
        }
    }

    @Test func `Pods reach each other, and a host port leads to one`() async throws {
        try await containerd(bridge: "mtest1", knowsNetwork: false) { containerd, world in
            let runtime = containerd.runtime
            // A node learns its range of addresses when it is registered: the runtime waits for it.
            #expect(try await runtime.unmetConditions().map(\.type) == ["NetworkReady"])
            var network = NetworkConfig(
                podCIDRs: ["10.231.77.0/24"], dataDirectory: containerd.configuration.networkDataDirectory)
            network.bridge = containerd.configuration.bridge
            try await containerd.setNetwork(network)
            while try await !runtime.unmetConditions().isEmpty { try await world.sleep(for: .milliseconds(10)) }

            let image = try await Self.busybox(in: containerd, world)
            var server = pod("server", in: containerd)
            server.ports = [.init(proto: "TCP", containerPort: 8080, hostPort: 38_080)]
            let first = try await runtime.runSandbox(server)
            var config = ContainerConfig(name: "www", attempt: 0, image: image)
            config.command = ["httpd", "-f", "-p", "8080", "-h", "/www"]
            config.logPath = "www/0.log"
            let web = try await runtime.createContainer(sandbox: first, config, sandboxConfig: server)
            try await runtime.startContainer(web)

            let client = pod("client", in: containerd)
            let second = try await runtime.runSandbox(client)
            config.name = "client"
            config.command = ["sleep", "1000"]
            config.logPath = "client/0.log"
            let shell = try await runtime.createContainer(sandbox: second, config, sandboxConfig: client)
            try await runtime.startContainer(shell)
            let address = try #require(try await runtime.listSandboxes().first { $0.id == first }?.addresses.first)
            // The server needs a moment to listen. (Debian's static BusyBox has a wget that crashes.)
            let fetch = """
                for i in $(seq 100); do
                  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $0 $1 | grep hello && exit
                  usleep 50000
                done
                exit 1
                """
            let answer = try await runtime.execSync(
                shell, command: ["sh", "-c", fetch, address, "8080"], timeoutSeconds: 20)
            #expect(String(decoding: answer.output, as: UTF8.self) == "hello over the bridge\n")
            // From the host through the port map, on an address of the host that is not loopback.
            let host = try await ChildProcess.run(
                "/usr/bin/busybox", ["sh", "-c", fetch, "10.231.77.1", "38080"], in: world)
            #expect(String(decoding: host.output, as: UTF8.self) == "hello over the bridge\n")
        }
    }

    @Test func `A container may do what its configuration says, and no more`() async throws {
        try await containerd(bridge: "mtest4") { containerd, world in
            let runtime = containerd.runtime
            let image = try await Self.busybox(in: containerd, world)
            let folder = containerd.configuration.directory + "/volume"
            try Files.makeDirectory(folder)
            chmod(folder, 0o777)
            try Files.write(Array("from the host\n".utf8), to: folder + "/file")
            var sandbox = pod("limits", in: containerd)
            sandbox.sharesProcesses = true
            sandbox.cgroupParent = "pod-limits"
            let id = try await runtime.runSandbox(sandbox)
            var config = ContainerConfig(name: "main", attempt: 0, image: image)
            config.command = ["sleep", "1000"]
            config.runAsUser = 1_000
            config.runAsGroup = 1_000
            config.readOnlyRoot = true
            config.noNewPrivileges = true
            config.droppedCapabilities = ["ALL"]
            config.limits.memory = 32 << 20
            config.workingDirectory = "/tmp"
            config.mounts = [
                .init(containerPath: "/volume", hostPath: folder, isReadOnly: true),
                .init(containerPath: "/scratch", hostPath: folder),
            ]
            let container = try await runtime.createContainer(sandbox: id, config, sandboxConfig: sandbox)
            try await runtime.startContainer(container)
            let script = """
                echo $(id -u):$(id -g) $(pwd) $(cat /volume/file)
                touch /x 2>&- || echo root is read-only
                touch /volume/x 2>&- || echo volume is read-only
                touch /scratch/x && echo scratch is not
                grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status | tr -d '\\t'
                echo x 2>&- >/proc/sys/kernel/hostname || echo kernel is read-only
                tr '\\0' ' ' </proc/1/cmdline
                """
            let result = try await runtime.execSync(container, command: ["sh", "-c", script], timeoutSeconds: 10)
            #expect(
                String(decoding: result.output, as: UTF8.self).split(separator: "\n") == [
                    "1000:1000 /tmp from the host", "root is read-only", "volume is read-only", "scratch is not",
                    "CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2", "kernel is read-only",
                    "/bin/sh /pause ",
                ])
            let root = Files.exists("/sys/fs/cgroup/memory") ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup"
            let cgroup = "\(root)\(containerd.configuration.cgroupParent)/pod-limits/\(container)"
            let file = root == "/sys/fs/cgroup" ? "memory.max" : "memory.limit_in_bytes"
            #expect(try Files.read("\(cgroup)/\(file)") == Array("\(32 << 20)\n".utf8))

            var host = pod("host", in: containerd)
            host.hostNetwork = true
            let other = try await runtime.runSandbox(host)
            #expect(try await runtime.listSandboxes().first { $0.id == other }?.addresses == [])
        }
    }

    @Test func `When containerd is killed it comes back, and the containers have not noticed`() async throws {
        try await containerd(bridge: "mtest2") { containerd, world in
            let runtime = containerd.runtime
            let image = try await Self.busybox(in: containerd, world)
            let sandbox = pod("web", in: containerd)
            let id = try await runtime.runSandbox(sandbox)
            var config = ContainerConfig(name: "main", attempt: 0, image: image)
            config.command = ["sleep", "1000"]
            let container = try await runtime.createContainer(sandbox: id, config, sandboxConfig: sandbox)
            try await runtime.startContainer(container)
            let before = try await runtime.listContainers()

            let pid = try #require(await containerd.processID)
            kill(pid, SIGKILL)
            while await containerd.startCount < 2 { try await world.sleep(for: .milliseconds(20)) }
            while (try? await runtime.version()) == nil { try await world.sleep(for: .milliseconds(20)) }
            #expect(try await runtime.listContainers() == before)
            #expect(before.first?.state == .running)
            // The pod is left to the teardown.
        }
    }

    @Test func `Stopped in the pause after a crash and started again, it runs once`() async throws {
        try await containerd(bridge: "mtest5") { containerd, world in
            kill(try #require(await containerd.processID), SIGKILL)
            while await containerd.processID != nil { try await world.sleep(for: .milliseconds(1)) }
            await containerd.stop(teardown: false)
            let begun = await containerd.startCount
            try await containerd.start()
            // Longer than the pause that the first supervisor was in.
            try await world.sleep(for: Containerd.pauses.first * 3)
            #expect(await containerd.startCount == begun + 1)
            let running = Leftovers.processes().filter {
                $0.arguments.contains(containerd.configuration.directory + "/config.toml")
            }
            #expect(running.count == 1)
        }
    }

    @Test func `A range that another interface has is refused, and the runtime says why it has no network`()
        async throws
    {
        try await containerd(bridge: "mtest6", knowsNetwork: false) { containerd, world in
            let ip = try #require(ChildProcess.find("ip"))
            let other = "mtest7"
            for words in [
                ["link", "add", other, "type", "bridge"], ["addr", "add", "10.231.78.1/24", "dev", other],
                ["link", "set", other, "up"],
            ] { #expect(try await ChildProcess.run(ip, words, in: world).status == 0) }
            var network = NetworkConfig(
                podCIDRs: ["10.231.78.0/24"], dataDirectory: containerd.configuration.networkDataDirectory)
            network.bridge = "mtest6"
            let config = network
            await #expect(throws: ContainerdError.self) { try await containerd.setNetwork(config) }
            let unmet = try await containerd.runtime.unmetConditions()
            _ = try await ChildProcess.run(ip, ["link", "delete", other], in: world)
            #expect(unmet.first { $0.type == "NetworkReady" }?.message.contains("mtest7 has a route") == true)
            try await containerd.setNetwork(config)
            while !(try await containerd.runtime.unmetConditions().isEmpty) {
                try await world.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func `New pods of a node that gets another range have addresses of it`() async throws {
        try await containerd(bridge: "mtest11") { containerd, world in
            let runtime = containerd.runtime
            _ = try await runtime.runSandbox(pod("before", in: containerd))
            var network = NetworkConfig(
                podCIDRs: ["10.231.80.0/24"], dataDirectory: containerd.configuration.networkDataDirectory)
            network.bridge = "mtest11"
            try await containerd.setNetwork(network)
            // The runtime sees the new configuration by itself, a moment later.
            for number in 0... {
                let id = try await runtime.runSandbox(pod("after\(number)", in: containerd))
                let made = try await runtime.listSandboxes().first { $0.id == id }
                if made?.addresses.first?.hasPrefix("10.231.80.") == true { break }
                try await world.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func `A crash of ours is cleaned up by name: shims, mounts, cgroups, bridge, rules`() async throws {
        try await containerd(bridge: "mtest3") { containerd, world in
            let runtime = containerd.runtime
            var sandbox = pod("web", in: containerd)
            sandbox.ports = [.init(proto: "TCP", containerPort: 80, hostPort: 38_081)]
            _ = try await runtime.runSandbox(sandbox)
            // As if this process had been killed and started again: the pod is adopted.
            await containerd.stop(teardown: false)
            let second = Containerd(containerd.configuration, in: world)
            try await second.start()
            let pods = try await second.runtime.listSandboxes()
            #expect(pods.map(\.isReady) == [true] && pods.first?.addresses.isEmpty == false)
            await second.stop(teardown: false)

            // Killed for good: what is left is found by name, and a later start finds a pod that does not run.
            #expect(Files.exists("/sys/class/net/mtest3"))
            await Containerd.removeLeftovers(of: containerd.configuration, in: world)
            #expect(try await Self.traces(of: containerd.configuration, bridge: "mtest3", in: world) == [])
            let third = Containerd(containerd.configuration, in: world)
            try await third.start()
            let dead = try #require(try await third.runtime.listSandboxes().first)
            #expect(!dead.isReady)
            try await third.runtime.stopSandbox(dead.id)
            try await third.runtime.removeSandbox(dead.id)
            #expect(try await third.runtime.listSandboxes().isEmpty)
            await third.stop(teardown: true)
        }
    }

    @Test func `Archives whose images are there are not imported again, others of their names are`() async throws {
        try await containerd(bridge: "mtest10") { containerd, world in
            let folder = containerd.configuration.directory + "/archives"
            try Files.makeDirectory(folder)
            func archive(_ content: UInt8) throws -> [UInt8] {
                var image = ImageBuilder(reference: "martlet.local/data:1")
                image.add(file: "blob", [UInt8](repeating: content, count: 100_000))
                return try image.archive()
            }
            let bytes = try archive(1)
            try Files.write(bytes, to: folder + "/data.tar")
            try await containerd.importDirectory(folder)
            let id = try #require(try await containerd.runtime.imageID("martlet.local/data:1"))
            // Of one whose layer is cut off nothing could be imported.
            try Files.write(Array(bytes.prefix(bytes.count - 50_000)), to: folder + "/data.tar")
            try await containerd.importDirectory(folder)
            #expect(try await containerd.runtime.imageID("martlet.local/data:1") == id)
            try Files.write(try archive(2), to: folder + "/data.tar")
            try await containerd.importDirectory(folder)
            while try await containerd.runtime.imageID("martlet.local/data:1") == id {
                try await world.sleep(for: .milliseconds(10))
            }
        }
    }

    @Test func `On a full disk it starts again, its pods run on, and what is left can be removed`() async throws {
        try await containerd(bridge: "mtest8") { containerd, world in
            // A disk of its own, which can be filled.
            let disk = try Files.makeTemporaryDirectory()
            #expect(mount("none", disk, "tmpfs", 0, "size=48m") == 0)
            defer {
                umount2(disk, Int32(MNT_DETACH))
                try? Files.remove(disk)
            }
            let images = disk + "/images"
            try Files.makeDirectory(images)
            var configuration = Containerd.Configuration(directory: disk + "/containerd")
            configuration.setNetwork(podCIDR: "10.231.79.0/24", bridge: "mtest9")
            configuration.imageDirectory = images
            let first = Containerd(configuration, in: world)
            try await first.start()
            let sandbox = try await first.runtime.runSandbox(pod("web", in: first))
            await first.stop(teardown: false)

            var image = ImageBuilder(reference: "martlet.local/late:1")
            image.add(file: "blob", [UInt8](repeating: 7, count: 1_000_000))
            try Files.write(try image.archive(), to: images + "/late.tar")
            let block = [UInt8](repeating: 1, count: 65_536)
            while (try? Files.append(block, to: disk + "/filler")) != nil {}

            let second = Containerd(configuration, in: world)
            try await second.start()
            #expect(try await second.runtime.listSandboxes().map(\.id) == [sandbox])
            #expect(try await second.runtime.listSandboxes().first?.isReady == true)
            await second.stop(teardown: false)

            await Containerd.removeLeftovers(of: configuration, in: world)
            #expect(try await Self.traces(of: configuration, bridge: "mtest9", in: world) == [])
        }
    }

    @Test func `Links to plugins that are right stay, wrong ones go`() throws {
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        let bin = folder + "/bin"
        try PodNetwork.linkPlugins(into: bin, plugin: "/bin/true")
        #expect(Files.exists(bin + "/host-local"))
        func inode(_ name: String) -> UInt64? {
            var info = stat()
            return lstat("\(bin)/\(name)", &info) == 0 ? UInt64(info.st_ino) : nil
        }
        let before = inode("host-local")
        #expect(symlink("/nowhere", bin + "/gone") == 0)
        try PodNetwork.linkPlugins(into: bin, plugin: "/bin/false")
        #expect(inode("host-local") == before && inode("gone") == nil)
        var target = [CChar](repeating: 0, count: 64)
        let length = readlink(bin + "/martlet-cni", &target, 64)
        let text = String(decoding: target.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(text == "/bin/false")
    }
}
