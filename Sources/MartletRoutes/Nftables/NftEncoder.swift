internal import MartletBase

/// nfnetlink's and nf_tables' numbers (the kernel's include/uapi/linux/netfilter/nf_tables.h).
enum Nft {
    static let batchBegin: UInt16 = 16, batchEnd: UInt16 = 17
    static let subsystem: UInt16 = 10
    static let newTable: UInt16 = 0, getTable: UInt16 = 1, deleteTable: UInt16 = 2
    static let newChain: UInt16 = 3, getChain: UInt16 = 4, deleteChain: UInt16 = 5
    static let newRule: UInt16 = 6, getRule: UInt16 = 7, deleteRule: UInt16 = 8
    static let newSet: UInt16 = 9, getSet: UInt16 = 10, deleteSet: UInt16 = 11
    static let newElements: UInt16 = 12, getElements: UInt16 = 13, deleteElements: UInt16 = 14
    static let newGeneration: UInt16 = 15, getGeneration: UInt16 = 16
    static let verdictType: UInt32 = 0xFFFF_FF00
}

extension NetlinkWriter {
    /// struct nfgenmsg
    mutating func netfilter(_ family: UInt8, resource: UInt16 = 0) {
        raw([family, 0])
        network(resource)
    }

    fileprivate mutating func verdict(_ type: Int, _ verdict: NftVerdict) {
        nested(type) {
            $0.nested(2) {
                $0.attribute(1, network: verdict.code)
                if let chain = verdict.chain { $0.attribute(2, text: chain) }
            }
        }
    }

    fileprivate mutating func value(_ type: Int, _ bytes: [UInt8]) {
        nested(type) { $0.attribute(1, bytes: bytes) }
    }
}

/// The bytes of a transaction, and what each of its messages is for.
public struct NftBatch: Sendable {
    /// For one send to the kernel.
    public private(set) var bytes: [UInt8]
    /// The number of the message whose acknowledgement says that all is done.
    public private(set) var lastSequence: UInt32
    private let firstSequence: UInt32
    /// By message, after the one that begins the batch.
    private var words: [String] = []

    /// One past the number of the last message.
    public private(set) var endSequence: UInt32

    /// Whether a number is that of one of its messages.
    func contains(_ sequence: UInt32) -> Bool { sequence &- firstSequence < endSequence &- firstSequence }

    /// What a message was for, by its number.
    func what(_ sequence: UInt32) -> String {
        let index = Int(sequence &- firstSequence) - 1
        return words.indices.contains(index) ? words[index] : "the transaction"
    }

    /// Writes a transaction in the kernel's form. Messages are numbered from `sequence` on.
    public init(_ transaction: NftTransaction, sequence: UInt32) {
        var encoder = NftEncoder(transaction, sequence: sequence)
        encoder.run()
        bytes = encoder.writer.bytes
        lastSequence = encoder.last
        endSequence = encoder.sequence
        firstSequence = sequence
        words = encoder.words
    }
}

private struct NftEncoder {
    let transaction: NftTransaction
    var writer = NetlinkWriter()
    var sequence: UInt32
    var last: UInt32 = 0
    var words: [String] = []
    /// New sets have a number, so that a rule of the same batch can name one that has no name yet.
    private var nextSetID: UInt32 = 1

    init(_ transaction: NftTransaction, sequence: UInt32) {
        self.transaction = transaction
        self.sequence = sequence
    }

    mutating func run() {
        frame(Nft.batchBegin)
        for (index, change) in transaction.changes.enumerated() {
            write(change, isLast: index == transaction.changes.count - 1)
        }
        frame(Nft.batchEnd)
    }

    private mutating func frame(_ type: UInt16) {
        writer.message(type: type, flags: NetlinkFlag.request, sequence: sequence) {
            $0.netfilter(0, resource: Nft.subsystem)
        }
        sequence &+= 1
    }

    private mutating func message(
        _ what: @autoclosure () -> String, _ type: UInt16, flags: UInt16 = 0, isLast: Bool,
        _ body: (inout NetlinkWriter) -> Void
    ) {
        let family = transaction.family.rawValue
        writer.message(
            type: Nft.subsystem << 8 | type,
            flags: NetlinkFlag.request | flags | (isLast ? NetlinkFlag.acknowledge : 0), sequence: sequence
        ) {
            $0.netfilter(family)
            body(&$0)
        }
        if isLast { last = sequence }
        words.append(what())
        sequence &+= 1
    }

    private mutating func write(_ change: NftChange, isLast: Bool) {
        let table = transaction.table
        switch change {
        case .addTable:
            message("add the table \(table)", Nft.newTable, flags: NetlinkFlag.create, isLast: isLast) {
                $0.attribute(1, text: table)
                $0.attribute(2, network: UInt32(0))
            }
        case .removeTable:
            message("remove the table \(table)", Nft.deleteTable, isLast: isLast) { $0.attribute(1, text: table) }
        case .addChain(let chain): add(chain, isLast: isLast)
        case .emptyChain(let name):
            message("empty the chain \(name)", Nft.deleteRule, isLast: isLast) {
                $0.attribute(1, text: table)
                $0.attribute(2, text: name)
            }
        case .removeChain(let name):
            message("remove the chain \(name)", Nft.deleteChain, isLast: isLast) {
                $0.attribute(1, text: table)
                $0.attribute(3, text: name)
            }
        case .addSet(let set): add(set, isLast: isLast)
        case .removeSet(let name):
            message("remove the set \(name)", Nft.deleteSet, isLast: isLast) {
                $0.attribute(1, text: table)
                $0.attribute(2, text: name)
            }
        case .addElements(let set, let elements):
            put(elements, into: set, id: nil, isLast: isLast)
        case .removeElements(let set, let keys):
            pieces(keys.map { NftElement($0) }, Nft.deleteElements, set: set, id: nil, isLast: isLast)
        }
    }

    // MARK: Chains and rules

    private mutating func add(_ chain: NftChain, isLast: Bool) {
        let table = transaction.table
        message(
            "add the chain \(chain.name)", Nft.newChain, flags: NetlinkFlag.create,
            isLast: isLast && chain.rules.isEmpty
        ) {
            $0.attribute(1, text: table)
            $0.attribute(3, text: chain.name)
            guard let hook = chain.hook else { return }
            $0.nested(4) {
                $0.attribute(1, network: hook.point.rawValue)
                $0.attribute(2, network: hook.priority)
            }
            $0.attribute(7, text: hook.kind.rawValue)
        }
        for (index, rule) in chain.rules.enumerated() {
            add(rule, to: chain.name, isLast: isLast && index == chain.rules.count - 1)
        }
    }

    private mutating func add(_ rule: NftRule, to chain: String, isLast: Bool) {
        let table = transaction.table
        var ownMaps: [UInt32] = []
        for case .ownVerdictMap(_, let verdicts) in rule { ownMaps.append(addOwnMap(verdicts)) }
        message(
            "add a rule to the chain \(chain)", Nft.newRule, flags: NetlinkFlag.create | NetlinkFlag.append,
            isLast: isLast
        ) {
            $0.attribute(1, text: table)
            $0.attribute(2, text: chain)
            $0.nested(4) {
                var maps = ownMaps[...]
                for expression in rule {
                    var id: UInt32?
                    if case .ownVerdictMap = expression { id = maps.popFirst() }
                    expression.write(&$0, ownMap: id)
                }
            }
        }
    }

    // MARK: Sets

    private mutating func add(_ set: NftSet, isLast: Bool) {
        let table = transaction.table
        let id = takeSetID()
        message("add the set \(set.name)", Nft.newSet, flags: NetlinkFlag.create, isLast: isLast) {
            $0.attribute(1, text: table)
            $0.attribute(2, text: set.name)
            $0.attribute(3, network: UInt32(set.isVerdictMap ? 0x8 : 0) | (set.timeoutSeconds == nil ? 0 : 0x30))
            $0.attribute(4, network: set.key.reduce(0 as UInt32) { $0 << 6 | $1.rawValue })
            $0.attribute(5, network: set.key.reduce(0 as UInt32) { $0 + $1.bytes })
            if set.isVerdictMap { $0.attribute(6, network: Nft.verdictType) }
            $0.attribute(10, network: id)
            if let seconds = set.timeoutSeconds {
                $0.nested(9) { $0.attribute(1, network: NetlinkLimits.remembered) }
                $0.attribute(11, network: UInt64(max(1, seconds)) * 1000)
            }
        }
    }

    private mutating func takeSetID() -> UInt32 {
        defer { nextSetID += 1 }
        return nextSetID
    }

    /// A map for one rule: from 0, 1, 2, ... to the verdicts.
    private mutating func addOwnMap(_ verdicts: [NftVerdict]) -> UInt32 {
        let table = transaction.table
        let id = takeSetID()
        message("add a map", Nft.newSet, flags: NetlinkFlag.create, isLast: false) {
            $0.attribute(1, text: table)
            $0.attribute(2, text: "__map%d")
            $0.attribute(3, network: UInt32(0x1 | 0x2 | 0x8))
            $0.attribute(4, network: UInt32(4))
            $0.attribute(5, network: UInt32(4))
            $0.attribute(6, network: Nft.verdictType)
            $0.nested(9) { $0.attribute(1, network: UInt32(verdicts.count)) }
            $0.attribute(10, network: id)
            // For the program nft: the keys are numbers in the machine's order.
            $0.attribute(13, bytes: [0, 4, 1, 0, 0, 0])
        }
        let elements = verdicts.enumerated().map { index, verdict in
            NftElement(NftKey(bytes: withUnsafeBytes(of: UInt32(index)) { Array($0) }), verdict)
        }
        put(elements, into: "__map%d", id: id, isLast: false)
        return id
    }

    private mutating func put(_ elements: [NftElement], into set: String, id: UInt32?, isLast: Bool) {
        pieces(elements, Nft.newElements, set: set, id: id, isLast: isLast)
    }

    /// As many messages as it takes: a list of elements is one attribute, which has a bound.
    private mutating func pieces(_ elements: [NftElement], _ type: UInt16, set: String, id: UInt32?, isLast: Bool) {
        let table = transaction.table
        var rest = elements[...]
        repeat {
            var size = 0
            let piece = rest.prefix { element in
                size += 64 + element.key.bytes.count + (element.verdict?.chain?.utf8.count ?? 0)
                return size <= NetlinkLimits.elementBytes
            }
            rest = rest.dropFirst(max(1, piece.count))
            let isNew = type == Nft.newElements
            message(
                "\(isNew ? "add" : "remove") elements of \(set)", type, flags: isNew ? NetlinkFlag.create : 0,
                isLast: isLast && rest.isEmpty
            ) {
                $0.attribute(1, text: table)
                $0.attribute(2, text: set)
                if let id { $0.attribute(4, network: id) }
                $0.nested(3) {
                    for element in piece {
                        $0.nested(1) {
                            $0.value(1, element.key.bytes)
                            if let verdict = element.verdict { $0.verdict(2, verdict) }
                        }
                    }
                }
            }
        } while !rest.isEmpty
    }
}

extension NftExpression {
    fileprivate func write(_ writer: inout NetlinkWriter, ownMap: UInt32?) {
        writer.nested(1) {
            $0.attribute(1, text: name)
            $0.nested(2) { data(&$0, ownMap: ownMap) }
        }
    }

    /// The kernel's name for it.
    private var name: String {
        switch self {
        case .payload, .write: "payload"
        case .socketIsWildcard: "socket"
        case .duplicate: "dup"
        case .meta, .setMark: "meta"
        case .connectionState: "ct"
        case .compare: "cmp"
        case .bitwise: "bitwise"
        case .constant, .verdict: "immediate"
        case .lookup, .verdictMap, .ownVerdictMap: "lookup"
        case .random: "numgen"
        case .addressKind: "fib"
        case .updateSet: "dynset"
        case .translateDestination: "nat"
        case .masquerade: "masq"
        case .reject: "reject"
        case .routeSegmentSize: "rt"
        case .setSegmentSize: "exthdr"
        case .untracked: "notrack"
        }
    }

    private func data(_ writer: inout NetlinkWriter, ownMap: UInt32?) {
        func numbers(_ values: (Int, UInt32)...) {
            for (type, value) in values { writer.attribute(type, network: value) }
        }
        switch self {
        case .payload(let base, let offset, let length, let register):
            numbers((1, register.number), (2, base.rawValue), (3, UInt32(offset)), (4, UInt32(length)))
        case .meta(let key, let register): numbers((1, register.number), (2, key.rawValue))
        case .setMark(let register): numbers((2, Meta.mark.rawValue), (3, register.number))
        case .connectionState(let register): numbers((1, register.number), (2, 0))
        case .compare(let register, let comparison, let bytes):
            numbers((1, register.number), (2, comparison.rawValue))
            writer.value(3, bytes)
        case .bitwise(let register, let mask, let flip):
            numbers((1, register.number), (2, register.number), (3, UInt32(mask.count)))
            writer.value(4, mask)
            writer.value(5, flip)
        case .constant(let bytes, let register):
            numbers((1, register.number))
            writer.value(2, bytes)
        case .lookup(let register, let set, let isInverted):
            writer.attribute(1, text: set)
            numbers((2, register.number))
            if isInverted { numbers((5, 1)) }
        case .verdictMap(let register, let map):
            writer.attribute(1, text: map)
            numbers((2, register.number), (3, 0))
        case .ownVerdictMap(let register, _):
            writer.attribute(1, text: "__map%d")
            numbers((2, register.number), (3, 0), (4, ownMap ?? 0))
        case .random(let modulus, let register):
            numbers((1, register.number), (2, UInt32(clamping: modulus)), (3, 1), (4, 0))
        case .addressKind(let ofSource, let register):
            numbers((1, register.number), (2, 3), (3, ofSource ? 1 : 2))
        default: effect(&writer)
        }
    }

    /// Steps that do something.
    private func effect(_ writer: inout NetlinkWriter) {
        func numbers(_ values: (Int, UInt32)...) {
            for (type, value) in values { writer.attribute(type, network: value) }
        }
        switch self {
        case .socketIsWildcard(let register): numbers((1, 2), (2, register.number))
        case .write(let offset, let length, let register):
            let base = NftExpression.Base.network.rawValue
            numbers((5, register.number), (2, base), (3, UInt32(offset)), (4, UInt32(length)), (6, 0), (7, 0))
        case .duplicate(let address, let device): numbers((1, address.number), (2, device.number))
        case .updateSet(let set, let register):
            writer.attribute(1, text: set)
            numbers((3, 1), (4, register.number))
        case .translateDestination(let family, let address, let port):
            numbers((1, 1), (2, UInt32(family.rawValue)), (3, address.number))
            if let port { numbers((5, port.number)) }
        case .masquerade: numbers((1, 1 << 4))
        case .reject(let family):
            numbers((1, family == .inet || family == .bridge ? 2 : 0))
            writer.attribute(2, bytes: [Self.portUnreachable(family)])
        case .routeSegmentSize(let register): numbers((1, register.number), (2, 3))
        case .setSegmentSize(let register):
            writer.attribute(2, bytes: [2])
            numbers((7, register.number), (6, 1), (4, 2), (3, 2))
        case .verdict(let verdict):
            numbers((1, 0))
            writer.verdict(2, verdict)
        default: return
        }
    }

    private static func portUnreachable(_ family: NftFamily) -> UInt8 {
        switch family {
        case .inet, .bridge: 1
        case .ipv4, .arp: 3
        case .ipv6: 4
        }
    }
}
