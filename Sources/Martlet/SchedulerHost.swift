internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletObject
internal import MartletScheduler

/// Runs the scheduler: tells it of nodes and pods, and carries its wishes out through the API.
actor SchedulerHost {
    /// How long a pod waits whose binding failed for another reason than the pod itself.
    static let retryAfter = Duration.seconds(1)
    /// Bindings on their way at one time.
    static let inFlight = 32

    private var scheduler = Scheduler()
    private let client: Client
    private let world: any World
    private let logger: Logger
    private var unsynced = 2
    private var waiter: CheckedContinuation<Void, Never>?
    private var tasks: [Task<Void, Never>] = []
    private var isStopped = false
    /// The state in which a pod was last seen waiting, for those that must wait again.
    private var pending: [String: JSON] = [:]

    init(client: Client, world: any World, logger: Logger) {
        self.client = client
        self.world = world
        self.logger = logger
    }

    func start() {
        for kind in [ResourceKind.node, .pod] {
            tasks.append(
                world.spawn { [weak self, client, logger] in
                    for await change in client.follow(kind, logger: logger) { await self?.take(change, kind) }
                })
        }
        tasks.append(world.spawn { [weak self] in while await self?.workOnce() ?? false {} })
    }

    func stop() {
        isStopped = true
        for task in tasks { task.cancel() }
        wake()
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }

    private func take(_ change: Change, _ kind: ResourceKind) {
        switch change {
        case .synced: unsynced -= 1
        case .put(let object):
            if kind == .node {
                scheduler.step(.node(object))
            } else {
                let isWaiting = object["spec", "nodeName"]?.string?.isEmpty ?? true
                pending[object.uid] = isWaiting ? object : nil
                scheduler.step(.pod(object))
            }
        case .removed(let object):
            pending[object.uid] = nil
            scheduler.step(kind == .node ? .nodeRemoved(name: object.name) : .podRemoved(uid: object.uid))
        }
        wake()
    }

    private func workOnce() async -> Bool {
        while unsynced > 0 || !scheduler.hasWork {
            if isStopped { return false }
            await withCheckedContinuation { waiter = $0 }
        }
        if isStopped { return false }
        let intents = scheduler.decide(at: world.wallTime())
        await withTaskGroup(of: Void.self) { group in
            for (index, intent) in intents.enumerated() {
                if index >= Self.inFlight { await group.next() }
                group.addTask { await self.carryOut(intent) }
            }
        }
        return true
    }

    private func carryOut(_ intent: Intent) async {
        do {
            try await client.perform(intent, as: "default-scheduler")
        } catch {
            logger.debug("the scheduler was refused", metadata: ["error": "\(error)"])
            guard case .bind(_, let uid, _) = intent else { return }
            scheduler.step(.bindingFailed(uid: uid))
            // The pod waits again, a little later; unless by then the watch has told that it is gone or bound.
            let world = self.world
            world.spawn { [weak self] in
                try? await world.sleep(for: Self.retryAfter)
                await self?.waitAgain(uid)
            }
        }
    }

    private func waitAgain(_ uid: String) {
        guard let pod = pending[uid], !isStopped else { return }
        scheduler.step(.pod(pod))
        wake()
    }
}
