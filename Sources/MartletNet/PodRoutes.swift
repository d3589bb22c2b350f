public import Logging
public import MartletBase
public import MartletClient
internal import MartletObject
internal import MartletRoutes

/// Keeps routes to pods on a host that has none and is no Node, as a master: by way of their hosts, where these are in
/// a subnet of this one, whatever the pod network is.
///
/// Nothing else of the kernel is touched, and nothing is written to the API: other hosts need not know of it, since
/// pods answer to this host's own address.
public actor PodRoutes {
    /// How long before a route ends it is said that it will.
    static let notice = Duration.milliseconds(100)

    private let addresses: [IPAddress]
    private let ranges: [IPRange]
    private let kernel: KernelNetwork
    private let following: Following
    private let world: any World
    private let logger: Logger
    private let reached: @Sendable ([IPRange]) async -> Void
    private var tasks: [Task<Void, Never>] = []
    private var told: [IPRange] = []
    private var complaints: Set<String> = []

    /// Starts to follow the Nodes.
    /// - Parameters:
    ///   - addresses: this host's, at most one of each kind.
    ///   - ranges: of all pods of the cluster: routes into them are ours.
    ///   - nodes: a client that may read all Nodes.
    ///   - reached: is told which ranges can be reached, whenever these are others.
    public static func start(
        addresses: [IPAddress], ranges: [IPRange], nodes: Client, kernel: KernelNetwork, in world: any World,
        logger: Logger, lookEvery: Duration = OverlayAgent.lookEvery,
        reached: @escaping @Sendable ([IPRange]) async -> Void
    ) async -> PodRoutes {
        let routes = PodRoutes(addresses, ranges, nodes, kernel, world, logger, reached)
        await routes.begin(lookEvery)
        return routes
    }

    private init(
        _ addresses: [IPAddress], _ ranges: [IPRange], _ nodes: Client, _ kernel: KernelNetwork, _ world: any World,
        _ logger: Logger, _ reached: @escaping @Sendable ([IPRange]) async -> Void
    ) {
        self.addresses = addresses
        self.ranges = ranges
        self.kernel = kernel
        self.world = world
        self.logger = logger
        self.reached = reached
        following = Following([.node], client: nodes, world: world, logger: logger)
    }

    private func begin(_ lookEvery: Duration) {
        tasks = [
            world.spawn { [weak self, following] in
                while let snapshot = await following.next() { await self?.take(snapshot.list(.node)) }
            },
            // Others may have changed the kernel's tables.
            world.spawn { [world, following] in
                while (try? await world.sleep(for: lookEvery)) != nil { await following.lookAgain() }
            },
        ]
    }

    /// Ends following and removes the routes.
    public func stop() async {
        await following.stop()
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await Self.remove(ranges, kernel, logger)
    }

    /// Removes what an earlier process has left.
    public static func remove(_ ranges: [IPRange], _ kernel: KernelNetwork, _ logger: Logger) async {
        for family in IPAddress.Family.allCases {
            do { _ = try await kernel.bring(OverlayTable(family), routesInto: ranges) } catch {
                logger.warning("routes to pods are not all removed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func take(_ nodes: [JSON]) async {
        var tables: [OverlayTable] = []
        for address in addresses {
            do {
                guard let uplink = try await kernel.uplink(with: address) else {
                    complain("no device has this machine's address \(address): set --node-address")
                    continue
                }
                tables.append(
                    OverlayTable(address.family, nodes: nodes, uplink: uplink, guest: address, within: ranges))
            } catch { complain("the routes to pods are looked at again: \(error)") }
        }
        for problem in tables.flatMap(\.problems) { complain(problem) }
        // Nobody is sent a way that is about to end.
        let wanted = Set(tables.flatMap(\.remotes).map(\.pods))
        if await tell(told.filter(wanted.contains)) { try? await world.sleep(for: Self.notice) }
        var reach: [IPRange] = []
        for table in tables {
            do {
                let refusals = try await kernel.bring(table, routesInto: ranges)
                if let first = refusals.first { complain("not all pods are reached from here: \(first)") }
                reach += try await kernel.routes(into: ranges, table.family).filter(table.wants).map(\.destination)
            } catch { complain("the routes to pods are looked at again: \(error)") }
        }
        await tell(reach.sorted())
    }

    /// Tells which ranges are within reach, when these are others; says whether they are.
    @discardableResult
    private func tell(_ reach: [IPRange]) async -> Bool {
        if reach == told { return false }
        told = reach
        await reached(reach)
        return true
    }

    /// Says something once.
    private func complain(_ sentence: String) {
        if complaints.count > 1000 { complaints = [] }
        if complaints.insert(sentence).inserted { logger.warning("\(sentence)") }
    }
}

extension KernelNetwork {
    /// Makes the routes of a table without a device, and removes our others into these ranges.
    /// - Returns: what was refused.
    fileprivate func bring(_ table: OverlayTable, routesInto ranges: [IPRange]) async throws -> [NetlinkError] {
        var held = OverlayObservation()
        held.routes = try await routes(into: ranges, table.family)
        return try await attempt(OverlayPlan.steps(table, held))
    }
}
