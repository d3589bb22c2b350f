internal import MartletBase

/// The bridge that a host's pods hang on, as it was when it was last whole.
///
/// The CNI plugin makes it for the first pod and looks at it again for the next one only: what somebody takes from it
/// meanwhile, or all of it, is put back by this. A bridge that never was is not missed.
public struct PodBridge: Sendable {
    private struct Form: Sendable {
        var mtu: UInt32
        var hardwareAddress: HardwareAddress?
        var addresses: [Address]
    }
    private struct Address: Sendable, Hashable {
        var address: IPAddress
        var length: Int
    }
    /// Its name.
    public let name: String
    private var form: Form?
    /// The pods' ends, by number: their names.
    private var ports: [Int32: String] = [:]

    /// A bridge that was not seen yet.
    public init(_ name: String) { self.name = name }

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
        let held = addresses.filter { $0.link == bridge.index && !$0.address.isLinkLocal }
            .map { Address(address: $0.address, length: $0.length) }
        let missing = form?.addresses.filter { !held.contains($0) } ?? []
        let loose = links.filter { ports[$0.index] != nil && $0.master == 0 }
        if bridge.isUp && missing.isEmpty && loose.isEmpty {
            form = Form(mtu: bridge.mtu, hardwareAddress: bridge.hardwareAddress, addresses: held)
            return []
        }
        guard let form else { return [] }
        let isNew = missing.count == form.addresses.count && bridge.hardwareAddress != form.hardwareAddress
        // Pods know the hardware address of their gateway.
        let change = NetlinkRequest.changeLink(
            bridge.index, isUp: true, mtu: isNew ? form.mtu : nil, hardwareAddress: isNew ? form.hardwareAddress : nil)
        return [change]
            + missing.map { .addAddress(LinkAddress(link: bridge.index, address: $0.address, length: $0.length)) }
            + loose.flatMap { port -> [NetlinkRequest] in
                [.changeLink(port.index, isUp: true, master: bridge.index), .turnBack(port.index)]
            }
    }
}
