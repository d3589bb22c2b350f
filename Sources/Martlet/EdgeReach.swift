internal import MartletBase
internal import MartletClient
internal import MartletNet
internal import MartletRoutes

/// Which pods this machine's edge goes to itself. On a worker the pod network leads to all of them; elsewhere routes
/// are kept to those of hosts in the same subnets.
struct EdgeReach: Sendable {
    private let kernel: KernelNetwork
    private let routes: PodRoutes

    /// Lets an edge go to pods, where that was asked for.
    /// - Parameters:
    ///   - namespace: a path as `/run/netns/NAME`; nil for this process's own.
    /// - Returns: nil where nothing is to be kept.
    /// - Throws: ``ClusterError`` when routes are needed and we are not root.
    static func start(
        _ configuration: ClusterConfiguration, _ edge: Edge?, _ client: Client, namespace: String? = nil,
        in world: any World
    ) async throws -> EdgeReach? {
        guard configuration.edgeDirect else { return nil }
        guard let edge else {
            throw ClusterError.unusable("--edge-direct is for a machine with an edge: add --role edge, or leave it out")
        }
        let ranges = IPRange.list(configuration.podCIDR) ?? []
        guard !configuration.roles.contains(.worker) else {
            await edge.setReach(ranges)
            return nil
        }
        guard Machine.isRoot else {
            throw ClusterError.unusable("--edge-direct makes routes to pods on a machine that is no worker: use sudo")
        }
        let kernel = try await KernelNetwork(namespace: namespace)
        let routes = await PodRoutes.start(
            addresses: configuration.nodeAddresses.compactMap { IPAddress($0) }, ranges: ranges, nodes: client,
            kernel: kernel, in: world, logger: configuration.logger
        ) { await edge.setReach($0) }
        return EdgeReach(kernel: kernel, routes: routes)
    }

    /// Removes the routes that an earlier process has made.
    static func removeLeftovers(_ configuration: ClusterConfiguration, namespace: String? = nil) async throws {
        guard configuration.edgeDirect, !configuration.roles.contains(.worker), Machine.isRoot else { return }
        let kernel = try await KernelNetwork(namespace: namespace)
        await PodRoutes.remove(IPRange.list(configuration.podCIDR) ?? [], kernel, configuration.logger)
        kernel.stop()
    }

    /// Removes the routes.
    func stop() async {
        await routes.stop()
        kernel.stop()
    }
}
