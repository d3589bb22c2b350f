internal import MartletObject

/// What a node may do: upstream's node authorizer, as a function of the request and the graph. Admission
/// (``NodeRestriction``) sees to what a request says inside.
enum NodeRules {
    /// Decides a request of a node.
    static func decide(_ request: AccessRequest, node: String, _ graph: NodeGraph) -> Verdict {
        if node.isEmpty { return .refused("unknown node for user \"\(request.identity.user)\"") }
        let asked = Asked(request: request, node: node, graph: graph)
        guard request.isForResource, let rule = table["\(request.group)/\(request.resource)"] else {
            let combined = request.combinedResource
            return general.contains { $0.allows(request, combined: combined) } ? .allowed(.node) : .refused("")
        }
        return rule(asked)
    }

    private struct Asked {
        var request: AccessRequest
        var node: String
        var graph: NodeGraph

        /// Allowed when the named object is the node's.
        func related(_ kind: NodeGraph.Item.Kind) -> Verdict {
            if request.name.isEmpty { return .refused("No Object name found") }
            let namespace = kind == .volume ? "" : request.namespace
            let item = NodeGraph.Item(kind: kind, namespace: namespace, name: request.name)
            if graph.belongs(item, to: node) { return .allowed(.node) }
            return .refused("no relationship found between node '\(node)' and this object")
        }

        /// One object, by its name.
        func got(_ kind: NodeGraph.Item.Kind) -> Verdict {
            if request.verb != "get" { return .refused("can only get individual resources of this type") }
            if !request.subresource.isEmpty { return .refused("cannot get subresource") }
            return related(kind)
        }

        /// One object of a namespace, read in whatever way.
        func read(_ kind: NodeGraph.Item.Kind) -> Verdict {
            guard ["get", "list", "watch"].contains(request.verb) else {
                return .refused("can only read resources of this type")
            }
            if !request.subresource.isEmpty { return .refused("cannot read subresource") }
            if request.namespace.isEmpty { return .refused("can only read namespaced object of this type") }
            return related(kind)
        }

        /// An object that has the node's name.
        func own(_ what: String, article: String) -> Verdict {
            guard ["get", "create", "update", "patch", "delete"].contains(request.verb) else {
                return .refused("can only get, create, update, patch, or delete a \(article)")
            }
            // The name of a new object is in its body: admission looks at it.
            if request.verb != "create" && request.name != node {
                return .refused("can only access \(what) with the same name as the requesting node")
            }
            return .allowed(.node)
        }
    }

    private static let table: [String: @Sendable (Asked) -> Verdict] = [
        "/secrets": { $0.read(.secret) },
        "/configmaps": { $0.read(.configMap) },
        "/persistentvolumeclaims": { asked in
            guard asked.request.subresource == "status" else { return asked.got(.claim) }
            guard ["update", "patch"].contains(asked.request.verb) else {
                return .refused("can only get/update/patch this type")
            }
            return asked.related(.claim)
        },
        "/persistentvolumes": { $0.got(.volume) },
        "resource.k8s.io/resourceclaims": { $0.got(.resourceClaim) },
        "/serviceaccounts": token,
        "coordination.k8s.io/leases": { asked in
            if asked.request.namespace != "kube-node-lease"
                && ["get", "create", "update", "patch", "delete"].contains(asked.request.verb)
            {
                return .refused("can only access leases in the \"kube-node-lease\" system namespace")
            }
            return asked.own("node lease", article: "node lease")
        },
        "storage.k8s.io/csinodes": { asked in
            if !asked.request.subresource.isEmpty { return .refused("cannot authorize CSINode subresources") }
            return asked.own("CSINode", article: "CSINode")
        },
        "/nodes": nodes,
        "/pods": pods,
    ]

    @Sendable private static func token(_ asked: Asked) -> Verdict {
        if asked.request.verb != "create" || asked.request.name.isEmpty {
            return .refused("can only create tokens for individual service accounts")
        }
        if asked.request.subresource != "token" {
            return .refused("can only create token subresource of serviceaccount")
        }
        return asked.related(.serviceAccount)
    }

    @Sendable private static func nodes(_ asked: Asked) -> Verdict {
        let (request, node) = (asked.request, asked.node)
        switch (request.subresource, request.verb) {
        case ("", "create"), ("", "update"), ("", "patch"), ("status", "update"), ("status", "patch"):
            return .allowed(.node)
        case ("", "get"), ("", "list"), ("", "watch"):
            if request.name == node { return .allowed(.node) }
            if request.name.isEmpty {
                return .refused("node '\(node)' cannot read all nodes, only its own Node object")
            }
            return .refused("node '\(node)' cannot read '\(request.name)', only its own Node object")
        default: return .refused("")
        }
    }

    @Sendable private static func pods(_ asked: Asked) -> Verdict {
        let request = asked.request
        switch (request.subresource, request.verb) {
        case ("", "get"): return asked.got(.pod)
        case ("", "list"), ("", "watch"):
            if request.selects("spec.nodeName", asked.node) { return .allowed(.node) }
            if !request.name.isEmpty { return asked.related(.pod) }
            return .refused("can only list/watch pods with spec.nodeName field selector")
        case ("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create"):
            return .allowed(.node)
        default: return .refused("")
        }
    }

    /// The rules of the role `system:node`, for all that the table has no row for.
    private static let general: [PolicyRule] =
        BootstrapRoles.roles(BootstrapRoles.clusterRoleText, .clusterRole)
        .first { $0.object.name == "system:node" }
        .map { PolicyRule.rules(of: $0.object) } ?? []
}
