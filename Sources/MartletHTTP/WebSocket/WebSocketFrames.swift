/// Whose side of a WebSocket: a client masks what it sends, a server does not (RFC 6455, section 5.1).
public enum WebSocketRole: Sendable, Hashable {
    /// Opened the connection.
    case client
    /// Accepted it.
    case server
}

/// What a frame carries (RFC 6455, section 5.2).
public enum WebSocketOpcode: UInt8, Sendable, Hashable {
    /// More of a message that has begun.
    case continuation = 0
    /// A message of UTF-8 text begins.
    case text = 1
    /// A message of bytes begins.
    case binary = 2
    /// The connection ends.
    case close = 8
    /// Wants a pong.
    case ping = 9
    /// Answers a ping.
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
}

/// Why a WebSocket ended badly, and the code that the peer is told (RFC 6455, section 7.4.1).
public struct WebSocketError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The close code.
    public var code: UInt16
    /// One line for people.
    public var description: String

    /// The peer broke the protocol.
    static func broken(_ why: String) -> WebSocketError { WebSocketError(code: 1002, description: "WebSocket: \(why)") }
}

/// What came.
public enum WebSocketEvent: Sendable, Hashable {
    /// A piece of a message, as much as has come: whether it is its first, and whether its last.
    case piece([UInt8], isText: Bool, isFirst: Bool, isLast: Bool)
    /// The peer wants these bytes back.
    case ping([UInt8])
    /// Bytes that were sent in a ping.
    case pong([UInt8])
    /// The peer ends the connection: with a code, if it gave one, and its words.
    case close(code: UInt16?, reason: String)
}

/// Reads frames: bytes in, events out. Messages are passed on as they come, so nothing but a control frame is kept.
public struct WebSocketDecoder: Sendable {
    private struct Frame {
        var opcode: WebSocketOpcode
        var isFinal: Bool
        var left: Int
        var mask: [UInt8]
        var offset = 0
        var isFirstPiece = true
    }

    private let role: WebSocketRole
    private let limit: Int
    private var buffer = InputBuffer()
    private var frame: Frame?
    /// The message that fragments belong to, while there is one.
    private var isText: Bool?
    private var messageLength = 0
    private var hasClosed = false

    /// A decoder of what the peer of `role` sends.
    /// - Parameter limit: the longest message, in bytes.
    public init(role: WebSocketRole, limit: Int = .max) {
        self.role = role
        self.limit = limit
    }

    /// Takes in bytes.
    public mutating func feed(_ bytes: [UInt8]) { buffer.append(bytes) }

    /// The next event; nil until more has come. Nothing comes after a close.
    /// - Throws: ``WebSocketError``; the decoder is of no use after it.
    public mutating func next() throws(WebSocketError) -> WebSocketEvent? {
        while !hasClosed {
            if frame == nil {
                guard try readHead() else { return nil }
            }
            guard let current = frame else { return nil }
            if current.opcode.isControl {
                guard buffer.count >= current.left else { return nil }
                let payload = takePayload(current.left)
                frame = nil
                return try control(current.opcode, payload)
            }
            // An empty frame still says where a message begins or ends; in the middle it says nothing.
            if current.left > 0 && buffer.isEmpty { return nil }
            let isFirst = current.isFirstPiece && current.opcode != .continuation
            let payload = takePayload(min(current.left, buffer.count))
            let isDone = frame?.left == 0
            let isLast = isDone && current.isFinal
            let text = isText ?? false
            frame?.isFirstPiece = false
            if isDone { frame = nil }
            if isLast {
                isText = nil
                messageLength = 0
            }
            if payload.isEmpty && !isFirst && !isLast { continue }
            return .piece(payload, isText: text, isFirst: isFirst, isLast: isLast)
        }
        return nil
    }

    private mutating func takePayload(_ count: Int) -> [UInt8] {
        guard var frame else { return [] }
        var bytes = buffer.take(atMost: count)
        if !frame.mask.isEmpty {
            for index in bytes.indices { bytes[index] ^= frame.mask[(frame.offset &+ index) & 3] }
        }
        frame.offset = (frame.offset &+ bytes.count) & 3
        frame.left -= bytes.count
        self.frame = frame
        return bytes
    }

    /// Reads a frame's head; false until it is whole.
    private mutating func readHead() throws(WebSocketError) -> Bool {
        guard buffer.count >= 2 else { return false }
        let (first, second) = (buffer[0], buffer[1])
        guard first & 0x70 == 0 else { throw .broken("reserved bits are set") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .broken("unknown opcode") }
        let isFinal = first & 0x80 != 0
        let isMasked = second & 0x80 != 0
        guard isMasked == (role == .server) else {
            throw .broken(isMasked ? "a server's frame is masked" : "a client's frame is not masked")
        }
        let short = Int(second & 0x7F)
        if opcode.isControl && (!isFinal || short > 125) { throw .broken("a control frame is too long or in parts") }
        let lengthBytes = short == 126 ? 2 : short == 127 ? 8 : 0
        let headLength = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard buffer.count >= headLength else { return false }
        var length = UInt64(short)
        if lengthBytes > 0 {
            length = (0..<lengthBytes).reduce(0) { $0 << 8 | UInt64(buffer[2 + $1]) }
            guard length >> 63 == 0, length > (lengthBytes == 2 ? 125 : 0xFFFF) else { throw .broken("a bad length") }
        }
        if !opcode.isControl { try begin(opcode, length) }
        let mask = isMasked ? (0..<4).map { buffer[headLength - 4 + $0] } : []
        buffer.consume(headLength)
        frame = Frame(opcode: opcode, isFinal: isFinal, left: Int(length), mask: mask)
        return true
    }

    private mutating func begin(_ opcode: WebSocketOpcode, _ length: UInt64) throws(WebSocketError) {
        if opcode == .continuation {
            guard isText != nil else { throw .broken("a continuation of nothing") }
        } else {
            guard isText == nil else { throw .broken("a message begins before the last has ended") }
            isText = opcode == .text
            messageLength = 0
        }
        guard length <= UInt64(limit - messageLength) else {
            throw WebSocketError(code: 1009, description: "WebSocket: a message is over the limit of \(limit) bytes")
        }
        messageLength += Int(length)
    }

    private mutating func control(
        _ opcode: WebSocketOpcode, _ payload: [UInt8]
    ) throws(WebSocketError) -> WebSocketEvent {
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            hasClosed = true
            if payload.isEmpty { return .close(code: nil, reason: "") }
            guard payload.count >= 2 else { throw .broken("a close code of one byte") }
            let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
            guard Self.mayBeSent(code) else { throw .broken("the close code \(code) may not be sent") }
            guard let reason = String(validating: payload[2...], as: UTF8.self) else {
                throw WebSocketError(code: 1007, description: "WebSocket: the reason of a close is not UTF-8")
            }
            return .close(code: code, reason: reason)
        }
    }

    private static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// Writes frames.
public struct WebSocketEncoder: Sendable {
    private let role: WebSocketRole

    /// An encoder of what `role` sends.
    public init(role: WebSocketRole) { self.role = role }

    /// One frame. `mask` is drawn anew for each and used by clients only.
    public func frame(
        _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, mask: UInt32 = 0
    ) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(payload.count + 14)
        out.append((isFinal ? 0x80 : 0) | opcode.rawValue)
        let maskBit: UInt8 = role == .client ? 0x80 : 0
        switch payload.count {
        case ...125: out.append(maskBit | UInt8(payload.count))
        case ...0xFFFF: out += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            out.append(maskBit | 127)
            for shift in stride(from: 56, through: 0, by: -8) { out.append(UInt8(payload.count >> shift & 0xFF)) }
        }
        guard role == .client else { return out + payload }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> (24 - 8 * UInt32($0))) }
        out += key
        for (index, byte) in payload.enumerated() { out.append(byte ^ key[index & 3]) }
        return out
    }

    /// A close frame; the reason is cut to what fits.
    public func close(code: UInt16, reason: String, mask: UInt32 = 0) -> [UInt8] {
        var text: [UInt8] = []
        for character in reason where text.count + character.utf8.count <= 123 { text += character.utf8 }
        return frame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + text, mask: mask)
    }
}
