public import MartletObject

/// What somebody wants to do: Kubernetes' authorizer.Attributes.
public struct AccessRequest: Sendable, Hashable {
    /// Who.
    public var identity: Identity
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate`, ...
    public var verb: String
    /// The API group; empty for the core group.
    public var group = ""
    /// The plural resource; empty when ``path`` is asked for.
    public var resource = ""
    /// `log`, `status`, ...; empty for the object itself.
    public var subresource = ""
    /// Empty for cluster-wide requests.
    public var namespace = ""
    /// Empty for collections.
    public var name = ""
    /// The path of a request that is not for a resource.
    public var path = ""
    /// What a list or watch is narrowed to, as `spec.nodeName=n1`. One that cannot be read narrows nothing.
    public var fieldSelector: [FieldSelector.Term] = []

    /// A request for nothing yet.
    public init(identity: Identity, verb: String) {
        self.identity = identity
        self.verb = verb
    }

    /// `pods`, or `pods/log`.
    var combinedResource: String { subresource.isEmpty ? resource : "\(resource)/\(subresource)" }
    var isForResource: Bool { !resource.isEmpty }

    /// The one name that the field selector lets through; empty without one.
    var selectedName: String {
        let name = fieldSelector.first { $0.isEqual && $0.field == "metadata.name" }?.value ?? ""
        return Route.isSafe(name) ? name : ""
    }

    /// Whether the field selector lets only one value of a field through.
    func selects(_ field: String, _ value: String) -> Bool {
        fieldSelector.contains(FieldSelector.Term(field, value))
    }
}

/// An authorizer's word.
enum Verdict: Sendable, Hashable {
    /// It may be done, because of this.
    case allowed(Grant)
    /// Nobody has allowed it; the text says what is known, and may be empty.
    case refused(String)

    var isAllowed: Bool { if case .allowed = self { true } else { false } }
    /// For people.
    var reason: String {
        switch self {
        case .allowed(let grant): grant.description
        case .refused(let text): text
        }
    }
}

/// Why something may be done.
enum Grant: Sendable, Hashable, CustomStringConvertible {
    /// The group `system:masters` may do everything.
    case master
    /// What every node may do, or every worker's parts.
    case node
    /// A role gives it, through a binding.
    case binding(RoleBinding, RoleSubject)

    var description: String {
        switch self {
        case .master, .node: ""
        case .binding(let binding, let subject): "RBAC: allowed by \(binding) to \(subject.text(in: binding))"
        }
    }
}

extension APIError {
    /// The words of a refused request.
    static func forbidden(_ request: AccessRequest, _ reason: String = "") -> APIError {
        let who = "User \"\(request.identity.user)\" cannot \(request.verb)"
        let because = reason.isEmpty ? "" : ": \(reason)"
        if !request.isForResource {
            return APIError(403, .forbidden, "forbidden: \(who) path \"\(request.path)\"\(because)", details: [:])
        }
        var text = request.group.isEmpty ? request.resource : "\(request.resource).\(request.group)"
        if !request.name.isEmpty { text += " \"\(request.name)\"" }
        let scope = request.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(request.namespace)\""
        text += " is forbidden: \(who) resource \"\(request.combinedResource)\" in API group \"\(request.group)\" "
        text += scope + because
        var details: JSON = [:]
        if !request.name.isEmpty { details["name"] = .string(request.name) }
        if !request.group.isEmpty { details["group"] = .string(request.group) }
        details["kind"] = .string(request.resource)
        return APIError(403, .forbidden, text, details: details)
    }
}
