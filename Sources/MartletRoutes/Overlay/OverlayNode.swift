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
    /// A sentence for each annotation that nothing can be done with.
    var faults: [String] = []

    /// Nil for a Node that has no range or no address of that kind.
    init?(_ node: JSON, _ family: IPAddress.Family) {
        let ranges = node["spec", "podCIDRs"]?.array?.compactMap(\.string) ?? []
        let first = node["spec", "podCIDR"]?.string.map { [$0] } ?? []
        guard
            let pods = (ranges.isEmpty ? first : ranges).compactMap({ IPRange($0) }).first(where: {
                $0.family == family
            }),
            let own = Self.internalAddress(of: node, family)
                ?? Self.saidAddress(of: node, family).flatMap({ Self.machine($0.value, family) })
        else { return nil }
        name = node.name
        self.pods = pods
        address = own
        backend = node.annotations[Flannel.backend] ?? ""
        if !pods.base.isUnicast { faults.append("node \(name): \(pods) is no range of pods") }
        // What the annotation says may be an address of another network than the Node's own.
        if let said = Self.saidAddress(of: node, family) {
            if let machine = Self.machine(said.value, family) {
                address = machine
            } else {
                faults.append(
                    "node \(name): its annotation \(said.name) is \"\(said.value)\", which is no address of a machine; "
                        + "\(own) is used")
            }
        }
        takeHardwareAddress(node.annotations[Flannel.data(family)], Flannel.data(family))
    }

    private mutating func takeHardwareAddress(_ said: String?, _ annotation: String) {
        guard let said, said != "null" else { return }
        let data = try? JSON(parsing: Array(said.utf8))
        if let data, data["VNI"]?.int ?? 1 != Int(Flannel.networkID) { return }
        hardwareAddress = data?["VtepMAC"]?.string.flatMap { HardwareAddress($0) }.flatMap { $0.isUnicast ? $0 : nil }
        guard hardwareAddress == nil else { return }
        faults.append(
            "node \(name): its annotation \(annotation) is \"\(said)\", in which is no hardware address (VtepMAC) of a "
                + "device: its pods are not reached")
    }

    private static func saidAddress(
        of node: JSON, _ family: IPAddress.Family
    ) -> (name: String, value: String)? {
        let name = Flannel.address(family)
        for name in [name + "-overwrite", name] {
            if let value = node.annotations[name] { return (name, value) }
        }
        return nil
    }

    private static func machine(_ text: String, _ family: IPAddress.Family) -> IPAddress? {
        IPAddress(text).flatMap { $0.family == family && $0.isUnicast ? $0 : nil }
    }

    static func internalAddress(of node: JSON, _ family: IPAddress.Family) -> IPAddress? {
        (node["status", "addresses"]?.array ?? []).lazy.filter { $0["type"]?.string == "InternalIP" }
            .compactMap { $0["address"]?.string.flatMap { IPAddress($0) } }.first { $0.family == family }
    }
}
