public import Logging
public import MartletBase
public import MartletClient
public import MartletObject

/// Keeps a snapshot of some kinds current and says when it has changed.
public actor Following {
    /// Changes that come close together are taken in together.
    static let gather = Duration.milliseconds(2)

    private var snapshot = Snapshot()
    private var changed: Set<ObjectKey> = []
    private var unsynced: Int
    private var isDirty = false
    private var waiter: CheckedContinuation<Void, Never>?
    private var tasks: [Task<Void, Never>] = []
    private var isStopped = false
    private let kinds: [ResourceKind]
    private let client: Client
    private let world: any World
    private let logger: Logger

    /// Follows nothing yet: the first ``next()`` begins it.
    public init(_ kinds: [ResourceKind], client: Client, world: any World, logger: Logger) {
        self.kinds = kinds
        self.client = client
        self.world = world
        self.logger = logger
        unsynced = kinds.count
    }

    private func start() {
        tasks = kinds.map { kind in
            world.spawn { [weak self, client, logger] in
                for await change in client.follow(kind, logger: logger) { await self?.take(change, kind) }
            }
        }
    }

    private func take(_ change: Change, _ kind: ResourceKind) {
        switch change {
        case .put(let object):
            snapshot.put(object, kind: kind)
            changed.insert(ObjectKey(kind, namespace: object.namespace, name: object.name))
        case .removed(let object):
            let key = ObjectKey(kind, namespace: object.namespace, name: object.name)
            snapshot.remove(key)
            changed.insert(key)
        case .synced: unsynced -= 1
        }
        // A table built before every kind is known would take routes away that are good.
        lookAgain()
    }

    private func wake() {
        waiter?.resume()
        waiter = nil
    }

    /// Waits for a change and returns all there is; nil when following has ended.
    public func next() async -> Snapshot? { await nextChanges()?.snapshot }

    /// Waits for a change and returns all there is, and which objects have changed; nil when following has ended.
    func nextChanges() async -> (snapshot: Snapshot, changed: Set<ObjectKey>)? {
        if tasks.isEmpty && !isStopped { start() }
        while (!isDirty || unsynced > 0) && !isStopped {
            await withCheckedContinuation { waiter = $0 }
        }
        if isStopped { return nil }
        try? await world.sleep(for: Self.gather)
        isDirty = false
        defer { changed = [] }
        return (snapshot, changed)
    }

    /// Lets ``next()`` return what there is, changed or not.
    public func lookAgain() {
        isDirty = true
        if unsynced <= 0 { wake() }
    }

    /// Ends following.
    public func stop() {
        isStopped = true
        for task in tasks { task.cancel() }
        tasks = []
        wake()
    }
}
