/// A question as a client sent it. One value is read into again and again, so that a question costs no memory.
public struct DNSQuery: Sendable {
    /// The client's number for it.
    public private(set) var id: UInt16 = 0
    private(set) var flags: UInt16 = 0
    /// The name that is asked for.
    public private(set) var name = DNSName.root
    /// The type of record.
    public private(set) var type: UInt16 = 0
    /// The class.
    public private(set) var recordClass: UInt16 = 0
    /// The question with the letters as the client wrote them.
    private(set) var question: [UInt8] = []
    /// Bytes that the client takes in one datagram.
    public private(set) var datagramLimit = DNSLimits.plainDatagram
    private(set) var hasOptions = false
    private(set) var optionsVersion: UInt8 = 0
    private(set) var wantsSignatures = false

    /// A place to read questions into.
    public init() {}

    var wantsRecursion: Bool { flags & DNSFlags.recursionDesired != 0 }
    var disablesChecking: Bool { flags & DNSFlags.checkingDisabled != 0 }
    var understandsAuthenticated: Bool { wantsSignatures || flags & DNSFlags.authenticated != 0 }

    /// What is to be done with what came.
    public enum Verdict: Sendable, Hashable {
        /// It is a question.
        case question
        /// It is none, or an answer: nothing is said, lest two servers talk for ever.
        case silence
        /// It cannot be answered; whoever asks is told in a message of 12 bytes.
        case refuse(DNSCode)
    }

    /// Reads a message. It never traps, whatever the bytes.
    public mutating func read(_ bytes: Span<UInt8>) -> Verdict {
        guard bytes.count >= 12, bytes[2] & 0x80 == 0 else { return .silence }
        id = Self.u16(bytes, 0)
        flags = Self.u16(bytes, 2)
        (hasOptions, optionsVersion, wantsSignatures) = (false, 0, false)
        datagramLimit = DNSLimits.plainDatagram
        if flags & DNSFlags.opcode != 0 { return .refuse(.notImplemented) }
        guard Self.u16(bytes, 4) == 1, var at = readQuestion(bytes) else { return .refuse(.formatError) }
        let others = Int(Self.u16(bytes, 6)) + Int(Self.u16(bytes, 8))
        let additional = Int(Self.u16(bytes, 10))
        for number in 0..<others + additional {
            guard let next = readRecord(bytes, at, mayBeOptions: number >= others) else {
                return .refuse(.formatError)
            }
            at = next
        }
        return .question
    }

    /// Becomes the same question about another name.
    mutating func ask(_ name: DNSName, _ other: DNSQuery) {
        self = other
        self.name = name
        question = name.wire + other.question.suffix(4)
        hasOptions = false
    }

    /// Reads name, type and class; returns where they end.
    private mutating func readQuestion(_ bytes: Span<UInt8>) -> Int? {
        name.wire.removeAll(keepingCapacity: true)
        question.removeAll(keepingCapacity: true)
        var at = 12
        while true {
            guard at < bytes.count, name.wire.count < DNSLimits.name else { return nil }
            let length = bytes[at]
            // No pointer can lead back to a name from the first name of a message.
            guard length <= UInt8(DNSLimits.label), name.wire.count + Int(length) < DNSLimits.name,
                at + Int(length) < bytes.count
            else { return nil }
            for place in at...at + Int(length) {
                let byte = bytes[place]
                question.append(byte)
                name.wire.append(place == at ? byte : DNSName.lower(byte))
            }
            at += Int(length) + 1
            if length == 0 { break }
        }
        guard at + 4 <= bytes.count else { return nil }
        for place in at..<at + 4 { question.append(bytes[place]) }
        type = Self.u16(bytes, at)
        recordClass = Self.u16(bytes, at + 2)
        return at + 4
    }

    /// Steps over a record behind the question and takes in what EDNS says there; returns where it ends.
    private mutating func readRecord(_ bytes: Span<UInt8>, _ start: Int, mayBeOptions: Bool) -> Int? {
        var at = start
        while true {
            guard at < bytes.count else { return nil }
            let length = Int(bytes[at])
            if length >= 0xc0 {
                at += 2
                break
            }
            guard length <= DNSLimits.label else { return nil }
            at += length + 1
            if length == 0 { break }
        }
        guard at + 10 <= bytes.count else { return nil }
        let end = at + 10 + Int(Self.u16(bytes, at + 8))
        guard end <= bytes.count else { return nil }
        if Self.u16(bytes, at) == DNSType.opt {
            // It has the root's name, stands in its place, and is there once (RFC 6891, 6.1.1).
            guard mayBeOptions, !hasOptions, at == start + 1 else { return nil }
            hasOptions = true
            datagramLimit = min(max(Int(Self.u16(bytes, at + 2)), DNSLimits.plainDatagram), DNSLimits.datagram)
            optionsVersion = bytes[at + 5]
            wantsSignatures = bytes[at + 6] & 0x80 != 0
        }
        return end
    }

    private static func u16(_ bytes: Span<UInt8>, _ at: Int) -> UInt16 {
        UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }
}
