/// What the parts of a worker may read of Secrets and change of Nodes, whatever roles say: they serve routes, and a
/// machine that was broken into must not give away the whole cluster. All else that they may do is in the role
/// `system:martlet:worker`; what their requests may say inside is in ``WorkerRestriction``.
enum WorkerRules {
    /// Whether a request is decided here, and by no role.
    static func concern(_ request: AccessRequest) -> Bool {
        request.isForResource && request.group.isEmpty && (request.resource == "secrets" || isNodeChange(request))
    }

    private static func isNodeChange(_ request: AccessRequest) -> Bool {
        request.resource == "nodes" && !["get", "list", "watch"].contains(request.verb)
    }

    /// Decides such a request.
    static func decide(_ request: AccessRequest, _ routes: RouteSecrets) -> Verdict {
        if isNodeChange(request) { return .refused("the parts of a worker can only read nodes") }
        guard ["get", "list", "watch"].contains(request.verb), request.subresource.isEmpty else {
            return .refused("the parts of a worker can only read secrets")
        }
        if request.name.isEmpty || request.namespace.isEmpty {
            return .refused("the parts of a worker can only read one secret, by its name")
        }
        return routes.names(request.name, in: request.namespace)
            ? .allowed(.node) : .refused("no Ingress or Gateway names this secret")
    }
}
