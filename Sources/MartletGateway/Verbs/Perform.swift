internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletObject

/// From a call on a resource to the verb that answers it.
extension Gateway {
    func perform(_ call: Call, on target: Target) async throws(APIError) -> Response {
        if Subresource.connecting.contains(target.subresource) { return try await connect(call, target) }
        if let custom = target.kind.custom { try Self.check(call, on: target, custom) }
        let response = try await performOnce(call, on: target)
            .warning(of: target.kind.deprecationWarning.map { [$0] } ?? [])
        if target.kind == .customResourceDefinition, !["get", "list", "watch"].contains(call.verb) {
            await customKinds.takeChange()
        }
        return response
    }

    /// What cannot be done with objects of custom kinds.
    private static func check(_ call: Call, on target: Target, _ custom: CustomKind) throws(APIError) {
        if call.verb == "create", custom.isTerminating { throw .definitionIsGoing }
        if ["create", "update", "patch"].contains(call.verb) {
            let media = call.request.head.headerFields[.contentType].flatMap { MediaRange($0) }?.type
            if media == ObjectBody.Form.protobuf.rawValue {
                throw .unsupportedMediaType(["application/json", "application/yaml"])
            }
            if media == PatchType.strategic.rawValue {
                throw .unsupportedMediaType(
                    [PatchType.json.rawValue, PatchType.merge.rawValue, "application/apply-patch+yaml"])
            }
        }
    }

    private func performOnce(_ call: Call, on target: Target) async throws(APIError) -> Response {
        let renderer = try call.renderer(now: world.wallTime())
        let registry = registry.acting(as: call.identity)
        if target.subresource.isEmpty && !target.kind.verbs.contains(call.verb) { throw .methodNotAllowed }
        if !target.subresource.isEmpty && !Subresource.parts.contains(target.subresource) {
            return try await performSubresource(call, target, renderer)
        }
        let answer: Answer
        switch call.verb {
        case "get":
            answer = .object(try await registry.get(target), kind: target.kind, code: 200)
        case "list":
            if let list = try await registry.listStream(target, query: call.query, renderer: renderer) {
                return try await list.response()
            }
            answer = .list(
                try await registry.list(target, query: call.query, renderer: renderer, room: call.room))
        case "watch" where call.request.head.method == .get: return try await watch(call, target, renderer)
        case "create" where CreateOnly.table[target.kind] != nil:
            return try await review(call, target, renderer)
        case "create" where target.kind == .binding:
            let body = try await call.objectBody()
            answer = try await registry.bindNamed(target, body: body, options: try WriteOptions(call.query))
        case "create" where target.name.isEmpty:
            let written = try await registry.create(
                target, body: try await call.objectBody(), options: try call.options(.create))
            return try response(written, target.kind, code: 201, renderer)
        case "update" where !target.name.isEmpty:
            let creation = call.creationRequest
            let (written, isNew) = try await registry.updateOrCreate(
                target, body: try await call.objectBody(), options: try call.options(.update)
            ) { () throws(APIError) in try await access.demand(creation) }
            return try response(written, target.kind, code: isNew ? 201 : 200, renderer)
        case "patch" where !target.name.isEmpty:
            let (written, isNew) = try await patch(call, target, registry)
            return try response(written, target.kind, code: isNew ? 201 : 200, renderer)
        case "delete" where target.subresource.isEmpty:
            let options = try DeleteOptions(body: try await call.objectBody(), query: call.query)
            answer = try await registry.delete(target, options: options)
        case "deletecollection":
            let options = try DeleteOptions(body: try await call.objectBody(), query: call.query)
            answer = try await registry.deleteCollection(
                target, query: call.query, options: options, renderer: renderer, room: call.room)
        default: throw .methodNotAllowed
        }
        return try renderer.response(answer)
    }

    /// PATCH of the object or its status, of any type. Tells whether the object is new.
    private func patch(
        _ call: Call, _ target: Target, _ registry: Registry
    ) async throws(APIError) -> (written: Written, isNew: Bool) {
        if call.isApply {
            let options = try call.options(.apply)
            let (object, warnings) = try ApplyBody.configuration(
                try await call.body(), validation: options.validation)
            let request = call.creationRequest
            return try await registry.apply(target, object, options: options, warnings: warnings) {
                () throws(APIError) in try await access.demand(request)
            }
        }
        let body = try await call.patchBody()
        return (try await registry.patch(target, body, options: try call.options(.patch)), false)
    }

    private func performSubresource(
        _ call: Call, _ target: Target, _ renderer: Renderer
    ) async throws(APIError) -> Response {
        let options = try call.options(call.isApply ? .apply : call.verb == "patch" ? .patch : .update)
        let registry = registry.acting(as: call.identity)
        switch (target.subresource, call.verb) {
        case ("scale", "get"): return try renderer.response(.document(try await registry.getScale(target), code: 200))
        case ("scale", "update"):
            let body = try await call.objectBody()
            let (scale, warnings) = try await registry.updateScale(target, body: body, options: options)
            return try renderer.response(.document(scale, code: 200)).warning(of: warnings)
        case ("scale", "patch") where call.isApply:
            let (object, _) = try ApplyBody.configuration(
                try await call.body(), validation: options.validation)
            let scale = try await registry.applyScale(target, object, options: options)
            return try renderer.response(.document(scale, code: 200))
        case ("scale", "patch"):
            let body = try await call.patchBody()
            let (scale, warnings) = try await registry.patchScale(target, body, options: options)
            return try renderer.response(.document(scale, code: 200)).warning(of: warnings)
        case ("binding", "create"):
            let body = try await call.objectBody()
            return try renderer.response(try await registry.bind(target, body: body, options: options))
        case ("eviction", "create"):
            let body = try await call.objectBody()
            return try renderer.response(try await registry.evict(target, body: body, query: call.query))
        case ("token", "create"):
            let request = try await requestToken(target, body: try await call.objectBody(), as: call.identity)
            return try renderer.response(.document(request, code: 201))
        case ("finalize", "update"):
            let written = try await registry.finalize(target, body: try await call.objectBody(), options: options)
            return try response(written, target.kind, code: 200, renderer)
        case ("log", "get"):
            return try await PodLog(door: door).answer(target, query: call.query)
        default: throw .methodNotAllowed
        }
    }

    private var door: NodeDoor { NodeDoor(registry: registry, nodeClient: configuration.nodeClient) }

    /// What becomes a stream.
    private func connect(_ call: Call, _ target: Target) async throws(APIError) -> Response {
        if target.subresource == "proxy" {
            guard Proxy.methods.contains(call.request.head.method) else { throw .methodNotAllowed }
            return try await Proxy(door: door, world: world).answer(target, call)
        }
        guard ["get", "create"].contains(call.verb) else { throw .methodNotAllowed }
        // A WebSocket is opened by GET, which must not be the way around the right to create.
        var creation = call.accessRequest
        creation.verb = "create"
        if call.verb != "create" { try await access.demand(creation) }
        return try await PodStream(door: door, world: world).answer(target, call)
    }

    private func watch(_ call: Call, _ target: Target, _ renderer: Renderer) async throws(APIError) -> Response {
        // Documents in YAML cannot be told apart in a stream.
        if call.wantsYAML { throw .notAcceptable(Self.streamTypes) }
        let room = call.room ?? admittance.room(.answers, .others, for: call.identity.user)
        var prepared = try await registry.watch(target, query: call.query, renderer: renderer, room: room)
        prepared.patience = configuration.watchPatience
        if let custom = target.kind.custom { prepared.untilGone = { [served] in await served.untilGone(custom) } }
        let session = prepared
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = "application/json"
        return Response(head: head, body: .stream { writer in try await session.run(writer) })
    }

    private static let streamTypes = ["application/json"]

    func response(
        _ written: Written, _ kind: ResourceKind, code: Int, _ renderer: Renderer
    ) throws(APIError) -> Response {
        renderer.send(try renderer.object(written.bytes, kind: kind), code: code).warning(of: written.warnings)
    }

    /// `299 - "text"`, in printable ASCII.
    static func warning(_ text: String) -> String {
        var quoted = ""
        for scalar in text.unicodeScalars.prefix(Limits.warningLength) {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar.isASCII && scalar.value >= 0x20 && scalar.value < 0x7F ? scalar : "?")
        }
        return "299 - \"\(quoted)\""
    }
}

extension Response {
    /// The same answer with warnings, as many as there may be.
    fileprivate func warning(of texts: [String]) -> Response {
        var response = self
        for text in texts.prefix(Limits.warnings) {
            response.head.headerFields.append(HTTPField(name: .warning, value: Gateway.warning(text)))
        }
        return response
    }
}

extension HTTPField.Name {
    /// RFC 7234, section 5.5.
    static var warning: HTTPField.Name { .init("Warning") ?? .retryAfter }
}
