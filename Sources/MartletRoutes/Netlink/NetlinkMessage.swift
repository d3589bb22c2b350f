internal import MartletBase

/// Writes netlink's form: numbers in the machine's order, attributes padded to four bytes (RFC 3549; the kernel's
/// include/uapi/linux/netlink.h).
public struct NetlinkWriter: Sendable {
    /// What was written.
    public private(set) var bytes: [UInt8] = []

    /// A writer of nothing yet.
    public init() {}

    mutating func raw(_ part: some Sequence<UInt8>) { bytes.append(contentsOf: part) }
    mutating func byte(_ value: UInt8) { bytes.append(value) }
    /// A number in the machine's order.
    mutating func host<Number: FixedWidthInteger>(_ value: Number) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
    /// A number in the network's order.
    mutating func network(_ value: some FixedWidthInteger) { host(value.bigEndian) }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    /// An attribute whose payload `body` writes.
    mutating func attribute(_ type: Int, _ body: (inout NetlinkWriter) -> Void) {
        let start = bytes.count
        host(UInt16(0))
        host(UInt16(truncatingIfNeeded: type))
        body(&self)
        let length = UInt16(clamping: bytes.count - start)
        withUnsafeBytes(of: length) { for (at, byte) in $0.enumerated() { bytes[start + at] = byte } }
        pad()
    }

    /// An attribute of attributes.
    mutating func nested(_ type: Int, _ body: (inout NetlinkWriter) -> Void) { attribute(type | 0x8000, body) }
    mutating func attribute(_ type: Int, bytes: some Sequence<UInt8>) { attribute(type) { $0.raw(bytes) } }
    mutating func attribute(_ type: Int, host value: some FixedWidthInteger) { attribute(type) { $0.host(value) } }
    mutating func attribute(_ type: Int, network value: some FixedWidthInteger) {
        attribute(type) { $0.network(value) }
    }
    /// A text with the zero that ends it in C.
    mutating func attribute(_ type: Int, text: String) { attribute(type) { $0.raw(Array(text.utf8) + [0]) } }

    /// A whole message.
    mutating func message(
        type: UInt16, flags: UInt16, sequence: UInt32, _ body: (inout NetlinkWriter) -> Void
    ) {
        let start = bytes.count
        host(UInt32(0))
        host(type)
        host(flags)
        host(sequence)
        host(UInt32(0))
        body(&self)
        let length = UInt32(clamping: bytes.count - start)
        withUnsafeBytes(of: length) { for (at, byte) in $0.enumerated() { bytes[start + at] = byte } }
        pad()
    }
}

/// Flags of messages.
enum NetlinkFlag {
    static let request: UInt16 = 0x1
    static let acknowledge: UInt16 = 0x4
    static let interrupted: UInt16 = 0x10
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100
    static let exclusive: UInt16 = 0x200
    static let create: UInt16 = 0x400
    static let append: UInt16 = 0x800
    /// In an error: the request's payload is not repeated.
    static let capped: UInt16 = 0x100
    /// In an error: attributes with the kernel's words follow.
    static let explained: UInt16 = 0x200
}

/// One message from the kernel.
public struct NetlinkMessage: Sendable, Hashable {
    /// What it is, in the numbers of its protocol; under 16 in netlink's own.
    public var type: UInt16
    /// See netlink(7).
    public var flags: UInt16
    /// The number of the question that it answers.
    public var sequence: UInt32
    /// All after the header.
    public var payload: ArraySlice<UInt8>

    private static let headerBytes = 16

    /// The messages in what one receive returned.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public static func parse(_ datagram: [UInt8]) throws(NetlinkError) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram[...]
        while !rest.isEmpty {
            guard let length = rest.number(at: 0, UInt32.self).map(Int.init), length >= headerBytes,
                length <= rest.count, let type = rest.number(at: 4, UInt16.self),
                let flags = rest.number(at: 6, UInt16.self), let sequence = rest.number(at: 8, UInt32.self)
            else { throw .malformed("a message of \(rest.count) bytes") }
            let payload = rest.dropFirst(headerBytes).prefix(length - headerBytes)
            messages.append(NetlinkMessage(type: type, flags: flags, sequence: sequence, payload: payload))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// What an NLMSG_ERROR (0 means: done) or the end of a list says; nil for other messages.
    var verdict: (code: Int32, detail: String)? {
        guard type == 2 || type == 3 else { return nil }
        guard let code = payload.number(at: 0, Int32.self) else { return type == 3 ? (0, "") : (71, "") }
        guard flags & NetlinkFlag.explained != 0 else { return (code.magnitudeErrno, "") }
        var rest = payload.dropFirst(4)
        if type == 2 {
            let echoed = rest.number(at: 0, UInt32.self).map { Int(min($0, 1 << 24)) } ?? 0
            rest = rest.dropFirst(flags & NetlinkFlag.capped != 0 ? Self.headerBytes : (echoed + 3) & ~3)
        }
        let attributes = try? NetlinkAttributes(rest)
        return (code.magnitudeErrno, attributes?.text(1) ?? "")
    }
}

extension Int32 {
    /// Errors are told as negative numbers.
    fileprivate var magnitudeErrno: Int32 { self == .min ? .max : -self }
}

extension ArraySlice<UInt8> {
    /// The number at an offset, in the machine's order; nil when there are too few bytes.
    func number<Number: FixedWidthInteger>(at offset: Int, _: Number.Type) -> Number? {
        let size = MemoryLayout<Number>.size
        guard offset >= 0, offset + size <= count else { return nil }
        var value: Number = 0
        for index in (0..<size).reversed() {
            value = value << 8 | Number(truncatingIfNeeded: self[startIndex + offset + index])
        }
        return value
    }
}

/// The attributes of a message, or of an attribute, by type. Of one that comes twice the last counts.
public struct NetlinkAttributes: Sendable, Hashable {
    private var values: [Int: ArraySlice<UInt8>] = [:]
    /// The payloads in their order: lists are attributes of one type.
    public private(set) var list: [ArraySlice<UInt8>] = []

    /// Reads them.
    /// - Throws: ``NetlinkError/malformed(_:)``.
    public init(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) {
        var rest = bytes
        while rest.count >= 4 {
            guard let length = rest.number(at: 0, UInt16.self).map(Int.init), length >= 4, length <= rest.count,
                let type = rest.number(at: 2, UInt16.self)
            else { throw .malformed("an attribute in \(rest.count) bytes") }
            let value = rest.dropFirst(4).prefix(length - 4)
            values[Int(type & 0x3FFF)] = value
            list.append(value)
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    /// The payload of an attribute.
    public subscript(_ type: Int) -> ArraySlice<UInt8>? { values[type] }
    /// A number in the machine's order.
    func host<Number: FixedWidthInteger>(_ type: Int, _ as: Number.Type) -> Number? {
        values[type]?.number(at: 0, `as`)
    }
    /// A number in the network's order.
    func network<Number: FixedWidthInteger>(_ type: Int, _ as: Number.Type) -> Number? {
        host(type, `as`).map { Number(bigEndian: $0) }
    }
    func text(_ type: Int) -> String? {
        values[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    func address(_ type: Int) -> IPAddress? { values[type].flatMap { IPAddress(bytes: $0) } }
    /// The attributes inside of one; nil when it is absent.
    func nested(_ type: Int) throws(NetlinkError) -> NetlinkAttributes? {
        guard let value = values[type] else { return nil }
        return try NetlinkAttributes(value)
    }
}

/// Something asked of the kernel, and the words for it in errors.
public struct NetlinkRequest: Sendable, Hashable {
    /// What is asked: "add the route 10.244.1.0/24".
    public var what: String
    /// The message's type.
    public var type: UInt16
    /// The message's flags.
    public var flags: UInt16
    /// All after the header.
    public var body: [UInt8]

    init(_ what: String, type: UInt16, flags: UInt16, _ body: (inout NetlinkWriter) -> Void) {
        var writer = NetlinkWriter()
        body(&writer)
        self.what = what
        self.type = type
        self.flags = flags
        self.body = writer.bytes
    }

    /// Whether nfnetlink answers it; else rtnetlink does.
    public var isNetfilter: Bool { type >= 1 << 8 }

    /// The bytes for the socket.
    public func encoded(sequence: UInt32) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.message(type: type, flags: flags | NetlinkFlag.request, sequence: sequence) { $0.raw(body) }
        return writer.bytes
    }
}

/// The kernel's answer to one request, as it comes in.
public struct NetlinkReply: Sendable {
    private let what: String
    private let sequence: UInt32
    private let isList: Bool
    private var wasInterrupted = false
    /// What has come.
    public private(set) var messages: [NetlinkMessage] = []
    /// Whether all has come.
    public private(set) var isComplete = false

    /// Waits for the answer to a request that was sent with that number.
    public init(to request: NetlinkRequest, sequence: UInt32) {
        what = request.what
        self.sequence = sequence
        isList =
            request.flags & NetlinkFlag.dump == NetlinkFlag.dump && request.flags & NetlinkFlag.create == 0
            && request.flags & NetlinkFlag.acknowledge == 0
    }

    /// Takes in what one receive returned. Answers to other questions are passed over.
    /// - Throws: ``NetlinkError``.
    public mutating func take(_ datagram: [UInt8]) throws(NetlinkError) {
        for message in try NetlinkMessage.parse(datagram) where message.sequence == sequence && !isComplete {
            if message.flags & NetlinkFlag.interrupted != 0 { wasInterrupted = true }
            if let (code, detail) = message.verdict {
                guard code == 0 else { throw .refused(what: what, Errno(code), detail: detail) }
                if isList && message.type != 3 { continue }
                if wasInterrupted { throw .interrupted(what) }
                isComplete = true
            } else if message.type >= 16 {
                messages.append(message)
                if messages.count > NetlinkLimits.messages { throw .tooLarge(what: what, count: messages.count) }
            }
        }
    }
}
