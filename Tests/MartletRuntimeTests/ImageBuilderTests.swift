import MartletBase
import MartletCNI
import MartletIO
import MartletObject
import Testing

@testable import MartletRuntime

@Suite struct ImageBuilderTests {
    private func sample() -> ImageBuilder {
        var image = ImageBuilder(reference: "martlet.local/sample:3")
        image.add(BusyBox(program: Array("program".utf8), applets: ["sh", "cat", "busybox"]))
        image.add(file: "/srv/www/index.html", Array("hello\n".utf8), mode: 0o640)
        image.entrypoint = ["/bin/sh", "-c"]
        image.command = ["exit 0"]
        image.environment.append((name: "A", value: "b c"))
        image.workingDirectory = "/srv"
        image.stopSignal = "SIGINT"
        return image
    }

    /// Unpacks an archive with the system's tar, and runs a check in the folder.
    private func unpacked(_ archive: [UInt8], _ check: @escaping @Sendable (String, Reactor) async throws -> Void)
        async throws
    {
        let world = try Reactor(name: "test")
        defer { world.shutdown() }
        let folder = try Files.makeTemporaryDirectory()
        defer { try? Files.remove(folder) }
        let task = Task(executorPreference: world.executor) {
            try Files.write(archive, to: folder + "/image.tar")
            let result = try await ChildProcess.run(
                "/usr/bin/tar", ["-xpf", folder + "/image.tar", "-C", folder], in: world)
            #expect(result.status == 0 && result.errors.isEmpty)
            try await check(folder, world)
        }
        try await task.value
    }

    @Test func `An archive is an OCI layout whose digests and sizes are right`() async throws {
        try await unpacked(sample().archive()) { folder, world in
            #expect(try Files.read(folder + "/oci-layout") == Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
            // Each blob is named by its own digest, as sha256sum finds it.
            let blobs = try Files.list(folder + "/blobs/sha256")
            #expect(blobs.count == 3)
            for blob in blobs {
                let sum = try await ChildProcess.run(
                    "/usr/bin/sha256sum", ["\(folder)/blobs/sha256/\(blob)"], in: world)
                #expect(String(decoding: sum.output, as: UTF8.self).hasPrefix(blob + " "))
            }
            func blob(_ descriptor: JSON?) throws -> [UInt8] {
                let digest = try #require(descriptor?["digest"]?.string)
                let bytes = try Files.read("\(folder)/blobs/sha256/\(digest.dropFirst(7))")
                #expect(digest.hasPrefix("sha256:") && descriptor?["size"]?.int == bytes.count)
                return bytes
            }
            let index = try JSON(parsing: Files.read(folder + "/index.json"))
            let entry = try #require(index["manifests"]?[0])
            #expect(entry["annotations", "io.containerd.image.name"] == "martlet.local/sample:3")
            #expect(entry["annotations", "org.opencontainers.image.ref.name"] == "3")
            let manifest = try JSON(parsing: blob(entry))
            let config = try JSON(parsing: blob(manifest["config"]))
            let layer = try blob(manifest["layers"]?[0])
            // The layer is not compressed: its digest is also its diff id.
            #expect(config["rootfs", "diff_ids"]?[0] == manifest["layers"]?[0]?["digest"])
            #expect(config["config", "Entrypoint"] == ["/bin/sh", "-c"] && config["config", "Cmd"] == ["exit 0"])
            #expect(config["config", "Env"]?[1] == "A=b c" && config["config", "StopSignal"] == "SIGINT")
            #expect(config["config", "WorkingDir"] == "/srv")

            try Files.write(layer, to: folder + "/layer.tar")
            let listed = try await ChildProcess.run(
                "/usr/bin/tar", ["--numeric-owner", "--utc", "-tvf", folder + "/layer.tar"], in: world)
            let lines = String(decoding: listed.output, as: UTF8.self).split(separator: "\n").map {
                $0.split(separator: " ").joined(separator: " ")
            }
            #expect(lines.contains("-rwxr-xr-x 0/0 7 1970-01-01 00:00 bin/busybox"))
            #expect(lines.contains("lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/sh -> busybox"))
            #expect(lines.contains("drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/"))
            #expect(lines.contains("-rw-r----- 0/0 6 1970-01-01 00:00 srv/www/index.html"))
            #expect(lines.count { $0.hasSuffix(" srv/www/") } == 1)
            #expect(!lines.contains { $0.contains("bin/busybox ->") })
        }
    }

    @Test func `The same content gives the same bytes`() throws {
        #expect(try sample().archive() == sample().archive())
    }

    @Test func `Long paths are split, and too long ones are refused by name`() async throws {
        var image = ImageBuilder(reference: "x")
        let folder = String(repeating: "d", count: 80)
        image.add(file: "\(folder)/\(folder)/file", [1])
        let bytes = try image.archive()
        try await unpacked(bytes) { root, world in
            let index = try JSON(parsing: Files.read(root + "/index.json"))
            #expect(index["manifests"]?[0]?["annotations", "org.opencontainers.image.ref.name"] == "latest")
            for name in try Files.list(root + "/blobs/sha256") {
                let blob = "\(root)/blobs/sha256/\(name)"
                guard try Files.read(blob).first != UInt8(ascii: "{") else { continue }
                let listed = try await ChildProcess.run("/usr/bin/tar", ["-tf", blob], in: world)
                #expect(String(decoding: listed.output, as: UTF8.self).hasSuffix("\(folder)/\(folder)/file\n"))
            }
        }
        image.add(file: String(repeating: "n", count: 101), [])
        #expect(throws: ImageError.self) { try image.archive() }
    }
}

@Suite struct ContainerdConfigTests {
    @Test func `The configuration says what was decided, and odd paths are escaped`() {
        var config = ContainerdConfig(
            root: "/data/a \"b\"\\c\u{1}", state: "/run/x", socket: "/run/x/s", pluginDirectory: "/p",
            networkDirectory: "/n")
        config.restrictsOOMScore = true
        let lines = config.text.split(separator: "\n").map(String.init)
        #expect(lines.first == "version = 2")
        #expect(lines.contains(#"root = "/data/a \"b\"\\c\u0001""#))
        #expect(lines.contains("restrict_oom_score_adj = true") && lines.contains("disable_apparmor = false"))
        #expect(lines.contains(#"sandbox_image = "martlet.local/pause:1""#))
        #expect(lines.contains(#"["plugins"."io.containerd.grpc.v1.cri"."containerd"."runtimes"."runc"."options"]"#))
        #expect(lines.contains("SystemdCgroup = false") && lines.contains(#"conf_dir = "/n""#))
    }

    @Test func `A socket's path is short however long the data folder's is`() {
        var configuration = Containerd.Configuration(directory: "/" + String(repeating: "long/", count: 60))
        configuration.setNetwork(podCIDR: "10.1.0.0/24")
        #expect(configuration.socket.utf8.count < 60)
        #expect(configuration.socket != Containerd.Configuration(directory: "/other").socket)
        #expect(configuration.network?.dataDirectory.hasSuffix("/cni/data") == true)
    }

    @Test func `Capabilities are read from the kernel's hexadecimal mask`() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"
        #expect(!HostAbilities.hasCapability(24, inStatus: status))
        #expect(HostAbilities.hasCapability(23, inStatus: status) && HostAbilities.hasCapability(40, inStatus: status))
        #expect(!HostAbilities.hasCapability(0, inStatus: "CapEff: none"))
    }
}

@Suite struct LeftoversTests {
    private func shim(_ pid: Int32, socket: String) -> Leftovers.Process {
        Leftovers.Process(
            pid: pid, parent: 1,
            arguments: [
                "/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "box", "-address", socket,
            ])
    }

    @Test func `Shims are ours only by our socket, and their containers are their descendants`() {
        let ours = shim(10, socket: "/run/martlet/a/containerd.sock")
        let all = [
            ours, shim(20, socket: "/run/containerd/containerd.sock"),
            Leftovers.Process(pid: 11, parent: 10, arguments: ["/pause"]),
            Leftovers.Process(pid: 12, parent: 11, arguments: ["sleep", "-address", "/run/martlet/a/containerd.sock"]),
            Leftovers.Process(pid: 21, parent: 20, arguments: ["/pause"]),
        ]
        let found = Leftovers.shims(of: "/run/martlet/a/containerd.sock", in: all)
        #expect(found == [ours])
        #expect(Leftovers.descendants(of: found, in: all).map(\.pid) == [11, 12])
    }

    @Test func `A process's parent is read behind any name`() {
        #expect(Leftovers.parent(inStat: Array("7 (a) b (c)) S 42 7 7 0".utf8)) == 42)
        #expect(Leftovers.parent(inStat: Array("7 (a".utf8)) == nil)
        #expect(Leftovers.parent(inStat: Array("7 (a)".utf8)) == nil)
    }

    @Test func `Rules are split as iptables prints them`() {
        #expect(
            PodNetwork.words(of: #"-A POSTROUTING -m comment --comment "name: \"martlet\" id: \"c1\"" -j CNI-1"#)
                == ["-A", "POSTROUTING", "-m", "comment", "--comment", #"name: "martlet" id: "c1""#, "-j", "CNI-1"])
    }

    @Test func `A cached result is ours by the data folder in it`() {
        let config = Base64.encode(Array(#"{"name":"martlet","plugins":[{"dataDir":"/data/cni"}]}"#.utf8))
        let cached = Array(#"{"networkName":"martlet","config":"\#(config)"}"#.utf8)
        #expect(NetworkConfig.cachedResult(cached, isOf: "/data/cni"))
        #expect(!NetworkConfig.cachedResult(cached, isOf: "/other"))
        #expect(!NetworkConfig.cachedResult(Array("junk".utf8), isOf: "/data/cni"))
    }
}
