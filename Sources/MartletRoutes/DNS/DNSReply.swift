/// An answer that is ready but for what the asker brings: number, flags, the letters of the question, and how much
/// space there is.
public struct DNSReply: Sendable {
    var code = DNSCode.noError
    /// Whether it is the zone's own word.
    var isAuthoritative = false
    /// Whether whoever made it had checked signatures.
    var isAuthenticated = false
    /// Whether the records of the answer may begin with any of them.
    var rotates = false
    var answers = 0
    var authorities = 0
    /// All records, one behind the other. Pointers in them lead to the question's name, or are in records that follow
    /// each other in this order.
    var records: [UInt8] = []
    /// Where each record ends.
    var ends: [Int] = []
    /// Where in `records` the times to live are, when they are to become less with time.
    var times: [Int] = []

    static func failure(_ code: DNSCode) -> DNSReply {
        var reply = DNSReply()
        reply.code = code
        return reply
    }

    /// Adds a record whose name is that of the question, or `name`.
    mutating func add(_ type: UInt16, ttl: UInt32, name: DNSName? = nil, data: [UInt8]) {
        records += name?.wire ?? [0xc0, 12]
        DNSBytes.append(type, to: &records)
        DNSBytes.append(DNSType.internet, to: &records)
        DNSBytes.append(UInt16(truncatingIfNeeded: ttl >> 16), to: &records)
        DNSBytes.append(UInt16(truncatingIfNeeded: ttl), to: &records)
        DNSBytes.append(UInt16(truncatingIfNeeded: data.count), to: &records)
        records += data
        ends.append(records.count)
    }

    /// Writes the message that answers `query` in place of what `out` holds.
    /// - Parameters:
    ///   - limit: bytes that the message may have; what does not fit is left out, and the message says so.
    ///   - turn: with which record an answer that rotates begins.
    ///   - age: seconds by which times to live have become less.
    func write(to query: DNSQuery, limit: Int, turn: Int = 0, age: UInt32 = 0, into out: inout [UInt8]) {
        out.removeAll(keepingCapacity: true)
        let room = limit - 12 - query.question.count - (query.hasOptions ? 11 : 0)
        var kept = ends.count
        while kept > 0, ends[kept - 1] > room { kept -= 1 }
        // Without its additional records an answer is still whole.
        let isCut = kept < answers + authorities
        let start = rotates && !isCut && answers > 1 ? turn % answers : 0
        head(query, kept, isCut, &out)
        let size = kept == 0 ? 0 : ends[kept - 1]
        let body = out.count
        if start == 0 {
            out.append(contentsOf: records[..<size])
        } else {
            let (split, end) = (ends[start - 1], ends[answers - 1])
            out.append(contentsOf: records[split..<end])
            out.append(contentsOf: records[..<split])
            out.append(contentsOf: records[end..<size])
        }
        if age > 0 { for time in times where time < size { Self.lower(body + time, by: age, &out) } }
        if query.hasOptions { Self.options(query, code: 0, &out) }
    }

    private func head(_ query: DNSQuery, _ kept: Int, _ isCut: Bool, _ out: inout [UInt8]) {
        var flags = Self.flags(query) | UInt16(code.rawValue)
        if isAuthoritative { flags |= DNSFlags.authoritative }
        if isAuthenticated && query.understandsAuthenticated { flags |= DNSFlags.authenticated }
        if isCut { flags |= DNSFlags.truncated }
        DNSBytes.append(query.id, to: &out)
        DNSBytes.append(flags, to: &out)
        DNSBytes.append(1, to: &out)
        let answers = min(kept, self.answers)
        let authorities = min(kept - answers, self.authorities)
        DNSBytes.append(UInt16(truncatingIfNeeded: answers), to: &out)
        DNSBytes.append(UInt16(truncatingIfNeeded: authorities), to: &out)
        let additional = kept - answers - authorities + (query.hasOptions ? 1 : 0)
        DNSBytes.append(UInt16(truncatingIfNeeded: additional), to: &out)
        out.append(contentsOf: query.question)
    }

    private static func flags(_ query: DNSQuery) -> UInt16 {
        DNSFlags.response | DNSFlags.recursionAvailable
            | query.flags & (DNSFlags.recursionDesired | DNSFlags.checkingDisabled)
    }

    private static func options(_ query: DNSQuery, code: UInt8, _ out: inout [UInt8]) {
        out.append(0)
        DNSBytes.append(DNSType.opt, to: &out)
        DNSBytes.append(UInt16(DNSLimits.datagram), to: &out)
        out.append(code)
        out.append(0)
        DNSBytes.append(query.wantsSignatures ? 0x8000 : 0, to: &out)
        DNSBytes.append(0, to: &out)
    }

    private static func lower(_ at: Int, by age: UInt32, _ out: inout [UInt8]) {
        let before = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(out[at + $1]) }
        let after = before > age ? before - age : 0
        for place in 0..<4 { out[at + place] = UInt8(truncatingIfNeeded: after >> (24 - 8 * UInt32(place))) }
    }

    /// Says no in 12 bytes, to what was not even a question.
    static func refuse(_ query: DNSQuery, _ code: DNSCode, into out: inout [UInt8]) {
        out.removeAll(keepingCapacity: true)
        DNSBytes.append(query.id, to: &out)
        let opcode = query.flags & DNSFlags.opcode
        DNSBytes.append(flags(query) | opcode | UInt16(code.rawValue), to: &out)
        out.append(contentsOf: repeatElement(0, count: 8))
    }

    /// Says that this version of EDNS is not spoken here (RFC 6891, 6.1.3).
    static func refuseVersion(_ query: DNSQuery, into out: inout [UInt8]) {
        DNSReply().write(to: query, limit: DNSLimits.plainDatagram, into: &out)
        out[out.count - 6] = 1
    }
}

/// Numbers of a message: two bytes, the greater first.
enum DNSBytes {
    @inline(__always)
    static func append(_ value: UInt16, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}
