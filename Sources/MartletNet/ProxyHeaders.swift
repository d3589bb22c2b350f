internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP

/// What a proxy takes off and puts on (RFC 9110 section 7.6, and the X-Forwarded fields as ingress-nginx sets them).
enum ProxyHeaders {
    private static let hopByHop: [HTTPField.Name] = [
        .connection, .te, .trailer, .transferEncoding, .upgrade, .proxyAuthenticate, .proxyAuthorization,
        HTTPField.Name("Keep-Alive")!, HTTPField.Name("Proxy-Connection")!,
    ]
    static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")!
    static let forwardedHost = HTTPField.Name("X-Forwarded-Host")!
    static let forwardedPort = HTTPField.Name("X-Forwarded-Port")!
    static let realIP = HTTPField.Name("X-Real-IP")!
    static let requestID = HTTPField.Name("X-Request-ID")!
    /// A client's `Proxy` field would become HTTP_PROXY in a CGI program behind us ("httpoxy").
    private static let httpoxy = HTTPField.Name("Proxy")!

    /// Takes off what belongs to one connection only, and what the Connection field names.
    static func strip(_ fields: inout HTTPFields) {
        let named = (fields[.connection] ?? "").split(separator: ",").compactMap {
            HTTPField.Name($0.filter { $0 != " " && $0 != "\t" })
        }
        for name in hopByHop + named { fields[name] = nil }
    }

    /// The protocol a client wants to switch to, nil for a plain request.
    static func upgrade(of fields: HTTPFields) -> String? {
        let asks = (fields[.connection] ?? "").lowercased().split(separator: ",").contains {
            $0.filter { $0 != " " } == "upgrade"
        }
        return asks ? fields[.upgrade] : nil
    }

    /// The head that goes on to the next hop.
    /// - Parameters:
    ///   - isTrusted: whether the peer is one of our own edges, so that what it says of the client is kept.
    ///   - requestID: used when the request has none.
    static func onward(_ request: Request, isTrusted: Bool, requestID id: @autoclosure () -> String) -> HTTPRequest {
        var head = request.head
        let upgrade = upgrade(of: head.headerFields)
        strip(&head.headerFields)
        head.headerFields[httpoxy] = nil
        if let upgrade {
            head.headerFields[.connection] = "Upgrade"
            head.headerFields[.upgrade] = upgrade
        }
        if head.headerFields[requestID] == nil { head.headerFields[requestID] = id() }
        if isTrusted && head.headerFields[forwardedProto] != nil { return head }
        let address: String? = if case .ip(let address, _) = request.peer.endpoint { address } else { nil }
        head.headerFields[forwardedFor] = address
        head.headerFields[realIP] = address
        head.headerFields[forwardedProto] = request.peer.isSecure ? "https" : "http"
        head.headerFields[forwardedHost] = head.authority
        head.headerFields[forwardedPort] =
            head.authority.flatMap { authority in
                authority.split(separator: ":").last.flatMap { UInt16($0) }.map(String.init)
            } ?? (request.peer.isSecure ? "443" : "80")
        return head
    }
}
