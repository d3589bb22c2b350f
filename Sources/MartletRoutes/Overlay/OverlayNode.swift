internal import MartletBase
internal import MartletObject

/// How pods' packets reach pods of other hosts.
public enum OverlayBackend: String, Sendable, CaseIterable {
    /// Wrapped in UDP (VXLAN), over any network.
    case vxlan
    /// As they are, by routes to hosts of the same subnet.
    case hostGateway = "host-gw"
    /// Not at all, or by something else.
    case none
}

/// flannel's names, kept so that one of its nodes can sit in the same network (flannel, pkg/subnet/kube).
enum Flannel {
    static let prefix = "flannel.alpha.coreos.com/"
    static let port: UInt16 = 8472
    static let networkID: UInt32 = 1

    static func device(_ family: IPAddress.Family) -> String {
        (family == .ipv4 ? "flannel." : "flannel-v6.") + String(networkID)
    }
    static func data(_ family: IPAddress.Family) -> String {
        prefix + (family == .ipv4 ? "backend-data" : "backend-v6-data")
    }
    static func address(_ family: IPAddress.Family) -> String {
        prefix + (family == .ipv4 ? "public-ip" : "public-ipv6")
    }
    static let backend = prefix + "backend-type"
    static let managed = prefix + "kube-subnet-manager"
    /// Bytes that VXLAN puts around a packet.
    static func overhead(_ family: IPAddress.Family) -> UInt32 { family == .ipv4 ? 50 : 70 }
}

/// What a Node says of its place in the pod network, for one kind of addresses.
struct OverlayNode: Sendable, Hashable {
    var name: String
    var pods: IPRange
    var address: IPAddress
    var backend: String
    /// Nil when the node has not said it.
    var hardwareAddress: HardwareAddress?

    /// Nil for a Node that has no range or no address of that kind.
    init?(_ node: JSON, _ family: IPAddress.Family) {
        let ranges = node["spec", "podCIDRs"]?.array?.compactMap(\.string) ?? []
        let first = node["spec", "podCIDR"]?.string.map { [$0] } ?? []
        guard
            let pods = (ranges.isEmpty ? first : ranges).compactMap({ IPRange($0) }).first(where: {
                $0.family == family
            }),
            let address = Self.address(of: node, family)
        else { return nil }
        name = node.name
        self.pods = pods
        self.address = address
        backend = node.annotations[Flannel.backend] ?? ""
        let data = node.annotations[Flannel.data(family)].flatMap { try? JSON(parsing: Array($0.utf8)) }
        guard let data, data["VNI"]?.int ?? 1 == Int(Flannel.networkID) else { return }
        hardwareAddress = data["VtepMAC"]?.string.flatMap { HardwareAddress($0) }
    }

    /// What the annotation says, which may name an address of another network than the Node's own.
    private static func address(of node: JSON, _ family: IPAddress.Family) -> IPAddress? {
        let overwritten = node.annotations[Flannel.address(family) + "-overwrite"]
        if let said = (overwritten ?? node.annotations[Flannel.address(family)]).flatMap({ IPAddress($0) }),
            said.family == family
        {
            return said
        }
        return internalAddress(of: node, family)
    }

    static func internalAddress(of node: JSON, _ family: IPAddress.Family) -> IPAddress? {
        (node["status", "addresses"]?.array ?? []).lazy.filter { $0["type"]?.string == "InternalIP" }
            .compactMap { $0["address"]?.string.flatMap { IPAddress($0) } }.first { $0.family == family }
    }
}
