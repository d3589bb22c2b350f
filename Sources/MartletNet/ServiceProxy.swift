public import Logging
public import MartletBase
public import MartletClient
internal import MartletObject
public import MartletRoutes

/// Makes Services work on this host: follows Services and EndpointSlices and brings the kernel's nftables to what
/// follows from them, one small transaction a change.
public actor ServiceProxy {
    /// Changes that come close together go into one transaction.
    static let gather = Duration.milliseconds(2)
    /// How often the kernel is looked at though nothing has changed: others may have changed it.
    public static let lookEvery = Duration.seconds(15)
    /// How long it waits after the kernel has refused something.
    static let retryAfter = Duration.seconds(1)

    private var tables: ServiceTables
    private let settings: ServiceSettings
    private let kernel: KernelNetwork
    private let client: Client
    private let health: HealthListeners
    private let world: any World
    private let logger: Logger
    private var tasks: [Task<Void, Never>] = []
    private var unsynced = 3
    private var isWhole = false
    private var isLooking = false
    private var isStopped = false
    private var waiter: CheckedContinuation<Void, Never>?
    /// The kernel's count of transactions when it was last as it should be.
    private var generation: UInt32?

    /// Starts to follow.
    public static func start(
        _ settings: ServiceSettings, client: Client, kernel: KernelNetwork, in world: any World, logger: Logger,
        lookEvery: Duration = lookEvery
    ) async -> ServiceProxy {
        var settings = settings
        settings.seesBridged = await seesBridged(kernel, logger)
        let proxy = ServiceProxy(settings, client, kernel, world, logger)
        await proxy.begin(lookEvery)
        return proxy
    }

    private init(
        _ settings: ServiceSettings, _ client: Client, _ kernel: KernelNetwork, _ world: any World, _ logger: Logger
    ) {
        self.settings = settings
        self.client = client
        self.kernel = kernel
        self.world = world
        self.logger = logger
        tables = ServiceTables(settings)
        health = HealthListeners(world, logger)
    }

    /// Without it the answer of one pod to another of the same bridge never meets this host's rules.
    private static func seesBridged(_ kernel: KernelNetwork, _ logger: Logger) async -> Bool {
        let name = "bridge/bridge-nf-call-iptables"
        guard await kernel.setting(name) != nil else {
            logger.notice("br_netfilter is not loaded: pods see this host as the client of local pods' connections")
            return false
        }
        do {
            try await kernel.set(name, to: "1")
            return true
        } catch {
            logger.notice("\(name) cannot be set", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func begin(_ lookEvery: Duration) {
        let selector = "metadata.name=\(settings.nodeName)"
        for kind in [ResourceKind.service, .endpointSlice, .node] {
            tasks.append(
                world.spawn { [weak self, client, logger] in
                    let changes = client.follow(kind, fieldSelector: kind == .node ? selector : nil, logger: logger)
                    for await change in changes { await self?.take(change, kind) }
                })
        }
        tasks.append(world.spawn { [weak self] in while await self?.workOnce() ?? false {} })
        tasks.append(
            world.spawn { [weak self, world] in
                while (try? await world.sleep(for: lookEvery)) != nil { await self?.look() }
            })
    }

    /// Ends following. What was made stays, so that Services work on, or goes.
    public func stop(removing: Bool) async {
        isStopped = true
        wake()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        tasks = []
        await health.keep([:])
        guard removing else { return }
        for family in IPAddress.Family.allCases {
            do { try await kernel.commit(.removal(NftFamily(family), table: settings.table)) } catch {
                logger.warning("the Services' rules are not removed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func take(_ change: Change, _ kind: ResourceKind) {
        switch (change, kind) {
        case (.synced, _): unsynced -= 1
        case (.put(let object), .service): tables.putService(object)
        case (.removed(let object), .service): tables.removeService(object)
        case (.put(let object), .endpointSlice): tables.putSlice(object)
        case (.removed(let object), .endpointSlice): tables.removeSlice(object)
        case (.put(let object), _): tables.putNode(object)
        case (.removed, _): return
        }
        wake()
    }

    private func look() {
        isLooking = true
        wake()
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }

    private var hasWork: Bool { unsynced <= 0 && (!isWhole || tables.hasChanges || isLooking) }

    private func workOnce() async -> Bool {
        while !hasWork && !isStopped { await withCheckedContinuation { waiter = $0 } }
        if isStopped { return false }
        try? await world.sleep(for: Self.gather)
        do {
            if isLooking && isWhole { isWhole = try await isAsItShould() }
            isLooking = false
            let changes = isWhole ? tables.takeChanges() : tables.takeEverything()
            // Until it is done nobody knows what the kernel holds.
            let wasWhole = isWhole
            isWhole = false
            for transaction in changes.transactions { try await kernel.commit(transaction) }
            isWhole = true
            try await count(changes.transactions.count, isWhole: wasWhole)
            await end(changes.stale)
            await health.keep(tables.healthChecks)
        } catch {
            logger.warning("the Services' rules are not as they should be", metadata: ["error": "\(error)"])
            try? await world.sleep(for: Self.retryAfter)
        }
        return true
    }

    /// Ends connections that lead to where nothing is any more; their next packet begins a new one.
    private func end(_ stale: [StaleConnections]) async {
        for kind in stale {
            do {
                let list = NetlinkRequest.listConnections(kind.family, protocolNumber: 17, destinationPort: kind.port)
                for connection in try await kernel.ask(list).compactMap({ try TrackedConnection($0) })
                where kind.includes(connection) {
                    do { try await kernel.perform([.removeConnection(connection.original)]) } catch let error
                        as NetlinkError where error.isAbsent
                    { continue }
                }
            } catch {
                logger.warning("old UDP connections are not ended", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: Drift

    /// Our own transactions are no reason to compare: after them the kernel's count is known, unless somebody else has
    /// made one too.
    private func count(_ transactions: Int, isWhole: Bool) async throws {
        if transactions == 0 { return }
        let now = try await kernel.ask(.getGeneration).compactMap { try NftListing.generation($0) }.first
        let expected = generation.map { $0 &+ UInt32(transactions) }
        generation = !isWhole || now == expected ? now : nil
    }

    /// Compares the kernel's tables with ours, when anybody has changed anything since they were compared.
    private func isAsItShould() async throws -> Bool {
        let now = try await kernel.ask(.getGeneration).compactMap { try NftListing.generation($0) }.first
        if now == generation { return true }
        for family in IPAddress.Family.allCases {
            if try await !isAsItShould(family) {
                logger.notice("somebody has changed the Services' rules: they are put right")
                return false
            }
        }
        generation = now
        return true
    }

    private func isAsItShould(_ family: IPAddress.Family) async throws -> Bool {
        let group = NftFamily(family)
        let names = try await kernel.ask(.listTables(group)).compactMap { try NftListing.table($0) }
        guard names.contains(settings.table) else { return false }
        var counts: [String: Int] = [:]
        for message in try await kernel.ask(.listChains(group)) {
            if let chain = try NftListing.chain(message), chain.table == settings.table { counts[chain.name] = 0 }
        }
        for message in try await kernel.ask(.listRules(group, table: settings.table)) {
            if let rule = try NftListing.rule(message) { counts[rule.chain, default: 0] += 1 }
        }
        guard counts == tables.ruleCounts(family) else { return false }
        for (set, wanted) in tables.elements(family) {
            let held = try await kernel.ask(.listElements(group, table: settings.table, set: set))
                .flatMap { try NftListing.elements($0) }
            if Set(held) != wanted { return false }
        }
        return true
    }
}
