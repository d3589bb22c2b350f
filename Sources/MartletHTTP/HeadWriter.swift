internal import HTTPTypes
internal import MartletBase

/// Writes heads as bytes (RFC 9112). Only what is safe gets out: field values are clean by construction
/// (`HTTPField` turns control characters into blanks), and the request line is checked here.
enum HeadWriter {
    /// A request's head with its final empty line.
    /// - Throws: ``HTTPError/malformed(_:)`` when path or authority cannot stand on a request line.
    static func request(
        _ head: HTTPRequest, framing: BodyFraming, defaultHost: String
    ) throws(HTTPError) -> [UInt8] {
        let path = head.path ?? "/"
        let isPath = path.utf8.first == UInt8(ascii: "/") || (path == "*" && head.method == .options)
        guard isPath, path.utf8.allSatisfy(Characters.isTarget) else {
            throw .malformed("a request's path holds a character that paths must not hold")
        }
        let host = head.authority ?? defaultHost
        guard host.utf8.allSatisfy({ Characters.authority[Int($0)] }) else {
            throw .malformed("a request's host holds a character that hosts must not hold")
        }
        var out: [UInt8] = []
        out.reserveCapacity(256)
        out += head.method.rawValue.utf8
        out.append(Characters.space)
        out += path.utf8
        out += " HTTP/1.1\r\nHost: ".utf8
        out += host.utf8
        out += "\r\n".utf8
        let isUpgrade = head.headerFields.contains(.upgrade)
        for field in head.headerFields where !isOurs(field, isUpgrade: isUpgrade) {
            append(field, to: &out)
        }
        switch framing {
        case .length(let length): append("Content-Length", length, to: &out)
        case .chunked: out += "Transfer-Encoding: chunked\r\n".utf8
        case .none where head.method == .post || head.method == .put || head.method == .patch:
            append("Content-Length", 0, to: &out)
        case .none, .untilClose: break
        }
        out += "\r\n".utf8
        return out
    }

    /// An answer's head with its final empty line.
    /// - Parameters:
    ///   - length: what `Content-Length` says; nil for none.
    ///   - connection: what `Connection` says; nil for none.
    static func response(
        _ head: HTTPResponse, length: Int?, isChunked: Bool, connection: StaticString?, date: [UInt8],
        reserving extra: Int = 0
    ) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256 + extra)
        out += "HTTP/1.1 ".utf8
        appendDecimal(head.status.code, to: &out)
        out.append(Characters.space)
        // Many a client shows the phrase to people, and leaves a blank where there is none.
        let phrase = head.status.reasonPhrase
        out += (phrase.isEmpty ? reasonPhrases[head.status.code] ?? "" : phrase).utf8
        out += "\r\n".utf8
        for field in head.headerFields where !isOurs(field, isUpgrade: false) && field.name != .date {
            append(field, to: &out)
        }
        out += date
        if let length { append("Content-Length", length, to: &out) }
        if isChunked { out += "Transfer-Encoding: chunked\r\n".utf8 }
        if let connection {
            out += "Connection: ".utf8
            append(connection, to: &out)
            out += "\r\n".utf8
        }
        out += "\r\n".utf8
        return out
    }

    /// The phrases of RFC 9110 and its kin, where they differ in the words that Go's servers use and clients know.
    private static let reasonPhrases: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
        206: "Partial Content", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
        307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
        403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
        409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
        413: "Request Entity Too Large",
        414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
        421: "Misdirected Request", 422: "Unprocessable Entity", 425: "Too Early", 426: "Upgrade Required",
        428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
        504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]

    /// A chunk with its size line.
    static func chunk(_ bytes: [UInt8]) -> [UInt8] { chunk(bytes.count) { $0 += bytes } }

    /// A chunk of so many bytes.
    static func chunk(_ count: Int, _ append: (inout [UInt8]) -> Void) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(count + 20)
        appendChunkHead(count, to: &out)
        append(&out)
        out += chunkEnd
        return out
    }

    /// What stands before the bytes of a chunk.
    static func chunkHead(_ count: Int) -> [UInt8] {
        var out: [UInt8] = []
        appendChunkHead(count, to: &out)
        return out
    }

    private static func appendChunkHead(_ count: Int, to out: inout [UInt8]) {
        var shift = max(0, (UInt.bitWidth - 1 - count.leadingZeroBitCount) & ~3)
        while shift >= 0 {
            let digit = UInt8(count >> shift & 0xF)
            out.append(digit + UInt8(ascii: digit < 10 ? "0" : "W"))
            shift -= 4
        }
        out += chunkEnd
    }

    /// What stands behind the bytes of a chunk.
    static let chunkEnd = Array("\r\n".utf8)

    /// What ends a chunked body.
    static let lastChunk = Array("0\r\n\r\n".utf8)
    /// The answer that lets a waiting client send its body.
    static let proceed = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    /// Whether a field is about the connection, and so written by this file alone.
    private static func isOurs(_ field: HTTPField, isUpgrade: Bool) -> Bool {
        switch field.name.canonicalName {
        case "content-length", "transfer-encoding", "host", "keep-alive", "proxy-connection": true
        case "connection": !isUpgrade
        default: false
        }
    }

    private static func append(_ field: HTTPField, to out: inout [UInt8]) {
        out += field.name.rawName.utf8
        out += ": ".utf8
        unsafe field.withUnsafeBytesOfValue { unsafe out.append(contentsOf: $0) }
        out += "\r\n".utf8
    }

    private static func append(_ name: StaticString, _ value: Int, to out: inout [UInt8]) {
        append(name, to: &out)
        out += ": ".utf8
        appendDecimal(value, to: &out)
        out += "\r\n".utf8
    }

    private static func append(_ text: StaticString, to out: inout [UInt8]) {
        unsafe out.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private static func appendDecimal(_ value: Int, to out: inout [UInt8]) {
        out += String(value).utf8
    }
}

/// `Date: ...` lines, as RFC 9110, 5.6.7 writes them (`Sun, 06 Nov 1994 08:49:37 GMT`).
enum DateLine {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// The whole line for a second since 1970.
    static func bytes(at second: Int64) -> [UInt8] {
        let day = Int(second >= 0 ? second / 86_400 : (second - 86_399) / 86_400)
        let inDay = Int(second) - day * 86_400
        let date = CivilDate(daysSinceEpoch: day)
        let clock = [inDay / 3600, inDay / 60 % 60, inDay % 60].map(twoDigits).joined(separator: ":")
        let weekday = days[((day % 7) + 7) % 7]
        let text = "Date: \(weekday), \(twoDigits(date.day)) \(months[date.month - 1]) \(date.year) \(clock) GMT\r\n"
        return Array(text.utf8)
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
