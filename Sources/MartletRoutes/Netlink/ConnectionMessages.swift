public import MartletBase

/// One direction of a tracked connection.
public struct ConnectionTuple: Sendable, Hashable {
    /// Where its packets come from.
    public var source: IPAddress
    /// Where they go to.
    public var destination: IPAddress
    /// UDP is 17.
    public var protocolNumber: UInt8
    /// The source's port.
    public var sourcePort: UInt16
    /// The destination's port.
    public var destinationPort: UInt16

    /// A direction from its parts.
    public init(
        source: IPAddress, destination: IPAddress, protocolNumber: UInt8, sourcePort: UInt16, destinationPort: UInt16
    ) {
        self.source = source
        self.destination = destination
        self.protocolNumber = protocolNumber
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }
}

/// A connection as the kernel tracks it (the kernel's include/uapi/linux/netfilter/nfnetlink_conntrack.h).
public struct TrackedConnection: Sendable, Hashable {
    /// As its first packet was.
    public var original: ConnectionTuple
    /// As answers are: they come from where the destination was translated to.
    public var reply: ConnectionTuple
    /// Whether a packet has come back.
    public var isAnswered: Bool

    /// A connection from its parts.
    public init(original: ConnectionTuple, reply: ConnectionTuple, isAnswered: Bool = false) {
        self.original = original
        self.reply = reply
        self.isAnswered = isAnswered
    }
}

private enum Connections {
    static let new: UInt16 = 1 << 8 | 0, get: UInt16 = 1 << 8 | 1, delete: UInt16 = 1 << 8 | 2
    /// `IPS_SEEN_REPLY`
    static let answered: UInt32 = 1 << 1
}

extension NetlinkRequest {
    /// Lists the tracked connections of one protocol, whatever their addresses.
    /// - Parameters:
    ///   - destinationPort: only those to this port; nil for all.
    ///   - unanswered: only those that no packet has come back on. Kernels before 5.15 list the others too.
    public static func listConnections(
        _ family: IPAddress.Family, protocolNumber: UInt8, destinationPort: UInt16? = nil, unanswered: Bool = false
    ) -> NetlinkRequest {
        NetlinkRequest("list the tracked connections", type: Connections.get, flags: NetlinkFlag.dump) {
            $0.netfilter(family.rawValue)
            $0.nested(1) {
                $0.nested(2) {
                    $0.attribute(1, bytes: [protocolNumber])
                    if let destinationPort { $0.attribute(3, network: destinationPort) }
                }
            }
            if unanswered {
                // The value under the mask: not set.
                $0.attribute(3, network: UInt32(0))
                $0.attribute(26, network: Connections.answered)
            }
            // Which parts of the tuple count: the protocol and perhaps the destination's port.
            $0.nested(25) { $0.attribute(1, host: UInt32(1 << 3 | (destinationPort == nil ? 0 : 1 << 5))) }
        }
    }

    /// Forgets a connection, which the kernel knows by its first direction.
    public static func removeConnection(_ tuple: ConnectionTuple) -> NetlinkRequest {
        NetlinkRequest(
            "forget the connection to \(tuple.destination)", type: Connections.delete, flags: NetlinkFlag.acknowledge
        ) {
            $0.netfilter(tuple.source.family.rawValue)
            $0.nested(1) { tuple.write(&$0) }
        }
    }
}

extension ConnectionTuple {
    fileprivate func write(_ writer: inout NetlinkWriter) {
        let first = source.family == .ipv4 ? 1 : 3
        writer.nested(1) {
            $0.attribute(first, bytes: source.bytes)
            $0.attribute(first + 1, bytes: destination.bytes)
        }
        writer.nested(2) {
            $0.attribute(1, bytes: [protocolNumber])
            $0.attribute(2, network: sourcePort)
            $0.attribute(3, network: destinationPort)
        }
    }

    /// Nil for protocols without ports.
    fileprivate init?(_ attributes: NetlinkAttributes) throws(NetlinkError) {
        guard let addresses = try attributes.nested(1), let ports = try attributes.nested(2),
            let source = addresses.address(1) ?? addresses.address(3),
            let destination = addresses.address(2) ?? addresses.address(4), let number = ports[1]?.first,
            let sourcePort = ports.network(2, UInt16.self), let destinationPort = ports.network(3, UInt16.self)
        else { return nil }
        self.init(
            source: source, destination: destination, protocolNumber: number, sourcePort: sourcePort,
            destinationPort: destinationPort)
    }
}

extension TrackedConnection {
    /// Reads a connection with ports; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type == Connections.new else { return nil }
        let attributes = try NetlinkAttributes(message.payload.dropFirst(4))
        guard let first = try attributes.nested(1), let second = try attributes.nested(2),
            let original = try ConnectionTuple(first), let reply = try ConnectionTuple(second)
        else { return nil }
        let status = attributes.network(3, UInt32.self) ?? 0
        self.init(original: original, reply: reply, isAnswered: status & Connections.answered != 0)
    }
}
