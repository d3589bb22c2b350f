public import MartletBase

/// Asks other resolvers what the zone does not know: a value that is told what came and answers with wishes. It keeps
/// answers, asks once what many want to know at one time, goes on to the next resolver when one does not answer, and to
/// TCP when a datagram was too small.
public struct DNSForwarder: Sendable {
    /// What is to be done.
    public enum Wish: Sendable, Hashable {
        /// Send this to that resolver, from a port of its own, and tell what comes back under this number.
        case ask(number: UInt64, Endpoint, message: [UInt8], overTCP: Bool)
        /// Nothing that comes under this number is wanted any more.
        case forget(number: UInt64)
        /// Send this to the client that has this ticket.
        case answer(ticket: UInt64, [UInt8])
        /// That resolver's questions come back here; it is not asked again.
        case loop(Endpoint)
    }

    private struct Waiter {
        var query: DNSQuery
        var ticket: UInt64
        var limit: Int
        var chain: [DNSRecord]
    }
    private struct Exchange {
        var question: DNSQuestion
        var id: UInt16
        var upstream: Int
        var attempts = 1
        var overTCP = false
        var deadline: MonotonicTime
        var waiters: [Waiter] = []
        /// A question of our own, of which nobody hears.
        var isProbe = false
    }
    private struct Upstream {
        var endpoint: Endpoint
        var restsUntil = MonotonicTime(nanoseconds: 0)
        var loops = false
    }

    private var upstreams: [Upstream]
    private var exchanges: [UInt64: Exchange] = [:]
    private var byQuestion: [DNSQuestion: UInt64] = [:]
    private var probes: [DNSName: Int] = [:]
    private var waiting = 0
    private var lastNumber: UInt64 = 0
    private var cache: DNSCache

    /// A forwarder over these resolvers, in the order in which they are asked; none at all is allowed.
    public init(upstreams: [Endpoint]) {
        self.upstreams = upstreams.prefix(DNSLimits.upstreams).map { Upstream(endpoint: $0) }
        cache = DNSCache()
    }

    /// When ``expire(at:chance:)`` has something to do; nil while nothing is waited for.
    public var nextDeadline: MonotonicTime? { exchanges.values.lazy.map(\.deadline).min() }

    /// How many questions wait for other resolvers.
    public var inFlight: Int { exchanges.count }

    // MARK: In

    /// Asks each resolver for a name by chance that nobody else knows: when that question comes in at our own door, the
    /// resolver leads back here.
    public mutating func probe(at now: MonotonicTime, chance: () -> UInt64) -> [Wish] {
        var wishes: [Wish] = []
        for index in upstreams.indices {
            let text = [chance(), chance()].map { "martlet-" + String($0, radix: 16) }.joined(separator: ".")
            guard let name = DNSName(text) else { continue }
            probes[name] = index
            let question = DNSQuestion(name: name, type: DNSType.hinfo, recordClass: DNSType.internet)
            let exchange = Exchange(question: question, id: 0, upstream: index, deadline: now, isProbe: true)
            wishes.append(send(exchange, at: now, chance))
        }
        return wishes
    }

    /// A client's question. It is answered at once into `answer` where that is possible, else later by a wish.
    /// - Parameters:
    ///   - target: the name to ask for: the client's, or the one that `chain` has led to.
    ///   - limit: bytes that the client takes.
    mutating func ask(
        _ query: DNSQuery, target: DNSName, chain: [DNSRecord], ticket: UInt64, limit: Int, at now: MonotonicTime,
        chance: () -> UInt64, into answer: inout [UInt8]
    ) -> [Wish] {
        if let index = probes.removeValue(forKey: target) {
            upstreams[index].loops = true
            DNSReply.failure(.refused).write(to: query, limit: limit, into: &answer)
            return [.loop(upstreams[index].endpoint)]
        }
        let question = DNSQuestion(
            name: target, type: query.type, recordClass: query.recordClass, wantsSignatures: query.wantsSignatures,
            disablesChecking: query.disablesChecking)
        if let (reply, age) = cache.find(question, at: now) {
            write(reply, age, to: query, target, chain, limit, &answer)
            return []
        }
        guard query.wantsRecursion, !upstreams.isEmpty else {
            end(query, chain, .refused, limit, &answer)
            return []
        }
        let waiter = Waiter(query: query, ticket: ticket, limit: limit, chain: chain)
        guard waiting < DNSLimits.waiters else {
            end(query, chain, .serverFailure, limit, &answer)
            return []
        }
        if let number = byQuestion[question] {
            exchanges[number]?.waiters.append(waiter)
            waiting += 1
            return []
        }
        guard exchanges.count < DNSLimits.exchanges, let upstream = choose(after: nil, at: now) else {
            end(query, chain, .serverFailure, limit, &answer)
            return []
        }
        waiting += 1
        let exchange = Exchange(question: question, id: 0, upstream: upstream, deadline: now, waiters: [waiter])
        return [send(exchange, at: now, chance)]
    }

    /// Bytes that came back. What does not fit the question is not the answer, and is not looked at.
    public mutating func heard(
        _ bytes: [UInt8], number: UInt64, at now: MonotonicTime, chance: () -> UInt64
    ) -> [Wish] {
        guard let exchange = exchanges[number], bytes.count >= 12,
            UInt16(bytes[0]) << 8 | UInt16(bytes[1]) == exchange.id, bytes[2] & 0xf8 == 0x80
        else { return [] }
        guard let message = try? DNSMessage(bytes) else { return goOn(number, .serverFailure, at: now, chance) }
        let question = exchange.question
        guard message.name == question.name, message.type == question.type,
            message.recordClass == question.recordClass
        else { return [] }
        upstreams[exchange.upstream].restsUntil = MonotonicTime(nanoseconds: 0)
        if message.isTruncated {
            if exchange.overTCP { return goOn(number, .serverFailure, at: now, chance) }
            return again(number, exchange.upstream, overTCP: true, at: now, chance)
        }
        guard message.code == DNSCode.noError.rawValue || message.code == DNSCode.noName.rawValue else {
            return goOn(number, DNSCode(rawValue: message.code) ?? .serverFailure, at: now, chance)
        }
        let reply = message.reply(to: question.name)
        if !exchange.isProbe { cache.put(reply, for: question, seconds: message.lifetime, at: now) }
        return finish(number, reply)
    }

    /// What was asked under this number could not be sent, or its connection ended.
    public mutating func failed(number: UInt64, at now: MonotonicTime, chance: () -> UInt64) -> [Wish] {
        guard let exchange = exchanges[number] else { return [] }
        upstreams[exchange.upstream].restsUntil = now + DNSLimits.rest
        return goOn(number, .serverFailure, at: now, chance)
    }

    /// Time has passed.
    public mutating func expire(at now: MonotonicTime, chance: () -> UInt64) -> [Wish] {
        exchanges.filter { $0.value.deadline <= now }.keys.sorted().flatMap { number in
            failed(number: number, at: now, chance: chance)
        }
    }

    // MARK: One question

    private mutating func send(_ exchange: Exchange, at now: MonotonicTime, _ chance: () -> UInt64) -> Wish {
        var exchange = exchange
        exchange.id = UInt16(truncatingIfNeeded: chance())
        exchange.deadline = now + (exchange.overTCP ? DNSLimits.streamAttempt : DNSLimits.attempt)
        lastNumber += 1
        exchanges[lastNumber] = exchange
        byQuestion[exchange.question] = lastNumber
        return .ask(
            number: lastNumber, upstreams[exchange.upstream].endpoint,
            message: DNSMessage.question(id: exchange.id, exchange.question), overTCP: exchange.overTCP)
    }

    private mutating func again(
        _ number: UInt64, _ upstream: Int, overTCP: Bool, at now: MonotonicTime, _ chance: () -> UInt64
    ) -> [Wish] {
        guard var exchange = exchanges.removeValue(forKey: number) else { return [] }
        exchange.upstream = upstream
        exchange.overTCP = overTCP
        return [.forget(number: number), send(exchange, at: now, chance)]
    }

    /// Asks the next resolver, or gives up.
    private mutating func goOn(
        _ number: UInt64, _ code: DNSCode, at now: MonotonicTime, _ chance: () -> UInt64
    ) -> [Wish] {
        guard let exchange = exchanges[number] else { return [] }
        if !exchange.isProbe, exchange.attempts < DNSLimits.attempts,
            let next = choose(after: exchange.upstream, at: now)
        {
            exchanges[number]?.attempts += 1
            return again(number, next, overTCP: false, at: now, chance)
        }
        let reply = DNSReply.failure(code == .noError ? .serverFailure : code)
        if !exchange.isProbe { cache.put(reply, for: exchange.question, seconds: DNSLimits.failureTTL, at: now) }
        return finish(number, reply)
    }

    private mutating func finish(_ number: UInt64, _ reply: DNSReply) -> [Wish] {
        guard let exchange = exchanges.removeValue(forKey: number) else { return [] }
        byQuestion[exchange.question] = nil
        waiting -= exchange.waiters.count
        var wishes: [Wish] = [.forget(number: number)]
        for waiter in exchange.waiters {
            var bytes: [UInt8] = []
            write(reply, 0, to: waiter.query, exchange.question.name, waiter.chain, waiter.limit, &bytes)
            wishes.append(.answer(ticket: waiter.ticket, bytes))
        }
        return wishes
    }

    /// The first that does not rest, of those behind `last` and then the rest; when all rest, the next.
    private func choose(after last: Int?, at now: MonotonicTime) -> Int? {
        let start = last.map { $0 + 1 } ?? 0
        let order = upstreams.indices.map { ($0 + start) % upstreams.count }.filter { !upstreams[$0].loops }
        return order.first { upstreams[$0].restsUntil <= now } ?? order.first
    }

    func write(
        _ reply: DNSReply, _ age: UInt32, to query: DNSQuery, _ target: DNSName, _ chain: [DNSRecord], _ limit: Int,
        _ out: inout [UInt8]
    ) {
        if chain.isEmpty { return reply.write(to: query, limit: limit, age: age, into: &out) }
        // Pointers lead to the question's name, which is another one here: the records are taken apart once more.
        var whole: [UInt8] = []
        var asked = DNSQuery()
        asked.ask(target, query)
        reply.write(to: asked, limit: DNSLimits.message, age: age, into: &whole)
        guard let message = try? DNSMessage(whole) else { return end(query, chain, .serverFailure, limit, &out) }
        message.reply(after: chain, to: query.name).write(to: query, limit: limit, into: &out)
    }

    /// Says no; what is known of the way there is said all the same.
    func end(
        _ query: DNSQuery, _ chain: [DNSRecord], _ code: DNSCode, _ limit: Int, _ out: inout [UInt8]
    ) {
        var writer = DNSRecordWriter(question: query.name)
        for record in chain { writer.add(record) }
        writer.reply.answers = chain.count
        writer.reply.code = code
        writer.reply.write(to: query, limit: limit, into: &out)
    }
}
