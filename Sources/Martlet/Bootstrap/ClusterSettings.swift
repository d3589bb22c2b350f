internal import MartletBase
internal import MartletObject

/// What all machines of a cluster agree on: chosen by `martlet init`, told to those that join, and kept by each in its
/// ``MachineFile``.
public struct ClusterSettings: Sendable, Hashable {
    /// The range that nodes get their pod ranges from.
    public var podCIDR: String
    /// The range that Services get their addresses from.
    public var serviceCIDR: String
    /// The domain of the cluster's names.
    public var clusterDomain: String
    /// How pods reach those of other hosts.
    public var overlay: ClusterConfiguration.Overlay
    /// Whether workers make the addresses and node ports of Services work.
    public var serviceProxy: Bool
    /// Whether workers enforce NetworkPolicies on their pods.
    public var networkPolicy: Bool
    /// The link-local address at which each worker's DNS answers its pods, on port 53; nil for no DNS.
    public var dnsAddress: String?
    /// The virtual addresses of its masters, and how they agree on who holds them.
    public var virtualIP = VirtualIPSettings()

    /// Where node-local DNS answers in Kubernetes' own setups, too.
    public static let usualDNSAddress = "169.254.20.10"

    /// What a new cluster gets that is told nothing: a pod network with Services and names.
    public init() {
        self.init(of: ClusterConfiguration(roles: [], dataDirectory: "", nodeName: "", nodeAddress: ""))
        overlay = .vxlan
        serviceProxy = true
        networkPolicy = true
        dnsAddress = Self.usualDNSAddress
    }

    /// What one process is set to. A DNS at an address of the machine's own is no other machine's affair.
    init(of configuration: ClusterConfiguration) {
        podCIDR = configuration.podCIDR
        serviceCIDR = configuration.serviceCIDR
        clusterDomain = configuration.clusterDomain
        overlay = configuration.overlay
        serviceProxy = configuration.serviceProxy
        networkPolicy = configuration.networkPolicy
        if case .ip(let address, 53)? = configuration.dnsEndpoint, IPAddress(address)?.isLinkLocal == true {
            dnsAddress = address
        }
        virtualIP = configuration.virtualIP.shared
    }

    /// Reads what ``json`` writes. What is not there, an older release has not known: it is off.
    init(reading json: JSON) throws {
        func text(_ name: String) throws -> String {
            guard let text = json[name]?.string else { throw ClusterError.unusable("it has no \(name)") }
            return text
        }
        self.init(of: ClusterConfiguration(roles: [], dataDirectory: "", nodeName: "", nodeAddress: ""))
        podCIDR = try text("podCIDR")
        serviceCIDR = try text("serviceCIDR")
        clusterDomain = json["clusterDomain"]?.string ?? clusterDomain
        if let name = json["overlay"]?.string {
            guard let known = ClusterConfiguration.Overlay(rawValue: name) else {
                throw ClusterError.unusable("its overlay \(name) is not known to this release")
            }
            overlay = known
        }
        serviceProxy = json["serviceProxy"]?.bool ?? false
        networkPolicy = json["networkPolicy"]?.bool ?? false
        dnsAddress = json["dnsAddress"]?.string
        if let settings = json["virtualIP"] { virtualIP = try VirtualIPSettings(reading: settings) }
    }

    /// The fields of an object, each under its own name.
    var json: JSON {
        [
            "podCIDR": .string(podCIDR), "serviceCIDR": .string(serviceCIDR), "clusterDomain": .string(clusterDomain),
            "overlay": .string(overlay.rawValue), "serviceProxy": .bool(serviceProxy),
            "networkPolicy": .bool(networkPolicy),
            "dnsAddress": dnsAddress.map { .string($0) } ?? .null, "virtualIP": virtualIP.json,
        ]
    }

    /// Sets what a configuration says to what the cluster is.
    func apply(to configuration: inout ClusterConfiguration) {
        configuration.podCIDR = podCIDR
        configuration.serviceCIDR = serviceCIDR
        configuration.clusterDomain = clusterDomain
        configuration.overlay = overlay
        configuration.serviceProxy = serviceProxy
        configuration.networkPolicy = networkPolicy
        configuration.dnsEndpoint = dnsAddress.map { .ip($0, port: 53) }
        configuration.virtualIP = virtualIP
    }
}
