internal import MartletObject

/// What somebody wants to do: Kubernetes' authorizer.Attributes.
public struct AccessRequest: Sendable, Hashable {
    /// Who.
    public var identity: Identity
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    public var verb: String
    /// The API group, plural resource and subresource; empty resource when ``path`` is asked for.
    public var group = ""
    /// `pods`, or `pods/log`.
    public var resource = ""
    /// Empty for cluster-wide requests.
    public var namespace = ""
    /// Empty for collections.
    public var name = ""
    /// The path of a request that is not for a resource.
    public var path = ""

    /// A request for nothing yet.
    public init(identity: Identity, verb: String) {
        self.identity = identity
        self.verb = verb
    }
}

/// Decides who may do what.
public protocol Authorizer: Sendable {
    /// Whether the request is allowed.
    func allows(_ request: AccessRequest) async -> Bool
}

/// Authorisation without roles: `system:masters` may do everything, and so may the cluster's own
/// components, which are the users `system:...` and the group `system:nodes`. Other users may read discovery,
/// health and version (as upstream's `system:discovery`), and nothing else.
public struct SystemAuthorizer: Authorizer {
    /// The authorizer; it has no state.
    public init() {}

    /// Whether the rules above allow it.
    public func allows(_ request: AccessRequest) async -> Bool {
        let identity = request.identity
        if identity.groups.contains("system:masters") { return true }
        guard identity.groups.contains("system:authenticated") else { return false }
        if identity.groups.contains("system:nodes") { return true }
        if identity.user.hasPrefix("system:") && !identity.user.hasPrefix("system:serviceaccount:") { return true }
        return request.verb == "get" && Self.isDiscovery(request.path)
    }

    private static func isDiscovery(_ path: String) -> Bool {
        ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz"]
            .contains { path == $0 || path.hasPrefix("\($0)/") }
    }
}

extension APIError {
    /// The words of a refused request.
    static func forbidden(_ request: AccessRequest) -> APIError {
        let who = "User \"\(request.identity.user)\" cannot \(request.verb)"
        if request.resource.isEmpty {
            return APIError(403, "Forbidden", "forbidden: \(who) path \"\(request.path)\"", details: [:])
        }
        let plural = request.resource.prefix { $0 != "/" }
        var text = request.group.isEmpty ? "\(plural)" : "\(plural).\(request.group)"
        if !request.name.isEmpty { text += " \"\(request.name)\"" }
        let scope = request.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(request.namespace)\""
        text += " is forbidden: \(who) resource \"\(request.resource)\" in API group \"\(request.group)\" \(scope)"
        var details = APIError.noSuchResource.details ?? [:]
        if !request.name.isEmpty { details["name"] = .string(request.name) }
        if !request.group.isEmpty { details["group"] = .string(request.group) }
        details["kind"] = .string(String(plural))
        return APIError(403, "Forbidden", text, details: details)
    }
}
