/// Types of records that have a meaning here (RFC 1035, 3596, 2782, 6891).
public enum DNSType {
    /// An IPv4 address.
    public static let a: UInt16 = 1
    /// A zone's name server.
    public static let ns: UInt16 = 2
    /// Another name for this one.
    public static let cname: UInt16 = 5
    /// Where a zone begins.
    public static let soa: UInt16 = 6
    /// The name of an address.
    public static let ptr: UInt16 = 12
    /// What the probe for loops asks for.
    public static let hinfo: UInt16 = 13
    /// Text.
    public static let txt: UInt16 = 16
    /// An IPv6 address.
    public static let aaaa: UInt16 = 28
    /// A port, and the name behind it.
    public static let srv: UInt16 = 33
    /// EDNS.
    public static let opt: UInt16 = 41
    /// Transfers of a zone, which are refused.
    public static let transfers: ClosedRange<UInt16> = 251...252
    /// Whatever there is.
    public static let any: UInt16 = 255
    /// The class of the Internet.
    public static let internet: UInt16 = 1
}

/// What an answer says of the question as a whole.
public enum DNSCode: UInt8, Sendable {
    /// Answered, perhaps with no record.
    case noError = 0
    /// The question cannot be read.
    case formatError = 1
    /// It cannot be answered now.
    case serverFailure = 2
    /// There is no such name.
    case noName = 3
    /// Nothing but questions is served.
    case notImplemented = 4
    /// Not answered here.
    case refused = 5
}

/// Bits of a message's third and fourth byte.
enum DNSFlags {
    static let response: UInt16 = 0x8000
    static let opcode: UInt16 = 0x7800
    static let authoritative: UInt16 = 0x0400
    static let truncated: UInt16 = 0x0200
    static let recursionDesired: UInt16 = 0x0100
    static let recursionAvailable: UInt16 = 0x0080
    static let authenticated: UInt16 = 0x0020
    static let checkingDisabled: UInt16 = 0x0010
    static let code: UInt16 = 0x000f
}
