public import Logging
public import MartletBase
public import MartletClient
internal import MartletObject
public import MartletRoutes

/// Keeps this host in the pod network: follows the Nodes, says on its own one where it is, and brings the kernel's
/// devices, routes, neighbours and rules to what follows from them.
public actor OverlayAgent {
    /// How often the kernel is looked at though no Node has changed: others may have changed it.
    public static let lookEvery = Duration.seconds(15)
    /// How long it waits at first after the kernel has refused something.
    static let retryAfter = Duration.seconds(1)

    private let settings: OverlaySettings
    private let kernel: KernelNetwork
    private let own: Client
    private let following: Following
    private let prober: OverlayProber
    private let world: any World
    private let logger: Logger
    private var tasks: [Task<Void, Never>] = []
    private var applied: [IPAddress.Family: OverlayTable] = [:]
    private var told: Set<String> = []
    private var isDue = true
    private var failures = 0

    /// Starts to follow.
    /// - Parameters:
    ///   - nodes: a client that may read all Nodes.
    ///   - own: a client that may write this host's own.
    public static func start(
        _ settings: OverlaySettings, nodes: Client, own: Client, kernel: KernelNetwork, in world: any World,
        logger: Logger,
        lookEvery: Duration = lookEvery
    ) async -> OverlayAgent {
        let agent = OverlayAgent(settings, nodes, own, kernel, world, logger)
        await agent.begin(lookEvery)
        return agent
    }

    private init(
        _ settings: OverlaySettings, _ nodes: Client, _ own: Client, _ kernel: KernelNetwork, _ world: any World,
        _ logger: Logger
    ) {
        self.settings = settings
        self.kernel = kernel
        self.own = own
        self.world = world
        self.logger = logger
        prober = OverlayProber(
            nodeName: settings.nodeName, own: own, kernel: kernel, in: world, logger: logger)
        following = Following([.node], client: nodes, world: world, logger: logger)
    }

    private func begin(_ lookEvery: Duration) {
        tasks.append(
            world.spawn { [weak self, following] in
                while let snapshot = await following.next() { await self?.take(snapshot.list(.node)) }
            })
        tasks.append(
            world.spawn { [weak self, world] in
                while (try? await world.sleep(for: lookEvery)) != nil { await self?.look() }
            })
    }

    /// Ends following. What was made stays, so that pods talk on, or goes.
    public func stop(removing: Bool) async {
        await following.stop()
        await prober.stop()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        tasks = []
        guard removing else { return }
        for family in IPAddress.Family.allCases {
            do { try await bring(OverlayTable(family), rules: true) } catch {
                logger.warning("the pod network is not all removed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// How large the packets of pods on this host may be; nil when no device has the host's address.
    public static func podPacketBytes(
        _ settings: OverlaySettings, address: String, kernel: KernelNetwork
    ) async throws -> Int? {
        guard let address = IPAddress(address), let uplink = try await kernel.uplink(with: address) else { return nil }
        return Int(OverlayTable.mtu(uplink, settings, address.family))
    }

    private func look() async {
        isDue = true
        await following.lookAgain()
    }

    private func take(_ nodes: [JSON]) async {
        guard let node = nodes.first(where: { $0.name == settings.nodeName }) else { return }
        let isDue = self.isDue
        self.isDue = false
        do {
            for family in IPAddress.Family.allCases {
                guard let address = OverlayTable.address(of: node, family) else { continue }
                await tell(OverlayTable.missingAnnotations(of: node, address: address, settings))
                guard let uplink = try await kernel.uplink(with: address) else {
                    complain("no device has this node's address \(address): set --node-address")
                    continue
                }
                let table = OverlayTable(family, nodes: nodes, uplink: uplink, settings)
                for problem in table.problems { complain(problem) }
                if isDue || table != applied[family] { try await bring(table, rules: table != applied[family]) }
                applied[family] = table
                await prober.look(at: table)
            }
            failures = 0
        } catch {
            complain("the pod network is not as it should be, and is tried again: \(error)")
            applied = [:]
            failures += 1
            try? await world.sleep(for: Self.patience(failures))
            await look()
        }
    }

    /// How long it waits after so many refusals in a row.
    private static func patience(_ failures: Int) -> Duration {
        min(retryAfter * (1 << min(failures - 1, 4)), lookEvery)
    }

    /// Says something once.
    private func complain(_ sentence: String) {
        if told.count > 1000 { told = [] }
        if told.insert(sentence).inserted { logger.warning("\(sentence)") }
    }

    private func tell(_ annotations: [String: String]) async {
        if annotations.isEmpty { return }
        do {
            _ = try await own.patch(
                .node, name: settings.nodeName, type: .merge, ["metadata": ["annotations": JSON(annotations)]])
        } catch {
            logger.debug("the node was not told its pod network", metadata: ["error": "\(error)"])
        }
    }

    // MARK: The kernel

    private func bring(_ table: OverlayTable, rules: Bool) async throws {
        if table.ownPods != nil {
            try await kernel.set(
                table.family == .ipv4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding", to: "1")
        }
        var held = try await observe(table)
        let device = OverlayPlan.deviceSteps(table, held)
        if !device.isEmpty {
            try await kernel.perform(device)
            held = try await observe(table)
        }
        // One host that cannot be reached must not cost the others.
        let refusals = try await kernel.attempt(OverlayPlan.steps(table, held))
        let isRuled = try await kernel.ask(.listTables(NftFamily(table.family)))
            .compactMap { try NftListing.table($0) }.contains(settings.table)
        let isWanted = table.ownPods != nil
        if rules || isRuled != isWanted { try await kernel.commit(OverlayRules.transaction(table, settings)) }
        if let first = refusals.first { throw first }
    }

    private func observe(_ table: OverlayTable) async throws -> OverlayObservation {
        var held = OverlayObservation()
        held.routes = try await kernel.routes(into: settings.clusterRanges, table.family)
        do {
            let name = OverlayTable.deviceName(table.family)
            held.device = try await kernel.ask(.getLink(name)).compactMap { try NetworkLink($0) }.first
        } catch let error as NetlinkError where error.isAbsent {
            return held
        }
        guard let link = held.device?.index else { return held }
        held.addresses = try await kernel.ask(.listAddresses).compactMap { try LinkAddress($0) }
            .filter { $0.link == link }
        held.neighbours = try await kernel.ask(.listNeighbours(table.family, link: link))
            .compactMap { try NetworkNeighbour($0) }.filter { $0.link == link }
        held.forwarding = try await kernel.ask(.listForwarding(link: link))
            .compactMap { try NetworkNeighbour($0) }.filter { $0.link == link }
        return held
    }
}
