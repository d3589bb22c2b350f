public import MartletBase

/// rtnetlink's numbers (the kernel's include/uapi/linux/rtnetlink.h, if_link.h, neighbour.h).
private enum Route {
    static let newLink: UInt16 = 16, deleteLink: UInt16 = 17, getLink: UInt16 = 18
    static let newAddress: UInt16 = 20, deleteAddress: UInt16 = 21, getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24, deleteRoute: UInt16 = 25, getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28, deleteNeighbour: UInt16 = 29, getNeighbour: UInt16 = 30
    static let isUp: UInt32 = 1
    static let mainTable: UInt8 = 254
    static let onLink: UInt32 = 4
    static let permanent: UInt16 = 0x80
    static let ofDevice: UInt8 = 2
    static let bridgeFamily: UInt8 = 7
    static let noDuplicateDetection: UInt32 = 2, noPrefixRoute: UInt32 = 0x200
    static let change = NetlinkFlag.acknowledge
    static let put = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.replace
    static let add = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive
}

extension NetlinkWriter {
    /// struct ifinfomsg
    fileprivate mutating func link(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) {
        host(UInt32(0))
        host(index)
        host(flags)
        host(change)
    }
    /// struct ifaddrmsg
    fileprivate mutating func address(_ family: UInt8, length: Int = 0, link: Int32 = 0) {
        raw([family, UInt8(clamping: length), 0, 0])
        host(link)
    }
    /// struct ndmsg
    fileprivate mutating func neighbour(_ family: UInt8, link: Int32, state: UInt16 = 0, flags: UInt8 = 0) {
        raw([family, 0, 0, 0])
        host(link)
        host(state)
        raw([flags, 0])
    }
}

// MARK: Devices

extension NetlinkRequest {
    /// Lists all devices.
    public static var listLinks: NetlinkRequest {
        NetlinkRequest("list the network devices", type: Route.getLink, flags: NetlinkFlag.dump) { $0.link() }
    }

    /// Looks one device up.
    public static func getLink(_ name: String) -> NetlinkRequest {
        NetlinkRequest("look up the device \(name)", type: Route.getLink, flags: NetlinkFlag.acknowledge) {
            $0.link()
            $0.attribute(3, text: name)
        }
    }

    /// Makes a VXLAN device.
    public static func addVXLAN(
        _ name: String, _ settings: VXLANSettings, hardwareAddress: HardwareAddress, mtu: UInt32
    ) -> NetlinkRequest {
        NetlinkRequest("make the VXLAN device \(name)", type: Route.newLink, flags: Route.add) {
            $0.link()
            $0.attribute(3, text: name)
            $0.attribute(1, bytes: hardwareAddress.bytes)
            $0.attribute(4, host: mtu)
            $0.nested(18) {
                $0.attribute(1, text: "vxlan")
                $0.nested(2) {
                    $0.attribute(1, host: settings.id)
                    if settings.uplink != 0 { $0.attribute(3, host: settings.uplink) }
                    if let local = settings.local { $0.attribute(local.family == .ipv4 ? 4 : 17, bytes: local.bytes) }
                    $0.attribute(7, bytes: [settings.isLearning ? 1 : 0])
                    $0.attribute(15, network: settings.port)
                }
            }
        }
    }

    /// Makes a device that needs no settings: a `bridge`, a `dummy`.
    public static func addLink(_ name: String, kind: String) -> NetlinkRequest {
        NetlinkRequest("make the device \(name) (\(kind))", type: Route.newLink, flags: Route.add) {
            $0.link()
            $0.attribute(3, text: name)
            $0.nested(18) { $0.attribute(1, text: kind) }
        }
    }

    /// Changes a device: what is nil stays as it is. A master of 0 takes it from its bridge.
    public static func changeLink(
        _ index: Int32, isUp: Bool? = nil, mtu: UInt32? = nil, hardwareAddress: HardwareAddress? = nil,
        master: Int32? = nil
    ) -> NetlinkRequest {
        NetlinkRequest("change the device \(index)", type: Route.newLink, flags: Route.change) {
            $0.link(index: index, flags: isUp == true ? Route.isUp : 0, change: isUp == nil ? 0 : Route.isUp)
            if let hardwareAddress { $0.attribute(1, bytes: hardwareAddress.bytes) }
            if let mtu { $0.attribute(4, host: mtu) }
            if let master { $0.attribute(10, host: master) }
        }
    }

    /// Lets packets leave a bridge by the port they came by: pods reach themselves through Services.
    public static func turnBack(_ port: Int32) -> NetlinkRequest {
        NetlinkRequest("let packets turn back at the port \(port)", type: Route.newLink, flags: Route.change) {
            $0.link(index: port)
            $0.nested(18) {
                $0.attribute(4, text: "bridge")
                $0.nested(5) { $0.attribute(4, bytes: [1]) }
            }
        }
    }

    /// Removes a device.
    public static func removeLink(_ index: Int32) -> NetlinkRequest {
        NetlinkRequest("remove the device \(index)", type: Route.deleteLink, flags: Route.change) {
            $0.link(index: index)
        }
    }
}

extension NetworkLink {
    /// Reads RTM_NEWLINK; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type == Route.newLink else { return nil }
        guard let index = message.payload.number(at: 4, Int32.self),
            let flags = message.payload.number(at: 8, UInt32.self)
        else { throw .malformed("a device") }
        let attributes = try NetlinkAttributes(message.payload.dropFirst(16))
        let info = try attributes.nested(18)
        self.init(
            index: index, name: attributes.text(3) ?? "", mtu: attributes.host(4, UInt32.self) ?? 0,
            isUp: flags & Route.isUp != 0, hardwareAddress: attributes[1].flatMap { HardwareAddress(bytes: $0) },
            master: attributes.host(10, Int32.self) ?? 0, kind: info?.text(1) ?? "", vxlan: nil)
        guard kind == "vxlan", let data = try info?.nested(2) else { return }
        vxlan = VXLANSettings(
            id: data.host(1, UInt32.self) ?? 0, port: data.network(15, UInt16.self) ?? 0,
            local: data.address(4) ?? data.address(17), isLearning: data[7]?.first ?? 1 != 0,
            uplink: data.host(3, Int32.self) ?? 0)
    }
}

// MARK: Addresses

extension NetlinkRequest {
    /// Lists all addresses of all devices.
    public static var listAddresses: NetlinkRequest {
        NetlinkRequest("list the addresses", type: Route.getAddress, flags: NetlinkFlag.dump) { $0.address(0) }
    }

    /// Gives a device an address.
    public static func addAddress(_ entry: LinkAddress) -> NetlinkRequest {
        NetlinkRequest("add the address \(entry.address)", type: Route.newAddress, flags: Route.put) {
            entry.write(&$0)
        }
    }

    /// Gives a device an address for a while; the same again makes the while anew. IPv6 takes it without asking
    /// around first, and neither kind is what other connections are made from, where there is another one.
    public static func lendAddress(_ entry: LinkAddress, seconds: UInt32) -> NetlinkRequest {
        NetlinkRequest("hold the address \(entry.address)", type: Route.newAddress, flags: Route.put) {
            entry.write(&$0)
            let isSix = entry.address.family == .ipv6
            // struct ifa_cacheinfo: preferred, valid, and two that the kernel sets.
            let times: [UInt32] = [isSix ? 0 : seconds, seconds, 0, 0]
            $0.attribute(6) { cacheInfo in for time in times { cacheInfo.host(time) } }
            if isSix { $0.attribute(8, host: Route.noDuplicateDetection | Route.noPrefixRoute) }
        }
    }

    /// Takes an address from a device.
    public static func removeAddress(_ entry: LinkAddress) -> NetlinkRequest {
        NetlinkRequest("remove the address \(entry.address)", type: Route.deleteAddress, flags: Route.change) {
            entry.write(&$0)
        }
    }
}

extension LinkAddress {
    fileprivate func write(_ writer: inout NetlinkWriter) {
        writer.address(address.family.rawValue, length: length, link: link)
        writer.attribute(2, bytes: address.bytes)
        writer.attribute(1, bytes: address.bytes)
    }

    /// Reads RTM_NEWADDR; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type == Route.newAddress else { return nil }
        let attributes = try NetlinkAttributes(message.payload.dropFirst(8))
        guard let length = message.payload.number(at: 1, UInt8.self),
            let link = message.payload.number(at: 4, Int32.self),
            let address = attributes.address(2) ?? attributes.address(1)
        else { throw .malformed("an address") }
        self.init(link: link, address: address, length: Int(length))
    }
}

// MARK: Routes

extension NetlinkRequest {
    /// Lists the routes of the main table that we have made.
    public static func listRoutes(_ family: IPAddress.Family) -> NetlinkRequest {
        NetlinkRequest("list the routes", type: Route.getRoute, flags: NetlinkFlag.dump) {
            $0.raw([family.rawValue, 0, 0, 0, Route.mainTable, NetworkRoute.ourProtocol, 0, 0])
            $0.host(UInt32(0))
        }
    }

    /// Adds a route, or puts it in the place of the one to the same destination.
    public static func putRoute(_ route: NetworkRoute) -> NetlinkRequest {
        NetlinkRequest("add the route to \(route.destination)", type: Route.newRoute, flags: Route.put) {
            route.write(&$0)
        }
    }

    /// Removes a route.
    public static func removeRoute(_ route: NetworkRoute) -> NetlinkRequest {
        NetlinkRequest("remove the route to \(route.destination)", type: Route.deleteRoute, flags: Route.change) {
            route.write(&$0)
        }
    }
}

extension NetworkRoute {
    fileprivate func write(_ writer: inout NetlinkWriter) {
        let scope: UInt8 = gateway == nil && destination.family == .ipv4 ? 253 : 0
        writer.raw([
            destination.family.rawValue, UInt8(clamping: destination.length), 0, 0, Route.mainTable, origin, scope, 1,
        ])
        writer.host(isOnLink ? Route.onLink : 0)
        writer.attribute(1, bytes: destination.base.bytes)
        writer.attribute(4, host: link)
        if let gateway { writer.attribute(5, bytes: gateway.bytes) }
    }

    /// Reads RTM_NEWROUTE of a unicast route of the main table through one device; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type == Route.newRoute else { return nil }
        let header = Array(message.payload.prefix(12))
        guard header.count == 12, let flags = header[...].number(at: 8, UInt32.self) else {
            throw .malformed("a route")
        }
        let attributes = try NetlinkAttributes(message.payload.dropFirst(12))
        guard let family = IPAddress.Family(rawValue: header[0]), header[4] == Route.mainTable, header[7] == 1,
            let link = attributes.host(4, Int32.self)
        else { return nil }
        let zero = IPAddress(bytes: [UInt8](repeating: 0, count: family.bits / 8))
        guard let base = attributes.address(1) ?? zero, base.family == family else { throw .malformed("a route") }
        self.init(
            destination: IPRange(base, length: Int(header[1])), gateway: attributes.address(5), link: link,
            isOnLink: flags & Route.onLink != 0)
        origin = header[5]
    }
}

// MARK: Neighbours and forwarding databases

extension NetlinkRequest {
    /// Lists the neighbours of a device.
    public static func listNeighbours(_ family: IPAddress.Family, link: Int32) -> NetlinkRequest {
        NetlinkRequest("list the neighbours", type: Route.getNeighbour, flags: NetlinkFlag.dump) {
            $0.neighbour(family.rawValue, link: 0)
            $0.attribute(8, host: link)
        }
    }

    /// Says for good which hardware address a neighbour has.
    public static func putNeighbour(_ entry: NetworkNeighbour) -> NetlinkRequest {
        NetlinkRequest("add the neighbour \(entry.address)", type: Route.newNeighbour, flags: Route.put) {
            $0.neighbour(entry.address.family.rawValue, link: entry.link, state: Route.permanent)
            $0.attribute(1, bytes: entry.address.bytes)
            $0.attribute(2, bytes: entry.hardwareAddress.bytes)
        }
    }

    /// Forgets a neighbour.
    public static func removeNeighbour(_ entry: NetworkNeighbour) -> NetlinkRequest {
        NetlinkRequest("remove the neighbour \(entry.address)", type: Route.deleteNeighbour, flags: Route.change) {
            $0.neighbour(entry.address.family.rawValue, link: entry.link)
            $0.attribute(1, bytes: entry.address.bytes)
        }
    }

    /// Lists the forwarding database of a VXLAN device.
    public static func listForwarding(link: Int32) -> NetlinkRequest {
        NetlinkRequest("list the forwarding database", type: Route.getNeighbour, flags: NetlinkFlag.dump) {
            $0.neighbour(Route.bridgeFamily, link: 0)
            $0.attribute(8, host: link)
        }
    }

    /// Says for good behind which address a hardware address is.
    public static func putForwarding(_ entry: NetworkNeighbour) -> NetlinkRequest {
        NetlinkRequest(
            "forward \(entry.hardwareAddress) to \(entry.address)", type: Route.newNeighbour, flags: Route.put
        ) {
            $0.neighbour(Route.bridgeFamily, link: entry.link, state: Route.permanent, flags: Route.ofDevice)
            $0.attribute(1, bytes: entry.address.bytes)
            $0.attribute(2, bytes: entry.hardwareAddress.bytes)
        }
    }

    /// Forgets an entry of a forwarding database.
    public static func removeForwarding(_ entry: NetworkNeighbour) -> NetlinkRequest {
        NetlinkRequest(
            "forward \(entry.hardwareAddress) no more", type: Route.deleteNeighbour, flags: Route.change
        ) {
            $0.neighbour(Route.bridgeFamily, link: entry.link, flags: Route.ofDevice)
            $0.attribute(1, bytes: entry.address.bytes)
            $0.attribute(2, bytes: entry.hardwareAddress.bytes)
        }
    }
}

extension NetworkNeighbour {
    /// Reads RTM_NEWNEIGH, of a neighbour or of a forwarding database; nil for any other message and for entries
    /// without both addresses.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type == Route.newNeighbour else { return nil }
        guard let link = message.payload.number(at: 4, Int32.self),
            let state = message.payload.number(at: 8, UInt16.self)
        else { throw .malformed("a neighbour") }
        let attributes = try NetlinkAttributes(message.payload.dropFirst(12))
        guard let address = attributes.address(1), let hardware = attributes[2].flatMap({ HardwareAddress(bytes: $0) })
        else { return nil }
        self.init(link: link, address: address, hardwareAddress: hardware)
        isPermanent = state & Route.permanent != 0
    }
}
