internal import Logging
internal import MartletBase
internal import MartletNet
internal import MartletObject
internal import MartletReplica
internal import MartletRoutes
internal import MartletStore
internal import Synchronization

/// A master's part in holding the cluster's virtual addresses: one virtual router for each kind of addresses, told of
/// the edge's health and of the master's rank.
final class VirtualIPs: Sendable {
    /// How often the edge is asked.
    static let askEvery = Duration.milliseconds(500)
    /// How long its answer may take.
    static let patience = Duration.seconds(2)
    /// How long one good answer counts: after that, a process whose reactor stands still gives the addresses up.
    static let goodFor = Duration.seconds(5)
    /// So many bad answers in a row make the edge dead.
    static let badAnswers = 2

    /// After how long a master that was asked to yield looks whether another one has taken over.
    static let moveTakes = Duration.milliseconds(500)

    private let routers: [VirtualIP]
    private let edge: Edge
    private let world: any World
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// Starts them.
    /// - Throws: ``ClusterError`` that says what to do.
    static func start(
        _ configuration: ClusterConfiguration, edge: Edge, replica: Replica, in world: any World
    ) async throws -> VirtualIPs {
        let settings = configuration.virtualIP
        var routers: [VirtualIP] = []
        do {
            for family in try Self.families(settings) {
                var router = VirtualIPConfiguration(addresses: family)
                router.interface = settings.interface
                router.nodeAddress = IPAddress(configuration.nodeAddress)
                router.routerID = settings.routerID
                router.centiseconds = settings.intervalMilliseconds / 10
                router.version = VRRPVersion(rawValue: settings.version) ?? .three
                router.checksum = settings.checksum == .message ? .message : .pseudoHeader
                router.preempts = settings.preempts
                router.peers = settings.peers.compactMap { IPAddress($0) }.filter {
                    $0.family == family[0].address.family
                }
                router.priority = await priority(configuration, replica)
                routers.append(try await VirtualIP.start(router, in: world, logger: configuration.logger))
            }
        } catch {
            for router in routers { await router.stop() }
            if let error = error as? ClusterError { throw error }
            throw ClusterError.unusable("the virtual IP cannot be held here: \(error)")
        }
        let ips = VirtualIPs(routers, edge, world)
        let task = world.spawn { await ips.watch(configuration, edge, replica, world) }
        ips.task.withLock { $0 = task }
        return ips
    }

    private init(_ routers: [VirtualIP], _ edge: Edge, _ world: any World) {
        self.routers = routers
        self.edge = edge
        self.world = world
    }

    /// The addresses of each kind: VRRP has one virtual router for each.
    private static func families(_ settings: VirtualIPSettings) throws -> [[VirtualAddress]] {
        var four: [VirtualAddress] = []
        var six: [VirtualAddress] = []
        for text in settings.addresses {
            guard let address = VirtualAddress(text) else {
                throw ClusterError.unusable("--vip \(text) is no address with a length, as 192.0.2.10/24 is")
            }
            if address.address.family == .ipv4 { four.append(address) } else { six.append(address) }
        }
        return [four, six].filter { !$0.isEmpty }
    }

    /// By the place of the master's name among all: every master works out the same order from what its own store
    /// has, without a question to anybody. Who leads the store has no say in it: leads change more often than masters
    /// die. A master that knows no leader stands back: its API does not answer, and when a cut network is healed it is
    /// not the one to keep the addresses.
    private static func priority(_ configuration: ClusterConfiguration, _ replica: Replica) async -> UInt8 {
        let names = await replica.members.map(\.name)
        let priority =
            configuration.virtualIP.priority
            ?? VirtualRouterSettings.priority(of: configuration.nodeName, among: names)
        return await replica.status.leader == nil ? VirtualRouterSettings.priorityAlone(priority) : priority
    }

    private func watch(
        _ configuration: ClusterConfiguration, _ edge: Edge, _ replica: Replica, _ world: any World
    ) async {
        var bad = 0
        while !Task.isCancelled {
            do {
                try await world.limited(to: Self.patience, "the edge's answer") { try await edge.ask() }
                bad = 0
                for router in routers { router.isFit(for: Self.goodFor) }
            } catch {
                if Task.isCancelled { return }
                bad += 1
                if bad == Self.badAnswers {
                    for router in routers { router.isUnfit("the edge does not answer (\(error))") }
                }
            }
            let priority = await Self.priority(configuration, replica)
            for router in routers where router.status.priority != priority { router.setPriority(priority) }
            guard (try? await world.sleep(for: Self.askEvery)) != nil else { return }
        }
    }

    /// Lets other masters take over what this one holds. Connections that are open through this one go on; those that
    /// are kept for further requests end with their next answer.
    func yield() {
        for router in routers { router.yield() }
        let (routers, edge, world) = (self.routers, self.edge, self.world)
        world.spawn {
            try? await world.sleep(for: Self.moveTakes)
            if routers.allSatisfy({ $0.status.state != .active }) { edge.retireConnections() }
        }
    }

    /// Gives the addresses up for good, so that others take over at once. Connections that are open go on.
    func giveUp() {
        task.withLock { $0 }?.cancel()
        for router in routers { router.giveUp() }
    }

    /// Where each virtual router stands.
    var json: JSON {
        .array(
            routers.map { router in
                let status = router.status
                return [
                    "addresses": .array(status.addresses.map { .string("\($0)") }),
                    "state": .string(status.state.rawValue), "priority": .int(Int64(status.priority)),
                    "holder": status.holder.map { .string("\($0)") } ?? .null,
                ]
            })
    }

    /// Gives the addresses up, with what is open through them, and ends.
    func stop() async {
        let task = self.task.withLock { $0 }
        task?.cancel()
        for router in routers { await router.stop() }
        await task?.value
    }
}

/// The door's way to the virtual addresses: it is opened before they are held.
final class VirtualIPSlot: Sendable {
    private let ips = Mutex<VirtualIPs?>(nil)

    var value: VirtualIPs? {
        get { ips.withLock { $0 } }
        set { ips.withLock { $0 = newValue } }
    }
}
