internal import Logging
internal import MartletBase
internal import MartletObject
internal import MartletStore

/// The verbs over the store: the same for every kind.
struct Registry: Sendable {
    let storage: Storage
    let allocator: Allocator
    let world: any World
    let logger: Logger
    let sharedEvents = SharedEvents()
    let watchClock: WatchClock
    let access: AccessControl
    let served: ServedKinds
    /// On whose behalf: see ``acting(as:)``.
    private(set) var identity = Identity.gateway

    init(
        storage: Storage, access: AccessControl, served: ServedKinds, serviceCIDR: String, world: any World,
        logger: Logger
    ) {
        self.served = served
        self.storage = storage
        self.access = access
        allocator = Allocator(storage: storage, world: world, serviceCIDR: serviceCIDR)
        self.world = world
        watchClock = WatchClock(in: world)
        self.logger = logger
    }

    /// The verbs on behalf of somebody: admission looks at who it is.
    func acting(as identity: Identity) -> Registry {
        var registry = self
        registry.identity = identity
        return registry
    }

    /// The object that a target names, with its key's history.
    /// - Throws: 404 when there is none.
    func current(_ target: Target) async throws(APIError) -> KeyValue {
        try await storage.confirm()
        guard let pair = await storage.get(Keys.object(target)) else { throw .notFound(target.subject) }
        return pair
    }
}

/// The outcome of a write.
struct Written: Sendable {
    /// The object's served form.
    var bytes: [UInt8]
    /// For `Warning` headers.
    var warnings: [String] = []
}

extension Written {
    /// An object as it was stored at `revision`; 0 for a dry run of a creation, whose object has none.
    init(_ stored: StoredObject, revision: Int64, warnings: [String]) {
        bytes = revision > 0 ? stored.served(resourceVersion: revision) : stored.bytes
        self.warnings = warnings
    }
}
