internal import HTTPTypes
public import Logging
public import MartletBase
public import MartletHTTP
public import MartletReplica

/// How the gateway is set up.
public struct GatewayConfiguration: Sendable {
    /// What Services get their cluster IPs from, as `10.96.0.0/16`.
    public var serviceCIDR = "10.96.0.0/16"
    /// Reaches the node agent's API for logs, exec and proxying: given a node's address and port, a client that
    /// shows the gateway's certificate. Nil when there are no nodes.
    public var nodeClient: (@Sendable (_ address: String, _ port: UInt16) throws -> HTTPClient)?
    /// What `/version` says, as `v1.36.0`.
    public var kubernetesVersion = "v1.36.0"
    /// Defaults.
    public init() {}
}

/// Who asks, after authentication.
public struct Identity: Sendable, Hashable {
    /// The user name.
    public var user: String
    /// The groups, `system:authenticated` among them.
    public var groups: [String]
    /// An identity from its parts.
    public init(user: String, groups: [String]) {
        self.user = user
        self.groups = groups
    }
}

/// The Kubernetes API over a replica.
public final class Gateway: RequestHandler {
    /// A gateway over `replica`.
    public init(replica: Replica, configuration: GatewayConfiguration, in world: any World, logger: Logger) {}

    /// Makes what every cluster has: the namespaces `default`, `kube-system`, `kube-public`, `kube-node-lease`, and
    /// the Service `default/kubernetes`. Safe to call at each start.
    public func bootstrap() async throws {}

    /// Authenticates, then answers (see ``serve(_:as:)``).
    public func handle(_ request: Request) async -> Response {
        await serve(request, as: Identity(user: "system:anonymous", groups: ["system:unauthenticated"]))
    }

    /// Answers on behalf of `identity`: the in-process door, for roles that share the process.
    public func serve(_ request: Request, as identity: Identity) async -> Response {
        Response(status: .notImplemented, contentType: "text/plain", bytes: [])
    }
}
