public import MartletBase

/// What a load balancer says of a connection before the connection's first byte: HAProxy's PROXY protocol, version 1 (a
/// line of text) and 2 (binary).
public enum ProxyPreface {
    /// What a look at a connection's first bytes came to.
    public enum Reading: Sendable, Hashable {
        /// At least so many more bytes belong to it: whoever reads no more of them takes none of what follows.
        case incomplete(missing: Int)
        /// It is whole. `source` is the client; nil when the load balancer speaks for itself, or knows no address.
        case complete(source: Endpoint?)
        /// These bytes are none; says why.
        case malformed(String)
    }

    /// Bytes of version 1 at most, as the protocol says.
    static let longestLine = 107
    /// Bytes of version 2 at most: addresses, and room for what may follow them (TLS, names).
    static let longest = 4096

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let word = Array("PROXY ".utf8)
    /// The shortest line there is: `PROXY UNKNOWN` and its end. Version 2 is longer.
    private static let shortest = 15

    /// Reads a preface of either version; `bytes` are all that have come of it so far, and no more.
    public static func read(_ bytes: [UInt8]) -> Reading {
        let first = bytes.first ?? signature[0]
        if first == signature[0] { return readBinary(bytes) }
        if first == word[0] { return readLine(bytes) }
        return .malformed("it begins with no PROXY header")
    }

    // MARK: Version 1

    private static func readLine(_ bytes: [UInt8]) -> Reading {
        for (byte, wanted) in zip(bytes, word) where byte != wanted {
            return .malformed("it begins with no PROXY header")
        }
        if bytes.count < shortest { return .incomplete(missing: shortest - bytes.count) }
        guard bytes.count <= longestLine else { return .malformed("its PROXY line has no end") }
        guard bytes.suffix(2).elementsEqual([0x0D, 0x0A]) else {
            if bytes.count == longestLine { return .malformed("its PROXY line has no end") }
            if bytes.dropLast().contains(0x0D) || bytes.contains(0x0A) {
                return .malformed("its PROXY line ends in its middle")
            }
            return .incomplete(missing: bytes.last == 0x0D ? 1 : 2)
        }
        let line = bytes.dropFirst(word.count).dropLast(2)
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        switch parts.first {
        case "UNKNOWN": return .complete(source: nil)
        case "TCP4", "TCP6":
            guard parts.count == 5, let source = IPAddress(parts[1]), let target = IPAddress(parts[2]),
                source.family == target.family, (source.family == .ipv4) == (parts[0] == "TCP4"),
                let port = self.port(parts[3]), self.port(parts[4]) != nil
            else { return .malformed("its PROXY line names no addresses") }
            return .complete(source: .ip(source.description, port: port))
        default: return .malformed("its PROXY line names no protocol")
        }
    }

    /// A port in decimal, without zeros before it.
    private static func port(_ text: String) -> UInt16? {
        guard text.utf8.allSatisfy({ Characters.isDigit($0) }), text == "0" || !text.hasPrefix("0") else { return nil }
        return UInt16(text)
    }

    // MARK: Version 2

    private static func readBinary(_ bytes: [UInt8]) -> Reading {
        for (byte, wanted) in zip(bytes, signature) where byte != wanted {
            return .malformed("it begins with no PROXY header")
        }
        if bytes.count < 16 { return .incomplete(missing: bytes.count < shortest ? shortest - bytes.count : 1) }
        guard bytes[12] >> 4 == 2 else { return .malformed("its PROXY header is of version \(bytes[12] >> 4)") }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard 16 + length <= longest else { return .malformed("its PROXY header has \(length) bytes") }
        if bytes.count < 16 + length { return .incomplete(missing: 16 + length - bytes.count) }
        switch bytes[12] & 15 {
        case 0: return .complete(source: nil)
        case 1: return readAddresses(bytes[16...], kind: bytes[13])
        default: return .malformed("its PROXY header has the command \(bytes[12] & 15)")
        }
    }

    private static func readAddresses(_ bytes: ArraySlice<UInt8>, kind: UInt8) -> Reading {
        let size: Int
        switch kind >> 4 {
        case 1: size = 4
        case 2: size = 16
        // No address of a network (UNSPEC, UNIX): the load balancer knows nothing to tell.
        case 0, 3: return .complete(source: nil)
        default: return .malformed("its PROXY header has the family \(kind >> 4)")
        }
        guard kind & 15 == 1 else { return .malformed("its PROXY header is of no TCP connection") }
        guard bytes.count >= 2 * size + 4, let address = IPAddress(bytes: Array(bytes.prefix(size))) else {
            return .malformed("its PROXY header is too short for its addresses")
        }
        let at = bytes.startIndex + 2 * size
        return .complete(source: .ip(address.description, port: UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])))
    }

    // MARK: Writing

    /// Version 2's word that whoever connects speaks for itself, as for health checks.
    public static let local: [UInt8] = signature + [0x20, 0x00, 0x00, 0x00]

    /// How a preface is written.
    public enum Version: Sendable, Hashable {
        /// A line of text.
        case one
        /// Binary.
        case two
    }

    /// What is said of a connection to `target` that is made for a client; of an unknown one, that whoever connects
    /// speaks for itself. Addresses of both kinds are written as IPv6.
    public static func written(_ version: Version, source: IPAddress?, port: UInt16, target: Endpoint) -> [UInt8] {
        guard let source, case .ip(let text, let targetPort) = target, let place = IPAddress(text) else {
            return version == .one ? Array("PROXY UNKNOWN\r\n".utf8) : local
        }
        let isFour = source.family == .ipv4 && place.family == .ipv4
        switch version {
        case .one:
            let (from, to) = isFour ? ("\(source)", "\(place)") : (source.textInSix, place.textInSix)
            return Array("PROXY TCP\(isFour ? 4 : 6) \(from) \(to) \(port) \(targetPort)\r\n".utf8)
        case .two:
            var rest = isFour ? source.bytes + place.bytes : source.bytesInSix + place.bytesInSix
            for port in [port, targetPort] { rest += [UInt8(port >> 8), UInt8(port & 255)] }
            return signature + [0x21, isFour ? 0x11 : 0x21, 0, UInt8(rest.count)] + rest
        }
    }

    // MARK: On a stream

    /// Takes the preface off a connection, and not a byte more.
    /// - Returns: the client, where the load balancer names one.
    /// - Throws: ``HTTPError/malformed(_:)``, ``HTTPError/unexpectedEnd``, or what reading throws.
    static func take(from stream: any ByteStream) async throws -> Endpoint? {
        var bytes: [UInt8] = []
        while true {
            switch read(bytes) {
            case .complete(let source): return source
            case .malformed(let why): throw HTTPError.malformed(why)
            case .incomplete(let missing):
                let more = try await stream.read(atMost: missing)
                if more.isEmpty { throw HTTPError.unexpectedEnd }
                bytes += more
            }
        }
    }
}

extension IPAddress {
    /// An IPv4 address as IPv6 maps it (RFC 4291, 2.5.5.2).
    fileprivate var bytesInSix: [UInt8] {
        family == .ipv4 ? [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + bytes : bytes
    }
    fileprivate var textInSix: String { family == .ipv4 ? "::ffff:\(self)" : "\(self)" }
}

/// A world whose connections begin with a preface: for speaking to servers as a load balancer does.
public struct PrefacedWorld: WorldInFront {
    /// The world behind.
    public let world: any World
    private let preface: @Sendable (Endpoint) -> [UInt8]

    /// `world`, with a preface before what is said; by default that nobody is spoken for.
    /// - Parameter preface: given whom the connection leads to.
    public init(
        world: any World, preface: @escaping @Sendable (Endpoint) -> [UInt8] = { _ in ProxyPreface.local }
    ) {
        self.world = world
        self.preface = preface
    }

    /// Connects, and sends the preface.
    /// - Throws: what connecting or writing throws.
    public func connect(to endpoint: Endpoint) async throws -> any ByteStream {
        let stream = try await world.connect(to: endpoint)
        do { try await stream.write(preface(endpoint)) } catch {
            stream.close()
            throw error
        }
        return stream
    }
}
