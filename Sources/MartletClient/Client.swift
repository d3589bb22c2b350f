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

/// The Kubernetes API from the caller's side.
public struct Client: Sendable {
    /// A client that talks through `transport`.
    public init(transport: any ClientTransport, in world: any World) {}

    /// One object.
    /// - Throws: ``APIError`` (``APIError/isNotFound``, ...), or the transport's error. So do all calls below.
    public func get(_ kind: ResourceKind, namespace: String = "", name: String) async throws -> JSON { .null }
    /// The objects of a kind, in all namespaces when `namespace` is nil, with the list's resourceVersion.
    public func list(
        _ kind: ResourceKind, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) async throws -> (items: [JSON], resourceVersion: String) { ([], "") }
    /// Makes an object; its namespace is in it.
    public func create(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { .null }
    /// Replaces an object; its resourceVersion, when it has one, guards against a change in between.
    public func update(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { .null }
    /// Replaces an object's status.
    public func updateStatus(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { .null }
    /// Changes an object by a patch.
    public func patch(
        _ kind: ResourceKind, namespace: String = "", name: String, subresource: String? = nil, type: PatchType,
        _ patch: JSON
    ) async throws -> JSON { .null }
    /// Deletes an object; graceful where the kind is.
    @discardableResult
    public func delete(
        _ kind: ResourceKind, namespace: String = "", name: String, uid: String? = nil, graceSeconds: Int? = nil
    ) async throws -> JSON { .null }
    /// Creates the object, or changes the one of its name to match (a merge patch).
    public func apply(_ kind: ResourceKind, _ object: JSON) async throws -> JSON { .null }
    /// Posts to a subresource (`binding`, `eviction`).
    public func createSubresource(
        _ kind: ResourceKind, namespace: String = "", name: String, subresource: String, _ object: JSON
    ) async throws -> JSON { .null }
    /// Carries out what a decision wants, ``Intent/requeue(_:afterMilliseconds:)`` excepted.
    public func perform(_ intent: Intent, as component: String) async throws {}

    /// Follows a kind for as long as the caller reads: first every object there is, then each change. Reconnects,
    /// resumes, and lists anew after 410 by itself; what the caller holds is then corrected by the differences.
    public func follow(
        _ kind: ResourceKind, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil,
        logger: Logger
    ) -> AsyncStream<Change> { AsyncStream { $0.finish() } }
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
