internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// A request, understood: where it leads, and what it wants there.
struct Call: Sendable {
    private(set) var request: Request
    /// Who the request acts as.
    private(set) var identity: Identity
    /// Without the query.
    let path: String
    let route: Route
    let query: Query
    /// As authorisation names it: `get`, `list`, `watch`, `create`, ...; of what is no resource the method.
    let verb: String

    /// The kinds that are served to it.
    let kinds: ServedKinds.State
    /// What a long answer takes its memory from; nil before the call is let in.
    var room: Admittance.Room?

    init(_ request: Request, identity: Identity, kinds: ServedKinds.State) {
        self.kinds = kinds
        self.request = request
        self.identity = identity
        let text = request.head.path ?? "/"
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "/")
        query = Query(parts.count > 1 ? parts[1] : "")
        route = Route(path: parts.first ?? "/", catalog: kinds.catalog)
        verb = Self.verb(request.head.method, route, query)
    }

    private static func verb(_ method: HTTPRequest.Method, _ route: Route, _ query: Query) -> String {
        guard case .resource(let target) = route else { return method.rawValue.lowercased() }
        if target.isWatched { return "watch" }
        let isCollection = target.name.isEmpty
        switch method {
        case .get where isCollection && query.flag("watch") == true: return "watch"
        // HEAD is GET whose answer stays without its body; a watch would have none at all.
        case .get, .head: return isCollection ? "list" : "get"
        case .post: return "create"
        case .put: return "update"
        case .patch: return "patch"
        case .delete: return isCollection ? "deletecollection" : "delete"
        // As upstream: only those may who may do anything, and they are told that it is not allowed.
        default: return ""
        }
    }

    /// Nil for what is never turned away: health.
    var admittanceClass: Admittance.Class? {
        if route.isPublic { return nil }
        if verb == "watch" { return .longRunning }
        if case .resource(let target) = route {
            if Subresource.connecting.contains(target.subresource) { return .longRunning }
            if target.subresource == "log", query.flag("follow") == true { return .longRunning }
        }
        return ["get", "list", "head"].contains(verb) ? .read : .write
    }

    var accessRequest: AccessRequest {
        var access = AccessRequest(identity: identity, verb: verb)
        guard case .resource(let target) = route else {
            access.path = path
            return access
        }
        access.group = target.kind.group
        access.resource = target.kind.plural
        access.subresource = target.subresource
        access.namespace = target.namespace
        access.name = target.name
        // As upstream: a namespace lies in itself, so that a role in it can be about it.
        if target.kind == .namespace { access.namespace = target.name }
        guard ["list", "watch", "deletecollection"].contains(verb) else { return access }
        // A selector beside a name selects nothing.
        if target.name.isEmpty {
            access.fieldSelector = (try? FieldSelector.terms(parsing: query.text("fieldSelector") ?? "")) ?? []
        }
        if access.name.isEmpty { access.name = access.selectedName }
        return access
    }

    /// What is asked for when an update or apply makes the object: who may change it may not therefore create it.
    var creationRequest: AccessRequest {
        var request = accessRequest
        request.verb = "create"
        return request
    }

    func label(code: Int) -> Metrics.Label {
        var label = Metrics.Label(
            verb: countedVerb, group: "", version: "", resource: "", subresource: "", scope: .none,
            isDryRun: !["get", "list", "watch", "head"].contains(verb) && query.text("dryRun") != nil, code: code)
        guard case .resource(let target) = route else { return label }
        if !target.name.isEmpty || verb == "create" {
            label.scope = .resource
        } else {
            label.scope = target.namespace.isEmpty ? .cluster : .namespace
        }
        label.group = target.kind.group
        label.version = target.kind.version
        label.resource = target.kind.plural
        label.subresource = target.subresource
        return label
    }

    /// The verb as Kubernetes' metrics name it: that of HTTP, but for lists, watches and streams.
    private var countedVerb: String {
        if case .resource(let target) = route, Subresource.connecting.contains(target.subresource) { return "CONNECT" }
        switch verb {
        case "create", "post": return "POST"
        case "update", "put": return "PUT"
        case "patch": return isApply ? "APPLY" : "PATCH"
        case "head": return "GET"
        case "get", "list", "watch", "delete", "deletecollection": return verb.uppercased()
        // Clients do not make rows.
        default: return "other"
        }
    }

    /// The same call on behalf of somebody else.
    func acting(as identity: Identity) -> Call {
        var call = self
        call.identity = identity
        return call
    }

    /// The same call with all of its body here.
    /// - Throws: 429 when it finds no room, 413, 408 or 400.
    func withBody(
        in room: Admittance.Room, within patience: Duration, world: any World
    ) async throws(APIError) -> Call {
        guard case .stream(let next) = request.body else { return self }
        var call = self
        do {
            let bytes = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                defer { group.cancelAll() }
                group.addTask {
                    try await RequestBody.stream {
                        let piece = try await next()
                        if let piece, !room.grow(by: piece.count) { throw APIError.tooManyRequests }
                        return piece
                    }.collect(limit: Limits.body)
                }
                group.addTask {
                    try await world.sleep(for: patience)
                    throw APIError.bodyTimeout(patience)
                }
                return try await group.next() ?? []
            }
            call.request.body = .bytes(bytes)
        } catch {
            throw Self.unreadable(error)
        }
        return call
    }

    private static func unreadable(_ error: any Error) -> APIError {
        switch error {
        case let error as APIError: error
        case HTTPError.bodyTooLarge: .bodyTooLarge
        default: .badRequest("the body cannot be read: \(error)")
        }
    }

    /// The body, which must hold an object in a form that is read; JSON when the request does not say.
    /// - Throws: 413, 415 or 400.
    func objectBody() async throws(APIError) -> ObjectBody {
        let media = request.head.headerFields[.contentType].flatMap { MediaRange($0) }
        let bytes = try await body()
        guard let media, !bytes.isEmpty else { return ObjectBody(bytes: bytes) }
        guard let form = ObjectBody.Form(rawValue: media.type) else {
            throw .unsupportedMediaType(ObjectBody.Form.allCases.map(\.rawValue))
        }
        return ObjectBody(bytes: bytes, form: form)
    }

    /// The body as a patch.
    /// - Throws: 415, 413 or 400.
    func patchBody() async throws(APIError) -> PatchBody {
        try PatchBody(try await body(), contentType: request.head.headerFields[.contentType])
    }

    /// The options of a write.
    /// - Throws: 422.
    func options(_ kind: WriteOptions.Kind) throws(APIError) -> WriteOptions {
        try WriteOptions(query, kind: kind, agent: request.head.headerFields[.userAgent])
    }

    /// Whether it is a patch that is a configuration to apply.
    var isApply: Bool {
        verb == "patch"
            && request.head.headerFields[.contentType].flatMap { MediaRange($0) }?.type == Registry.applyType
    }

    /// - Throws: 413 or 400.
    func body() async throws(APIError) -> [UInt8] {
        do {
            return try await request.body.collect(limit: Limits.body)
        } catch {
            throw Self.unreadable(error)
        }
    }

    /// Whether the answer is wanted in YAML.
    var wantsYAML: Bool { Representation.wantsYAML(request.head.headerFields[.accept]) }

    /// In which form the answer is wanted, and how it is laid out.
    func renderer(now: WallTime) throws(APIError) -> Renderer {
        guard let representation = Representation.negotiate(request.head.headerFields[.accept]) else {
            throw .notAcceptable()
        }
        var includes = IncludedObject.metadata
        if let text = query.text("includeObject") {
            guard let known = IncludedObject(rawValue: text) else {
                throw .badRequest(
                    "Unable to convert to Table as requested: includeObject: Invalid value: \"\(text)\": must be "
                        + "'Metadata', 'Object', 'None', or empty")
            }
            includes = known
        }
        return Renderer(representation: representation, includes: includes, isPretty: isPretty, now: now)
    }

    /// As upstream: `pretty=true`, or a person's tool.
    var isPretty: Bool {
        // YAML is laid out for people anyway.
        if wantsYAML { return false }
        if let wanted = query.flag("pretty") { return wanted }
        let agent = request.head.headerFields[.userAgent] ?? ""
        return ["curl", "Wget", "Mozilla/5.0"].contains { agent.hasPrefix($0) }
    }
}
