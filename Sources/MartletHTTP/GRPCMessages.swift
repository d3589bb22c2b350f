internal import MartletBase

/// Takes messages out of a stream's data: one byte of flags, four of length, then the message (gRPC over HTTP/2,
/// "Length-Prefixed-Message"). A pure value.
struct GRPCDeframer: Sendable {
    /// Bytes of the largest message, either way.
    static let limit = 16 * 1024 * 1024
    private var buffer = InputBuffer()

    /// Whether a message has begun and not ended.
    var isInMessage: Bool { !buffer.isEmpty }

    /// Adds data and takes out what is whole.
    /// - Throws: ``GRPCStatus`` for a compressed or an over-large message.
    mutating func push(_ bytes: [UInt8]) throws(GRPCStatus) -> [[UInt8]] {
        buffer.append(bytes)
        var messages: [[UInt8]] = []
        while buffer.count >= 5 {
            let start = buffer.start
            guard buffer.bytes[start] == 0 else {
                throw GRPCStatus(code: 12, message: "the server sent a compressed message")
            }
            let length = buffer.bytes[start + 1...start + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= Self.limit else {
                throw GRPCStatus(code: 8, message: "a message of \(length) bytes is over the limit of \(Self.limit)")
            }
            guard buffer.count >= 5 + length else { break }
            buffer.consume(5)
            messages.append(length == 0 ? [] : buffer.take(atMost: length))
        }
        return messages
    }

    /// A message with its prefix.
    static func frame(_ message: [UInt8]) -> [UInt8] {
        let length = UInt32(message.count)
        return [0, UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
            + message
    }
}

/// Small texts of the protocol.
enum GRPCText {
    /// `grpc-timeout`: at most eight digits and a unit.
    static func timeout(_ duration: Duration) -> String {
        let milliseconds = max(1, duration.nanoseconds / 1_000_000)
        if milliseconds <= 99_999_999 { return "\(milliseconds)m" }
        return "\(min(milliseconds / 1000, 99_999_999))S"
    }

    /// The outcome that an HTTP status stands for when no `grpc-status` came.
    static func code(httpStatus: Int) -> Int {
        switch httpStatus {
        case 400: 13
        case 401: 16
        case 403: 7
        case 404: 12
        case 429, 502, 503, 504: 14
        default: 2
        }
    }

    /// The outcome that a reset stream's error code stands for.
    static func code(reset error: UInt32) -> Int {
        switch error {
        case 7: 14  // REFUSED_STREAM
        case 8: 1  // CANCEL
        case 11: 8  // ENHANCE_YOUR_CALM
        case 12: 7  // INADEQUATE_SECURITY
        default: 13
        }
    }
}
