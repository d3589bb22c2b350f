internal import MartletBase

/// What the kernel holds of a pod network.
public struct OverlayObservation: Sendable, Hashable {
    /// The VXLAN device.
    public var device: NetworkLink?
    /// The device's addresses.
    public var addresses: [LinkAddress] = []
    /// The routes that we have made.
    public var routes: [NetworkRoute] = []
    /// The device's neighbours.
    public var neighbours: [NetworkNeighbour] = []
    /// The device's forwarding database.
    public var forwarding: [NetworkNeighbour] = []

    /// Nothing.
    public init() {}
}

/// The way from what the kernel holds to what is wanted.
public enum OverlayPlan {
    /// The steps for the device: it must be there before its number is known, with which all else is said.
    public static func deviceSteps(_ wanted: OverlayTable, _ held: OverlayObservation) -> [NetlinkRequest] {
        guard let device = wanted.device else { return held.device.map { [.removeLink($0.index)] } ?? [] }
        let make = NetlinkRequest.addVXLAN(
            device.name, device.settings, hardwareAddress: device.hardwareAddress, mtu: device.mtu)
        guard let link = held.device else { return [make] }
        // These cannot be changed in place.
        if link.vxlan != device.settings { return [.removeLink(link.index), make] }
        if link.isUp && link.mtu == device.mtu && link.hardwareAddress == device.hardwareAddress { return [] }
        return [.changeLink(link.index, isUp: true, mtu: device.mtu, hardwareAddress: device.hardwareAddress)]
    }

    /// The steps for all else, once the device is as it should be. For each host that is new, in flannel's order:
    /// neighbour, forwarding entry, route; for one that is gone the other way round, and before what is new.
    public static func steps(_ wanted: OverlayTable, _ held: OverlayObservation) -> [NetlinkRequest] {
        let goal = Goal(wanted, link: held.device?.index)
        var steps: [NetlinkRequest] = []
        steps += held.routes.filter { !goal.destinations.contains($0.destination) }.map { .removeRoute($0) }
        steps += held.forwarding.filter { isOurs($0) && !goal.forwarding.contains($0) }.map { .removeForwarding($0) }
        steps += held.neighbours.filter { isOurs($0) && !goal.neighbours.contains($0) }.map { .removeNeighbour($0) }
        if let link = held.device?.index, let device = wanted.device {
            if held.device?.isUp == false { steps.append(.changeLink(link, isUp: true)) }
            let own = LinkAddress(link: link, address: device.address, length: wanted.family.bits)
            steps += held.addresses.filter { $0 != own && !isLinkLocal($0.address) }.map { .removeAddress($0) }
            if !held.addresses.contains(own) { steps.append(.addAddress(own)) }
        }
        for remote in goal.remotes {
            if let entry = remote.neighbour, !held.neighbours.contains(entry) { steps.append(.putNeighbour(entry)) }
            if let entry = remote.forwarding, !held.forwarding.contains(entry) { steps.append(.putForwarding(entry)) }
            if !held.routes.contains(remote.route) { steps.append(.putRoute(remote.route)) }
        }
        return steps
    }

    /// The kernel makes entries of its own, for groups.
    private static func isOurs(_ entry: NetworkNeighbour) -> Bool {
        entry.isPermanent && entry.hardwareAddress.bytes[0] & 1 == 0 && entry.hardwareAddress.bytes.contains { $0 != 0 }
    }

    private static func isLinkLocal(_ address: IPAddress) -> Bool {
        address.family == .ipv6 && address.isLinkLocal
    }

    /// The wanted entries with the numbers of devices.
    private struct Goal {
        struct Remote {
            var neighbour: NetworkNeighbour?
            var forwarding: NetworkNeighbour?
            var route: NetworkRoute
        }
        var remotes: [Remote] = []
        var destinations: Set<IPRange> = []
        var neighbours: Set<NetworkNeighbour> = []
        var forwarding: Set<NetworkNeighbour> = []

        init(_ wanted: OverlayTable, link: Int32?) {
            for remote in wanted.remotes {
                var entry = Remote(
                    route: NetworkRoute(
                        destination: remote.pods, gateway: remote.address, link: wanted.uplink, isOnLink: false))
                if let hardware = remote.hardwareAddress {
                    guard let link else { continue }
                    let base = remote.pods.base
                    entry.route = NetworkRoute(destination: remote.pods, gateway: base, link: link, isOnLink: true)
                    entry.neighbour = NetworkNeighbour(link: link, address: base, hardwareAddress: hardware)
                    entry.forwarding = NetworkNeighbour(link: link, address: remote.address, hardwareAddress: hardware)
                }
                remotes.append(entry)
                destinations.insert(remote.pods)
                if let neighbour = entry.neighbour { neighbours.insert(neighbour) }
                if let forward = entry.forwarding { forwarding.insert(forward) }
            }
        }
    }
}

/// The pod network's rules: packets that leave the cluster get this host's address, TCP connections through the overlay
/// learn how large their segments may be, and the overlay's own packets are not tracked.
public enum OverlayRules {
    /// All of them, in place of those that are there. Without pods the table goes.
    public static func transaction(_ wanted: OverlayTable, _ settings: OverlaySettings) -> NftTransaction {
        let family = NftFamily(wanted.family)
        var transaction = NftTransaction.removal(family, table: settings.table)
        let cluster = settings.clusterRanges.filter { $0.family == wanted.family }
        guard let own = wanted.ownPods, !cluster.isEmpty else { return transaction }
        transaction.changes += [
            .addTable,
            .addChain(
                NftChain(
                    "postrouting", hook: NftHook(.nat, .postrouting, 100), masquerading(own, cluster, wanted.family))),
        ]
        if let device = wanted.device {
            transaction.changes += [
                .addChain(
                    NftChain("forward", hook: NftHook(.filter, .forward, -150), [clamp(device.name, wanted.family)])),
                .addChain(NftChain("prerouting", hook: NftHook(.filter, .prerouting, -300), [untracked(device)])),
                .addChain(NftChain("output", hook: NftHook(.filter, .output, -300), [untracked(device)])),
            ]
        }
        return transaction
    }

    /// flannel's order. What a service proxy has marked is its to do.
    private static func masquerading(_ own: IPRange, _ cluster: [IPRange], _ family: IPAddress.Family) -> [NftRule] {
        let groups = family == .ipv4 ? IPRange("224.0.0.0/4") : IPRange("ff00::/8")
        var rules: [NftRule] = [ServiceMark.test(isSet: true) + [.verdict(.return)]]
        for range in cluster {
            rules.append(source(own) + destination(range) + [.verdict(.return)])
            rules.append(source(range) + destination(own) + [.verdict(.return)])
            rules.append(source(range, isIn: false) + destination(own) + [.verdict(.return)])
            let away = groups.map { destination($0, isIn: false) } ?? []
            rules.append(source(range) + destination(range, isIn: false) + away + [.masquerade])
        }
        return rules
    }

    /// A packet between pods is tracked once, by what is inside of the wrapping.
    private static func untracked(_ device: OverlayTable.Device) -> NftRule {
        let port = device.settings.port
        return [
            .meta(.protocolNumber), .compare(.first, .equal, [17]), .payload(.transport, offset: 2, length: 2),
            .compare(.first, .equal, [UInt8(port >> 8), UInt8(port & 255)]), .untracked,
        ]
    }

    private static func clamp(_ device: String, _ family: IPAddress.Family) -> NftRule {
        let name = Array(device.utf8)
        return [
            .meta(.outputName), .compare(.first, .equal, name + [UInt8](repeating: 0, count: max(0, 16 - name.count))),
            .meta(.protocolNumber), .compare(.first, .equal, [6]),
            .payload(.transport, offset: 13, length: 1), .bitwise(mask: [2], flip: [0]),
            .compare(.first, .unequal, [0]),
            .routeSegmentSize(), .setSegmentSize(),
        ]
    }

    static func source(_ range: IPRange, isIn: Bool = true) -> NftRule {
        test(range, offset: range.family == .ipv4 ? 12 : 8, isIn)
    }
    static func destination(_ range: IPRange, isIn: Bool = true) -> NftRule {
        test(range, offset: range.family == .ipv4 ? 16 : 24, isIn)
    }

    private static func test(_ range: IPRange, offset: Int, _ isIn: Bool) -> NftRule {
        let bytes = range.base.bytes
        let mask = (0..<bytes.count).map { at -> UInt8 in
            let bits = min(max(range.length - at * 8, 0), 8)
            return bits == 0 ? 0 : 0xFF << UInt8(8 - bits)
        }
        return [
            .payload(.network, offset: offset, length: bytes.count),
            .bitwise(mask: mask, flip: [UInt8](repeating: 0, count: bytes.count)),
            .compare(.first, isIn ? .equal : .unequal, bytes),
        ]
    }
}

/// The bit of a packet's mark that asks for masquerading: Kubernetes' own, 0x4000.
enum ServiceMark {
    private static let bit: [UInt8] = withUnsafeBytes(of: UInt32(0x4000)) { Array($0) }
    private static let zero: [UInt8] = [0, 0, 0, 0]
    private static let others: [UInt8] = bit.map { ~$0 }

    /// Goes on when the bit is, or is not, set.
    static func test(isSet: Bool) -> NftRule {
        [.meta(.mark), .bitwise(mask: bit, flip: zero), .compare(.first, isSet ? .unequal : .equal, zero)]
    }
    static let set: NftRule = [.meta(.mark), .bitwise(mask: others, flip: bit), .setMark()]
    static let clear: NftRule = [.meta(.mark), .bitwise(mask: others, flip: zero), .setMark()]
}
