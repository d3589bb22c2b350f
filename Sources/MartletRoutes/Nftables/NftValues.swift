public import MartletBase

/// Which packets a table of nftables sees. The numbers are the kernel's.
public enum NftFamily: UInt8, Sendable, Hashable {
    /// IPv4 and IPv6.
    case inet = 1
    /// IPv4.
    case ipv4 = 2
    /// ARP.
    case arp = 3
    /// What passes a bridge, before it is IP.
    case bridge = 7
    /// IPv6.
    case ipv6 = 10

    /// The family of tables for addresses of that kind.
    public init(_ family: IPAddress.Family) { self = family == .ipv4 ? .ipv4 : .ipv6 }
}

/// What becomes of a packet.
public enum NftVerdict: Sendable, Hashable {
    /// It passes this hook.
    case accept
    /// It is dropped.
    case drop
    /// Back to the chain that jumped here.
    case `return`
    /// To another chain, and back.
    case jump(String)
    /// To another chain, not back.
    case goto(String)

    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        default: nil
        }
    }

    init?(code: Int32, chain: String?) {
        switch (code, chain) {
        case (0, _): self = .drop
        case (1, _): self = .accept
        case (-5, _): self = .return
        case (-3, let chain?): self = .jump(chain)
        case (-4, let chain?): self = .goto(chain)
        default: return nil
        }
    }
}

/// Where a chain is called from.
public struct NftHook: Sendable, Hashable {
    /// The kernel's points on a packet's way.
    public enum Point: UInt32, Sendable, Hashable {
        /// Just come in.
        case prerouting = 0
        /// For this machine.
        case input = 1
        /// Passing through.
        case forward = 2
        /// From this machine.
        case output = 3
        /// About to leave.
        case postrouting = 4

        /// ARP that has come in; tables of ARP count from there.
        public static let arpInput = Point.prerouting
        /// ARP from this machine.
        public static let arpOutput = Point.input
    }
    /// What a chain may do.
    public enum Kind: String, Sendable, Hashable {
        /// Let pass or drop.
        case filter
        /// Translate addresses: sees the first packet of a connection only.
        case nat
    }

    /// Which point.
    public var point: Point
    /// The order among chains of one point: low first; translation of destinations is at -100, of sources at 100.
    public var priority: Int32
    /// What it may do.
    public var kind: Kind

    /// A hook from its parts.
    public init(_ kind: Kind, _ point: Point, _ priority: Int32) {
        self.point = point
        self.priority = priority
        self.kind = kind
    }
}

/// A named chain of a table.
public struct NftChain: Sendable, Hashable {
    /// Its name, at most 255 bytes.
    public var name: String
    /// Nil for one that only rules lead to.
    public var hook: NftHook?
    /// Its rules in order.
    public var rules: [NftRule]

    /// A chain from its parts.
    public init(_ name: String, hook: NftHook? = nil, _ rules: [NftRule] = []) {
        self.name = name
        self.hook = hook
        self.rules = rules
    }
}

/// A register of the kernel's little machine: sixteen of four bytes each.
public struct NftRegister: Sendable, Hashable {
    let number: UInt32
    /// Number 0 to 15; higher ones are brought down to 15.
    public init(_ index: Int) { number = 8 + UInt32(min(max(index, 0), 15)) }
    /// The first, which most rules need only.
    public static let first = NftRegister(0)
}

/// One step of a rule. The steps run in order; a comparison that fails ends the rule.
public enum NftExpression: Sendable, Hashable {
    /// Where bytes of a packet are counted from.
    public enum Base: UInt32, Sendable, Hashable {
        /// The IP header.
        case network = 1
        /// The TCP, UDP or SCTP header.
        case transport = 2
    }
    /// Facts beside the packet's bytes (NFT_META_*).
    public enum Meta: UInt32, Sendable, Hashable {
        /// What the packet is over Ethernet: its EtherType.
        case etherType = 1
        /// The mark.
        case mark = 3
        /// The number of the device that it came in by.
        case inputDevice = 4
        /// The name of the device that it came in by, 16 bytes.
        case inputName = 6
        /// The name of the device that it leaves by, 16 bytes.
        case outputName = 7
        /// NFPROTO_IPV4 or NFPROTO_IPV6.
        case family = 15
        /// TCP, UDP, ...
        case protocolNumber = 16
    }
    /// Comparisons (NFT_CMP_*).
    public enum Comparison: UInt32, Sendable, Hashable {
        /// The same.
        case equal = 0
        /// Not the same.
        case unequal = 1
        /// At most, by the order of bytes.
        case atMost = 3
        /// At least, by the order of bytes.
        case atLeast = 5
    }

    /// Loads bytes of the packet.
    case payload(Base, offset: Int, length: Int, into: NftRegister = .first)
    /// Loads a fact.
    case meta(Meta, into: NftRegister = .first)
    /// Sets the mark.
    case setMark(from: NftRegister = .first)
    /// Loads the state of the connection as bits: 2 established, 4 related, 8 new (in the machine's order).
    case connectionState(into: NftRegister = .first)
    /// Goes on when the register holds these bytes, or does not.
    case compare(NftRegister = .first, Comparison, [UInt8])
    /// `(register & mask) ^ flip`.
    case bitwise(NftRegister = .first, mask: [UInt8], flip: [UInt8])
    /// Loads constant bytes.
    case constant([UInt8], into: NftRegister)
    /// Goes on when the set has, or has not, what begins at the register.
    case lookup(NftRegister = .first, set: String, isInverted: Bool = false)
    /// Does what a map says of what begins at the register; goes on when it has no word of it.
    case verdictMap(NftRegister = .first, map: String)
    /// The same with a map of the rule's own.
    case ownVerdictMap(NftRegister = .first, [NftVerdict])
    /// Loads a random number below `modulus`.
    case random(modulus: Int, into: NftRegister = .first)
    /// Loads what kind of address the packet's source (or destination) is to this machine: 2 is its own.
    case addressKind(ofSource: Bool, into: NftRegister = .first)
    /// Loads whether the socket that the packet is for is bound to no address, as listeners are: one byte. Ends the
    /// rule where there is no such socket, or one that is only half open.
    case socketIsWildcard(into: NftRegister = .first)
    /// Writes bytes of the packet's network header; no checksum is brought up to date.
    case write(offset: Int, length: Int, from: NftRegister)
    /// Sends a copy to a neighbour by a device, whose number the register has; its address stays the same.
    case duplicate(to: NftRegister, device: NftRegister)
    /// Puts what begins at the register into a set, or begins its time anew.
    case updateSet(String, key: NftRegister = .first)
    /// Translates the destination.
    case translateDestination(IPAddress.Family, address: NftRegister, port: NftRegister?)
    /// Gives the packet the address of the device that it leaves by; ports at random.
    case masquerade
    /// Refuses with ICMP "port unreachable".
    case reject(NftFamily)
    /// Loads the largest TCP segment that the packet's route takes.
    case routeSegmentSize(into: NftRegister = .first)
    /// Writes the option "maximum segment size"; never makes it larger.
    case setSegmentSize(from: NftRegister = .first)
    /// Keeps the packet from connection tracking.
    case untracked
    /// Ends the rule.
    case verdict(NftVerdict)
}

/// The steps of a rule.
public typealias NftRule = [NftExpression]

/// A set or a map with a name.
public struct NftSet: Sendable, Hashable {
    /// What the parts of a key are. The numbers are those of the program nft, which shows keys by them.
    public enum Part: UInt32, Sendable, Hashable {
        /// An IPv4 address.
        case ipv4 = 7
        /// An IPv6 address.
        case ipv6 = 8
        /// A protocol over IP.
        case protocolNumber = 12
        /// A port.
        case port = 13

        /// In a key each part takes a multiple of four bytes.
        var bytes: UInt32 { self == .ipv6 ? 16 : 4 }
    }

    /// Its name.
    public var name: String
    /// The parts of its keys.
    public var key: [Part]
    /// Whether each key leads to a verdict.
    public var isVerdictMap: Bool
    /// Set for a set that rules put keys in: after how many seconds they leave.
    public var timeoutSeconds: Int?

    /// A set from its parts.
    public init(_ name: String, key: [Part], isVerdictMap: Bool = false, timeoutSeconds: Int? = nil) {
        self.name = name
        self.key = key
        self.isVerdictMap = isVerdictMap
        self.timeoutSeconds = timeoutSeconds
    }
}

/// A key as the kernel takes it: each part filled up to a multiple of four bytes.
public struct NftKey: Sendable, Hashable, Comparable {
    /// The bytes.
    public var bytes: [UInt8]
    /// A key by its bytes.
    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// An address, a protocol and a port; what is nil is left out.
    public init(_ address: IPAddress? = nil, protocolNumber: UInt8? = nil, port: UInt16? = nil) {
        bytes = address?.bytes ?? []
        if let protocolNumber { bytes += [protocolNumber, 0, 0, 0] }
        if let port { bytes += [UInt8(port >> 8), UInt8(port & 255), 0, 0] }
    }

    /// Any order, so that changes come in one order.
    public static func < (one: NftKey, other: NftKey) -> Bool { one.bytes.lexicographicallyPrecedes(other.bytes) }
}

/// An element of a set or map.
public struct NftElement: Sendable, Hashable {
    /// Its key.
    public var key: NftKey
    /// Where it leads, in a verdict map.
    public var verdict: NftVerdict?

    /// An element from its parts.
    public init(_ key: NftKey, _ verdict: NftVerdict? = nil) {
        self.key = key
        self.verdict = verdict
    }
}

/// One change of a table.
public enum NftChange: Sendable, Hashable {
    /// Makes the table; one that is there stays as it is.
    case addTable
    /// Removes the table with all in it.
    case removeTable
    /// Makes a chain with its rules; one that is there gets the rules at its end.
    case addChain(NftChain)
    /// Takes all rules out of a chain.
    case emptyChain(String)
    /// Removes an empty chain.
    case removeChain(String)
    /// Makes a set or map.
    case addSet(NftSet)
    /// Removes a set or map with its elements.
    case removeSet(String)
    /// Puts elements in; one that is there must be the same.
    case addElements(set: String, [NftElement])
    /// Takes elements out.
    case removeElements(set: String, [NftKey])
}

/// Changes of one table that the kernel makes all at once, or not at all.
public struct NftTransaction: Sendable, Hashable {
    /// The table's family.
    public var family: NftFamily
    /// The table's name.
    public var table: String
    /// What is to be done, in order.
    public var changes: [NftChange]

    /// A transaction from its parts.
    public init(_ family: NftFamily, table: String, _ changes: [NftChange] = []) {
        self.family = family
        self.table = table
        self.changes = changes
    }

    /// One that removes the table, whether it is there or not.
    public static func removal(_ family: NftFamily, table: String) -> NftTransaction {
        NftTransaction(family, table: table, [.addTable, .removeTable])
    }
}
