public import Logging
public import MartletBase
public import MartletReplica
public import MartletRuntime

/// What one process runs and where: any mix of roles over one data folder.
public struct ClusterConfiguration: Sendable {
    /// A part of a cluster that a process can play.
    public enum Role: String, Sendable, CaseIterable {
        /// The replicated store and the REST gateway over it.
        case gateway
        /// The scheduler and the controllers.
        case controlPlane = "control-plane"
        /// The node agent with its containers, and the ingress.
        case worker
        /// The TLS edge.
        case edge
    }

    /// What runs containers.
    public enum Runtime: Sendable {
        /// A containerd of our own, started and supervised. Needs root.
        case containerd
        /// A containerd that is there already, by its socket.
        case endpoint(String)
        /// Plain child processes without isolation: for tests and for machines where one is not root.
        case processes
        /// Whatever the caller makes for the cluster's world: a simulated runtime in a test.
        case custom(@Sendable (any World) -> any ContainerRuntime)
    }

    /// How pods reach those of other hosts.
    public enum Overlay: String, Sendable, CaseIterable {
        /// Not at all, or by something that is not ours.
        case none
        /// Wrapped in UDP, over any network (VXLAN, as flannel has it).
        case vxlan
        /// By routes, between hosts of one subnet.
        case hostGateway = "host-gw"
    }

    /// What this process does.
    public var roles: Set<Role>
    /// The folder of all state.
    public var dataDirectory: String
    /// The name of this machine in the cluster.
    public var nodeName: String
    /// The address at which other parts reach this machine.
    public var nodeAddress: String
    /// Its address of the other kind, where pods have both kinds; nil for one of the same interface.
    public var secondNodeAddress: String?
    /// Where the REST gateway listens.
    public var apiEndpoint = Endpoint.ip("127.0.0.1", port: 6443)
    /// Names and addresses for which the gateway's certificate is made out, beside the standard ones.
    public var apiNames: [String] = []
    /// What a data folder may hold before it is one: the daemon has its own file there first, and who brings a
    /// cluster's authorities brings them first.
    public static let newFolderHolds: Set<String> = ["martletd.pid", "pki"]
    /// A file of bearer tokens, in kube-apiserver's form; nil for none.
    public var tokenFile: String?
    /// The private key (PEM) that signs service account tokens; nil for the one in the PKI folder.
    public var serviceAccountKey: String?
    /// Who signs service account tokens, by name: an https URL; nil for the usual one.
    public var serviceAccountIssuer: String?
    /// Whether the gateway shows health and version to those who do not say who they are.
    public var allowsAnonymous = true
    /// Whether a gateway without a control plane sees to objects itself, where its store leads: namespaces that go,
    /// owners and what they own, accounts and their tokens, aggregated roles, the published authority, certificates.
    public var tendsObjects = true
    /// How this process' store meets those of other masters; nil: it is the only one.
    public var storePeers: PeerConfiguration?
    /// Where the masters' APIs are: for a process without the gateway role, which learns of others by itself.
    public var masters: [Endpoint] = []
    /// Where the node agent's own API listens.
    public var nodeEndpoint = Endpoint.ip("0.0.0.0", port: 10250)
    /// Where the ingress listens; the edge finds it through the API.
    public var ingressEndpoint = Endpoint.ip("0.0.0.0", port: 31234)
    /// Where the edge listens for HTTPS.
    public var edgeEndpoint = Endpoint.ip("0.0.0.0", port: 443)
    /// Where the edge listens for plain HTTP, to redirect it; nil for nowhere.
    public var edgePlainEndpoint: Endpoint? = .ip("0.0.0.0", port: 80)
    /// Whether the edge goes to pods itself where it reaches them, past the workers' ingresses. On a machine that is no
    /// worker it makes routes to them, which needs root.
    public var edgeDirect = false
    /// The file that edge and ingress add a line of JSON to for each request; `-`: standard output; nil: none.
    public var accessLog: String?
    /// Load balancers before edge and ingress: their connections begin with a header of the PROXY protocol.
    public var balancers: [IPRange] = []
    /// How long the certificates that this machine makes, or signs for others, are good for. They are renewed, while it
    /// runs, after two thirds of it.
    public var certificateLifetime: Duration = .seconds(365 * 24 * 3600)
    /// The range that nodes get their pod ranges from; one of each kind of addresses with a comma between them.
    public var podCIDR = "10.244.0.0/16"
    /// The range that Services get their addresses from, or one of each kind: the first is that of Services that ask
    /// for none.
    public var serviceCIDR = "10.96.0.0/16"
    /// How this worker's pods reach those of other hosts. Needs root.
    public var overlay = Overlay.none
    /// Whether this worker makes Services' addresses and node ports work (nftables). Needs root.
    public var serviceProxy = false
    /// Whether this worker enforces NetworkPolicies on its pods (nftables). Needs root.
    public var networkPolicy = false
    /// The cluster's domain.
    public var clusterDomain = "cluster.local"
    /// Where this node's DNS answers; nil for no DNS. On port 53, pods of this node are told of it.
    public var dnsEndpoint: Endpoint?
    /// The resolvers that the DNS asks about names outside of the cluster; nil for the machine's own.
    public var dnsUpstreams: [Endpoint]?
    /// The certificate authority that hosts' certificates are got from, by ACME; nil for none.
    public var acme: ACMESettings?
    /// The virtual addresses that masters with an edge hold in turn.
    public var virtualIP = VirtualIPSettings()
    /// What runs containers.
    public var runtime = Runtime.containerd
    /// The bridge that pods of this machine hang on.
    public var bridge = "martlet0"
    /// The CNI plugin `martlet-cni`; nil for the one beside the running program (our own containerd only).
    public var networkPlugin: String?
    /// Image archives in this folder are imported at the start (our own containerd only).
    public var imageDirectory: String?
    /// Hears what happens; silent by default.
    public var logger = Logger(label: "martlet") { _ in SwiftLogNoOpLogHandler() }

    /// Where others reach this machine's gateway.
    public var apiURL: String {
        guard case .ip(let address, let port) = apiEndpoint else { return "https://\(apiEndpoint)" }
        let isEverywhere = ["0.0.0.0", "::"].contains(address)
        return "https://\(Endpoint.ip(isEverywhere ? nodeAddress : address, port: port))"
    }

    /// Its addresses as the Node tells them: both kinds where pods have both.
    var nodeAddresses: [String] {
        let isDual = podCIDR.utf8.contains(UInt8(ascii: ","))
        return [nodeAddress]
            + (isDual ? [secondNodeAddress ?? Machine.companion(of: nodeAddress)] : []).compactMap { $0 }
    }

    /// A configuration of some roles; the rest has defaults.
    public init(roles: Set<Role>, dataDirectory: String, nodeName: String, nodeAddress: String) {
        self.roles = roles
        self.dataDirectory = dataDirectory
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
    }

    /// Every role in one process, with the machine's own name and address. Containers are real: it needs root, the
    /// programs containerd and runc, and `martlet-cni` beside the program or named by ``networkPlugin``.
    public static func singleNode(dataDirectory: String) -> ClusterConfiguration {
        ClusterConfiguration(
            roles: Set(Role.allCases), dataDirectory: dataDirectory, nodeName: Machine.nodeName,
            nodeAddress: Machine.address)
    }

    /// Every role in one process, on loopback and free ports only, with child processes for containers: what a test
    /// wants. Needs no root.
    public static func local(dataDirectory: String) -> ClusterConfiguration {
        var configuration = ClusterConfiguration(
            roles: Set(Role.allCases), dataDirectory: dataDirectory, nodeName: "node", nodeAddress: "127.0.0.1")
        let free = Endpoint.ip("127.0.0.1", port: 0)
        configuration.apiEndpoint = free
        configuration.nodeEndpoint = free
        configuration.ingressEndpoint = free
        configuration.edgeEndpoint = free
        configuration.edgePlainEndpoint = nil
        configuration.runtime = .processes
        return configuration
    }
}
