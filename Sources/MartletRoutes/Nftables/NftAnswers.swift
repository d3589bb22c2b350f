internal import MartletBase

/// The kernel's answer to a transaction, as it comes in.
public struct NftCommit: Sendable {
    private let batch: NftBatch
    private var refusal: NetlinkError?
    private var isDone = false

    /// Waits for the answer to a batch.
    public init(_ batch: NftBatch) { self.batch = batch }

    /// Whether enough has come: the last change was acknowledged, or one was refused.
    public var isComplete: Bool { isDone || refusal != nil }

    /// Takes in what one receive returned.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public mutating func take(_ datagram: [UInt8]) throws(NetlinkError) {
        for message in try NetlinkMessage.parse(datagram) {
            guard batch.contains(message.sequence), let (code, detail) = message.verdict else { continue }
            if code != 0 {
                // Later messages fail because of the first one.
                refusal = refusal ?? .refused(what: batch.what(message.sequence), Errno(code), detail: detail)
            } else if message.sequence == batch.lastSequence {
                isDone = true
            }
        }
    }

    /// Says how it ended.
    /// - Throws: ``NetlinkError``, for the first change that was refused: then none was made.
    public func check() throws(NetlinkError) {
        if let refusal { throw refusal }
        if !isDone { throw .malformed("no word of how a transaction ended") }
    }
}

extension NetlinkRequest {
    private static func list(
        _ what: String, _ type: UInt16, _ family: NftFamily, _ body: (inout NetlinkWriter) -> Void
    ) -> NetlinkRequest {
        NetlinkRequest(what, type: Nft.subsystem << 8 | type, flags: NetlinkFlag.dump) {
            $0.netfilter(family.rawValue)
            body(&$0)
        }
    }

    /// Asks for the number of the last transaction that anybody has made.
    public static var getGeneration: NetlinkRequest {
        NetlinkRequest(
            "look up the generation of nftables", type: Nft.subsystem << 8 | Nft.getGeneration,
            flags: NetlinkFlag.acknowledge
        ) { $0.netfilter(0) }
    }

    /// Lists the tables of a family.
    public static func listTables(_ family: NftFamily) -> NetlinkRequest {
        list("list the tables", Nft.getTable, family) { _ in }
    }

    /// Lists the chains of a family, of all tables.
    public static func listChains(_ family: NftFamily) -> NetlinkRequest {
        list("list the chains", Nft.getChain, family) { _ in }
    }

    /// Lists the rules of a table.
    public static func listRules(_ family: NftFamily, table: String) -> NetlinkRequest {
        list("list the rules of \(table)", Nft.getRule, family) { $0.attribute(1, text: table) }
    }

    /// Lists the elements of a set.
    public static func listElements(_ family: NftFamily, table: String, set: String) -> NetlinkRequest {
        list("list the elements of \(set)", Nft.getElements, family) {
            $0.attribute(1, text: table)
            $0.attribute(2, text: set)
        }
    }
}

/// What the kernel holds, as far as it is compared with what it should hold.
public enum NftListing {
    /// The generation's number in the answer to ``NetlinkRequest/getGeneration``; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func generation(_ message: NetlinkMessage) throws(NetlinkError) -> UInt32? {
        guard message.type == Nft.subsystem << 8 | Nft.newGeneration else { return nil }
        return try attributes(message).network(1, UInt32.self)
    }

    /// A table's name; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func table(_ message: NetlinkMessage) throws(NetlinkError) -> String? {
        guard message.type == Nft.subsystem << 8 | Nft.newTable else { return nil }
        return try attributes(message).text(1)
    }

    /// A chain's table and name; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func chain(_ message: NetlinkMessage) throws(NetlinkError) -> (table: String, name: String)? {
        guard message.type == Nft.subsystem << 8 | Nft.newChain else { return nil }
        let attributes = try attributes(message)
        guard let table = attributes.text(1), let name = attributes.text(3) else { throw .malformed("a chain") }
        return (table, name)
    }

    /// A rule's table and chain; nil for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func rule(_ message: NetlinkMessage) throws(NetlinkError) -> (table: String, chain: String)? {
        guard message.type == Nft.subsystem << 8 | Nft.newRule else { return nil }
        let attributes = try attributes(message)
        guard let table = attributes.text(1), let chain = attributes.text(2) else { throw .malformed("a rule") }
        return (table, chain)
    }

    /// The elements in a message; empty for any other message.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func elements(_ message: NetlinkMessage) throws(NetlinkError) -> [NftElement] {
        guard message.type == Nft.subsystem << 8 | Nft.newElements, let list = try attributes(message)[3] else {
            return []
        }
        var elements: [NftElement] = []
        for entry in try NetlinkAttributes(list).list {
            let fields = try NetlinkAttributes(entry)
            guard let key = try fields.nested(1)?[1] else { throw .malformed("an element") }
            var element = NftElement(NftKey(bytes: Array(key)))
            if let verdict = try fields.nested(2)?.nested(2), let code = verdict.network(1, Int32.self) {
                element.verdict = NftVerdict(code: code, chain: verdict.text(2))
            }
            elements.append(element)
        }
        return elements
    }

    private static func attributes(_ message: NetlinkMessage) throws(NetlinkError) -> NetlinkAttributes {
        try NetlinkAttributes(message.payload.dropFirst(4))
    }
}
