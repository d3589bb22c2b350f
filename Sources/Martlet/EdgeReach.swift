internal import MartletBase
internal import MartletClient
internal import MartletNet
internal import MartletRoutes

/// Which pods this machine's edge goes to itself. On a worker the pod network leads to all of them; elsewhere routes
/// are kept to those of hosts in the same subnets.
struct EdgeReach: Sendable {
    private let kernel: KernelNetwork
    private let routes: PodRoutes

    /// Whether it can be done here what is asked for.
    /// - Throws: ``ClusterError`` that says what to do.
    static func check(_ configuration: ClusterConfiguration) throws {
        guard configuration.edgeDirect else { return }
        guard configuration.roles.contains(.edge) else {
            throw ClusterError.unusable("--edge-direct is for a machine with an edge: add --role edge, or leave it out")
        }
        guard configuration.roles.contains(.worker) || Machine.isRoot else {
            throw ClusterError.unusable(
                "--edge-direct makes routes to pods on a machine that is no worker, which needs root: run martletd as "
                    + "root, or leave it out")
        }
    }

    /// Lets an edge go to pods, where that was asked for.
    /// - Parameter namespace: a path as `/run/netns/NAME`; nil for this process's own.
    /// - Returns: nil where nothing is to be kept.
    /// - Throws: `NetlinkError` when the kernel's tables cannot be opened.
    static func start(
        _ configuration: ClusterConfiguration, _ edge: Edge?, _ client: Client, namespace: String? = nil,
        in world: any World
    ) async throws -> EdgeReach? {
        guard configuration.edgeDirect, let edge else { return nil }
        let ranges = IPRange.list(configuration.podCIDR) ?? []
        guard !configuration.roles.contains(.worker) else {
            await edge.setReach(ranges)
            return nil
        }
        let kernel = try await KernelNetwork(namespace: namespace)
        let routes = await PodRoutes.start(
            addresses: configuration.nodeAddresses.compactMap { IPAddress($0) }, ranges: ranges, nodes: client,
            kernel: kernel, in: world, logger: configuration.logger
        ) { ranges in
            let names = ranges.isEmpty ? "none" : ranges.map(\.description).joined(separator: ", ")
            configuration.logger.notice("the edge goes to pods of \(names) itself, to others by way of workers")
            await edge.setReach(ranges)
        }
        return EdgeReach(kernel: kernel, routes: routes)
    }

    /// Removes the routes that an earlier process has made, whatever it was told since.
    static func removeLeftovers(_ configuration: ClusterConfiguration, namespace: String? = nil) async throws {
        let roles = configuration.roles
        guard roles.contains(.edge), !roles.contains(.worker), Machine.isRoot else { return }
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
