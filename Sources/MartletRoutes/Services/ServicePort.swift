public import MartletBase
internal import MartletObject

/// What a service proxy is to know of its host.
public struct ServiceSettings: Sendable, Hashable {
    /// This host's Node.
    public var nodeName: String
    /// The ranges of all pods of the cluster.
    public var podRanges: [IPRange]
    /// The ranges that Services get their addresses from.
    public var serviceRanges: [IPRange]
    /// The name of the nftables tables.
    public var table: String
    /// Whether answers between pods of one bridge pass this host's rules (br_netfilter); else such connections get the
    /// host's address, so that their answers come back to it.
    public var seesBridged = true

    /// Settings from their parts.
    public init(nodeName: String, podRanges: [IPRange], serviceRanges: [IPRange], table: String) {
        self.nodeName = nodeName
        self.podRanges = podRanges
        self.serviceRanges = serviceRanges
        self.table = table
    }
}

/// A Service's name and namespace.
public struct ServiceName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Its namespace.
    public var namespace: String
    /// Its name.
    public var name: String

    /// A name from its parts.
    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// By namespace, then by name.
    public static func < (one: ServiceName, other: ServiceName) -> Bool {
        (one.namespace, one.name) < (other.namespace, other.name)
    }
    /// As `default/web`.
    public var description: String { "\(namespace)/\(name)" }
}

/// One port of a Service, for one kind of addresses, as a proxy reads it (kube-proxy, pkg/proxy/serviceport.go).
struct ServicePort: Sendable, Hashable {
    var service: ServiceName
    var family: IPAddress.Family
    var portName: String
    var transport: String
    var protocolNumber: UInt8
    var port: UInt16
    var clusterIP: IPAddress
    var nodePort: UInt16?
    var externalIPs: [IPAddress]
    var loadBalancerIPs: [IPAddress]
    var sourceRanges: [IPRange]
    var affinitySeconds: Int?
    var internalIsLocal: Bool
    var externalIsLocal: Bool

    static let protocols: [String: UInt8] = ["TCP": 6, "UDP": 17, "SCTP": 132]
    static let defaultAffinitySeconds = 10_800

    /// Whether anything outside of the cluster may come in by it.
    var isExternal: Bool { nodePort != nil || !externalIPs.isEmpty || !loadBalancerIPs.isEmpty }
    /// Pods reach external addresses by the cluster's endpoints also where the policy is Local.
    var usesCluster: Bool { !internalIsLocal || isExternal }
    var usesLocal: Bool { internalIsLocal || (externalIsLocal && isExternal) }

    /// What names of chains end with.
    var suffix: String { "\(service)/\(transport.lowercased())/\(portName)" }

    /// The ports of a Service that has an address of that kind. Headless ones and ExternalNames have none.
    static func all(of object: JSON, _ family: IPAddress.Family) -> [ServicePort] {
        let spec = object["spec"] ?? .null
        let type = spec["type"]?.string ?? "ClusterIP"
        let several = spec["clusterIPs"]?.array?.compactMap(\.string) ?? []
        let addresses = several.isEmpty ? [spec["clusterIP"]?.string ?? ""] : several
        guard type != "ExternalName",
            let clusterIP = addresses.compactMap({ IPAddress($0) }).first(where: { $0.family == family })
        else { return [] }
        func list(_ value: JSON?) -> [String] { value?.array?.compactMap(\.string) ?? [] }
        let balanced = type == "LoadBalancer" ? object["status", "loadBalancer", "ingress"]?.array ?? [] : []
        let affinity = spec["sessionAffinity"]?.string == "ClientIP"
        let seconds = spec["sessionAffinityConfig", "clientIP", "timeoutSeconds"]?.int ?? defaultAffinitySeconds
        return (spec["ports"]?.array ?? []).compactMap { port in
            let transport = port["protocol"]?.string ?? "TCP"
            guard let number = protocols[transport], let own = port["port"]?.int.flatMap({ UInt16(exactly: $0) }) else {
                return nil
            }
            let nodePort = port["nodePort"]?.int.flatMap { UInt16(exactly: $0) } ?? 0
            return ServicePort(
                service: ServiceName(namespace: object.namespace, name: object.name), family: family,
                portName: port["name"]?.string ?? "", transport: transport, protocolNumber: number, port: own,
                clusterIP: clusterIP, nodePort: nodePort == 0 || type == "ClusterIP" ? nil : nodePort,
                externalIPs: list(spec["externalIPs"]).compactMap { IPAddress($0) }.filter { $0.family == family },
                loadBalancerIPs: balanced.filter { $0["ipMode"]?.string != "Proxy" }
                    .compactMap { $0["ip"]?.string.flatMap { IPAddress($0) } }.filter { $0.family == family },
                sourceRanges: list(spec["loadBalancerSourceRanges"])
                    .compactMap { IPRange($0.filter { $0 != " " }) },
                affinitySeconds: affinity ? seconds : nil,
                internalIsLocal: spec["internalTrafficPolicy"]?.string == "Local",
                externalIsLocal: spec["externalTrafficPolicy"]?.string == "Local")
        }
    }
}

/// One endpoint of a Service's port.
struct ServiceEndpoint: Sendable, Hashable, Comparable {
    var address: IPAddress
    var port: UInt16
    var isReady: Bool
    var isServing: Bool
    var isTerminating: Bool
    var isLocal: Bool
    var zoneHints: Set<String>
    var nodeHints: Set<String>

    static func < (one: ServiceEndpoint, other: ServiceEndpoint) -> Bool {
        (one.address, one.port) < (other.address, other.port)
    }

    /// The endpoints that slices list for a port, each address once.
    static func all(in slices: some Sequence<JSON>, for port: ServicePort, nodeName: String) -> [ServiceEndpoint] {
        var found: [String: ServiceEndpoint] = [:]
        for slice in slices where slice["addressType"]?.string ?? "IPv4" == (port.family == .ipv4 ? "IPv4" : "IPv6") {
            let number = slice["ports"]?.array?.first {
                ($0["name"]?.string ?? "") == port.portName && ($0["protocol"]?.string ?? "TCP") == port.transport
            }?["port"]?.int.flatMap { UInt16(exactly: $0) }
            guard let number else { continue }
            for entry in slice["endpoints"]?.array ?? [] {
                guard let endpoint = ServiceEndpoint(entry, number, nodeName), endpoint.address.family == port.family
                else { continue }
                // While a pod moves between slices it may be in both: the better word counts.
                if let other = found["\(endpoint.address) \(number)"], other.isReady && !endpoint.isReady { continue }
                found["\(endpoint.address) \(number)"] = endpoint
            }
        }
        return found.values.sorted()
    }

    private init?(_ entry: JSON, _ port: UInt16, _ nodeName: String) {
        guard let address = entry["addresses"]?[0]?.string.flatMap({ IPAddress($0) }) else { return nil }
        let conditions = entry["conditions"] ?? .null
        func names(_ key: String) -> Set<String> {
            Set((entry["hints", key]?.array ?? []).compactMap { $0["name"]?.string })
        }
        self.address = address
        self.port = port
        isReady = conditions["ready"]?.bool ?? true
        isServing = conditions["serving"]?.bool ?? isReady
        isTerminating = conditions["terminating"]?.bool ?? false
        isLocal = entry["nodeName"]?.string == nodeName
        zoneHints = names("forZones")
        nodeHints = names("forNodes")
    }
}

/// Which endpoints take the traffic of a port (kube-proxy, pkg/proxy/topology.go).
struct EndpointChoice: Sendable, Hashable {
    /// For traffic with the policy Cluster.
    var cluster: [ServiceEndpoint] = []
    /// For traffic with the policy Local.
    var local: [ServiceEndpoint] = []
    /// Whether there is an endpoint anywhere.
    var hasAny = false

    init(_ endpoints: [ServiceEndpoint], of port: ServicePort, nodeName: String, zone: String?) {
        func usable(_ candidates: [ServiceEndpoint]) -> [ServiceEndpoint] {
            let ready = candidates.filter(\.isReady)
            return ready.isEmpty ? candidates.filter { $0.isServing && $0.isTerminating } : ready
        }
        if port.usesCluster {
            let ready = endpoints.filter(\.isReady)
            let near = Self.near(ready, nodeName: nodeName, zone: zone)
            cluster = near.isEmpty ? usable(endpoints) : near
        }
        if port.usesLocal { local = usable(endpoints.filter(\.isLocal)) }
        hasAny = !usable(endpoints).isEmpty
    }

    /// Those that hints give to this node, or to its zone. Hints count only when every endpoint has them and one of
    /// them fits (KEP-3015).
    private static func near(_ ready: [ServiceEndpoint], nodeName: String, zone: String?) -> [ServiceEndpoint] {
        if ready.allSatisfy({ !$0.nodeHints.isEmpty }) {
            let ours = ready.filter { $0.nodeHints.contains(nodeName) }
            if !ours.isEmpty { return ours }
        }
        if let zone, !zone.isEmpty, ready.allSatisfy({ !$0.zoneHints.isEmpty }) {
            let ours = ready.filter { $0.zoneHints.contains(zone) }
            if !ours.isEmpty { return ours }
        }
        return ready
    }
}
