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

/// What a write's query asks for.
struct WriteOptions: Sendable, Hashable {
    /// What becomes of fields that the kind does not have.
    enum FieldValidation: String, Sendable {
        case ignore = "Ignore"
        case warn = "Warn"
        case strict = "Strict"
    }

    /// Check everything, change nothing.
    var isDryRun = false
    var validation = FieldValidation.warn

    init() {}

    init(_ query: Query) throws(APIError) {
        isDryRun = try Self.dryRun(query.text("dryRun"))
        if let text = query.text("fieldValidation") {
            guard let validation = FieldValidation(rawValue: text) else {
                throw Self.unsupported("fieldValidation", text, "\"Ignore\", \"Strict\", \"Warn\"")
            }
            self.validation = validation
        }
    }

    /// Reads `dryRun`, which is `All` or absent.
    static func dryRun(_ text: String?) throws(APIError) -> Bool {
        guard let text, !text.isEmpty else { return false }
        guard text == "All" else { throw unsupported("dryRun", text, "\"All\"") }
        return true
    }

    static func unsupported(_ field: String, _ value: String, _ supported: String) -> APIError {
        APIError(
            422, "Invalid",
            "\(field): Unsupported value: \"\(value)\": supported values: \(supported)")
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
