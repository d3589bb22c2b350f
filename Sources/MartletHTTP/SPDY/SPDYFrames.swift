/// A frame of SPDY/3.1, with its header block read. DATA comes in pieces, as much as has come.
public enum SPDYFrame: Sendable, Hashable {
    /// SYN_STREAM: the sender opens a stream.
    case open(stream: UInt32, headers: [SPDYHeader], isLast: Bool)
    /// SYN_REPLY: the stream is taken.
    case reply(stream: UInt32, headers: [SPDYHeader], isLast: Bool)
    /// HEADERS: more of them.
    case headers(stream: UInt32, [SPDYHeader], isLast: Bool)
    /// A piece of DATA; with `isLast` the sender's side of the stream has ended.
    case data(stream: UInt32, [UInt8], isLast: Bool)
    /// RST_STREAM: the stream ends at once.
    case reset(stream: UInt32, status: UInt32)
    /// PING; the peer's are to be sent back.
    case ping(UInt32)
    /// GOAWAY: no further streams.
    case goAway(lastStream: UInt32, status: UInt32)
    /// WINDOW_UPDATE; not waited for, since the streams of Kubernetes are bounded by the connection under them.
    case window(stream: UInt32, UInt32)
    /// SETTINGS; none matters here.
    case settings
}

/// A header: its name in lower case.
public struct SPDYHeader: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its value; several are parted by NUL.
    public var value: String
    /// A header.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The peer broke SPDY.
public struct SPDYError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line for people.
    public var description: String
    init(_ why: String) { description = "SPDY: \(why)" }
}

/// Frame types and flags.
private enum Wire {
    static let version: UInt16 = 3
    static let synStream: UInt16 = 1
    static let synReply: UInt16 = 2
    static let rstStream: UInt16 = 3
    static let settings: UInt16 = 4
    static let ping: UInt16 = 6
    static let goAway: UInt16 = 7
    static let headers: UInt16 = 8
    static let windowUpdate: UInt16 = 9
    static let fin: UInt8 = 1
}

/// Reads frames: bytes in, frames out. Of DATA nothing is kept; a control frame is kept until it is whole.
public struct SPDYDecoder: ~Copyable, Sendable {
    private struct Data {
        var stream: UInt32
        var left: Int
        var isLast: Bool
    }
    private var buffer = InputBuffer()
    private var inflater = SPDYInflater()
    private var data: Data?

    /// A decoder of one direction of a connection.
    public init() {}

    /// Takes in bytes.
    public mutating func feed(_ bytes: [UInt8]) { buffer.append(bytes) }

    /// The next frame; nil until more has come. Frames of unknown types are skipped.
    /// - Throws: ``SPDYError``; the decoder is of no use after it.
    public mutating func next() throws(SPDYError) -> SPDYFrame? {
        while true {
            if var current = data {
                if current.left > 0 && buffer.isEmpty { return nil }
                let bytes = buffer.take(atMost: current.left)
                current.left -= bytes.count
                data = current.left > 0 ? current : nil
                let isLast = current.isLast && current.left == 0
                if bytes.isEmpty && !isLast { continue }
                return .data(stream: current.stream, bytes, isLast: isLast)
            }
            guard buffer.count >= 8 else { return nil }
            let first = word(0)
            let flags = buffer[4]
            let length = Int(word(4) & 0xFF_FFFF)
            if first >> 31 == 0 {
                guard first != 0 else { throw SPDYError("DATA for stream 0") }
                buffer.consume(8)
                data = Data(stream: first, left: length, isLast: flags & Wire.fin != 0)
                continue
            }
            guard UInt16(first >> 16 & 0x7FFF) == Wire.version else { throw SPDYError("only version 3 is spoken here") }
            guard length <= SPDYBounds.controlFrame else {
                throw SPDYError("a control frame is over the limit of \(SPDYBounds.controlFrame) bytes")
            }
            guard buffer.count >= 8 + length else { return nil }
            buffer.consume(8)
            let payload = buffer.take(atMost: length)
            if let frame = try control(UInt16(first & 0xFFFF), flags, payload) { return frame }
        }
    }

    private func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 << 8 | UInt32(buffer[offset + $1]) } }

    private mutating func control(
        _ type: UInt16, _ flags: UInt8, _ payload: [UInt8]
    ) throws(SPDYError) -> SPDYFrame? {
        func word(_ offset: Int) throws(SPDYError) -> UInt32 {
            guard payload.count >= offset + 4 else { throw SPDYError("a control frame is too short") }
            return (0..<4).reduce(0) { $0 << 8 | UInt32(payload[offset + $1]) }
        }
        func stream() throws(SPDYError) -> UInt32 {
            let id = try word(0) & 0x7FFF_FFFF
            guard id != 0 else { throw SPDYError("a frame for stream 0") }
            return id
        }
        let isLast = flags & Wire.fin != 0
        switch type {
        case Wire.synStream:
            guard payload.count >= 10 else { throw SPDYError("a SYN_STREAM is too short") }
            return .open(stream: try stream(), headers: try headers(payload[10...]), isLast: isLast)
        case Wire.synReply: return .reply(stream: try stream(), headers: try headers(payload[4...]), isLast: isLast)
        case Wire.headers: return .headers(stream: try stream(), try headers(payload[4...]), isLast: isLast)
        case Wire.rstStream: return .reset(stream: try stream(), status: try word(4))
        case Wire.ping: return .ping(try word(0))
        case Wire.goAway: return .goAway(lastStream: try word(0) & 0x7FFF_FFFF, status: try word(4))
        case Wire.windowUpdate:
            return .window(stream: try word(0) & 0x7FFF_FFFF, try word(4) & 0x7FFF_FFFF)
        case Wire.settings: return .settings
        default: return nil
        }
    }

    private mutating func headers(_ block: ArraySlice<UInt8>) throws(SPDYError) -> [SPDYHeader] {
        let bytes = try inflater.inflate(Array(block), limit: SPDYBounds.headerBlock)
        var at = 0
        func word() throws(SPDYError) -> Int {
            guard bytes.count - at >= 4 else { throw SPDYError("a header block is too short") }
            defer { at += 4 }
            return (0..<4).reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
        }
        func text() throws(SPDYError) -> String {
            let length = try word()
            guard length <= bytes.count - at else { throw SPDYError("a header block is too short") }
            defer { at += length }
            return String(decoding: bytes[at..<at + length], as: UTF8.self)
        }
        let count = try word()
        guard count <= SPDYBounds.headers else { throw SPDYError("more than \(SPDYBounds.headers) headers") }
        var list: [SPDYHeader] = []
        for _ in 0..<count { list.append(SPDYHeader(try text().lowercased(), try text())) }
        return list
    }
}

/// Writes frames.
public struct SPDYEncoder: ~Copyable, Sendable {
    private var deflater = SPDYDeflater()

    /// An encoder of one direction of a connection: frames must be sent in the order in which they were made.
    public init() {}

    /// The bytes of a frame.
    public mutating func encode(_ frame: SPDYFrame) -> [UInt8] {
        switch frame {
        case .open(let stream, let headers, let isLast):
            let block = Self.word(stream) + Self.word(0) + [0, 0] + deflated(headers)
            return Self.control(Wire.synStream, isLast, block)
        case .reply(let stream, let headers, let isLast):
            return Self.control(Wire.synReply, isLast, Self.word(stream) + deflated(headers))
        case .headers(let stream, let headers, let isLast):
            return Self.control(Wire.headers, isLast, Self.word(stream) + deflated(headers))
        case .data(let stream, let bytes, let isLast):
            precondition(bytes.count <= SPDYBounds.data, "DATA of more than 24 bits of length")
            return Self.word(stream) + Self.word(UInt32(isLast ? Wire.fin : 0) << 24 | UInt32(bytes.count)) + bytes
        case .reset(let stream, let status):
            return Self.control(Wire.rstStream, false, Self.word(stream) + Self.word(status))
        case .ping(let id): return Self.control(Wire.ping, false, Self.word(id))
        case .goAway(let last, let status):
            return Self.control(Wire.goAway, false, Self.word(last) + Self.word(status))
        case .window(let stream, let delta):
            return Self.control(Wire.windowUpdate, false, Self.word(stream) + Self.word(delta))
        case .settings: return Self.control(Wire.settings, false, Self.word(0))
        }
    }

    private mutating func deflated(_ headers: [SPDYHeader]) -> [UInt8] {
        var block = Self.word(UInt32(headers.count))
        for header in headers {
            for text in [header.name.lowercased(), header.value] {
                block += Self.word(UInt32(text.utf8.count))
                block += text.utf8
            }
        }
        return deflater.deflate(block)
    }

    private static func control(_ type: UInt16, _ isLast: Bool, _ payload: [UInt8]) -> [UInt8] {
        [0x80, UInt8(Wire.version), UInt8(type >> 8), UInt8(type & 0xFF)]
            + word(UInt32(isLast ? Wire.fin : 0) << 24 | UInt32(payload.count)) + payload
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }
}

/// The bounds of SPDY here.
enum SPDYBounds {
    /// Bytes of a control frame.
    static let controlFrame = 64 * 1024
    /// Bytes of a header block, inflated.
    static let headerBlock = 64 * 1024
    /// Headers of one block.
    static let headers = 64
    /// Bytes of one DATA frame that is written.
    static let data = 0xFF_FFFF
}
