internal import Glibc
internal import Logging
public import MartletBase
public import MartletCNI
internal import MartletHTTP
internal import MartletIO

/// Why our containerd cannot be had; the text says what to do.
public struct ContainerdError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    /// Whether a full disk is the reason.
    var isForRoom: Bool { description.lowercased().contains("no space left on device") }
    /// An error with that text.
    public init(_ description: String) { self.description = description }
}

/// A containerd of our own: started as a child with folders and a socket that no other uses, watched, and started again
/// when it dies. Its containers live in their shims meanwhile.
public actor Containerd {
    /// Where it keeps its things and how its network is made.
    public struct Configuration: Sendable {
        /// Our part of the data folder: images, metadata, the log, plugins, reservations of addresses.
        public var directory: String
        /// The pods' network; nil when it is not known yet (see ``Containerd/setNetwork(_:)``) or when someone else
        /// writes the configuration (see ``networkDirectory``).
        public var network: NetworkConfig?
        /// The pods' bridge, which a teardown removes.
        public var bridge = NetworkConfig.defaultBridge
        /// The CNI plugin `martlet-cni`; nil for the one beside the running program.
        public var plugin: String?
        /// Archives of images (`*.tar`) that are imported at the start, if the folder is there.
        public var imageDirectory: String?
        /// How long a start may take.
        public var startTimeout = Duration.seconds(30)

        /// A containerd under `directory`, a whole path.
        public init(directory: String) { self.directory = directory }

        /// The network with the defaults, for a node's pod CIDR.
        public mutating func setNetwork(podCIDR: String, mtu: Int = 0, bridge: String = NetworkConfig.defaultBridge) {
            var network = NetworkConfig(podCIDRs: [podCIDR], dataDirectory: networkDataDirectory)
            network.mtu = mtu
            network.bridge = bridge
            self.bridge = bridge
            self.network = network
        }

        /// What tells this instance from others on the host.
        var instance: String { String(Digest.hex(Digest.sha256(Array(directory.utf8))).prefix(12)) }
        /// What need not outlive the machine's run, under a short path: a socket's path has at most 107 bytes.
        public var runDirectory: String { "/run/martlet/\(instance)" }
        /// Where it listens.
        public var socket: String { runDirectory + "/containerd.sock" }
        /// The cgroup of pods that name none.
        public var cgroupParent: String { "/martlet/\(instance)" }
        /// Where the runtime looks for the network's configuration.
        public var networkDirectory: String { directory + "/cni/conf" }
        /// Where the runtime looks for plugins.
        public var pluginDirectory: String { directory + "/cni/bin" }
        /// Where plugins keep what is in use.
        public var networkDataDirectory: String { directory + "/cni/data" }
        /// Images and metadata.
        var root: String { directory + "/root" }
        /// What it is started with.
        var file: String { directory + "/config.toml" }
        /// What containerd prints.
        public var log: String { directory + "/containerd.log" }
    }

    /// What to do about a full disk.
    static let makeRoom = "; make room on its disk"
    /// What the log may grow to before a start begins a new one.
    static let logLimit = 16 * 1024 * 1024
    /// The first pause before a new start, and the longest.
    static let pauses = (first: Duration.milliseconds(200), longest: Duration.seconds(30))
    /// An instance that lived so long starts without a pause.
    static let settled = Duration.seconds(60)

    /// What it was started with.
    public nonisolated let configuration: Configuration
    /// Speaks to it; calls fail as unavailable while it is down.
    public nonisolated let runtime: CRIRuntime

    private let world: any World
    private let logger = Logger(label: "martlet.containerd")
    private var child: ChildProcess?
    private var isStopping = false
    private var supervising: Task<Void, Never>?
    private var starts = 0
    private var lastStatus: Int32?
    /// Tried once, as it depends on the data folder's file system. Where that has no room for a try, it is the one that
    /// holds the images.
    private lazy var snapshotter =
        HostAbilities.takesOverlays(configuration.root).map { $0 ? "overlayfs" : "native" }
        ?? ContainerdConfig.snapshotter(in: (try? Files.read(configuration.file)) ?? [])

    /// Nothing is started yet.
    public init(_ configuration: Configuration, in world: any World) {
        self.configuration = configuration
        self.world = world
        runtime = CRIRuntime(socket: configuration.socket, cgroupParent: configuration.cgroupParent, in: world)
    }

    // MARK: Start

    /// Starts it, waits until it answers, and imports the sandbox image and the folder of images.
    /// - Throws: ``ContainerdError``, ``ImageError``, `Errno`.
    public func start() async throws {
        let program = try requireHost()
        do {
            try await prepare()
            try Files.update(configuration.file, to: Array(try await config().text.utf8), mode: 0o600)
        } catch let error as Errno {
            throw ContainerdError("\(configuration.directory): \(error)" + (error == .noSpace ? Self.makeRoom : ""))
        }
        if Self.size(of: configuration.log) > Self.logLimit { try Files.remove(configuration.log) }
        guard supervising == nil else { throw ContainerdError("this containerd was started before: stop it first") }
        isStopping = false
        let startsBefore = starts
        supervising = world.spawn { await self.supervise(program) }
        do {
            try await waitUntilReady(startsBefore: startsBefore)
            try await ensurePauseImage()
            if let folder = configuration.imageDirectory { try await importDirectory(folder) }
        } catch {
            await stop(teardown: false)
            throw error
        }
    }

    /// A file's size in bytes; 0 when there is none.
    static func size(of path: String) -> Int {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : 0
    }

    /// How often it was started; more than once when it died.
    public var startCount: Int { starts }

    /// Its process, while it runs.
    public var processID: Int32? { child?.pid }

    private func requireHost() throws -> String {
        guard geteuid() == 0 else {
            throw ContainerdError("containers need root: run as root, or use the process runtime")
        }
        for name in ["containerd-shim-runc-v2", "ctr"] where ChildProcess.find(name) == nil {
            throw ContainerdError("\(name) is missing: install the Debian packages containerd and runc")
        }
        guard let program = ChildProcess.find("containerd"), ChildProcess.find("runc") != nil else {
            throw ContainerdError("containerd or runc is missing: install the Debian packages containerd and runc")
        }
        return program
    }

    private func prepare() async throws {
        for folder in [
            configuration.directory, configuration.root, configuration.runDirectory, configuration.networkDirectory,
        ] {
            try Files.makeDirectory(folder, mode: 0o711)
        }
        try await PodNetwork.noteTables(dataDirectory: configuration.networkDataDirectory, in: world)
        try PodNetwork.linkPlugins(into: configuration.pluginDirectory, plugin: configuration.plugin)
        if let network = configuration.network { try await setNetwork(network) }
    }

    /// Gives or changes the pods' network: pods that are made from now on get it. Its bridge should be the
    /// configuration's, which is the one that a teardown removes.
    /// - Throws: ``ContainerdError`` when the host has another route into the range: until it is given another one,
    ///   the runtime says that its network is not ready, and why. `Errno`.
    public func setNetwork(_ network: NetworkConfig) async throws {
        var network = network
        if let table = try? Files.read(HostRoute.table) {
            let routes = HostRoute.parse(String(decoding: table, as: UTF8.self))
            let fault = network.podCIDRs.lazy.compactMap {
                HostRoute.conflict(of: $0, bridge: network.bridge, with: routes)
            }.first
            await runtime.setNetworkFault(fault)
            if let fault {
                try PodNetwork.remove(from: configuration.networkDirectory)
                throw ContainerdError(fault)
            }
        }
        if network.masquerade && ChildProcess.find("iptables") == nil {
            logger.warning("iptables is missing: pods cannot reach addresses outside the cluster; install iptables")
            network.masquerade = false
        }
        try PodNetwork.write(network, to: configuration.networkDirectory)
    }

    private func config() async throws -> ContainerdConfig {
        var config = ContainerdConfig(
            root: configuration.root, state: configuration.runDirectory + "/state", socket: configuration.socket,
            pluginDirectory: configuration.pluginDirectory, networkDirectory: configuration.networkDirectory)
        config.restrictsOOMScore = !HostAbilities.hasCapability(HostAbilities.sysResource)
        config.disablesAppArmor = !HostAbilities.hasAppArmor
        config.snapshotter = snapshotter
        return config
    }

    private func supervise(_ program: String) async {
        var pause = Self.pauses.first
        while !isStopping {
            let begin = world.now()
            do {
                let child = try ChildProcess(
                    program, ["--config", configuration.file], directory: "/",
                    output: .file(configuration.log), errors: .file(configuration.log), in: world)
                starts += 1
                self.child = child
                lastStatus = await child.wait().status
                if self.child?.pid == child.pid { self.child = nil }
            } catch {
                logger.error("containerd cannot be started", metadata: ["error": "\(error)"])
            }
            guard !isStopping else { return }
            if world.now() - begin > Self.settled { pause = Self.pauses.first }
            logger.warning(
                "containerd has ended and is started again",
                metadata: ["status": "\(lastStatus ?? -1)", "log": "\(configuration.log)"])
            guard (try? await world.sleep(for: pause)) != nil else { return }
            pause = min(pause * 2, Self.pauses.longest)
        }
    }

    private func waitUntilReady(startsBefore: Int) async throws {
        let deadline = world.now() + configuration.startTimeout
        while world.now() < deadline {
            if Files.exists(configuration.socket), (try? await runtime.version()) != nil { return }
            if starts - startsBefore > 2 { break }
            try await world.sleep(for: .milliseconds(20))
        }
        throw ContainerdError("containerd does not answer; its last words are in \(configuration.log)")
    }

    // MARK: Images

    /// Imports an archive of images.
    /// - Parameter reference: what one of them is called; it is waited for until the runtime sees it.
    /// - Throws: ``ContainerdError`` with `ctr`'s words.
    public func importImage(_ archive: String, reference: String? = nil) async throws {
        guard let ctr = ChildProcess.find("ctr") else {
            throw ContainerdError("ctr is missing: install the Debian package containerd")
        }
        let result = try await ChildProcess.run(
            ctr,
            [
                "--address", configuration.socket, "--namespace", "k8s.io", "images", "import", "--snapshotter",
                snapshotter, archive,
            ], timeout: .seconds(120), in: world)
        guard result.status == 0 else {
            let words = String(decoding: result.errors.suffix(500), as: UTF8.self)
                .split(whereSeparator: \.isNewline).joined(separator: " ")
            throw ContainerdError("\(archive) cannot be imported: \(words)")
        }
        guard let reference else { return }
        let deadline = world.now() + .seconds(10)
        while try await runtime.imageID(reference) == nil {
            guard world.now() < deadline else {
                throw ContainerdError("\(archive) was imported, but holds no image \(reference)")
            }
            try await world.sleep(for: .milliseconds(10))
        }
    }

    /// Writes an image's archive, and imports it.
    public func importImage(_ image: ImageBuilder) async throws {
        let folder = configuration.directory + "/images"
        try Files.makeDirectory(folder)
        let path = folder + "/" + image.reference.split { $0 == "/" || $0 == ":" }.joined(separator: "_") + ".tar"
        try Files.write(try image.archive(), to: path)
        defer { try? Files.remove(path) }
        try await importImage(path, reference: image.reference)
    }

    /// Imports every `*.tar` of a folder whose images are not there. An absent folder is an empty one. What a full disk
    /// has no room for is left out: the pods that run want to be tended.
    public func importDirectory(_ folder: String) async throws {
        guard Files.isDirectory(folder) else { return }
        let archives = try Files.list(folder).filter { $0.hasSuffix(".tar") }
        var imported = 0
        for name in archives {
            if await hasImages(of: "\(folder)/\(name)") { continue }
            do {
                try await importImage("\(folder)/\(name)")
                imported += 1
            } catch let error as ContainerdError {
                guard error.isForRoom else { throw error }
                logger.error("\(error)\(Self.makeRoom)")
            }
        }
        logger.info(
            "archives of images are read",
            metadata: ["folder": "\(folder)", "archives": "\(archives.count)", "imported": "\(imported)"])
    }

    /// Whether all images of an archive are there as they are in it. An import would read and unpack the whole archive
    /// to find that.
    private func hasImages(of archive: String) async -> Bool {
        guard let images = ImageArchive.images(ofFile: archive), !images.isEmpty else { return false }
        for image in images {
            guard let id = try? await runtime.imageID(image.reference), image.ids.contains(id) else { return false }
        }
        return true
    }

    private func ensurePauseImage() async throws {
        guard try await runtime.imageID(PauseImage.reference) == nil else { return }
        try await importImage(PauseImage.image(BusyBox.ofHost(in: world)))
    }

    // MARK: Stop

    /// Ends containerd. Without `teardown` the containers go on in their shims, and the next start finds them. With it
    /// all pods are removed first, and what is left on the host after that: processes, mounts, the bridge and its
    /// rules, cgroups, the run folder. Images stay in the data folder.
    public func stop(teardown: Bool) async {
        if teardown { await removePods() }
        isStopping = true
        // The supervisor may be in its pause between two starts: a later start must not find it there.
        supervising?.cancel()
        if let child {
            child.signal(SIGTERM)
            let alarm = world.spawn { [world] in
                guard (try? await world.sleep(for: .seconds(10))) != nil else { return }
                child.signal(SIGKILL)
            }
            _ = await child.wait()
            alarm.cancel()
            self.child = nil
        }
        await supervising?.value
        supervising = nil
        if teardown { await Self.removeLeftovers(of: configuration, in: world) }
    }

    /// Removes what an instance has left on the host, also after a crash of ours. It must not run.
    public static func removeLeftovers(of configuration: Configuration, in world: any World) async {
        await Leftovers.killShims(of: configuration.socket, in: world)
        for folder in [configuration.runDirectory, configuration.root] { try? Mounts.unmountAll(under: folder) }
        await PodNetwork.teardown(
            bridge: configuration.bridge,
            dataDirectory: configuration.networkDataDirectory, in: world)
        try? Files.remove(configuration.runDirectory)
        Leftovers.removeSharedFolders()
        await Leftovers.removeCgroups(configuration.cgroupParent, in: world)
    }

    /// Removes every pod, some at a time. What fails is left to the killing of shims.
    private func removePods() async {
        guard child != nil, let sandboxes = try? await runtime.listSandboxes() else { return }
        let runtime = runtime
        await withTaskGroup(of: Void.self) { group in
            for (index, sandbox) in sandboxes.enumerated() {
                if index >= CRIRuntime.parallelStatuses { await group.next() }
                group.addTask {
                    try? await runtime.stopSandbox(sandbox.id)
                    try? await runtime.removeSandbox(sandbox.id)
                }
            }
        }
    }
}

/// What this machine can do, as far as containers depend on it.
enum HostAbilities {
    /// CAP_SYS_RESOURCE, see capabilities(7).
    static let sysResource = 24

    /// Whether this process has a capability in effect.
    static func hasCapability(_ number: Int) -> Bool {
        guard let bytes = try? Files.read("/proc/self/status") else { return false }
        return hasCapability(number, inStatus: String(decoding: bytes, as: UTF8.self))
    }

    /// Whether `CapEff` in the text of /proc/PID/status has a capability.
    static func hasCapability(_ number: Int, inStatus text: String) -> Bool {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
            let word = line.split(whereSeparator: \.isWhitespace).last, let set = UInt64(word, radix: 16)
        else { return false }
        return set >> UInt64(number) & 1 == 1
    }

    /// Whether the kernel has AppArmor, switched on, and its profiles can be loaded.
    static var hasAppArmor: Bool {
        guard let flag = try? Files.read("/sys/module/apparmor/parameters/enabled") else { return false }
        return flag.first == UInt8(ascii: "Y") && ChildProcess.find("apparmor_parser") != nil
    }

    /// Whether a folder's file system can be the upper half of an overlay: it is tried. Nil when there is no room to.
    static func takesOverlays(_ folder: String) -> Bool? {
        let trial = folder + "/.overlay-trial"
        defer { try? Files.remove(trial) }
        do {
            for name in ["lower", "upper", "work", "merged"] { try Files.makeDirectory("\(trial)/\(name)") }
        } catch {
            return error == .noSpace ? nil : false
        }
        let options = "lowerdir=\(trial)/lower,upperdir=\(trial)/upper,workdir=\(trial)/work"
        let mounted = options.withCString { mount("overlay", "\(trial)/merged", "overlay", 0, $0) } == 0
        if !mounted && errno == ENOSPC { return nil }
        if mounted { umount2("\(trial)/merged", Int32(MNT_DETACH)) }
        return mounted
    }
}
