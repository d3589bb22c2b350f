public import MartletBase
public import MartletObject

/// What an overlay is to do on this host.
public struct OverlaySettings: Sendable, Hashable {
    /// This host's Node.
    public var nodeName: String
    /// How packets travel.
    public var backend: OverlayBackend
    /// The ranges of all pods of the cluster.
    public var clusterRanges: [IPRange]
    /// The name of the nftables table.
    public var table: String

    /// Settings from their parts.
    public init(nodeName: String, backend: OverlayBackend, clusterRanges: [IPRange], table: String) {
        self.nodeName = nodeName
        self.backend = backend
        self.clusterRanges = clusterRanges
        self.table = table
    }
}

/// The device by which this host reaches others.
public struct OverlayUplink: Sendable, Hashable {
    /// The device's number.
    public var link: Int32
    /// Its largest packet.
    public var mtu: UInt32
    /// The networks that it is in.
    public var subnets: [IPRange]

    /// An uplink from its parts.
    public init(link: Int32, mtu: UInt32, subnets: [IPRange]) {
        self.link = link
        self.mtu = mtu
        self.subnets = subnets
    }

    /// The device that has an address; nil when none has it.
    public init?(with address: IPAddress, links: [NetworkLink], addresses: [LinkAddress]) {
        guard let own = addresses.first(where: { $0.address == address }),
            let link = links.first(where: { $0.index == own.link })
        else { return nil }
        let subnets = addresses.filter { $0.link == own.link }.map { IPRange($0.address, length: $0.length) }
        self.init(link: link.index, mtu: link.mtu, subnets: subnets)
    }
}

/// Everything that the pod network wants of this host's kernel, for one kind of addresses: it follows from the Nodes
/// alone. While there is no other host it wants no device and no routes.
public struct OverlayTable: Sendable, Hashable {
    /// A VXLAN device as it should be.
    public struct Device: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its settings.
        public var settings: VXLANSettings
        /// Its hardware address.
        public var hardwareAddress: HardwareAddress
        /// Its largest packet.
        public var mtu: UInt32
        /// Its own address, alone in its network.
        public var address: IPAddress
    }

    /// A host that pods are to be reached at.
    public struct Remote: Sendable, Hashable {
        /// Its pods' range.
        public var pods: IPRange
        /// Its own address.
        public var address: IPAddress
        /// Its end of the VXLAN; nil for a direct route.
        public var hardwareAddress: HardwareAddress?
    }

    /// Which addresses.
    public var family: IPAddress.Family
    /// The device; nil when none is needed.
    public var device: Device?
    /// The uplink's number, for direct routes.
    public var uplink: Int32
    /// The other hosts, in the order of their ranges.
    public var remotes: [Remote] = []
    /// This host's pods.
    public var ownPods: IPRange?
    /// A sentence for each node that cannot be reached.
    public var problems: [String] = []

    /// A table that wants nothing.
    public init(_ family: IPAddress.Family) {
        self.family = family
        uplink = 0
    }

    /// The table that follows from all Nodes.
    public init(_ family: IPAddress.Family, nodes: [JSON], uplink: OverlayUplink, _ settings: OverlaySettings) {
        self.init(family)
        self.uplink = uplink.link
        let all = nodes.compactMap { OverlayNode($0, family) }
        guard settings.backend != .none, let own = all.first(where: { $0.name == settings.nodeName }) else { return }
        ownPods = own.pods
        let others = all.filter { $0.name != own.name && $0.address != own.address }
        fillRemotes(others, besides: [own.pods]) { Self.way(to: $0, uplink, settings.backend) }
        guard settings.backend == .vxlan, !remotes.isEmpty else { return }
        device = Device(
            name: Flannel.device(family),
            settings: VXLANSettings(
                id: Flannel.networkID, port: Flannel.port,
                local: nodes.first { $0.name == own.name }.flatMap { Self.address(of: $0, family) }, isLearning: false,
                uplink: uplink.link),
            hardwareAddress: Self.hardwareAddress(settings.nodeName, family), mtu: Self.mtu(uplink, settings, family),
            address: own.pods.base)
    }

    /// The table of a host that is no Node and has no pods: plain routes to the pods of hosts in its own subnets,
    /// whatever way these have between each other. The answers are sent to this host's address, which they reach
    /// without an overlay. Pods of other hosts are not reached, which is no fault here.
    /// - Parameter ranges: of all pods of the cluster. To a Node that says it has others there is no route: they may be
    ///   anybody's.
    public init(
        _ family: IPAddress.Family, nodes: [JSON], uplink: OverlayUplink, guest address: IPAddress,
        within ranges: [IPRange]
    ) {
        self.init(family)
        self.uplink = uplink.link
        let others = nodes.compactMap { OverlayNode($0, family) }.filter { $0.address != address }
        fillRemotes(others, besides: []) { node in
            guard ranges.contains(where: { $0.contains(node.pods.base) && $0.length <= node.pods.length }) else {
                return .none("its range \(node.pods) is none of the cluster's: its pods are not gone to directly")
            }
            return Self.directWay(to: node, uplink) ?? .unknown
        }
    }

    /// Whether a route is one of this table's, which wants no device.
    public func wants(_ route: NetworkRoute) -> Bool {
        route.link == uplink
            && remotes.contains { $0.pods == route.destination && $0.address == route.gateway }
    }

    /// How another host's pods are reached.
    private enum Way {
        case by(Remote)
        case none(String)
        /// Not now, which is no fault.
        case unknown
    }

    private mutating func fillRemotes(_ others: [OverlayNode], besides own: [IPRange], _ way: (OverlayNode) -> Way) {
        var taken = own
        for node in others.sorted(by: { ($0.pods, $0.name) < ($1.pods, $1.name) }) {
            problems += node.faults
            if !node.pods.base.isUnicast { continue }
            if let other = taken.first(where: { $0.overlaps(node.pods) }) {
                problems.append("node \(node.name): its range \(node.pods) is not its own: \(other) has a part of it")
                continue
            }
            switch way(node) {
            case .by(let remote):
                taken.append(node.pods)
                remotes.append(remote)
            case .none(let problem): problems.append("node \(node.name): \(problem)")
            case .unknown: break
            }
        }
    }

    private static func way(to node: OverlayNode, _ uplink: OverlayUplink, _ backend: OverlayBackend) -> Way {
        if !node.backend.isEmpty && node.backend != backend.rawValue {
            return .none("its pod network is \(node.backend), not \(backend.rawValue)")
        }
        if backend == .hostGateway {
            return directWay(to: node, uplink)
                ?? .none("\(node.address) is not in a subnet of this host: use --overlay vxlan")
        }
        // A node that has not said its hardware address yet will say it soon.
        return node.hardwareAddress.map {
            .by(Remote(pods: node.pods, address: node.address, hardwareAddress: $0))
        } ?? .unknown
    }

    /// Nil where no subnet is shared.
    private static func directWay(to node: OverlayNode, _ uplink: OverlayUplink) -> Way? {
        guard uplink.subnets.contains(where: { $0.contains(node.address) }) else { return nil }
        return .by(Remote(pods: node.pods, address: node.address))
    }

    /// The VXLAN device's name, as flannel has it.
    public static func deviceName(_ family: IPAddress.Family) -> String { Flannel.device(family) }

    static func hardwareAddress(_ nodeName: String, _ family: IPAddress.Family) -> HardwareAddress {
        HardwareAddress(from: "\(nodeName)/\(Flannel.device(family))")
    }

    /// The largest packet that pods may send.
    public static func mtu(_ uplink: OverlayUplink, _ settings: OverlaySettings, _ family: IPAddress.Family) -> UInt32 {
        guard settings.backend == .vxlan else { return uplink.mtu }
        return max(1280, uplink.mtu - min(uplink.mtu, Flannel.overhead(family)))
    }

    /// What this host's Node is to say of it, for flannel and for ours: only what differs.
    public static func missingAnnotations(of node: JSON, address: IPAddress, _ settings: OverlaySettings) -> [String:
        String]
    {
        let family = address.family
        let isWrapped = settings.backend == .vxlan
        let hardware = hardwareAddress(settings.nodeName, family)
        let wanted = [
            Flannel.backend: settings.backend.rawValue, Flannel.managed: "true",
            Flannel.address(family): address.description,
            Flannel.data(family): isWrapped ? "{\"VNI\":\(Flannel.networkID),\"VtepMAC\":\"\(hardware)\"}" : "null",
        ]
        return settings.backend == .none ? [:] : wanted.filter { node.annotations[$0.key] != $0.value }
    }

    /// The address at which others reach a Node.
    public static func address(of node: JSON, _ family: IPAddress.Family) -> IPAddress? {
        OverlayNode.internalAddress(of: node, family)
    }
}
