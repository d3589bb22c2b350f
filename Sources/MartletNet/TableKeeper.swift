internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Keeps tables of nftables as objects of the API want them: follows the objects, makes one small transaction a
/// change, and puts right what others have changed.
actor TableKeeper<Tables: KernelTables> {
    private var tables: Tables
    private let what: String
    private let kernel: KernelNetwork
    private let world: any World
    private let logger: Logger
    private let applied: @Sendable (Tables.Changes, Tables) async -> Void
    private var tasks: [Task<Void, Never>] = []
    private var unsynced: Int
    private var isWhole = false
    private var isLooking = false
    private var isStopped = false
    private var waiter: CheckedContinuation<Void, Never>?
    /// What the kernel said of others' transactions when the tables were last as they should be.
    private var foreign: UInt32?

    /// A keeper that does not follow yet.
    /// - Parameters:
    ///   - what: names the tables in the log: "the Services' rules".
    ///   - applied: called after each change that the kernel has taken.
    init(
        _ tables: Tables, _ what: String, kernel: KernelNetwork, in world: any World, logger: Logger,
        applied: @escaping @Sendable (Tables.Changes, Tables) async -> Void = { _, _ in }
    ) {
        self.tables = tables
        self.what = what
        self.kernel = kernel
        self.world = world
        self.logger = logger
        self.applied = applied
        unsynced = Tables.kinds.count
    }

    /// Starts to follow.
    /// - Parameter selectors: field selectors by kind, where not all objects are wanted.
    func start(_ client: Client, selectors: [ResourceKind: String] = [:], lookEvery: Duration) {
        for kind in Tables.kinds {
            tasks.append(
                world.spawn { [weak self, logger] in
                    let changes = client.follow(kind, fieldSelector: selectors[kind], logger: logger)
                    for await change in changes { await self?.take(change, kind) }
                })
        }
        tasks.append(world.spawn { [weak self] in while await self?.workOnce() ?? false {} })
        tasks.append(
            world.spawn { [weak self, world] in
                while (try? await world.sleep(for: lookEvery)) != nil { await self?.look() }
            })
    }

    /// Ends following. What was made stays, and works on, or goes.
    func stop(removing: Bool) async {
        isStopped = true
        wake()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        tasks = []
        guard removing else { return }
        do { try await commit(tables.removals) } catch {
            logger.warning("\(what) are not removed", metadata: ["error": "\(error)"])
        }
    }

    private func take(_ change: Change, _ kind: ResourceKind) {
        switch change {
        case .synced: unsynced -= 1
        case .put(let object): tables.put(object, kind)
        case .removed(let object): tables.remove(object, kind)
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
        try? await world.sleep(for: TableKeeperPace.gather)
        do {
            if isLooking && isWhole { isWhole = try await isAsItShould() }
            isLooking = false
            if !isWhole { foreign = try await kernel.foreignTransactions() }
            let changes = isWhole ? tables.takeChanges() : tables.takeEverything()
            // Until it is done nobody knows what the kernel holds.
            isWhole = false
            try await commit(changes.transactions)
            isWhole = true
            await applied(changes, tables)
        } catch {
            logger.warning("\(what) are not as they should be", metadata: ["error": "\(error)"])
            try? await world.sleep(for: TableKeeperPace.retryAfter)
        }
        return true
    }

    private func commit(_ transactions: [NftTransaction]) async throws {
        for transaction in transactions {
            do { try await kernel.commit(transaction) } catch let error as NetlinkError
                where error.isUnsupported
                && transaction == .removal(transaction.family, table: transaction.table)
            {
                // A kernel without such tables has none to remove.
                continue
            }
        }
    }

    // MARK: Drift

    /// Compares the kernel's tables with ours, when anybody else has changed anything since they were compared.
    private func isAsItShould() async throws -> Bool {
        let now = try await kernel.foreignTransactions()
        if now == foreign { return true }
        for inventory in tables.wanted {
            if try await !holds(inventory) {
                logger.notice("somebody has changed \(what): they are put right")
                return false
            }
        }
        foreign = now
        return true
    }

    private func holds(_ inventory: NftInventory) async throws -> Bool {
        let names = try await kernel.ask(.listTables(inventory.family)).compactMap { try NftListing.table($0) }
        guard names.contains(inventory.table) else { return false }
        var counts: [String: Int] = [:]
        for message in try await kernel.ask(.listChains(inventory.family)) {
            if let chain = try NftListing.chain(message), chain.table == inventory.table { counts[chain.name] = 0 }
        }
        for message in try await kernel.ask(.listRules(inventory.family, table: inventory.table)) {
            if let rule = try NftListing.rule(message) { counts[rule.chain, default: 0] += 1 }
        }
        guard counts == inventory.ruleCounts else { return false }
        for (set, wanted) in inventory.elements {
            let held = try await kernel.ask(.listElements(inventory.family, table: inventory.table, set: set))
                .flatMap { try NftListing.elements($0) }
            if Set(held) != wanted { return false }
        }
        return true
    }
}

/// How fast tables follow.
enum TableKeeperPace {
    /// Changes that come close together go into one transaction.
    static let gather = Duration.milliseconds(2)
    /// How often the kernel is looked at though nothing has changed: others may have changed it.
    static let lookEvery = Duration.seconds(15)
    /// How long it waits after the kernel has refused something.
    static let retryAfter = Duration.seconds(1)
}
