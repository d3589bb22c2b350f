public import Logging
public import MartletBase
internal import MartletRoutes

/// Keeps the bridge whole that this host's pods hang on.
public actor BridgeKeeper {
    private let kernel: KernelNetwork
    private let logger: Logger
    private var bridge: PodBridge
    private var complaint = ""
    private var task: Task<Void, Never>?

    /// Starts to look at a bridge, now and then.
    /// - Parameter cluster: the addresses of all pods of the cluster.
    public static func start(
        _ name: String, cluster: [IPRange] = [], kernel: KernelNetwork, in world: any World, logger: Logger,
        lookEvery: Duration = OverlayAgent.lookEvery
    ) async -> BridgeKeeper {
        let keeper = BridgeKeeper(PodBridge(name, cluster: cluster), kernel, logger)
        await keeper.begin(lookEvery, in: world)
        return keeper
    }

    private init(_ bridge: PodBridge, _ kernel: KernelNetwork, _ logger: Logger) {
        self.bridge = bridge
        self.kernel = kernel
        self.logger = logger
    }

    private func begin(_ lookEvery: Duration, in world: any World) {
        task = world.spawn { [weak self] in
            repeat { await self?.look() } while (try? await world.sleep(for: lookEvery)) != nil
        }
    }

    /// This host's pods have addresses of these ranges from now on: with the next look the bridge loses what it has of
    /// the cluster's other ones.
    public func serve(_ ranges: [IPRange]) { bridge.serve(ranges) }

    /// Looks no more; the bridge stays.
    public func stop() async {
        task?.cancel()
        await task?.value
    }

    private func look() async {
        do {
            // A bridge that is made anew is brought to its form with a second look.
            guard try await repair() else { return }
            _ = try await repair()
            logger.warning(
                "the bridge \(bridge.name) was not as it should be, and is now: \(bridge.portCount) pods hang on it")
            complaint = ""
        } catch {
            if "\(error)" == complaint { return }
            complaint = "\(error)"
            logger.error("the bridge \(bridge.name) cannot be put right: \(error)")
        }
    }

    /// True when there was something to do.
    private func repair() async throws -> Bool {
        let links = try await kernel.ask(.listLinks).compactMap { try NetworkLink($0) }
        let addresses = try await kernel.ask(.listAddresses).compactMap { try LinkAddress($0) }
        let steps = bridge.look(links, addresses)
        try await kernel.perform(steps)
        return !steps.isEmpty
    }
}
