internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletRoutes
internal import Synchronization

/// Tells the other edges of this one, and knows which of them writes where all of them are reached.
final class EdgePresence: Sendable {
    private struct State {
        var roster = EdgeRoster()
        /// Whether all Leases have been read once.
        var isSynced = false
        var published: [String]?
    }
    private let state = Mutex(State())
    private let machine: String
    private let addresses: [String]
    private let client: Client
    private let world: any World
    private let logger: Logger

    /// - Parameters:
    ///   - machine: the name that others know it by.
    ///   - addresses: where clients reach it.
    init(of machine: String, addresses: [String], client: Client, in world: any World, logger: Logger) {
        self.machine = machine
        self.addresses = addresses
        self.client = client
        self.world = world
        self.logger = logger
    }

    /// The addresses of all edges that live, while it is this one that writes them; nil else.
    var published: [String]? { state.withLock { $0.published } }

    /// Keeps the Lease and follows those of others until the task is cancelled.
    /// - Parameter changed: called when ``published`` is another.
    func run(_ changed: @escaping @Sendable () async -> Void) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.renew(changed) }
            group.addTask { await self.follow(changed) }
        }
    }

    private func renew(_ changed: @Sendable () async -> Void) async {
        var pause = Duration.zero
        while (try? await world.sleep(for: pause)) != nil {
            do {
                try await write()
                pause = .seconds(EdgeRoster.renewalSeconds)
            } catch {
                logger.debug("other edges are not told of this one", metadata: ["error": "\(error)"])
                pause = .seconds(1)
            }
            // Others may have fallen silent.
            await look(changed)
            await tidy()
        }
    }

    /// Deletes the Leases of edges that have long gone, while this one writes for all.
    private func tidy() async {
        let now = world.now()
        for name in state.withLock({ $0.published == nil ? [] : $0.roster.forgotten(at: now) }) {
            do {
                _ = try await client.delete(.lease, namespace: EdgeRoster.namespace, name: name)
            } catch {
                logger.debug(
                    "the lease of an edge that is gone stays", metadata: ["lease": "\(name)", "error": "\(error)"])
                // On a worker it may not: a master does it when its turn comes.
                let isRefused = (error as? APIError)?.code == 403
                if isRefused { state.withLock { $0.roster.remove(name) } }
            }
        }
    }

    private func write() async throws {
        let lease = EdgeRoster.lease(of: machine, addresses: addresses, now: world.wallTime())
        do {
            _ = try await client.patch(.lease, namespace: lease.namespace, name: lease.name, type: .merge, lease)
        } catch let error as APIError where error.isNotFound {
            // Not by POST: a worker may write the one of its own name only.
            _ = try await client.update(.lease, lease)
        }
    }

    private func follow(_ changed: @Sendable () async -> Void) async {
        for await change in client.follow(.lease, namespace: EdgeRoster.namespace, logger: logger) {
            let (now, wallTime) = (world.now(), world.wallTime())
            state.withLock { state in
                switch change {
                case .put(let lease): state.roster.put(lease, at: now, wallTime)
                case .removed(let lease): state.roster.remove(lease.name)
                case .synced: state.isSynced = true
                }
            }
            await look(changed)
        }
    }

    private func look(_ changed: @Sendable () async -> Void) async {
        let now = world.now()
        let isOther = state.withLock { state in
            let published = state.isSynced ? state.roster.published(by: machine, at: now) : nil
            defer { state.published = published }
            return state.published != published
        }
        if isOther { await changed() }
    }

    /// Takes the Lease away, so that the others do not wait for it to end.
    func withdraw() async {
        do {
            try await world.limited(to: Leaving.farewell, "the lease's end") { [client, machine] in
                _ = try await client.delete(
                    .lease, namespace: EdgeRoster.namespace, name: EdgeRoster.leaseName(of: machine))
            }
        } catch {
            logger.debug("other edges are not told that this one ends", metadata: ["error": "\(error)"])
        }
    }
}
