public import HTTPTypes
public import Logging
public import MartletBase
public import MartletHTTP
public import MartletObject

/// Carries a request to a gateway and its answer back: over HTTPS, or inside the process.
public protocol ClientTransport: Sendable {
    /// Sends one request; returns when the answer's head is there.
    func send(_ request: HTTPRequest, body: [UInt8]) async throws -> ClientResponse
}

/// The bounds of a client, in one place.
enum ClientBounds {
    /// Bytes of one answer that is taken whole.
    static let answer = 256 * 1024 * 1024
    /// Objects asked for in one page of a list.
    static let page = 500
    /// Bytes of one line of a watch. A longer one ends the watch, and the objects are listed anew.
    static let line = 8 * 1024 * 1024
    /// How long a call may take that is no watch.
    static let call: Duration = .seconds(60)
    /// How long a watch is asked to last at least, in seconds; at most it is twice that.
    static let watchSeconds: UInt64 = 300
    /// How much longer than asked a watch may last before it counts as lost.
    static let watchGrace: Duration = .seconds(30)
    /// The first pause after a failure; it doubles with each further one.
    static let firstPause: Duration = .milliseconds(100)
    /// The longest pause after a failure.
    static let longestPause: Duration = .seconds(30)
}

/// The Kubernetes API from the caller's side.
public struct Client: Sendable {
    let transport: any ClientTransport
    let world: any World

    /// A client that talks through `transport`.
    public init(transport: any ClientTransport, in world: any World) {
        self.transport = transport
        self.world = world
    }

    /// One object.
    /// - Throws: ``APIError`` (``APIError/isNotFound``, ...), or the transport's error. So do all calls below.
    public func get(_ kind: ResourceKind, namespace: String = "", name: String) async throws -> JSON {
        try await call(.get, Self.path(kind, namespace, name))
    }

    /// The objects of a kind, in all namespaces when `namespace` is nil, with the list's resourceVersion. They are
    /// fetched in pages; when a page's token has expired, all are fetched anew in one piece.
    public func list(
        _ kind: ResourceKind, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) async throws -> (items: [JSON], resourceVersion: String) {
        let scope = ListScope(kind, namespace: namespace, labels: labelSelector, fields: fieldSelector)
        var items: [JSON] = []
        var token: String?
        repeat {
            let page: ListPage
            do {
                page = try await self.page(of: scope, after: token)
            } catch let error as APIError where error.code == 410 && token != nil {
                let whole = try await self.page(of: scope, after: nil, limit: nil)
                return (whole.items, whole.resourceVersion)
            }
            items += page.items
            token = page.token
            if token == nil { return (items, page.resourceVersion) }
        } while true
    }

    /// Makes an object; its namespace is in it.
    public func create(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        try await call(.post, Self.path(kind, object.namespace, nil), Self.typed(object, kind))
    }

    /// Replaces an object; its resourceVersion, when it has one, guards against a change in between.
    public func update(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        try await call(.put, Self.path(kind, object.namespace, object.name), Self.typed(object, kind))
    }

    /// Replaces an object's status.
    public func updateStatus(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        try await call(.put, Self.path(kind, object.namespace, object.name, "status"), Self.typed(object, kind))
    }

    /// Replaces what a subresource (`approval`) shows of an object.
    public func updateSubresource(_ kind: ResourceKind, _ object: JSON, _ subresource: String) async throws -> JSON {
        try await call(
            .put, Self.path(kind, object.namespace, object.name, subresource), Self.typed(object, kind))
    }

    /// Asks for what is no resource: a document, or the upkeep under `/martlet/`.
    /// - Parameter method: `get`, `post` or `delete`.
    public func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        try await call(method, path, body)
    }

    /// Changes an object by a patch.
    public func patch(
        _ kind: ResourceKind, namespace: String = "", name: String, subresource: String? = nil, type: PatchType,
        _ patch: JSON
    ) async throws -> JSON {
        try await call(
            .patch, Self.path(kind, namespace, name, subresource), patch, contentType: type.rawValue)
    }

    /// Deletes an object; graceful where the kind is.
    @discardableResult
    public func delete(
        _ kind: ResourceKind, namespace: String = "", name: String, uid: String? = nil, graceSeconds: Int? = nil
    ) async throws -> JSON {
        var options: JSON?
        if uid != nil || graceSeconds != nil {
            var made: JSON = ["apiVersion": "v1", "kind": "DeleteOptions"]
            if let uid { made["preconditions"] = ["uid": .string(uid)] }
            if let graceSeconds { made["gracePeriodSeconds"] = .int(Int64(graceSeconds)) }
            options = made
        }
        return try await call(.delete, Self.path(kind, namespace, name), options)
    }

    /// Creates the object, or changes the one of its name to match (a merge patch).
    public func apply(_ kind: ResourceKind, _ object: JSON) async throws -> JSON {
        let object = Self.typed(object, kind)
        // Twice, because it may come or go between the two tries.
        for _ in 0..<2 {
            do {
                return try await patch(
                    kind, namespace: object.namespace, name: object.name, type: .merge, object)
            } catch let error as APIError where error.isNotFound {
                do {
                    return try await create(kind, object)
                } catch let error as APIError where error.isAlreadyExists {
                    continue
                }
            }
        }
        return try await patch(kind, namespace: object.namespace, name: object.name, type: .merge, object)
    }

    /// Posts to a subresource (`binding`, `eviction`).
    public func createSubresource(
        _ kind: ResourceKind, namespace: String = "", name: String, subresource: String, _ object: JSON
    ) async throws -> JSON {
        try await call(.post, Self.path(kind, namespace, name, subresource), object)
    }

    /// Carries out what a decision wants, ``Intent/requeue(_:afterMilliseconds:)`` excepted.
    /// - Returns: the object as the API has it now; nil when the wish was fulfilled before it came (the object to make
    ///   is there, the one to delete is gone), or when there is nothing to tell.
    @discardableResult
    public func perform(_ intent: Intent, as component: String) async throws -> JSON? {
        switch intent {
        case .create(let kind, let object):
            do { return try await create(kind, object) } catch let error as APIError where error.isAlreadyExists {
                return nil
            }
        case .update(let kind, let object): return try await update(kind, object)
        case .updateStatus(let kind, let object): return try await updateStatus(kind, object)
        case .patchMetadata(let key, let fields):
            return try await patch(key.kind, namespace: key.namespace, name: key.name, type: .merge, fields)
        case .delete(let key, let uid): return try await remove(key, uid: uid)
        case .discard(let key, let uid): return try await remove(key, uid: uid, graceSeconds: 0)
        case .bind(let pod, let uid, let node):
            _ = try await createSubresource(
                pod.kind, namespace: pod.namespace, name: pod.name, subresource: "binding",
                Requests.binding(of: pod, uid: uid, to: node))
        case .event(let about, let uid, let type, let reason, let message):
            let event = Requests.event(
                about: about, uid: uid, type: type, reason: reason, message: message, component: component,
                at: world.wallTime(), random: world.random())
            _ = try await create(.event, event)
        case .collect(let key, let uid, let owners):
            for (owner, ownerUID) in owners where try await exists(owner, uid: ownerUID) { return nil }
            return try await remove(key, uid: uid)
        case .release(let claim, let fields):
            let (pods, _) = try await list(.pod, namespace: claim.namespace)
            if pods.contains(where: { $0.uses(claim: claim) }) { return nil }
            let kind = ResourceKind.persistentVolumeClaim
            return try await patch(kind, namespace: claim.namespace, name: claim.name, type: .merge, fields)
        case .finalizeNamespace(let namespace):
            _ = try await call(
                .put, Self.path(.namespace, "", namespace.name, "finalize"), Self.typed(namespace, .namespace))
        case .requeue: break
        }
        return nil
    }

    /// Deletes an object; what stays of it (finalizers, a pod that ends) or nil when it is gone.
    private func remove(_ key: ObjectKey, uid: String, graceSeconds: Int? = nil) async throws -> JSON? {
        do {
            let answer = try await delete(
                key.kind, namespace: key.namespace, name: key.name, uid: uid.isEmpty ? nil : uid,
                graceSeconds: graceSeconds)
            return answer.kind == key.kind.kind && answer.isTerminating ? answer : nil
        } catch let error as APIError where error.isNotFound {
            return nil
        }
    }

    private func exists(_ key: ObjectKey, uid: String) async throws -> Bool {
        do {
            return try await get(key.kind, namespace: key.namespace, name: key.name).uid == uid
        } catch let error as APIError where error.isNotFound {
            return false
        }
    }

    /// Follows a kind for as long as the caller reads: first every object there is, then each change. Reconnects,
    /// resumes, and lists anew after 410 by itself; what the caller holds is then corrected by the differences.
    ///
    /// Nothing is read ahead: each change is fetched when the caller asks for it, so a slow caller slows the server's
    /// watch down. Read it from one task. The stream ends when the reading task is cancelled.
    /// - Parameter keeping: what is kept of each object, and told of it; nil for all of it.
    public func follow(
        _ kind: ResourceKind, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil,
        keeping: (@Sendable (JSON) -> JSON)? = nil, logger: Logger
    ) -> AsyncStream<Change> {
        let scope = ListScope(kind, namespace: namespace, labels: labelSelector, fields: fieldSelector)
        let reflector = Reflector(self, scope, keeping: keeping, logger: logger)
        return AsyncStream(unfolding: { await reflector.next() })
    }
}

/// What ``Client/follow(_:namespace:labelSelector:fieldSelector:logger:)`` tells.
public enum Change: Sendable, Hashable {
    /// An object is new or has changed.
    case put(JSON)
    /// An object is gone; as it last was.
    case removed(JSON)
    /// All objects of the first list have been told.
    case synced
}

/// A refusal of the API: Kubernetes' Status.
public struct APIError: Error, Sendable, CustomStringConvertible {
    /// HTTP status code.
    public var code: Int
    /// `NotFound`, `Conflict`, ...
    public var reason: String
    /// The server's sentence.
    public var message: String
    /// A refusal from its parts.
    public init(code: Int, reason: String, message: String) {
        self.code = code
        self.reason = reason
        self.message = message
    }
    /// Whether there is no such object.
    public var isNotFound: Bool { code == 404 }
    /// Whether the object was changed in between.
    public var isConflict: Bool { code == 409 && reason == "Conflict" }
    /// Whether the name is taken.
    public var isAlreadyExists: Bool { reason == "AlreadyExists" }
    /// One line for people.
    public var description: String { message.isEmpty ? "\(code) \(reason)" : message }
}
