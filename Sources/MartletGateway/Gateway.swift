public import HTTPTypes
public import Logging
public import MartletBase
public import MartletHTTP
public import MartletObject
public import MartletReplica

/// How the gateway is set up.
public struct GatewayConfiguration: Sendable {
    /// What Services get their cluster IPs from, as `10.96.0.0/16`. IPv4, of 8 to 30 bits.
    public var serviceCIDR = "10.96.0.0/16"
    /// Reaches the node agent's API for logs, exec and proxying: given a node's address and port, a client that
    /// shows the gateway's certificate. Nil when there are no nodes.
    public var nodeClient: (@Sendable (_ address: String, _ port: UInt16) throws -> HTTPClient)?
    /// What `/version` says, as `v1.36.0`.
    public var kubernetesVersion = MartletVersion.kubernetes
    /// How service account tokens are signed and known again; nil: there are none.
    public var tokens: TokenSettings?
    /// Tokens out of a file (`--token-auth-file`).
    public var tokenFile: TokenFile?
    /// Whether health and version are shown to those who do not say who they are.
    public var allowsAnonymous = true
    /// The certificates that this API is known by now (PEM); everybody may read them under `/cacerts`.
    public var authorities: @Sendable () -> [UInt8] = { [] }
    /// Answers what lies under `/martlet/`: the cluster's own upkeep. Roles say who may, as for all other paths.
    public var door: (@Sendable (DoorRequest) async -> DoorAnswer)?
    /// Metrics of what else runs in this process, in Prometheus' text format: added to `/metrics`.
    public var furtherMetrics: @Sendable () -> String = { "" }
    /// What the process uses, for `/metrics`; nil where nobody knows.
    public var processUse: @Sendable () -> ProcessFacts? = { nil }
    /// How long a request's body may take to arrive. Then: 408.
    public var bodyPatience = Limits.bodyPatience
    /// How long a watch waits for memory for a large event. Then it ends with 429, inside its stream.
    public var watchPatience = Limits.watchPatience
    /// Defaults.
    public init() {}
}

/// The Kubernetes API over a replica: discovery, the verbs, watches, logs.
///
/// Events (core/v1 Event) are stored like all other objects and do not expire here: a controller prunes them.
public final class Gateway: RequestHandler {
    let registry: Registry
    let access: AccessControl
    let accounts: ServiceAccountTokens?
    let authentication: Authentication
    let configuration: GatewayConfiguration
    let world: any World
    let logger: Logger
    let metrics = Metrics()
    let watchers = WatcherCount()
    let checked = CheckCount()
    let admittance = Admittance()
    private let compression = Compression()
    let served = ServedKinds()
    let customKinds: CustomKinds

    /// A gateway over `replica`.
    public init(replica: Replica, configuration: GatewayConfiguration, in world: any World, logger: Logger) {
        self.configuration = configuration
        self.world = world
        self.logger = logger
        let storage = Storage(replica: replica)
        access = AccessControl(storage)
        registry = Registry(
            storage: storage, access: access, served: served, serviceCIDR: configuration.serviceCIDR, world: world,
            logger: logger)
        accounts = configuration.tokens.map { ServiceAccountTokens($0, storage, in: world) }
        authentication = Authentication(
            accounts: accounts, file: configuration.tokenFile, bootstrap: BootstrapTokens(storage: storage),
            allowsAnonymous: configuration.allowsAnonymous, world: world)
        customKinds = CustomKinds(registry: registry, served: served, world: world, logger: logger)
    }

    /// Signs and knows service account tokens by other keys from now on. Tokens of keys that are not among them are no
    /// longer good. Nothing happens where the gateway was started without tokens.
    public func setTokens(_ settings: TokenSettings) { accounts?.set(settings) }

    /// Makes a service account token of its claims.
    /// - Throws: why there is none: the gateway has no key, or the key does not sign.
    public func signToken(_ claims: JSON) throws -> String {
        guard let accounts else { throw APIError.internalError("there is no key to sign tokens with") }
        return try accounts.issue(claims)
    }

    /// Authenticates, then answers (see ``serve(_:as:)``).
    public func handle(_ request: Request) async -> Response {
        let identity: Identity
        do {
            identity = try await confirmingRefusals { () throws(APIError) in
                try await authentication.identity(of: request)
            }
        } catch { return Self.response(error) }
        return await respond(to: request, from: identity, identity.isOfCluster ? .cluster : .others)
    }

    /// What the server refuses before it is a request of the API, as a Status all the same.
    public func refusal(_ status: HTTPResponse.Status, _ text: String) -> (contentType: String, body: [UInt8]) {
        ("application/json", APIError(refusal: status.code, text).status.encoded())
    }

    /// Answers on behalf of `identity`: the in-process door, for roles that share the process.
    public func serve(_ request: Request, as identity: Identity) async -> Response {
        let isOwn = identity.isOfCluster || identity.isMaster
        return await respond(to: request, from: identity, isOwn ? .cluster : .others)
    }

    private func respond(
        to request: Request, from identity: Identity, _ pool: Admittance.Pool
    ) async -> Response {
        let start = world.now()
        var call = Call(request, identity: identity, kinds: served.current)
        var response: Response
        do {
            call = try await renewed(call, pool)
            response = try await answer(call, pool)
            response = try WebSocketAnswer.upgrading(response, of: call, in: world)
        } catch {
            response = Self.response(error)
            // A revision that has not happened yet is the client's mistake.
            let level: Logger.Level = error.code == 504 ? .info : .error
            if error.code >= 500 { logger.log(level: level, "\(call.verb) \(call.path): \(error.message)") }
        }
        if call.wantsYAML { response = response.inYAML }
        response = compression.compressing(response, to: call)
        if response.head.headerFields[.cacheControl] == nil {
            response.head.headerFields[.cacheControl] = "no-cache, private"
        }
        metrics.count(call.label(code: response.head.status.code), took: world.now() - start)
        return response
    }

    /// The call with the kinds that are served now. Whoever has seen a definition established finds its kind: before a
    /// path is unknown, and before documents are made, the definitions are looked at once more, which takes the place
    /// of a read.
    private func renewed(_ call: Call, _ pool: Admittance.Pool) async throws(APIError) -> Call {
        guard call.identity.groups.contains("system:authenticated") else { return call }
        let isUnknown = call.route == .nothing && call.path.hasPrefix("/apis/")
        guard isUnknown || call.route.isMadeOfKinds else { return call }
        guard let ticket = admittance.enter(.read, pool, for: call.identity.user) else { throw .tooManyRequests }
        defer { withExtendedLifetime(ticket) {} }
        if isUnknown { try? await registry.storage.confirm() }
        await customKinds.refresh()
        return Call(call.request, identity: call.identity, kinds: served.current)
    }

    private func answer(_ call: Call, _ pool: Admittance.Pool) async throws(APIError) -> Response {
        guard let admittanceClass = call.admittanceClass else { return try await perform(call) }
        var call = call
        if let impersonation = try Impersonation(call.request.head.headerFields) {
            for request in impersonation.requests(by: call.identity) { try await demand(request) }
            call = call.acting(as: impersonation.identity)
        }
        // Nobody in particular does not make masters ask each other.
        if call.identity == .anonymous {
            try await access.demand(call.accessRequest)
        } else {
            try await demand(call.accessRequest)
        }
        let user = call.identity.user
        // A body may come slowly: nobody holds a place among the writes while it does.
        if admittanceClass == .write {
            call = try await call.withBody(
                in: admittance.room(.bodies, pool, for: user), within: configuration.bodyPatience, world: world)
        }
        guard let ticket = admittance.enter(admittanceClass, pool, for: user) else { throw .tooManyRequests }
        defer { withExtendedLifetime(ticket) {} }
        call.room = admittance.room(.answers, pool, for: user)
        var response = try await perform(call, confirmsRefusals: admittanceClass == .write)
        // What was written must be told of, whatever memory that takes.
        if admittanceClass == .read, case .resource = call.route, response.isHeld,
            case .bytes(let bytes) = response.body
        {
            guard call.room?.grow(by: bytes.count) ?? true else { throw .tooManyRequests }
            response.hold(call.room)
        }
        // The place is taken for as long as the body lasts.
        response.hold(ticket)
        if call.verb == "watch", case .resource(let target) = call.route {
            response.hold(watchers.entry(target.kind))
        }
        return response
    }

    private func demand(_ request: AccessRequest) async throws(APIError) {
        try await confirmingRefusals { () throws(APIError) in try await access.demand(request) }
    }

    private func perform(_ call: Call, confirmsRefusals: Bool) async throws(APIError) -> Response {
        guard confirmsRefusals else { return try await perform(call) }
        return try await confirmingRefusals { () throws(APIError) in try await perform(call) }
    }

    /// Decides by what this gateway knows. A refusal may come from not knowing yet what another gateway has answered
    /// (a namespace, a role, a token made there): then it decides once more, by all that was answered anywhere.
    private func confirmingRefusals<Value>(
        _ decide: () async throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        do { return try await decide() } catch {
            guard [401, 403, 404, 422].contains(error.code), await registry.storage.isShared else { throw error }
            try await registry.storage.confirm()
            return try await decide()
        }
    }

    private func perform(_ call: Call) async throws(APIError) -> Response {
        switch call.route {
        case .resource(let target): return try await perform(call, on: target)
        default: return try await document(call)
        }
    }

    /// The Status of a refusal.
    static func response(_ error: APIError) -> Response {
        var response = Response(
            status: .init(code: error.code), contentType: "application/json", bytes: error.status.encoded())
        if let seconds = error.retryAfter { response.head.headerFields[.retryAfter] = "\(seconds)" }
        return response
    }
}
