import MartletBase
import MartletObject
import Testing

@testable import MartletRoutes

private let first = Endpoint.ip("192.0.2.1", port: 53)
private let second = Endpoint.ip("192.0.2.2", port: 53)

extension DNSTeller {
    /// What a resolver was asked, of the wishes that came last.
    fileprivate var asked: (number: UInt64, endpoint: Endpoint, message: [UInt8], overTCP: Bool)? {
        for case .ask(let number, let endpoint, let message, let overTCP) in wishes {
            return (number, endpoint, message, overTCP)
        }
        return nil
    }

    /// The resolver answers the question that was asked last with these records.
    fileprivate mutating func answer(
        code: UInt8 = 0, flags: UInt8 = 0, ttl: UInt8 = 60, _ records: [[UInt8]] = [[192, 0, 2, 9]]
    ) {
        guard let asked else { return }
        var bytes = Array(asked.message.dropLast(11))
        bytes[2] = 0x81 | flags
        bytes[3] = 0x80 | code
        bytes[7] = UInt8(records.count)
        bytes[11] = 0
        for data in records { bytes += [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, UInt8(data.count)] + data }
        hear(bytes, asked.number)
    }

    fileprivate mutating func hear(_ bytes: [UInt8], _ number: UInt64) {
        wishes = responder.forwarder.heard(bytes, number: number, at: now, chance: { 43 })
    }

    /// Time passes, and with it what is waited for.
    fileprivate mutating func wait(_ time: Duration) {
        now = now + time
        wishes = responder.forwarder.expire(at: now, chance: { 44 })
    }

    /// What clients are told, in words.
    fileprivate var told: [[String]] {
        wishes.compactMap { wish in
            guard case .answer(_, let bytes) = wish, let message = try? DNSMessage(bytes) else { return nil }
            let code = DNSCode(rawValue: message.code)!
            return (code == .noError ? [] : ["\(code)"]) + message.sections[0].map(Self.words)
        }
    }
}

@Suite("Names outside of the cluster") struct DNSForwarderTests {
    @Test("a resolver is asked once for many, and its answer is kept and becomes older")
    func cache() throws {
        var dns = DNSTeller(upstreams: [first])
        #expect(dns.send(DNSTeller.question("www.outside.test")) == [])
        #expect(dns.responder.isPending)
        let question = try #require(dns.asked)
        #expect(question.endpoint == first)
        #expect(dns.send(DNSTeller.question("WWW.outside.test")) == [])
        #expect(dns.asked == nil)
        dns.wishes = [.ask(number: question.number, first, message: question.message, overTCP: false)]
        dns.answer()
        #expect(dns.told == [["192.0.2.9"], ["192.0.2.9"]])
        dns.now = dns.now + .seconds(20)
        let kept = try DNSMessage(dns.send(DNSTeller.question("www.outside.test")))
        #expect(kept.sections[0].map(\.ttl) == [40])
        dns.now = dns.now + .seconds(40)
        #expect(dns.send(DNSTeller.question("www.outside.test")) == [])
    }

    @Test("the next resolver is asked when one does not answer or cannot; the one at fault is asked last for a while")
    func nextResolver() {
        var dns = DNSTeller(upstreams: [first, second])
        _ = dns.send(DNSTeller.question("a.test"))
        #expect(dns.asked?.endpoint == first)
        dns.wait(DNSLimits.attempt)
        #expect(dns.asked?.endpoint == second)
        dns.answer(code: DNSCode.serverFailure.rawValue)
        #expect(dns.asked?.endpoint == second, "the first rests")
        dns.answer()
        #expect(dns.told == [["192.0.2.9"]])
        _ = dns.send(DNSTeller.question("b.test"))
        #expect(dns.asked?.endpoint == second)
    }

    @Test("when none answers the client is told, and so is who asks next")
    func allFail() {
        var dns = DNSTeller(upstreams: [first])
        _ = dns.send(DNSTeller.question("a.test"))
        for _ in 1..<DNSLimits.attempts { dns.wait(DNSLimits.attempt) }
        #expect(dns.told == [])
        dns.wait(DNSLimits.attempt)
        #expect(dns.told == [["serverFailure"]])
        #expect(dns.ask("a.test") == ["serverFailure"])
        #expect(dns.responder.forwarder.nextDeadline == nil)
    }

    @Test("an answer that was cut off is asked for over TCP")
    func overTCP() {
        var dns = DNSTeller(upstreams: [first])
        _ = dns.send(DNSTeller.question("a.test"))
        dns.answer(flags: 2, [])
        #expect(dns.asked?.overTCP == true)
        dns.answer()
        #expect(dns.told == [["192.0.2.9"]])
    }

    @Test("what does not fit the question is not the answer")
    func foreignAnswers() throws {
        var dns = DNSTeller(upstreams: [first])
        _ = dns.send(DNSTeller.question("a.test"))
        let question = try #require(dns.asked)
        var wrongID = question.message
        wrongID[1] ^= 1
        wrongID[2] |= 0x80
        dns.hear(wrongID, question.number)
        #expect(dns.wishes == [])
        var wrongName = question.message
        wrongName[13] = UInt8(ascii: "b")
        wrongName[2] |= 0x80
        dns.hear(wrongName, question.number)
        #expect(dns.wishes == [])
        dns.hear(question.message, question.number)
        #expect(dns.wishes == [], "a question is no answer")
    }

    @Test("an alias that leads out of the cluster is followed there")
    func alias() throws {
        let outside: JSON = [
            "metadata": ["name": "out", "namespace": "default"],
            "spec": ["type": "ExternalName", "externalName": "www.outside.test"],
        ]
        var dns = DNSTeller([(.service, outside)], upstreams: [first])
        #expect(dns.send(DNSTeller.question("out.default.svc.cluster.local")) == [])
        #expect(try DNSMessage(#require(dns.asked).message).name.description == "www.outside.test.")
        dns.answer()
        #expect(dns.told == [["www.outside.test.", "192.0.2.9"]])
        #expect(dns.ask("out.default.svc.cluster.local") == ["www.outside.test.", "192.0.2.9"], "from memory")
    }

    @Test("a resolver that leads back here is found out and left alone")
    func loop() throws {
        var dns = DNSTeller(upstreams: [first])
        var chance: UInt64 = 0
        dns.wishes = dns.responder.forwarder.probe(at: dns.now) {
            chance += 1
            return chance
        }
        let probe = try #require(dns.asked)
        let answer = dns.send(probe.message)
        #expect(dns.wishes == [.loop(first)])
        #expect(answer[3] & 15 == DNSCode.refused.rawValue)
        #expect(dns.ask("a.test") == ["serverFailure"])
    }

    @Test("questions that wait are bounded, and the one too many is told so at once")
    func bounded() {
        var dns = DNSTeller(upstreams: [first])
        for number in 0..<DNSLimits.exchanges { #expect(dns.send(DNSTeller.question("n\(number).test")) == []) }
        #expect(dns.ask("one-more.test") == ["serverFailure"])
        #expect(dns.responder.forwarder.inFlight == DNSLimits.exchanges)
    }

    @Test("who does not wish for recursion gets none")
    func noRecursion() throws {
        var dns = DNSTeller(upstreams: [first])
        let answer = try DNSMessage(dns.send(DNSTeller.question("a.test", flags: 0)))
        #expect(answer.code == DNSCode.refused.rawValue)
    }
}

@Suite("Answers that are kept") struct DNSCacheTests {
    private func reply(_ bytes: Int = 4) -> DNSReply {
        var reply = DNSReply()
        reply.add(DNSType.a, ttl: 60, data: [UInt8](repeating: 1, count: bytes))
        return reply
    }
    private func key(_ number: Int) -> DNSQuestion {
        DNSQuestion(name: DNSName("n\(number).test")!, type: DNSType.a, recordClass: 1)
    }

    @Test("what is asked for again stays longest")
    func eviction() {
        let now = MonotonicTime(nanoseconds: 0)
        var cache = DNSCache(most: 10)
        for number in 0..<10 { cache.put(reply(), for: key(number), seconds: 60, at: now) }
        _ = cache.find(key(0), at: now)
        for number in 10..<15 { cache.put(reply(), for: key(number), seconds: 60, at: now) }
        #expect(cache.count == 10)
        #expect(cache.find(key(0), at: now) != nil)
        #expect(cache.find(key(1), at: now) == nil)
    }

    @Test("bytes are bounded, and count what is there, through any changes")
    func bytes() {
        var random = SplitMix64(seed: 3)
        var cache = DNSCache(most: 50, mostBytes: 20_000)
        var now = MonotonicTime(nanoseconds: 0)
        for _ in 0..<5000 {
            let key = key(Int.random(in: 0..<100, using: &random))
            let size = Int.random(in: 0..<2000, using: &random)
            cache.put(reply(size), for: key, seconds: UInt32.random(in: 0..<9, using: &random), at: now)
            _ = cache.find(self.key(Int.random(in: 0..<100, using: &random)), at: now)
            #expect(cache.count <= 50 && cache.bytes <= 20_000 && cache.bytes >= 0)
            now = now + .milliseconds(200)
        }
        now = now + .seconds(20)
        for number in 0..<100 { #expect(cache.find(key(number), at: now) == nil) }
        #expect(cache.bytes == 0)
    }
}
