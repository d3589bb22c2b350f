public import Logging
public import MartletBase
public import MartletClient
public import MartletRoutes

/// Enforces NetworkPolicies on this host's pods: follows policies, pods and namespaces and brings the kernel's
/// nftables to what follows from them, one small transaction a change.
public final class PolicyAgent: Sendable {
    /// How often the kernel is looked at though nothing has changed: others may have changed it.
    public static let lookEvery = TableKeeperPace.lookEvery

    private let keeper: TableKeeper<PolicyTables>
    /// Whether packets between pods of one bridge are judged, too.
    public let judgesBridged: Bool

    /// Starts to follow.
    /// - Parameter seesBridged: whether packets between pods of one bridge pass the rules for IP; nil to look.
    public static func start(
        _ settings: PolicySettings, client: Client, kernel: KernelNetwork, in world: any World, logger: Logger,
        seesBridged: Bool? = nil, lookEvery: Duration = lookEvery
    ) async -> PolicyAgent {
        var settings = settings
        let passRules = if let seesBridged { seesBridged } else { await BridgedPackets.passRules(kernel, logger) }
        let judgesBridged = passRules ? true : await canTrackOverBridges(settings, kernel, logger)
        settings.seesBridged = passRules || !judgesBridged
        let agent = PolicyAgent(settings, judgesBridged, kernel, world, logger)
        await agent.keeper.start(client, lookEvery: lookEvery)
        return agent
    }

    private static func canTrackOverBridges(
        _ settings: PolicySettings, _ kernel: KernelNetwork, _ logger: Logger
    ) async -> Bool {
        do {
            try await kernel.commit(PolicyTables.bridgeProbe(table: settings.table + "-probe"))
            return true
        } catch {
            logger.error(
                """
                network policies do not reach packets between pods of this host: the kernel has neither br_netfilter \
                nor nf_conntrack_bridge; modprobe br_netfilter, and start again
                """, metadata: ["error": "\(error)"])
            return false
        }
    }

    private init(
        _ settings: PolicySettings, _ judgesBridged: Bool, _ kernel: KernelNetwork, _ world: any World, _ logger: Logger
    ) {
        self.judgesBridged = judgesBridged
        keeper = TableKeeper(
            PolicyTables(settings), "the network policies' rules", kernel: kernel, in: world, logger: logger)
    }

    /// Ends following. What was made stays, and goes on to protect the pods that there are, or goes.
    public func stop(removing: Bool) async { await keeper.stop(removing: removing) }
}
