internal import MartletObject

/// What the parts of a worker may read of Secrets and change of Nodes and Leases, whatever roles say: they serve
/// routes, and a machine that was broken into must not give away the whole cluster. All else that they may do is in the
/// role `system:martlet:worker`; what their requests may say inside is in ``WorkerRestriction``.
enum WorkerRules {
    /// Whether a request is decided here, and by no role.
    static func concern(_ request: AccessRequest) -> Bool {
        guard request.isForResource else { return false }
        return isLease(request) || request.group.isEmpty && (request.resource == "secrets" || isNodeChange(request))
    }

    private static func isLease(_ request: AccessRequest) -> Bool {
        request.group == ResourceKind.lease.group && request.resource == "leases"
    }

    /// The Lease of the machine's edge (`EdgeRoster`), by its name: all edges read each other's.
    private static func decideLease(_ request: AccessRequest) -> Verdict {
        let node = request.identity.user.split(separator: ":").last ?? ""
        guard request.namespace == "kube-system", request.subresource.isEmpty,
            ["get", "list", "watch"].contains(request.verb)
                || ["create", "update", "patch", "delete"].contains(request.verb)
                    && request.name == "martlet-edge-\(node)"
        else { return .refused("the parts of a worker can only keep the lease of their own edge") }
        return .allowed(.node)
    }

    private static func isNodeChange(_ request: AccessRequest) -> Bool {
        request.resource == "nodes" && !["get", "list", "watch"].contains(request.verb)
    }

    /// Decides such a request.
    static func decide(_ request: AccessRequest, _ routes: RouteSecrets) -> Verdict {
        if isLease(request) { return decideLease(request) }
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
