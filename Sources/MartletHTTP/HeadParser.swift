internal import HTTPTypes

/// How a message's body ends (RFC 9112, 6.3).
enum BodyFraming: Sendable, Hashable {
    /// There is no body.
    case none
    /// After so many bytes.
    case length(Int)
    /// With the last chunk.
    case chunked
    /// With the connection; answers only.
    case untilClose
}

/// The head of a request, checked.
struct RequestHead: Sendable {
    /// Method, authority, path and fields; `Host` and `Transfer-Encoding` are told by the other members.
    var request: HTTPRequest
    /// Whether the client speaks HTTP/1.0, which knows no chunks.
    var isOld: Bool
    /// How the body ends.
    var framing: BodyFraming
    /// Whether the client will send another request on this connection.
    var keepAlive: Bool
    /// Whether the client waits for `100 Continue` before it sends its body.
    var expectsContinue: Bool

    /// Reads a whole head: request line, field lines and the empty line (RFC 9112, 3 to 5), strictly.
    /// - Throws: ``HTTPError``.
    init(_ bytes: [UInt8], _ range: Range<Int>, scheme: String) throws(HTTPError) {
        guard let lineEnd = bytes[range].firstIndex(of: Characters.cr), lineEnd + 4 <= range.upperBound else {
            throw .malformed("a request without a request line")
        }
        let line = bytes[range.lowerBound..<lineEnd]
        let words = line.split(separator: Characters.space, maxSplits: 3, omittingEmptySubsequences: false)
        guard words.count == 3, !words[1].isEmpty else {
            throw .malformed("the request line is not a method, a target and a version")
        }
        guard let method = HTTPRequest.Method(String(decoding: words[0], as: UTF8.self)) else {
            throw .malformed("the method is no token")
        }
        isOld = try Self.isOld(words[2])
        let lines = try FieldLines(bytes, lineEnd + 2..<range.upperBound - 2)
        guard lines.hostCount == 1 || (isOld && lines.hostCount == 0) else {
            throw .malformed(lines.hostCount == 0 ? "no host is named" : "host is given twice")
        }
        let (authority, path) = try Self.split(target: words[1], method: method)
        request = HTTPRequest(
            method: method, scheme: scheme, authority: authority ?? lines.host, path: path,
            headerFields: lines.fields)
        framing = try Self.framing(lines, isOld: isOld)
        keepAlive = !lines.saysClose && (!isOld || lines.saysKeepAlive)
        expectsContinue = lines.expectsContinue && !isOld && framing != .none
    }

    /// Whether the version is 1.0. Later minors of 1 are read as 1.1.
    private static func isOld(_ version: ArraySlice<UInt8>) throws(HTTPError) -> Bool {
        guard version.count == 8, version.starts(with: "HTTP/1.".utf8), let minor = version.last,
            Characters.isDigit(minor)
        else { throw .malformed("the version is not HTTP/1.1 or HTTP/1.0") }
        return minor == UInt8(ascii: "0")
    }

    private static func framing(_ lines: FieldLines, isOld: Bool) throws(HTTPError) -> BodyFraming {
        if lines.isChunked {
            if lines.contentLength != nil { throw .malformed("both transfer-encoding and content-length") }
            if isOld { throw .malformed("transfer-encoding in an HTTP/1.0 request") }
            return .chunked
        }
        guard let length = lines.contentLength, length > 0 else { return .none }
        return .length(length)
    }

    /// The target's authority, when it names one, and path. An absolute form wins over `Host` (RFC 9112, 3.2.2).
    private static func split(
        target: ArraySlice<UInt8>, method: HTTPRequest.Method
    ) throws(HTTPError) -> (authority: String?, path: String) {
        guard target.allSatisfy(Characters.isTarget) else {
            throw .malformed("the request target holds a character that targets must not hold")
        }
        if target.first == UInt8(ascii: "/") { return (nil, String(decoding: target, as: UTF8.self)) }
        if target.elementsEqual("*".utf8), method == .options { return (nil, "*") }
        for (prefix, length) in [("http://", 7), ("https://", 8)] {
            guard target.count > length, zip(target, prefix.utf8).allSatisfy({ Characters.lower($0) == $1 }) else {
                continue
            }
            let rest = target.dropFirst(length)
            let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
            let authority = try FieldLines.authority(rest[rest.startIndex..<end])
            if authority.isEmpty { throw .malformed("the request target names no host") }
            let path = String(decoding: rest[end...], as: UTF8.self)
            return (authority, path.utf8.first == UInt8(ascii: "/") ? path : "/" + path)
        }
        throw .malformed("the request target is no path")
    }
}

/// The head of an answer, checked.
struct ResponseHead: Sendable {
    /// Status and fields; `Transfer-Encoding` is told by ``framing``.
    var response: HTTPResponse
    /// How the body ends.
    var framing: BodyFraming
    /// Whether the server will take another request on this connection.
    var keepAlive: Bool

    /// Reads a whole head: status line, field lines and the empty line (RFC 9112, 4 and 5), strictly.
    /// - Parameter method: of the request that it answers: an answer to HEAD has no body.
    /// - Throws: ``HTTPError``.
    init(_ bytes: [UInt8], _ range: Range<Int>, to method: HTTPRequest.Method) throws(HTTPError) {
        guard let lineEnd = bytes[range].firstIndex(of: Characters.cr), lineEnd + 4 <= range.upperBound else {
            throw .malformed("an answer without a status line")
        }
        let line = Array(bytes[range.lowerBound..<lineEnd])
        guard line.count >= 12, line.starts(with: "HTTP/1.".utf8), Characters.isDigit(line[7]),
            line[8] == Characters.space, line[9...11].allSatisfy(Characters.isDigit), line[9] != UInt8(ascii: "0"),
            line.count == 12 || line[12] == Characters.space
        else { throw .malformed("the status line is not a version and a status") }
        guard line.dropFirst(12).allSatisfy(Characters.isFieldValue) else {
            throw .malformed("the reason phrase holds a control character")
        }
        let code = line[9...11].reduce(0) { $0 * 10 + Int($1 - 48) }
        let reason = String(decoding: line.dropFirst(13), as: UTF8.self)
        let lines = try FieldLines(bytes, lineEnd + 2..<range.upperBound - 2)
        if lines.isChunked && lines.contentLength != nil {
            throw .malformed("both transfer-encoding and content-length")
        }
        let isOld = line[7] == UInt8(ascii: "0")
        response = HTTPResponse(
            status: .init(code: code, reasonPhrase: reason), headerFields: lines.fields)
        if method == .head || code < 200 || code == 204 || code == 304 {
            framing = .none
        } else if lines.isChunked {
            framing = .chunked
        } else if let length = lines.contentLength {
            framing = length == 0 ? .none : .length(length)
        } else {
            framing = .untilClose
        }
        keepAlive = !lines.saysClose && (!isOld || lines.saysKeepAlive) && framing != .untilClose
    }
}
