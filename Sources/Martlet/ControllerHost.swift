internal import Logging
internal import MartletBase
internal import MartletClient
internal import MartletControllers
internal import MartletObject

/// Runs control loops: keeps a snapshot current from watches, asks the pure controllers what they wish, and carries
/// the wishes out through the API.
actor ControllerHost {
    /// How long a failed look waits for its next try: doubles from the first to the last.
    static let backOff = (first: Duration.milliseconds(10), last: Duration.seconds(30))

    private struct Work: Hashable {
        var controller: Int
        var key: ObjectKey
    }

    private let controllers: [any Controller]
    private let client: Client
    private let world: any World
    private let logger: Logger
    private var snapshot = Snapshot()
    private var unsynced = 0
    private var queues: [[ObjectKey]]
    private var queued: [Set<ObjectKey>]
    private var waiters: [CheckedContinuation<Void, Never>?]
    private var failures: [Work: Int] = [:]
    private var alarms: [Work: (due: MonotonicTime, task: Task<Void, Never>)] = [:]
    /// Uids of objects that have gone: an answer to one of our writes may come after the news of the deletion, and
    /// must not bring the object back.
    private var gone = RecentSet<String>(limit: 4096)
    private var tasks: [Task<Void, Never>] = []
    /// The custom kinds that are followed, by the name of their definition.
    private var custom: [String: CustomFollow] = [:]
    private var isStopped = false

    init(_ controllers: [any Controller], client: Client, world: any World, logger: Logger) {
        self.controllers = controllers
        self.client = client
        self.world = world
        self.logger = logger
        queues = controllers.map { _ in [] }
        queued = controllers.map { _ in [] }
        waiters = controllers.map { _ in nil }
    }

    /// Follows every kind that some controller wants, and starts the loops.
    func start() {
        let kinds = ResourceKind.all.filter { kind in
            controllers.contains { $0.follows(kind) || ($0.followsCustomKinds && kind == .customResourceDefinition) }
        }
        unsynced = kinds.count
        for kind in kinds {
            let changes = client.follow(kind, keeping: keeping(kind), logger: logger)
            tasks.append(
                world.spawn { [weak self] in
                    for await change in changes { await self?.take(change, kind) }
                })
        }
        for index in controllers.indices {
            tasks.append(world.spawn { [weak self] in while await self?.workOnce(index) ?? false {} })
        }
    }

    /// What is kept of objects of the kind: no more than some controller reads.
    private func keeping(_ kind: ResourceKind) -> @Sendable (JSON) -> JSON {
        if kind == .customResourceDefinition { return { $0 } }
        let readers = controllers.filter { $0.follows(kind) }
        return { object in
            readers.contains { $0.needsWhole(object, of: kind) } ? object : object.ownershipHead
        }
    }

    func stop() {
        isStopped = true
        for task in tasks { task.cancel() }
        for follow in custom.values { follow.task.cancel() }
        custom = [:]
        for alarm in alarms.values { alarm.task.cancel() }
        alarms = [:]
        for index in waiters.indices { wake(index) }
    }

    // MARK: What is seen

    private func take(_ change: Change, _ kind: ResourceKind) {
        switch change {
        case .synced:
            unsynced -= 1
            if unsynced == 0 { for index in controllers.indices { wake(index) } }
        case .put(let object):
            see(object, kind)
            if kind == .customResourceDefinition { learn(object) }
        case .removed(let object):
            lose(object, kind)
            if kind == .customResourceDefinition { forget(object.name) }
        }
    }

    // MARK: Custom kinds

    /// What is followed of one CustomResourceDefinition.
    private struct CustomFollow {
        /// All versions that are served.
        var kinds: [ResourceKind]
        /// The one under which objects are met.
        var home: ResourceKind
        var task: Task<Void, Never>
        var isSynced = false
    }

    /// Follows the kind of a definition from when it is established.
    private func learn(_ definition: JSON) {
        guard controllers.contains(where: \.followsCustomKinds), !isStopped else { return }
        let kinds = ResourceKind.custom(of: definition)
        guard let home = kinds.first(where: \.isHome) else { return }
        let name = definition.name
        if custom[name]?.home == home {
            custom[name]?.kinds = kinds
        } else {
            forget(name)
            unsynced += 1
            let changes = client.follow(home, keeping: keeping(home), logger: logger)
            let task = world.spawn { [weak self] in
                for await change in changes { await self?.takeCustom(change, name, home) }
            }
            custom[name] = CustomFollow(kinds: kinds, home: home, task: task)
        }
        snapshot.catalog = KindCatalog(custom: custom.values.flatMap(\.kinds))
    }

    private func takeCustom(_ change: Change, _ name: String, _ kind: ResourceKind) {
        guard let follow = custom[name], follow.home == kind else { return }
        if case .synced = change {
            if follow.isSynced { return }
            custom[name]?.isSynced = true
        }
        take(change, kind)
    }

    /// The definition is gone, and with it all objects of its kind.
    private func forget(_ name: String) {
        guard let follow = custom.removeValue(forKey: name) else { return }
        follow.task.cancel()
        if !follow.isSynced { take(.synced, follow.home) }
        for object in snapshot.list(follow.home) { lose(object, follow.home) }
        snapshot.catalog = KindCatalog(custom: custom.values.flatMap(\.kinds))
    }

    /// Takes in an object unless a newer state of it is known: answers to our own writes are taken in at once, and
    /// the watch tells of them again later.
    private func see(_ object: JSON, _ kind: ResourceKind) {
        if gone.contains(object.uid) { return }
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        if let known = snapshot.get(key), let old = Int64(known.resourceVersion),
            let new = Int64(object.resourceVersion), old >= new
        {
            return
        }
        let kept = keeping(kind)(object)
        snapshot.put(kept, kind: kind, at: world.wallTime())
        tell(kept, kind)
    }

    private func lose(_ object: JSON, _ kind: ResourceKind) {
        gone.insert(object.uid)
        let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
        guard snapshot.get(key)?.uid == object.uid else { return }
        snapshot.remove(key)
        tell(object, kind)
    }

    private func tell(_ object: JSON, _ kind: ResourceKind) {
        for (index, controller) in controllers.enumerated() where controller.follows(kind) {
            for key in controller.keys(for: object, kind: kind, in: snapshot) { enqueue(index, key) }
        }
    }

    // MARK: What is done

    private func enqueue(_ index: Int, _ key: ObjectKey) {
        guard queued[index].insert(key).inserted else { return }
        queues[index].append(key)
        wake(index)
    }

    private func wake(_ index: Int) {
        waiters[index]?.resume()
        waiters[index] = nil
    }

    /// Looks at the next object of one controller; false when the host has stopped.
    private func workOnce(_ index: Int) async -> Bool {
        while queues[index].isEmpty || unsynced > 0 {
            if isStopped { return false }
            await withCheckedContinuation { waiters[index] = $0 }
        }
        if isStopped { return false }
        let key = queues[index].removeFirst()
        queued[index].remove(key)
        let work = Work(controller: index, key: key)
        var context = ControllerContext(now: world.wallTime(), random: SplitMix64(seed: world.random()))
        let intents = controllers[index].reconcile(key, in: snapshot, &context)
        do {
            for intent in intents { try await carryOut(intent, work) }
            failures[work] = nil
        } catch {
            retry(work, after: error)
        }
        return true
    }

    private func retry(_ work: Work, after error: any Error) {
        let count = failures[work, default: 0]
        failures[work] = count + 1
        let factor = 1 << min(count, 20)
        let wait = min(Self.backOff.first * factor, Self.backOff.last)
        let level: Logger.Level = (error as? APIError)?.isConflict == true || count < 5 ? .debug : .warning
        logger.log(
            level: level, "a controller tries again",
            metadata: [
                "controller": "\(controllers[work.controller].name)",
                "object": "\(work.key.kind.kind)/\(work.key.name)",
                "error": "\(error)",
            ])
        alarm(work, after: wait)
    }

    /// Looks at an object again later; of several wishes the earliest counts.
    private func alarm(_ work: Work, after wait: Duration) {
        if isStopped { return }
        let due = world.now() + wait
        if let set = alarms[work] {
            if set.due <= due { return }
            set.task.cancel()
        }
        let world = self.world
        let task = world.spawn { [weak self] in
            guard (try? await world.sleep(until: due)) != nil else { return }
            await self?.ring(work, due)
        }
        alarms[work] = (due, task)
    }

    private func ring(_ work: Work, _ due: MonotonicTime) {
        guard alarms[work]?.due == due, !isStopped else { return }
        alarms[work] = nil
        enqueue(work.controller, work.key)
    }

    /// Carries out one wish, and takes the answer in at once, so that the next look does not wish it again.
    private func carryOut(_ intent: Intent, _ work: Work) async throws {
        let component = controllers[work.controller].name
        switch intent {
        case .requeue(let key, let milliseconds):
            alarm(Work(controller: work.controller, key: key), after: .milliseconds(milliseconds))
        case .event:
            // An event that cannot be written must not hold up the work it tells of.
            do { try await client.perform(intent, as: component) } catch {
                logger.debug("an event was not written", metadata: ["error": "\(error)"])
            }
        case .create(let kind, _), .update(let kind, _), .updateStatus(let kind, _):
            if let answer = try await client.perform(intent, as: component) { see(answer, kind) }
        case .patchMetadata(let key, _):
            if let answer = try await client.perform(intent, as: component) { see(answer, key.kind) }
        case .release:
            if let answer = try await client.perform(intent, as: component) { see(answer, .persistentVolumeClaim) }
        case .delete(let key, let uid), .discard(let key, let uid), .collect(let key, let uid, _):
            let answer = try await client.perform(intent, as: component)
            if let answer, answer.uid == uid { see(answer, key.kind) }
        case .bind, .finalizeNamespace:
            try await client.perform(intent, as: component)
        }
    }
}

/// The last few members of a set: the oldest goes when it is full.
struct RecentSet<Element: Hashable & Sendable>: Sendable {
    private var members: Set<Element> = []
    private var order: [Element] = []
    private var oldest = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    func contains(_ element: Element) -> Bool { members.contains(element) }

    mutating func insert(_ element: Element) {
        guard members.insert(element).inserted else { return }
        if order.count < limit {
            order.append(element)
            return
        }
        members.remove(order[oldest])
        order[oldest] = element
        oldest = (oldest + 1) % limit
    }
}
