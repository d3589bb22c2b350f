internal import DequeModule
internal import MartletBase

/// Takes messages out of a stream's data: one byte of flags, four of length, then the message (gRPC over HTTP/2,
/// "Length-Prefixed-Message"). A pure value.
struct GRPCDeframer: Sendable {
    /// Bytes of the largest message, where no other bound is given.
    static let limit = 16 * 1024 * 1024
    private let limit: Int
    /// The prefix of the message that is coming, as far as it has come.
    private var prefix: UInt64 = 0
    private var prefixCount = 0
    /// The message that is coming: grows with what has come, never with what was announced.
    private var message: [UInt8] = []
    private var missing = 0

    /// - Parameter limit: bytes of the largest message.
    init(limit: Int = Self.limit) { self.limit = limit }

    /// Whether a message has begun and not ended.
    var isInMessage: Bool { prefixCount > 0 }

    /// Takes the next whole message from the front of `bytes`; nil when all bytes are taken in and none is whole.
    /// - Throws: ``GRPCStatus`` for a compressed or an over-large message.
    mutating func next(_ bytes: inout UnsafeBufferPointer<UInt8>.SubSequence) throws(GRPCStatus) -> [UInt8]? {
        while prefixCount < 5 {
            guard let byte = bytes.popFirst() else { return nil }
            prefix = prefix << 8 | UInt64(byte)
            prefixCount += 1
            if prefixCount == 5 { try begin() }
        }
        let count = min(missing, bytes.count)
        let piece = UnsafeBufferPointer(rebasing: bytes.prefix(count))
        if message.isEmpty { message = Array(piece) } else { message.append(contentsOf: piece) }
        bytes = bytes.dropFirst(count)
        missing -= count
        if missing > 0 { return nil }
        defer { message = [] }
        (prefix, prefixCount) = (0, 0)
        return message
    }

    private mutating func begin() throws(GRPCStatus) {
        guard prefix >> 32 == 0 else {
            throw GRPCStatus(code: 12, message: "a message is compressed, and no compression was agreed on")
        }
        missing = Int(prefix)
        guard missing <= limit else {
            throw GRPCStatus(code: 8, message: "a message of \(missing) bytes is over the limit of \(limit)")
        }
    }

    /// Adds data and takes out what is whole.
    /// - Throws: ``GRPCStatus`` for a compressed or an over-large message.
    mutating func push(_ bytes: [UInt8]) throws(GRPCStatus) -> [[UInt8]] {
        var deframer = self
        let result = bytes.withUnsafeBufferPointer { buffer -> Result<[[UInt8]], GRPCStatus> in
            var rest = buffer[...]
            var messages: [[UInt8]] = []
            do throws(GRPCStatus) {
                while let message = try deframer.next(&rest) { messages.append(message) }
                return .success(messages)
            } catch {
                return .failure(error)
            }
        }
        self = deframer
        return try result.get()
    }

    /// A message with its prefix.
    static func frame(_ message: [UInt8]) -> [UInt8] {
        let length = UInt32(message.count)
        return [0, UInt8(length >> 24), UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255)]
            + message
    }
}

/// Messages that wait to be sent on one stream. A pure value.
struct GRPCOutgoing: Sendable {
    /// A message in two parts, of which many streams may share the second.
    private struct Message {
        var first: [UInt8]
        var rest: [UInt8]
        var count: Int { first.count + rest.count }
    }
    /// The message whose turn it is, when there is one.
    private var head: Message?
    /// How much of it went out, its prefix of five bytes included.
    private var position = 0
    private var others: Deque<Message> = []
    /// Bytes that wait, prefixes included.
    private(set) var count = 0
    /// Whether no message follows.
    var isEnded = false

    /// Adds a message: these bytes and the `rest`.
    mutating func append(_ first: [UInt8], _ rest: [UInt8] = []) {
        let message = Message(first: first, rest: rest)
        count += message.count + 5
        if head == nil { head = message } else { others.append(message) }
    }

    /// Forgets what waits.
    mutating func removeAll() {
        head = nil
        position = 0
        others = []
        count = 0
        isEnded = true
    }

    /// Moves the next `wanted` bytes to the end of `output`.
    mutating func take(_ wanted: Int, into output: inout [UInt8]) {
        var wanted = min(wanted, count)
        count -= wanted
        while wanted > 0, let message = head {
            while position < 5 && wanted > 0 {
                output.append(position == 0 ? 0 : UInt8(truncatingIfNeeded: message.count >> (8 * (4 - position))))
                position += 1
                wanted -= 1
            }
            take(message.first, at: 5, &wanted, into: &output)
            take(message.rest, at: 5 + message.first.count, &wanted, into: &output)
            if position == message.count + 5 {
                head = others.popFirst()
                position = 0
            }
        }
    }

    /// Takes from a part that begins `start` bytes behind its message's own start.
    private mutating func take(_ part: [UInt8], at start: Int, _ wanted: inout Int, into output: inout [UInt8]) {
        let from = position - start
        let piece = min(wanted, part.count - from)
        guard piece > 0 else { return }
        output.append(contentsOf: part[from..<from + piece])
        position += piece
        wanted -= piece
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

    /// What a `grpc-timeout` says; nil when it is malformed.
    static func timeout(_ text: UnsafeBufferPointer<UInt8>) -> Duration? {
        guard text.count >= 2, text.count <= 9, let unit = text.last else { return nil }
        var value: Int64 = 0
        for digit in text.dropLast() {
            guard Characters.isDigit(digit) else { return nil }
            value = value * 10 + Int64(digit - 48)
        }
        return switch unit {
        case UInt8(ascii: "H"): .seconds(value * 3600)
        case UInt8(ascii: "M"): .seconds(value * 60)
        case UInt8(ascii: "S"): .seconds(value)
        case UInt8(ascii: "m"): .milliseconds(value)
        case UInt8(ascii: "u"): .microseconds(value)
        case UInt8(ascii: "n"): .nanoseconds(value)
        default: nil
        }
    }

    /// `grpc-message`: all but visible ASCII is percent-coded, and so is the percent sign.
    static func message(_ text: String) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8.prefix(messageLimit) {
            if byte >= 0x20 && byte <= 0x7E && byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return bytes
    }

    /// Bytes of a status' words that are told: clients bound their header sections.
    static let messageLimit = 2048

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
