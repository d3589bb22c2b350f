import FuzzSupport
import MartletBase
import MartletPKI
import Testing

@testable import MartletHTTP

@Suite("TLS against bad bytes") struct TLSFuzzTests {
    typealias Certificates = TestCertificates

    func client() throws -> TLSClient {
        try TLSClient(authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM, alpn: ["h2", "http/1.1"])
    }

    /// A client's first flight.
    func clientHello() throws -> [UInt8] {
        var pump = try client().makePump(serverName: "api.test")
        #expect(pump.handshake { _ in nil } == .wantsInput)
        return pump.takeOutput()
    }

    /// Some bytes changed, cut, doubled or put in.
    static func mutate(_ bytes: [UInt8], with random: inout MartletBase.SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0...Int.random(in: 0..<4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default: bytes.insert(contentsOf: bytes[place...].prefix(40), at: place)
            }
        }
        return bytes
    }

    @Test("no mutated hello and no random bytes trap a server or make it send without end")
    func serverTakesAnything() throws {
        let server = try TLSServer(identity: try Certificates.server(), alpn: ["h2", "http/1.1"])
        let hello = try clientHello()
        var random = MartletBase.SplitMix64(seed: Fuzz.seed(7))
        var (failed, waiting) = (0, 0)
        for round in 0..<Fuzz.runs(10_000) {
            let input =
                round % 4 == 0
                ? (0..<Int.random(in: 0..<300, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                : Self.mutate(hello, with: &random)
            var pump = try server.makePump()
            pump.feed(input)
            switch pump.handshake(identity: server.identity) {
            case .done: Issue.record("a handshake was done after round \(round)'s first flight")
            case .failed(let reason):
                #expect(!reason.isEmpty)
                failed += 1
            case .wantsInput: waiting += 1
            }
            #expect(pump.takeOutput().count < 10_000)
        }
        // Both happen, or the mutations were too mild or too wild to test anything.
        #expect(failed > 1000)
        #expect(waiting > 1000)
    }

    @Test("no mutated answer of a server traps a client or is believed")
    func clientTakesAnything() throws {
        let server = try TLSServer(identity: try Certificates.server(), alpn: ["h2", "http/1.1"])
        let client = try client()
        var random = MartletBase.SplitMix64(seed: Fuzz.seed(8))
        for _ in 0..<Fuzz.runs(1000) {
            var here = try server.makePump()
            var there = try client.makePump(serverName: "api.test")
            _ = there.handshake { _ in nil }
            here.feed(there.takeOutput())
            #expect(here.handshake(identity: server.identity) == .wantsInput)
            let flight = here.takeOutput()
            let changed = Self.mutate(flight, with: &random)
            there.feed(changed)
            let step = there.handshake { _ in nil }
            if step == .done { #expect(changed.starts(with: flight), "a changed handshake was believed") }
        }
    }

    static func shakeHands(_ here: inout TLSPump, _ server: TLSServer, _ there: inout TLSPump) {
        _ = there.handshake { _ in nil }
        here.feed(there.takeOutput())
        _ = here.handshake(identity: server.identity)
        there.feed(here.takeOutput())
        let clientStep = there.handshake { _ in nil }
        here.feed(there.takeOutput())
        let serverStep = here.handshake(identity: server.identity)
        #expect(clientStep == .done && serverStep == .done)
    }

    @Test("a batch is sealed whole, and leaves no buffer behind")
    func sealing() throws {
        let server = try TLSServer(identity: try Certificates.server())
        var here = try server.makePump()
        var there = try TLSClient(authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM)
            .makePump(serverName: "api.test")
        Self.shakeHands(&here, server, &there)
        for count in [1, 16 * 1024, 16 * 1024 + 1, TLSPump.batchSize] {
            let bytes = TLSStreamTests.pattern(count, seed: UInt64(count))
            let sealed = here.seal(bytes.span)
            there.feed(try #require(sealed))
            let received = there.read(atMost: 2 * count)
            #expect(received == .bytes(bytes))
        }
        // Once it waits for its peer, the memory of the handshake is gone, too.
        let answer = here.read(atMost: 1)
        let held = here.bufferSize
        #expect(answer == .wantsInput && held <= 2048)
    }

    @Test("keys change while bytes go both ways, and asking for new keys without end fills no memory")
    func keyUpdates() throws {
        let server = try TLSServer(identity: try Certificates.server())
        var here = try server.makePump()
        var there = try TLSClient(authoritiesPEM: try Certificates.trusted().keyPair.certificatePEM)
            .makePump(serverName: "api.test")
        Self.shakeHands(&here, server, &there)
        for round in 0..<20 {
            let bytes = [UInt8](repeating: UInt8(round), count: 1000)
            let isUpdated = there.updateKeys()
            let sent = there.seal(bytes.span)
            here.feed(try #require(sent))
            let received = here.read(atMost: 2000)
            let sentBack = here.seal(bytes.span)
            there.feed(try #require(sentBack))
            let answer = there.read(atMost: 2000)
            #expect(isUpdated)
            #expect(received == .bytes(bytes))
            #expect(answer == .bytes(bytes))
        }
        var most = 0
        for _ in 0..<Fuzz.runs(5000) {
            guard there.updateKeys() else { break }
            here.feed(there.takeOutput())
            guard here.read(atMost: 2000) == .wantsInput else { break }
            most = max(most, here.outputCount)
        }
        #expect(most > 0 && most <= TLSPump.unsentLimit)
    }

    @Test("TLS 1.1 is refused")
    func oldVersion() throws {
        let server = try TLSServer(identity: try Certificates.server())
        // A hello of TLS 1.1 (RFC 4346, 7.4.1.2): version, random, no session, two cipher suites, no compression.
        let body: [UInt8] =
            [3, 2] + [UInt8](repeating: 9, count: 32) + [0] + [0, 4, 0xC0, 0x09, 0xC0, 0x13] + [1, 0]
        let handshake: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        var pump = try server.makePump()
        pump.feed([22, 3, 1, 0, UInt8(handshake.count)] + handshake)
        guard case .failed(let reason) = pump.handshake(identity: server.identity) else {
            Issue.record("a hello of TLS 1.1 was not refused")
            return
        }
        #expect(reason.hasPrefix("no TLS version in common; TLS 1.2 and 1.3 are spoken here"))
        // An alert: protocol_version (70).
        #expect(Array(pump.takeOutput().suffix(2)) == [2, 70])
    }

    @Test("plain HTTP to a TLS port is named as what it is")
    func plainHTTP() throws {
        let server = try TLSServer(identity: try Certificates.server())
        var pump = try server.makePump()
        pump.feed(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        guard case .failed(let reason) = pump.handshake(identity: server.identity) else {
            Issue.record("plain HTTP was taken for TLS")
            return
        }
        #expect(reason.hasPrefix("the peer spoke plain HTTP to a TLS port"))
    }
}
