/// Why an answer of a resolver cannot be used.
enum DNSMessageError: Error, Sendable, Hashable {
    /// It ends too early, or says of itself what is not so.
    case malformed
}

/// A record with its names whole.
struct DNSRecord: Sendable, Hashable {
    /// The owner's name, letters as they came.
    var name: [UInt8]
    var type: UInt16
    var recordClass: UInt16
    var ttl: UInt32
    var data: [UInt8]

    /// Where a known type has names in its data: bytes before the names, then how many names.
    static let namesInside: [UInt16: (before: Int, count: Int)] = [
        2: (0, 1), 3: (0, 1), 4: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 1), 12: (0, 1),
        14: (0, 2), 15: (2, 1), 17: (0, 2), 18: (2, 1), 21: (2, 1), 26: (2, 2), 33: (6, 1), 36: (2, 1), 39: (0, 1),
    ]
}

/// A whole message, as a resolver sends it. Decoding never traps and takes time in proportion to the bytes.
struct DNSMessage: Sendable, Hashable {
    var id: UInt16
    var flags: UInt16
    var name: DNSName
    var type: UInt16
    var recordClass: UInt16
    /// The records of answer, authority and the rest; EDNS is left out, which is between neighbours only.
    var sections: [[DNSRecord]] = [[], [], []]

    var code: UInt8 { UInt8(flags & DNSFlags.code) }
    var isTruncated: Bool { flags & DNSFlags.truncated != 0 }

    init(_ bytes: [UInt8]) throws(DNSMessageError) {
        var reader = DNSReader(bytes)
        id = try reader.u16()
        flags = try reader.u16()
        let questions = try reader.u16()
        var counts: [UInt16] = []
        for _ in 0..<3 { counts.append(try reader.u16()) }
        guard questions == 1 else { throw .malformed }
        name = DNSName(unchecked: try reader.name().map(DNSName.lower))
        type = try reader.u16()
        recordClass = try reader.u16()
        // What was cut off behind a question is asked for again; there is nothing to read.
        if flags & DNSFlags.truncated != 0 { return }
        for section in 0..<3 {
            for _ in 0..<counts[section] {
                let record = try reader.record()
                if record.type != DNSType.opt { sections[section].append(record) }
            }
        }
    }

    /// The question to a resolver.
    static func question(id: UInt16, _ key: DNSQuestion) -> [UInt8] {
        var bytes: [UInt8] = []
        DNSBytes.append(id, to: &bytes)
        let checking = key.disablesChecking ? DNSFlags.checkingDisabled : 0
        DNSBytes.append(DNSFlags.recursionDesired | checking, to: &bytes)
        for count: UInt16 in [1, 0, 0, 1] { DNSBytes.append(count, to: &bytes) }
        bytes += key.name.wire
        DNSBytes.append(key.type, to: &bytes)
        DNSBytes.append(key.recordClass, to: &bytes)
        bytes.append(0)
        DNSBytes.append(DNSType.opt, to: &bytes)
        DNSBytes.append(UInt16(DNSLimits.datagram), to: &bytes)
        DNSBytes.append(0, to: &bytes)
        DNSBytes.append(key.wantsSignatures ? 0x8000 : 0, to: &bytes)
        DNSBytes.append(0, to: &bytes)
        return bytes
    }

    /// The answer, ready to be written to whoever asks the same, with `chain` in front.
    func reply(after chain: [DNSRecord] = [], to question: DNSName) -> DNSReply {
        var writer = DNSRecordWriter(question: question)
        writer.reply.code = DNSCode(rawValue: code) ?? .serverFailure
        writer.reply.isAuthenticated = flags & DNSFlags.authenticated != 0
        for record in chain + sections[0] { writer.add(record) }
        writer.reply.answers = writer.reply.ends.count
        for record in sections[1] { writer.add(record) }
        writer.reply.authorities = writer.reply.ends.count - writer.reply.answers
        for record in sections[2] { writer.add(record) }
        return writer.reply
    }

    /// How long the answer may be kept, in seconds: the shortest of its records' times, or what the zone's start says
    /// of names that are not there (RFC 2308).
    var lifetime: UInt32 {
        if code == DNSCode.noError.rawValue, let least = sections[0].map(\.ttl).min() {
            return min(least, DNSLimits.longestTTL)
        }
        guard code == DNSCode.noError.rawValue || code == DNSCode.noName.rawValue else { return DNSLimits.failureTTL }
        guard let start = sections[1].first(where: { $0.type == DNSType.soa }), start.data.count >= 20 else { return 0 }
        let minimum = start.data.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return min(start.ttl, minimum, DNSLimits.longestNegativeTTL)
    }
}

/// Writes records behind a question, with pointers in place of names that are there already.
struct DNSRecordWriter {
    var reply = DNSReply()
    /// Where in the message a name is.
    private var places: [DNSName: Int] = [:]
    private let start: Int

    init(question: DNSName) {
        start = 12 + question.wire.count + 4
        remember(question.wire[...], at: 12)
    }

    mutating func add(_ record: DNSRecord) {
        guard reply.records.count + record.data.count < DNSLimits.records else { return }
        write(record.name)
        DNSBytes.append(record.type, to: &reply.records)
        DNSBytes.append(record.recordClass, to: &reply.records)
        reply.times.append(reply.records.count)
        DNSBytes.append(UInt16(truncatingIfNeeded: record.ttl >> 16), to: &reply.records)
        DNSBytes.append(UInt16(truncatingIfNeeded: record.ttl), to: &reply.records)
        DNSBytes.append(UInt16(truncatingIfNeeded: record.data.count), to: &reply.records)
        // The next record is often that of the name this one leads to.
        if record.type == DNSType.cname { remember(record.data[...], at: start + reply.records.count) }
        reply.records += record.data
        reply.ends.append(reply.records.count)
    }

    private mutating func write(_ name: [UInt8]) {
        var at = 0
        while name[at] != 0 {
            if let place = places[DNSName(unchecked: name[at...].map(DNSName.lower))] {
                remember(name[...], at: start + reply.records.count, upTo: at)
                reply.records += name[..<at]
                DNSBytes.append(0xc000 | UInt16(place), to: &reply.records)
                return
            }
            at += Int(name[at]) + 1
        }
        remember(name[...], at: start + reply.records.count)
        reply.records += name
    }

    private mutating func remember(_ name: ArraySlice<UInt8>, at offset: Int, upTo end: Int = .max) {
        var at = name.startIndex
        while name[at] != 0, at - name.startIndex < end, offset + at - name.startIndex < 0x4000 {
            let suffix = DNSName(unchecked: name[at...].map(DNSName.lower))
            if places[suffix] == nil { places[suffix] = offset + at - name.startIndex }
            at += Int(name[at]) + 1
        }
    }
}

/// Reads the parts of a message, in order.
struct DNSReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func u16() throws(DNSMessageError) -> UInt16 {
        guard at + 2 <= bytes.count else { throw .malformed }
        defer { at += 2 }
        return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    /// A name with its letters as they are, pointers followed: each leads further back than the one before, so that
    /// they end.
    mutating func name() throws(DNSMessageError) -> [UInt8] {
        var (name, place, earliest): ([UInt8], Int, Int) = ([], at, at)
        var hasJumped = false
        while true {
            guard place < bytes.count else { throw .malformed }
            let length = Int(bytes[place])
            if length >= 0xc0 {
                guard place + 1 < bytes.count else { throw .malformed }
                let target = (length & 0x3f) << 8 | Int(bytes[place + 1])
                guard target < earliest else { throw .malformed }
                if !hasJumped { at = place + 2 }
                (hasJumped, place, earliest) = (true, target, target)
                continue
            }
            guard length <= DNSLimits.label, place + length < bytes.count,
                name.count + length + 1 <= DNSLimits.name
            else { throw .malformed }
            name += bytes[place...place + length]
            place += length + 1
            if length == 0 { break }
        }
        if !hasJumped { at = place }
        return name
    }

    mutating func record() throws(DNSMessageError) -> DNSRecord {
        let owner = try name()
        let (type, recordClass) = (try u16(), try u16())
        let ttl = UInt32(try u16()) << 16 | UInt32(try u16())
        let length = Int(try u16())
        let end = at + length
        guard end <= bytes.count else { throw .malformed }
        var data: [UInt8] = []
        if let inside = DNSRecord.namesInside[type] {
            guard inside.before <= length else { throw .malformed }
            data += bytes[at..<at + inside.before]
            at += inside.before
            for _ in 0..<inside.count { data += try name() }
            guard at <= end else { throw .malformed }
        }
        data += bytes[at..<end]
        at = end
        // The highest bit of a time to live is nought, or all of it is (RFC 2181, 8).
        return DNSRecord(name: owner, type: type, recordClass: recordClass, ttl: ttl >> 31 == 0 ? ttl : 0, data: data)
    }
}
