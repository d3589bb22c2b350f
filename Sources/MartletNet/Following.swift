public import Logging
public import MartletBase
public import MartletClient
public import MartletObject

/// Which Secrets an edge or ingress follows.
public enum SecretReading: Sendable {
    /// All there are, for who may read them: one watch.
    case all
    /// Those alone that routes name, each by its name, as the masters allow it to workers: a watch each.
    case named

    /// The kinds that are followed whole.
    func kinds(of kinds: [ResourceKind]) -> [ResourceKind] { self == .all ? kinds : kinds.filter { $0 != .secret } }
}

/// Keeps a snapshot of some kinds current and says when it has changed.
public actor Following {
    /// Changes that come close together are taken in together.
    static let gather = Duration.milliseconds(2)
    /// So many Secrets are followed by name. What names one more is served as if it did not exist.
    static let mostSecrets = 4096
    /// How long after the start named Secrets are waited for.
    static let patience = Duration.seconds(5)

    private var snapshot = Snapshot()
    private var changed: Set<ObjectKey> = []
    private var unsynced: Int
    private var isDirty = false
    private var waiter: CheckedContinuation<Void, Never>?
    private var tasks: [Task<Void, Never>] = []
    /// The Secrets that are followed by name, and those of them that have not been looked for yet.
    private var secrets: [ObjectKey: Task<Void, Never>] = [:]
    private var unread: Set<ObjectKey> = []
    private var waitsForSecrets = true
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

    /// Follows these Secrets besides, each by its name, and those of an earlier call no longer; nil changes nothing.
    /// Says whether what is known is worth using: at the start not before each of them was looked for.
    func follow(secrets wanted: Set<ObjectKey>?) -> Bool {
        guard !isStopped, let wanted else { return unread.isEmpty || !waitsForSecrets }
        for (key, task) in secrets where !wanted.contains(key) {
            task.cancel()
            secrets[key] = nil
            unread.remove(key)
            if snapshot.get(key) != nil { take(nil, of: key) }
        }
        let missing = wanted.filter { secrets[$0] == nil }
            .sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        if secrets.isEmpty, !missing.isEmpty, waitsForSecrets {
            tasks.append(
                world.spawn { [weak self, world] in
                    guard (try? await world.sleep(for: Self.patience)) != nil else { return }
                    await self?.endWaiting()
                })
        }
        for key in missing {
            guard secrets.count < Self.mostSecrets else {
                logger.error(
                    "routes name more than \(Self.mostSecrets) secrets: \(key.namespace)/\(key.name) is not read")
                break
            }
            unread.insert(key)
            secrets[key] = world.spawn { [weak self, client, logger] in
                let changes = client.follow(
                    .secret, namespace: key.namespace, fieldSelector: "metadata.name=\(key.name)", logger: logger)
                for await change in changes {
                    switch change {
                    case .put(let secret): await self?.take(secret, of: key)
                    case .removed: await self?.take(nil, of: key)
                    case .synced: await self?.hasRead(key)
                    }
                }
            }
        }
        return unread.isEmpty || !waitsForSecrets
    }

    private func take(_ secret: JSON?, of key: ObjectKey) {
        if let secret { snapshot.put(secret, kind: .secret) } else { snapshot.remove(key) }
        changed.insert(key)
        lookAgain()
    }

    private func hasRead(_ key: ObjectKey) {
        unread.remove(key)
        if unread.isEmpty { lookAgain() }
    }

    private func endWaiting() {
        waitsForSecrets = false
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
        for task in tasks + secrets.values { task.cancel() }
        (tasks, secrets) = ([], [:])
        wake()
    }
}
