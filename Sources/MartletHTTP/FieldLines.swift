internal import HTTPTypes

/// Finds the end of a head in bytes that arrive piece by piece, and refuses early what can be no head.
struct HeadScanner: Sendable {
    /// How far the unused bytes were looked at.
    private var seen = 0
    /// Where the line that is being looked at begins.
    private var line = 0

    /// The length of the head with its final empty line, or nil when more bytes are needed.
    /// - Throws: ``HTTPError/headTooLarge(limit:)``, or ``HTTPError/malformed(_:)`` for a lone CR or LF.
    mutating func length(in buffer: InputBuffer, limit: Int) throws(HTTPError) -> Int? {
        let bytes = buffer.bytes
        let start = buffer.start
        while start + seen < bytes.count {
            let byte = bytes[start + seen]
            seen += 1
            guard byte == Characters.lf else {
                if seen >= 2 && bytes[start + seen - 2] == Characters.cr {
                    throw .malformed("a CR that no LF follows")
                }
                continue
            }
            guard seen >= 2, bytes[start + seen - 2] == Characters.cr else {
                throw .malformed("an LF that no CR precedes")
            }
            if seen - line == 2 && line > 0 {
                if seen > limit { throw .headTooLarge(limit: limit) }
                return seen
            }
            line = seen
        }
        if seen > limit { throw .headTooLarge(limit: limit) }
        return nil
    }
}

/// The field lines of a head, and what they say about the message's framing.
struct FieldLines: Sendable {
    /// The fields in order, `Host` excepted.
    var fields = HTTPFields()
    /// The value of `Host`, when it came exactly once.
    var host: String?
    /// How often `Host` came.
    var hostCount = 0
    /// The value of `Content-Length`.
    var contentLength: Int?
    /// Whether `Transfer-Encoding: chunked` came; no other coding is taken.
    var isChunked = false
    /// Whether `Connection` names `close`.
    var saysClose = false
    /// Whether `Connection` names `keep-alive`.
    var saysKeepAlive = false
    /// Whether `Expect: 100-continue` came.
    var expectsContinue = false

    /// Reads the lines in `bytes[range]`, each ended by CRLF, without the final empty line.
    /// - Throws: ``HTTPError/malformed(_:)``.
    init(_ bytes: [UInt8], _ range: Range<Int>) throws(HTTPError) {
        var at = range.lowerBound
        var count = 0
        while at < range.upperBound {
            count += 1
            if count > HTTPBounds.fields { throw .headTooLarge(limit: HTTPBounds.fields) }
            let nameStart = at
            while at < range.upperBound, Characters.token[Int(bytes[at])] { at += 1 }
            let name = nameStart..<at
            guard !name.isEmpty, at < range.upperBound, bytes[at] == Characters.colon else {
                throw Self.badName(bytes, at: at, nameStart: nameStart, end: range.upperBound)
            }
            at += 1
            while at < range.upperBound, Characters.isBlank(bytes[at]) { at += 1 }
            let valueStart = at
            while at < range.upperBound, Characters.isFieldValue(bytes[at]) { at += 1 }
            guard at + 1 < range.upperBound, bytes[at] == Characters.cr, bytes[at + 1] == Characters.lf else {
                throw .malformed("a field value holds a control character")
            }
            var valueEnd = at
            while valueEnd > valueStart, Characters.isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
            at += 2
            try add(name: bytes[name], value: bytes[valueStart..<valueEnd])
        }
    }

    private static func badName(_ bytes: [UInt8], at: Int, nameStart: Int, end: Int) -> HTTPError {
        guard at < end else { return .malformed("a field line without a colon") }
        if Characters.isBlank(bytes[at]) {
            return .malformed(at == nameStart ? "a folded field line" : "a blank in or after a field name")
        }
        return .malformed("a field name holds a character that names must not hold")
    }

    private mutating func add(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) throws(HTTPError) {
        switch name.count {
        case 4 where Characters.equal(name, "host"):
            hostCount += 1
            host = try Self.authority(value)
            return
        case 14 where Characters.equal(name, "content-length"):
            guard contentLength == nil else { throw .malformed("content-length is given twice") }
            contentLength = try Self.length(value)
        case 17 where Characters.equal(name, "transfer-encoding"):
            guard !isChunked else { throw .malformed("transfer-encoding is given twice") }
            guard Characters.equal(value, "chunked") else {
                throw .malformed("a transfer-encoding other than chunked")
            }
            isChunked = true
            return
        case 10 where Characters.equal(name, "connection"): addConnection(value)
        case 6 where Characters.equal(name, "expect"):
            if Characters.equal(value, "100-continue") { expectsContinue = true }
        default: break
        }
        guard let name = FieldNames.name(name) else { throw .malformed("a field name that is none") }
        fields.append(HTTPField(name: name, value: value))
    }

    private mutating func addConnection(_ value: ArraySlice<UInt8>) {
        for option in value.split(separator: UInt8(ascii: ",")) {
            let word = option.drop(while: Characters.isBlank)
            let end = word.lastIndex { !Characters.isBlank($0) }.map { $0 + 1 } ?? word.startIndex
            if Characters.equal(word[word.startIndex..<end], "close") { saysClose = true }
            if Characters.equal(word[word.startIndex..<end], "keep-alive") { saysKeepAlive = true }
        }
    }

    /// Digits only: no sign, no list, no blank inside (RFC 9110, 8.6).
    private static func length(_ value: ArraySlice<UInt8>) throws(HTTPError) -> Int {
        guard !value.isEmpty, value.count <= 18, value.allSatisfy(Characters.isDigit) else {
            throw .malformed("content-length is no number")
        }
        return value.reduce(0) { $0 * 10 + Int($1 - 48) }
    }

    /// A host with a port, or nothing.
    static func authority(_ value: ArraySlice<UInt8>) throws(HTTPError) -> String {
        guard value.allSatisfy({ Characters.authority[Int($0)] }) else {
            throw .malformed("the host holds a character that hosts must not hold")
        }
        return String(decoding: value, as: UTF8.self)
    }
}

/// The names of common fields, made once, so that a head costs no new text for each of them.
enum FieldNames {
    private struct Entry: Sendable {
        var lower: [UInt8]
        var name: HTTPField.Name
    }

    /// Entries by the hash of their name.
    private static let table: [[Entry]] = {
        let names: [HTTPField.Name] = [
            .accept, .acceptEncoding, .acceptLanguage, .authorization, .cacheControl, .connection, .contentEncoding,
            .contentLength, .contentType, .cookie, .date, .eTag, .expect, .ifMatch, .ifModifiedSince, .ifNoneMatch,
            .lastModified, .location, .origin, .range, .referer, .retryAfter, .secWebSocketAccept, .secWebSocketKey,
            .secWebSocketProtocol, .secWebSocketVersion, .server, .setCookie, .te, .trailer, .transferEncoding,
            .upgrade, .userAgent, .vary, .via, .wwwAuthenticate,
        ]
        let more = [
            "Audit-Id", "Impersonate-User", "Keep-Alive", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
            "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Kubernetes-Pf-Flowschema-Uid",
            "X-Kubernetes-Pf-Prioritylevel-Uid", "X-Real-Ip", "X-Request-Id", "X-Scheme",
        ].compactMap { HTTPField.Name($0) }
        var table = [[Entry]](repeating: [], count: 128)
        for name in names + more {
            let lower = Array(name.canonicalName.utf8)
            table[slot(lower[...])].append(Entry(lower: lower, name: name))
        }
        return table
    }()

    private static func slot(_ name: some RandomAccessCollection<UInt8>) -> Int {
        guard let first = name.first, let last = name.last else { return 0 }
        let middle = name[name.index(name.startIndex, offsetBy: name.count / 2)]
        let mixed =
            name.count &* 7 &+ Int(Characters.lower(first)) &* 3 &+ Int(Characters.lower(last)) &* 11
            &+ Int(Characters.lower(middle))
        return mixed & 127
    }

    /// The field name that `bytes` spell, or nil when they spell none.
    static func name(_ bytes: some RandomAccessCollection<UInt8>) -> HTTPField.Name? {
        for entry in table[slot(bytes)] where entry.lower.count == bytes.count {
            if zip(bytes, entry.lower).allSatisfy({ Characters.lower($0) == $1 }) { return entry.name }
        }
        return HTTPField.Name(String(decoding: bytes, as: UTF8.self))
    }
}
