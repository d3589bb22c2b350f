public import Logging
public import MartletBase
public import MartletClient
internal import MartletObject
public import MartletRoutes

/// Makes Services work on this host: follows Services and EndpointSlices and brings the kernel's nftables to what
/// follows from them, one small transaction a change.
public final class ServiceProxy: Sendable {
    /// How often the kernel is looked at though nothing has changed: others may have changed it.
    public static let lookEvery = TableKeeperPace.lookEvery

    private let keeper: TableKeeper<ServiceTables>
    private let health: HealthListeners
    private let ender: ConnectionEnder

    /// Starts to follow.
    /// - Parameter seesBridged: whether packets between pods of one bridge pass the rules for IP; nil to look.
    public static func start(
        _ settings: ServiceSettings, client: Client, kernel: KernelNetwork, in world: any World, logger: Logger,
        seesBridged: Bool? = nil, lookEvery: Duration = lookEvery
    ) async -> ServiceProxy {
        var settings = settings
        settings.seesBridged =
            if let seesBridged { seesBridged } else { await BridgedPackets.passRules(kernel, logger) }
        if !settings.seesBridged {
            logger.notice("br_netfilter is not loaded: pods see this host as the client of local pods' connections")
        }
        let proxy = ServiceProxy(settings, kernel, world, logger)
        let own = [ResourceKind.node: "metadata.name=\(settings.nodeName)"]
        await proxy.keeper.start(client, selectors: own, lookEvery: lookEvery)
        return proxy
    }

    private init(_ settings: ServiceSettings, _ kernel: KernelNetwork, _ world: any World, _ logger: Logger) {
        let health = HealthListeners(world, logger)
        self.health = health
        let ender = ConnectionEnder(kernel, in: world, logger: logger)
        self.ender = ender
        keeper = TableKeeper(
            ServiceTables(settings), "the Services' rules", kernel: kernel, in: world, logger: logger
        ) { changes, tables in
            await ender.end(changes.stale)
            await health.keep(tables.healthChecks)
        }
    }

    /// Ends following. What was made stays, so that Services work on, or goes.
    public func stop(removing: Bool) async {
        await keeper.stop(removing: removing)
        await ender.stop()
        await health.keep([:])
    }
}
