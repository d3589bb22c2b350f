import FuzzSupport
import HTTPTypes
import Logging
import MartletBase
import MartletHTTP
import MartletIO
import Testing

@Suite("PROXY protocol") struct ProxyPrefaceTests {
    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

    private static func binary(_ command: UInt8, _ kind: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, kind, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
    }
    private static let four = binary(0x21, 0x11, [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xBB])
    /// With a field behind the addresses.
    private static let six: [UInt8] = {
        let source: [UInt8] = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
        let ports: [UInt8] = [0xFF, 0xFF, 0, 80]
        let field: [UInt8] = [3, 0, 1, 9]
        return binary(0x21, 0x21, [source, source, ports, field].flatMap { $0 })
    }()

    /// Takes a preface as a stream would: what is missing and no more, in pieces of at most `piece` bytes.
    private func take(_ bytes: [UInt8], piece: Int = .max) -> (ProxyPreface.Reading, left: Int) {
        var taken = 0
        while true {
            let reading = ProxyPreface.read(Array(bytes[..<taken]))
            guard case .incomplete(let missing) = reading, taken < bytes.count else {
                return (reading, bytes.count - taken)
            }
            #expect(missing > 0)
            taken += min(missing, piece, bytes.count - taken)
        }
    }

    @Test("both versions are read, whole or in pieces, and nothing of what follows is taken")
    func good() {
        let cases: [([UInt8], Endpoint?)] = [
            (Array("PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n".utf8), .ip("192.0.2.7", port: 12345)),
            (Array("PROXY TCP6 2001:db8::7 ::1 0 65535\r\n".utf8), .ip("2001:db8::7", port: 0)),
            (Array("PROXY UNKNOWN\r\n".utf8), nil),
            (Array("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".utf8), nil),
            (Self.four, .ip("192.0.2.7", port: 12345)), (Self.six, .ip("2001:db8::7", port: 65535)),
            (ProxyPreface.local, nil), (Self.binary(0x20, 0x11, [1, 2, 3]), nil),
            (Self.binary(0x21, 0x31, [UInt8](repeating: 0, count: 216)), nil), (Self.binary(0x21, 0, []), nil),
        ]
        for (bytes, source) in cases {
            for piece in [1, 2, 7, .max] {
                let (reading, left) = take(bytes + Array("GET / HTTP/1.1\r\n".utf8), piece: piece)
                #expect(reading == .complete(source: source) && left == 16, "\(bytes) in pieces of \(piece)")
            }
            for count in 0..<bytes.count {
                guard case .incomplete = take(Array(bytes[..<count])).0 else {
                    Issue.record("\(count) bytes of \(bytes) are not incomplete")
                    continue
                }
            }
        }
    }

    @Test("what is written is read again, in both versions and of both kinds of addresses")
    func written() {
        let four = IPAddress("192.0.2.7"), six = IPAddress("2001:db8::7")
        let pod = Endpoint.ip("10.244.1.2", port: 8080), podOfSix = Endpoint.ip("fd00::2", port: 80)
        #expect(
            ProxyPreface.written(.one, source: four, port: 12345, target: pod)
                == Array("PROXY TCP4 192.0.2.7 10.244.1.2 12345 8080\r\n".utf8))
        #expect(
            ProxyPreface.written(.one, source: six, port: 0, target: pod)
                == Array("PROXY TCP6 2001:db8::7 ::ffff:10.244.1.2 0 8080\r\n".utf8))
        #expect(
            ProxyPreface.written(.two, source: four, port: 12345, target: .ip("198.51.100.1", port: 443)) == Self.four)
        for version in [ProxyPreface.Version.one, .two] {
            for target in [pod, podOfSix] {
                let bytes = ProxyPreface.written(version, source: six, port: 7, target: target)
                #expect(ProxyPreface.read(bytes) == .complete(source: .ip("2001:db8::7", port: 7)))
            }
            let mixed = ProxyPreface.written(version, source: four, port: 7, target: podOfSix)
            #expect(ProxyPreface.read(mixed) == .complete(source: .ip("::ffff:c000:207", port: 7)))
            for target in [pod, .unix("/run/pod")] {
                let bytes = ProxyPreface.written(version, source: target == pod ? nil : four, port: 7, target: target)
                #expect(ProxyPreface.read(bytes) == .complete(source: nil))
            }
        }
    }

    @Test("what is none is refused")
    func bad() {
        let texts = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\n\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n", "PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 01 443\r\n",
            "PROXY TCP4  192.0.2.7 198.51.100.1 1 443\r\n", "PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n", "PROXY \r\nPROXY UNKNOWN\r\n",
            "PROXY UNKNOWN" + String(repeating: "x", count: 200) + "\r\n", "PROXYX UNKNOWN xxx\r\n",
        ].map { Array($0.utf8) }
        let wrong: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 11, 0x21, 0x11, 0, 0]
        let binaries: [[UInt8]] = [
            Self.binary(0x11, 0x11, [UInt8](repeating: 0, count: 12)), Self.binary(0x22, 0x11, []),
            Self.binary(0x21, 0x11, [1, 2, 3]), Self.binary(0x21, 0x12, [UInt8](repeating: 0, count: 12)),
            Self.binary(0x21, 0x41, []), Self.binary(0x21, 0x11, [UInt8](repeating: 0, count: 5000)),
            wrong,
        ]
        for bytes in texts + binaries {
            guard case .malformed = take(bytes).0 else {
                Issue.record("\(String(decoding: bytes, as: UTF8.self)) is taken")
                continue
            }
        }
    }

    @Test("fuzz: no bytes trap, and none are waited for without an end")
    func fuzz() {
        var random = SplitMix64(state: Fuzz.seed(11))
        let seeds = [
            Array("PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n".utf8),
            Array("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8), Self.four, Self.six,
            ProxyPreface.local,
        ]
        for _ in 0..<Fuzz.runs(20_000) {
            let seed = seeds[Int(random.next() % UInt64(seeds.count))]
            let bytes = Fuzz.spoiled(seed, &random)
            _ = ProxyPreface.read(bytes)
            let (reading, _) = take(bytes, piece: Int(random.next() % 9) + 1)
            if case .complete(.ip(let address, _)?) = reading { #expect(IPAddress(address) != nil) }
            if bytes.count > 4096, case .incomplete = reading { Issue.record("it waits for more than 4096 bytes") }
        }
    }

    @Test("a server believes a load balancer, and ends connections of one that says nothing")
    func server() async throws {
        let world = try Reactor()
        try await withTaskExecutorPreference(world.executor) {
            for hasPreface in [true, false] {
                let server = try await HTTPServer.start(
                    on: .ip("127.0.0.1", port: 0), in: world, preface: { _ in hasPreface },
                    logger: Logger(label: "test"), handler: PeerTeller())
                let request = Array("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8)
                for (preface, wanted) in [(Self.four, "192.0.2.7:12345 true"), (ProxyPreface.local, "127.0.0.1:")] {
                    let answer = try await said(preface + request, to: server, world)
                    #expect(answer.contains(wanted) == hasPreface, "\(answer)")
                    #expect(answer.hasPrefix("HTTP/1.1 400") != hasPreface, "\(answer)")
                }
                let plain = try await said(request, to: server, world)
                #expect(hasPreface ? plain.isEmpty : plain.contains("127.0.0.1:") && plain.contains("false"))
                await server.shutdown(grace: .zero)
            }
        }
        world.shutdown()
    }

    private func said(_ bytes: [UInt8], to server: HTTPServer, _ world: Reactor) async throws -> String {
        let stream = try await world.connect(to: server.endpoint)
        try await stream.write(bytes)
        var all: [UInt8] = []
        while let more = try? await stream.read(atMost: 4096), !more.isEmpty { all += more }
        stream.close()
        return String(decoding: all, as: UTF8.self)
    }
}

private struct PeerTeller: RequestHandler {
    func handle(_ request: Request) async -> Response {
        let peer = request.peer
        return Response(
            status: .ok, contentType: "text/plain",
            bytes: Array("\(peer.endpoint.map { "\($0)" } ?? "nobody") \(peer.isBehindBalancer)".utf8))
    }
}
