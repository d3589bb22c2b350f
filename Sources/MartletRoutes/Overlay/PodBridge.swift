public import MartletBase

/// The bridge that a host's pods hang on, as it was when it was last whole.
///
/// The CNI plugin makes it for the first pod and looks at it again for the next one only: what somebody takes from it
/// meanwhile, or all of it, is put back by this. A bridge that never was is not missed. When the host gets another
/// range of pods, the bridge's address of the earlier one goes: it would lead packets for that range's next host here.
public struct PodBridge: Sendable {
    private struct Form: Sendable {
        var mtu: UInt32
        var hardwareAddress: HardwareAddress?
        var addresses: [Address]
    }
    private struct Address: Sendable, Hashable {
        var address: IPAddress
        var length: Int

        func added(to link: Int32) -> NetlinkRequest {
            .addAddress(LinkAddress(link: link, address: address, length: length))
        }
    }
    private struct Ranges: Sendable {
        /// What all hosts have theirs of.
        var cluster: [IPRange]
        /// This host's; none as long as they are not known.
        var own: [IPRange] = []

        /// Whether a bridge has an address because it had another range.
        func excludes(_ address: IPAddress) -> Bool {
            !own.isEmpty && !own.contains { $0.contains(address) } && cluster.contains { $0.contains(address) }
        }
    }
    /// Its name.
    public let name: String
    private var ranges: Ranges
    private var form: Form?
    /// The pods' ends, by number: their names.
    private var ports: [Int32: String] = [:]

    /// A bridge that was not seen yet.
    /// - Parameter cluster: the addresses that all pods of the cluster have: others on the bridge are somebody else's.
    public init(_ name: String, cluster: [IPRange] = []) {
        self.name = name
        ranges = Ranges(cluster: cluster)
    }

    /// This host's pods have addresses of these ranges from now on.
    public mutating func serve(_ ranges: [IPRange]) { self.ranges.own = ranges }

    /// How many pods hang on it.
    public var portCount: Int { ports.count }

    /// What is to be done, given all devices and addresses there are. A bridge that has to be made gets all else with
    /// the next look, when its number is known.
    public mutating func look(_ links: [NetworkLink], _ addresses: [LinkAddress]) -> [NetlinkRequest] {
        ports = ports.filter { port in links.contains { $0.index == port.key && $0.name == port.value } }
        guard let bridge = links.first(where: { $0.name == name }) else {
            return form == nil || ports.isEmpty ? [] : [.addLink(name, kind: "bridge")]
        }
        guard bridge.kind == "bridge" else { return [] }
        for link in links where link.master == bridge.index { ports[link.index] = link.name }
        let ranges = ranges
        let all = addresses.filter { $0.link == bridge.index && !$0.address.isLinkLocal }
        let stale = all.filter { ranges.excludes($0.address) }.map { NetlinkRequest.removeAddress($0) }
        let held = all.filter { !ranges.excludes($0.address) }.map { Address(address: $0.address, length: $0.length) }
        form?.addresses.removeAll { ranges.excludes($0.address) }
        let missing = form?.addresses.filter { !held.contains($0) } ?? []
        let loose = links.filter { ports[$0.index] != nil && $0.master == 0 }
        if bridge.isUp && missing.isEmpty && loose.isEmpty {
            form = Form(mtu: bridge.mtu, hardwareAddress: bridge.hardwareAddress, addresses: held)
            return stale
        }
        guard let form else { return stale }
        let isNew = missing.count == form.addresses.count && bridge.hardwareAddress != form.hardwareAddress
        // Pods know the hardware address of their gateway.
        let change = NetlinkRequest.changeLink(
            bridge.index, isUp: true, mtu: isNew ? form.mtu : nil, hardwareAddress: isNew ? form.hardwareAddress : nil)
        var steps = stale + [change]
        steps += missing.map { $0.added(to: bridge.index) }
        for port in loose {
            steps += [.changeLink(port.index, isUp: true, master: bridge.index), .turnBack(port.index)]
        }
        return steps
    }
}
