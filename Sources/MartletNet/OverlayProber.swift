internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Checks once, for each other host of the overlay, whether packets get through to it, and tells what is wrong: in the
/// log, and as an event of this host's Node.
actor OverlayProber {
    /// How long an answer may take.
    static let patience = Duration.milliseconds(300)
    /// Between two packets: hosts send few answers of this kind a second.
    static let pause = Duration.seconds(1)
    private static let component = "martlet-overlay"

    private var tasks: [OverlayTable.Remote: Task<Void, Never>] = [:]
    private let nodeName: String
    private let own: Client
    private let kernel: KernelNetwork
    private let world: any World
    private let logger: Logger

    init(nodeName: String, own: Client, kernel: KernelNetwork, in world: any World, logger: Logger) {
        self.nodeName = nodeName
        self.own = own
        self.kernel = kernel
        self.world = world
        self.logger = logger
    }

    /// Checks the hosts of a table that were not checked yet, and forgets those that are gone.
    func look(at table: OverlayTable) {
        guard let device = table.device, let world = world as? any DatagramWorld else { return }
        for (remote, task) in tasks where remote.pods.family == table.family && !table.remotes.contains(remote) {
            task.cancel()
            tasks[remote] = nil
        }
        for remote in table.remotes where tasks[remote] == nil && remote.hardwareAddress != nil {
            tasks[remote] = world.spawn { [weak self] in await self?.check(remote, device, in: world) }
        }
    }

    func stop() async {
        for task in tasks.values { task.cancel() }
        for task in tasks.values { await task.value }
        tasks = [:]
    }

    private func check(
        _ remote: OverlayTable.Remote, _ device: OverlayTable.Device, in world: any DatagramWorld
    ) async {
        var check = OverlayCheck(mtu: Int(device.mtu), remote.pods.family)
        while let bytes = check.next {
            check.heard(await isAnswered(bytes, remote.pods.base, in: world))
            guard check.next != nil else { break }
            do { try await world.sleep(for: Self.pause) } catch { return }
        }
        guard let sentence = check.sentence(host: remote.address, device: device.name) else {
            return logger.debug("the overlay reaches \(remote.address)")
        }
        logger.error("\(sentence)")
        do {
            let node = try await own.get(.node, name: nodeName)
            _ = try await own.perform(
                .event(
                    about: ObjectKey(.node, namespace: "", name: nodeName), uid: node.uid, type: "Warning",
                    reason: "OverlayCheckFailed", message: sentence), as: Self.component)
        } catch {
            logger.debug("an event was not written", metadata: ["error": "\(error)"])
        }
    }

    private func isAnswered(_ bytes: Int, _ address: IPAddress, in world: any DatagramWorld) async -> Bool {
        do {
            let target = Endpoint.ip("\(address)", port: OverlayCheck.port)
            let stream = try await kernel.inNamespace { try world.datagramStream(to: target, from: 0) }
            defer { stream.close() }
            try await stream.write([UInt8](repeating: 0, count: bytes))
            _ = try await world.limited(to: Self.patience, "an answer") { try await stream.read(atMost: 1) }
            return true
        } catch NetworkError.system(_, .connectionRefused) {
            return true
        } catch {
            return false
        }
    }
}
