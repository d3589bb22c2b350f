internal import HTTPTypes

/// The head of a request or an answer, or a trailer section, as its fields come over HTTP/2 (RFC 9113, 8). A pure
/// value.
struct WebHead: Sendable {
    private var method: String?
    private var authority: String?
    private var host: String?
    private var path: String?
    /// `:status` of an answer.
    private(set) var status: Int?
    /// All fields but `Host`.
    private(set) var fields = HTTPFields()
    /// The value of `Content-Length`.
    private(set) var contentLength: Int?
    /// Whether the client waits for `100 Continue` before it sends its body.
    private(set) var expectsContinue = false
    /// Bytes of the list as RFC 9113, 10.5.1 counts them.
    private var size = 0
    private var count = 0
    private var fault: HTTPError?
    private let limit: Int

    /// - Parameter limit: bytes of the list; see ``HTTPBounds/fields`` for their number.
    init(limit: Int) { self.limit = limit }

    /// Bytes that one field costs beside its name and value.
    private static let overhead = 32
    /// A list that is so many times over the limit is not even counted any more.
    private static let patience = 4

    /// Adds a field; its name is in lower case. False when there is no use in going on.
    mutating func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        size += name.count + value.count + Self.overhead
        count += 1
        guard size <= limit, count <= HTTPBounds.fields else {
            fault = .headTooLarge(limit: size > limit ? limit : HTTPBounds.fields)
            return size <= Self.patience * limit
        }
        guard fault == nil else { return true }
        if name.first == Characters.colon {
            addPseudo(name, value)
        } else {
            addField(name, value)
        }
        return true
    }

    private mutating func addPseudo(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        switch name.count {
        case 5 where name.equals(":path"):
            guard value.allSatisfy(Characters.isTarget) else {
                return fault = .malformed("the path holds a character that paths must not hold")
            }
            path = String(decoding: value, as: UTF8.self)
        case 7 where name.equals(":method"): method = String(decoding: value, as: UTF8.self)
        case 10 where name.equals(":authority"): authority = host(value)
        case 7 where name.equals(":status"):
            guard value.count == 3, value.allSatisfy(Characters.isDigit) else {
                return fault = .malformed("the status is no number of three digits")
            }
            status = value.reduce(0) { $0 * 10 + Int($1 - 48) }
        default: return
        }
    }

    private mutating func host(_ value: UnsafeBufferPointer<UInt8>) -> String? {
        guard value.allSatisfy({ Characters.authority[Int($0)] }) else {
            fault = .malformed("the host holds a character that hosts must not hold")
            return nil
        }
        return String(decoding: value, as: UTF8.self)
    }

    private mutating func addField(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        guard let known = FieldNames.name(name) else { return fault = .malformed("a field name that is none") }
        guard value.allSatisfy(Characters.isFieldValue) else {
            return fault = .malformed("a field value holds a control character")
        }
        switch name.count {
        case 4 where name.equals("host"):
            guard host == nil else { return fault = .malformed("host is given twice") }
            host = host(value)
            return
        case 6 where name.equals("cookie"):
            // Cut apart for the sake of compression; whoever knows no HTTP/2 wants one field (RFC 9113, 8.2.3).
            if let before = fields[known] {
                let joined = before + "; " + String(decoding: value, as: UTF8.self)
                fields[fields: known] = [HTTPField(name: known, value: joined)]
                return
            }
        case 6 where name.equals("expect"): expectsContinue = value.equals("100-continue")
        case 14 where name.equals("content-length"):
            guard contentLength == nil, !value.isEmpty, value.count <= 18, value.allSatisfy(Characters.isDigit) else {
                return fault = .malformed("content-length is no number, or given twice")
            }
            contentLength = value.reduce(0) { $0 * 10 + Int($1 - 48) }
        case 10 where name.equals("connection"), 7 where name.equals("upgrade"), 10 where name.equals("keep-alive"),
            17 where name.equals("transfer-encoding"), 16 where name.equals("proxy-connection"):
            return fault = .malformed("a field that is about the connection")
        default: break
        }
        fields.append(HTTPField(name: known, value: Array(value)[...]))
    }

    /// The request that this is the head of.
    /// - Throws: ``HTTPError``.
    func request(scheme: String) throws(HTTPError) -> HTTPRequest {
        if let fault { throw fault }
        guard let method, let method = HTTPRequest.Method(method) else { throw .malformed("the method is no token") }
        guard let path, path.utf8.first == UInt8(ascii: "/") || (path == "*" && method == .options) else {
            throw .malformed("the request target is no path")
        }
        guard let name = authority ?? host else { throw .malformed("no host is named") }
        if let host, host != name { throw .malformed("two hosts are named") }
        return HTTPRequest(method: method, scheme: scheme, authority: name, path: path, headerFields: fields)
    }

    /// The answer that this is the head of.
    /// - Throws: ``HTTPError``.
    func response() throws(HTTPError) -> HTTPResponse {
        if let fault { throw fault }
        guard let status, status >= 100 else { throw .malformed("an answer without a status") }
        return HTTPResponse(status: .init(code: status), headerFields: fields)
    }

    /// The trailer section that this is.
    /// - Throws: ``HTTPError``.
    func trailers() throws(HTTPError) -> HTTPFields {
        if let fault { throw fault }
        return fields
    }
}

extension HTTP2Fields {
    /// The head of a request.
    init(_ head: HTTPRequest, authority: String, scheme: StaticString, length: Int?) {
        self.init([])
        append(":method", head.method.rawValue.utf8)
        append(":scheme", UnsafeBufferPointer(start: scheme.utf8Start, count: scheme.utf8CodeUnitCount))
        append(":path", (head.path ?? "/").utf8)
        append(":authority", (head.authority ?? authority).utf8)
        append(head.headerFields)
        if let length { append("content-length", String(length).utf8) }
    }

    /// The head of an answer.
    /// - Parameter date: a line as HTTP/1.1 writes it; empty for none.
    init(_ head: HTTPResponse, length: Int?, date: [UInt8]) {
        self.init([])
        append(":status", String(head.status.code).utf8)
        append(head.headerFields, hasDate: false)
        if let length { append("content-length", String(length).utf8) }
        let name = "Date: ".utf8.count
        if date.count > name + 2 { append("date", date[name..<date.count - 2]) }
    }

    /// A trailer section; no field of it frames or routes a message (RFC 9110, 6.5.1).
    init(trailers: HTTPFields) {
        self.init([])
        append(trailers)
    }

    private mutating func append(_ fields: HTTPFields, hasDate: Bool = true) {
        for field in fields {
            let name = field.name.canonicalName
            switch name {
            // About the connection, or written by others.
            case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host",
                "content-length":
                continue
            case "date" where !hasDate: continue
            case "te" where field.value != "trailers": continue
            default: break
            }
            unsafe field.withUnsafeBytesOfValue { unsafe append(name: name.utf8, $0) }
        }
    }
}
