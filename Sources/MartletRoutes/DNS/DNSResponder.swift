public import MartletBase

/// The cluster's DNS as a value: a question comes in, and the answer goes out at once, or wishes do.
public struct DNSResponder: Sendable {
    /// The cluster's names.
    public var zone: DNSZone
    /// The way to all others.
    public var forwarder: DNSForwarder
    /// With which record the next answer begins.
    private var turn = 0
    /// Whether the answer to the message that was received last follows in a wish.
    public private(set) var isPending = false
    private var query = DNSQuery()

    /// A responder from its parts.
    public init(zone: DNSZone, forwarder: DNSForwarder) {
        self.zone = zone
        self.forwarder = forwarder
    }

    /// Answers a message.
    /// - Parameters:
    ///   - bytes: what came, whatever it is.
    ///   - ticket: what names the client in a later wish.
    ///   - overTCP: whether it came over TCP, where answers may be long.
    ///   - chance: 64 bits by chance each time.
    ///   - answer: becomes the answer; empty when there is none, or none yet.
    /// - Returns: what is to be done.
    public mutating func receive(
        _ bytes: Span<UInt8>, ticket: UInt64, overTCP: Bool, at now: MonotonicTime, chance: () -> UInt64,
        into answer: inout [UInt8]
    ) -> [DNSForwarder.Wish] {
        answer.removeAll(keepingCapacity: true)
        isPending = false
        switch query.read(bytes) {
        case .silence: return []
        case .refuse(let code):
            DNSReply.refuse(query, code, into: &answer)
            return []
        case .question: break
        }
        if query.hasOptions && query.optionsVersion != 0 {
            DNSReply.refuseVersion(query, into: &answer)
            return []
        }
        let limit = overTCP ? DNSLimits.message : query.datagramLimit
        if query.recordClass != DNSType.internet || DNSType.transfers.contains(query.type) {
            DNSReply.failure(.refused).write(to: query, limit: limit, into: &answer)
            return []
        }
        switch zone.answer(query.name, type: query.type) {
        case .reply(let reply):
            turn &+= 1
            reply.write(to: query, limit: limit, turn: turn & 0xffff, into: &answer)
            return []
        case .foreign:
            defer { isPending = answer.isEmpty }
            return forwarder.ask(
                query, target: query.name, chain: [], ticket: ticket, limit: limit, at: now, chance: chance,
                into: &answer)
        case .alias(_, let target):
            defer { isPending = answer.isEmpty }
            return follow(target, ticket, limit, now, chance, &answer)
        }
    }

    /// Follows a name to the one it stands for, in the zone and out of it.
    private mutating func follow(
        _ first: DNSName, _ ticket: UInt64, _ limit: Int, _ now: MonotonicTime, _ chance: () -> UInt64,
        _ answer: inout [UInt8]
    ) -> [DNSForwarder.Wish] {
        var (owner, target, chain): (DNSName, DNSName, [DNSRecord]) = (query.name, first, [])
        while chain.count < DNSLimits.aliases {
            chain.append(
                DNSRecord(
                    name: owner.wire, type: DNSType.cname, recordClass: DNSType.internet, ttl: zone.ttl,
                    data: target.wire))
            switch zone.answer(target, type: query.type) {
            case .foreign:
                return forwarder.ask(
                    query, target: target, chain: chain, ticket: ticket, limit: limit, at: now, chance: chance,
                    into: &answer)
            case .alias(_, let next): (owner, target) = (target, next)
            case .reply(let reply):
                forwarder.write(reply, 0, to: query, target, chain, limit, &answer)
                return []
            }
        }
        // A circle: what was seen of it is all there is to say.
        forwarder.end(query, chain, .serverFailure, limit, &answer)
        return []
    }
}
