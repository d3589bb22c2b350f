internal import MartletObject
public import MartletHTTP

/// Who asks, after authentication.
public struct Identity: Sendable, Hashable {
    /// The user name.
    public var user: String
    /// The groups, `system:authenticated` among them.
    public var groups: [String]
    /// What tells this user from others who had the name before; empty for certificates.
    public var uid: String
    /// What else is known: a token's pod and node, for example.
    public var extra: [String: [String]]

    /// An identity from its parts.
    public init(user: String, groups: [String], uid: String = "", extra: [String: [String]] = [:]) {
        self.user = user
        self.groups = groups
        self.uid = uid
        self.extra = extra
    }

    /// The group of those who were told who they are.
    static let authenticated = "system:authenticated"
    /// The group of those who may do everything.
    static let masters = "system:masters"
    /// Nobody in particular.
    static let anonymous = Identity(user: "system:anonymous", groups: ["system:unauthenticated"])
    /// The gateway itself, where it makes what every cluster has.
    static let gateway = Identity(user: "system:apiserver", groups: [masters, authenticated])

    /// Whether this is a node or a part of the control plane.
    var isOfCluster: Bool { groups.contains("system:nodes") || user.hasPrefix("system:kube-") }
    var isAuthenticated: Bool { groups.contains(Self.authenticated) }
    var isMaster: Bool { groups.contains(Self.masters) }

    /// The name of the node that this is: empty for a node without one, nil for all who are none.
    var node: String? {
        guard groups.contains("system:nodes") else { return nil }
        return user.hasPrefix("system:node:") ? String(user.dropFirst("system:node:".count)) : ""
    }

    /// The group of the parts of workers that look at more than their node's pods: ingress, edge, Services, DNS.
    static let workers = "system:martlet:workers"
    var isWorker: Bool { groups.contains(Self.workers) }

    /// The user name of a service account.
    static func user(ofServiceAccount name: String, in namespace: String) -> String {
        "system:serviceaccount:\(namespace):\(name)"
    }

    /// The parts of `system:serviceaccount:NAMESPACE:NAME`.
    static func serviceAccount(_ user: String) -> (namespace: String, name: String)? {
        let parts = user.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount", !parts[2].isEmpty,
            !parts[3].isEmpty
        else { return nil }
        return (String(parts[2]), String(parts[3]))
    }

    /// As reviews show it: authentication.k8s.io/v1 UserInfo.
    var userInfo: JSON {
        var info: JSON = ["username": .string(user)]
        if !uid.isEmpty { info["uid"] = .string(uid) }
        if !groups.isEmpty { info["groups"] = .array(groups.map { .string($0) }) }
        for (name, values) in extra.sorted(by: { $0.key < $1.key }) {
            info["extra", name] = .array(values.map { .string($0) })
        }
        return info
    }
}

extension Identity {
    /// Who is behind a connection: the verified client certificate's CN is the user and each O a group. Nil when no
    /// certificate was shown, or one without a CN.
    public init?(_ peer: Peer) {
        guard let subject = peer.certificate, !subject.commonName.isEmpty else { return nil }
        self.init(user: subject.commonName, groups: subject.organizations + [Self.authenticated])
    }
}
