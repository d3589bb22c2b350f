public import MartletHTTP

/// Who asks, after authentication.
public struct Identity: Sendable, Hashable {
    /// The user name.
    public var user: String
    /// The groups, `system:authenticated` among them.
    public var groups: [String]
    /// Whether this is a node or a part of the control plane.
    var isOfCluster: Bool { groups.contains("system:nodes") || user.hasPrefix("system:kube-") }
    /// An identity from its parts.
    public init(user: String, groups: [String]) {
        self.user = user
        self.groups = groups
    }
}

extension Identity {
    /// Who is behind a connection: the verified client certificate's CN is the user and each O a group. Nil when no
    /// certificate was shown, or one without a CN.
    public init?(_ peer: Peer) {
        guard let subject = peer.certificate, !subject.commonName.isEmpty else { return nil }
        self.init(user: subject.commonName, groups: subject.organizations + ["system:authenticated"])
    }
}
