import Glibc
import MartletBase
import MartletIO
import MartletObject
import MartletPods
import MartletRuntime
import Testing

@testable import MartletNode

/// The folders of pods, on a real disk.
@Suite("The folders of pods on a node")
struct PodFolderFilesTests {
    /// A pod with one volume, mounted with a subPath.
    private static func spec(_ subPath: String, volume: JSON = ["emptyDir": [:]]) -> PodSpec {
        var volume = volume
        volume["name"] = "v"
        return PodSpec([
            "metadata": ["name": "p", "namespace": "ns", "uid": "u1"],
            "spec": [
                "nodeName": "n1", "volumes": [volume],
                "containers": [
                    [
                        "name": "web", "image": "web:1",
                        "volumeMounts": [["name": "v", "mountPath": "/v", "subPath": .string(subPath)]],
                    ]
                ],
            ],
        ])
    }

    /// Mounts that volume, lets a container write into it, and says what a next container would get.
    private static func mount(
        _ subPath: String, volume: JSON = ["emptyDir": [:]], objects: [ConfigReference: JSON] = [:], in root: String,
        after write: (_ folder: String) throws -> Void = { _ in }
    ) throws -> String? {
        let files = try PodFiles(root: root)
        let spec = spec(subPath, volume: volume)
        let surroundings = PodSurroundings(
            objects: objects, podIPs: [], hostIPs: [], nodeMilliCPU: 1000, nodeMemory: 1 << 30)
        for volume in spec.volumes { try files.mount(volume, of: spec, in: surroundings) }
        try write(files.path(of: spec.volumes[0], in: spec))
        return try files.mounts(of: spec.containers[0], in: spec).first?.hostPath
    }

    private static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "martlet-files")
        defer { try? Files.remove(folder) }
        try body(folder)
    }

    private static func mode(_ path: String) -> UInt32 {
        var info = stat()
        return unsafe stat(path, &info) == 0 ? info.st_mode & 0o7777 : 0
    }

    @Test("A subPath is made with the volume's permissions, and may name a file")
    func made() throws {
        try Self.inFolder { folder in
            let path = try #require(try Self.mount("a//./b", in: folder))
            #expect(path == "\(folder)/pods/u1/volumes/v/a/b" && Files.isDirectory(path))
            #expect(Self.mode(path) == 0o777 && Self.mode("\(folder)/pods/u1/volumes/v/a") == 0o777)
            #expect(try Self.mount("a/b", in: folder) == path)
            let file = try Self.mount("a/f", in: folder) { try Files.write([1], to: "\($0)/a/f") }
            #expect(try Files.read(try #require(file)) == [1])
        }
    }

    @Test(
        "A link that a container put into its volume is not followed: nothing is made outside",
        arguments: [
            "a/x", "a", "d/a/x/y", "d/a",
        ])
    func links(_ subPath: String) throws {
        try Self.inFolder { folder in
            let outside = "\(folder)/outside"
            try Files.makeDirectory(outside)
            var words = ""
            do {
                _ = try Self.mount(subPath, in: folder) { volume in
                    try Files.makeDirectory("\(volume)/d")
                    for place in ["a", "d/a"] { #expect(symlink(outside, "\(volume)/\(place)") == 0) }
                }
            } catch let error as ConfigurationError {
                words = error.description
            }
            let link = subPath.hasPrefix("d") ? "d/a" : "a"
            #expect(words == "subPath \(subPath): \(link) in volume v is a symbolic link, and none is followed")
            #expect(try Files.list(outside).isEmpty)
        }
    }

    @Test("A subPath that leaves its volume, passes through a file, or has a name too long is refused")
    func refused() throws {
        try Self.inFolder { folder in
            for path in ["../x", "/etc", "a/../../b"] {
                #expect(throws: ConfigurationError("subPath \(path) would leave volume v")) {
                    try Self.mount(path, in: folder)
                }
            }
            #expect(throws: ConfigurationError("subPath f/x: f in volume v is not a folder")) {
                try Self.mount("f/x", in: folder) { try Files.write([], to: "\($0)/f") }
            }
            #expect(throws: ConfigurationError.self) {
                try Self.mount(String(repeating: "n", count: 300), in: folder)
            }
        }
    }

    @Test("A subPath of a ConfigMap's volume is the key's file")
    func key() throws {
        try Self.inFolder { folder in
            let path = try Self.mount(
                "k", volume: ["configMap": ["name": "c"]],
                objects: [ConfigReference(.configMap, name: "c"): ["data": ["k": "one"]]], in: folder)
            #expect(try Files.read(try #require(path)) == Array("one".utf8))
        }
    }

    @Test("A hosts file that changes stays the same file, as containers have it mounted")
    func hosts() throws {
        try Self.inFolder { folder in
            let files = try PodFiles(root: folder)
            let spec = Self.spec("a")
            let path = try files.writeHosts(of: spec, addresses: ["10.0.0.2"])
            let held = open(path, O_RDONLY | O_CLOEXEC)
            defer { close(held) }
            #expect(try files.writeHosts(of: spec, addresses: ["10.0.0.3"]) == path)
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = read(held, &bytes, bytes.count)
            let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
            #expect(text.contains("10.0.0.3\tp\n") && !text.contains("10.0.0.2") && Self.mode(path) == 0o644)
        }
    }

    @Test("Disk work is done on another thread than the world's, in order")
    func thread() async throws {
        try await LoopbackTests.run { _ in
            let disk = try Disk.thread()
            let here = pthread_self()
            let there = try await disk.run { pthread_self() }
            #expect(here != there)
            #expect(try await disk.run { pthread_self() } == there)
            #expect(try await Disk.inline.run { pthread_self() } == here)
            disk.stop()
            await #expect(throws: Errno.cancelled) { try await disk.run {} }
        }
    }
}

/// What becomes of pods' folders when agents come and go.
@Suite("The folders of pods when agents come and go")
struct FolderLifeTests {
    static let scratch: JSON = ["volumes": [["name": "v", "emptyDir": [:]]]]
    static let mounted: JSON = ["volumeMounts": [["name": "v", "mountPath": "/v"]]]

    @Test("An agent that ends without a teardown leaves containers and emptyDirs to the next, which starts nothing")
    func kept() throws {
        try Stage.play { stage in
            let first = try await stage.start()
            let pod = try await stage.api.create(.pod, Stage.pod("p", container: Self.mounted, spec: Self.scratch))
            try await stage.untilRunning("p")
            let file = "\(stage.directory)/pods/\(pod.uid)/volumes/v/kept"
            try Files.write([7], to: file)
            let logs = try Files.list("\(stage.directory)/pods-logs")
            await first.stop(teardown: false)
            let running = try await stage.running().map(\.id)
            let asked = await stage.runtime.journal
            let second = try await stage.start()
            try await stage.world.sleep(for: .seconds(90))
            #expect(try await stage.running().map(\.id) == running && running.count == 1)
            #expect(await stage.runtime.journal == asked)
            #expect(try Files.read(file) == [7])
            #expect(try Files.list("\(stage.directory)/pods-logs") == logs && logs.count == 1)
            await second.stop(teardown: true)
            #expect(try Files.list("\(stage.directory)/pods").isEmpty)
        }
    }

    @Test("What is left of a pod that was deleted while no agent ran goes: sandbox, volumes and logs")
    func orphans() throws {
        try Stage.play { stage in
            let first = try await stage.start()
            let pod = try await stage.api.create(.pod, Stage.pod("p", container: Self.mounted, spec: Self.scratch))
            _ = try await stage.api.create(.pod, Stage.pod("q", container: Self.mounted, spec: Self.scratch))
            try await stage.untilRunning("p")
            try await stage.untilRunning("q")
            await first.stop(teardown: false)
            let key = ObjectKey(.pod, namespace: "ns", name: "p")
            try await stage.api.delete(key, uid: pod.uid, graceSeconds: 0)
            // Nor does the runtime know this one any more.
            try Files.makeDirectory("\(stage.directory)/pods/older/volumes/secret")
            let second = try await stage.start()
            try await stage.until("its sandbox is removed") {
                (try? await stage.runtime.listSandboxes())?.map(\.name) == ["q"]
            }
            try await stage.until("its folders are removed") {
                (try? Files.list("\(stage.directory)/pods"))?.count == 1
            }
            #expect(try Files.list("\(stage.directory)/pods") != [pod.uid])
            #expect(try Files.list("\(stage.directory)/pods-logs").allSatisfy { $0.hasPrefix("ns_q_") })
            #expect(await stage.isReady("q", restarts: 0))
            await second.stop(teardown: true)
        }
    }

    @Test("The folders of a pod wait for its sandbox to be gone")
    func sandboxFirst() throws {
        try Stage.play { stage in
            let config = SandboxConfig(
                name: "old", namespace: "ns", uid: "gone", attempt: 0, logDirectory: stage.directory)
            _ = try await stage.runtime.runSandbox(config)
            await stage.runtime.fail(.stopSandbox, with: .refused("busy"), times: 3)
            let folder = "\(stage.directory)/pods/gone"
            try Files.makeDirectory(folder)
            let agent = try await stage.start()
            try await stage.world.sleep(for: .milliseconds(1500))
            #expect(Files.exists(folder))
            try await stage.until("the folder is removed") { !Files.exists(folder) }
            #expect(try await stage.runtime.listSandboxes().isEmpty)
            await agent.stop(teardown: true)
        }
    }

    /// Needs root: a mount is what even root cannot remove.
    @Test("A folder that cannot be removed is tried again until it is gone", .enabled(if: geteuid() == 0))
    func again() throws {
        try Stage.play { stage in
            let agent = try await stage.start()
            let pod = try await stage.api.create(.pod, Stage.pod("p", container: Self.mounted, spec: Self.scratch))
            try await stage.untilRunning("p")
            let folder = "\(stage.directory)/pods/\(pod.uid)"
            let busy = "\(folder)/volumes/v"
            try #require(unsafe mount("martlet-test", busy, "tmpfs", 0, nil) == 0)
            defer { umount2(busy, Int32(MNT_DETACH)) }
            let key = ObjectKey(.pod, namespace: "ns", name: "p")
            try await stage.api.delete(key, uid: pod.uid, graceSeconds: 1)
            try await stage.until("it is gone from the API") { await stage.api.pod("p") == nil }
            try await stage.world.sleep(for: .seconds(30))
            #expect(Files.exists(busy))
            #expect(umount2(busy, 0) == 0)
            try await stage.until("its folder is removed") { !Files.exists(folder) }
            await agent.stop(teardown: true)
        }
    }
}
